"""The long trainings of what ships, one after the other: ``python -m measuring.long_runs --data FOLDER``.

Each has a plan below: settings, how long it takes, what it has to reach. The queue goes on where it stopped, today or
next week, as the course's own checkpoints do; what is finished is scored and shipped by its lesson's program. It trains
committed code only, and not beside other work: it looks before each training and, while one runs, once a minute.
``--list`` tells how far each one is; ``--only NAME`` takes one of them; ``--minutes 30`` stops after so many, saved.
"""

import argparse
import json
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from course_utils import paths, results, runtime
from course_utils.datasets.images import load_images
from course_utils.errors import CourseError
from course_utils.models import flow
from course_utils.training.checkpoints import newest_generation
from course_utils.training.recipes.cgan import train_cgan
from course_utils.training.recipes.dcgan import train_dcgan
from course_utils.training.recipes.flow import train_flow
from course_utils.training.recipes.vae import train_vae
from course_utils.training.run import TrainingRun
from course_utils.training.settings import SETTINGS
from measuring import measure_dcgan, measure_flow, measure_stable, measure_vae

OTHERS = 0.15
"""Of one core: more than that, taken by other programs, is other work."""


@dataclass(frozen=True)
class Plan:
    """One long training.

    Attributes:
        name: of the weights that it ships.
        train: the lesson's recipe: (machine, images, folder, settings).
        ship: the lesson's program, which takes ``ship --data … --run-dir …``.
        lesson: whose settings it takes, at tier ``laptop``.
        settings: what differs from them.
        minutes: about how long, on two quiet cores.
        goal: what the result has to reach, in words.
        folder_as: the options by which the lesson's program takes the run's folder.
        source: the images, where they are not those of ``--data``.
        size: of an image, in pixels.
    """

    name: str
    train: Any
    ship: Any
    lesson: str
    settings: Mapping[str, Any]
    minutes: float
    goal: str
    folder_as: Sequence[str] = ("--run-dir",)
    source: str | None = None
    size: int = 32

    @property
    def folder(self) -> Path:
        """Where its checkpoints lie."""
        return paths.runs_dir() / "long" / self.name

    @property
    def all_settings(self) -> dict[str, Any]:
        """The lesson's settings with its own."""
        return {**SETTINGS[self.lesson]["laptop"], **self.settings}

    @property
    def done(self) -> int:
        """Steps that its newest checkpoint has."""
        found = newest_generation(self.folder) if self.folder.is_dir() else None
        return found.step if found else 0


PLANS = (
    Plan(
        "dcgan_cifar10",
        *(train_dcgan, measure_dcgan, "dcgan"),
        settings={"steps": 24_000, "average": 0.999},
        minutes=45,
        goal="FD at most 0.85, better 0.7",
    ),
    Plan(
        "vae_cifar10",
        *(train_vae, measure_vae, "vae"),
        settings={"steps": 30_000},
        minutes=60,
        goal="bits per dimension and FD below those of the ten epochs shipped so far",
    ),
    Plan(
        "cgan_cifar10",
        *(train_cgan, measure_stable, "cgan"),
        settings={"steps": 24_000, "average": 0.999},
        minutes=60,
        goal="the asked class is read in 70 % of the pictures, better 80 %",
        folder_as=("--work",),
    ),
    Plan(
        "flow_cifar10",
        *(train_flow, measure_flow, "flow"),
        settings={"steps": 12_000, "average": 0.999},
        minutes=45,
        goal="FD below the GAN's of eight minutes, 1.08",
        folder_as=("--work", "--run-dir"),
    ),
    Plan(
        flow.SHIPPED_64,
        *(train_flow, measure_flow, "flow"),
        settings={"steps": 8_000, "batch_size": 32, "average": 0.999},
        minutes=40,
        goal="drawings with clean edges, each of the class that was asked for",
        folder_as=("--work", "--run-dir"),
        source="standin",
        size=64,
    ),
)
"""In this order."""


class Company:
    """How much of the cores that a training uses other programs take, asked once a minute in a thread of its own.

    Attributes:
        shares: what each look found, in cores.
    """

    def __init__(self, seconds: float = 60) -> None:
        self.shares: list[float] = []
        self._seconds, self._over = seconds, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Company":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(self._seconds):
            self.shares.append(others())
            if self.shares[-1] > OTHERS:
                print(f"\nOther programs take {self.shares[-1]:.1f} of a core.", flush=True)

    @property
    def quiet(self) -> float:
        """Share of the looks at which nothing else worked; 1 before the first."""
        if not self.shares:
            return 1.0
        return sum(share <= OTHERS for share in self.shares) / len(self.shares)


