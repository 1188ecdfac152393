"""Exercise `repetition`: the share of a text's runs of tokens that it has had before."""

import random
from collections import Counter

from course_utils.checks.core import Answer, Wrong, call, exercise
from course_utils.checks.metrics.shared import expect_score


def _by_counting(ids: list[int], length: int) -> float:
    """How often each run comes, without its first time."""
    counts = Counter(zip(*(ids[start:] for start in range(length)), strict=False))
    return sum(count - 1 for count in counts.values()) / sum(counts.values())


def _runs(ids: list[int], length: int) -> list[tuple[int, ...]]:
    return [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]


def _again(runs: list[tuple[int, ...]]) -> float:
    return 1 - len(set(runs)) / len(runs)


_MISTAKES: list[Wrong] = [
    (
        lambda ids, length: len(set(_runs(ids, length))) / len(_runs(ids, length)),
        "That is the share of *different* runs; those that were there before are the rest.",
    ),
    (
        lambda ids, length: len(_runs(ids, length)) - len(set(_runs(ids, length))),
        "That is how many there are. A share: of all runs.",
    ),
    (lambda ids, length: _again(_runs(ids, 1)), "Single tokens were counted, not runs of `length`."),
    (
        lambda ids, length: _again(_runs(ids, length)[:-1]),
        "The last run is missing: N tokens hold N - length + 1 runs.",
    ),
    (
        lambda ids, length: _again(_runs(ids, length)[::length]),
        "A run starts at *every* token; yours start `length` apart.",
    ),
    (
        lambda ids, length: (len(_runs(ids, length)) - len(set(_runs(ids, length)))) / len(ids),
        "Divided by the number of tokens, or shorter pieces at the end were counted as runs: N tokens hold "
        "N - length + 1 runs.",
    ),
    (
        lambda ids, length: sum(
            count for count in Counter(_runs(ids, length)).values() if count > 1
        ) / len(_runs(ids, length)),
        "The first time counts as well here. When a run comes for the first time it was not there *before*.",
    ),
    (
        lambda ids, length: sum(
            one == other for one, other in zip(_runs(ids, length), _runs(ids, length)[1:], strict=False)
        ) / len(_runs(ids, length)),
        "Each run was compared with its neighbour only: it may have stood anywhere before.",
    ),
]  # fmt: skip
_TUPLES = "A set holds tuples, no lists: tuple(ids[i : i + length])."


_WORKED = (
    "The text 7 8 7 8 in runs of 2: they are 7 8, 8 7 and 7 8. Only the last has stood there before: 1 / 3 = "
    "0.333."
)


@exercise(_by_counting)
def repetition(fn: Answer) -> None:
    """Check ``repetition(ids, length)``: N token ids, N >= length -> a share."""
    draw = random.Random(0)
    loop = [draw.choice((1, 2, 3)) for _ in range(30)] + 2 * [4, 5, 6, 4, 5, 6]
    says = {"unhashable": _TUPLES}
    for ids, length in (([7, 8, 7, 8, 9, 7, 8], 2), (loop, 3), (loop, 4), ([5, 5, 5, 5, 5], 1)):
        what = f"the repetition of {len(ids)} tokens in runs of {length}"
        expect_score(
            fn, (ids, length), _by_counting(ids, length), what, _MISTAKES, _WORKED, says=says
        )
    call(fn, [1, 2, 3, 4], 4, says=says)
    none = "A text of `length` tokens is one run, and nothing stood before it: 0."
    expect_score(fn, ([1, 2, 3, 4], 4), 0.0, "the repetition of a single run", hint=none)
