"""The VAE of lesson 03, for the lessons that need it again (Kingma and Welling, arXiv 1312.6114).

Its formulas stand in ``vae_formulas`` and can be taken from here as well. Images are floats in [-1, 1].
"""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.models import shipped
from course_utils.models.dcgan import make_generator, to_bytes
from course_utils.models.vae_formulas import (
    ACTIVE,
    active_units,
    bits_per_dim,
    dequantise,
    free_bits_kl,
    gaussian_kl,
    gaussian_kl_per_dim,
    gaussian_nll,
    iwae_bound,
    negative_elbo,
    reparameterise,
)

__all__ = [
    "ACTIVE",
    "VAE",
    "Losses",
    "active_units",
    "bits_per_dim",
    "contents",
    "decode_bytes",
    "dequantise",
    "encode_means",
    "free_bits_kl",
    "gaussian_kl",
    "gaussian_kl_per_dim",
    "gaussian_nll",
    "iwae_bound",
    "load_shipped",
    "log_weights",
    "losses",
    "make_decoder",
    "make_encoder",
    "make_optimizer",
    "negative_elbo",
    "reparameterise",
    "vae_step",
]


def make_encoder(
    latent_dim: int, width: int = 32, channels: int = 3, size: int = 32
) -> nn.Sequential:
    """The encoder: images (B, channels, size, size) -> (B, 2 * latent_dim), the posterior's mean and log variance.

    Its convolutions mirror the decoder's; its head is linear, because a mean and a log variance take any value.

    Args:
        latent_dim: latent dimensions.
        width: channels of the first map; each later one has twice as many.
        channels: colour channels.
        size: 16, 32 or 64 pixels.
    """
    maps = [width * 2**i for i in range(int(math.log2(size)) - 2)]
    layers: list[nn.Module] = [nn.Conv2d(channels, maps[0], 4, 2, 1), nn.LeakyReLU(0.2)]
    for narrow, wide in pairwise(maps):
        layers += [
            nn.Conv2d(narrow, wide, 4, 2, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * maps[-1], 2 * latent_dim))


def make_decoder(
    latent_dim: int, width: int = 32, channels: int = 3, size: int = 32, hidden: int = 0
) -> nn.Sequential:
    """The decoder, lesson 02's generator: (B, latent_dim) -> the mean of p(x | z), (B, channels, size, size).

    Args:
        latent_dim: latent dimensions.
        width: channels of the last hidden map.
        channels: colour channels.
        size: 32 or 64 pixels.
        hidden: units of a fully connected layer before it; a latent space of two dimensions needs one, because the
            generator's own first layer has no bias and so treats the point 0 like no other.
    """
    first = [nn.Linear(latent_dim, hidden), nn.ReLU()] if hidden else []
    inputs = hidden or latent_dim
    return nn.Sequential(
        *first, nn.Unflatten(1, (inputs, 1, 1)), make_generator(inputs, width, channels, size)
    )


class VAE(nn.Module):
    """Encoder, decoder (the generator of lesson 02) and a Gaussian likelihood with one variance for all pixels.

    Args:
        latent_dim: latent dimensions D.
        width: as in ``make_encoder`` and ``dcgan.make_generator``.
        sigma: the likelihood's standard deviation on images in [-1, 1]; None learns it, from 1 on.
        size: 32 or 64 pixels.
        hidden: as in ``make_decoder``.

    Raises:
        CourseError: another size, or a sigma that is not positive.
    """

    def __init__(
        self,
        latent_dim: int = 64,
        width: int = 32,
        sigma: float | None = None,
        size: int = 32,
        hidden: int = 0,
    ) -> None:
        super().__init__()
        if sigma is not None and not 0 < sigma < math.inf:
            raise CourseError(
                "vae-sigma",
                f"The likelihood's sigma is {sigma!r}.",
                "A standard deviation is a positive number; None learns it.",
                "vae = VAE(sigma=None)",
            )
        self.latent_dim, self.width, self.size, self.hidden = latent_dim, width, size, hidden
        self.encoder = make_encoder(latent_dim, width, 3, size)
        self.decoder = make_decoder(latent_dim, width, 3, size, hidden)
        self.log_var = nn.Parameter(
            torch.tensor(2 * math.log(sigma or 1.0)), requires_grad=sigma is None
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x): (B, 3, H, W) -> (B, D), (B, D), float32."""
        mean, log_var = self.encoder(x).float().chunk(2, dim=1)
        return mean, log_var

    def decode(self, z: Tensor) -> Tensor:
        """Mean of p(x | z): (B, D) -> (B, 3, H, W) in [-1, 1], float32."""
        return self.decoder(z).float()


@dataclass(frozen=True)
class Losses:
    """The parts of one pass, in nats: ``nll`` (B,) and the KL of each dimension ``kl_per_dim`` (B, D)."""

    nll: Tensor
    kl_per_dim: Tensor


def losses(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Losses:
    """One pass: images (B, 3, H, W) and noise (B, D) -> the parts of the negative ELBO.

    Sums over pixels are taken in float32 whatever ``autocast`` does to the networks' passes.
    """
    with autocast():
        mean, log_var = vae.encode(x)
        x_mean = vae.decode(reparameterise(mean, log_var, noise))
    return Losses(gaussian_nll(x, x_mean, vae.log_var), gaussian_kl_per_dim(mean, log_var))


def vae_step(
    vae: VAE,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    beta: float = 1.0,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
    noise: Tensor | None = None,
) -> dict[str, float]:
    """One optimisation step on images (B, 3, H, W); returns ``nll`` and ``kl`` (means, in nats an image) and sigma.

    ``noise`` (B, D), from N(0, I), replaces the draw.
    """
    noise = torch.randn(len(x), vae.latent_dim) if noise is None else noise
    parts = losses(vae, x, noise.to(x.device), autocast)
    kl = parts.kl_per_dim.sum(dim=1)
    loss = negative_elbo(parts.nll, kl, beta)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    sigma = torch.exp(0.5 * vae.log_var.detach())
    return {"nll": parts.nll.mean().item(), "kl": kl.mean().item(), "sigma": sigma.item()}


def make_optimizer(vae: VAE, lr: float = 1e-3) -> torch.optim.Adam:
    """Adam, with a faster group for the pixels' log variance: it has some units to travel, and Adam goes lr a step."""
    networks = [*vae.encoder.parameters(), *vae.decoder.parameters()]
    return torch.optim.Adam(
        [{"params": networks}, {"params": [vae.log_var], "lr": 20 * lr}], lr=lr, fused=True
    )


