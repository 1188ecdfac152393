"""Exercise `from_velocity`: the mean clean picture, the mean noise and the score that a velocity stands for."""

from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_tensor,
    require,
)
from course_utils.checks.diffusion.shared import as_column


def _by_two_equations(x: Tensor, t: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``x = (1 - t) noise + t clean`` and ``velocity = clean - noise``, solved as a linear system for each row."""
    s, one = t.double(), torch.ones_like(t, dtype=torch.float64)
    rows = torch.stack([s, one - s, one, -one], dim=1).unflatten(1, (2, 2))  # (B, 2, 2)
    known = torch.stack([x.flatten(1), velocity.flatten(1)], dim=1).double()  # (B, 2, D)
    found = torch.linalg.solve(rows, known)
    clean, noise = (part.reshape(x.shape) for part in found.unbind(dim=1))
    score = -noise.flatten(1) / (1 - t.double())[:, None]
    return clean.to(x), noise.to(x), score.reshape(x.shape).to(x)


def _clean(x: Tensor, t: Tensor, v: Tensor) -> Tensor:
    return x + (1 - t) * v


def _noise(x: Tensor, t: Tensor, v: Tensor) -> Tensor:
    return x - t * v


def _of(formula: Any) -> Answer:
    """A mistake as a formula of x, v and t, where t has the shape to be multiplied."""
    return lambda x, t, v: formula(x, as_column(t, x), v)


_TIME = "Time runs the other way: at t the way back to the noise took t, and the way on to the data still takes 1 - t."
_EXCHANGED = "Clean picture and noise are exchanged: the velocity leads to the data, against it lies the noise."
_SIGN = "A sign: the velocity leads *to* the data and away *from* the noise."
_WHOLE = (
    "That is a walk of one whole unit of time: from t only 1 - t is left, and only t is behind."
)
_MEAN_SIGN = "The sign of the score: it points to where the cloud is dense, *against* the noise."
_SPREAD = "The noise in x has the standard deviation 1 - t, and the score is minus the mean noise divided by it, once."
_OF_X = "The score takes the *mean noise*, and this takes x itself."
_MAPPED = (
    "t is (B,), and arithmetic lines it up with the *last* dimension: give it as many dimensions as x, ones behind "
    "the first."
)
_FOUR = "t has dimensions for one kind of x only: count the dimensions of x, points have two and pictures four."

_OF_CLEAN: list[Wrong] = [
    (_of(lambda x, t, v: x + t * v), _TIME),
    (_of(_noise), _EXCHANGED),
    (_of(lambda x, t, v: x - (1 - t) * v), _SIGN),
    (_of(lambda x, t, v: x + v), _WHOLE),
    (_of(lambda x, t, v: (x + (1 - t) * v) / t), "x holds the noise, too: nothing is divided here."),
    (_of(lambda x, t, v: x / t), "x / t would be right if x held no noise."),
    (lambda x, t, v: x + (1 - t) * v, _MAPPED),
    (lambda x, t, v: x + (1 - t[:, None]) * v, _FOUR),
]  # fmt: skip
_OF_NOISE: list[Wrong] = [
    (_of(lambda x, t, v: x - (1 - t) * v), _TIME),
    (_of(_clean), _EXCHANGED),
    (_of(lambda x, t, v: x + t * v), _SIGN),
    (_of(lambda x, t, v: x - v), _WHOLE),
    (_of(lambda x, t, v: t * v - x), "The whole sign: that is minus the noise."),
    (_of(lambda x, t, v: x - _clean(x, t, v)), "That is not the noise: x holds only a share of both."),
    (lambda x, t, v: x - t * v, _MAPPED),
    (lambda x, t, v: x - t[:, None] * v, _FOUR),
]  # fmt: skip
_OF_SCORE: list[Wrong] = [
    (_of(lambda x, t, v: _noise(x, t, v) / (1 - t)), _MEAN_SIGN),
    (_of(lambda x, t, v: -_noise(x, t, v)), _SPREAD),
    (_of(lambda x, t, v: -_noise(x, t, v) / (1 - t) ** 2), _SPREAD),
    (_of(lambda x, t, v: -_noise(x, t, v) * (1 - t)), _SPREAD),
    (_of(lambda x, t, v: -_noise(x, t, v) / (1 - t).sqrt()), _SPREAD),
    (_of(lambda x, t, v: -_noise(x, t, v) / t), "Divided by t: the noise's share is 1 - t."),
    (_of(lambda x, t, v: -_clean(x, t, v) / (1 - t)), "The score takes the noise, not the clean picture."),
    (_of(lambda x, t, v: -x / (1 - t)), _OF_X),
    (_of(lambda x, t, v: -x / (1 - t) ** 2), _OF_X),
]  # fmt: skip
_ORDER = "The results in this order: clean picture, noise, score."
_WORKED = "One number: x = 4, t = 0.25, velocity 8. The noise was 2, the clean picture is 10, the score -8/3."
_WORDS = ("the clean picture", "the noise", "the score")


@exercise(_by_two_equations)
def from_velocity(fn: Answer) -> None:
    """Check ``from_velocity(x, t, velocity)``: x, velocity (B, ...), t (B,) in (0, 1) -> three tensors (B, ...)."""
    for shape in ((5, 2), (4, 4), (4, 3, 4, 4), (1, 3), (2, 3, 5)):
        inputs = (torch.randn(shape), 0.15 + 0.6 * torch.rand(shape[0]), 2 * torch.randn(shape))
        got = _three(fn, inputs)
        right = _by_two_equations(*inputs)
        for answer, expected, what, wrong in zip(
            got, right, _WORDS, (_OF_CLEAN, _OF_NOISE, _OF_SCORE), strict=True
        ):
            swapped: list[Wrong] = [
                (lambda *_, other=other: other, _ORDER) for other in right if other is not expected
            ]
            expect_close(
                answer, expected, f"{what} for x {shape}", inputs=inputs, wrong=[*wrong, *swapped],
                hint=_WORKED, atol=1e-5,
            )  # fmt: skip


def _three(fn: Answer, inputs: tuple[Tensor, Tensor, Tensor]) -> Any:
    shape = _MAPPED if inputs[0].dim() == 2 else _FOUR
    with torch.no_grad():
        got = call(fn, *inputs, says={"size": shape, "shape": shape, "dimension": shape})
    three = type(got) in (tuple, list) and len(got) == 3
    require(three, "three tensors: clean picture, noise, score", got, _ORDER)
    for answer, what in zip(got, _WORDS, strict=True):
        expect_tensor(answer, inputs[0].shape, what, hint=shape)
        real = "x and velocity are real: which step made the result complex?"
        require(not answer.is_complex(), f"{what} in real numbers", "complex numbers", real)
    return got
