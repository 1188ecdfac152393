"""What the checks of scores that are one number share."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, expect_close, expect_number, require

_ONE = "One number is asked for, with nothing around it: what is still to be added up or averaged?"


def expect_score(
    fn: Answer,
    inputs: tuple[Any, ...],
    expected: float,
    what: str,
    wrong: Sequence[Wrong] = (),
    hint: str = "Compare with the formula term by term on the smallest example.",
    atol: float = 1e-6,
    says: Mapping[str, str] | None = None,
) -> None:
    """Require one number of any kind near the expected one, within 0.1 % or ``atol``; ``says`` goes to `call`."""
    got = call(fn, *inputs, says=says)
    dtype = str(getattr(got, "dtype", type(got).__name__))
    unreal = (
        "A root came out complex. Take it of something symmetric, or keep the real part (`.real`)."
    )
    require("complex" not in dtype, f"{what}: a real number", f"something of type {dtype}", unreal)
    table = isinstance(got, Tensor | np.ndarray) and got.ndim > 0
    several = table or isinstance(got, tuple | list)
    near = partial(expect_close, inputs=inputs, wrong=wrong, rtol=1e-3, atol=atol)
    near(got, expected, what, hint=_ONE if several else hint)
    expect_number(got, what)
