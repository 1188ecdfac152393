"""Rows of seeds: where each training ended, their mean and its 95 % interval, as the figures of lesson 08 have them."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes


def draw(
    ax: Axes,
    rows: Sequence[Mapping[str, Any]],
    colour: str,
    seed: Mapping[str, Any],
    mean: Mapping[str, Any],
    words: tuple[str | None, str | None, str | None] = (None, None, None),
    bar: float = 5,
    lift: float = 0.0,
) -> None:
    """Row by row from below: the interval as a bar, its seeds, and above all of them the means.

    Args:
        ax: axes whose rows lie at 0, 1, ...
        rows: ``value``, ``low``, ``high`` and ``seeds`` of each.
        colour: of bars and seeds.
        seed: how Matplotlib marks a seed.
        mean: how it marks a mean.
        words: for the legend, of a bar, of a seed and of a mean; None leaves one out.
        bar: thickness of a bar in points.
        lift: how far above its row each mark lies.
    """
    heights = [place + lift for place in range(len(rows))]
    for y, row in zip(heights, rows, strict=True):
        bar_word, seed_word = words[:2] if y == lift else (None, None)
        ends = [row["low"], row["high"]]
        ax.plot(ends, [y, y], color=colour, linewidth=bar, alpha=0.25, label=bar_word)
        dots = [y] * len(row["seeds"])
        ax.plot(row["seeds"], dots, color=colour, linestyle="", label=seed_word, **seed)
    means = [row["value"] for row in rows]
    ax.plot(means, heights, linestyle="", label=words[2], **mean)
