"""Lesson 05's figures: what may be drawn next under temperature, top-k and top-p, as a widget; and attention maps.

The widget and its static twin draw with the same function. Only what ipywidgets 7.7 and 8.1 share is used, and text
that a model wrote is escaped before it is shown.
"""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from tokenizers import Tokenizer
from torch import Tensor

from course_utils.display import palette
from course_utils.display.widgets import controls
from course_utils.models.attention import (
    GPT,
    Block,
    causal_mask,
    generate,
    scaled_dot_product,
    split_heads,
)

Filter = Callable[[Tensor, float, int | None, float | None], Tensor]
"""The exercise `filter_logits`: logits (V,), temperature, top_k, top_p -> logits (V,)."""

BARS = 15
_NUMBERED = 8
"""Up to so many tokens a map of attention shows its numbers."""


@dataclass(frozen=True)
class Choices:
    """What may come next: the model's own probabilities and those that are drawn from.

    Attributes:
        labels: the most probable tokens, in words.
        model: their probabilities as the model gives them, (BARS,).
        drawn: their probabilities after temperature, top-k and top-p, (BARS,); 0 for what is left out.
        kept: tokens that can be drawn at all.
        vocab: tokens in all.
        entropy: of what is drawn from, in nats.
        settings: temperature, top-k and top-p in words.
    """

    labels: tuple[str, ...]
    model: Tensor
    drawn: Tensor
    kept: int
    vocab: int
    entropy: float
    settings: str


