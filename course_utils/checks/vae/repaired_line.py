"""Exercise `repaired_line`: a published loss line, repaired to be the negative ELBO for one sigma."""

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_gradient,
    require,
)

SIGMA = 0.1


def _line_by_distributions(x_hat: Tensor, x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """The log densities of `torch.distributions`, less that of a perfect picture: no constant is left."""
    pixel = Normal(x_hat, SIGMA)
    nll = (pixel.log_prob(x_hat) - pixel.log_prob(x)).flatten(1).sum(1)
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return (nll + kl_divergence(Normal(mean, (0.5 * log_var).exp()), prior).sum(1)).mean()


def _parts(x_hat: Tensor, x: Tensor, mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
    """Squared errors (B, pixels) and the KL of each latent number (B, D)."""
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
    return (x - x_hat).square().flatten(1), kl


def _with(
    error: float, pixels: str = "sum", latents: str = "sum", kl_weight: float = 1.0
) -> Answer:
    """The line with other reductions within a picture; ``error`` divides the squares."""

    def line(x_hat: Tensor, x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
        squares, kl = _parts(x_hat, x, mean, log_var)
        nll = getattr(squares, pixels)(1) / error
        return (nll + kl_weight * getattr(kl, latents)(1)).mean()

    return line


def _all_summed(*inputs: Tensor) -> Tensor:
    return len(inputs[0]) * _line_by_distributions(*inputs)


def _error_summed(*inputs: Tensor) -> Tensor:
    squares, kl = _parts(*inputs)
    return squares.sum() / (2 * SIGMA**2) + kl.sum(1).mean()


def _kl_summed(*inputs: Tensor) -> Tensor:
    squares, kl = _parts(*inputs)
    return squares.sum(1).mean() / (2 * SIGMA**2) + kl.sum()


def _each(*inputs: Tensor) -> Tensor:
    squares, kl = _parts(*inputs)
    return squares.sum(1) / (2 * SIGMA**2) + kl.sum(1)


_RIGHT = 2 * SIGMA**2
_HALF = "The half is missing: the exponent of a Gaussian is the square over *twice* the variance."
_NO_SIGMA = "sigma is not used: without it the line believes in noise of 1, or of 0.71."
_SIGMA_ONCE = "The squares are divided by the variance, which is sigma squared, not by sigma."
_PIXELS = (
    "The squared error is still a mean over the pixels: its factor changes with the picture size."
)
_LATENTS = "The KL is still a mean over the latent numbers: independent ones add up."
_WEIGHT = "The weight 0.1 is still there: at beta = 1 the KL counts as it is."
_MISTAKES: list[Wrong] = [
    (_with(SIGMA**2), _HALF),
    (_with(2.0), _NO_SIGMA),
    (_with(1.0), _NO_SIGMA),
    (_with(2 * SIGMA), _SIGMA_ONCE),
    (_with(SIGMA), _SIGMA_ONCE),
    (_with(1 / _RIGHT), "The squares are multiplied by the variance; they are divided by it."),
    *[
        (_with(error, "mean", latents, weight), _PIXELS)
        for error in (_RIGHT, SIGMA**2, 1.0, 2.0)
        for latents in ("sum", "mean")
        for weight in (1.0, 0.1)
    ],
    *[
        (_with(error, "sum", "mean", weight), _LATENTS)
        for error in (_RIGHT, SIGMA**2, 1.0, 2.0)
        for weight in (1.0, 0.1)
    ],
    *[(_with(error, "sum", "sum", 0.1), _WEIGHT) for error in (_RIGHT, SIGMA**2, 1.0, 2.0)],
    *[
        (
            lambda a, x, m, v, n=n: (
                n * _parts(a, x, m, v)[0].mean() / (2 * SIGMA**2)
                + _parts(a, x, m, v)[1].sum(1).mean()
            ),
            "The number of pixels is written down (3072, or another one): other pictures have others. Sum, per "
            "picture.",
        )
        for n in (3072.0, 784.0, 12288.0, 1024.0)
    ],
    (
        lambda a, x, m, v: _line_by_distributions(a, x, m, v) / x[0].numel(),
        "Divided by the number of pixels: nats per dimension. Asked for are nats per *image*.",
    ),
    (
        lambda a, x, m, v: _line_by_distributions(a, x, m, v) * 2 * SIGMA**2,
        "Both terms have a factor 2σ²: the optimum is right, but these are not nats.",
    ),
    (
        _all_summed,
        "Summed over the batch as well: the optimum is right, but nats per *image* are asked for.",
    ),
    (
        _error_summed,
        "The error is summed over the batch, the KL averaged: beta is 1/B, another one for every batch size.",
    ),
    (
        _kl_summed,
        "The KL is summed over the batch, the error averaged: beta is B, another one for every batch size.",
    ),
    (_with(_RIGHT, kl_weight=-1.0), "The sign of the KL: in a loss both terms are costs."),
    (_each, "One number for each image: the mean over the batch is left to do."),
]
_WORKED = (
    "One picture of two pixels, off by 0.1 and 0.2, and one latent with mean 1, log_var 0: (0.01 + 0.04) / 0.02 = 2.5, "
    "and (1 + 1 - 1 - 0) / 2 = 0.5. Together 3.0."
)


@exercise(_line_by_distributions)
def repaired_line(fn: Answer) -> None:
    """Check ``repaired_line(x_hat, x, mean, log_var)``: images (B, ...), latents (B, D) -> scalar.

    Pictures, numbers of latents and batches of several sizes.
    """
    for shape, latents in (((3, 2, 4, 5), 3), ((5, 7), 2), ((1, 3, 4, 4), 6), ((4, 1, 2, 2), 1)):
        x_hat, x = torch.rand(shape).requires_grad_(), torch.rand(shape)
        mean = (torch.randn(shape[0], latents) + 0.5).requires_grad_()
        log_var = torch.randn(shape[0], latents).requires_grad_()
        inputs, what = (
            (x_hat, x, mean, log_var),
            f"the line for {shape} images and {latents} latents",
        )
        got, expected = call(fn, *inputs), _line_by_distributions(*inputs)
        expect_close(got, expected, what, inputs=inputs, wrong=_MISTAKES, hint=_WORKED)
        cut = "Return the tensor itself, uncut: `.item()` and `.detach()` lose the way to the networks."
        require(type(got) is Tensor, f"{what}: a tensor without dimensions", got, cut)
        leaves = {"x_hat": x_hat, "mean": mean, "log_var": log_var}
        expect_gradient(got, expected, leaves, cut)
