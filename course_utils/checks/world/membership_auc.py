"""Exercise `membership_auc`: how well losses tell what a network was trained on."""

from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, exercise
from course_utils.checks.metrics.shared import expect_score


def _by_ranks(member_losses: Tensor, other_losses: Tensor) -> float:
    """From the sum of the members' ranks among all losses, the highest loss first; equal ones share their mean rank."""
    joined = -torch.cat([member_losses, other_losses]).double()
    _, place, counts = joined.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[place]
    n, m = len(member_losses), len(other_losses)
    return ((ranks[:n].sum() - n * (n + 1) / 2) / (n * m)).item()


def _pairs(count: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """A mistake in how one pair is judged; all pairs are averaged."""
    return lambda member, other: count(member[:, None], other[None, :]).double().mean().item()


def _of(score: Callable[[float, int, int], float]) -> Answer:
    """A mistake made with the right area, the members' number and the others' number."""
    return lambda member, other: score(_by_ranks(member, other), len(member), len(other))


def _one_to_one(member: Tensor, other: Tensor) -> float:
    n = min(len(member), len(other))
    pair = member[:n], other[:n]
    return ((pair[0] < pair[1]).double() + 0.5 * (pair[0] == pair[1]).double()).mean().item()


def _at_the_median(member: Tensor, other: Tensor) -> float:
    middle = torch.cat([member, other]).quantile(0.5)
    right = (member < middle).sum() + (other >= middle).sum()
    return float(right / (len(member) + len(other)))


_TURNED = (
    "Trained-on examples have *low* losses: the area counts the pairs in which the member's loss is the lower one. "
    "Give a curve the negative losses."
)
_HALF = "Where two losses are equal, the pair counts half: neither one nor nothing."
_RANKS = (
    "N members alone would already have the ranks 1 to N: take N (N + 1) / 2 off the sum of their ranks before you "
    "divide."
)
_ALL = "Each member is compared with each other example, N times M pairs; not the first with the first alone."
_DIVIDE = (
    "The number of pairs is N times M, members times others; both sets may have different sizes."
)

_MISTAKES: list[Wrong] = [
    (
        _of(lambda area, n, m: max(area, 1 - area)),
        "An area below 0.5 says that members have the *higher* losses: report it as it is.",
    ),
    (_of(lambda area, n, m: 1 - area), _TURNED),
    (_one_to_one, _ALL),
    (_pairs(lambda a, b: a < b), _HALF),
    (_pairs(lambda a, b: a <= b), _HALF),
    (_pairs(lambda a, b: a > b), _TURNED),
    (_pairs(lambda a, b: a >= b), _TURNED),
    (_pairs(lambda a, b: (a < b).double() + (a == b).double() * 2), _HALF),
    (_of(lambda area, n, m: area * n * m), "That counts pairs. Divide by their number, N times M."),
    (_of(lambda area, n, m: area * m / n), _DIVIDE),
    (_of(lambda area, n, m: area * n / m), _DIVIDE),
    (_of(lambda area, n, m: area * n * m / (n + m)), _DIVIDE),
    (_of(lambda area, n, m: area * n * m / (n + m) ** 2), _DIVIDE),
    (_of(lambda area, n, m: area + (n + 1) / (2 * m)), _RANKS),
    (
        _of(lambda area, n, m: area - 1 / m),
        "Ranks count from 1 where N (N + 1) / 2 is taken off; from 0 it would be N (N - 1) / 2.",
    ),
    (
        _of(lambda area, n, m: area + 1 / m),
        "Ranks from 1 go with N (N + 1) / 2, not N (N - 1) / 2.",
    ),
    (
        _of(lambda area, n, m: 2 * area - 1),
        "That is twice the area minus 1, which some call advantage; chance is 0.5 here.",
    ),
    (
        _of(lambda area, n, m: area - 1),
        "The area came out with another sign or corner: false alarms run from 0 to 1, left to right.",
    ),
    (
        _of(lambda area, n, m: -area),
        "The curve was integrated from right to left: sort the false alarms.",
    ),
    (
        lambda member, other: float((member[: len(other)] < other[: len(member)]).double().mean()),
        _ALL,
    ),
    (
        _at_the_median,
        "That is the accuracy of one threshold. The area asks about all of them: compare pairs.",
    ),
    (
        lambda member, other: float(other.mean() - member.mean()),
        "That is a difference of means. The area counts pairs and does not ask how far losses are apart.",
    ),
    (
        lambda member, other: float((member < other.mean()).double().mean()),
        "Compare with each other example, not with the mean of them all.",
    ),
]


_WORKED = (
    "Two members with losses 1 and 3, two others with 2 and 3: 1 < 2, 1 < 3 count 1 each, 3 and 2 count 0, 3 and 3 "
    "count half. So 2.5 of 4 pairs = 0.625."
)


@exercise(_by_ranks)
def membership_auc(fn: Answer) -> None:
    """Check ``membership_auc(member_losses, other_losses)`` -> area, a number in [0, 1].

    The probability that a random member of the training set (losses (N,) float32) has a *lower* loss than a random
    other example (M,); equal losses count half. 0.5 is chance. N and M need not be equal.
    """
    member = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.5])
    other = torch.tensor([0.375, 1.5, 1.0, 3.0, 3.0, 1.0, 2.5, 2.0])
    _expect(fn, member, other, "the area of 5 members and 8 others, with ties")
    _expect(fn, other, member, "the area of 8 members and 5 others, with ties")
    _expect(fn, torch.randn(60) + 0.3, torch.randn(40), "the area of 60 members and 40 others")
    _expect(fn, torch.randn(20) - 9, torch.randn(30), "the area where every member's loss is lower")
    _expect(
        fn, torch.full((6,), 0.75), torch.full((4,), 0.75), "the area where all losses are equal"
    )


def _expect(fn: Answer, member: Tensor, other: Tensor, what: str) -> None:
    expect_score(fn, (member, other), _by_ranks(member, other), what, _MISTAKES, _WORKED)
