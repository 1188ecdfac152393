"""Kill a lesson's training at each of its operations on the disk, and let it go on: started by the tests.

``python kills.py LESSON FOLDER sweep SHARE`` or ``... random KILLS``. PyTorch is imported once; each trial is a fork of
this process and dies by SIGKILL, in the middle of a write where it is a write. The last line printed is JSON.
"""

import contextlib
import hashlib
import importlib
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # threads of the parent would be missing in its forks

import torch

from course_utils import runtime, train
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
from course_utils.training import run as training
from course_utils.training.checkpoints import newest_generation

EVERY = 2  # steps between two checkpoints
SHARED = struct.Struct("<qq32s")  # operations so far, steps so far, the name of the last operation
OPERATIONS = ("open", "mkdir", "replace", "rename", "unlink", "rmdir", "fsync", "chmod")


class Disk:
    """Counts the operations of a process on the disk, and kills it at one of them."""

    def __init__(self, shared, kill_at):
        self.shared, self.kill_at, self.count, self.run = shared, kill_at, 0, None
        for name in OPERATIONS:
            self.watch(name)
        self.fdopen, os.fdopen = os.fdopen, self.opened

    def watch(self, name):
        real = getattr(os, name)

        def operation(*arguments, **options):
            if name != "open" or arguments[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.event(name)
            return real(*arguments, **options)

        setattr(os, name, operation)

    def opened(self, handle, *arguments, **options):
        return Writes(self.fdopen(handle, *arguments, **options), self)

    def event(self, name, half=lambda: None):
        self.count += 1
        self.shared[:] = SHARED.pack(self.count, self.run.step if self.run else 0, name.encode())
        if self.count == self.kill_at:
            half()
            os.kill(os.getpid(), signal.SIGKILL)


class Writes:
    """A file whose writes are operations; who is killed at one leaves half of it."""

    def __init__(self, file, disk):
        self.file, self.disk = file, disk

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        def half():
            self.file.write(content[: len(content) // 2])
            self.file.flush()

        self.disk.event("write", half)
        return self.file.write(content)


class Lesson:
    """A lesson's own training function with tiny settings."""

    def __init__(self, name, steps):
        self.steps = steps
        os.environ["COURSE_TIER"] = "smoke"
        self.machine = runtime.setup(0, quiet=True)
        common = {"steps": steps, "batch_size": 4}
        if name in ("dcgan", "vae"):
            self.data = load_images("standin", limit=10)
            self.settings = {**common, "latent_dim": 4, "width": 4}
        elif name == "bert":
            self.data = load_reviews("standin", limit=10)
            self.settings = {
                **common,
                "max_tokens": 16,
                "learning_rate": 1e-3,
                "encoder": "standin",
                "keep": "head",
            }
        else:
            self.data, small = gpt_data()
            self.settings = {**common, **small}
        self.train = train.LESSONS[name].train
        self.recipe = importlib.import_module(f"course_utils.training.recipes.{name}")

    def run(self, folder, disk=None):
        """Train in ``folder``, with a checkpoint every two steps whatever the lesson's default."""
        real = training.TrainingRun

        def opened(*arguments, **options):
            run = real(*arguments, **{**options, "save_every": EVERY})
            if disk:
                disk.run = run
            return run

        self.recipe.TrainingRun = opened
        try:
            runtime.setup(0, quiet=True)
            run, _ = self.train(self.machine, self.data, folder, self.settings)
        finally:
            self.recipe.TrainingRun = real
        return run


def gpt_data():
    """Tiny texts and settings for the character model, from what its command line takes."""
    settings = dict(train.SETTINGS["gpt"]["smoke"]) | {
        "documents": 30,
        "vocab": 300,
        "dim": 16,
        "context": 16,
    }
    data = train.LESSONS["gpt"].load("standin", settings)
    small = {k: v for k, v in settings.items() if k not in ("steps", "batch_size")}
    return data, small


def digest(folder):
    """Of everything that is saved in the end: networks, optimisers, random generators, history."""
    found = newest_generation(folder)
    state = hashlib.sha256(f"{found.step}".encode())
    for name, value in sorted(found.tensors.items()):
        state.update(
            name.encode() + value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        )
    record = {key: value for key, value in found.record.items() if key != "seconds"}
    state.update(json.dumps(record, sort_keys=True).encode())
    return state.hexdigest()


def forked(action):
    """Run ``action`` in a fork: its exit code (negative: the signal) and what it returned."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.write(writing, json.dumps(action()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    said = b"".join(iter(lambda: os.read(reading, 65536), b""))
    os.close(reading)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), json.loads(said) if said else None


class Trials:
    def __init__(self, name, root, steps):
        self.lesson, self.root = Lesson(name, steps), root
        self.shared = mmap.mmap(-1, SHARED.size)
        self.lesson.run(
            root / "warm-up"
        )  # first steps are slow; the forks inherit what they prepare
        self.whole = forked(lambda: self.finish(root / "whole"))[1]["digest"]

    def finish(self, folder):
        run = self.lesson.run(folder)
        return {"resumed": run.resumed_at or 0, "step": run.step, "digest": digest(folder)}

    def killed(self, folder, number):
        """Train until the ``number``-th operation: exit code, and what was going on then (operation, step)."""
        self.shared[:] = SHARED.pack(0, 0, b"")

        def action():
            disk = Disk(self.shared, number)
            self.lesson.run(folder, disk)
            return disk.count

        code, count = forked(action)
        events, step, name = SHARED.unpack(self.shared[:])
        return code, count or events, step, name.rstrip(b"\0").decode()

    def sweep(self, share):
        """A kill at every operation, or at ``share`` of them, chosen evenly but for the remainder."""
        code, total, *_ = self.killed(self.root / "counted", 0)
        assert code == 0, code
        step = max(1, round(1 / share))
        rows = []
        for number in range(1 + total % step, total + 1, step):
            folder = self.root / "trial"
            shutil.rmtree(folder, ignore_errors=True)
            code, _, at_step, name = self.killed(folder, number)
            after, found = forked(lambda folder=folder: self.finish(folder))
            left = sum(1 for _ in folder.rglob("*.part"))
            rows.append([number, name, at_step, code, after, found, left])
        return {"operations": total, "kills": rows, "whole": self.whole}

    def random(self, kills):
        """Kill one run again and again, each time at a random operation after it went on."""
        rng, folder, rows = random.Random(7), self.root / "one", []
        for _ in range(kills):
            code, _, step, name = self.killed(folder, rng.randint(30, 80))
            rows.append([code, step, name])
        return {"kills": rows, "whole": self.whole, "end": forked(lambda: self.finish(folder))[1]}


def main(name, root, kind, value):
    tempfile.tempdir = root
    with (
        contextlib.redirect_stdout(sys.stderr),
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        trials = Trials(name, Path(root), 7 if kind == "sweep" else 100)
        report = trials.sweep(float(value)) if kind == "sweep" else trials.random(int(value))
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
