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
from course_utils.tiers import TIERS
from course_utils.training import processes
from course_utils.training.recipes.cgan import train_cgan
from course_utils.training.recipes.dcgan import train_dcgan
from course_utils.training.recipes.flow import train_flow
from course_utils.training.recipes.vae import train_vae
from course_utils.training.run import TrainingRun
from course_utils.training.settings import SETTINGS


@dataclass(frozen=True)
class Lesson:
    """How a lesson trains.

    Attributes:
        load: (source or None for the default, settings) -> the training data.
        train: (machine, data, folder, settings, fresh) -> the run and its last means.
        sources: names that ``--data`` may have.
        own: what else it may be.
    """

    load: Callable[[str | None, Mapping[str, Any]], Any]
    train: Callable[..., tuple[TrainingRun, dict[str, float]]]
    sources: tuple[str, ...]
    own: str

    def help(self) -> str:
        """What ``--data`` may be, in words."""
        return f"{', '.join(self.sources)}, or {self.own}"

    def source(self, data: str | None) -> str | None:
        """The source that ``--data`` names; a path on a command line begins where the command is given."""
        if data is None or data in self.sources:
            return data
        return str(Path(data).expanduser().absolute())


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


_IMAGES = ("standin", "cifar10"), "the path of an image folder or archive"
_TEXT = ("standin", "sentences", "imdb", "hub")
_REVIEWS = _TEXT, "the path of a folder or archive in IMDB's layout"
_TEXTS = ("manual", *_TEXT), "the path of a text file, of a folder of them, or of an IMDB folder"
LESSONS: Mapping[str, Lesson] = {
    "dcgan": Lesson(_load_images, train_dcgan, *_IMAGES),
    "vae": Lesson(_load_images, train_vae, *_IMAGES),
    "cgan": Lesson(_load_images, train_cgan, *_IMAGES),
    "bert": Lesson(_load_reviews, _train_bert, *_REVIEWS),
    "gpt": Lesson(_load_texts, _train_gpt, *_TEXTS),
    "flow": Lesson(_load_images, train_flow, *_IMAGES),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, 1 after an error, 130 after an interrupt (saved; go on any time)."""
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.train", description=__doc__.splitlines()[0]
    )
    parser.add_argument("lesson", choices=sorted(LESSONS))
    parser.add_argument(
        "--tier", choices=TIERS, help="default: COURSE_TIER, else what the machine has"
    )
    parser.add_argument(
        "--data", help="; ".join(f"{name}: {lesson.help()}" for name, lesson in LESSONS.items())
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
    data = lesson.load(lesson.source(options.data), settings)
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
