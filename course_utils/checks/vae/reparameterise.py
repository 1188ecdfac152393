"""Exercise `reparameterise`: a draw from a Gaussian as a function of its mean and variance."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions.transforms import AffineTransform

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_gradient,
    expect_tensor,
)


def _reparameterise_by_transform(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    return AffineTransform(mean, log_var.exp().sqrt())(noise)


_MISTAKES: list[Wrong] = [
    (
        lambda m, v, e: m + v * e,
        "log_var was taken for the standard deviation. It is the log of a variance.",
    ),
    (
        lambda m, v, e: m + v.exp() * e,
        "exp(log_var) is the variance; noise is multiplied by the standard deviation.",
    ),
    (
        lambda m, v, e: m + (2 * v).exp() * e,
        "The half went the wrong way: the deviation is the root of the variance.",
    ),
    (
        lambda m, v, e: m + (-0.5 * v).exp() * e,
        "A sign: this divides by the deviation, so certain posteriors scatter.",
    ),
    (
        lambda m, v, e: m - (0.5 * v).exp() * e,
        "The noise is subtracted: as probable a draw, but z = mean + std * noise.",
    ),
    (lambda m, v, e: (0.5 * v).exp() * (m + e), "The mean was scaled too; only the noise is."),
    (
        lambda m, v, e: m,
        "The noise is missing: this is an autoencoder, whose latent space has no spread.",
    ),
    (lambda m, v, e: m + e, "The deviation is missing: every posterior is equally wide."),
    (
        lambda m, v, e: m + (0.5 * v).exp() * e[:1],
        "All rows share the noise of the first: each number has a draw of its own.",
    ),
    (
        lambda m, v, e: m + 0.5 * v * e,
        "The exponential is missing: half the log of the variance is the *log* of the deviation.",
    ),
    *[
        (
            lambda m, v, e, half=half: m + F.softplus(half * v) * e,
            "softplus makes a number positive as well, but the network's output is the *log* of the variance: use exp.",
        )
        for half in (1.0, 0.5)
    ],
    (
        lambda m, v, e: m + F.softplus(v).sqrt() * e,
        "softplus makes a number positive as well, but the network's output is the *log* of the variance: use exp.",
    ),
    (
        lambda m, v, e: (0.5 * v).exp() * e,
        "The mean is missing: nothing of the image gets through.",
    ),
]


_OWN_NOISE = (
    "`noise` is an argument: draw none of your own, or nobody could check (or repeat) the draw."
)
_WORKED = (
    "One number: mean 1, log_var 1.386 (= 2 log 2) and noise 0.5. The deviation is exp(log_var / 2) = 2, so "
    "z = 1 + 2 * 0.5 = 2."
)
_LIMITED = (
    "Right for moderate numbers only: is something clipped, or a small number added? exp(log_var / 2) is positive "
    "without either; no limit is asked for."
)


@exercise(_reparameterise_by_transform)
def reparameterise(fn: Answer) -> None:
    """Check ``reparameterise(mean, log_var, noise)``: three tensors (B, D) -> (B, D)."""
    each = "z has the shape of the mean: each number gets its own noise."
    cut = "The number is right, its gradient is not: `.detach()` and `torch.no_grad` cut the path to the encoder."
    for shape in ((5, 3), (1, 7), (64, 2)):
        mean = (2 * torch.randn(shape)).requires_grad_()
        log_var = torch.randn(shape).requires_grad_()
        inputs = (mean, log_var, torch.randn(shape))
        expected = _reparameterise_by_transform(*inputs)
        got = call(fn, *inputs)
        expect_tensor(got, shape, "z", hint=each)
        hint = _OWN_NOISE if _draws_itself(fn, got, inputs) else _WORKED
        expect_close(got, expected, "z", inputs=inputs, wrong=_MISTAKES, hint=hint)
        expect_gradient(got, expected, {"mean": mean, "log_var": log_var}, cut)
    _expect_no_limits(fn)


def _draws_itself(fn: Answer, got: Tensor, inputs: tuple[Tensor, Tensor, Tensor]) -> bool:
    """Whether a second call differs, or the noise that is passed in has no say."""
    again, other = call(fn, *inputs), call(fn, *inputs[:2], inputs[2] + 1)
    return not torch.equal(got, again) or torch.equal(got, other)


def _expect_no_limits(fn: Answer) -> None:
    """Variances far from 1, around a mean of 0 so that the smallest deviation still shows."""
    log_var = torch.tensor([[-40.0, -18.0, -9.0, -6.0], [6.0, 9.0, 18.0, 40.0]])
    inputs = (torch.zeros(2, 4), log_var, 1 + torch.rand(2, 4))
    expected = _reparameterise_by_transform(*inputs)
    what = "z for log_var from -40 to 40"
    expect_close(call(fn, *inputs), expected, what, hint=_LIMITED, atol=0.0, rtol=1e-4)
    inputs = (torch.full((2, 4), 300.0), torch.zeros(2, 4), 50 * torch.randn(2, 4))
    expected = _reparameterise_by_transform(*inputs)
    expect_close(call(fn, *inputs), expected, "z for a mean of 300", hint=_LIMITED)
