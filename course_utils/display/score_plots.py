"""Lesson 06's figures of scores: which set a score tells from real images, and how scores move with their number."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from course_utils import results
from course_utils.display import palette, plots
from course_utils.evaluation.scores import NAMES, Score, mean_interval

Interval = Mapping[str, float]
"""``value``, ``low`` and ``high``."""

LOWER_IS_BETTER = (
    "FD",
    "KD",
    "copied",
    "copied_pixels",
    "repetition",
    "bits_pairs",
    "bits_gpt",
)
SHOWN = {
    **{name: name for name in NAMES},
    "copied": "copies, by features",
    "copied_pixels": "copies, by pixels",
    "repetition": "repetition in a text",
    "distinct": "distinct pairs in the set",
    "bits_pairs": "bits per byte,\nread by counted pairs",
    "bits_gpt": "bits per byte,\nread by lesson 5's GPT",
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
            text = f"{_shown(score, row)} {('', '● worse', '○ better')[mark]}"
            ax.text(x, y, text.strip(), ha="center", va="center", fontsize=8)
    ax.set_xticks(
        range(len(scores)),
        [f"{_name(s)}\n(floor {_shown(s, floor)})" for s in scores],
        fontsize=8,
    )
    ax.set_yticks(range(len(rows)), list(rows), fontsize=8)
    ax.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax


def _name(score: str) -> str:
    """What a score is called above its numbers; KD's are shown a thousandfold."""
    return "KD × 1,000" if score == "KD" else SHOWN[score]


def _scaled(score: str, row: Mapping[str, Interval], key: str = "value") -> float:
    return row[score][key] * (1_000 if score == "KD" else 1)


def _shown(score: str, row: Mapping[str, Interval], key: str = "value") -> str:
    """A number as figures print it: shares of copies in per cent, all others to two digits."""
    value = round(_scaled(score, row, key), 8)
    if score.startswith("copied"):
        return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.2g} %"
    return f"{value:.2g}"


def interval_table(found: Mapping[str, Any]) -> str:
    """A measured result (``scores_table.json``) as a Markdown table with intervals, and what it depends on."""
    scores = list(found["rows"]["held_out"])

    def cell(score: str, row: Mapping[str, Interval]) -> str:
        value, low, high = (_shown(score, row, key) for key in ("value", "low", "high"))
        return f"{value} ({low} to {high})"

    lines = [
        f"| images | {' | '.join(_name(score) for score in scores)} |",
        "| --- " * (len(scores) + 1) + "|",
    ]
    for name, row in found["rows"].items():
        cells = [cell(score, row) for score in scores]
        lines.append(f"| {ROWS[name]} | {' | '.join(cells)} |")
    return "\n".join(lines) + (
        f"\n\nMean and 95 % interval; n = {found['n']:,} images × {found['draws']} draws (copies: Wilson, one draw). "
        f"Features: {found['features']}. Real set: {found['real_set']}."
    )


def folded_table(found: Mapping[str, Any], summary: str) -> str:
    """`interval_table` as HTML that opens when its summary is clicked."""
    *lines, _, facts = interval_table(found).splitlines()
    cells = [[html.escape(cell.strip()) for cell in line.strip("|").split("|")] for line in lines]
    rows = [f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in cells[2:]]
    head = f"<tr><th>{'</th><th>'.join(cells[0])}</th></tr>"
    return (
        f"<details><summary>{html.escape(summary)}</summary><table>{head}{''.join(rows)}</table>"
        f"<p>{html.escape(facts)}</p></details>"
    )


def as_intervals(
    found: Mapping[str, Mapping[str, Mapping[str, Score]]],
) -> dict[str, dict[str, dict[str, Interval]]]:
    """Features -> sets -> scores, as `floor_ratios` takes them, from scores as a reference gives them."""
    return {
        features: {
            name: {key: vars(score) for key, score in row.items()} for name, row in rows.items()
        }
        for features, rows in found.items()
    }


def over_draws(rows: Sequence[Mapping[str, float]]) -> dict[str, Interval]:
    """Mean and 95 % interval of each score over several draws: one mapping per draw -> score -> interval."""
    found = {name: mean_interval([row[name] for row in rows]) for name in rows[0]}
    return {
        name: dict(zip(("value", "low", "high"), ends, strict=True)) for name, ends in found.items()
    }


def fidelity_diversity(
    ax: Axes,
    rows: Mapping[str, Mapping[str, Interval]],
    floor: Mapping[str, Interval],
    title: str = "",
) -> Axes:
    """Sets in the plane of recall (across) and precision (up), with their intervals; real images are the cross.

    Args:
        ax: where to draw.
        rows: what was scored -> score -> its value and interval.
        floor: what held-out real images score; a guide goes through both of its values.
        title: names the real set; for a stand-in use ``ImageSet.title``.
    """
    for guide, score in ((ax.axvline, "recall"), (ax.axhline, "precision")):
        guide(floor[score]["value"], color=palette.BLACK, linestyle=":", linewidth=0.8)
    shown = {"real, held out": floor, **rows}
    for number, (name, row) in enumerate(shown.items()):
        colour = palette.BLACK if not number else palette.COLOURS[(number - 1) % 6]
        x, y = row["recall"], row["precision"]
        ax.errorbar(
            x["value"],
            y["value"],
            xerr=_arms(x),
            yerr=_arms(y),
            fmt="Xos^Dvph"[number % 8],
            color=colour,
            markerfacecolor="white" if number > 6 else colour,
            markersize=8,
            label=name,
        )
    ax.set(xlabel="recall: how much of the real is there", ylabel="precision: how much looks real")
    lowest = min(row["precision"]["low"] for row in shown.values())
    ax.set(xlim=(-0.05, 1.05), ylim=(min(0.5, lowest), 1))
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax


