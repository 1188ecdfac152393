"""Lesson 04's diagram: what enters a BERT classifier, what happens to it, and what comes out, from bottom to top."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from course_utils.display import palette

_ROWS = {"token": (0.0, palette.BLUE), "position": (0.9, palette.GREEN)}
_ROWS |= {"segment": (1.8, palette.VERMILION)}
_SUM, _LAYERS, _STATES, _POOLER, _HEAD, _TOP = 2.75, 3.75, 4.85, 5.85, 6.8, 7.75


def draw(ax: Axes, tokens: Sequence[str], layers: int) -> Axes:
    """Draw the sum of embeddings, the layers, and the head on the first token's state.

    Args:
        ax: where to draw; its axes are hidden.
        tokens: T pieces, ``[CLS]`` first.
        layers: of the encoder.
    """
    count = len(tokens)
    for place, token in enumerate(tokens):
        shown = {"token": token, "position": f"at {place}", "segment": "first"}
        for name, (height, colour) in _ROWS.items():
            _box(ax, place, height, shown[name].replace("$", r"\$"), colour)
        for height in (0.45, 1.35):
            ax.text(place, height, "+", ha="center", va="center", fontsize=11)
        _arrow(ax, place, 2.1, _SUM - 0.3)
        _box(ax, place, _SUM, "sum", "black", fill=palette.NEITHER)
        _arrow(ax, place, _SUM + 0.3, _LAYERS - 0.35)
        _arrow(ax, place, _LAYERS + 0.35, _STATES - 0.3)
        _box(ax, place, _STATES, f"state {place}", "black" if place == 0 else "grey")
    middle = (count - 1) / 2
    words = f"{layers} layers: in each, every vector looks at all the others"
    _box(ax, middle, _LAYERS, words, "black", width=count - 0.14, fill=palette.NEITHER)
    _arrow(ax, 0, _STATES + 0.3, _POOLER - 0.3)
    _box(ax, 0, _POOLER, "pooler", "black", fill=palette.NEITHER)
    _arrow(ax, 0, _POOLER + 0.3, _HEAD - 0.3)
    _box(ax, 0, _HEAD, "head", palette.CRIMSON, fill=palette.WORSE)
    _arrow(ax, 0, _HEAD + 0.3, _TOP - 0.15)
    ax.text(-0.43, _TOP, "2 logits: negative, positive", ha="left", va="center", fontsize=9)
    ax.text(0.6, _HEAD, "new, not trained yet", va="center", fontsize=9, color=palette.CRIMSON)
    ax.text(0.6, _POOLER, "reads the state of [CLS] alone", va="center", fontsize=9)
    for name, (height, colour) in _ROWS.items():
        ax.text(-0.62, height, name, ha="right", va="center", fontsize=9, color=colour)
    ax.set(xlim=(-1.5, count - 0.4), ylim=(-0.5, _TOP + 0.3))
    ax.axis("off")
    return ax


def _box(
    ax: Axes, x: float, y: float, text: str, edge: str, *, width: float = 0.86, fill: str = "white"
) -> None:
    corner = (x - width / 2, y - 0.3)
    style = "round,pad=0,rounding_size=0.08"
    ax.add_patch(
        FancyBboxPatch(corner, width, 0.6, boxstyle=style, fc=fill, ec=edge, linewidth=1.3)
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=9)


def _arrow(ax: Axes, x: float, low: float, high: float) -> None:
    ax.annotate("", (x, high), (x, low), arrowprops={"arrowstyle": "->", "color": "grey"})
