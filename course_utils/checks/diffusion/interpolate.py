"""Exercise `interpolate`: the straight path from noise to data, and the velocity on it."""

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
    hinting,
    require,
)
from course_utils.checks.diffusion.shared import as_column


def _interpolate_by_lerp(noise: Tensor, data: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return torch.lerp(noise, data, as_column(t, data)), data.sub(noise)


def _point(noise: Tensor, data: Tensor, t: Tensor) -> Tensor:
    return noise + as_column(t, data) * (data - noise)


_MAPPED = (
    "t is (B,), and arithmetic lines it up with the *last* dimension, the columns of the pictures: give it as many "
    "dimensions as the data, ones behind the first."
)
_FOUR = (
    "t has dimensions for pictures only. Points of the plane are (B, 2): count the dimensions of `data` instead of "
    "writing four."
)
_REVERSED = (
    "Time runs the other way: here t = 0 is noise and t = 1 is data (many papers on diffusion count backwards), "
    "so which of the two is multiplied by t?"
)
_ONE_TIME = "One time for the whole batch: each example has its own t."
_ROOTS = (
    "The weights' *squares* add up to 1 here: that is a path of diffusion. On the straight line the weights "
    "themselves do."
)
_HALF = (
    "At t = 1 nothing of the noise is left, and at t = 0 nothing of the data: both have a weight."
)

_OF_THE_POINT: list[Wrong] = [
    (lambda n, d, t: _point(d, n, t), _REVERSED),
    (lambda n, d, t: n + t * (d - n), _MAPPED),
    (lambda n, d, t: n + t[:, None] * (d - n), _MAPPED),
    (lambda n, d, t: n + t[:, None, None] * (d - n), _MAPPED),
    (lambda n, d, t: d + t * (n - d), _REVERSED),
    (lambda n, d, t: _point(n, d, t[:1].expand_as(t)), _ONE_TIME),
    (lambda n, d, t: _point(n, d, t.mean().expand_as(t)), _ONE_TIME),
    (
        lambda n, d, t: (1 - as_column(t, d)).sqrt() * n + as_column(t, d).sqrt() * d,
        _ROOTS,
    ),
    (
        lambda n, d, t: (1 - as_column(t, d) ** 2).sqrt() * n + as_column(t, d) * d,
        _ROOTS,
    ),
    (
        lambda n, d, t: (
            (torch.pi / 2 * as_column(t, d)).cos() * n + (torch.pi / 2 * as_column(t, d)).sin() * d
        ),
        _ROOTS,
    ),
    (lambda n, d, t: n + as_column(t, d) * d, _HALF),
    (lambda n, d, t: (1 - as_column(t, d)) * n + d, _HALF),
    (lambda n, d, t: (1 - as_column(t, d)) * n, _HALF),
    (
        lambda n, d, t: _point(n, d, t) - 2 * as_column(t, d) * (d - n),
        "A sign: the step leads away from the data.",
    ),
    (
        lambda n, d, t: d - n,
        "The two results are exchanged: first the point x_t, then the velocity.",
    ),
]

_OF_THE_VELOCITY: list[Wrong] = [
    (
        lambda n, d, t: n - d,
        "The sign of the velocity: from noise to data, where the path *arrives* minus where it starts.",
    ),
    (
        lambda n, d, t: d - _point(n, d, t),
        "That is the way still to go from x_t. The velocity is how much x_t changes per unit of t: differentiate it.",
    ),
    (
        lambda n, d, t: _point(n, d, t) - n,
        "That is the way already gone. The velocity is how much x_t changes per unit of t: differentiate it.",
    ),
    (
        lambda n, d, t: as_column(t, d) * (d - n),
        "That is the way already gone. The velocity is how much x_t changes per unit of t: differentiate it.",
    ),
    (
        lambda n, d, t: d,
        "This is the data themselves; a network that predicts them is a relative, with another loss.",
    ),
    (
        lambda n, d, t: n,
        "This is the noise; a network that predicts it is a relative (DDPM), with another loss.",
    ),
    (lambda n, d, t: d + n, "A sum: the derivative of (1 - t) by t is -1."),
    (lambda n, d, t: _point(n, d, t), "This is x_t again; its derivative by t is asked for."),
]
_WORKED = "One number: noise 2, data 10 and t = 0.25. The point is three quarters of 2 and a quarter of 10."
_SPEED = "One number: noise 2 and data 10. In one unit of time the path goes from 2 to 10, evenly."
_SHAPE = "x_t and the velocity have the shape of the data: which dimension did t add?"
_DIVIDED = "(data - x_t) / (1 - t) is right until t = 1, where it is 0/0. The velocity does not depend on t at all."


@exercise(_interpolate_by_lerp)
def interpolate(fn: Answer) -> None:
    """Check ``interpolate(noise, data, t)``: (B, ...), (B, ...), (B,) in [0, 1] -> two tensors (B, ...)."""
    # Shapes in which t lines up with another dimension without an error come first.
    shapes = ((4, 3, 4, 4), (3, 3, 5, 3), (5, 3, 6, 7), (2, 2), (6, 2), (1, 3, 8, 8), (3, 4, 5))
    for shape in shapes:
        inputs = (torch.randn(shape), torch.rand(shape) * 2 - 1, 0.1 + 0.8 * torch.rand(shape[0]))
        _expect_path(fn, inputs, f"for data {shape}")
    ends = (torch.randn(3, 5), torch.randn(3, 5), torch.tensor([0.0, 1.0, 0.5]))
    with hinting(_DIVIDED):
        _, velocity = _pair(fn, ends)
        require(bool(velocity.isfinite().all()), "a velocity at t = 1", "NaN or infinity", "")
    _expect_path(fn, ends, "at t = 0, 1 and 0.5")


def _pair(fn: Answer, inputs: tuple[Tensor, Tensor, Tensor]) -> tuple[Any, Any]:
    flat = _FOUR if inputs[1].dim() != 4 else _MAPPED
    got = call(fn, *inputs, says={"must match the size of tensor": flat, "broadcast": flat})
    two = "Return both, the point first: `return x_t, velocity`."
    pair = type(got) in (tuple, list) and len(got) == 2
    require(pair, "a pair of tensors: x_t and the velocity", got, two)
    shape = _FOUR if inputs[1].dim() != 4 else _SHAPE
    for answer, what in zip(got, ("x_t", "the velocity"), strict=True):
        expect_tensor(answer, inputs[1].shape, what, hint=shape)
        real = "The path is made of real numbers: which step made it complex?"
        require(not answer.is_complex(), f"{what} in real numbers", answer, real)
    return got[0], got[1]


def _expect_path(fn: Answer, inputs: tuple[Tensor, Tensor, Tensor], where: str) -> None:
    (point, velocity), right = _pair(fn, inputs), _interpolate_by_lerp(*inputs)
    for got, expected, what, wrong, hint in (
        (point, right[0], "x_t", _OF_THE_POINT, _WORKED),
        (velocity, right[1], "the velocity", _OF_THE_VELOCITY, _SPEED),
    ):
        expect_close(got, expected, f"{what} {where}", inputs=inputs, wrong=wrong, hint=hint)
