"""Exercise `value_function`: the value of the game, from logits."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, exercise
from course_utils.checks.gan.shared import CAPPED, TWO_STEPS, capped_bce, expect_scalar_loss


def _value_by_bce(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    bce = F.binary_cross_entropy_with_logits
    return -bce(real_logits, torch.ones_like(real_logits)) - bce(
        fake_logits, torch.zeros_like(fake_logits)
    )


def _each(real: Tensor, fake: Tensor) -> Tensor:
    """The logarithm that each example contributes, one flat tensor."""
    return torch.cat([F.logsigmoid(real).flatten(), F.logsigmoid(-fake).flatten()])


_WORKED = (
    "One logit each, real 2 and fake -1: log D = log sigmoid(2) = -0.127, log(1 - D) = log sigmoid(1) = -0.313, so V "
    "is -0.127 - 0.313 = -0.440."
)
_MISTAKES: list[Wrong] = [
    (lambda r, f: -capped_bce(r, 1.0) - capped_bce(f, 0.0), CAPPED),
    (
        lambda r, f: -_value_by_bce(r, f),
        "This is -V, the discriminator's loss. V itself is at most 0; D ascends it.",
    ),
    (lambda r, f: torch.log(r.sigmoid()).mean() + torch.log(1 - f.sigmoid()).mean(), TWO_STEPS),
    *[
        (
            lambda r, f, e=eps: (
                torch.log(r.sigmoid() + e).mean() + torch.log(1 - f.sigmoid() + e).mean()
            ),
            "A small number inside the logarithm makes it finite, but wrong: at a logit of -200 log D is -200.",
        )
        for eps in (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
    ],
    (
        lambda r, f: F.logsigmoid(r).mean() + F.logsigmoid(f).mean(),
        "The second term is log(1 - D), and 1 - sigmoid(a) = sigmoid(-a): the sign of the fake logits is missing.",
    ),
    (
        lambda r, f: torch.log(r.sigmoid().mean()) + torch.log((-f).sigmoid().mean()),
        "This is the logarithm of a mean; V is the mean of logarithms, which is smaller (Jensen's inequality).",
    ),
    (
        lambda r, f: F.logsigmoid(r).sum() + F.logsigmoid(-f).sum(),
        "Sums grow with the batch; V is made of two means.",
    ),
    (
        lambda r, f: _each(r, f).mean(),
        "One mean over both batches together: V is the sum of two means, each over its own batch.",
    ),
    (
        lambda r, f: 2 * _each(r, f).mean(),
        "One mean over both batches together: V is the sum of two means, each over its own batch.",
    ),
    (
        lambda r, f: F.logsigmoid(r).mean() + (1 - F.logsigmoid(f)).mean(),
        "This is 1 - log D for the fakes. Asked for is log(1 - D): the 1 - stands inside the logarithm.",
    ),
    (
        lambda r, f: F.logsigmoid(r).mean() - F.logsigmoid(-f).mean(),
        "A sign: V is the *sum* of both means, and each is at most 0.",
    ),
    (
        lambda r, f: _value_by_bce(r, f) / 2,
        "V is the sum of its two terms, not their mean: a factor 2 is missing.",
    ),
    (lambda r, f: _value_by_bce(r, f) / math.log(2), "These are bits (log base 2), not nats."),
    (
        lambda r, f: r.sigmoid().mean() + (-f).sigmoid().mean(),
        "The logarithms are missing: that game has another optimum.",
    ),
    (
        lambda r, f: r.mean() - f.mean(),
        "This is a Wasserstein critic's objective; the logarithms of D are missing.",
    ),
    (
        lambda r, f: F.logsigmoid(r).mean(),
        "Only the real examples count here: D would learn to call everything real.",
    ),
    (
        lambda r, f: F.logsigmoid(-f).mean(),
        "Only the fakes count here: D would learn to call everything fake.",
    ),
    (
        lambda r, f: F.logsigmoid(-r).mean() + F.logsigmoid(f).mean(),
        "The labels are swapped: real examples should raise D, fakes should lower it.",
    ),
]


@exercise(_value_by_bce)
def value_function(fn: Answer) -> None:
    """Check ``value_function(real_logits, fake_logits)``: scalar tensor in nats."""
    moderate = (torch.tensor([1.5, -0.7, 2.2, 0.4, -3.0]), torch.tensor([-1.1, 0.9, 2.5]))
    column = (torch.tensor([[0.8]]), torch.tensor([[1.3], [-2.0], [0.1], [0.6]]))
    extreme = (torch.tensor([-200.0, 1.0, 200.0]), torch.tensor([200.0, -200.0, 0.5, -1.0]))
    for real, fake in (moderate, column, extreme):
        expect_scalar_loss(fn, _value_by_bce, (real, fake), "V", _MISTAKES, _WORKED)
