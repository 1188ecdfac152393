"""Lesson 08's conditional training without a notebook; `course_utils.train` calls it, and so do measuring programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from course_utils import runtime
from course_utils.datasets.images import ImageSet
from course_utils.models import cgan, dcgan, gan_steady
from course_utils.training import batch_memory
from course_utils.training.run import TrainingRun, last_means
from course_utils.training.settings import STEADY


def train_cgan(
    run: runtime.Runtime,
    images: ImageSet,
    folder: Path,
    settings: Mapping[str, Any],
    fresh: bool = False,
) -> tuple[TrainingRun, dict[str, float]]:
    """Train lesson 08's class-conditional GAN.

    Args:
        run: the machine's settings.
        images: training images of 32 or 64 pixels, with their classes.
        folder: where checkpoints live.
        settings: ``steps``, ``batch_size``, ``latent_dim``, ``width``; and, where the lesson departs from its default,
            ``method``, a name of `course_utils.models.cgan.METHODS`, ``d_lr``, the discriminator's learning rate,
            ``gamma``, the weight of the penalty on its slope, and ``average``, the decay of the generator's average.
        fresh: start again.

    Returns:
        The run, whose state has the ``generator`` and its average ``averaged``; the last mean losses and probabilities
        (over the last 100 steps).
    """
    size, classes, channels_last = (
        images.images.shape[-1],
        len(images.classes),
        torch.channels_last,
    )
    settings = {"average": 0.99, "method": cgan.DEFAULT, **STEADY, **settings}
    method = settings["method"]
    players = cgan.make_players(
        method, settings["latent_dim"], settings["width"], size, classes, run.device
    )
    generator, discriminator = players
    g, d = batch_memory.without_memory(generator), batch_memory.without_memory(discriminator)

    def forward(n: int) -> list[torch.Tensor]:
        noise = torch.empty(n, settings["latent_dim"], 1, 1, device="meta")
        label = torch.empty(n, dtype=torch.int64, device="meta")
        return [d(g(noise, label), label), d(torch.empty(n, 3, size, size, device="meta"), label)]

    batch_memory.require_batch(min(settings["batch_size"], len(images)), forward, run.device)
    averaged = gan_steady.make_average(generator, settings["average"])
    g_optimizer, d_optimizer = dcgan.make_optimizers(*players, settings["d_lr"])
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
            "lesson": "cgan",
            "data": images.name,
            "size": size,
            "classes": list(images.classes),
            **{k: settings[k] for k in ("latent_dim", "width", "gamma", "average", "method")},
        },
        steps=settings["steps"],
        examples=len(images),
        batch_size=settings["batch_size"],
        seed=run.seed,
        fresh=fresh,
        data_sha256=images.sha256,
    )
    pixels, labels = images.images.to(run.device), images.labels.to(run.device)
    for index in training.batches():
        index = index.to(run.device)
        real = dcgan.to_tanh_range(pixels[index]).contiguous(memory_format=channels_last)
        label, noise = labels[index], training.draw(torch.randn, settings["latent_dim"], 1, 1)
        noise = noise.to(run.device)
        losses = cgan.cgan_step(
            *players, g_optimizer, d_optimizer, real, label, noise, method, run.autocast
        )
        if settings["gamma"] and training.step % gan_steady.PENALTY_EVERY == 0:
            fake = None
            if cgan.METHODS[method].fake_penalty:
                with torch.no_grad():
                    fake = generator(noise, label)
            cgan.cgan_penalty_step(
                discriminator, d_optimizer, real, fake, label, settings["gamma"], method
            )
        averaged.update_parameters(generator)
        training.log(**losses)
    return training, last_means(training.history)
