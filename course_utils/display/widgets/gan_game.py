"""Lesson 01's interactive figure: drag the generator's density and watch D*, the divergence and the game's value."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets
import torch
from matplotlib.axes import Axes
from torch import Tensor

from course_utils.display import palette
from course_utils.display.widgets import controls

Density = Callable[[Tensor], Tensor]
"""Positions (N,) -> densities (N,)."""
Optimal = Callable[[Tensor, Tensor], Tensor]
"""Densities of data and generator, both (N,) -> the optimal discriminator (N,) in [0, 1]."""
Divergence = Callable[[Tensor, Tensor, float], Tensor]
"""Densities (N,), (N,) and the spacing of their grid -> a divergence in nats."""

GRID = (-8.0, 8.0, 1601)
"""First position, last position and number of points of the grid."""


@dataclass(frozen=True)
class Moment:
    """What the game looks like for one generator: everything on the grid (N,), divergence and value in nats."""

    x: Tensor
    p_data: Tensor
    p_g: Tensor
    best: Tensor
    jsd: float
    value: float


def game_at(
    p_data: Density, optimal: Optimal, divergence: Divergence, mean: float, std: float
) -> Moment:
    """The game against a generator with density N(mean, std), computed on a grid.

    Args:
        p_data: density of the data.
        optimal: the exercise `optimal_discriminator`.
        divergence: the exercise `js_divergence`.
        mean: of the generator's density.
        std: its standard deviation, above 0.

    Source: arXiv 1406.2661, proposition 1 and theorem 1.
    """
    x = torch.linspace(*GRID, dtype=torch.float64)
    p, q = p_data(x), torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
    jsd = float(divergence(p, q, (x[1] - x[0]).item()))
    return Moment(x, p, q, torch.as_tensor(optimal(p, q)), jsd, -2 * math.log(2) + 2 * jsd)


def draw_game(ax: Axes, moment: Moment, name: str = "") -> Axes:
    """Draw both densities and the optimal discriminator on one axis; the title opens with ``name``."""
    ax.fill_between(moment.x, moment.p_data, color=palette.BLUE, alpha=0.25)
    ax.plot(moment.x, moment.p_data, color=palette.BLUE, label="$p_{data}$")
    ax.plot(moment.x, moment.p_g, "--", color=palette.VERMILION, label="$p_g$")
    ax.plot(moment.x, moment.best, "-.", color=palette.BLACK, linewidth=1.2, label="$D^*$")
    ax.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    ax.set(xlabel="x", xlim=(-7, 7), ylim=(0, 1.05))
    ax.set_title(f"{name}JSD {moment.jsd:.3f}, V {moment.value:+.3f} nats", loc="left", fontsize=10)
    return ax


def describe_game(moment: Moment) -> str:
    """The moment in one sentence, for readers who do not see the figure."""
    gap = 100 * moment.jsd / math.log(2)
    return f"JSD = {moment.jsd:.4f} nats ({gap:.0f} % of its largest value, log 2), V(D*, G) = {moment.value:.4f} nats."


def game_static(
    axes: list[Axes], p_data: Density, optimal: Optimal, divergence: Divergence
) -> None:
    """The widget's static twin: a generator far away, one on its way and one that covers the data, on three Axes."""
    for ax, (mean, std) in zip(axes, ((5.0, 0.5), (2.0, 0.8), (0.0, 1.4)), strict=True):
        draw_game(
            ax,
            game_at(p_data, optimal, divergence, mean, std),
            name=f"G draws from N({mean:g}, {std:g})\n",
        )
    axes[0].set_ylabel("density, or D(x)")
    axes[0].legend(loc="upper left", bbox_to_anchor=(0, 0.93), fontsize=8, frameon=False)


def game(p_data: Density, optimal: Optimal, divergence: Divergence) -> ipywidgets.Widget:
    """Numbers to set for the generator's mean and standard deviation; under them the figure, and the sentence about it.

    Args:
        p_data: density of the data.
        optimal: the exercise `optimal_discriminator`.
        divergence: the exercise `js_divergence`.
    """
    mean = controls.number("mean of p_g", -5.0, 5.0, 0.25, 2.0)
    std = controls.number("std of p_g", 0.25, 3.0, 0.05, 0.8)
    picture, paper = controls.Picture(620), sketch()

    def redraw(*_: object) -> None:
        moment = game_at(p_data, optimal, divergence, mean.box.value, std.box.value)
        picture.show(picture_of(moment, paper), describe_game(moment))

    for control in (mean, std):
        control.box.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([mean.row, std.row, picture.box])


def sketch() -> controls.Sketch:
    """Axes to draw a moment on, again and again."""
    return controls.Sketch(6.5, 2.8, (0.07, 0.18, 0.91, 0.71), dpi=120)


def picture_of(moment: Moment, paper: controls.Sketch) -> bytes:
    """The drawing as a PNG file."""

    def draw(ax: Axes) -> None:
        draw_game(ax, moment).legend(
            fontsize=8,
            borderaxespad=0.2,
            loc="lower right",  # no curve runs there
            bbox_to_anchor=(1, 1),
            ncols=3,
            frameon=False,
        )

    return paper.png(draw)
