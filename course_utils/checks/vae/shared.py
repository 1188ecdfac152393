"""What several checks of this lesson share."""

from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, expect_close, expect_tensor, require

_FULL = "There is one number for each image of the batch: what is summed away, and what is kept?"


def _per_image(
    fn: Answer, inputs: tuple[Tensor, ...], expected: Tensor, what: str, wrong: list[Wrong]
) -> None:
    """Require (B,) values; a mistake that changes the shape as well is named before the shape is."""
    got = call(fn, *inputs)
    if type(got) is Tensor and got.shape != expected.shape:
        expect_close(got, expected, what, inputs=inputs, wrong=wrong, hint=_FULL)
    expect_tensor(got, expected.shape, what, hint=_FULL)
    expect_close(got, expected, what, inputs=inputs, wrong=wrong)


def _expect_gradient(got: Tensor, expected: Tensor, leaves: dict[str, Tensor], cut: str) -> None:
    """Require the same gradients as the reference's result: a right number with a cut graph trains nothing."""
    require(
        type(got) is Tensor and got.requires_grad,
        "a result that gradients can pass",
        "a graph that is cut",
        cut,
    )
    weights = torch.linspace(0.5, 1.5, expected.numel()).reshape(expected.shape)
    ours = torch.autograd.grad((expected * weights).sum(), list(leaves.values()))
    theirs = torch.autograd.grad((got * weights).sum(), list(leaves.values()), allow_unused=True)
    for name, mine, other in zip(leaves, ours, theirs, strict=True):
        require(other is not None, f"a gradient that reaches {name}", "none", cut)
        expect_close(other, mine, f"the gradient with respect to {name}", hint=cut)


def _gradient_case(
    fn: Answer, reference: Callable[[Tensor, Tensor], Tensor], mean: Tensor, log_var: Tensor
) -> None:
    leaves = {"mean": mean.requires_grad_(), "log_var": log_var.requires_grad_()}
    cut = "The number is right, its gradient is not: `.detach()`, `.item()` and `torch.no_grad` cut the path."
    _expect_gradient(call(fn, mean, log_var), reference(mean, log_var), leaves, cut)
