"""Figures of lesson 08: what matrices do to a circle, games in the plane, and many methods with their seeds.

Each function returns a finished figure for `plots.show`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.display import plots, seed_rows
from course_utils.display.palette import BACKGROUND, BLACK, BLUE, VERMILION
from course_utils.models.plane_gan import Judges

_SIDE = 2.7
"""Half a side of the square in which a game is drawn."""
_RATES = ((BLUE, "o", 0.17), (VERMILION, "s", -0.17))
"""Colour and marker of the first and of the second learning rate, and how far above a method's line they lie."""


def stretched(matrices: Mapping[str, Tensor]) -> Figure:
    """A circle and the ellipse that each matrix (2, 2) makes of it, with its longest half-axis; title -> matrix."""
    figure, axes = plots.subplots(1, len(matrices), width=7.4, height=3.4)
    turn = torch.linspace(0, 2 * torch.pi, 200)
    circle = torch.stack([turn.cos(), turn.sin()])  # (2, 200)
    for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
        u, sigma, _ = torch.linalg.svd(matrix)
        ax.plot(*circle.numpy(), color="grey", label="before")
        ax.plot(*(matrix @ circle).numpy(), color=BLUE, label="after")
        head = {"arrowstyle": "-|>", "color": VERMILION, "linewidth": 2}
        ax.annotate("", xy=(u[:, 0] * sigma[0]).tolist(), xytext=(0, 0), arrowprops=head)
        ax.set(xlim=(-2.1, 2.1), ylim=(-1.6, 1.6), aspect="equal")
        ax.set_title(title, fontsize=10)
    plots.shared_legend(figure, axes[0])
    return figure


def games(
    played: Mapping[str, tuple[Tensor, Judges]],
    scores: Mapping[str, tuple[Tensor, Tensor]],
    centres: Tensor,
    columns: int = 4,
) -> Figure:
    """A row for each method and a column for each seed: samples on D's logit, which is dark where it is high.

    Args:
        played: method -> samples (seeds, N, 2) and the discriminators, as `plane_gan.play` returns them.
        scores: method -> modes covered and share of good points of each seed, two tensors (seeds,).
        centres: of the data (modes, 2), drawn as crosses.
        columns: seeds at most.
    """
    shown = min(columns, *(len(samples) for samples, _ in played.values()))
    figure, axes = plots.subplots(len(played), shown, width=2.1 * shown, height=2.2 * len(played))
    for row, (name, (samples, judges)) in zip(axes.reshape(-1, shown), played.items(), strict=True):
        modes, good = scores[name]
        grounds = _logits(judges, len(samples))
        for k, ax in enumerate(row):
            _game(ax, samples[k], grounds[k], centres)
            ax.set_title(f"{modes[k]} of {len(centres)}, {good[k]:.0%} good", fontsize=9)
        row[0].set_ylabel(name.replace(" + R1", "\n+ R1"), fontsize=9)
    return figure


def methods(record: Mapping[str, Any], what: str, label: str) -> Figure:
    """A row for each method: a dot for each seed, and their mean with its interval, for each of two learning rates.

    Args:
        record: ``games``, data set -> learning rate -> method -> ``what`` -> ``value``, ``low``, ``high``, ``seeds``;
            and ``data``, data set -> ``modes``.
        what: which number of a method.
        label: its name.
    """
    figure, axes = plots.subplots(1, len(record["games"]), width=9.6, height=5.2)
    for ax, (data, rates) in zip(axes, record["games"].items(), strict=True):
        for (rate, rows), (colour, marker, lift) in zip(rates.items(), _RATES, strict=True):
            found = [row[what] for row in rows.values()][::-1]
            seed = {"marker": marker, "ms": 3, "alpha": 0.5}
            mean = {"marker": marker, "ms": 7, "mec": "white", "color": colour}
            words = (None, None, f"learning rate {rate}")
            seed_rows.draw(ax, found, colour, seed, mean, words, lift=lift)
        most = record["data"][data]["modes"]
        ax.axvline(most, color=BLACK, linewidth=0.8, label="all modes")
        names = list(next(iter(rates.values())))
        ax.set_yticks(range(len(names)), names[::-1])
        ax.tick_params(labelleft=ax is axes[0])
        ax.set(xlim=(-0.02 * most, 1.03 * most), ylim=(-0.6, len(names) - 0.4))
        ax.set_xlabel(f"{label}, {data}")
    plots.shared_legend(figure, axes[0])
    return figure


@torch.no_grad()
def _logits(judges: Judges, seeds: int) -> Tensor:
    """Of all runs on the whole square: (seeds, 90, 90)."""
    line = torch.linspace(-_SIDE, _SIDE, 90)
    places = torch.cartesian_prod(line, line)  # (8100, 2)
    return judges(places.expand(seeds, -1, 2)).view(seeds, 90, 90).mT


def _game(ax: Axes, samples: Tensor, logits: Tensor, centres: Tensor) -> None:
    """One run's samples (N, 2), of which 400 are drawn, on its discriminator's logits (90, 90)."""
    low, high = np.quantile(logits.numpy(), [0.02, 0.98])
    edges = (-_SIDE, _SIDE, -_SIDE, _SIDE)
    ax.imshow(logits, cmap=BACKGROUND, origin="lower", extent=edges, vmin=low, vmax=2 * high - low)
    x, y = samples[:400].T.numpy()
    ax.scatter(x, y, s=4, color=VERMILION, linewidths=0)
    ax.plot(*centres.T.numpy(), "x", color=BLUE, markersize=7, markeredgewidth=1.5)
    ax.set(xlim=edges[:2], ylim=edges[2:], xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
