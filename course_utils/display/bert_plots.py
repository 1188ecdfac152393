"""Figures of lesson 04: what a cut throws away, losses beside chance, few labels, and two orders of the same data."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.display import palette, plots

_CURVES = {
    "full": ("all of it trained", "^-", palette.BLUE, 1.04),
    "words": ("bag of words", "o--", palette.VERMILION, 0.96),
    "frozen": ("encoder frozen", "s:", palette.GREEN, 1.0),
}
"""Of `few_labels`: name, marker and line, colour, and the factor that keeps the intervals apart."""
_CHANCE: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.2}


def cut(ax: Axes, measured: Mapping[str, Mapping[str, Any]], data: Sequence[str]) -> Axes:
    """A bar of 100 % for each limit and data set: the tokens that are read, and those that are thrown away.

    Args:
        ax: where to draw.
        measured: data set -> its ``name``, and ``cut``: limit -> share of all tokens that it throws away.
        data: which sets, from top to bottom.
    """
    rows = [
        (measured[key]["name"] if not place else "", limit, 100 * share)
        for key in data
        for place, (limit, share) in enumerate(measured[key]["cut"].items())
    ]
    places = [place + 0.5 * (place // len(measured[data[0]]["cut"])) for place in range(len(rows))]
    gone = np.array([share for *_, share in rows])
    ax.barh(places, 100 - gone, color=palette.BETTER, height=0.8, label="read")
    ax.barh(places, gone, left=100 - gone, color=palette.WORSE, height=0.8, label="thrown away")
    for place, (name, _, share) in zip(places, rows, strict=True):
        ax.text(2, place, name, va="center", fontsize=9)
        if share >= 5:
            ax.text(99, place, f"{share:.0f} %", va="center", ha="right", fontsize=9)
    ax.set_yticks(places, [limit for _, limit, _ in rows])
    ax.invert_yaxis()
    ax.set(xlabel="of all tokens (%)", ylabel="tokens that may stay", xlim=(0, 100))
    plots.legend_above(ax, "right")
    return ax


def beside_chance(
    ax: Axes,
    values: Sequence[float],
    chance: float,
    ylabel: str,
    title: str = "",
    smooth: int = 10,
    known: tuple[str, float] | None = None,
) -> Axes:
    """One curve by step, smoothed, with a dotted line where chance is, labelled at its end.

    Args:
        ax: where to draw.
        values: one number for each step.
        chance: what guessing gives.
        ylabel: what the values are, with their unit.
        title: of the figure.
        smooth: steps of the moving average; the values themselves stay visible behind it.
        known: a further line to compare with: its name and its place.
    """
    plots.curves(ax, range(1, len(values) + 1), {"measured": values}, "step", ylabel, smooth)
    plots.level(ax, "chance", chance, **_CHANCE)
    if known:
        plots.level(ax, *known, color=palette.VERMILION, linestyle="--", linewidth=1.2)
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax


def two_tasks(
    axes: Sequence[Axes], losses: Mapping[str, Sequence[float]], vocabulary: int, frequencies: float
) -> None:
    """The losses of the two tasks of pre-training beside chance, and beside knowing frequencies alone.

    Args:
        axes: two.
        losses: ``masked`` and ``next``: the loss of each step in nats.
        vocabulary: how many tokens there are.
        frequencies: the entropy of the tokens' frequencies in nats.
    """
    unit, known = "nats per question", ("frequencies", frequencies)
    title, chance = "masked language model", math.log(vocabulary)
    beside_chance(axes[0], losses["masked"], chance, unit, title, known=known)
    beside_chance(axes[1], losses["next"], math.log(2), unit, "next sentence")


def training(history: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Loss and accuracy on the training batches by step, beside chance.

    Args:
        history: ``loss`` in nats and ``accuracy`` of each step.
        title: of the figure.
    """
    figure, axes = plots.subplots(1, 2, width=9, height=2.8)
    beside_chance(axes[0], history["loss"], math.log(2), "loss (nats)", title, smooth=20)
    beside_chance(axes[1], history["accuracy"], 0.5, "accuracy", smooth=20)
    return figure


def few_labels(ax: Axes, measured: Mapping[str, Any]) -> Axes:
    """Accuracy against the number of labelled texts, for three ways to train, with intervals over seeds.

    Args:
        ax: where to draw.
        measured: ``data``, their name, ``epochs`` (number of texts -> epochs), and for each number ``full``,
            ``words`` and ``frozen``: shares ``value``, ``low``, ``high``.
    """
    amounts = [int(n) for n in measured["epochs"]]
    for kind, (name, style, colour, shift) in _CURVES.items():
        points = [measured[str(n)][kind] for n in amounts]
        spread = [[100 * abs(p["value"] - p[end]) for p in points] for end in ("low", "high")]
        places, shares = [n * shift for n in amounts], [100 * p["value"] for p in points]
        ax.errorbar(places, shares, spread, fmt=style, color=colour, capsize=3)
        ax.text(amounts[-1] * 1.12, shares[-1], name, va="center", color=colour)
    few = 100 * measured[str(amounts[0])]["full"]["value"]
    level = next((n for n in amounts if 100 * measured[str(n)]["words"]["value"] >= few), None)
    if level:
        ax.plot([amounts[0] * 1.04, level * 0.96], [few, few], **_CHANCE)
        note = f"{few:.0f} % with {amounts[0]} texts:\nthe counter needs {level:,}"
        ax.text(level * 0.93, few + 0.5, note, ha="right", va="bottom", fontsize=9)
    ax.set(xscale="log", xlabel="labelled texts to train on", ylabel="accuracy (%)")
    ax.set_xlim(amounts[0] * 0.85, amounts[-1] * 2.1)
    ax.set_xticks(amounts, [f"{n:,}" for n in amounts])
    ax.minorticks_off()
    title = f"Pre-training is worth most where labels are few [{measured['data']}]"
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax


def two_orders(ax: Axes, losses: Mapping[str, Sequence[float]], turn: float, title: str) -> Axes:
    """Training losses of the same data in two orders, with the place where the sorted one changes its label.

    Args:
        ax: where to draw.
        losses: name of the order -> loss of each step in nats.
        turn: the step at which the label changes.
        title: of the figure.
    """
    steps = range(1, 1 + max(map(len, losses.values())))
    plots.curves(ax, steps, losses, "step", "training loss (nats)")
    plots.level(ax, "chance", math.log(2), **_CHANCE)
    ax.axvline(turn, color="black", linewidth=0.8)
    ax.annotate("label\nchanges", (turn, 0.97), (-4, 0), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right", va="top", fontsize=9)  # fmt: skip
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    ax.legend(frameon=False, loc="upper right")
    return ax
