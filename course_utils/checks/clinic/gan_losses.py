"""Exercise `gan_losses`: losses of both players, where the patient trains its generator to be caught."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.clinic.game import case
from course_utils.checks.clinic.shared import expect_pair
from course_utils.checks.core import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    expect_close,
    expect_tensor,
    require,
)

Losses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _losses_by_softplus(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()


_MISTAKES: list[tuple[Losses, str]] = [
    (
        lambda a, b: (_losses_by_softplus(a, b)[0], F.softplus(b).mean()),
        "Unchanged: the generator's label is *fake*, so it is trained to be caught. What should D say, in G's "
        "wishes?",
    ),
    (
        lambda a, b: (_losses_by_softplus(a, b)[0], -F.softplus(b).mean()),
        "Right direction, wrong loss: this is the saturating log(1 - D), whose slope at logit -8 is 0.0003. "
        "Nobody who is caught learns from it; the label 1 gives a slope near -1.",
    ),
    (
        lambda a, b: (_losses_by_softplus(a, b)[0], -F.softplus(-b).mean()),
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
    (
        lambda a, b: (
            _losses_by_softplus(a, b)[0],
            F.softplus(-b).mean() + F.softplus(a).mean(),
        ),
        "G's loss looks at the real logits as well, which G cannot move: only the fakes count for it.",
    ),
    *[
        (
            lambda a, b, y=y: (
                _losses_by_softplus(a, b)[0] + (1 - y) * a.mean(),
                _losses_by_softplus(a, b)[1],
            ),
            "D's label for real examples is 1 here, not a softer one.",
        )
        for y in (0.9, 0.95, 0.8)
    ],
    (
        lambda a, b: _losses_by_softplus(a, b)[::-1],
        "The losses come in the other order: D's first.",
    ),
    (
        lambda a, b: (_losses_by_softplus(a, b)[0] / 2, _losses_by_softplus(a, b)[1]),
        "D's loss is a sum of two means; here it is halved.",
    ),
    (
        lambda a, b: (
            (F.softplus(-a).sum() + F.softplus(b).sum()) / (a.numel() + b.numel()),
            _losses_by_softplus(a, b)[1],
        ),
        "All examples are in one mean: D's loss is the sum of *two* means, of real and of fake.",
    ),
    (
        lambda a, b: (F.softplus(-a).sum() + F.softplus(b).sum(), F.softplus(-b).sum()),
        "Sums grow with the batch: take means.",
    ),
    (
        lambda a, b: (_losses_by_softplus(a, b)[0], -_losses_by_softplus(a, b)[0]),
        "This is D's loss with a minus: right direction, and hardly any slope where D is sure. Only the label 1 for "
        "fakes gives a slope near -1.",
    ),
    (
        lambda a, b: (_losses_by_softplus(a, b)[0], F.softplus(-b.detach()).mean()),
        "The numbers are right, and no slope reaches the fakes. A step detaches, in D's half; a loss never does.",
    ),
]


_OVERFLOW = (
    "At logits of ±200 a sigmoid gives exactly 0 or 1, and the logarithm of 0 is infinite: `label_loss` takes the "
    "logits as they are."
)
_WORKED = (
    "One logit each, real 2 and fake -1: D's loss is softplus(-2) + softplus(-1) = 0.127 + 0.313 = 0.440, G's with the "
    "label 1 softplus(1) = 1.313."
)


@case(_losses_by_softplus)
def gan_losses(fn: Answer) -> None:
    """Check ``gan_losses(real_logits, fake_logits)`` -> (discriminator's loss, generator's loss).

    Values and slopes at logits from -8 to 6, for unequal batches.
    """
    for real, fake in (([1.5, -0.7, 2.2], [-8.0, 0.4]), ([[6.0], [0.3]], [[-1.1], [0.9], [-8.0]])):
        came = _slopes(fn, torch.tensor(real), torch.tensor(fake))
        right = _slopes(_losses_by_softplus, torch.tensor(real), torch.tensor(fake))
        wrong: list[Wrong] = [
            (lambda f=f, a=real, b=fake: _slopes(f, torch.tensor(a), torch.tensor(b)), hint)
            for f, hint in _MISTAKES
        ]
        try:
            expect_close(came, right, "losses and slopes", wrong=wrong, hint=_WORKED)
        except CheckFailed as failure:
            raise CheckFailed(_words(right, fake), _words(came, fake), failure.hint) from None
    large = torch.tensor([200.0, -200.0])
    for loss in expect_pair(call(fn, large, -large), "both losses"):
        require(bool(loss.isfinite()), "finite losses at logits of ±200", loss, _OVERFLOW)


def _value_and_gradients(loss: Any, leaves: Sequence[Tensor]) -> Tensor:
    """A scalar loss and its gradients in the leaves, as one flat float64 row; zeros where a leaf is not reached."""
    gradients: Sequence[Tensor | None] = [None] * len(leaves)
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=True)
    pairs = zip(leaves, gradients, strict=True)
    filled = [torch.zeros_like(x) if g is None else g for x, g in pairs]
    return torch.cat([loss.detach().reshape(1).double(), *(g.flatten().double() for g in filled)])


def _slopes(fn: Any, real: Tensor, fake: Tensor) -> Tensor:
    leaves = [real.requires_grad_(), fake.requires_grad_()]
    pair = expect_pair(call(fn, *leaves), "(discriminator's loss, generator's loss)")
    for loss in pair:
        expect_tensor(loss, (), "a loss", hint="Take the mean over the batch.")
    return torch.cat([_value_and_gradients(loss, leaves) for loss in pair])


def _words(row: Tensor, fake: list) -> str:
    """What `_slopes` found, for a message."""
    flat = torch.tensor(fake).flatten().tolist()
    slope = row[len(row) - len(flat) + flat.index(-8.0)]
    return (
        f"losses {row[0]:.3f} and {row[len(row) // 2]:.3f}, slope of G's at logit -8: {slope:.4f}"
    )
