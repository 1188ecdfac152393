"""Lesson 09's figures: clouds in the plane, and the recorded measurements of flows."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from torch import Tensor

from course_utils.display import palette

FAMILIES = {"gan": "GAN (lesson 2)", "vae": "VAE (lesson 3)", "flow": "flow (this lesson)"}
"""Key in the recorded results -> name in the figure."""


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
        ax.scatter(behind[:, 0], behind[:, 1], s=4, color="grey", alpha=0.4, linewidths=0)
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


def by_step(axes: Sequence[Axes], curve: Sequence[Mapping[str, Any]]) -> None:
    """Loss and FD of a network by its steps: rows with ``step``, ``loss`` and ``FD``, on two Axes."""
    steps = [row["step"] for row in curve]
    for ax, name, colour in zip(axes, ("loss", "FD"), palette.COLOURS, strict=False):
        _with_band(ax, steps, [row[name] for row in curve], "o-", colour)
        ax.set(xlabel="step", ylabel=name, ylim=(0, None))


def by_calls(ax: Axes, recorded: Mapping[str, Any]) -> Axes:
    """FD by network calls: ``euler`` and ``heun``, each calls -> scores, and the ``floor``."""
    for method, marks, colour in (
        ("euler", "o-", palette.BLUE),
        ("heun", "s--", palette.VERMILION),
    ):
        rows = {int(calls): row["FD"] for calls, row in recorded[method].items()}
        _with_band(ax, list(rows), list(rows.values()), marks, colour, method.title())
    _floor(ax, recorded)
    ax.set(xscale="log", xlabel="network calls per picture", ylabel="FD", ylim=(0, None))
    ax.minorticks_off()
    ax.set_xticks([int(calls) for calls in recorded["euler"]], list(recorded["euler"]))
    ax.legend(frameon=False)
    return ax


def by_guidance(axes: Sequence[Axes], recorded: Mapping[str, Any]) -> None:
    """What guidance buys and costs: ``rows`` with ``scale``, ``accuracy``, ``precision``, ``recall`` and ``FD``."""
    rows = recorded["rows"]
    scales = [row["scale"] for row in rows]
    marks = {"accuracy": "o-", "precision": "s--", "recall": "^-."}
    for (name, mark), colour in zip(marks.items(), palette.COLOURS, strict=False):
        _with_band(axes[0], scales, [row[name] for row in rows], mark, colour, name)
    axes[0].set(xlabel="scale of guidance", ylabel="share", ylim=(0, 1))
    axes[0].legend(frameon=False, fontsize=9)
    _with_band(axes[1], scales, [row["FD"] for row in rows], "o-", palette.BLACK)
    _floor(axes[1], recorded)
    axes[1].set(xlabel="scale of guidance", ylabel="FD", ylim=(0, None))


def families(ax: Axes, recorded: Mapping[str, Any]) -> Axes:
    """FD by minutes of training for each of `FAMILIES`, and the ``floor``."""
    marks = ("o-", "s--", "^-.")
    for (key, name), mark, colour in zip(FAMILIES.items(), marks, palette.COLOURS, strict=False):
        points = recorded["curves"][key]
        minutes = [point["minutes"] for point in points]
        _with_band(ax, minutes, [point["FD"] for point in points], mark, colour, name)
    _floor(ax, recorded)
    ax.set(xlabel="minutes of training", ylabel="FD", xlim=(0, None), ylim=(0, None))
    ax.legend(frameon=False)
    return ax


def _with_band(
    ax: Axes,
    x: Sequence[float],
    rows: Sequence[Mapping[str, float]],
    marks: str,
    colour: str,
    name: str | None = None,
) -> None:
    """Values with the band of their intervals."""
    ax.plot(x, [row["value"] for row in rows], marks, color=colour, label=name)
    low, high = ([row[end] for row in rows] for end in ("low", "high"))
    ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _floor(ax: Axes, recorded: Mapping[str, Any]) -> None:
    value = recorded["floor"]["FD"]["value"]
    ax.axhline(value, color=palette.BLACK, linewidth=0.8)
    place: dict[str, Any] = {"ha": "right", "va": "bottom", "transform": ax.get_yaxis_transform()}
    ax.text(0.99, value, "floor: real photographs ", fontsize=8, **place)
