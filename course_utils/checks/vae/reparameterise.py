"""Exercise `reparameterise`: a draw from a Gaussian as a function of its mean and variance."""

import torch
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
        lambda m, v, e: (0.5 * v).exp() * e,
        "The mean is missing: nothing of the image gets through.",
    ),
]


@exercise(_reparameterise_by_transform)
def reparameterise(fn: Answer) -> None:
    """Check ``reparameterise(mean, log_var, noise)``: three tensors (B, D) -> (B, D)."""
    each = "z has the shape of the mean: each number gets its own noise."
    own = (
        "`noise` is an argument: draw none of your own, or nobody could check (or repeat) the draw."
    )
    cut = "The number is right, its gradient is not: `.detach()` and `torch.no_grad` cut the path to the encoder."
    for shape in ((5, 3), (1, 7), (64, 2)):
        mean = (2 * torch.randn(shape)).requires_grad_()
        log_var = torch.randn(shape).requires_grad_()
        inputs = (mean, log_var, torch.randn(shape))
        expected = _reparameterise_by_transform(*inputs)
        got = call(fn, *inputs)
        expect_tensor(got, shape, "z", hint=each)
        expect_close(got, expected, "z", inputs=inputs, wrong=_MISTAKES, hint=own)
        expect_gradient(got, expected, {"mean": mean, "log_var": log_var}, cut)
