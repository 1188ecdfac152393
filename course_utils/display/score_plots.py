"""Lesson 06's figures of scores: which set a score tells from real images, and how scores move with their number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from course_utils import results
from course_utils.display import palette
from course_utils.evaluation.scores import NAMES

Interval = Mapping[str, float]
"""``value``, ``low`` and ``high``."""

LOWER_IS_BETTER = ("FD", "KD", "copied", "copied_pixels")
SHOWN = {
    **{name: name for name in NAMES},
    "copied": "copies, by features",
    "copied_pixels": "copies, by pixels",
}
ROWS = {
    "held_out": "held-out photographs (floor)",
    "training": "training photographs, untouched",
    "copies": "100 training photographs, repeated",
    "half": "five of the ten classes",
    "noise": "noise of 25 grey levels",
    "blur": "blur of 1 pixel",
    "gan": "DCGAN of lesson 2",
    "vae": "VAE of lesson 3",
}
"""The measured sets, as figures call them."""


@dataclass(frozen=True)
class Bias:
    """Scores of single comparisons at rising numbers of images.

    Attributes:
        counts: numbers of images.
        rows: what was scored -> score -> count -> ``value``, ``low``, ``high`` (of the mean) and single ``values``.
        features: the feature network.
        real_set: the images compared with.
        draws: comparisons at each count, all with other images.
    """

    counts: tuple[int, ...]
    rows: Mapping[str, Mapping[str, Mapping[int, Any]]]
    features: str
    real_set: str
    draws: int


def recorded_bias() -> Bias:
    """FD and KD of real photographs, of the shipped GAN and of the shipped VAE, as the course measured them."""
    found = results.read("scores_bias.json")
    counts = tuple(found["counts"])
    rows = {
        row: {name: {n: found["rows"][row][str(n)][name] for n in counts} for name in ("FD", "KD")}
        for row in found["rows"]
    }
    return Bias(counts, rows, found["features"], found["real_set"], found["draws"])


def verdict(score: str, found: Interval, floor: Interval) -> int:
    """1 where a set scores worse than real images and the intervals are apart, -1 where better, 0 where they meet.

    Fewer near copies than among held-out images are no merit, so shares of copies are never better.
    """
    if found["low"] <= floor["high"] and floor["low"] <= found["high"]:
        return 0
    above = found["value"] > floor["value"]
    better = 0 if score.startswith("copied") else -1
    return 1 if above == (score in LOWER_IS_BETTER) else better


def notice_map(
    ax: Axes,
    rows: Mapping[str, Mapping[str, Interval]],
    floor: Mapping[str, Interval],
    title: str = "",
) -> Axes:
    """Which score notices which set: a table of values, coloured and marked by ``verdict``.

    Args:
        ax: where to draw.
        rows: what was scored -> score -> its value and interval.
        floor: score -> what held-out real images score.
        title: names the real set; for a stand-in use ``ImageSet.title``.
    """
    scores = list(floor)
    codes = [
        [verdict(score, row[score], floor[score]) for score in scores] for row in rows.values()
    ]
    ax.imshow(
        codes,
        cmap=ListedColormap([palette.BETTER, palette.NEITHER, palette.WORSE]),
        vmin=-1,
        vmax=1,
        aspect="auto",
    )
    for y, (row, marks) in enumerate(zip(rows.values(), codes, strict=True)):
        for x, (score, mark) in enumerate(zip(scores, marks, strict=True)):
            text = f"{row[score]['value']:.2g} {('', '● worse', '○ better')[mark]}"
            ax.text(x, y, text.strip(), ha="center", va="center", fontsize=8)
    ax.set_xticks(
        range(len(scores)),
        [f"{SHOWN[s]}\n(floor {floor[s]['value']:.2g})" for s in scores],
        fontsize=8,
    )
    ax.set_yticks(range(len(rows)), list(rows), fontsize=8)
    ax.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax


def interval_table(found: Mapping[str, Any], digits: int = 2) -> str:
    """A measured result (``scores_table.json``) as a Markdown table with intervals, and what it depends on."""
    scores = list(found["rows"]["held_out"])

    def cell(interval: Interval) -> str:
        value, low, high = (
            f"{round(interval[key], 8):.{digits}g}" for key in ("value", "low", "high")
        )
        return f"{value} ({low} to {high})"

    lines = [
        f"| images | {' | '.join(SHOWN[score] for score in scores)} |",
        "| --- " * (len(scores) + 1) + "|",
    ]
    for name, row in found["rows"].items():
        cells = [cell(row[score]) for score in scores]
        lines.append(f"| {ROWS[name]} | {' | '.join(cells)} |")
    return "\n".join(lines) + (
        f"\n\nMean and 95 % interval; n = {found['n']:,} images × {found['draws']} draws (copies: Wilson, one draw). "
        f"Features: {found['features']}. Real set: {found['real_set']}."
    )


def rank_lines(ax: Axes, orders: Mapping[str, Sequence[str]], title: str = "") -> Axes:
    """Ranks of the same sets under several features: one column each, a line for each set, best on top.

    Args:
        ax: where to draw.
        orders: features -> the sets, best first.
        title: what is ranked, and by what.
    """
    columns, names = list(orders), list(next(iter(orders.values())))
    for number, name in enumerate(names):
        ranks = [list(order).index(name) + 1 for order in orders.values()]
        colour = palette.COLOURS[number % len(palette.COLOURS)]
        ax.plot(range(len(columns)), ranks, "-o", color=colour, linewidth=2, markersize=5)
        ax.text(
            -0.08, ranks[0], ROWS.get(name, name), ha="right", va="center", fontsize=8, color=colour
        )
        ax.text(
            len(columns) - 0.92,
            ranks[-1],
            ROWS.get(name, name),
            va="center",
            fontsize=8,
            color=colour,
        )
    ax.set_xticks(range(len(columns)), columns, fontsize=8)
    ax.set(
        ylim=(len(names) + 0.5, 0.5),
        yticks=range(1, len(names) + 1),
        ylabel="rank by FD (1 is best)",
    )
    ax.set_xlim(-1.6, len(columns) + 0.6)
    ax.grid(False)
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax
