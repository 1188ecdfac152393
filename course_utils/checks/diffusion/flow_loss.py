"""Exercise `flow_loss`: the mean squared error of a network's velocity."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_gradient,
    expect_tensor,
    require,
)
from course_utils.checks.diffusion.shared import NOT_ONE_EACH, TIMES, Field, as_column

Network = Callable[[Tensor, Tensor], Tensor]


def _flow_loss_by_library(network: Network, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    x = torch.lerp(noise, data, as_column(t, data))
    return F.mse_loss(network(x, t).float(), data - noise)


def _error(
    network: Network,
    data: Tensor,
    noise: Tensor,
    t: Tensor,
    *,
    target: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda d, n, x: d - n,
    backwards: bool = False,
    told: Callable[[Tensor], Tensor] = lambda t: t,
    asked: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda d, n, x: x,
) -> Tensor:
    """What the velocity misses, (B, ...), with parts to get wrong."""
    start, end = (data, noise) if backwards else (noise, data)
    x = start + as_column(t, data) * (end - start)
    with torch.no_grad():
        return network(asked(data, noise, x), told(t)) - target(data, noise, x)


def _mistaken(reduce: Callable[[Tensor], Tensor], **parts: object) -> Answer:
    return lambda *inputs: reduce(_error(*inputs, **parts))  # type: ignore[arg-type]


def _mean_square(error: Tensor) -> Tensor:
    return error.square().mean()


_TARGET = "The target is the velocity, data - noise: "
_ONE_TIME = "One time for the whole batch: each example has its own t, in x_t and for the network."
_OF_DATA = (
    "The network was asked about the wrong picture: it sees x_t, between noise and data, at time t."
)
_TOLD = "The network was told another time than that of x_t: it gets t as it came."

_MISTAKES: list[Wrong] = [
    (
        _mistaken(lambda e: e.square().sum()),
        "A sum over everything: it grows with batch and picture, and so would the steps. Take the mean.",
    ),
    (
        _mistaken(lambda e: e.square().flatten(1).sum(1).mean()),
        "A sum over the pixels: the loss is the mean over all numbers, pixels and pictures alike.",
    ),
    (
        _mistaken(lambda e: e.square().flatten(1).mean(1).sum()),
        "A sum over the pictures: a batch twice as large would take steps twice as long. Take the mean.",
    ),
    (
        _mistaken(lambda e: e.abs().mean()),
        "The mean of absolute errors leads to a median of velocities; flow matching needs their mean: square.",
    ),
    (
        _mistaken(lambda e: e.square().mean().sqrt()),
        "The root is too much: the mean square itself is the loss.",
    ),
    (_mistaken(lambda e: e.square().mean() / 2), "Half of it: no factor is asked for."),
    (
        _mistaken(lambda e: e.mean().square()),
        "The square of the mean: errors of both signs cancel. Square each first.",
    ),
    (_mistaken(lambda e: e.mean()), "The square is missing: errors of both signs cancel."),
    (_mistaken(_mean_square, target=lambda d, n, x: d), f"{_TARGET}this takes the data."),
    (
        _mistaken(_mean_square, target=lambda d, n, x: n),
        f"{_TARGET}this takes the noise, as DDPM does with another way to sample.",
    ),
    (
        _mistaken(_mean_square, target=lambda d, n, x: n - d),
        "The sign of the target: from noise to data it is data - noise, or samples walk away from the data.",
    ),
    (
        _mistaken(_mean_square, target=lambda d, n, x: d - x),
        f"{_TARGET}this takes the way that is left from x_t.",
    ),
    (_mistaken(_mean_square, target=lambda d, n, x: x), f"{_TARGET}this takes x_t itself."),
    (
        _mistaken(_mean_square, backwards=True),
        "x_t runs backwards: `interpolate` takes the noise first, this loss the data.",
    ),
    (
        _mistaken(_mean_square, backwards=True, target=lambda d, n, x: n - d),
        "Noise and data are exchanged: `interpolate` takes the noise first, this loss the data.",
    ),
    (_mistaken(_mean_square, asked=lambda d, n, x: d), _OF_DATA),
    (_mistaken(_mean_square, asked=lambda d, n, x: n), _OF_DATA),
    (_mistaken(_mean_square, told=lambda t: 1 - t), _TOLD),
    (_mistaken(_mean_square, told=torch.zeros_like), _TOLD),
    (_mistaken(_mean_square, told=lambda t: t[:1].expand_as(t)), _ONE_TIME),
    (_mistaken(_mean_square, told=lambda t: t.mean().expand_as(t)), _ONE_TIME),
    (lambda f, d, n, t: _mean_square(_error(f, d, n, t[:1].expand_as(t))), _ONE_TIME),
    (lambda f, d, n, t: _mean_square(_error(f, d, n, t.mean().expand_as(t))), _ONE_TIME),
]
_OWN_DRAWS = (
    "Noise and t are arguments: draw none of your own, or nobody could check (or repeat) a step."
)
_CUT = "The number is right, but it trains nothing: `.detach()`, `.item()` and `torch.no_grad` cut the path."
_WORKED = (
    "One number: noise 2, data 10, t = 0.25. A network that answers 7 at x_t = 4 misses the velocity 8 by 1, so "
    "the loss is 1."
)
_BACKWARD = "`backward` fills `.grad` of every weight: that is the training loop's part. Return the loss only."


@exercise(_flow_loss_by_library)
def flow_loss(fn: Answer) -> None:
    """Check ``flow_loss(network, data, noise, t)``: network (x, t) -> velocity, data and noise (B, ...), t (B,)."""
    cases = (((4, 3, 4, 4), 1), ((5, 2), 1), ((1, 3, 6, 6), 1), ((3, 2, 3, 5), 9))
    for shape, size in cases:
        network = Field(torch.Size(shape[1:]).numel())
        data, noise = size * (torch.rand(shape) * 2 - 1), torch.randn(shape)
        inputs = (network, data, noise, torch.rand(shape[0]))
        _expect_loss(fn, inputs, f"the loss for data {shape}")


def _expect_loss(fn: Answer, inputs: tuple[Field, Tensor, Tensor, Tensor], what: str) -> None:
    network, expected = inputs[0], _flow_loss_by_library(*inputs)
    got = call(fn, *inputs, may_change=[network], says={NOT_ONE_EACH: TIMES})
    filled = any(p.grad is not None for p in network.parameters())
    require(not filled, "no gradients left in the network", "weights with a gradient", _BACKWARD)
    mean = "One number for the whole batch: the mean over all numbers."
    expect_tensor(got, (), what, hint=mean)
    again = call(fn, *inputs, may_change=[network])
    hint = _WORKED if _equal(got, again) else _OWN_DRAWS
    expect_close(got, expected, what, inputs=inputs, wrong=_MISTAKES, hint=hint)
    expect_gradient(got, expected, dict(network.named_parameters()), _CUT)


def _equal(one: Tensor, other: object) -> bool:
    return isinstance(other, Tensor) and one.shape == other.shape and bool((one == other).all())
