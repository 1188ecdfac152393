"""Lesson 05's machines, drawn: a query that meets its keys, a block's stream, and decoding with and without a cache."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor

from course_utils.display import palette, plots

_KEPT = 0.18
"""Opacity of what was kept from an earlier step."""


def lookup(
    words: Sequence[str],
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    weights: Sequence[float],
    result: Sequence[float],
) -> Figure:
    """One token's attention: its query, every key, scores, the weights as lines, and the mix of the values.

    Args:
        words: T tokens; the last one looks.
        queries: (T, d); the last row is drawn.
        keys: (T, d).
        values: (T, d).
        weights: T shares of one, of the last token.
        result: d numbers, the mix.
    """
    figure, (ax,) = plots.subplots(width=8.6, height=3.9)
    last = len(words) - 1
    scores = (keys @ queries[last] / math.sqrt(keys.shape[1])).tolist()
    for place, (word, key, value) in enumerate(zip(words, keys, values, strict=True)):
        _box(ax, place, 2.0, f"{word}", palette.BLACK, bold=True)
        _box(ax, place, 1.3, f"key {_pair(key)}", palette.VERMILION)
        _box(ax, place, -1.45, f"value {_pair(value)}", palette.GREEN)
        ax.plot(
            [last, place], [0.3, 1.05], color=palette.BLUE, linewidth=0.6 + 9 * weights[place],
            alpha=0.25 + 0.75 * weights[place], solid_capstyle="round", zorder=1,
        )  # fmt: skip
        weight = "bold" if weights[place] > 0.5 else "normal"
        for height, number in ((-0.45, scores[place]), (-0.9, weights[place])):
            ax.text(place, height, f"{number:.2f}".replace("-", "−"), ha="center", fontsize=11,
                    color=palette.BLUE, weight=weight)  # fmt: skip
    _box(ax, last, 0.1, f"query {_pair(queries[last])}", palette.BLUE)
    for height, name in ((-0.45, "score (q · k / √d)"), (-0.9, "weight (softmax)")):
        ax.text(-0.55, height, name, ha="right", fontsize=10, color=palette.BLUE)
    ax.text(
        last / 2, -2.25, f"weights × values, added up:  {words[last]} → {_pair(result)}",
        ha="center", fontsize=11,
    )  # fmt: skip
    _bare(ax, (-1.95, last + 0.6), (-2.5, 2.4))
    return figure


def stream() -> Figure:
    """A block: the stream runs straight through, and two parts read normalised copies and add to it."""
    figure, (ax,) = plots.subplots(width=8.6, height=2.5)
    ax.annotate("", (10.2, 0), (0, 0), arrowprops=_arrow(palette.BLACK, 2.6))
    ax.text(0.0, -0.42, "x  (T, D)", fontsize=11)
    ax.text(9.15, -0.42, "next block", fontsize=11)
    parts = (
        (0.9, "norm1", "attention", "tokens look at each other", palette.BLUE),
        (5.3, "norm2", "mlp", "each token by itself", palette.VERMILION),
    )
    for left, norm, part, what, colour in parts:
        ax.plot([left, left, left + 0.25], [0, 1.3, 1.3], color=colour, linewidth=1.6)
        _box(ax, left + 0.8, 1.3, norm, colour, width=1.05)
        ax.annotate("", (left + 1.62, 1.3), (left + 1.33, 1.3), arrowprops=_arrow(colour))
        _box(ax, left + 2.4, 1.3, part, colour, width=1.5, bold=True)
        ax.plot([left + 3.15, left + 3.6], [1.3, 1.3], color=colour, linewidth=1.6)
        ax.annotate("", (left + 3.6, 0.2), (left + 3.6, 1.3), arrowprops=_arrow(colour))
        ax.text(left + 3.6, -0.01, "+", ha="center", va="center", fontsize=16, zorder=5,
                bbox={"boxstyle": "circle,pad=0.12", "fc": "white", "ec": colour})  # fmt: skip
        ax.text(left + 1.85, 1.85, what, ha="center", fontsize=10, color=colour)
    _bare(ax, (-0.1, 10.4), (-0.7, 2.15))
    return figure


def decoding(words: Sequence[str], given: int) -> Figure:
    """What is computed at each step of writing, without a cache and with one; counts stand in the titles.

    Args:
        words: the text, the given tokens first.
        given: how many tokens it begins with.
    """
    figure, axes = plots.subplots(1, 2, width=8.8, height=2.6)
    for ax, cached in zip(axes, (False, True), strict=True):
        work = 0
        for row, length in enumerate(range(given, len(words))):
            for column in range(length):
                new = not cached or row == 0 or column == length - 1
                work += new
                ax.add_patch(
                    Rectangle(
                        (column, row),
                        0.92,
                        0.86,
                        color=palette.BLUE,
                        lw=0,
                        alpha=1 if new else _KEPT,
                    )
                )
            ax.text(length + 0.1, row + 0.45, f"→ {words[length]}", va="center", fontsize=9)
        name = "with a cache" if cached else "without a cache"
        ax.set_title(f"{name}: {work} tokens pass the network", loc="left", fontsize=10)
        ax.set_xticks([place + 0.46 for place in range(len(words) - 1)], words[:-1], fontsize=9)
        ax.set_yticks(
            [row + 0.43 for row in range(len(words) - given)],
            [f"step {row + 1}" for row in range(len(words) - given)],
            fontsize=9,
        )
        ax.tick_params(length=0)
        ax.set(xlim=(-0.1, len(words) + 0.9), ylim=(len(words) - given, -0.1))
        ax.grid(False)
        ax.spines[:].set_visible(False)
    return figure


def _pair(numbers: Sequence[float] | Tensor) -> str:
    return f"({', '.join(f'{float(number):.2g}' for number in numbers)})".replace("-", "−")


def _arrow(colour: str, width: float = 1.6) -> dict[str, object]:
    return {"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}


def _box(
    ax: Axes, x: float, y: float, text: str, colour: str, width: float = 0.9, bold: bool = False
) -> None:
    corner = (x - width / 2, y - 0.22)
    ax.add_patch(
        FancyBboxPatch(
            corner, width, 0.44, boxstyle="round,pad=0,rounding_size=0.08",
            facecolor="white", edgecolor=colour, linewidth=1.4, zorder=3,
        )
    )  # fmt: skip
    weight = "bold" if bold else "normal"
    ax.text(x, y, text, ha="center", va="center", fontsize=9.5, weight=weight, zorder=4)


def _bare(ax: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    ax.set(xlim=x, ylim=y)
    ax.axis("off")