def others(seconds: float = 2.0) -> float:
    """Cores that other programs take at this moment, of those that this one may use."""
    mine = (
        sorted(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else None
    )
    own = psutil.Process()
    before, start = sum(own.cpu_times()[:2]), time.monotonic()
    used = psutil.cpu_percent(seconds, percpu=True)
    passed = time.monotonic() - start
    all_used = sum(used[core] for core in (mine or range(len(used)))) / 100
    return max(0.0, all_used - (sum(own.cpu_times()[:2]) - before) / passed)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0 when all is shipped, 3 when there is more to do."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.long_runs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="CIFAR-10 as an archive or a folder of class folders")
    parser.add_argument("--only", choices=[plan.name for plan in PLANS])
    parser.add_argument("--list", action="store_true", help="tell how far each one is")
    parser.add_argument("--minutes", type=float, help="stop after so many, saved")
    options = parser.parse_args(argv)
    chosen = [plan for plan in PLANS if options.only in (None, plan.name)]
    if options.list:
        for plan in chosen:
            print(in_words(plan))
        return 0
    ends = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    for plan in chosen:
        if _shipped(plan):
            continue
        require_quiet()
        if not run(plan, options.data, ends):
            return 3
    return 0


def in_words(plan: Plan) -> str:
    """How far a training is."""
    steps = plan.all_settings["steps"]
    state = "shipped" if _shipped(plan) else f"{plan.done:,} of {steps:,} steps"
    return f"{plan.name}: {state}; about {plan.minutes:g} minutes in all; goal: {plan.goal}"


def require_quiet() -> None:
    """Refuse to begin on code that nobody can find again, or beside other work.

    Raises:
        CourseError: files differ from the commit, or other programs are at work.
    """
    commit = results.commit()
    if commit == "unknown" or commit.endswith("-dirty"):
        raise CourseError(
            "long-run-dirty",
            f"The code is that of commit {commit}.",
            "A result has to name the code that made it.",
            "git stash, or git commit; then the same command again",
        )
    if (share := others()) > OTHERS:
        raise CourseError(
            "long-run-company",
            f"Other programs take {share:.1f} of the cores.",
            "Two trainings on the same cores take each other many times more than half the speed.",
            "Wait for them, or give this one cores of its own: taskset -c 2,3 python -m measuring.long_runs",
        )


def run(plan: Plan, data: str, ends: float | None = None) -> bool:
    """Train by one plan, or go on with it, and ship what came out; False where time was up before.

    Args:
        plan: what to train.
        data: the images.
        ends: when to stop, as `time.monotonic` counts.
    """
    machine = runtime.setup(0)
    plan.folder.mkdir(parents=True, exist_ok=True)
    data = plan.source or data
    images = load_images(data, "train", plan.size)
    print(in_words(plan), flush=True)
    begun, commit = time.monotonic(), results.commit()

    left = None if ends is None else max(0.0, ends - begun)
    timer = threading.Timer(left or 0, os.kill, (os.getpid(), signal.SIGINT))  # as Ctrl-C does
    with Company() as company:
        try:
            if left is not None:
                timer.start()
            training, _ = plan.train(machine, images, plan.folder, plan.all_settings)
        except KeyboardInterrupt:  # outside the loop, which saves and ends by itself
            print("Stopped at once; the last checkpoint is intact.")
            return False
        finally:
            timer.cancel()
    _note(plan, training, commit, company)
    if not training.finished:
        return False
    places = [word for option in plan.folder_as for word in (option, str(plan.folder))]
    plan.ship.main(["ship", "--data", data, *places])
    return True


def _note(plan: Plan, training: TrainingRun, commit: str, company: Company) -> None:
    """Add this part of the training to the run's diary: how far, by which code, and how quiet it was."""
    diary = plan.folder / "parts.json"
    parts = json.loads(diary.read_text()) if diary.is_file() else []
    parts.append(
        {
            "step": training.step,
            "seconds": round(training.seconds, 1),
            "commit": commit,
            "quiet": round(company.quiet, 2),
            "machine": results.provenance()["machine"],
        }
    )
    paths.atomic_write(diary, json.dumps(parts, indent=1).encode())


def _shipped(plan: Plan) -> bool:
    """Whether the shipped weights are those of this plan's finished run."""
    found = results.earlier(f"{plan.name}.json")
    return int(found.get("steps", 0)) == plan.all_settings["steps"]


if __name__ == "__main__":
    raise SystemExit(main())
