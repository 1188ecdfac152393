"""Exercise `occlusion`: what each word of a text does to a classifier's margin, by leaving it out."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like, require
from course_utils.evaluation.occlusion import occlusion as _by_the_package

_WEIGHTS = {"good": 1.5, "bad": -2.0, "film": 0.25, "not": -0.5}


def _margin(texts: Sequence[str]) -> Tensor:
    """A classifier that reads: its answer depends on words, on their order, and on how often each occurs."""
    if isinstance(texts, str):
        raise TypeError("margin was given one text: it takes a list of texts")
    return torch.tensor([_read(text) for text in texts])


def _read(text: str) -> float:
    words = text.split()
    total = 0.25 + sum(_WEIGHTS.get(word, 0.0) for word in words)
    for before, word in pairwise(words):
        total -= 2 * _WEIGHTS.get(word, 0.0) if before == "not" else 0.0
    return total + 0.125 * len(words) * (words[:1] == ["a"])


def _effects(change: Callable[[list[str], int], list[str]], text: str) -> Tensor:
    """As the right answer, but each text is changed in another way."""
    words = text.split()
    margins = _margin([text, *(" ".join(change(words, i)) for i in range(len(words)))])
    return margins[0] - margins[1:]


def _without_all(words: list[str], i: int) -> list[str]:
    return [word for word in words if word != words[i]]


def _at_its_first_place(words: list[str], i: int) -> list[str]:
    first = words.index(words[i])
    return words[:first] + words[first + 1 :]


def _right(text: str) -> Tensor:
    return _by_the_package(_margin, text)[1]


def _alone(words: list[str], i: int) -> list[str]:
    return words[i : i + 1]


_MISTAKES: list[Wrong] = [
    (
        lambda text: -_right(text),
        "The sign is turned round: the whole text's margin minus the shorter text's.",
    ),
    (
        partial(_effects, _without_all),
        "A word that occurs twice went everywhere at once: leave it out at one place at a time.",
    ),
    (
        partial(_effects, _at_its_first_place),
        "The first of two equal words went both times: leave each one out at its own place.",
    ),
    (
        lambda text: _margin(text.split()),
        "These are the margins of single words: leave the word out, and keep the others.",
    ),
    (
        partial(_effects, _alone),
        "The text was shortened to the word itself: leave the word out, and keep the others.",
    ),
    (
        lambda text: _margin([text]) - _effects(lambda w, i: w[:i] + w[i + 1 :], text),
        "These are the margins without each word: an effect is a difference to the whole text's.",
    ),
    (
        partial(_effects, lambda words, i: words[:i]),
        "All words after the place are gone, too: only one is left out at a time.",
    ),
    (
        partial(_effects, lambda words, i: words[i + 1 :]),
        "All words before the place are gone, too: only one is left out at a time.",
    ),
    (
        partial(_effects, lambda words, i: words[: i + 1] + words[i + 2 :]),
        "One place too far: the first effect belongs to the first word.",
    ),
    (
        partial(_effects, lambda words, i: [*words[:i], "[MASK]", *words[i + 1 :]]),
        "The word was replaced by another one: leave it out.",
    ),
    (
        lambda text: _right(text).abs(),
        "The sign is lost: a negative effect spoke for negative.",
    ),
    (
        lambda text: torch.cat([torch.zeros(1), _right(text)]),
        "One effect too many: the whole text is compared with itself as well.",
    ),
    (
        lambda text: _right(text)[1:],
        "The first word's effect is missing: of all margins only the first is the whole text's, "
        "and those of the shorter texts begin right after it.",
    ),
]
_TEXTS = (
    "a good film not bad",
    "film good bad film film",
    "not good not good bad",
    "good",
    "a  bad\tfilm a\nbad film not good",
)
_WORKED = (
    "By hand, for 'good film': margin gets three texts, 'good film', 'film' and 'good'. With the margins 1.8, 0.3 and "
    "1.6 the effects are 1.8 - 0.3 = 1.5 for 'good' and 1.8 - 1.6 = 0.2 for 'film'."
)
_SAYS = {
    "margin was given one text": "`margin` takes a list of texts, also for a single one: `margin([text])`."
}


@exercise(_by_the_package)
def occlusion(fn: Answer) -> None:
    """Check ``occlusion(margin, text)`` -> the text's words, and the effect of each on the margin (W,)."""
    for text in _TEXTS:
        words, expected = _by_the_package(_margin, text)
        got: Any = call(fn, _margin, text, says=_SAYS)
        pair = type(got) in (tuple, list) and len(got) == 2
        both = "Return both, in this order: `return words, effects`."
        require(pair, f"words and effects of {text!r}", got, both)
        blanks = "Words are what white space separates, however much of it: `text.split()`."
        require(type(got[0]) is list, f"a list of {len(words)} words", got[0], both)
        require(got[0] == words, f"the words {words}", got[0], blanks)
        expect_like(
            got[1],
            expected,
            f"the effects in {text!r}",
            inputs=(text,),
            wrong=_MISTAKES,
            shape="One effect for each word, in the order of the text.",
            hint=_WORKED,
            atol=1e-5,
        )
