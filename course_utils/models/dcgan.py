"""The DCGAN of lesson 02, for the lessons that need it again (Radford, Metz and Chintala, arXiv 1511.06434)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.models import shipped
from course_utils.models.modes import evaluation_mode

_BLOCKS = {32: 3, 64: 4}
"""Number of stride-2 layers between a 4x4 map and an image of that size."""


def make_generator(
    latent_dim: int = 100, width: int = 64, channels: int = 3, size: int = 32
) -> nn.Sequential:
    """The DCGAN generator: noise (B, latent_dim, 1, 1) -> images (B, channels, size, size) in [-1, 1].

    Args:
        latent_dim: length of the latent vector.
        width: channels of the last hidden map; each earlier map has twice as many (64: 256, 128, 64 at 32 pixels).
        channels: colour channels of the image.
        size: 32 or 64 pixels.

    Raises:
        CourseError: another size.

    Source: arXiv 1511.06434, section 3 and figure 1.
    """
    maps = [width * 2**i for i in reversed(range(blocks_of(size)))]
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(latent_dim, maps[0], 4, 1, 0, bias=False)
    ]  # (B, maps[0], 4, 4)
    for wide, narrow in pairwise(maps):
        layers += [
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False),
        ]
    layers += [
        nn.BatchNorm2d(maps[-1]),
        nn.ReLU(),
        nn.ConvTranspose2d(maps[-1], channels, 4, 2, 1, bias=False),
    ]
    return nn.Sequential(*layers, nn.Tanh())


def make_discriminator(width: int = 64, channels: int = 3, size: int = 32) -> nn.Sequential:
    """The DCGAN discriminator: images (B, channels, size, size) in [-1, 1] -> logits (B,).

    Args:
        width: channels of the first hidden map; each later map has twice as many.
        channels: colour channels of the image.
        size: 32 or 64 pixels.

    Raises:
        CourseError: another size.

    Source: arXiv 1511.06434, section 3.
    """
    maps = [width * 2**i for i in range(blocks_of(size))]
    layers: list[nn.Module] = [nn.Conv2d(channels, maps[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for narrow, wide in pairwise(maps):
        layers += [
            nn.Conv2d(narrow, wide, 4, 2, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*layers, nn.Conv2d(maps[-1], 1, 4, 1, 0, bias=False), nn.Flatten(0))


def init_dcgan_weights(module: nn.Module) -> None:
    """Initialise one layer as the paper does; use with ``network.apply(init_dcgan_weights)``.

    Convolutions: weights N(0, 0.02). BatchNorm: weights N(1, 0.02). Biases 0. Other layers are left alone.

    Source: arXiv 1511.06434, section 4 (convolutions); the BatchNorm mean of 1 is the authors' code.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def to_tanh_range(images: Tensor) -> Tensor:
    """Bytes to the range of Tanh: uint8 (...) in [0, 255] -> float32 (...) in [-1, 1]; 0 -> -1 and 255 -> 1."""
    return images.float() / 127.5 - 1.0