@torch.no_grad()
def log_weights(
    vae: VAE, x: Tensor, draws: int, generator: torch.Generator | None = None
) -> Tensor:
    """Log p(x, z) - log q(z | x) for draws of z from q: (B, 3, H, W) -> (draws, B), in nats.

    Their mean over draws estimates the ELBO, ``iwae_bound`` of them a tighter bound. In evaluation mode.
    """
    vae.eval()
    mean, log_var = vae.encode(x)
    rows = []
    for _ in range(draws):
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        z = reparameterise(mean, log_var, noise)
        log_prior_over_posterior = 0.5 * (noise.square() + log_var - z.square()).sum(
            dim=1
        )  # the constants cancel
        rows.append(log_prior_over_posterior - gaussian_nll(x, vae.decode(z), vae.log_var))
    return torch.stack(rows)


@torch.no_grad()
def encode_means(vae: VAE, images: Tensor, batch_size: int = 500) -> tuple[Tensor, Tensor]:
    """Posterior means and log variances of bytes, in evaluation mode: uint8 (N, 3, H, W) -> (N, D), (N, D)."""
    vae.eval()
    device = vae.log_var.device
    parts = [vae.encode(part.to(device).float() / 127.5 - 1) for part in images.split(batch_size)]
    return torch.cat([mean.cpu() for mean, _ in parts]), torch.cat(
        [log_var.cpu() for _, log_var in parts]
    )


@torch.no_grad()
def decode_bytes(vae: VAE, z: Tensor, batch_size: int = 500) -> Tensor:
    """The decoder's mean images, in evaluation mode: latent vectors (N, D) -> uint8 (N, 3, H, W)."""
    vae.eval()
    return torch.cat(
        [to_bytes(vae.decode(part.to(vae.log_var.device))).cpu() for part in z.split(batch_size)]
    )


def contents(
    vae: VAE, facts: Mapping[str, Any], decoder_only: bool = False
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and facts of a VAE as `shipped.write` takes them; its sizes are added to the facts."""
    kept = {
        k: v for k, v in vae.state_dict().items() if not (decoder_only and k.startswith("encoder."))
    }
    return kept, {**facts, **{size: getattr(vae, size) for size in _SIZES}}


def load_shipped(name: str, device: torch.device | str = "cpu") -> tuple[VAE, dict[str, Any]]:
    """A VAE that ships with the course, in evaluation mode, and the facts of its run.

    Args:
        name: the file's name without its ending, for example ``"vae_cifar10"``.
        device: where it shall live.

    Returns:
        The VAE (its ``encoder`` is None where only the decoder ships, as the facts' ``parts`` say), and the facts.

    Raises:
        CourseError: there is no such file, or it is missing or damaged.
    """
    weights, facts = shipped.read(name)
    vae = VAE(**{size: int(facts[size]) for size in _SIZES}, sigma=None)
    if not any(key.startswith("encoder.") for key in weights):
        vae.encoder = None
    vae.load_state_dict(weights, assign=True)  # in float32, whatever the default is
    return vae.to(device).eval(), facts


_SIZES = ("latent_dim", "width", "size", "hidden")
