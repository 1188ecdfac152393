"""Figures of lesson 08: what a matrix does to a circle, paths of a small game, games in the plane, many methods."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from course_utils.display.palette import BACKGROUND, BLUE, VERMILION
from course_utils.models.plane_gan import Judges

_SIDE = 2.7
"""Half a side of the square in which a game is drawn."""


def stretching(ax: Axes, matrix: Tensor, title: str) -> Axes:
    """A circle and what a matrix (2, 2) makes of it, with its longest half-axis."""
    turn = torch.linspace(0, 2 * torch.pi, 200)
    circle = torch.stack([turn.cos(), turn.sin()])  # (2, 200)
    u, sigma, _ = torch.linalg.svd(matrix)
    axis = u[:, 0] * sigma[0]
    ax.plot(*circle.numpy(), color="grey", label="before")
    ax.plot(*(matrix @ circle).numpy(), color=BLUE, label="after")
    head = {"arrowstyle": "-|>", "color": VERMILION, "linewidth": 2}
    ax.annotate("", xy=axis.tolist(), xytext=(0, 0), arrowprops=head)
    ax.set(xlim=(-2.1, 2.1), ylim=(-1.6, 1.6), aspect="equal")
    ax.set_title(title, fontsize=10)
    ax.legend(frameon=False, loc="lower right", fontsize=8)
    return ax


def spiral(ax: Axes, path: Tensor, colour: str, title: str, side: float = 2.6) -> Axes:
    """The path (steps, 2) of both players of a game that is solved at 0, from its dot on."""
    ax.plot(*path.T.numpy(), color=colour, linewidth=1.2)
    ax.plot(*path[0].tolist(), "o", color=colour)
    ax.plot(0, 0, "+", color="black", markersize=12, markeredgewidth=2)
    ax.set(xlim=(-side, side), ylim=(-side, side), xlabel="a (the generator's point)")
    ax.set_aspect("equal")
    ax.set_title(title, fontsize=10)
    return ax


def game(ax: Axes, samples: Tensor, judges: Judges, centres: Tensor, run: int) -> Axes:
    """One run's samples, of (seeds, N, 2), on the landscape of its discriminator's logit: dark where it is high.

    Crosses mark the data's centres (modes, 2).
    """
    line = torch.linspace(-_SIDE, _SIDE, 90)
    places = torch.cartesian_prod(line, line)  # (8100, 2)
    with torch.no_grad():
        logits = judges(places.expand(len(samples), -1, 2))[run].view(90, 90).T
    low, high = np.quantile(logits.numpy(), [0.02, 0.98])
    edges = (-_SIDE, _SIDE, -_SIDE, _SIDE)
    ax.imshow(logits, cmap=BACKGROUND, origin="lower", extent=edges, vmin=low, vmax=2 * high - low)
    x, y = samples[run, :400].T.numpy()
    ax.scatter(x, y, s=4, color=VERMILION, linewidths=0)
    ax.plot(*centres.T.numpy(), "x", color=BLUE, markersize=7, markeredgewidth=1.5)
    ax.set(xlim=edges[:2], ylim=edges[2:], xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def methods(
    ax: Axes, rates: Mapping[str, Mapping[str, Any]], what: str, xlabel: str, most: float
) -> Axes:
    """A row for each method: a dot for each seed, and its mean with the interval, for each of two learning rates.

    Args:
        ax: where to draw.
        rates: learning rate -> method -> ``what`` -> ``value``, ``low``, ``high``, ``seeds``.
        what: which number of a method.
        xlabel: its name.
        most: the best that it can be.
    """
    names = list(next(iter(rates.values())))
    for (rate, rows), colour, marker, lift in zip(
        rates.items(), (BLUE, VERMILION), "os", (0.17, -0.17), strict=True
    ):
        for place, name in enumerate(reversed(names)):
            found, y = rows[name][what], place + lift
            label = f"rate {rate}" if place == 0 else None
            ax.plot([found["low"], found["high"]], [y, y], color=colour, linewidth=5, alpha=0.25)
            ax.plot(
                found["seeds"], [y] * len(found["seeds"]), marker, ms=3, alpha=0.5, color=colour
            )
            ax.plot(found["value"], y, marker, ms=7, mec="white", color=colour, label=label)
    ax.axvline(most, color="black", linewidth=0.8)
    ax.set_yticks(range(len(names)), names[::-1])
    ax.set(xlim=(-0.02 * most, 1.03 * most), ylim=(-0.6, len(names) - 0.4), xlabel=xlabel)
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(rates))
    return ax
