"""Text in outputs: tables, bars for words, attention maps. What comes from data is escaped: reviews hold HTML."""

import html
import string
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from IPython.display import HTML
from matplotlib.axes import Axes
from torch import Tensor

from course_utils.display import palette

_CONTROL = dict.fromkeys([*range(32), 127, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], " ")


def shorten(text: str, length: int = 160) -> str:
    """One line of a text, at most so many characters."""
    line = " ".join(text.translate(_CONTROL).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> HTML:
    """A table of texts and numbers with a caption; every cell is escaped, so a review's markup is shown and not run.

    Args:
        headers: names of the columns.
        rows: their values; texts are shown whole, so shorten long ones first.
        caption: what the table shows.
    """
    head = "".join(
        f'<th scope="col" style="text-align:left">{html.escape(name)}</th>' if name else "<td></td>"
        for name in headers
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td style="text-align:left">{html.escape(str(cell))}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    title = f'<caption style="text-align:left"><em>{html.escape(caption)}</em></caption>'
    return _Table(
        f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
        headers,
        rows,
        caption,
    )


def lettered(texts: Mapping[str, str], seed: int, length: int = 170) -> dict[str, str]:
    """Print texts in a random order, each under a letter, and keep who wrote which for `tell`.

    Args:
        texts: who wrote it -> the text.
        seed: of the order.
        length: the most characters of a text that are shown.

    Returns:
        letter -> who wrote the text under it.
    """
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    who = dict(zip(string.ascii_uppercase, (list(texts)[place] for place in order), strict=False))
    for letter, name in who.items():
        print(f"{letter}: {shorten(texts[name], length)}\n")
    return who


def tell(who: Mapping[str, str], guess: Mapping[str, object]) -> None:
    """Print who wrote which text, and how many guesses are right.

    Args:
        who: letter -> who wrote it, from `lettered`.
        guess: letter -> who is thought to have written it; ``...`` where nobody guessed.
    """
    print(", ".join(f"{letter} {name}" for letter, name in who.items()))
    if all(isinstance(guess.get(letter), str) for letter in who):
        right = sum(guess[letter] == name for letter, name in who.items())
        print(f"{right} of {len(who)} right; guessing blindly gives 1 on average")
    else:
        print("no guess was written down")


def answers_table(
    texts: Sequence[str],
    truth: Sequence[int],
    answers: Mapping[str, Sequence[int] | Tensor],
    caption: str,
) -> HTML:
    """A table of texts, each with its label and what several classifiers say; a wrong answer has an x.

    Args:
        texts: N texts, shown whole.
        truth: their labels: 1 for positive, 0 for negative.
        answers: name of a classifier -> its N answers.
        caption: what the table shows.
    """
    names = ("negative", "positive")
    rows = [
        (text, names[label], *(names[int(a)] + ("" if a == label else " ✗") for a in said))
        for text, label, *said in zip(texts, truth, *answers.values(), strict=True)
    ]
    return table(["text", "truth", *answers], rows, caption)


def right_or_wrong(names: tuple[str, str], first: Tensor, second: Tensor, caption: str) -> HTML:
    """How many texts both of two classifiers, only one of them, and none gets right.

    Args:
        names: of the classifiers.
        first: which texts the first one gets right, bool (N,).
        second: the same of the second one.
        caption: what the table shows.
    """
    rows = [
        (f"{names[0]} {word}", int((mine & second).sum()), int((mine & ~second).sum()))
        for word, mine in (("right", first), ("wrong", ~first))
    ]
    headers = ["the same texts", f"{names[1]} right", f"{names[1]} wrong"]
    return table(headers, rows, caption)


class _Table(HTML):
    """An HTML table that is also plain text, for terminals and screen readers of them."""

    def __init__(
        self, data: str, headers: Sequence[str], rows: Sequence[Sequence[object]], caption: str
    ) -> None:
        super().__init__(data)
        lines = [" | ".join(map(str, row)) for row in [headers, *rows]]
        self._plain = "\n".join([caption, *lines])

    def __repr__(self) -> str:
        return self._plain


def word_bars(
    ax: Axes,
    words: Sequence[str],
    effects: Sequence[float] | Tensor,
    xlabel: str,
    title: str,
    bold: str | None = None,
) -> Axes:
    """One bar for each word, from top to bottom in the order of the text.

    Args:
        ax: where to draw.
        words: N words.
        effects: N numbers; positive ones to the right.
        xlabel: what the numbers are, with their unit.
        title: the figure's title.
        bold: a word that is set in bold.
    """
    values, places = np.asarray(effects, float), np.arange(len(words))
    colours = [palette.POSITIVE if value > 0 else palette.NEGATIVE for value in values]
    ax.barh(places, values, color=colours, height=0.7)
    ax.set_yticks(places, [_plain(word) for word in words], fontsize=8)
    for label, word in zip(ax.get_yticklabels(), words, strict=True):
        label.set_fontweight("bold" if word == bold else "normal")
    ax.invert_yaxis()
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_xlabel(xlabel)
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax


def beside_attention(
    word: str,
    words: Sequence[str],
    effects: Tensor,
    tokens: Sequence[str],
    attention: Tensor,
) -> str:
    """One word in both views, as a sentence: its effect and its rank among the words, and how much it is looked at.

    Args:
        word: stands once among the words and among the tokens.
        words: W words.
        effects: (W,), of each word.
        tokens: T tokens, the one whose state is read first.
        attention: (T, T), each row sums to 1.
    """
    effect = effects[list(words).index(word)]
    rank = 1 + int((effects.abs() > effect.abs()).sum())
    looked = attention[0, list(tokens).index(word)].item()
    return (
        f"{word}: effect {effect:+.2f} logits, number {rank} of {len(words)} words by size; "
        f"{tokens[0]} gives it {looked:.1%} of its attention ({1 / len(tokens):.1%} if all got the same)"
    )


def attention_map(ax: Axes, weights: Tensor, tokens: Sequence[str], title: str) -> Axes:
    """Attention weights (T, T) as a grid: each row is a token that looks, each column a token that is looked at."""
    picture = ax.imshow(weights.float().cpu().numpy(), cmap=palette.AMOUNTS, vmin=0)
    names = [_plain(token) for token in tokens]
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set(xlabel="the token that is looked at", ylabel="the token that looks")
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    ax.grid(visible=False)
    ax.figure.colorbar(picture, ax=ax, shrink=0.8, label="weight")
    return ax


def reliability(
    ax: Axes, groups: Sequence[tuple[float, float, float, float, int]], title: str
) -> Axes:
    """How often answers of a given confidence are right: (mean confidence, share right, low, high, count) a group."""
    x, y, low, high, counts = (np.asarray(column, float) for column in zip(*groups, strict=True))
    ax.plot([0.5, 1], [0.5, 1], ":", color="black", label="as sure as right")
    spread = np.clip([y - low, high - y], 0, None)
    ax.errorbar(x, y, yerr=spread, fmt="o", color=palette.BLUE, capsize=3, label="measured, 95 %")
    for place, share, count in zip(x, y, counts, strict=True):
        ax.annotate(
            f"{count:.0f}", (place, share), xytext=(6, -10), textcoords="offset points", fontsize=8
        )
    ax.set(xlabel="confidence", ylabel="share right", xlim=(0.48, 1.02), ylim=(0.3, 1.05))
    ax.legend(frameon=False, loc="lower right", fontsize=8)
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax


def _plain(word: str) -> str:
    """A word as matplotlib shows it: dollar signs are no mathematics here."""
    return shorten(word, 24).replace("$", r"\$")
