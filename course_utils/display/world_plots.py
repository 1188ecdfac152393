"""Lesson 10's figures and tables: what generated pictures are worth, attacks, balance, watermarks, privacy."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from IPython.display import HTML
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter
from torch import Tensor

from course_utils.display import palette, plots, text_plots

ARMS = {
    "plain": "real pictures, not moved",
    "moved": "the same, moved",
    "dcgan_1": "moved, and 1 by lesson 2's GAN each",
    "dcgan_4": "moved, and 4 by lesson 2's GAN each",
    "cgan_4": "moved, and 4 by lesson 8's GAN each",
    "flow_4": "moved, and 4 by lesson 9's flow each",
    "real_4": "moved, and 3 more real ones each",
}
"""Key in ``world_worth.json`` -> what the classifier was trained on; a file may hold some of them."""
SMALLER = {
    "half": "16 bits, as shipped",
    "bits_8": "8 bits",
    "bits_6": "6 bits",
    "bits_5": "5 bits",
    "bits_4": "4 bits",
    "bits_3": "3 bits",
    "bits_2": "2 bits",
    "pruned_30": "the smallest 30 % set to 0",
    "pruned_50": "the smallest 50 % set to 0",
    "student_cut": "half of the layers, nothing learned",
    "student_alone": "half of the layers, trained on sentences",
    "student_distilled": "half of the layers, imitates the whole network",
}
"""Key in ``world_small.json`` -> how the network was made smaller; a file may hold some of them."""
LOOKS = {
    "marked": (palette.VERMILION, "-"),
    "plain": (palette.BLUE, "--"),
    "people": (palette.GREEN, ":"),
}
"""Kind of text -> colour and line of its z."""


def named(pictures: Tensor, names: Sequence[str], columns: int = 10) -> Figure:
    """Pictures with a name above each: uint8 (N, 3, H, W) and N names, ``columns`` in a row."""
    rows = -(-len(pictures) // columns)
    figure, axes = plots.subplots(rows, columns, width=9.5, height=1.3 * rows)
    for ax in axes:
        ax.axis("off")
    for ax, picture, name in zip(axes, pictures, names, strict=False):
        plots.image_grid(ax, picture[None], 1, name)
    return figure


def gains(recorded: Mapping[str, Any]) -> Figure:
    """What each set of pictures adds to "moved", in percentage points: seeds, their mean, and its 95 % interval.

    Args:
        recorded: ``world_worth.json``; of `ARMS` those that it holds are drawn.
    """
    rows = {name: recorded[key] for key, name in ARMS.items() if "gain" in recorded.get(key, ())}
    figure, (ax,) = plots.subplots(width=9, height=0.9 + 0.42 * len(rows))
    for place, row in enumerate(reversed(rows.values())):
        gain, others = row["gain"], recorded["moved"]["seeds"]
        colour = {"helps": palette.BLUE, "harms": palette.VERMILION}.get(verdict(gain), "dimgrey")
        seeds = [100 * (one - other) for one, other in zip(row["seeds"], others, strict=True)]
        ax.plot(
            [100 * gain["low"], 100 * gain["high"]],
            [place, place],
            color=colour,
            linewidth=8,
            alpha=0.3,
            solid_capstyle="butt",
        )
        ax.plot(seeds, [place] * len(seeds), "o", color=colour, markersize=4)
        ax.plot(100 * gain["value"], place, "|", color=palette.BLACK, markersize=16)
    ax.axvline(0, color=palette.BLACK, linewidth=1)
    ax.set_yticks(range(len(rows)), list(rows)[::-1])
    ax.set(ylim=(-0.6, len(rows) - 0.4), xlabel="accuracy minus that of “moved” (points)")
    return figure


def verdict(gain: Mapping[str, float]) -> str:
    """What an interval from ``low`` to ``high`` says of a gain: it helps, it harms, or neither is shown."""
    return "helps" if gain["low"] > 0 else "harms" if gain["high"] < 0 else "not told apart"


def worth(recorded: Mapping[str, Any]) -> HTML:
    """The same as a table: accuracy, gain over "moved" with its interval, and what that says.

    Args:
        recorded: ``world_worth.json``; of `ARMS` those that it holds get a row.
    """
    rows = []
    for key, name in ARMS.items():
        if row := recorded.get(key):
            gain = row.get("gain")
            told = (_points(gain), verdict(gain)) if gain else ("", "")
            rows.append((name, f"{row['value']:.1%}", *told))
    heads = ["trained on", "accuracy", "minus “moved”, in points", "so it"]
    caption = f"{recorded['data']}, {recorded['few']} real pictures, {recorded['seeds']} seeds"
    return text_plots.table(heads, rows, f"{caption}, 95 % over seeds")


def _points(gain: Mapping[str, float]) -> str:
    value, low, high = (100 * gain[key] for key in ("value", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def smaller(recorded: Mapping[str, Any]) -> HTML:
    """What each way to make a network smaller costs, in bits per byte above the whole network's.

    Args:
        recorded: ``world_small.json``; of `SMALLER` those that it holds get a row.
    """
    rows = []
    for key, name in SMALLER.items():
        if row := recorded.get(key):
            size = "" if key.startswith("pruned") else f"{row['mb']:.1f}"
            value, low, high = (f"{row[part]:+.4f}" for part in ("value", "low", "high"))
            rows.append((name, size, f"{value} ({low} to {high})"))
    caption = f"{recorded['documents']} documents of {recorded['data']}, paired, 95 % over them"
    return text_plots.table(["weights", "MB", "more bits per byte"], rows, caption)


def attack(
    pair: Tensor,
    direction: Tensor,
    size: float,
    names: Sequence[str],
    sizes: Sequence[float],
    flipped: Mapping[str, Sequence[float]],
) -> Figure:
    """A picture, its change, their sum, and beside them how many answers change with the size of the change.

    Args:
        pair: the picture before and after, uint8 (2, 3, H, W).
        direction: the sign of the change of each pixel, (3, H, W).
        size: of the change, in grey levels.
        names: what the network says of the two.
        sizes: in grey levels.
        flipped: kind of change -> share of answers that change, as long as ``sizes``.
    """
    figure, axes = plots.subplots(1, 4, width=9.5, height=2.7)
    change = (127.5 + 100 * direction[None]).to(torch.uint8)
    titles = f"“{names[0]}”", f"the change × {100 / size:.0f}", f"“{names[1]}”"
    for ax, picture, title in zip(axes, (pair[:1], change, pair[1:]), titles, strict=False):
        plots.image_grid(ax, picture, 1, title)
    plots.curves(axes[3], sizes, flipped, "grey levels", "")
    axes[3].set_title("answers that change", loc="left", fontsize=10)
    axes[3].axhline(0.5, color=palette.BLACK, linewidth=1, linestyle=":")
    axes[3].set_ylim(0, 1)
    axes[3].yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def numbers(heads: Sequence[str], rows: Mapping[str, Sequence[float]], caption: str) -> HTML:
    """A table of numbers far apart in size, two digits of each.

    Args:
        heads: names of the columns, that of the rows' names first.
        rows: name -> its numbers.
        caption: what the table shows.
    """
    shown = [(name, *map(two_digits, row)) for name, row in rows.items()]
    return text_plots.table(heads, shown, caption)


def two_digits(number: float) -> str:
    """A positive number as a reader says it: ``0.00012``, ``220,000``, and only beyond that with a power of ten."""
    digits, power = f"{number:.1e}".split("e")
    if -6 < int(power) < 9:
        rounded = float(f"{number:.1e}")
        return f"{rounded:,.{max(0, 1 - int(power))}f}"
    return f"{digits} · 10{str(int(power)).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def fooled(recorded: Mapping[str, Any]) -> HTML:
    """FD of pictures that were left alone, moved against the network's answers, or made noisy.

    Args:
        recorded: ``world_robust.json``.
    """
    names = {
        "untouched": "untouched",
        "attack_2": "moved uphill by 2 grey levels",
        "noise_8": "noise of 8 grey levels",
    }
    rows = [(name, _interval(recorded["fd"][key])) for key, name in names.items()]
    caption = f"{recorded['data']}, {recorded['n']} pictures on each side of a score"
    return text_plots.table(["pictures", "FD (95 %)"], rows, caption)


def balance(counts: Mapping[str, Tensor], classes: Sequence[str]) -> Figure:
    """The share of each class in sets of pictures: set -> counts (classes,), at most two sets."""
    figure, (ax,) = plots.subplots(width=8.5, height=2.8)
    colours = (palette.VERMILION, palette.BLUE)
    for shift, (name, count), colour in zip((-0.2, 0.2), counts.items(), colours, strict=False):
        places = [place + shift for place in range(len(classes))]
        ax.bar(places, (100 * count / count.sum()).tolist(), 0.38, color=colour, label=name)
    ax.axhline(100 / len(classes), color=palette.BLACK, linewidth=1, linestyle=":")
    ax.set_xticks(range(len(classes)), classes, fontsize=9)
    ax.yaxis.set_major_locator(MultipleLocator(5))
    ax.grid(visible=False, axis="x")
    ax.set(ylabel="share (%)")
    plots.legend_above(ax, "right")
    return figure


def evidence(lengths: Sequence[int], z: Mapping[str, Tensor], alarm: float = 4.0) -> Figure:
    """Z against a text's length: median and the middle nine tenths of the texts of each kind, and the alarm's line.

    Args:
        lengths: T numbers of tokens.
        z: kind of text, a key of `LOOKS` -> (texts, T).
        alarm: the z at which it rings.
    """
    figure, (ax,) = plots.subplots(width=8, height=3.2)
    for name, rows in z.items():
        colour, style = LOOKS[name]
        low, middle, high = (rows.double().quantile(q, dim=0).tolist() for q in (0.05, 0.5, 0.95))
        ax.fill_between(lengths, low, high, color=colour, alpha=0.15)
        ax.plot(lengths, middle, style, color=colour, label=name)
    ax.axhline(alarm, color=palette.BLACK, linewidth=1)
    ax.annotate("alarm", (lengths[-1], alarm), (0, 3), textcoords="offset points", ha="right")
    ax.yaxis.set_major_locator(MultipleLocator(alarm))
    ax.set(xlabel="tokens", ylabel="z (standard deviations)")
    ax.legend(frameon=False)
    return figure


def canaries(recorded: Mapping[str, Any]) -> HTML:
    """The exposure of planted secrets by their number of copies.

    Args:
        recorded: ``canary`` of ``world_privacy.json``.
    """
    rows = []
    for copies in ("0", "1", "10", "100"):
        most = recorded["most"]  # an interval's end may lie beyond what is possible
        value, low, high = (
            f"{min(recorded[copies][key], most):.1f}" for key in ("value", "low", "high")
        )
        over = f"{low} to {high}" if low != high else "the same in every seed"
        rows.append((copies if copies != "0" else "never planted", value, over))
    heads = ["copies", f"exposure (bits, at most {recorded['most']:.1f})", "95 % over seeds"]
    return text_plots.table(heads, rows, f"planted secrets, {recorded['seeds']} seeds")


def private_words(recorded: Mapping[str, Any]) -> HTML:
    """What noise does to the word counter: ε, accuracy, and the area under the attack's curve.

    Args:
        recorded: ``dp`` of ``world_privacy.json``.
    """
    rows = []
    named_rows = {**recorded["rows"], f"0, and {recorded['more']['reviews']:,} reviews": None}
    for name, row in named_rows.items():
        row = row or recorded["more"]
        epsilon = f"{row['epsilon']:.0f}" if "epsilon" in row else "∞"
        area = _interval(row["auc"])
        rows.append((name, epsilon, f"{row['accuracy']['value']:.1%}", area))
    heads = ["noise multiplier", "ε", "accuracy", "AUC of the attack"]
    about = recorded["settings"]
    caption = f"word counter, {about['data']}, {about['seeds']} seeds, 95 % over them"
    return text_plots.table(heads, rows, caption)


def private_gpt(recorded: Mapping[str, Any]) -> HTML:
    """The fine-tuned GPT: exposure of canaries, the attack, and its loss; with DP-SGD where that was measured.

    Args:
        recorded: ``world_privacy.json``.
    """
    copies, canary = ("1", "10", "100"), recorded["canary"]
    ways = [
        (
            "not fine-tuned",
            "",
            canary["before"],
            recorded["auc"]["before"],
            recorded["nats"]["before"],
        ),
        ("fine-tuned", "∞", canary, recorded["auc"]["after"], recorded["nats"]["after"]),
    ]
    private = recorded["dp"].get("gpt", {})
    for key, name in (("clip", "the same, clipped"), ("noise", "the same, clipped, with noise")):
        if row := private.get(key):
            epsilon = f"{row['epsilon']:.1f}" if row["epsilon"] else "∞"
            ways.append((name, epsilon, row["exposure"], row["auc"], row["nats"]))
    rows = [
        (
            name,
            epsilon,
            *(f"{exposure[n]['value']:.1f}" for n in copies),
            _interval(area),
            _interval(nats),
        )
        for name, epsilon, exposure, area, nats in ways
    ]
    heads = ["GPT", "ε", *(f"exposure, {n} ×" for n in copies), "AUC", "nats per new token"]
    caption = f"exposure in bits, at most {canary['most']:.1f}; means and 95 % over seeds"
    if "delta" in private:
        caption += f"; ε at δ = {private['delta']:g}"
    return text_plots.table(heads, rows, caption)


def _interval(row: Mapping[str, float]) -> str:
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
