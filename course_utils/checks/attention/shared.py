"""What the checks of `split_heads` and `merge_heads` share."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, expect_like


def expect_heads(
    fn: Answer, inputs: tuple[Any, ...], expected: Tensor, what: str, wrong: Sequence[Wrong]
) -> None:
    """Require every number of the expected tensor in its place."""
    shape = f"Follow the shape to {tuple(expected.shape)}: which dimension is cut or joined, which two change places?"
    places = "The shape is right, but numbers stand in other places: head h has the h-th run of columns of a token."
    expect_like(
        call(fn, *inputs),
        expected,
        what,
        inputs=inputs,
        wrong=wrong,
        shape=shape,
        dtype=expected.dtype,
        hint=places,
    )
