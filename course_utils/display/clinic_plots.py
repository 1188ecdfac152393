"""Lesson 07's figures: programs and one batch, two runs of a game, pixels, objectives on a walk away from the data."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.display import plots
from course_utils.display.palette import BLACK, COLOURS

PANELS = {
    "g_loss": ("generator's loss (nats)", math.log(2)),
    "d_fake": ("D(G(z))", 0.5),
    "d_real": ("D(x)", 0.5),
    "diversity": ("deviation of the samples", 0.5),
}
"""Series of a game's history: what an axis calls it, and the number where the equilibrium has it."""
_APART = 0.09
"""Least distance between two names beside a figure of height 1."""


def one_batch(learned: Mapping[str, Sequence[float]]) -> Figure:
    """How far programs bring down the loss of one batch; each curve has its name at its end.

    Args:
        learned: the loss of every step by the program's name, as a share of the first; all of one length.
    """
    figure, (ax,) = plots.subplots(1, 1, width=9, height=3.4)
    steps = len(next(iter(learned.values())))
    label = "loss, as a share of the first"
    plots.curves(ax, range(steps), learned, "step, always on the same 16 digits", label)
    ax.set(xlim=(0, steps), ylim=(-0.03, None))
    if ax.get_legend():
        ax.get_legend().remove()
    ends = sorted((line.get_ydata()[-1], line) for line in ax.lines)
    plt.setp(ax.lines, linewidth=2)
    for (end, line), height in zip(ends, _spread([end for end, _ in ends]), strict=True):
        ax.annotate(
            line.get_label(),
            (steps - 1, end),
            (1.04 * steps, height),
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": line.get_color(), "relpos": (0, 0.5)},
        )
    return figure


def _spread(heights: Sequence[float]) -> list[float]:
    """The same heights, in rising order, moved up where two names would touch."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + _APART) if placed else height)
    return placed


def two_runs(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Four series of recorded games, one panel each, with a dotted line where the equilibrium is.

    Args:
        runs: histories by name, of equal steps, with ``step`` and the series of `PANELS`.
    """
    figure, axes = plots.subplots(2, 2, width=9, height=5)
    steps = next(iter(runs.values()))["step"]
    for ax, (key, (label, theory)) in zip(axes, PANELS.items(), strict=True):
        series = {name: history[key] for name, history in runs.items()}
        plots.curves(ax, steps, series, "step", label)
        ax.axhline(theory, color=BLACK, linestyle=":", label="at the equilibrium")
        if ax.get_legend():
            ax.get_legend().remove()
        if key.startswith("d_"):
            ax.set_ylim(0, 1.05)
    plots.shared_legend(figure, axes[0])
    return figure


def from_the_data(t: Any, objectives: Mapping[str, Sequence[float]]) -> Figure:
    """Objectives while a generator's distribution walks away from the data; a dot marks the data.

    Args:
        t: (N,) where the walk is; it begins at 0, the data.
        objectives: name -> (N,) values in nats.
    """
    figure, axes = plots.subplots(1, len(objectives), width=4.5 * len(objectives), height=3)
    for ax, (name, values) in zip(axes, objectives.items(), strict=True):
        plots.curves(ax, t, {name: values}, "t: from the data (0) to somewhere else (1)", "nats")
        ax.set_title(name, fontsize=10, loc="left")
        ax.plot(t[0], values[0], "o", color=BLACK)
        highest = values[0] == max(values)
        words = "highest" if highest else "lowest" if values[0] == min(values) else ""
        ax.annotate(
            f"at the data: {words}".rstrip(": "),
            (t[0], values[0]),
            (4, -46 if highest else 44),
            textcoords="offset points",
            va="center",
        )
    return figure


_FILLED: dict[str, Any] = {"histtype": "stepfilled", "color": COLOURS[0], "alpha": 0.3}
_OUTLINE: dict[str, Any] = {"histtype": "step", "color": COLOURS[1], "linewidth": 1.5}


def pixel_values(batches: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """How often each value of a pixel occurs in real and in generated pictures: one panel for each pair.

    Args:
        batches: real and generated pictures, of any shape, by the panel's title; values from -1 to 1.
    """
    figure, axes = plots.subplots(1, len(batches), width=4.5 * len(batches), height=3)
    bins = [-1 + k / 20 for k in range(41)]
    for ax, (title, (real, made)) in zip(axes, batches.items(), strict=True):
        for name, values, style in (("real", real, _FILLED), ("made", made, _OUTLINE)):
            pixels = values.detach().flatten().numpy()
            ax.hist(
                pixels, bins, weights=np.full(len(pixels), 1 / len(pixels)), label=name, **style
            )
        ax.set(xlabel="value of a pixel", ylabel="share of the pixels", xlim=(-1.02, 1.02))
        ax.set_title(title, fontsize=10, loc="left")
    highest = max(ax.get_ylim()[1] for ax in axes)
    plt.setp(axes, ylim=(0, highest))
    plots.shared_legend(figure, axes[0])
    return figure
