"""Lesson 09's figures: clouds in the plane, what training hides, and the recorded measurements of flows.

The functions without an ``ax`` make a whole figure, which the lesson shows with its sentence.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.display import palette, plots

FAMILIES = {"gan": "GAN (lesson 2)", "vae": "VAE (lesson 3)", "flow": "flow (this lesson)"}
"""Key in the recorded results -> name in the figure."""
_SHOWN = 800
"""Points of a cloud that are drawn at most."""


def planes(clouds: Mapping[str, Tensor], behind: Tensor | None = None, side: float = 3.0) -> Figure:
    """Clouds of points side by side, each with its name above.

    Args:
        clouds: name -> (N, 2); the first 800 points are drawn.
        behind: (M, 2), the data, in grey behind each of them.
        side: the frames reach from ``-side`` to ``side``.
    """
    width = 10.0
    figure, axes = plots.subplots(1, len(clouds), width, height=0.35 + width / len(clouds))
    colour = palette.BLUE if behind is None else palette.VERMILION
    for ax, (name, points) in zip(axes, clouds.items(), strict=True):
        plane(ax, points[:_SHOWN], name, behind, colour, side)
    return figure


def crossings(noise: Tensor, data: Tensor, passing: Mapping[float, tuple[Tensor, float]]) -> Figure:
    """Straight lines from noise to data over time; for each place, who passes it half-way, and the mean velocity.

    Args:
        noise: (N, 1).
        data: (N, 1).
        passing: place at t = 0.5 -> who passes it, (N,) bool, and their mean velocity.
    """
    figure, axes = plots.subplots(1, len(passing), width=9, height=3.4)
    for ax, (place, (near, slope)) in zip(axes, passing.items(), strict=True):
        every, some = [*range(60)], near.nonzero()[:24, 0].tolist()
        for chosen, style in (
            (every, {"color": "grey", "linewidth": 0.5, "alpha": 0.4}),
            ([k for k in some if data[k, 0] <= 0], {"color": palette.BLUE, "linewidth": 0.9}),
            ([k for k in some if data[k, 0] > 0], {"color": palette.VERMILION, "linewidth": 0.9}),
        ):
            ends = torch.stack([noise[chosen, 0], data[chosen, 0]])  # (2, K)
            ax.plot([0, 1], ends, **style)
        tip = (0.75, place + 0.25 * slope)
        arrow = {"arrowstyle": "-|>", "linewidth": 2.5, "color": palette.BLACK}
        ax.annotate("", tip, (0.5, place), arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})
        ax.plot(0.5, place, "o", color=palette.BLACK, markersize=6)
        ax.set(xlabel="t (0: noise, 1: data)", xlim=(0, 1), ylim=(-2.8, 2.8), yticks=[-1, 0, 1])
        ax.set_title(f"through x = {place:g}: mean velocity {round(slope, 1) + 0:g}", fontsize=10)
    axes[0].set_ylabel("x")
    return figure


def ways_and_lines(paths: Tensor, cluster: Tensor, each: int = 14) -> Figure:
    """The ways to each cluster, and beside them the straight lines between the same ends.

    Args:
        paths: (S, N, 2), N places at each of S times.
        cluster: (N,), where each way ends; its number says the colour.
        each: how many ways to each cluster are drawn.
    """
    some = [k for c in cluster.unique() for k in (cluster == c).nonzero()[:each, 0].tolist()]
    colours = [palette.COLOURS[k % 4] for k in cluster[some].tolist()]
    figure, axes = plots.subplots(1, 2, width=9, height=4.6)
    ways(axes[0], paths[:, some], colours, "the ways that were walked")
    ways(axes[1], paths[[0, -1]][:, some], colours, "the same ends, joined directly")
    return figure


def error_by_calls(calls: Sequence[int], errors: Mapping[str, Sequence[float]]) -> Figure:
    """How far cheap walks end from a fine one: method -> mean error at each number of calls, both axes logarithmic."""
    figure, (ax,) = plots.subplots(width=7, height=3)
    plots.curves(ax, calls, errors, "calls of the velocity", "mean error")
    for line, marker in zip(ax.lines, "os^D", strict=False):
        line.set(marker=marker, markersize=5)
    ax.set(xscale="log", yscale="log")
    ax.minorticks_off()
    ax.set_xticks(calls, [str(count) for count in calls])
    ax.legend(frameon=False)
    return figure


def floor_and_excess(
    by_time: Mapping[str, Sequence[float]], by_step: Mapping[str, Sequence[float]]
) -> Figure:
    """What of a loss can be learned: the loss by time above its floor, loss and excess by step on a logarithmic axis.

    Args:
        by_time: lists ``t``, ``floor``, ``loss``.
        by_step: lists ``step``, ``loss``, ``excess``.
    """
    figure, (left, right) = plots.subplots(1, 2, width=10, height=3.4)
    t, (blue, red) = by_time["t"], palette.COLOURS[:2]
    left.fill_between(t, by_time["floor"], color=palette.BLACK, alpha=0.15, linewidth=0)
    left.plot(t, by_time["loss"], "o-", markersize=4, color=blue, label="loss of the network")
    left.text(t[len(t) // 3], 0.35 * max(by_time["floor"]), "floor: no network\ngets below it",
              ha="center", va="center")  # fmt: skip
    left.set(xlabel="t (0: noise, 1: data)", ylabel="loss", xlim=(0, 1), ylim=(0, None))
    steps = by_step["step"]
    right.semilogy(steps, by_step["loss"], color=blue, label="loss")
    right.semilogy(steps, by_step["excess"], "--", color=red, label="excess: distance from u")
    right.set(xlabel="step", ylabel="loss and excess")
    for ax in (left, right):
        plots.legend_above(ax, "left")
    return figure


def plane(
    ax: Axes,
    points: Tensor,
    title: str = "",
    behind: Tensor | None = None,
    colour: str = palette.BLUE,
    side: float = 3.0,
) -> Axes:
    """A cloud of points in a square frame without ticks.

    Args:
        ax: where to draw.
        points: (N, 2).
        title: above the frame.
        behind: (M, 2), the data, in grey.
        colour: of the points.
        side: the frame reaches from ``-side`` to ``side``.
    """
    if behind is not None:
        ax.scatter(behind[:, 0], behind[:, 1], s=4, color="grey", alpha=0.5, linewidths=0)
    ax.scatter(points[:, 0], points[:, 1], s=4, color=colour, linewidths=0)
    return frame(ax, title, side)


def ways(ax: Axes, paths: Tensor, colours: Sequence[str], title: str, side: float = 3.0) -> Axes:
    """The ways of some points through the plane, and a black dot at the end of each.

    Args:
        ax: where to draw.
        paths: (S, N, 2), N places at each of S times.
        colours: N of them.
        title: above the frame.
        side: the frame reaches from ``-side`` to ``side``.
    """
    for path, colour in zip(paths.transpose(0, 1), colours, strict=True):
        ax.plot(*path.T, color=colour, linewidth=0.7, alpha=0.7)
    ax.scatter(paths[-1, :, 0], paths[-1, :, 1], s=6, color=palette.BLACK, linewidths=0)
    return frame(ax, title, side)


def frame(ax: Axes, title: str, side: float) -> Axes:
    """A square frame without ticks, from ``-side`` to ``side``."""
    ax.set(xlim=(-side, side), ylim=(-side, side), xticks=[], yticks=[], aspect="equal")
    ax.set_title(title, fontsize=10)
    ax.spines[:].set(visible=True, color=palette.FRAME)
    return ax


def by_step(recorded: Mapping[str, Any]) -> Figure:
    """Loss and FD of a network by its steps: ``curve``, rows with ``step``, ``loss`` and ``FD``, and ``data``."""
    figure, axes = plots.subplots(1, 2, width=9, height=2.8)
    steps = [row["step"] for row in recorded["curve"]]
    for ax, name, colour in zip(axes, ("loss", "FD"), palette.COLOURS, strict=False):
        plots.with_band(ax, steps, [row[name] for row in recorded["curve"]], "o-", colour)
        ax.set(xlabel="step", ylabel=name, ylim=(0, None))
    figure.suptitle(f"this lesson's network for pictures [{recorded['data']}]", fontsize=10)
    return figure


def by_calls(recorded: Mapping[str, Any]) -> Figure:
    """FD by network calls: ``euler`` and ``heun``, each calls -> scores, the ``floor`` and ``data``."""
    figure, (ax,) = plots.subplots(width=7, height=3)
    for method, marks, colour in (
        ("euler", "o-", palette.BLUE),
        ("heun", "s--", palette.VERMILION),
    ):
        rows = {int(calls): row["FD"] for calls, row in recorded[method].items()}
        plots.with_band(ax, list(rows), list(rows.values()), marks, colour, method.title())
    _floor(ax, recorded)
    ax.set(xscale="log", xlabel="network calls per picture", ylabel="FD", ylim=(0, None))
    ax.minorticks_off()
    ax.set_xticks([int(calls) for calls in recorded["euler"]], list(recorded["euler"]))
    ax.set_title(f"this lesson's network [{recorded['data']}]", fontsize=10)
    ax.legend(frameon=False)
    return figure


def by_guidance(recorded: Mapping[str, Any]) -> Figure:
    """What guidance buys and costs, by its scale.

    Args:
        recorded: ``rows`` with ``scale``, ``accuracy``, ``precision``, ``recall`` and ``FD``, the ``floor``, ``calls``
            and ``data``.
    """
    figure, (left, right) = plots.subplots(1, 2, width=9, height=3)
    rows = recorded["rows"]
    scales = [row["scale"] for row in rows]
    marks = {"accuracy": "o-", "precision": "s--", "recall": "^-."}
    for (name, mark), colour in zip(marks.items(), palette.COLOURS, strict=False):
        plots.with_band(left, scales, [row[name] for row in rows], mark, colour, name)
    left.set(xlabel="scale of guidance", ylabel="share", ylim=(0, 1))
    plots.legend_above(left, "left")
    plots.with_band(right, scales, [row["FD"] for row in rows], "o-", palette.BLACK)
    _floor(right, recorded)
    right.set(xlabel="scale of guidance", ylabel="FD", ylim=(0, None))
    words = f"this lesson's network, {recorded['calls']} steps [{recorded['data']}]"
    figure.suptitle(words, fontsize=10)
    return figure


def families(recorded: Mapping[str, Any]) -> Figure:
    """FD by minutes of training for each of `FAMILIES` (``curves``), the ``floor`` and ``data``."""
    figure, (ax,) = plots.subplots(width=8, height=3.3)
    marks = ("o-", "s--", "^-.")
    for (key, name), mark, colour in zip(FAMILIES.items(), marks, palette.COLOURS, strict=False):
        points = recorded["curves"][key]
        minutes = [point["minutes"] for point in points]
        plots.with_band(ax, minutes, [point["FD"] for point in points], mark, colour, name)
    _floor(ax, recorded)
    ax.set(xlabel="minutes of training", ylabel="FD", xlim=(0, None), ylim=(0, None))
    ax.set_title(f"three lessons [{recorded['data']}]", fontsize=10)
    ax.legend(frameon=False)
    return figure


def _floor(ax: Axes, recorded: Mapping[str, Any]) -> None:
    value = recorded["floor"]["FD"]["value"]
    ax.axhline(value, color=palette.BLACK, linewidth=0.8)
    place: dict[str, Any] = {"ha": "right", "va": "bottom", "transform": ax.get_yaxis_transform()}
    ax.text(0.99, value, "floor: real photographs ", fontsize=8, **place)
