"""What the checks of the clinic share: error messages translated, and answers compared with a list of wrong fixes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.checks import Answer, CheckFailed, Wrong, call, expect_close, require

ZERO_LOG_ZERO = "0 log 0 is NaN on a computer and counts as 0 here: `torch.xlogy(p, p)` knows that, `log` does not."


def is_nan(answer: Any) -> bool:
    """Whether an answer is a single NaN."""
    return (
        isinstance(answer, float | Tensor)
        and torch.as_tensor(answer).numel() == 1
        and bool(torch.isnan(torch.as_tensor(answer)))
    )


def call_in_words(
    fn: Answer,
    *args: Any,
    says: Mapping[str, str],
    may_change: Sequence[Any] = (),
    returns: bool = True,
) -> Any:
    """`call`, with the hint of ``says`` whose key occurs in the message of the error that stopped ``fn``."""
    try:
        return call(fn, *args, may_change=may_change, returns=returns)
    except CheckFailed as failure:
        named = next((hint for words, hint in says.items() if words in failure.got), failure.hint)
        raise CheckFailed(failure.expected, failure.got, named) from None


def expect_pair(result: Any, what: str) -> tuple[Any, Any]:
    """Require a tuple or list of two and return both."""
    require(
        type(result) in (tuple, list) and len(result) == 2,
        what,
        result,
        "Return both, as a tuple: `return a, b`.",
    )
    return result[0], result[1]


def expect_row(
    answer: Any, right: Answer, inputs: tuple, what: str, wrong: Sequence[Wrong], **close: Any
) -> None:
    """`expect_close` against a function: ``right(*inputs)`` is what is expected."""
    expect_close(answer, right(*inputs), what, inputs=inputs, wrong=wrong, **close)


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
