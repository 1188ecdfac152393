"""Figures of lesson 08 about classes: scores of each, which one was read for which, and ways to train and to draw.

Each function returns a finished figure for `plots.show`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.display import plots, seed_rows
from course_utils.display.palette import BLACK, BLUE, COLOURS, SHARES, VERMILION
from course_utils.evaluation.scores import Score

_MARKS = {"marker": "o", "ms": 5, "alpha": 0.7}, {"marker": "|", "ms": 13, "color": BLACK}
"""Of a seed and of a mean."""
_WORDS = ("95 % interval", "a seed", "mean")


def by_class(classes: Sequence[str], rows: Mapping[str, Sequence[Score]], title: str) -> Figure:
    """A score of each class with its 95 % interval, a colour and a marker for each of several generators.

    Args:
        classes: their names.
        rows: generator -> the score of each class.
        title: names the data.
    """
    figure, (ax,) = plots.subplots(width=9, height=3.6)
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
    ax.set(ylim=(0, None), ylabel=next(iter(rows.values()))[0].name)
    ax.grid(visible=False, axis="x")
    ax.set_title(title, loc="left", fontsize=10)
    plots.legend_above(ax, "right")
    return figure


def read_as(tables: Mapping[str, Tensor], classes: Sequence[str]) -> Figure:
    """Tables side by side: the class asked for down, the class read across, and shares of each row.

    Args:
        tables: title -> counts (classes, classes).
        classes: their names.
    """
    figure, axes = plots.subplots(1, len(tables), width=9.6, height=4.6)
    for ax, (title, seen) in zip(axes, tables.items(), strict=True):
        _table(ax, seen / seen.sum(dim=1, keepdim=True))
        ax.set_xticks(range(len(classes)), classes, rotation=60, ha="right", fontsize=9)
        ax.set_yticks(range(len(classes)), classes, fontsize=9)
        ax.set_xlabel("class read")
        ax.set_title(title, fontsize=10)
    axes[0].set_ylabel("class asked for")
    return figure


def by_way(record: Mapping[str, Any], panels: Mapping[str, str]) -> Figure:
    """A row for each way of training: a dot for each seed, their mean, and its 95 % interval; beside real photographs.

    Args:
        record: ``ways``, way -> key -> ``value``, ``low``, ``high``, ``seeds``; ``real``, key or ``total`` -> key ->
            ``value``; and ``data``.
        panels: key -> its name in the figure.
    """
    figure, axes = plots.subplots(1, len(panels), width=9.6, height=2.9)
    ways, real = record["ways"], {**record["real"]["total"], **record["real"]}
    for ax, (key, label) in zip(axes, panels.items(), strict=True):
        found = [ways[name][key] for name in reversed(ways)]
        seed_rows.draw(ax, found, BLUE, *_MARKS, words=_WORDS, bar=6)
        ax.axvline(real[key]["value"], color=BLACK, linestyle=":", label="real photographs")
        ax.set_yticks(range(len(ways)), list(reversed(ways)))
        ax.tick_params(labelleft=ax is axes[0])
        ax.set(xlim=(0, None), ylim=(-0.6, len(ways) - 0.4), xlabel=label)
    axes[0].set_title(record["data"], loc="left", fontsize=10)
    plots.shared_legend(figure, axes[0])
    return figure


def by_scale(record: Mapping[str, Any], panels: Mapping[str, str]) -> Figure:
    """Scores by the scale of latent vectors, with both kinds of BatchNorm's averages; beside real photographs.

    Args:
        record: ``scaled`` and ``anew``, rows with ``scale`` and scores with ``value``, ``low`` and ``high``, those of
            all classes together under ``total``; ``real``, as one row; and ``data``.
        panels: key of a score -> its name in the figure.
    """
    figure, axes = plots.subplots(1, len(panels), width=9.6, height=3.1)
    kinds = {"measured anew": ("anew", "o-", BLUE), "of training": ("scaled", "s--", VERMILION)}
    for ax, (key, label) in zip(axes, panels.items(), strict=True):
        for name, (kind, marks, colour) in kinds.items():
            scores = [{**row["total"], **row}[key] for row in record[kind]]
            scales = [row["scale"] for row in record[kind]]
            plots.with_band(ax, scales, scores, marks, colour, f"averages {name}", ms=4)
        real = {**record["real"]["total"], **record["real"]}[key]["value"]
        ax.axhline(real, color=BLACK, linestyle=":", label="real photographs")
        top = 1 if key != "FD" else None
        ax.set(xlabel="scale of z", ylabel=label, xlim=(0.15, 1.05), ylim=(0, top))
    axes[0].set_title(record["data"], loc="left", fontsize=10)
    plots.shared_legend(figure, axes[0])
    return figure


def _table(ax: Axes, shares: Tensor) -> None:
    """Shares (classes, classes) as shades, those of 5 % and more as numbers too."""
    ax.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    ax.grid(visible=False)
    for i, row in enumerate(shares.tolist()):
        for j, share in enumerate(row):
            if share >= 0.05:
                colour = "white" if share > 0.6 else "black"
                ax.text(j, i, f"{share:.0%}", ha="center", va="center", fontsize=7, color=colour)
