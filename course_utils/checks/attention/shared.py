"""What several checks of this lesson share."""

import torch
from torch import Tensor

from course_utils.checks.core import Answer, call, expect_close, expect_tensor, require

_CUT = "The number is right, its gradient is not: `.detach()`, `.item()` and `torch.no_grad` cut the path."


def _expect_gradient(got: Tensor, expected: Tensor, leaves: dict[str, Tensor]) -> None:
    """Require the same gradients as the reference's result: a right number with a cut graph trains nothing."""
    require(
        type(got) is Tensor and got.requires_grad,
        "a result that gradients can pass",
        "a graph that is cut",
        _CUT,
    )
    weights = torch.linspace(0.5, 1.5, expected.numel()).reshape(expected.shape)
    ours = torch.autograd.grad((expected * weights).sum(), list(leaves.values()))
    theirs = torch.autograd.grad((got * weights).sum(), list(leaves.values()), allow_unused=True)
    for name, mine, other in zip(leaves, ours, theirs, strict=True):
        require(other is not None, f"a gradient that reaches {name}", "none", _CUT)
        expect_close(other, mine, f"the gradient with respect to {name}", hint=_CUT)


def _heads_case(
    fn: Answer, inputs: tuple[object, ...], expected: Tensor, what: str, wrong: list
) -> None:
    got = call(fn, *inputs)
    shape = f"Follow the shape to {tuple(expected.shape)}: which dimension is cut or joined, which two change places?"
    if type(got) is Tensor and got.shape != expected.shape:
        expect_close(got, expected, what, inputs=inputs, wrong=wrong, hint=shape)
    expect_tensor(got, expected.shape, what, expected.dtype, hint=shape)
    numbers = "The shape is right, but numbers stand in other places: head h has the h-th run of columns of a token."
    expect_close(got, expected, what, inputs=inputs, wrong=wrong, hint=numbers)
