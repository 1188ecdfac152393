"""A lesson's training without a notebook: ``python -m course_utils.train dcgan --tier laptop --run-dir DIR``.

The same command again in the same folder goes on where it stopped. Progress goes to stderr; the last line on stdout
is one JSON object with ``lesson, steps, examples, seconds, examples_per_second, weights_sha256, metrics``.
``torchrun --nproc-per-node 4 -m course_utils.train dcgan ...`` trains the same with four processes (see `scale`).
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from course_utils import memory, runtime, scale
from course_utils.errors import CourseError
from course_utils.images import ImageSet, load_images
from course_utils.models import dcgan, gan_steady, vae
from course_utils.training import TrainingRun, last_means

_GAN = {"d_lr": 4e-4, "gamma": 0.1}
_BERT = {"keep": "ends", "batch_size": 16, "learning_rate": 1e-4}
SETTINGS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "dcgan": {
        "smoke": {"steps": 30, "images": 512, "batch_size": 32, "latent_dim": 100, "width": 16, "average": 0.9, **_GAN},
        "laptop": {
            **{"steps": 2_400, "images": 50_000, "batch_size": 64, "latent_dim": 100, "width": 64},
            **{"average": 0.99, **_GAN},
        },
        "gpu": {
            **{"steps": 80_000, "images": 50_000, "batch_size": 64, "latent_dim": 100, "width": 64},
            **{"average": 0.999, **_GAN},
        },
    },
    "vae": {
        "smoke": {"steps": 60, "images": 512, "batch_size": 32, "latent_dim": 64, "width": 8},
        "laptop": {"steps": 1_600, "images": 50_000, "batch_size": 128, "latent_dim": 64, "width": 32},
        "gpu": {"steps": 40_000, "images": 50_000, "batch_size": 128, "latent_dim": 64, "width": 32},
    },
    "bert": {
        "smoke": {**_BERT, "reviews": 64, "test": 100, "max_tokens": 32, "epochs": 1},
        "laptop": {**_BERT, "reviews": 2_000, "test": 1_000, "max_tokens": 128, "epochs": 2},
        "gpu": {
            **{"keep": "ends", "batch_size": 32, "learning_rate": 2e-5},
            **{"reviews": 25_000, "test": 25_000, "max_tokens": 256, "epochs": 3},
        },
    },
    "gpt": {
        "smoke": {"documents": 100, "steps": 60, "batch_size": 16}
        | {"vocab": 512, "dim": 32, "layers": 2, "heads": 2, "context": 64},
        "laptop": {"documents": 10_000, "steps": 4_000, "batch_size": 16}
        | {"vocab": 1_024, "dim": 128, "layers": 4, "heads": 4, "context": 64},
        "gpu": {"documents": 25_000, "steps": 20_000, "batch_size": 16}
        | {"vocab": 1_024, "dim": 192, "layers": 6, "heads": 6, "context": 256},
    },
}
"""The settings of each lesson's settings cell, per tier (a test holds the two together)."""


