"""The generators of lessons 02 and 03 as samplers: what lesson 06 measures."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from course_utils.datasets.images import ImageSet
from course_utils.models import dcgan, vae
from course_utils.training.recipes import vae_laboratory

Sampler = Callable[[int], Tensor]
"""A number -> that many new pictures, uint8 (N, C, H, W)."""


def samplers(
    train: ImageSet,
    device: torch.device,
    steps: int,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> dict[str, Sampler]:
    """The generators that go with some pictures, by name: the shipped GAN and VAE, or a small VAE trained at once.

    Args:
        train: the pictures. The shipped networks learned from CIFAR-10; for all others the small VAE is trained.
        device: of the shipped networks.
        steps: of the small VAE's training.
        autocast: of the small VAE's training.
    """
    if not train.name.startswith("CIFAR-10"):
        recipe = vae_laboratory.Recipe()
        network = vae_laboratory.train_recipe(recipe, train.images, 0, steps, autocast=autocast)
        return {"small VAE, trained here": _of_vae(network)}
    gan, facts = dcgan.load_shipped_generator(device)
    size = int(facts["latent_dim"])
    return {
        "DCGAN of lesson 2": lambda count: dcgan.sample(
            gan, torch.randn(count, size, 1, 1).to(device)
        ),
        "VAE of lesson 3": _of_vae(vae.load_shipped("vae_cifar10", device)[0]),
    }


def _of_vae(network: vae.VAE) -> Sampler:
    return lambda count: vae.decode_bytes(network, torch.randn(count, network.latent_dim))
