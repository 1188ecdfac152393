"""Exercise `distinct`: how many different runs of tokens a set of texts has."""

import random

from course_utils.checks.core import Answer, Wrong, exercise
from course_utils.checks.metrics.shared import expect_score

Texts = list[list[int]]


def _by_zip(texts: Texts, length: int) -> float:
    """Runs as tuples of shifted texts."""
    runs: list[tuple[int, ...]] = []
    for ids in texts:
        runs += zip(*(ids[start:] for start in range(length)), strict=False)
    return len(set(runs)) / len(runs)


def _runs(ids: list[int], length: int) -> list[tuple[int, ...]]:
    return [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]


def _all(texts: Texts, length: int) -> list[tuple[int, ...]]:
    return [run for ids in texts for run in _runs(ids, length)]


def _share(runs: list[tuple[int, ...]]) -> float:
    return len(set(runs)) / len(runs)


_MISTAKES: list[Wrong] = [
    (
        lambda texts, length: 1 - _share(_all(texts, length)),
        "That is the share of repeats. Here the *different* ones are asked for.",
    ),
    (
        lambda texts, length: sum(_share(_runs(ids, length)) for ids in texts) / len(texts),
        "The mean over single texts: twenty copies of one good text would score well. Count in all texts together.",
    ),
    (
        lambda texts, length: (
            sum(len(set(_runs(ids, length))) for ids in texts) / len(_all(texts, length))
        ),
        "A run that stands in two texts was counted twice: one set for all texts.",
    ),
    (
        lambda texts, length: _share(_runs([token for ids in texts for token in ids], length)),
        "The texts were joined: some runs begin in one text and end in the next.",
    ),
    (
        lambda texts, length: len(set(_all(texts, length))),
        "That is how many there are. A share: of all runs.",
    ),
    (
        lambda texts, length: _share(_all(texts, 1)),
        "Single tokens were counted, not runs of `length`.",
    ),
    (
        lambda texts, length: _share([run for ids in texts for run in _runs(ids, length)[:-1]]),
        "The last run of each text is missing: N tokens hold N - length + 1 runs.",
    ),
    (
        lambda texts, length: _share(
            [run for ids in texts for run in _runs(ids, length)[::length]]
        ),
        "A run starts at *every* token; yours start `length` apart.",
    ),
    (
        lambda texts, length: _share(
            [tuple(ids[i : i + length]) for ids in texts for i in range(len(ids))]
        ),
        "The pieces at the end of each text are shorter than `length`.",
    ),
    (
        lambda texts, length: len(set(_all(texts, length))) / sum(len(ids) for ids in texts),
        "Divided by the number of tokens: it is a share of the runs.",
    ),
    (
        lambda texts, length: len({tuple(ids) for ids in texts}) / len(texts),
        "Whole texts were compared. Cut each one into its runs of `length` tokens.",
    ),
]
_TUPLES = "A set holds tuples, no lists: tuple(ids[i : i + length])."


_WORKED = "One text, 1 2 1 2, in runs of 2: they are 1 2, 2 1 and 1 2. Two of the three are different: 2 / 3 = 0.667."


@exercise(_by_zip)
def distinct(fn: Answer) -> None:
    """Check ``distinct(texts, length)``: lists of token ids -> a share."""
    draw = random.Random(0)
    some = [[draw.randrange(5) for _ in range(size)] for size in (9, 14, 4, 11)]
    says = {"unhashable": _TUPLES}
    for texts, length in (
        ([[1, 3, 2, 3, 3, 2], [2, 3, 2, 2]], 2),
        (some, 2),
        (some, 3),
        ([[4, 4, 4]], 1),
    ):
        what = f"the distinct runs of {length} in {len(texts)} texts"
        expect_score(
            fn, (texts, length), _by_zip(texts, length), what, _MISTAKES, _WORKED, says=says
        )
    alike = "Twenty copies of one text have no more different runs than the text itself."
    same = 20 * [[1, 2, 3, 4, 5, 6]]
    expect_score(fn, (same, 2), 0.05, "the distinct pairs of 20 equal texts", hint=alike)
