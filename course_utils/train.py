"""A lesson's training without a notebook: ``python -m course_utils.train dcgan --tier laptop --run-dir DIR``.

The same command again in the same folder goes on where it stopped. Progress goes to stderr; the last line on stdout
is one JSON object with ``lesson, steps, examples, seconds, examples_per_second, weights_sha256, metrics``.
``torchrun --nproc-per-node 4 -m course_utils.train dcgan ...`` trains the same with four processes (see `scale`).
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import runtime
from course_utils.datasets.images import ImageSet, load_images
from course_utils.errors import CourseError
from course_utils.training import processes
from course_utils.training.recipes.dcgan import STEADY, train_dcgan
from course_utils.training.recipes.vae import train_vae
from course_utils.training.run import TrainingRun

_BERT = {"keep": "ends", "batch_size": 16, "learning_rate": 1e-4}
SETTINGS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "dcgan": {
        "smoke": {
            "steps": 30,
            "images": 512,
            "batch_size": 32,
            "latent_dim": 100,
            "width": 16,
            "average": 0.9,
            **STEADY,
        },
        "laptop": {
            **{"steps": 2_400, "images": 50_000, "batch_size": 64, "latent_dim": 100, "width": 64},
            **{"average": 0.99, **STEADY},
        },
        "gpu": {
            **{"steps": 80_000, "images": 50_000, "batch_size": 64, "latent_dim": 100, "width": 64},
            **{"average": 0.999, **STEADY},
        },
    },
    "vae": {
        "smoke": {"steps": 60, "images": 512, "batch_size": 32, "latent_dim": 64, "width": 8},
        "laptop": {
            "steps": 1_600,
            "images": 50_000,
            "batch_size": 128,
            "latent_dim": 64,
            "width": 32,
        },
        "gpu": {
            "steps": 40_000,
            "images": 50_000,
            "batch_size": 128,
            "latent_dim": 64,
            "width": 32,
        },
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
    from course_utils.datasets.reviews import load_reviews

    return load_reviews(source, limit=settings["reviews"])


def _train_bert(*arguments: Any) -> tuple[TrainingRun, dict[str, float]]:
    from course_utils.training.recipes.bert import (
        train_bert,  # transformers takes seconds to import
    )

    return train_bert(*arguments)


def _load_texts(source: str | None, settings: Mapping[str, Any]) -> Any:
    from course_utils.datasets.texts import load_texts

    return load_texts(source, settings["documents"])


def _train_gpt(*arguments: Any) -> tuple[TrainingRun, dict[str, float]]:
    from course_utils.training.recipes.gpt import train_gpt

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
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.train", description=__doc__.splitlines()[0]
    )
    parser.add_argument("lesson", choices=sorted(LESSONS))
    parser.add_argument(
        "--tier", choices=runtime.TIERS, help="default: COURSE_TIER, else what the machine has"
    )
    parser.add_argument(
        "--data", help="; ".join(f"{n}: {lesson.data_help}" for n, lesson in LESSONS.items())
    )
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="optimisation steps in all; default: the tier's")
    parser.add_argument("--fresh", action="store_true", help="start again in this folder")
    options = parser.parse_args(argv)
    try:
        with redirect_stdout(sys.stderr), processes.joined(runtime.default_device()) as first:
            result, finished = _train(
                options
            )  # whatever reports on the way; stdout is for the result
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
    fresh = options.fresh and not processes.restarted()
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
