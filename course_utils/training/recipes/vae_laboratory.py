"""Small trainings of the VAE for lesson 03's laboratory: one recipe, one seed, some seconds."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.datasets import standin_images
from course_utils.datasets.images import ImageSet
from course_utils.evaluation.elbo import Loss
from course_utils.models import vae
from course_utils.progress_bars import progress
from course_utils.training.run import permutation

HEART = standin_images.CLASSES.index("heart")


@dataclass(frozen=True)
class Recipe:
    """How a VAE's loss is put together.

    Attributes:
        sigma: of the likelihood; None learns it.
        mean_error: True takes the *mean* squared error over pixels and leaves the KL a sum, as many programs do.
        beta: weight of the KL.
        warm_up: share of the steps in which beta rises from 0 to its value (KL annealing).
        free_nats: nats that each latent dimension may cost without a gradient (free bits).
    """

    sigma: float | None = None
    mean_error: bool = False
    beta: float = 1.0
    warm_up: float = 0.0
    free_nats: float = 0.0

    def loss(self, parts: vae.Losses, dims: int, progress: float) -> Tensor:
        """The loss of one step; ``dims`` numbers an image, ``progress`` in [0, 1]."""
        beta = self.beta * min(1.0, progress / self.warm_up) if self.warm_up else self.beta
        # For variance 1, 2 / dims times the NLL is the mean squared error (and a constant).
        nll = parts.nll.mean() * (2 / dims if self.mean_error else 1.0)
        kl = parts.kl_per_dim
        return nll + beta * (
            vae.free_bits_kl(kl, self.free_nats) if self.free_nats else kl.sum(dim=1).mean()
        )


def train_recipe(
    recipe: Recipe,
    images: Tensor,
    seed: int,
    steps: int,
    latent_dim: int = 16,
    width: int = 8,
    batch_size: int = 64,
    hidden: int = 0,
    lr: float = 2e-3,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> vae.VAE:
    """Train a small VAE on bytes (N, 3, H, W) by a recipe; returns it. Seeds the global generator."""
    torch.manual_seed(seed)
    network = vae.VAE(latent_dim, width, recipe.sigma, images.shape[-1], hidden)
    dims = images[0].numel()

    def loss(batch: Tensor, progress: float) -> Tensor:
        x = vae.dequantise(batch).contiguous(memory_format=torch.channels_last)
        noise = torch.randn(len(x), latent_dim)
        return recipe.loss(vae.losses(network, x, noise, autocast), dims, progress)

    return _train(network, loss, images, seed, steps, batch_size, lr)


def train_line(
    line: Loss,
    images: Tensor,
    seed: int,
    steps: int,
    latent_dim: int = 16,
    width: int = 8,
    batch_size: int = 64,
    lr: float = 2e-3,
) -> vae.VAE:
    """Train a small VAE by any loss line, as a function. Seeds the global generator.

    Args:
        line: ``line(x_hat, x, mean, log_var)``, a scalar; its images (B, 3, H, W) are in [0, 1].
        images: uint8 (N, 3, H, W).
        seed: of weights, batches and noise.
        steps: optimisation steps.
        latent_dim: latent dimensions.
        width: channels of the last hidden map.
        batch_size: images per step.
        lr: Adam's.

    Returns:
        The network; its own images are in [-1, 1], as those of every VAE of the course.
    """
    torch.manual_seed(seed)
    network = vae.VAE(latent_dim, width, sigma=1.0, size=images.shape[-1])

    def loss(batch: Tensor, _: float) -> Tensor:
        x = (batch.float() / 255).contiguous(memory_format=torch.channels_last)
        mean, log_var = network.encode(2 * x - 1)
        z = vae.reparameterise(mean, log_var, torch.randn_like(mean))
        return line((network.decode(z) + 1) / 2, x, mean, log_var)

    return _train(network, loss, images, seed, steps, batch_size, lr)


def _train(
    network: vae.VAE,
    loss_of: Callable[[Tensor, float], Tensor],
    images: Tensor,
    seed: int,
    steps: int,
    batch_size: int,
    lr: float,
) -> vae.VAE:
    """Descend ``loss_of(bytes of a batch, share of the steps done)``."""
    network.to(memory_format=torch.channels_last)
    optimizer = vae.make_optimizer(network, lr)
    per_epoch = max(1, len(images) // batch_size)
    for step in progress(range(steps), "training", leave=False):
        epoch, batch = divmod(step, per_epoch)
        index = permutation(seed, epoch, len(images))[batch * batch_size : (batch + 1) * batch_size]
        loss = loss_of(images[index], step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


@torch.no_grad()
def examine(network: vae.VAE, images: Tensor) -> dict[str, object]:
    """What a trained VAE does with held-out bytes (N, 3, H, W).

    Returns:
        ``active`` units, ``kl`` in nats an image, ``kl_per_dim`` in descending order, ``error`` (root mean square of
        the reconstruction from a draw of z, in grey levels of 0 to 255), and ``bits`` for each number: the negative
        ELBO of the same networks with the variance that suits them best, so that recipes can be compared.
    """
    mean, log_var = vae.encode_means(network, images)
    z = vae.reparameterise(
        mean, log_var, torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
    )
    x = images.float() / 127.5 - 1
    square = torch.cat(
        [
            (network.decode(a) - b).square().flatten(1)
            for a, b in zip(z.split(500), x.split(500), strict=True)
        ]
    )
    kl = vae.gaussian_kl_per_dim(mean, log_var).mean(0)
    dims, variance = (
        square.shape[1],
        square.mean().item() + 1 / (12 * 127.5**2),
    )  # with the dequantisation's own
    nats = 0.5 * dims * (math.log(2 * math.pi * variance) + 1) + kl.sum()
    return {
        "active": vae.active_units(mean),
        "kl": kl.sum().item(),
        "kl_per_dim": [round(v, 4) for v in kl.sort(descending=True).values.tolist()],
        "error": 127.5 * square.mean().sqrt().item(),
        "bits": vae.bits_per_dim(nats, dims).item(),
    }


def read_plane(network: vae.VAE, images: ImageSet, reach: float = 2.0) -> dict[str, float]:
    """How a plane of codes holds pictures whose places are known.

    Args:
        network: a VAE with two latent dimensions.
        images: pictures with the factors x and y.
        reach: half a side of the square around 0 that counts as inside.

    Returns:
        ``inside``, the share of codes in the square; ``spread``, their standard deviation; and for ``x`` and ``y`` the
        largest absolute correlation with either axis.
    """
    if images.factors is None:
        raise ValueError("the pictures have no known factors")
    codes, _ = vae.encode_means(network, images.images)
    both = torch.stack([*codes.T, *(images.factors[name].float() for name in ("x", "y"))])  # (4, N)
    of_x, of_y = both.corrcoef()[:2, 2:].abs().amax(0).tolist()
    inside = (codes.abs() < reach).all(1).float().mean().item()
    return {"inside": inside, "spread": codes.std().item(), "x": of_x, "y": of_y}


def moving_hearts(count: int, split: str = "train") -> ImageSet:
    """Stand-in pictures of one heart on one background in which two factors vary and no other: place x and place y."""
    factors = standin_images.make_factors(count, {"train": 11, "test": 12}[split])
    fixed = {"hue": 0.97, "size": 0.58, "angle": 0.0, "background_hue": 0.58}
    for name, value in fixed.items():
        factors[name][:] = value
    factors["class"][:], factors["background"][:], factors["detail"][:] = HEART, 0, 0
    tensors = {name: torch.from_numpy(value) for name, value in factors.items()}
    images = torch.from_numpy(standin_images.draw(factors))
    return ImageSet(
        images,
        tensors["class"].clone(),
        standin_images.NAME,
        True,
        standin_images.CLASSES,
        split,
        tensors,
    )
