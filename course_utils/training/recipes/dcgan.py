"""Lesson 02's training without a notebook; `course_utils.train` calls it, and so do the measuring programs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils import runtime
from course_utils.datasets.images import ImageSet
from course_utils.models import dcgan, gan_steady
from course_utils.training import batch_memory
from course_utils.training.run import TrainingRun, last_means
from course_utils.training.settings import STEADY


def train_dcgan(
    run: runtime.Runtime,
    images: ImageSet,
    folder: Path,
    settings: Mapping[str, Any],
    fresh: bool = False,
    discriminator: nn.Module | None = None,
    slope: Callable[[nn.Module, Tensor], Tensor] = gan_steady.slope,
) -> tuple[TrainingRun, dict[str, float]]:
    """Train lesson 02's networks.

    Args:
        run: the machine's settings.
        images: training images of 32 or 64 pixels.
        folder: where checkpoints live.
        settings: ``steps``, ``batch_size``, ``latent_dim``, ``width``; and, where the lesson departs from its default,
            ``d_lr``, the discriminator's learning rate, ``gamma``, the weight of the penalty on its slope, and
            ``average``, the decay of the generator's average.
        fresh: start again.
        discriminator: another one than the lesson's, ready to be trained.
        slope: what the penalty measures, where the lesson departs from its default.

    Returns:
        The run, whose state has the ``generator`` and its average ``averaged``; the last mean losses and probabilities
        (over the last 100 steps).
    """
    size, channels_last = images.images.shape[-1], torch.channels_last
    settings = {"average": 0.99, **STEADY, **settings}
    generator = dcgan.make_generator(settings["latent_dim"], settings["width"], 3, size)
    generator.apply(dcgan.init_dcgan_weights)
    if discriminator is None:
        discriminator = dcgan.make_discriminator(settings["width"], 3, size)
        discriminator.apply(dcgan.init_dcgan_weights)
    for network in (generator, discriminator):
        network.to(run.device).to(memory_format=channels_last)
    g, d = batch_memory.without_memory(generator), batch_memory.without_memory(discriminator)

    def forward(n: int) -> list[torch.Tensor]:
        noise = torch.empty(n, settings["latent_dim"], 1, 1, device="meta")
        return [d(g(noise)), d(torch.empty(n, 3, size, size, device="meta"))]

    batch_memory.require_batch(min(settings["batch_size"], len(images)), forward, run.device)
    averaged = gan_steady.make_average(generator, settings["average"])
    g_optimizer, d_optimizer = dcgan.make_optimizers(generator, discriminator, settings["d_lr"])
    training = TrainingRun(
        folder,
        state={
            "generator": generator,
            "discriminator": discriminator,
            "averaged": averaged,
            "g_optimizer": g_optimizer,
            "d_optimizer": d_optimizer,
        },
        config={
            "lesson": "dcgan",
            "data": images.name,
            "size": size,
            **{k: settings[k] for k in ("latent_dim", "width", "gamma", "average")},
        },
        steps=settings["steps"],
        examples=len(images),
        batch_size=settings["batch_size"],
        seed=run.seed,
        fresh=fresh,
        data_sha256=images.sha256,
    )
    pixels = images.images.to(run.device)
    for index in training.batches():
        real = dcgan.to_tanh_range(pixels[index.to(run.device)]).contiguous(
            memory_format=channels_last
        )
        noise = training.draw(torch.randn, settings["latent_dim"], 1, 1).to(run.device)
        losses = dcgan.dcgan_step(
            generator, discriminator, g_optimizer, d_optimizer, real, noise, run.autocast
        )
        if settings["gamma"] and training.step % gan_steady.PENALTY_EVERY == 0:
            gan_steady.penalty_step(discriminator, d_optimizer, real, settings["gamma"], slope)
        averaged.update_parameters(generator)
        training.log(**losses)
    return training, last_means(training.history)
