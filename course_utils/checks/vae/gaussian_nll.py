"""Exercise `gaussian_nll`: the negative log likelihood of images under a Gaussian."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.distributions import Normal

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close
from course_utils.checks.vae.shared import expect_both_gradients, expect_per_image


def _nll_by_distributions(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    return -Normal(mean, (0.5 * log_var).exp()).log_prob(x).flatten(1).sum(1)


_LOG_2PI = math.log(2 * math.pi)


def _nll(square: Tensor, precision: Tensor, log_var: Tensor, constant: float) -> Tensor:
    return 0.5 * (square * precision + log_var + constant)


def _nll_each(x: Tensor, m: Tensor, v: Tensor) -> Tensor:
    return _nll((x - m).square(), (-v).exp(), v, _LOG_2PI).flatten(1)


def _log_var_once(x: Tensor, m: Tensor, v: Tensor) -> Tensor:
    without = _nll((x - m).square(), (-v).exp(), torch.zeros_like(v), _LOG_2PI)
    return without.flatten(1).sum(1) + 0.5 * v.sum()


def _summed(
    square: Callable[[Tensor], Tensor], constant: float = _LOG_2PI
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda x, m, v: _nll((x - m).square(), square(v), v, constant).flatten(1).sum(1)


_MISTAKES: list[Wrong] = [
    (
        lambda x, m, v: _nll_each(x, m, v).mean(1),
        "This is the mean over the pixels. Their log densities add up: sum.",
    ),
    (
        lambda x, m, v: 2 * _nll_each(x, m, v).sum(1),
        "Twice too much: the factor one half is missing.",
    ),
    (
        lambda x, m, v: -_nll_each(x, m, v).sum(1),
        "The sign: this is the log density; the loss is its negative.",
    ),
    (
        _summed(lambda v: (-v).exp(), 0.0),
        "The constant log(2 pi) is missing: without it bits per dimension are wrong.",
    ),
    (
        lambda x, m, v: _summed(lambda v: (-v).exp(), 0.0)(x, m, v) + 0.5 * _LOG_2PI,
        "The constant was added once; it belongs to every pixel.",
    ),
    (
        _log_var_once,
        "log_var was added once (or as it came); broadcast, it counts for every pixel it stands for.",
    ),
    (
        lambda x, m, v: (
            _nll_each(x, m, v).sum(1) - 0.5 * (v + torch.zeros_like(x)).flatten(1).sum(1)
        ),
        "The term log_var is missing: with it, a model cannot win by claiming an enormous variance.",
    ),
    (
        lambda x, m, v: _nll_each(x, m, v).sum(1) - (v + torch.zeros_like(x)).flatten(1).sum(1),
        "The sign of log_var: a wide Gaussian is low everywhere.",
    ),
    (
        _summed(lambda v: (-0.5 * v).exp()),
        "The square is divided by the variance, not by the standard deviation.",
    ),
    (
        lambda x, m, v: _summed(lambda v: (-v).exp())(x, m, 2 * v),
        "log_var was taken for the log of the standard deviation.",
    ),
    (_summed(lambda v: v.exp()), "The square is multiplied by the variance; it is divided by it."),
    (_summed(lambda v: (-2 * v).exp()), "log_var was taken for the log of the standard deviation."),
    (
        lambda x, m, v: (
            _nll((x - m).square(), 1 / v.square(), v.square().log(), _LOG_2PI).flatten(1).sum(1)
        ),
        "log_var was taken for the standard deviation.",
    ),
    (
        lambda x, m, v: _nll((x - m).square(), 1 / v, v.abs().log(), _LOG_2PI).flatten(1).sum(1),
        "log_var was taken for the variance.",
    ),
    (
        lambda x, m, v: _nll((x - m).abs(), (-v).exp(), v, _LOG_2PI).flatten(1).sum(1),
        "The error goes in squared, not as it is.",
    ),
    (
        lambda x, m, v: (0.5 * (x - m).square()).flatten(1).sum(1),
        "The variance is missing: this is the squared error of a Gaussian with variance 1.",
    ),
    (
        lambda x, m, v: _nll_each(x, m, v).sum(),
        "The batch was summed as well: one number for each image is asked for.",
    ),
    (
        lambda x, m, v: _nll_each(x, m, v).sum(1).mean(),
        "The batch was averaged as well; that comes in `negative_elbo`.",
    ),
    (
        lambda x, m, v: _nll_each(x, m, v).mean(),
        "The mean over everything: sum over the pixels, and leave the batch alone.",
    ),
    (
        lambda x, m, v: _nll(((x - m).square()), (-v).exp(), v, _LOG_2PI).sum(1),
        "Only dimension 1 was summed: of an image (B, C, H, W) three dimensions go.",
    ),
]


_WORKED = (
    "One pixel: x = 1, mean 0 and log_var 1.386, a variance of 4. Its cost is (1² / 4 + 1.386 + 1.838) / 2 = 1.737. "
    "Then the sum over the pixels."
)
_ANY = {
    "out of range": "Not every x is a picture (B, C, H, W): `flatten(1).sum(1)` sums all but the batch, whatever it is."
}


@exercise(_nll_by_distributions)
def gaussian_nll(fn: Answer) -> None:
    """Check ``gaussian_nll(x, mean, log_var)``: (B, ...), (B, ...), a tensor that broadcasts -> (B,) in nats."""
    shapes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
        ((3, 2, 4, 5), ()),
        ((2, 6), (1, 6)),
        ((3, 2, 4, 5), (1, 2, 1, 1)),
        ((4, 3, 2, 2), (4, 1, 1, 1)),
        ((1, 3, 4, 4), (1, 3, 4, 4)),
    )
    for shape, of_log_var in shapes:
        x, mean = torch.randn(shape), torch.randn(shape)
        log_var = 0.7 * torch.randn(of_log_var) - 0.4
        if not of_log_var:
            log_var = torch.tensor(0.7)  # the log of a log_var taken for a variance then exists
        what = f"the NLL of {shape} images with log_var of shape {of_log_var}"
        inputs = (x, mean, log_var)
        right = _nll_by_distributions(*inputs)
        expect_per_image(fn, inputs, right, what, _MISTAKES, _WORKED, _ANY)
    x, mean, small = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor(-16.0)
    clamped = "With a very small variance another number comes: is the variance held above some least value?"
    expected = _nll_by_distributions(x.double(), mean.double(), small.double())
    got, what = call(fn, x, mean, small), "the NLL with log_var = -16"
    expect_close(got, expected, what, hint=clamped, rtol=1e-3)
    of_x, reference = partial(fn, x), partial(_nll_by_distributions, x)
    expect_both_gradients(of_x, reference, mean, torch.tensor(-0.5))
