"""Exercise `squared_error`: predictions of shape (B, 1) against targets of shape (B,)."""

import torch
from torch import Tensor

from course_utils.checks.clinic.game import case
from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    expect_close,
    expect_gradient,
    expect_number,
)


def _error_by_dot(prediction: Tensor, target: Tensor) -> Tensor:
    gap = prediction.reshape(-1) - target.reshape(-1)
    return gap.dot(gap) / len(gap)


_MISTAKES: list[Wrong] = [
    (
        lambda p, t: (p.reshape(-1, 1) - t.reshape(-1)).square().mean(),
        "Still a table: the mean runs over B times B differences. Print the shape of the difference.",
    ),
    (
        lambda p, t: (p.reshape(-1) - t.reshape(-1)).square().sum(),
        "This is the sum: it grows with the batch, and with it the steps. Take the mean.",
    ),
    (
        lambda p, t: (p.reshape(-1) - t.reshape(-1)).abs().mean(),
        "Absolute differences are another loss: this one squares.",
    ),
    (
        lambda p, t: (p.reshape(-1) - t.reshape(-1)).mean().square(),
        "Squares first, then the mean: here differences of both signs cancel.",
    ),
    (
        lambda p, t: (p.reshape(-1) - t.reshape(-1)).square().mean().sqrt(),
        "This is the root of it: asked for is the mean square.",
    ),
    (
        lambda p, t: (p.reshape(-1) - t.reshape(-1)).square().mean() / 2,
        "This is half of it: no factor ½ here.",
    ),
    (
        lambda p, t: (p.mean() - t).square().mean(),
        "The mean prediction is compared: each one against its own target.",
    ),
]
_WORKED = (
    "Two rows: predictions 1 and 4, targets 3 and 3. The differences are -2 and 1, so the loss is (4 + 1) / 2 = "
    "2.5."
)
_GRADIENT = "The number is right and its gradient is not: the loss must be computed from the prediction itself."


@case(_error_by_dot)
def squared_error(fn: Answer) -> None:
    """Check ``squared_error(prediction, target)``: mean squared error, for (B, 1) or (B,) against (B,).

    Several sizes, one example alone, and the gradient.
    """
    for shape in ((5, 1), (5,), (1, 1), (7, 1)):
        prediction = torch.randn(shape, requires_grad=True)
        target = 8 * torch.randn(shape[0])
        expected = _error_by_dot(prediction, target)
        came = call(fn, prediction, target)
        expect_number(came, "a loss")
        what = f"the loss of predictions {tuple(shape)} against targets ({shape[0]},)"
        expect_close(
            came, expected, what, inputs=(prediction, target), wrong=_MISTAKES, hint=_WORKED
        )
        expect_gradient(came, expected, {"the prediction": prediction}, _GRADIENT)
