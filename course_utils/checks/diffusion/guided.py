"""Exercise `guided`: classifier-free guidance, two velocities made one."""

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like, require


def _guided_by_lerp(with_label: Tensor, without: Tensor, scale: float) -> Tensor:
    return torch.lerp(without, with_label, float(scale))


_PAPER = (
    "This counts as the paper does, where w = 0 is already the class. Here scale 0 forgets the class, and scale 1 is "
    "the class alone: w = scale - 1."
)
_SWAPPED = "The two velocities are exchanged: scale 1 must give the one *with* the label."
_AWAY = (
    "This walks away from the class: its weight is negative. Are the two velocities exchanged, and does scale 1 give "
    "the class alone?"
)
_SUM = "At scale 0 the velocity without label must come out, at scale 1 that with it: weights of a line add up to 1."

_MISTAKES: list[Wrong] = [
    (lambda c, u, s: (1 + s) * c - s * u, _PAPER),
    (
        lambda c, u, s: (2 + s) * c - (1 + s) * u,
        "The conventions are converted the wrong way round: the paper's w is scale - 1, not scale + 1.",
    ),
    (lambda c, u, s: c + s * (u - c), _SWAPPED),
    (lambda c, u, s: (1 + s) * u - s * c, _AWAY),
    (
        lambda c, u, s: s * (c - u),
        "Only the difference is left: it is added to something. What must come out at scale 0?",
    ),
    (lambda c, u, s: s * c, "The velocity without label has no part in it: at scale 0 it is all."),
    (
        lambda c, u, s: u + min(max(s, 0.0), 1.0) * (c - u),
        "The scale was kept within 0 and 1: guidance goes beyond.",
    ),
    (
        lambda c, u, s: u + min(s, 1.0) * (c - u),
        "The scale was kept within 0 and 1: guidance goes beyond.",
    ),
    (lambda c, u, s: c, "The scale has no effect: this is the velocity with the label."),
    (lambda c, u, s: u, "The scale has no effect: this is the velocity without a label."),
    (lambda c, u, s: (c + u) / 2, "The scale has no effect: this is the mean of the two."),
    (lambda c, u, s: u + s * c, _SUM),
    (lambda c, u, s: c + s * u, _SUM),
    (lambda c, u, s: (u + s * c) / (1 + s), _SUM),
    (lambda c, u, s: (c + s * u) / (1 + s), _SUM),
    (
        lambda c, u, s: (u + s * (c - u)) * (c.norm() / (u + s * (c - u)).norm()),
        "The length was changed afterwards: here guidance is the straight line alone.",
    ),
]
_WORKED = "One number: without 1, with the label 3. Scale 0, 1 and 2 give 1, 3 and 5."
_SHAPE = "The result has the shape of both velocities."


@exercise(_guided_by_lerp)
def guided(fn: Answer) -> None:
    """Check ``guided(with_label, without, scale)``: two tensors (B, ...) and a number -> (B, ...)."""
    for shape, scale in (
        ((4, 3, 5, 5), 0.3),
        ((4, 3, 5, 5), 3.0),
        ((6, 2), 1.7),
        ((1, 2), 8),
        ((2, 3, 4), 0),
        ((2, 3, 4), 1),
        ((3, 2), 0.0),
        ((3, 2), 1.0),
    ):
        inputs = (torch.randn(shape), torch.randn(shape), scale)
        what = f"the velocity at scale {scale}"
        with torch.no_grad():
            got = call(fn, *inputs)
        real = "Both velocities are real: which step made the result complex?"
        complex_ = isinstance(got, Tensor) and got.is_complex()
        require(not complex_, f"{what}, real numbers", "complex numbers", real)
        expected = _guided_by_lerp(*inputs)
        expect_like(
            got,
            expected,
            what,
            inputs=inputs,
            wrong=_MISTAKES,
            shape=_SHAPE,
            hint=_WORKED,
            atol=1e-5,
        )
