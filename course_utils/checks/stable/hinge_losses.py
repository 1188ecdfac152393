"""Exercise `hinge_losses`: the game whose discriminator stops at a margin of 1."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, exercise
from course_utils.checks.stable.shared import expect_losses


def _losses_by_minimum(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """As arXiv 1802.05957 writes them (its eq. 16 and 17, with the signs of a loss)."""
    zero = torch.zeros(())
    of_real = -torch.minimum(zero, -1 + real_logits).mean()
    of_fake = -torch.minimum(zero, -1 - fake_logits).mean()
    return of_real + of_fake, -fake_logits.mean()


def _d(real: Tensor, fake: Tensor) -> Tensor:
    return _losses_by_minimum(real, fake)[0]


def _g(real: Tensor, fake: Tensor) -> Tensor:
    return _losses_by_minimum(real, fake)[1]


_SIGN = (
    "A sign: D wants real logits above +1, so relu(1 - real) counts what is missing; fakes it wants below -1, so "
    "relu(1 + fake)."
)
_RELU_IN_G = (
    "G's loss has no ReLU: a fake that is already called real would push no more, and one beyond the margin must "
    "still be pulled. It is minus the mean logit."
)
_MARGIN = "The margin is 1: real logits count until they reach +1, fakes until they reach -1."

_MISTAKES: list[Wrong] = [
    (
        lambda r, f: (torch.cat([F.relu(1 - r), F.relu(1 - f)]).mean(), None),
        "Two things in one line: fakes belong *below* -1, so they count relu(1 + fake), and each batch has a mean of "
        "its own.",
    ),
    (
        lambda r, f: (_g(r, f), _d(r, f)),
        "The two losses are exchanged: the discriminator's comes first.",
    ),
    (lambda r, f: (F.relu(1 + r).mean() + F.relu(1 - f).mean(), None), _SIGN),
    (lambda r, f: (F.relu(1 - r).mean() + F.relu(1 - f).mean(), None), _SIGN),
    (lambda r, f: (F.relu(r - 1).mean() + F.relu(f + 1).mean(), None), _SIGN),
    (lambda r, f: (F.relu(r - 1).mean() + F.relu(-f - 1).mean(), None), _SIGN),
    (lambda r, f: (-_d(r, f), None), "The sign is wrong: both losses are minimised."),
    (lambda r, f: (None, F.relu(1 - f).mean()), _RELU_IN_G),
    (lambda r, f: (None, F.relu(-f).mean()), _RELU_IN_G),
    (lambda r, f: (None, F.relu(-f - 1).mean()), _RELU_IN_G),
    (lambda r, f: (None, F.relu(-f - 4).mean()), _RELU_IN_G),
    (lambda r, f: (None, -F.relu(f).mean()), _RELU_IN_G),
    (lambda r, f: (None, -F.relu(1 + f).mean()), _RELU_IN_G),
    (
        lambda r, f: (torch.cat([F.relu(1 - r), F.relu(1 + f)]).mean(), -torch.cat([r, f]).mean()),
        "One mean over the joined batch: D's loss is the *sum of two means*, each over its own batch.",
    ),
    (
        lambda r, f: (_d(r, f) / 2, _g(r, f) / 2),
        "Half of it: D's loss is the sum of two means, not their mean.",
    ),
    (
        lambda r, f: (F.relu(1 - r).sum() + F.relu(1 + f).sum(), -f.sum()),
        "A sum grows with the batch, and with it the step: take means.",
    ),
    (
        lambda r, f: (F.relu(1 - r.mean()) + F.relu(1 + f.mean()), -f.mean()),
        "The ReLU of a mean: a logit far beyond the margin then pays for one that is on the wrong side. ReLU first.",
    ),
    (
        lambda r, f: (f.mean() - r.mean(), -f.mean()),
        "This is the Wasserstein game: without the ReLU, D never has enough, and its logits run away.",
    ),
    (
        lambda r, f: ((1 - r).mean() + (1 + f).mean(), -f.mean()),
        "This is the Wasserstein game: without the ReLU, D never has enough, and its logits run away.",
    ),
    (lambda r, f: (F.relu(-r).mean() + F.relu(f).mean(), -f.mean()), _MARGIN),
    (lambda r, f: (F.relu(0.5 - r).mean() + F.relu(0.5 + f).mean(), -f.mean()), _MARGIN),
    (
        lambda r, f: (F.relu(1 - r).square().mean() + F.relu(1 + f).square().mean(), -f.mean()),
        "Squared: the hinge counts what is missing, not its square.",
    ),
    (
        lambda r, f: (F.softplus(-r).mean() + F.softplus(f).mean(), F.softplus(-f).mean()),
        "These are the losses of lesson 1, with softplus: the hinge has a corner, and is 0 beyond it.",
    ),
    (
        lambda r, f: (_d(r.sigmoid(), f.sigmoid()), -f.sigmoid().mean()),
        "The sigmoids are too much: the margin is one of logits.",
    ),
    (lambda r, f: (F.relu(1 - r).mean(), _g(r, f)), "Only the real logits count in D's loss."),
    (lambda r, f: (F.relu(1 + f).mean(), _g(r, f)), "Only the fake logits count in D's loss."),
    (
        lambda r, f: (_d(r, f), f.mean()),
        "G's sign: minimising this *lowers* D's opinion of the fakes.",
    ),
    (
        lambda r, f: (_d(r, f), -_d(r, f)),
        "G's loss is not minus D's: the real logits and the ReLU are D's.",
    ),
]
_WORKED = (
    "One number each: a real logit of 0.3 lacks 0.7 to the margin, a fake of -0.4 lacks 0.6: D's loss is 1.3, and "
    "G's is 0.4."
)


@exercise(_losses_by_minimum)
def hinge_losses(fn: Answer) -> None:
    """Check ``hinge_losses(real_logits, fake_logits)``: two scalars; the batches may differ in size."""
    batches = (
        (torch.tensor([1.5, -0.7, 2.2, 0.4, -3.0]), torch.tensor([-4.7, 0.9, -2.6])),
        (torch.tensor([0.8]), torch.tensor([0.3, -2.0, -0.1, 0.6])),
        (torch.tensor([200.0, 3.0]), torch.tensor([-200.0, -5.0])),  # all beyond the margin
        (torch.tensor([-200.0, -3.0]), torch.tensor([200.0, 5.0])),
    )
    for inputs in batches:
        expect_losses(fn, _losses_by_minimum, inputs, _MISTAKES, _WORKED)
