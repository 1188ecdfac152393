"""Lesson 05's figures: why scores are divided, what heads look at, and a network that learns to write."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from course_utils.display import palette, plots, text_plots
from course_utils.display.widgets.sampling import draw_attention

_LINES = (("o-", palette.BLUE), ("s--", palette.VERMILION))


def slopes(widths: Sequence[int], measured: Mapping[str, Sequence[float]]) -> Figure:
    """The derivative of a softmax's weights by their scores, over the width of queries and keys.

    Args:
        widths: d, the places on the axis.
        measured: two names, each with one mean derivative for each width.
    """
    figure, (ax,) = plots.subplots(width=6.5, height=2.6)
    for (name, values), (style, colour) in zip(measured.items(), _LINES, strict=True):
        ax.plot(widths, values, style, color=colour)
        plots.at_the_end(ax, name, values[-1], colour)
    ax.set(xscale="log", ylim=(0, None), xlabel="width d", ylabel="derivative of a weight")
    ax.set_xticks(widths, [f"{width:,}" for width in widths])
    ax.minorticks_off()
    return figure


def maps(weights: Mapping[str, Tensor], words: Sequence[str]) -> Figure:
    """Maps of attention side by side; grey is what a causal mask forbids, where one was at work.

    Args:
        weights: title -> weights (T, T); rows look, columns are looked at, and each row sums to 1.
        words: T tokens.
    """
    count = len(weights)
    width = min(9.2, 4.2 * count)
    figure, axes = plots.subplots(1, count, width=width, height=width / count + 0.2)
    for ax, (title, table) in zip(axes, weights.items(), strict=True):
        draw_attention(ax, table, words, title, causal=not table.triu(1).any())
    return figure


def learning(
    history: Mapping[str, Sequence[float]], levels: Mapping[str, float], page: str, title: str
) -> Figure:
    """The loss by step, what simpler models reach as lines, and below what the network wrote last.

    Args:
        history: ``step``, and ``loss`` in nats per token.
        levels: name -> nats per token; the names stand at the ends of the lines.
        page: what was written last; its beginning is shown.
        title: of the figure; for a stand-in use the corpus's, which says so.
    """
    figure, (ax,) = plots.subplots(width=7.5, height=3.3)
    loss = {"GPT": history["loss"]}
    plots.curves(ax, history["step"], loss, "step", "training loss (nats per token)", smooth=25)
    for name, height in levels.items():
        plots.level(ax, name, height, color="black", linestyle=":")
    below = textwrap.fill(text_plots.shorten(page, 200), 90)
    ax.text(0, -0.32, below, va="top", transform=ax.transAxes, parse_math=False)
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return figure
