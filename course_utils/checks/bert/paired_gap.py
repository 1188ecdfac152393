"""Exercise `paired_gap`: the difference of two accuracies on the same texts, with its interval."""

import math
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, require

Gap = tuple[float, float, float]


def _by_counting(first: Tensor, second: Tensor) -> Gap:
    """From the two numbers of texts that only one of the classifiers gets right."""
    n = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    mean = (only_first - only_second) / n
    squares = (only_first + only_second) / n
    half = 1.96 * math.sqrt((squares - mean**2) / (n - 1))
    return mean, mean - half, mean + half


def _with_half(half: Any) -> Any:
    """A mistake in half the width of the interval: a function of the differences and of both answers."""

    def mistaken(first: Tensor, second: Tensor) -> Tensor:
        gap = first.double() - second.double()
        width = half(gap, first.double(), second.double())
        return torch.stack([gap.mean(), gap.mean() - width, gap.mean() + width])

    return mistaken


def _changed(change: Any) -> Any:
    return lambda first, second: change(torch.tensor(_by_counting(first, second)).double())


def _wilson_apart(gap: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return 1.96 * ((first.var() + second.var()) / len(gap)).sqrt()


_MISTAKES: list[Wrong] = [
    (
        _changed(lambda gap: gap * torch.tensor([-1.0, -1, -1]) @ torch.eye(3)[[0, 2, 1]].double()),
        "The sign is turned round: it is the first minus the second.",
    ),
    (
        _with_half(_wilson_apart),
        "As if each had met other texts: take the spread of the differences, text by text.",
    ),
    (
        _with_half(lambda gap, *_: 1.96 * gap.std()),
        "This is how much single texts differ: a mean of N varies less, by the root of N.",
    ),
    (
        _with_half(lambda gap, *_: 1.96 * gap.std() / len(gap)),
        "Divided by N: the standard error falls with the root of N.",
    ),
    (
        _with_half(lambda gap, *_: gap.std() / len(gap) ** 0.5),
        "One standard error to each side holds about 68 %: 95 % take 1.96.",
    ),
    (
        _with_half(lambda gap, *_: 1.96 * gap.var() / len(gap) ** 0.5),
        "The variance stands in the place of its root, the standard deviation.",
    ),
    (
        _with_half(lambda gap, *_: 1.96 * gap[gap != 0].std() / (gap != 0).sum() ** 0.5),
        "The texts on which both are alike are missing: N counts all texts.",
    ),
    (
        _with_half(lambda gap, *_: 1.96 * (gap.mean() * (1 - gap.mean()) / len(gap)).sqrt()),
        "p(1 - p) is the variance of a share; a difference also takes the value -1.",
    ),
    (
        _with_half(lambda gap, *_: 1.96 * gap.square().mean().sqrt() / len(gap) ** 0.5),
        "This is the spread around 0: a standard deviation is taken around the mean.",
    ),
    (_changed(lambda gap: gap * 100), "In percent: return the share itself, between -1 and 1."),
    (
        _with_half(lambda gap, *_: 0.98 * gap.std() / len(gap) ** 0.5),
        "1.96 standard errors go to each side: this interval is half as wide.",
    ),
]
_SAYS = {
    "with two bool tensors is not supported": "Truth values cannot be subtracted: `.double()` makes 1 and 0 of them.",
    "Bool": "Truth values cannot be subtracted or averaged: `.double()` makes 1 and 0 of them.",
}
_COUNTS = ((300, 80, 40, 80), (300, 10, 90, 100), (0, 350, 150, 0))
"""Of each case: texts that both, only the first, only the second, and none gets right."""
_WORKED = (
    "By hand, four texts with the differences 1, 1, 1 and 0: the mean is 0.75, the spread 0.5, the standard error "
    "0.5 / sqrt(4) = 0.25, the ends 0.75 - 1.96 * 0.25 = 0.26 and 0.75 + 1.96 * 0.25 = 1.24."
)
_CLOSE = 2e-4
"""So the standard deviation may divide by N or by N - 1."""


@exercise(_by_counting)
def paired_gap(fn: Answer) -> None:
    """Check ``paired_gap(first, second)``: which texts each gets right, bool (N,) -> difference, low, high."""
    for counts in _COUNTS:
        pairs = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0]]).repeat_interleave(
            torch.tensor(counts), dim=0
        )
        first, second = pairs.bool().unbind(1)
        expected = torch.tensor(_by_counting(first, second), dtype=torch.float64)
        got = call(fn, first, second, says=_SAYS)
        what = f"difference, low and high for {counts[1]} texts won and {counts[2]} lost of {sum(counts)}"
        three = type(got) in (tuple, list) and len(got) == 3
        require(three, f"three numbers: {what}", got, "Return them as `mean, low, high`.")
        plain = all(type(one) in (float, int) for one in got)
        require(plain, "three plain numbers", got[0], "`.item()` makes a number of a tensor.")
        order = got[1] <= got[0] <= got[2]
        between = "First the difference, then the lower end, then the upper one."
        numbers = torch.tensor(got, dtype=torch.float64)
        same = torch.allclose(numbers.sort().values, expected.sort().values, atol=_CLOSE)
        swapped = same or got[1] > got[2]
        require(order or not swapped, f"low below and high above the {what}", got, between)
        expect_close(
            numbers,
            expected,
            what,
            inputs=(first, second),
            wrong=_MISTAKES,
            hint=_WORKED,
            atol=_CLOSE,
            rtol=0,
        )