def to_bytes(images: Tensor) -> Tensor:
    """The way back: float (...) in [-1, 1] -> uint8 (...) in [0, 255], rounded; all 256 values survive the trip."""
    return ((images.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


def make_optimizers(
    generator: nn.Module, discriminator: nn.Module, d_lr: float = 4e-4, g_lr: float = 2e-4
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Adam for the generator and for the discriminator, with lesson 02's settings."""
    adam: dict[str, Any] = {"betas": (0.5, 0.999), "fused": True}
    return (
        torch.optim.Adam(generator.parameters(), lr=g_lr, **adam),
        torch.optim.Adam(discriminator.parameters(), lr=d_lr, **adam),
    )


def dcgan_step(
    generator: nn.Module,
    discriminator: nn.Module,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    noise: Tensor,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> dict[str, float]:
    """One step of both players with the non-saturating loss; equal to lesson 01's ``gan_step``, made for images.

    Args:
        generator: (B, latent_dim, 1, 1) -> (B, C, H, W) in [-1, 1].
        discriminator: (B, C, H, W) -> logits (B,).
        g_optimizer: holds the generator's parameters.
        d_optimizer: holds the discriminator's parameters.
        real: images (B, C, H, W) in [-1, 1].
        noise: (B', latent_dim, 1, 1); B' may differ from B.
        autocast: context for the networks' passes, for example ``Runtime.autocast``.

    Returns:
        ``d_loss`` and ``g_loss`` in nats, and the mean ``d_real`` = D(x) and ``d_fake`` = D(G(z)) in [0, 1],
        both before the discriminator's step.

    Source: arXiv 1406.2661, algorithm 1 and section 3.
    """
    with autocast():
        fake = generator(noise)
        real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
    d_loss = -(F.logsigmoid(real_logits.float()).mean() + F.logsigmoid(-fake_logits.float()).mean())
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()

    with frozen(discriminator):  # the generator's step needs gradients through D, not of D
        with autocast():
            logits = discriminator(fake)
        g_loss = -F.logsigmoid(logits.float()).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
    g_optimizer.step()
    return {
        "d_loss": d_loss.item(),
        "g_loss": g_loss.item(),
        "d_real": real_logits.float().sigmoid().mean().item(),
        "d_fake": fake_logits.float().sigmoid().mean().item(),
    }


@torch.no_grad()
def sample(generator: nn.Module, noise: Tensor, batch_size: int = 500) -> Tensor:
    """Images for each latent vector, with the generator in evaluation mode: (N, D, 1, 1) -> uint8 (N, C, H, W).

    In evaluation mode BatchNorm uses its running statistics, so an image depends on its own latent vector only.
    The mode of each layer is given back as it was.
    """
    with evaluation_mode(generator):
        return torch.cat([to_bytes(generator(part)).cpu() for part in noise.split(batch_size)])


def load_shipped_generator(
    device: torch.device | str = "cpu",
) -> tuple[nn.Sequential, dict[str, Any]]:
    """The generator of the course's longest run, in evaluation mode, and the facts of that run.

    Returns:
        The network, (B, latent_dim, 1, 1) -> (B, 3, 32, 32) in [-1, 1], and ``data``, ``steps``, ``epochs``, ``seed``,
        ``latent_dim`` and ``width``.

    Raises:
        CourseError: the file is missing or damaged.
    """
    weights, facts = shipped.read("dcgan_cifar10")
    generator = make_generator(int(facts["latent_dim"]), int(facts["width"]))
    generator.load_state_dict(weights, assign=True)  # in float32, whatever the default is
    return generator.to(device).eval(), facts


def slerp(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    """Spherical interpolation between latent vectors, row by row: (B, D), (B, D) -> (B, D).

    Args:
        z0: start, returned as given at t = 0.
        z1: end, returned as given at t = 1.
        t: in [0, 1].

    The angle is taken between the normalised vectors; where they are parallel the straight line is used.

    Source: Shoemake 1985; for latent spaces White, arXiv 1609.04468, section 2.
    """
    if t in (0, 1):
        return (z1 if t else z0).clone()
    cosine = F.cosine_similarity(z0, z1, dim=1).clamp(-1, 1)[:, None]
    angle = torch.arccos(cosine)
    sine = torch.sin(angle)
    curved = (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / sine.clamp_min(1e-12)
    return torch.where(sine < 1e-6, (1 - t) * z0 + t * z1, curved)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within this block no gradients of the network are made; afterwards, even after an error, all is as before."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def blocks_of(size: int) -> int:
    """Number of stride-2 layers between a 4×4 map and an image of ``size`` pixels.

    Raises:
        CourseError: neither 32 nor 64.
    """
    if size not in _BLOCKS:
        raise CourseError(
            "dcgan-size",
            f"There is no DCGAN for images of {size} pixels here.",
            "Each stride-2 layer doubles the size, and the course has layers for 32 and 64 pixels.",
            "images = load_images(size=32)",
        )
    return _BLOCKS[size]
