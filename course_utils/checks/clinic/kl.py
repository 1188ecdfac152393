"""Exercise `kl`: a divergence that is never negative, where the patient's is."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.clinic.game import case
from course_utils.checks.clinic.shared import ZERO_LOG_ZERO, is_nan
from course_utils.checks.core import Answer, Wrong, call, expect_close, require


def _kl_by_ratio(p: Tensor, q: Tensor) -> Tensor:
    """The sum of p log(p / q) where p > 0."""
    some = p > 0
    return (p[some] * (p[some].log() - q[some].log())).sum()


_MISTAKES: list[Wrong] = [
    (
        lambda p, q: -_kl_by_ratio(q, p),
        "Unchanged: the logarithm is that of KL(p || q), the weights are q. Together they make -KL(q || p), without "
        "a floor.",
    ),
    (
        lambda p, q: _kl_by_ratio(q, p),
        "This is KL(q || p), another divergence: the weights are still q. To take the sign away (`abs`, a minus) "
        "gives just this; weigh with p.",
    ),
    (lambda p, q: -_kl_by_ratio(p, q), "The sign is wrong: a divergence is never negative."),
    (lambda p, q: _kl_by_ratio(p, q) / math.log(2), "These are bits, not nats."),
    (
        lambda p, q: _kl_by_ratio(p, q) / len(p),
        "A mean over the states: each one already counts with its weight p.",
    ),
    (
        lambda p, q: (_kl_by_ratio(p, (p + q) / 2) + _kl_by_ratio(q, (p + q) / 2)) / 2,
        "This is the JSD: symmetric, and finite where a KL is not.",
    ),
    (
        lambda p, q: F.kl_div(p, q, reduction="sum"),
        "`F.kl_div(a, b)` takes the *logarithm* of a, and gives KL(b || a): look it up, both surprise.",
    ),
    (
        lambda p, q: -torch.xlogy(p, q).sum(),
        "This is the cross-entropy: the entropy of p is in it still, so that it is not 0 at p = q.",
    ),
    (
        lambda p, q: (-_kl_by_ratio(q, p)).clamp(min=0),
        "Cut off at 0, the sign is gone and the fault is not: which distribution weighs?",
    ),
    (
        lambda p, q: (p - q).square().sum(),
        "A squared distance is no divergence of distributions: no logarithm, no expectation.",
    ),
]


_WORKED = (
    "One state each, p = (0.5, 0.5) and q = (0.25, 0.75): 0.5 log(0.5 / 0.25) + 0.5 log(0.5 / 0.75) = 0.347 - 0.203 = "
    "0.144."
)


@case(_kl_by_ratio)
def kl(fn: Answer) -> None:
    """Check ``kl(p, q)``: probabilities (N,), (N,) -> scalar, nats.

    Unequal probabilities, a state that only q has, a state that only p has, and equality last.
    """
    rows = (
        ([0.1, 0.2, 0.7], [0.5, 0.3, 0.2]),
        ([0.0, 0.4, 0.6], [0.3, 0.3, 0.4]),
        ([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]),
    )
    for row in rows:
        p, q = (torch.tensor(r) for r in row)
        got = call(fn, p, q)
        require(not is_nan(got), f"a number for p = {row[0]}, q = {row[1]}", "NaN", ZERO_LOG_ZERO)
        what = f"KL of p = {row[0]} to q = {row[1]}"
        expect_close(got, _kl_by_ratio(p, q), what, inputs=(p, q), wrong=_MISTAKES, hint=_WORKED)
    got = call(fn, torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))
    hint = "q says *never* where p happens: the divergence is infinite, and a small number in the logarithm hides that."
    infinite = isinstance(got, float | Tensor | np.floating | np.ndarray) and np.shape(got) == ()
    infinite = infinite and float(got) == math.inf
    require(infinite, "infinity for p = [0.5, 0.5], q = [1, 0]", got, hint)
