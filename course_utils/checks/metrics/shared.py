"""What several checks of this lesson share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    expect_close,
    expect_number,
    require,
)

_ONE = "One number is asked for, with nothing around it: what is still to be added up or averaged?"


def _number_case(
    fn: Answer,
    inputs: tuple[Any, ...],
    expected: float,
    what: str,
    wrong: Sequence[Wrong] = (),
    hint: str = "Compare with the formula term by term on the smallest example.",
    rtol: float = 1e-3,
    atol: float = 1e-6,
) -> None:
    """Require one number of any kind near the expected one."""
    got = call(fn, *inputs)
    dtype = str(getattr(got, "dtype", type(got).__name__))
    unreal = (
        "A root came out complex. Take it of something symmetric, or keep the real part (`.real`)."
    )
    require("complex" not in dtype, f"{what}: a real number", f"something of type {dtype}", unreal)
    several = isinstance(got, tuple | list) or (
        isinstance(got, Tensor | np.ndarray) and got.ndim > 0
    )
    expect_close(
        got,
        expected,
        what,
        inputs=inputs,
        wrong=wrong,
        hint=_ONE if several else hint,
        rtol=rtol,
        atol=atol,
    )
    expect_number(got, what)


def _special_case(
    fn: Answer, inputs: tuple[Any, ...], expected: float, what: str, hint: str, atol: float = 1e-6
) -> None:
    """A case that only one mistake fails on, be it by a wrong number, NaN or an error: always the same hint."""
    try:
        _number_case(fn, inputs, expected, what, atol=atol)
    except CheckFailed as failure:
        raise CheckFailed(failure.expected, failure.got, hint) from None
