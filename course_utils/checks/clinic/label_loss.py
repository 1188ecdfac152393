"""Exercise `label_loss`: cross-entropy against one label, for logits of any shape and float type."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.clinic.game import case
from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    expect_close,
    expect_tensor,
    require,
)


def _loss_by_softplus(logits: Tensor, label: float) -> Tensor:
    """The mean of ``label * -log D + (1 - label) * -log (1 - D)``."""
    return (label * F.softplus(-logits) + (1 - label) * F.softplus(logits)).mean()


_WHOLE = "`torch.full(..., 1)` takes its type from the 1: whole numbers. Labels are floats here."
_SHAPE = "The labels have another shape than the logits: `len(logits)` is the batch, not the shape."
_CUT = (
    "The logits' gradient was lost, by `.detach()` or by making them anew in another type: leave the logits as they "
    "are, and make the labels fit."
)
_SAYS = {
    "desired output type Long": _WHOLE,
    "expected Float": _WHOLE,
    "target size": _SHAPE,
    "Target size": _SHAPE,
    "require grad": _CUT,
    "out of range": "The logits may have any shape, (B,) too: make labels like them, and take no dimension away.",
}
_FLAT = (
    "The slope is wrong at a large logit: `sigmoid` first gives exactly 0 or 1 there, and what follows is flat or cut. "
    "`binary_cross_entropy_with_logits` takes the logits."
)
_WORKED = (
    "One logit of 2: label 1 costs log(1 + exp(-2)) = 0.127, label 0 log(1 + exp(2)) = 2.127, label 0.9 costs "
    "0.9 * 0.127 + 0.1 * 2.127 = 0.327. Then the mean over all logits."
)

_MISTAKES: list[Wrong] = [
    (
        lambda a, y: _loss_by_softplus(a, int(y)),
        "`int(label)` cuts 0.9 down to 0: soft labels are labels too.",
    ),
    (
        lambda a, y: _loss_by_softplus(a, round(y)),
        "`round(label)` makes 1 of 0.9: labels between 0 and 1 are meant as they are.",
    ),
    (lambda a, y: _loss_by_softplus(a, 1 - y), "This is the loss of the opposite label."),
    (
        lambda a, y: _loss_by_softplus(a, y) * a.numel(),
        "A sum grows with the batch: take the mean.",
    ),
    (
        lambda a, y: _loss_by_softplus(a.sigmoid(), y),
        "The loss applies the sigmoid itself: pass logits.",
    ),
]


@case(_loss_by_softplus)
def label_loss(fn: Answer) -> None:
    """Check ``label_loss(logits, label)``: logits of any shape and float type -> scalar of that type.

    Several shapes, types and labels; value, type and gradient.
    """
    cases = (
        (torch.tensor([1.5, -0.7, 2.2]), 1),
        (torch.tensor([[0.8], [-2.0]]), 0),
        (torch.tensor([0.4, -1.0], dtype=torch.float64).view(2, 1, 1, 1), 1),
        (torch.tensor([0.5, -1.5, 3.0, 0.25], dtype=torch.bfloat16), 0),
        (torch.tensor([[2.0]]), 0.9),
        (torch.tensor([-40.0, 1.0]), 1),
    )
    for logits, label in cases:
        mine = logits.clone().requires_grad_()
        what = f"the loss of logits {tuple(logits.shape)} {str(logits.dtype)[6:]} for label {label}"
        got = call(fn, mine, label, says=_SAYS)
        expect_tensor(got, (), what, hint="One number for all logits: the mean.")
        same = (
            "A fixed type fits one precision only. `torch.full_like(logits, label)` takes type, shape and device "
            "along."
        )
        typed = got.dtype == logits.dtype
        require(typed, f"{what}, in the type of the logits", f"dtype {got.dtype}", same)
        near = expect_close
        if logits.dtype == torch.bfloat16:
            near = partial(expect_close, atol=2e-2, rtol=2e-2)
        right, inputs = _loss_by_softplus(logits, label), (logits, label)
        near(got, right, what, inputs=inputs, wrong=_MISTAKES, hint=_WORKED)
        require(got.requires_grad, f"{what}, with a gradient", "a constant", _CUT)
        ours = logits.clone().requires_grad_()
        (right,) = torch.autograd.grad(_loss_by_softplus(ours, label), ours)
        (came,) = torch.autograd.grad(got, mine)
        near(came, right, f"the gradient of {what}", hint=_FLAT)
