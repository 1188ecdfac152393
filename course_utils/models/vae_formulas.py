"""The formulas of lesson 03: likelihood, divergence, bounds and units of a VAE, as plain functions.

All likelihoods, divergences and bounds are in nats for one image (summed over its numbers, never averaged), unless the
name says bits. Images are floats in [-1, 1].
"""

import math

import torch
from torch import Tensor

ACTIVE = 0.01
"""A latent dimension is active when its posterior mean varies by more than this (arXiv 1509.00519, section 5.2)."""


def reparameterise(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    """A draw from N(mean, exp(log_var)) that gradients can pass: three tensors of one shape -> the same shape.

    Source: arXiv 1312.6114, section 2.4.
    """
    return mean + torch.exp(0.5 * log_var) * noise


def gaussian_kl_per_dim(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, 1)) of each dimension, in nats: (..., D), (..., D) -> (..., D).

    Source: arXiv 1312.6114, appendix B.
    """
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)) in nats: (B, D), (B, D) -> (B,), summed over D.

    Source: arXiv 1312.6114, appendix B.
    """
    return gaussian_kl_per_dim(mean, log_var).sum(dim=1)


def gaussian_nll(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """-log N(x; mean, exp(log_var)) in nats, with the constant: (B, ...) -> (B,), summed over all but the batch.

    Args:
        x: (B, ...).
        mean: the same shape.
        log_var: any shape that broadcasts to it; a single number is one variance for every pixel.
    """
    each = 0.5 * ((x - mean).square() * torch.exp(-log_var) + log_var + math.log(2 * math.pi))
    return each.flatten(1).sum(dim=1)


def negative_elbo(nll: Tensor, kl: Tensor, beta: float = 1.0) -> Tensor:
    """The loss: mean over the batch of ``nll + beta * kl``, in nats an image: (B,), (B,) -> scalar.

    Source: arXiv 1312.6114, eq. 3; with beta: Higgins et al. 2017 (ICLR), eq. 4.
    """
    return (nll + beta * kl).mean()


def iwae_bound(log_weights: Tensor) -> Tensor:
    """Mean over B of the log of the mean weight: (K, B) log p(x, z) - log q(z | x) -> scalar, in nats.

    Source: arXiv 1509.00519, eq. 8.
    """
    return (torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))).mean()


def free_bits_kl(per_dim: Tensor, least: float) -> Tensor:
    """KL with free bits: each dimension costs at least ``least`` nats, on average over the batch: (B, D) -> scalar.

    Below that its KL has no gradient, so nothing pushes the dimension towards the prior.

    Source: Kingma et al., arXiv 1606.04934, appendix C.8, with one dimension a group.
    """
    return per_dim.mean(dim=0).clamp_min(least).sum()


def active_units(means: Tensor) -> int:
    """How many latent dimensions carry something of x: those whose posterior mean varies: (N, D) -> int.

    Source: arXiv 1509.00519, section 5.2.
    """
    return int((means.var(dim=0) > ACTIVE).sum())


def bits_per_dim(nats: Tensor, dims: int) -> Tensor:
    """Bits for each number of a byte image: negative log density in nats of the image in [-1, 1] -> same shape.

    One grey level is 1 / 127.5 wide there, so the density of bytes is 127.5 times smaller for each number. With
    ``nats`` of dequantised images this is an upper bound of the bits of the bytes themselves.

    Source: Theis, van den Oord and Bethge, arXiv 1511.01844, section 3.1.
    """
    return nats / dims / math.log(2) + math.log2(127.5)


def dequantise(
    images: Tensor, generator: torch.Generator | None = None, noise: Tensor | None = None
) -> Tensor:
    """Bytes spread evenly over their grey level, in [-1, 1]: uint8 (...) -> float32 (...).

    Byte v becomes a number between v - 1/2 and v + 1/2, on the scale where 0 is -1 and 255 is 1. ``noise`` replaces the
    draw: numbers in [0, 1) of the same shape.
    """
    noise = torch.rand(images.shape, generator=generator) if noise is None else noise
    return (images.float() + noise.to(images.device) - 0.5) / 127.5 - 1.0
