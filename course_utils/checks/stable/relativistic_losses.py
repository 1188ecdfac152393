"""Exercise `relativistic_losses`: real i against fake i, and the losses of that comparison."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, exercise
from course_utils.checks.stable.shared import expect_losses


def _losses_by_bce(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """As cross-entropy of one question per pair: is the real one the more real?"""
    lead, one = real_logits - fake_logits, torch.ones_like(real_logits)
    bce = F.binary_cross_entropy_with_logits
    return bce(lead, one), bce(-lead, one)


def _d(real: Tensor, fake: Tensor) -> Tensor:
    return _losses_by_bce(real, fake)[0]


def _g(real: Tensor, fake: Tensor) -> Tensor:
    return _losses_by_bce(real, fake)[1]


def _each_in_logs(lead: Tensor, epsilon: float = 0.0) -> tuple[Tensor, Tensor]:
    def loss(a: Tensor) -> Tensor:
        return -torch.log(a.sigmoid() + epsilon).mean()

    return loss(lead), loss(-lead)


def _all_pairs(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    lead = real[:, None] - fake[None, :]
    return F.softplus(-lead).mean(), F.softplus(lead).mean()


_MEANS = (
    "The means came before the difference. Each *pair* is compared: subtract logit from logit, take softplus, and the "
    "mean last; the mean of the logits would let one pair pay for another."
)
_AVERAGE = (
    "Each logit is compared with the *average* of the other side (arXiv 1807.00734 has that game, too). Here real i "
    "meets fake i."
)
_LONELY = "These are the losses of lesson 1: each logit on its own. Here only the difference of a pair counts."
_STABLE = "The sigmoid of -200 is 0 in floating point, and its logarithm is lost: use F.softplus or F.logsigmoid."

_MISTAKES: list[Wrong] = [
    (lambda r, f: (_d(r.mean(), f.mean()), _g(r.mean(), f.mean())), _MEANS),
    (
        lambda r, f: (
            _d(r, f.mean().expand_as(r)) + _d(r.mean().expand_as(f), f),
            _g(r, f.mean().expand_as(r)) + _g(r.mean().expand_as(f), f),
        ),
        _AVERAGE,
    ),
    (lambda r, f: (_d(r, f.mean().expand_as(r)), _d(f, r.mean().expand_as(f))), _AVERAGE),
    (
        lambda r, f: (
            (_d(r, f.mean().expand_as(r)) + _d(r.mean().expand_as(f), f)) / 2,
            (_g(r, f.mean().expand_as(r)) + _g(r.mean().expand_as(f), f)) / 2,
        ),
        _AVERAGE,
    ),
    (
        lambda r, f: (_g(r, f), _d(r, f)),
        "The two losses are exchanged, or the difference is: D's loss falls when real logits lead.",
    ),
    (
        lambda r, f: (-_d(r, f), -_g(r, f)),
        "The sign is wrong: both losses are minimised, and positive.",
    ),
    (
        lambda r, f: (_d(r, f), -_d(r, f)),
        "G's loss is not minus D's: that game saturates where D leads. It is softplus of the *turned* difference.",
    ),
    (
        lambda r, f: (F.softplus(-r).mean() + F.softplus(f).mean(), F.softplus(-f).mean()),
        _LONELY,
    ),
    (
        lambda r, f: (_d(r, f), -f.mean()),
        "G's loss looks at the pair, too: softplus of real minus fake.",
    ),
    (lambda r, f: (_d(r, f), F.softplus(-f).mean()), _LONELY),
    (
        lambda r, f: (-(r - f).mean(), (r - f).mean()),
        "The softplus is missing: this is the Wasserstein game, which never has enough.",
    ),
    (
        lambda r, f: ((f - r).sigmoid().mean(), (r - f).sigmoid().mean()),
        "The logarithm is missing: softplus(a) is -log(sigmoid(-a)).",
    ),
    (
        lambda r, f: (F.relu(1 - r + f).mean(), F.relu(1 + r - f).mean()),
        "This is a hinge of the difference; the lesson's f is softplus.",
    ),
    (
        lambda r, f: (F.softplus(f - r).sum(), F.softplus(r - f).sum()),
        "A sum grows with the batch, and with it the step: take the mean over the pairs.",
    ),
    (
        _all_pairs,
        "Every real logit met every fake one: B × B pairs. Real i meets fake i and no other.",
    ),
    (
        lambda r, f: (_d(r, f) / math.log(2), _g(r, f) / math.log(2)),
        "These are bits (log base 2), not nats.",
    ),
    (
        lambda r, f: (_d(r, f) / 2, _g(r, f) / 2),
        "Half of it: there is one question per pair, and one mean.",
    ),
    (
        lambda r, f: (2 * _d(r, f), 2 * _g(r, f)),
        "Twice of it: there is one question per pair, and one mean.",
    ),
    (
        lambda r, f: _losses_by_bce(r.sigmoid(), f.sigmoid()),
        "The difference is one of logits: the sigmoids before it are too much.",
    ),
    *[
        (lambda r, f, e=eps: _each_in_logs(r - f, e), _STABLE)
        for eps in (0.0, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
    ],
]
_WORKED = (
    "One pair: a real logit of 1 and a fake one of 0. The real one leads by 1: D's loss is log(1 + exp(-1)) = 0.313, "
    "G's is log(1 + exp(1)) = 1.313."
)


@exercise(_losses_by_bce)
def relativistic_losses(fn: Answer) -> None:
    """Check ``relativistic_losses(real_logits, fake_logits)``: two scalars in nats, of B pairs."""
    batches = (
        (torch.tensor([1.5, -0.7, 2.2, 0.4, -3.0]), torch.tensor([-1.1, 0.9, 2.5, 0.2, 1.3])),
        (torch.tensor([0.8]), torch.tensor([-0.3])),
        (torch.tensor([-200.0, 1.0, 200.0, 0.3]), torch.tensor([200.0, -1.0, -200.0, 2.0])),
    )
    for inputs in batches:
        expect_losses(fn, _losses_by_bce, inputs, _MISTAKES, _WORKED)
