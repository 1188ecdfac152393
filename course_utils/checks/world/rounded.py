"""Exercise `rounded`: a matrix in few bits, with a step of its own for each row."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like, require


def _by_fake_quantization(matrix: Tensor, bits: int) -> Tensor:
    """PyTorch's own function for it."""
    most = 2 ** (bits - 1) - 1
    step = matrix.abs().amax(dim=1).clamp_min(1e-12) / most
    zero = torch.zeros_like(step, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(matrix, step, zero, 0, -most, most)


def _with(
    step: Callable[[Tensor, int], Tensor], rounding: Callable[[Tensor], Tensor] = torch.round
) -> Answer:
    """A mistake in the step, or in what makes whole numbers."""
    return lambda matrix, bits: rounding(matrix / step(matrix, bits)) * step(matrix, bits)


def _most(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _step(matrix: Tensor, bits: int) -> Tensor:
    return matrix.abs().amax(dim=1, keepdim=True) / _most(bits)


def _largest(matrix: Tensor) -> Tensor:
    return matrix.abs().amax(dim=1, keepdim=True)


_ROWS = (
    "Each row has its own step, (R, 1): the largest entry is sought along dim=1, with keepdim=True."
)
_SIGN = "One bit is for the sign: b bits hold whole numbers from -(2^(b-1) - 1) to 2^(b-1) - 1, so 8 bits end at 127."
_NEAREST = (
    "Round to the *nearest* whole number (`round`): cutting off makes the error twice as large."
)
_SIZE = "The largest entry in *size*: -5 is larger than 3 here. Take `.abs()` first."
_ZERO = (
    "A row of zeros has the step 0, and 0 / 0 is no number: keep the step above 0 (`clamp_min`)."
)

_RANGE = "The steps begin at the smallest entry: 0 is no whole number of them any more. They begin at 0, to both sides."


def _from_the_smallest(matrix: Tensor, bits: int, **of_rows: Any) -> Tensor:
    low, high = matrix.amin(**of_rows), matrix.amax(**of_rows)
    step = (high - low) / (2**bits - 1)
    return ((matrix - low) / step).round() * step + low


_MISTAKES: list[Wrong] = [
    (_from_the_smallest, _RANGE),
    (lambda m, bits: _from_the_smallest(m, bits, dim=1, keepdim=True), _RANGE),
    (_with(lambda m, bits: m.abs().max() / _most(bits)), f"One step for all rows. {_ROWS}"),
    (
        _with(lambda m, bits: m.abs().amax(dim=0, keepdim=True) / _most(bits)),
        f"Each column got a step. {_ROWS}",
    ),
    (_with(lambda m, bits: _largest(m) / (2**bits - 1)), _SIGN),
    (_with(lambda m, bits: _largest(m) / 2**bits), _SIGN),
    (_with(lambda m, bits: _largest(m) / 2 ** (bits - 1)), _SIGN),
    (_with(lambda m, bits: _largest(m) / (2 ** (bits - 1) + 1)), _SIGN),
    (_with(lambda m, bits: _largest(m) / (2 ** (bits - 1) - 2)), _SIGN),
    (_with(lambda m, bits: _largest(m) / (2 ** (bits + 1) - 1)), _SIGN),
    (_with(lambda m, bits: _largest(m) / bits), _SIGN),
    (_with(lambda m, bits: m.amax(dim=1, keepdim=True) / _most(bits)), _SIZE),
    (_with(lambda m, bits: m.amax(dim=1, keepdim=True).abs() / _most(bits)), _SIZE),
    (_with(lambda m, bits: -m.amin(dim=1, keepdim=True) / _most(bits)), _SIZE),
    (
        _with(lambda m, bits: m.abs().mean(dim=1, keepdim=True) / _most(bits)),
        "The step comes from the row's largest entry, not from the mean.",
    ),
    (
        _with(lambda m, bits: m.norm(dim=1, keepdim=True) / _most(bits)),
        "The step comes from the row's largest entry, not from its length.",
    ),
    (_with(_step, torch.floor), _NEAREST),
    (_with(_step, torch.trunc), _NEAREST),
    (_with(_step, torch.ceil), _NEAREST),
    (
        lambda m, bits: (m / _step(m, bits)).round(),
        "Those are the whole numbers. Times the step they become weights again.",
    ),
    (
        lambda m, bits: (m / _step(m, bits)).round() / _step(m, bits),
        "The whole numbers are multiplied by the step, not divided by it.",
    ),
    (
        lambda m, bits: (m / _largest(m)).round() * _largest(m),
        "Divided by the largest entry alone: the step is that entry over the largest whole number.",
    ),
    (
        lambda m, bits: (m / _largest(m) * _most(bits)).round() / _most(bits),
        "Not scaled back: the whole numbers are multiplied by the step, the largest entry included.",
    ),
    (lambda m, bits: m.round(), "That rounds to whole numbers, and not to whole numbers of steps."),
    (lambda m, bits: m, "Nothing was rounded."),
]


_WORKED = (
    "One row, (-8, 3) in 4 bits: the largest whole number is 7, the step 8 / 7 = 1.143. The entries are -7 and 2.625 "
    "steps, rounded -7 and 3: back come -8 and 3.43."
)


@exercise(_by_fake_quantization)
def rounded(fn: Answer) -> None:
    """Check ``rounded(matrix, bits)`` -> (R, C) float32.

    Each row of the (R, C) float32 matrix has a step: its largest entry in size, over the largest whole number of
    ``bits`` bits with one for the sign. Each entry becomes a whole number of steps; a row of zeros stays one.
    """
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(4, 9, generator=random) * torch.tensor([[0.2], [1.0], [3.0], [20.0]])
    rows[0, 4], rows[1, 2], rows[2, 7], rows[3, 0] = -0.7, 2.9, -8.0, 61.0
    _expect(fn, rows, 4, "four rows in 4 bits")
    _expect(fn, rows[:3] / 10, 3, "three rows in 3 bits")
    _expect(fn, rows, 8, "four rows in 8 bits")
    _expect(fn, rows[1:2], 2, "one row in 2 bits")
    empty = torch.cat([rows[:1], torch.zeros(1, 9)])
    came = call(fn, empty, 4)
    finite = type(came) is Tensor and bool(came.isfinite().all())
    require(finite, "finite numbers where a row holds zeros alone", came, _ZERO)
    _expect(fn, empty, 4, "a row, and one of zeros, in 4 bits")


def _expect(fn: Answer, matrix: Tensor, bits: int, what: str) -> None:
    inputs = (matrix, bits)
    expect_like(
        call(fn, *inputs),
        _by_fake_quantization(*inputs),
        what,
        inputs=inputs,
        wrong=_MISTAKES,
        shape="Every entry stays in its place: the result is as large as the matrix.",
        hint=_WORKED,
    )
