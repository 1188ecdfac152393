"""The exercise `label_loss`: its reference, the mistakes that learners make in it, and its check."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.clinic.shared import call_in_words
from course_utils.checks.core import Answer, Wrong, exercise, expect_close, expect_tensor, require


def loss_by_softplus(logits: Tensor, label: float) -> Tensor:
    """The reference: label * -log D + (1 - label) * -log (1 - D), mean over all."""
    return (label * F.softplus(-logits) + (1 - label) * F.softplus(logits)).mean()


_LABELS = {
    "desired output type Long": "`torch.full(..., 1)` takes its type from the 1: whole numbers. Labels "
    "are floats here.",
    "expected Float": "`torch.full(..., 1)` takes its type from the 1: whole numbers. Labels are floats here.",
    "target size": "The labels have another shape than the logits: `len(logits)` is the batch, not the shape.",
    "Target size": "The labels have another shape than the logits: `len(logits)` is the batch, not the shape.",
    "require grad": "The logits were turned into another type, and their gradient was lost: change the labels instead.",
}


_WRONG_LABELS: list[Wrong] = [
    (
        lambda a, y: loss_by_softplus(a, int(y)),
        "`int(label)` cuts 0.9 down to 0: soft labels are labels too.",
    ),
    (lambda a, y: loss_by_softplus(a, 1 - y), "This is the loss of the opposite label."),
    (lambda a, y: loss_by_softplus(a, y) * a.numel(), "A sum grows with the batch: take the mean."),
    (
        lambda a, y: loss_by_softplus(a.sigmoid(), y),
        "The loss applies the sigmoid itself: pass logits.",
    ),
]


def inspect_label_loss(fn: Answer) -> None:
    """Several shapes, types and labels; value, type and gradient."""
    cases = (
        (torch.tensor([1.5, -0.7, 2.2]), 1),
        (torch.tensor([[0.8], [-2.0]]), 0),
        (torch.tensor([0.4, -1.0], dtype=torch.float64).view(2, 1, 1, 1), 1),
        (torch.tensor([0.5, -1.5, 3.0, 0.25], dtype=torch.bfloat16), 0),
        (torch.tensor([[2.0]]), 0.9),
    )
    for logits, label in cases:
        mine = logits.clone().requires_grad_()
        what = f"the loss of logits {tuple(logits.shape)} {str(logits.dtype)[6:]} for label {label}"
        got = call_in_words(fn, mine, label, says=_LABELS)
        expect_tensor(got, (), what, hint="One number for all logits: the mean.")
        same = "A fixed type fits one precision only. `torch.full_like(logits, label)` takes type and shape along."
        require(
            got.dtype == logits.dtype,
            f"{what}, in the type of the logits",
            f"dtype {got.dtype}",
            same,
        )
        loose = {"atol": 2e-2, "rtol": 2e-2} if logits.dtype == torch.bfloat16 else {}
        expect_close(
            got,
            loss_by_softplus(logits, label),
            what,
            inputs=(logits, label),
            wrong=_WRONG_LABELS,
            **loose,
        )
        require(
            got.requires_grad, f"{what}, with a gradient", "a constant", _LABELS["require grad"]
        )
        ours = logits.clone().requires_grad_()
        right, came = (
            torch.autograd.grad(f, x)[0]
            for f, x in ((loss_by_softplus(ours, label), ours), (got, mine))
        )
        expect_close(came, right, f"the gradient of {what}", **loose)


@exercise(loss_by_softplus)
def label_loss(fn: Answer) -> None:
    """Check ``label_loss(logits, label)``: logits of any shape and float type -> scalar of that type."""
    inspect_label_loss(fn)
