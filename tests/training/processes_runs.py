"""Small runs of every lesson, by one process or several: ``torchrun --nproc-per-node 2 processes_runs.py FOLDER``."""

import contextlib
import json
import os
import sys
from argparse import Namespace
from pathlib import Path
from unittest import mock

import torch

from course_utils import runtime, train
from course_utils.datasets import texts
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
from course_utils.errors import CourseError
from course_utils.models.pretrained import load_encoder
from course_utils.training import processes
from course_utils.training import run as training
from course_utils.training.recipes.bert import fine_tune
from course_utils.training.recipes.gpt import train_gpt

CASES = {"one step": (1, 11), "one example": (1, 1), "three epochs": (9, 11)}
"""Steps and examples. Batches of 5, 5 and 1 make parts of 3 and 2, and of 1 and 0: none is even."""
WHOLE = {"lesson": "vae", "tier": "smoke", "data": None, "seed": 0, "steps": 40, "fresh": False}
"""What the command line gets in the tests that interrupt it."""
SMALL = {
    "dcgan": {"latent_dim": 8, "width": 4, "d_lr": 4e-4, "gamma": 0.1, "average": 0.9},
    "vae": {"latent_dim": 8, "width": 4},
    "cgan": {"latent_dim": 8, "width": 4, "d_lr": 4e-4, "gamma": 0.1, "average": 0.9},
    "gpt": {"vocab": 300, "dim": 16, "layers": 2, "heads": 2, "context": 16},
    "bert": {"max_tokens": 24, "learning_rate": 1e-3, "keep": "head"},
}


def run(lesson, folder, steps, examples, seed=0):
    """A lesson's own training function; without dropout, which draws other masks in each process."""
    machine = runtime.setup(seed, quiet=True)
    settings = {**SMALL[lesson], "steps": steps, "batch_size": 5}
    if lesson in ("dcgan", "vae", "cgan"):
        return train.LESSONS[lesson].train(
            machine, load_images("standin", limit=examples), folder, settings
        )[0]
    if lesson == "gpt":
        windows = texts.windows
        with mock.patch.object(texts, "windows", lambda *arguments: windows(*arguments)[:examples]):
            return train_gpt(machine, texts.load_texts("standin", 30), folder, settings)[0]
    reviews = load_reviews("standin", limit=max(2, examples)).take(examples)
    encoder = load_encoder("standin", tier="smoke", texts=reviews.texts)
    for module in encoder.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return fine_tune(machine, encoder, reviews, folder, settings)[0]


def draws(folder):
    """Random numbers of two steps: those of the examples, and others."""
    torch.manual_seed(0)
    found = []
    steps = training.TrainingRun(folder, state={}, config={}, steps=2, examples=5, batch_size=5)
    for index in steps.batches():
        found.append([index.tolist(), steps.draw(torch.randn, 2).tolist(), torch.rand(3).tolist()])
    return [*found, torch.rand(3).tolist()]


def other_settings(folder, number):
    """What processes with different settings are told."""
    try:
        training.TrainingRun(
            folder, state={}, config={"width": 4 + number}, steps=2, examples=5, batch_size=5
        )
    except CourseError as error:
        return [error.code, str(error)]


def refused(*_):
    raise AssertionError("only the first process writes")


def main(root):
    number = int(os.environ.get("RANK", "0"))
    os.environ["COURSE_TIER"] = "smoke"
    if number:
        training.save_generation = training.require_writable = refused
    report = {}
    with processes.joined(torch.device("cpu")), contextlib.redirect_stdout(sys.stderr):
        for lesson in SMALL:
            for case, (steps, examples) in CASES.items():
                report[f"{lesson}, {case}"] = run(
                    lesson, root / lesson / case, steps, examples
                ).weights_sha256
        report["draws"] = draws(root / "draws")
        report["other settings"] = other_settings(root / "other", number)
        report["whole"] = train._train(Namespace(**WHOLE, run_dir=root / "whole"))[0][
            "weights_sha256"
        ]
    (root / f"{number}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
