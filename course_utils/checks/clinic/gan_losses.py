"""The exercise `gan_losses`: its reference, the mistakes that learners make in it, and its check."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.clinic.shared import expect_pair
from course_utils.checks.core import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_tensor,
)


def value_and_gradients(loss: Any, leaves: Sequence[Tensor]) -> Tensor:
    """A scalar loss and its gradients in the leaves, as one flat float64 row; zeros where a leaf is not reached."""
    grads = (
        torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=True)
        if loss.requires_grad
        else ()
    )
    filled = [
        torch.zeros_like(x) if g is None else g
        for x, g in zip(leaves, grads or [None] * len(leaves), strict=True)
    ]
    return torch.cat([loss.detach().reshape(1).double(), *(g.flatten().double() for g in filled)])


Losses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def losses_by_softplus(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The reference."""
    return F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()


_WRONG_LOSSES: list[tuple[Losses, str]] = [
    (
        lambda a, b: (losses_by_softplus(a, b)[0], F.softplus(b).mean()),
        "Unchanged: the generator's label is *fake*, so it is trained to be caught. What should D say, in G's wishes?",
    ),
    (
        lambda a, b: (losses_by_softplus(a, b)[0], -F.softplus(b).mean()),
        "Right direction, wrong loss: this is the saturating log(1 - D), whose slope at logit -8 is 0.0003. Nobody who "
        "is caught learns from it; the label 1 gives a slope near -1.",
    ),
    (
        lambda a, b: (losses_by_softplus(a, b)[0], -F.softplus(-b).mean()),
        "A minus in front of the label-1 loss: descending it lowers D(G(z)) again.",
    ),
    (
        lambda a, b: (F.softplus(-a).mean() + F.softplus(-b).mean(), F.softplus(-b).mean()),
        "D's label for fakes changed too: now D learns to call everything real, and there is no game.",
    ),
    (
        lambda a, b: (F.softplus(a).mean() + F.softplus(-b).mean(), F.softplus(b).mean()),
        "All labels are swapped. That game is sound, but D is then the probability of *fake*; here 1 means real.",
    ),
    (
        lambda a, b: (F.softplus(a).mean() + F.softplus(-b).mean(), F.softplus(-b).mean()),
        "D's labels are swapped: real examples carry 1, fakes 0 in D's loss.",
    ),
    (lambda a, b: losses_by_softplus(a, b)[::-1], "The losses come in the other order: D's first."),
    (
        lambda a, b: (losses_by_softplus(a, b)[0] / 2, losses_by_softplus(a, b)[1]),
        "D's loss is a sum of two means; here it is halved.",
    ),
]


def inspect_losses(fn: Answer) -> None:
    """Values and slopes at logits from -8 to 6, for unequal batches."""
    for real, fake in (([1.5, -0.7, 2.2], [-8.0, 0.4]), ([[6.0], [0.3]], [[-1.1], [0.9], [-8.0]])):
        came, right = (
            _slopes(f, torch.tensor(real), torch.tensor(fake)) for f in (fn, losses_by_softplus)
        )
        wrong: list[Wrong] = [
            (lambda f=f, a=real, b=fake: _slopes(f, torch.tensor(a), torch.tensor(b)), hint)
            for f, hint in _WRONG_LOSSES
        ]
        try:
            expect_close(
                came,
                right,
                "losses and slopes",
                wrong=wrong,
                hint="Write each term as label and sign first.",
            )
        except CheckFailed as failure:
            row = [f"losses {r[0]:.3f} and {r[len(r) // 2]:.3f}, slope of G's at logit -8: {_at_minus_8(r, fake):.4f}"
                   for r in (right, came)]  # fmt: skip
            raise CheckFailed(row[0], row[1], failure.hint) from None


def _slopes(fn: Any, real: Tensor, fake: Tensor) -> Tensor:
    leaves = [real.requires_grad_(), fake.requires_grad_()]
    pair = expect_pair(call(fn, *leaves), "(discriminator's loss, generator's loss)")
    for loss in pair:
        expect_tensor(loss, (), "a loss", hint="Take the mean over the batch.")
    return torch.cat([value_and_gradients(loss, leaves) for loss in pair])


def _at_minus_8(row: Tensor, fake: list) -> float:
    flat = torch.tensor(fake).flatten().tolist()
    return float(row[len(row) - len(flat) + flat.index(-8.0)])


@exercise(losses_by_softplus)
def gan_losses(fn: Answer) -> None:
    """Check ``gan_losses(real_logits, fake_logits)`` -> (discriminator's loss, generator's loss)."""
    inspect_losses(fn)