def train_dcgan(
    run: runtime.Runtime, images: ImageSet, folder: Path, settings: Mapping[str, Any], fresh: bool = False
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

    Returns:
        The run, whose state has the ``generator`` and its average ``averaged``; the last mean losses and probabilities
        (over the last 100 steps).
    """
    size, channels_last = images.images.shape[-1], torch.channels_last
    settings = {"average": 0.99, **_GAN, **settings}
    generator = dcgan.make_generator(settings["latent_dim"], settings["width"], 3, size)
    discriminator = dcgan.make_discriminator(settings["width"], 3, size)
    for network in (generator, discriminator):
        network.apply(dcgan.init_dcgan_weights).to(run.device, memory_format=channels_last)
    g, d = memory.without_memory(generator), memory.without_memory(discriminator)

    def forward(n: int) -> list[torch.Tensor]:
        noise = torch.empty(n, settings["latent_dim"], 1, 1, device="meta")
        return [d(g(noise)), d(torch.empty(n, 3, size, size, device="meta"))]

    memory.require_batch(min(settings["batch_size"], len(images)), forward, run.device)
    averaged = gan_steady.make_average(generator, settings["average"])
    adam = {"betas": (0.5, 0.999), "fused": True}
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, **adam)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=settings["d_lr"], **adam)
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
        data_sha256=hashlib.sha256(images.images.contiguous().numpy()).hexdigest(),
    )
    pixels = images.images.to(run.device)
    for index in training.batches():
        real = dcgan.to_tanh_range(pixels[index.to(run.device)]).contiguous(memory_format=channels_last)
        noise = training.draw(torch.randn, settings["latent_dim"], 1, 1).to(run.device)
        losses = dcgan.dcgan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise, run.autocast)
        if settings["gamma"] and training.step % gan_steady.PENALTY_EVERY == 0:
            gan_steady.penalty_step(discriminator, d_optimizer, real, settings["gamma"])
        averaged.update_parameters(generator)
        training.log(**losses)
    return training, last_means(training.history)


def train_vae(
    run: runtime.Runtime, images: ImageSet, folder: Path, settings: Mapping[str, Any], fresh: bool = False
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
    network = vae.VAE(chosen["latent_dim"], chosen["width"], chosen["sigma"], images.images.shape[-1])
    network.to(run.device, memory_format=torch.channels_last)
    light = memory.without_memory(network)

    def forward(n: int) -> vae.Losses:
        x = torch.empty(n, 3, network.size, network.size, device="meta")
        return vae.losses(light, x, torch.empty(n, network.latent_dim, device="meta"))

    memory.require_batch(min(settings["batch_size"], len(images)), forward, run.device)
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
    )
    pixels = images.images.to(run.device)
    for index in training.batches():
        level = training.draw(torch.rand, *pixels.shape[1:])
        x = vae.dequantise(pixels[index.to(run.device)], noise=level).contiguous(memory_format=torch.channels_last)
        noise = training.draw(torch.randn, network.latent_dim)
        training.log(**vae.vae_step(network, optimizer, x, chosen["beta"], run.autocast, noise))
    return training, last_means(training.history)


@dataclass(frozen=True)
class Lesson:
    """How a lesson trains.

    Attributes:
        load: (source or None for the default, settings) -> the training data.
        train: (machine, data, folder, settings, fresh) -> the run and its last means.
        data_help: what ``--data`` may be.
    """

    load: Callable[[str | None, Mapping[str, Any]], Any]
    train: Callable[..., tuple[TrainingRun, dict[str, float]]]
    data_help: str


def _load_images(source: str | None, settings: Mapping[str, Any]) -> ImageSet:
    return load_images(source, limit=settings["images"])


def _load_reviews(source: str | None, settings: Mapping[str, Any]) -> Any:
    from course_utils.reviews import load_reviews

    return load_reviews(source, limit=settings["reviews"])


def _train_bert(*arguments: Any) -> tuple[TrainingRun, dict[str, float]]:
    from course_utils.train_bert import train_bert  # transformers takes seconds to import

    return train_bert(*arguments)


def _load_texts(source: str | None, settings: Mapping[str, Any]) -> Any:
    from course_utils.texts import load_texts

    return load_texts(source, settings["documents"])


def _train_gpt(*arguments: Any) -> tuple[TrainingRun, dict[str, float]]:
    from course_utils.models.gpt_training import train_gpt

    return train_gpt(*arguments)


_IMAGES = "standin, cifar10, or the path of an image folder or archive"
_REVIEWS = "standin, sentences, imdb, or the path of a folder or archive in IMDB's layout"
_TEXTS = "manual, standin, sentences, imdb, or the path of a text file, of a folder of them, or of an IMDB folder"
LESSONS: Mapping[str, Lesson] = {
    "dcgan": Lesson(_load_images, train_dcgan, _IMAGES),
    "vae": Lesson(_load_images, train_vae, _IMAGES),
    "bert": Lesson(_load_reviews, _train_bert, _REVIEWS),
    "gpt": Lesson(_load_texts, _train_gpt, _TEXTS),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, 1 after an error, 130 after an interrupt (saved; go on any time)."""
    parser = argparse.ArgumentParser(prog="python -m course_utils.train", description=__doc__.splitlines()[0])
    parser.add_argument("lesson", choices=sorted(LESSONS))
    parser.add_argument("--tier", choices=runtime.TIERS, help="default: COURSE_TIER, else what the machine has")
    parser.add_argument("--data", help="; ".join(f"{n}: {lesson.data_help}" for n, lesson in LESSONS.items()))
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="optimisation steps in all; default: the tier's")
    parser.add_argument("--fresh", action="store_true", help="start again in this folder")
    options = parser.parse_args(argv)
    try:
        with redirect_stdout(sys.stderr), scale.joined(runtime.default_device()) as first:
            result, finished = _train(options)  # whatever reports on the way; stdout is for the result
    except CourseError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped at once; the last checkpoint is intact.", file=sys.stderr)
        return 130
    if first:
        print(json.dumps(result))
    return 0 if finished else 130


def _train(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    if options.tier:
        os.environ["COURSE_TIER"] = options.tier
    run = runtime.setup(options.seed, quiet=True)
    print(run)
    settings = dict(SETTINGS[options.lesson][run.tier])
    if options.steps is not None:
        settings["steps"] = options.steps
    lesson = LESSONS[options.lesson]
    data = lesson.load(options.data, settings)
    fresh = options.fresh and not scale.restarted()
    training, metrics = lesson.train(run, data, options.run_dir, settings, fresh)
    examples = _examples_seen(training)
    result = {
        "lesson": options.lesson,
        "steps": training.step,
        "examples": examples,
        "seconds": round(training.seconds, 3),
        "examples_per_second": round(examples / training.seconds, 1) if training.seconds else None,
        "weights_sha256": training.weights_sha256,
        "metrics": metrics,
    }
    return result, training.finished


def _examples_seen(training: TrainingRun) -> int:
    """Examples in all steps; the last batch of an epoch is smaller."""
    per_epoch = -(-training.examples // training.batch_size)
    epochs, batches = divmod(training.step, per_epoch)
    return epochs * training.examples + min(batches * training.batch_size, training.examples)


if __name__ == "__main__":
    raise SystemExit(main())