def choices(
    logits: Tensor,
    tokenizer: Tokenizer,
    keep: Filter,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> Choices:
    """The distribution over the next token, as it is drawn from: logits (V,) -> `Choices`."""
    p, drawn = logits.float().softmax(0), keep(logits.float(), temperature, top_k, top_p).softmax(0)
    best = logits.argsort(descending=True, stable=True)[:BARS]
    positive = drawn[drawn > 0]
    on = [f"top-k {top_k}"] * (top_k is not None) + [f"top-p {top_p}"] * (top_p is not None)
    settings = ", ".join([f"temperature {temperature:g}", *on])
    labels = tuple(token_label(tokenizer, token) for token in best.tolist())
    entropy = -(positive * positive.log()).sum().item()
    return Choices(
        labels, p[best], drawn[best], len(positive), len(logits), max(0.0, entropy), settings
    )


def token_label(tokenizer: Tokenizer, token: int) -> str:
    """A token in visible signs: a space is ␣, a new line ↵; the end token, id 0, is called (end)."""
    text = tokenizer.decode([token], skip_special_tokens=True)
    seen = text.replace(" ", "␣").replace("\n", "↵")
    return "".join(sign if sign.isprintable() else "�" for sign in seen) or "(end)"


def draw_choices(ax: Axes, found: Choices, bars: int = BARS, limit: float = 1.0) -> Axes:
    """Draw the most probable tokens: outlines are the model's probabilities, bars what is drawn from, × left out.

    Args:
        ax: where to draw.
        found: what may come next.
        bars: how many tokens are drawn.
        limit: the largest probability on the axis; the number stands in a bar that is longer.
    """
    rows = range(min(bars, len(found.labels)))
    drawn, own = found.drawn[: len(rows)].tolist(), found.model[: len(rows)].tolist()
    ax.barh(rows, drawn, color=palette.BLUE, label="drawn from")
    ax.barh(rows, own, color="none", edgecolor="black", linewidth=0.9, label="the model")
    for row in rows:
        if drawn[row] == 0:
            ax.text(own[row] + 0.005, row, "×", va="center", fontsize=9)
        elif drawn[row] > limit:
            words = f"{drawn[row]:.2f} ▸"
            ax.text(0.97 * limit, row, words, ha="right", va="center", fontsize=9, color="white")
    ax.set_axisbelow(True)
    ax.set_yticks(rows, found.labels[: len(rows)], fontsize=9, parse_math=False)
    ax.invert_yaxis()
    ax.set(xlabel="probability", xlim=(0, limit))
    ax.set_title(f"{found.settings}\n{describe(found)}", loc="left", fontsize=9)
    return ax


def describe(found: Choices) -> str:
    """In one line, for readers who do not see the figure: tokens that can be drawn, and the draw's perplexity."""
    return f"{found.kept:,} of {found.vocab:,} kept, perplexity {math.exp(found.entropy):.1f}"


def sampling_static(
    axes: Sequence[Axes],
    logits: Tensor,
    tokenizer: Tokenizer,
    keep: Filter,
    settings: Sequence[tuple[float, int | None, float | None]],
    bars: int = BARS,
    limit: float = 1.0,
) -> None:
    """The widget's static twin: one distribution under several (temperature, top_k, top_p), one on each Axes.

    ``bars`` and ``limit`` are those of `draw_choices`.
    """
    for ax, (temperature, top_k, top_p) in zip(axes, settings, strict=True):
        found = choices(logits, tokenizer, keep, temperature, top_k, top_p)
        draw_choices(ax, found, bars, limit)
    axes[0].legend(loc="lower right", fontsize=8, frameon=False)


@torch.no_grad()
def next_logits(model: GPT, ids: Sequence[int]) -> Tensor:
    """Logits (V,) of the token after ``ids``, on the CPU; what does not fit into the context is forgotten."""
    kept = torch.tensor([list(ids)[-model.context :]], device=model.tokens.weight.device)
    return model(kept)[0, -1].float().cpu()


def sampling(
    model: GPT, tokenizer: Tokenizer, prompts: Sequence[str], keep: Filter
) -> ipywidgets.Widget:
    """Step through a generation: choose temperature, top-k and top-p, see what may come, draw it token by token.

    Args:
        model: a network in evaluation mode.
        tokenizer: its tokens.
        prompts: beginnings to choose from.
        keep: the exercise `filter_logits`.
    """
    prompt = controls.choice("beginning", [(text, text) for text in prompts], prompts[0])
    temperature = controls.number("temperature", 0.1, 2.0, 0.1, 1.0)
    top_k = controls.number("top-k (0: off)", 0, 100, 1, 0)
    top_p = controls.number("top-p (1: off)", 0.05, 1.0, 0.05, 1.0)
    one, ten = (
        ipywidgets.Button(description="draw a token"),
        ipywidgets.Button(description="draw ten"),
    )
    again = ipywidgets.Button(description="start again")
    picture, text, paper = controls.Picture(520), ipywidgets.HTML(), sketch()
    random = torch.Generator().manual_seed(0)
    state: dict[str, Any] = {}

    def knobs() -> tuple[float, int | None, float | None]:
        top = top_p.box.value
        return temperature.box.value, top_k.box.value or None, top if top < 1 else None

    def redraw(*_: object) -> None:
        found = choices(state["logits"], tokenizer, keep, *knobs())
        picture.show(picture_of(found, paper), describe(found))

    def read(ids: list[int]) -> None:
        state.update(ids=ids, logits=next_logits(model, ids))
        written = html.escape(tokenizer.decode(ids)).replace("\n", "<br>")
        text.value = f'<div style="max-width: 60em">{written}</div>'
        redraw()

    def start(*_: object) -> None:
        random.manual_seed(0)
        read([0, *tokenizer.encode(prompt.box.value).ids])

    def draw(count: int) -> None:
        def choose(logits: Tensor) -> int:
            return int(
                torch.multinomial(keep(logits.cpu(), *knobs()).softmax(0), 1, generator=random)
            )

        read(generate(model, state["ids"], count, choose))

    for control in (temperature, top_k, top_p):
        control.box.observe(redraw, names="value")
    prompt.box.observe(start, names="value")
    again.on_click(start)
    one.on_click(lambda _: draw(1))
    ten.on_click(lambda _: draw(10))
    start()
    left = ipywidgets.VBox(
        [temperature.row, top_k.row, top_p.row, ipywidgets.HBox([one, ten, again])]
    )
    return ipywidgets.VBox([prompt.row, ipywidgets.HBox([left, picture.box]), text])


def sketch() -> controls.Sketch:
    """Axes to draw choices on, again and again; room at the left for words of sixteen letters."""
    return controls.Sketch(5.2, 3.6, (0.22, 0.13, 0.75, 0.75), dpi=100)


def picture_of(found: Choices, paper: controls.Sketch) -> bytes:
    """The drawing as a PNG file."""
    return paper.png(
        lambda ax: draw_choices(ax, found).legend(loc="lower right", fontsize=8, frameon=False)
    )


@torch.no_grad()
def attention_weights(model: GPT, ids: Sequence[int]) -> Tensor:
    """Every head's weights on a text: ids (T,) -> (layers, heads, T, T), row t the token that looks, each sums to 1."""
    mask, rows = causal_mask(len(ids)), []
    found: list[Tensor] = []
    blocks = [block for block in model.blocks if isinstance(block, Block)]
    hooks = [
        block.attention.qkv.register_forward_hook(lambda _, x, y: found.append(y))
        for block in blocks
    ]
    try:
        model(torch.tensor([list(ids)], device=model.tokens.weight.device))
    finally:
        for hook in hooks:
            hook.remove()
    for qkv, block in zip(found, blocks, strict=True):
        q, k, _ = (
            split_heads(part.float().cpu(), block.attention.heads) for part in qkv.chunk(3, dim=-1)
        )
        rows.append(
            scaled_dot_product(q, k, torch.eye(len(ids)), mask)[0]
        )  # values = identity: weights come out
    return torch.stack(rows)


def draw_attention(
    ax: Axes, weights: Tensor, labels: Sequence[str], title: str = "", causal: bool = False
) -> Axes:
    """One head's weights (T, T) as a map: rows look, columns are looked at; dark is much.

    Args:
        ax: where to draw.
        weights: (T, T), each row sums to 1; up to eight tokens the numbers stand in the map.
        labels: T words.
        title: of the map.
        causal: grey what the mask forbids, so that it differs from a weight of 0.
    """
    ax.imshow(weights.tolist(), cmap=palette.SHARES, vmin=0, vmax=1)
    for row in range(len(labels)):
        for column in range(len(labels)):
            weight = float(weights[row, column])
            if causal and column > row:
                ax.add_patch(
                    Rectangle(
                        (column - 0.5, row - 0.5), 1, 1, facecolor="grey", alpha=0.25, linewidth=0
                    )
                )
            elif len(labels) <= _NUMBERED:
                ink = "white" if weight > 0.6 else "black"
                shown = f"{weight:.2f}".lstrip("0") if weight < 0.995 else "1"
                ax.text(column, row, shown, ha="center", va="center", fontsize=8, color=ink)
    ax.set_xticks(range(len(labels)), labels, rotation=90, fontsize=9, parse_math=False)
    ax.set_yticks(range(len(labels)), labels, fontsize=9, parse_math=False)
    ax.set_title(title, loc="left", fontsize=10)
    ax.grid(False)
    return ax
