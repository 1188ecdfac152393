"""Figures of lesson 08: scores of each class, and which class was read where which one was asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from torch import Tensor

from course_utils.display.palette import COLOURS, SHARES
from course_utils.evaluation.scores import Score


def by_class(ax: Axes, classes: Sequence[str], rows: Mapping[str, Sequence[Score]]) -> Axes:
    """A score of each class with its 95 % interval, a colour and a marker for each of several generators.

    Args:
        ax: where to draw.
        classes: their names.
        rows: generator -> the score of each class.
    """
    shift = 0.7 / len(rows)
    for number, (name, scores) in enumerate(rows.items()):
        places = [k + shift * (number - (len(rows) - 1) / 2) for k in range(len(classes))]
        values = [score.value for score in scores]
        reach = [
            [v - score.low for v, score in zip(values, scores, strict=True)],
            [score.high - v for v, score in zip(values, scores, strict=True)],
        ]
        ax.errorbar(places, values, reach, fmt="os^D"[number % 4], color=COLOURS[number], ms=5,
                    capsize=2, label=name)  # fmt: skip
    ax.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
    highest = max(score.high for scores in rows.values() for score in scores)
    ax.set(ylim=(0, 1.2 * highest), ylabel=next(iter(rows.values()))[0].name)  # the legend's place
    ax.legend(frameon=False, ncols=len(rows), loc="upper right", borderaxespad=0)
    return ax


def read_as(ax: Axes, seen: Tensor, classes: Sequence[str], title: str) -> Axes:
    """Shares of (classes, classes) counts by row: the class asked for down, the class read across."""
    shares = seen / seen.sum(dim=1, keepdim=True)
    ax.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    for i, row in enumerate(shares.tolist()):
        for j, share in enumerate(row):
            if share >= 0.05:
                colour = "white" if share > 0.6 else "black"
                ax.text(j, i, f"{share:.0%}", ha="center", va="center", fontsize=7, color=colour)
    ax.set_xticks(range(len(classes)), classes, rotation=60, ha="right", fontsize=8)
    ax.set_yticks(range(len(classes)), classes, fontsize=8)
    ax.set(xlabel="read", ylabel="asked for")
    ax.set_title(title, fontsize=10)
    ax.grid(visible=False)
    return ax


def by_way(ax: Axes, rows: Mapping[str, Mapping[str, Any]], xlabel: str) -> Axes:
    """A row for each way of training: a dot for each seed, their mean, and its 95 % interval.

    Args:
        ax: where to draw.
        rows: way -> ``value``, ``low``, ``high``, ``seeds``.
        xlabel: what they are.
    """
    for place, (row, colour) in enumerate(zip(list(rows.values())[::-1], COLOURS, strict=False)):
        ax.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=6, alpha=0.25)
        ax.plot(row["seeds"], [place] * len(row["seeds"]), "o", color=colour, alpha=0.6)
        ax.plot(row["value"], place, "|", color="black", markersize=16)
    ax.set_yticks(range(len(rows)), list(rows)[::-1])
    ax.set(ylim=(-0.6, len(rows) - 0.4), xlabel=xlabel)
    return ax
