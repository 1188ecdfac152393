"""Exercise `generator_loss`: the generator's minimax loss, and the one that does not saturate."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, require
from course_utils.checks.gan.shared import CAPPED, TWO_STEPS, capped_bce, expect_scalar_loss


def _loss_by_softplus(fake_logits: Tensor, saturating: bool) -> Tensor:
    return -F.softplus(fake_logits).mean() if saturating else F.softplus(-fake_logits).mean()


_CAUGHT = (
    "Minimising this *lowers* D(G(z)): G would be trained to be caught. It is the discriminator's term for fakes; "
    "in cross-entropy terms the generator's label is 1."
)

_WORKED = (
    "One fake with logit -1: D = sigmoid(-1) = 0.269. The minimax loss is log(1 - 0.269) = -0.313, the other one "
    "-log 0.269 = 1.313. Then the mean."
)
_MISTAKES: list[Wrong] = [
    (lambda a, s: -capped_bce(a, 0.0) if s else capped_bce(a, 1.0), CAPPED),
    (
        lambda a, s: _loss_by_softplus(a, not s),
        "The two losses are exchanged: the saturating one is log(1 - D).",
    ),
    (
        lambda a, s: -_loss_by_softplus(a, s),
        "The sign is wrong: minimising this lowers D(G(z)) instead of raising it.",
    ),
    (lambda a, s: F.softplus(a).mean(), _CAUGHT),
    (
        lambda a, s: torch.log(1 - a.sigmoid()).mean() if s else -torch.log(a.sigmoid()).mean(),
        TWO_STEPS,
    ),
    (
        lambda a, s: torch.log(1 - a.sigmoid().mean()) if s else -torch.log(a.sigmoid().mean()),
        "This is the logarithm of a mean; the loss is the mean of logarithms (Jensen's inequality).",
    ),
    *[
        (
            lambda a, s, e=eps: (
                torch.log(1 - a.sigmoid() + e).mean() if s else -torch.log(a.sigmoid() + e).mean()
            ),
            "A small number inside the logarithm makes it finite, but wrong: at a logit of -200 log D is -200.",
        )
        for eps in (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
    ],
    (
        lambda a, s: _loss_by_softplus(a, s) * a.numel(),
        "A sum grows with the batch, and with it the step: take the mean.",
    ),
    (lambda a, s: _loss_by_softplus(a, s) / math.log(2), "These are bits (log base 2), not nats."),
    (
        lambda a, s: -a.mean(),
        "This is a Wasserstein generator's loss; the logarithm of D is missing.",
    ),
]


@exercise(_loss_by_softplus)
def generator_loss(fn: Answer) -> None:
    """Check ``generator_loss(fake_logits, saturating)``: scalar tensor in nats."""
    batches = (
        torch.tensor([-1.5, 0.7, -2.2, 0.4, -3.0]),
        torch.tensor([[0.8]]),
        torch.tensor([-200.0, 1.0, 200.0, -0.5]),
    )
    minimax, other = (call(fn, batches[0], saturating) for saturating in (True, False))
    both = isinstance(minimax, Tensor) and isinstance(other, Tensor) and torch.equal(minimax, other)
    caught = both and torch.allclose(minimax, F.softplus(batches[0]).mean())
    hint = _CAUGHT if caught else "The result is the same whatever `saturating` says."
    require(not both, "two different losses", minimax, hint)
    for logits in batches:
        for saturating in (True, False):
            what = f"the {'minimax' if saturating else 'non-saturating'} loss (saturating={saturating})"
            inputs = (logits, saturating)
            expect_scalar_loss(fn, _loss_by_softplus, inputs, what, _MISTAKES, _WORKED)