def fidelity_figure(
    scores: Mapping[str, Mapping[str, Score]], floor: Mapping[str, Score], title: str
) -> Figure:
    """`fidelity_diversity` of scores as a reference gives them."""
    figure, (ax,) = plots.subplots(width=9, height=3.6)
    rows = {name: {key: vars(score) for key, score in row.items()} for name, row in scores.items()}
    fidelity_diversity(ax, rows, {key: vars(score) for key, score in floor.items()}, title)
    return figure


def bias_lines(axes: Sequence[Axes], bias: Bias, line: Mapping[str, Any]) -> None:
    """FD and KD against 1/n, on an Axes each: real photographs and a GAN, with 95 % intervals of the means.

    Args:
        axes: one for FD, one for KD.
        bias: what was measured.
        line: of ``scores_bias.json``, row -> ``limit`` and ``slope``: FD is drawn with limit + slope / n.
    """
    names = {"real": "real against real", "gan": "GAN against real"}
    for ax, score in zip(axes, ("FD", "KD"), strict=True):
        scale = 1_000 if score == "KD" else 1
        for colour, marker, (row, name) in zip(palette.COLOURS, "os", names.items(), strict=False):
            found = bias.rows[row][score]
            ax.errorbar(
                [1 / n for n in bias.counts],
                [scale * found[n]["value"] for n in bias.counts],
                yerr=scale * np.transpose([_arm(found[n]) for n in bias.counts]),
                fmt=marker,
                markersize=4,
                color=colour,
                label=name,
            )
            if score == "FD":
                ends = [0.0, 1 / bias.counts[0]]
                limit, slope = (line[row][key]["value"] for key in ("limit", "slope"))
                ax.plot(ends, [limit + slope * x for x in ends], "--", color=colour, linewidth=1)
                ax.plot(0, limit, marker, color=colour, markersize=9, fillstyle="none")
        counts = (100, 200, 500)
        ax.set_xticks([0, *(1 / n for n in counts)], ["0", *(f"1/{n}" for n in counts)])
        ax.set(xlabel="1 / n (0: infinitely many pictures)", ylabel=_name(score))
        ax.axhline(0, color=palette.BLACK, linewidth=0.6)
        ax.legend(frameon=False, fontsize=9, loc="center right")
        finding = "FD moves with n" if score == "FD" else "KD does not"
        ax.set_title(finding, loc="left", fontsize=11)


def floor_ratios(
    ax: Axes,
    found: Mapping[str, Mapping[str, Mapping[str, Interval]]],
    title: str = "",
) -> Axes:
    """FD of the same sets under several features, each in units of its own floor, with 95 % intervals, on a log scale.

    Args:
        ax: where to draw.
        found: features -> sets -> ``FD``; the set ``"held_out"`` is the floor.
        title: what was measured.
    """
    sets = [name for name in next(iter(found.values())) if name != "held_out"]
    for number, (features, rows) in enumerate(found.items()):
        unit = rows["held_out"]["FD"]["value"]
        scaled = [
            {key: rows[name]["FD"][key] / unit for key in ("value", "low", "high")} for name in sets
        ]
        ax.errorbar(
            [one["value"] for one in scaled],
            [place + 0.15 * (number - (len(found) - 1) / 2) for place in range(len(sets))],
            xerr=list(zip(*(_arm(one) for one in scaled), strict=True)),
            fmt="os^Dv"[number % 5],
            markersize=5,
            color=palette.COLOURS[number % 6],
            label=features,
        )
    ax.axvline(1, color=palette.BLACK, linestyle=":", linewidth=0.8)
    ax.set_yticks(range(len(sets)), [ROWS.get(name, name) for name in sets], fontsize=8)
    ax.set(xscale="log", xlabel="FD, in floors (1: as far as real pictures from real pictures)")
    ax.set_xticks([1, 10, 100], ["1", "10", "100"])
    ax.set_ylim(len(sets) - 0.4, -0.6)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax


def ratio_figure(
    found: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Interval]]]],
) -> Figure:
    """`floor_ratios` of several measurements, one below the other on the same scale: title -> what was measured."""
    figure, axes = plots.subplots(len(found), 1, width=9, height=3.4 * len(found))
    for ax, (title, measured) in zip(axes, found.items(), strict=True):
        floor_ratios(ax, measured, title)
        if ax is not axes[0]:
            ax.get_legend().remove()
            ax.sharex(axes[0])
    axes[0].autoscale_view()
    return figure


def notice_figure(
    rows: Mapping[str, Mapping[str, Interval]], floor: Mapping[str, Interval], title: str
) -> Figure:
    """`notice_map` as a figure of its own, wide enough for its columns."""
    figure, (ax,) = plots.subplots(width=2.6 + 1.06 * max(6, len(floor)), height=3.2)
    notice_map(ax, rows, floor, title)
    return figure


def _arm(interval: Interval) -> tuple[float, float]:
    """How far an interval reaches below its value and above it."""
    value = interval["value"]
    return max(0.0, value - interval["low"]), max(0.0, interval["high"] - value)


def _arms(interval: Interval) -> list[list[float]]:
    return [[arm] for arm in _arm(interval)]
