"""Lesson 03's training without a notebook; `course_utils.train` calls it, and so do the measuring programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from course_utils import runtime
from course_utils.datasets.images import ImageSet
from course_utils.models import vae
from course_utils.training import batch_memory
from course_utils.training.run import TrainingRun, last_means


def train_vae(
    run: runtime.Runtime,
    images: ImageSet,
    folder: Path,
    settings: Mapping[str, Any],
    fresh: bool = False,
) -> tuple[TrainingRun, dict[str, float]]:
    """Train lesson 03's VAE.

    Args:
        run: the machine's settings.
        images: training images of 32 or 64 pixels.
        folder: where checkpoints live.
        settings: ``steps``, ``batch_size``, ``latent_dim``, ``width``; and, where the lesson departs from its default,
            ``sigma`` (see ``course_utils.models.vae.VAE``) and ``beta``.
        fresh: start again.

    Returns:
        The run, and its last mean losses in nats an image (over the last 100 steps).
    """
    chosen = {"sigma": None, "beta": 1.0} | {
        k: settings[k] for k in ("latent_dim", "width", "sigma", "beta") if k in settings
    }
    network = vae.VAE(
        chosen["latent_dim"], chosen["width"], chosen["sigma"], images.images.shape[-1]
    )
    network.to(run.device).to(memory_format=torch.channels_last)
    light = batch_memory.without_memory(network)

    def forward(n: int) -> vae.Losses:
        x = torch.empty(n, 3, network.size, network.size, device="meta")
        return vae.losses(light, x, torch.empty(n, network.latent_dim, device="meta"))

    batch_memory.require_batch(min(settings["batch_size"], len(images)), forward, run.device)
    optimizer = vae.make_optimizer(network)
    training = TrainingRun(
        folder,
        state={"vae": network, "optimizer": optimizer},
        config={"lesson": "vae", "data": images.name, "size": network.size, **chosen},
        steps=settings["steps"],
        examples=len(images),
        batch_size=settings["batch_size"],
        seed=run.seed,
        fresh=fresh,
        data_sha256=images.sha256,
    )
    pixels = images.images.to(run.device)
    for index in training.batches():
        level = training.draw(torch.rand, *pixels.shape[1:])
        x = vae.dequantise(pixels[index.to(run.device)], noise=level).contiguous(
            memory_format=torch.channels_last
        )
        noise = training.draw(torch.randn, network.latent_dim)
        training.log(**vae.vae_step(network, optimizer, x, chosen["beta"], run.autocast, noise))
    return training, last_means(training.history)
