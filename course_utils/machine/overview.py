"""What this machine has, which data are on it, and what that means for each lesson."""

import html
import itertools
import platform
import shutil
from collections.abc import Sequence
from importlib import metadata

from course_utils import assets, paths, runtime
from course_utils.datasets import images, reviews
from course_utils.display import tables
from course_utils.learner import catalogue
from course_utils.learner.catalogue import Lesson
from course_utils.machine import free_memory, lesson_costs, minutes_here
from course_utils.machine.lesson_costs import Measured, download_mib, duration
from course_utils.runtime import Runtime
from course_utils.tiers import TIERS

_PACKAGES = ("torch", "torchvision", "numpy", "transformers", "matplotlib", "ipywidgets", "IPython")


def show_machine(run: Runtime) -> None:
    """Display what the machine has as a table: property, value, what it is for."""
    _display("This machine", ("What", "Here", "What it is good for"), machine(run))


def show_lessons(run: Runtime) -> None:
    """Display, lesson by lesson, what it takes and whether it will run here."""
    every = ("Lesson", "You", "The computer", "Memory", "Download", "Data", "Runs here")
    table = lessons(run)
    known = [any(column) for column in zip(*table, strict=True)]  # what was measured at this tier
    head, *rows = (tuple(itertools.compress(row, known)) for row in (every, *table))
    _display(f"The lessons at tier {run.tier}", head, rows)


def machine(run: Runtime) -> list[tuple[str, str, str]]:
    """The machine's properties: (name, value, what it is for)."""
    free, disk = free_memory.on_machine(), shutil.disk_usage(paths.runs_dir()).free
    memory = "not told by this system" if free is None else f"{free / 2**30:.1f} GiB"
    dtype = str(run.autocast_dtype or "float32").removeprefix("torch.")
    versions = ", ".join(f"{name} {metadata.version(name).split('+')[0]}" for name in _PACKAGES)
    return [
        ("tier", run.tier, TIERS[run.tier].purpose),
        ("device", runtime.device_name(run.device), "where networks compute"),
        ("threads", str(run.threads), "CPU cores that one network uses at the same time"),
        ("number format", f"{dtype} ({run.autocast_reason})", "bfloat16 is faster, where there are units for it"),
        ("free memory", memory, "see the peak of each lesson below"),
        ("free disk", f"{disk / 1e9:,.0f} GB", "checkpoints, at most 1 GB a lesson at tier laptop"),
        ("Python", platform.python_version(), "3.11 to 3.13"),
        ("packages", versions, "in the ranges of the course, or the report above says so"),
    ]  # fmt: skip


def lessons(run: Runtime) -> list[tuple[str, ...]]:
    """A row for each lesson: title, reading time, measured time, peak memory, download, data, whether it runs here."""
    here, free = data_here(run.tier), free_memory.here()
    return [_row(lesson, run, here, free) for lesson in catalogue.lessons()]


def data_here(tier: str) -> dict[str, str]:
    """What each kind of real data would be at a tier without a download: its name, or ``"stand-in"``."""
    real = TIERS[tier].takes_real
    images_are = (images.on_this_machine() if real else None) or "stand-in"
    text = reviews.on_this_machine() or "stand-in"
    if not real and text == "imdb":
        text = "sentences" if assets.cached("sentences") else "stand-in"
    return {
        "images": _NAMES.get(images_are, images_are),
        "reviews": _NAMES.get(text, text),
        "encoder": "pre-trained encoder" if assets.cached("encoder") else "stand-in encoder",
    }


_NAMES = {
    "cifar10": "CIFAR-10",
    "imdb": "IMDB",
    "sentences": "critics' sentences",
    "stand-in": "stand-in",
}


def _row(lesson: Lesson, run: Runtime, here: dict[str, str], free: int | None) -> tuple[str, ...]:
    there, size = lesson_costs.run_of(lesson.name, run.tier), download_mib(lesson.name, run.tier)
    data = ", ".join(here[kind] for kind in lesson.uses) or "none needed"
    return (
        f"{lesson.number}. {lesson.title}",
        f"{lesson.minutes} min",
        _takes(lesson, run, there),
        f"{there.peak / 2**30:.1f} GiB" if there else "",
        f"{size:,.0f} MiB" if size and "stand-in" in data else "none",
        data,
        _verdict(there, data, free),
    )


def _takes(lesson: Lesson, run: Runtime, there: Measured | None) -> str:
    """Time of computing here, as far as it is known, and on the machine that measured it."""
    if there is None:
        return "not measured"
    here = minutes_here.seconds(run, lesson.name) if TIERS[run.tier].learns else None
    measured = f"{duration(there.seconds)} where measured"
    return measured if here is None else f"about {duration(here)} here, {measured}"


def _verdict(run: Measured | None, data: str, free: int | None) -> str:
    if run and free is not None and run.peak > free:
        return "too little memory"
    return "yes, on a stand-in" if "stand-in" in data else "yes"


def _display(caption: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from IPython.display import display

    escaped = [tuple(html.escape(cell) for cell in row) for row in rows]
    plain, page = tables.text(caption, head, rows), tables.page(caption, head, escaped)
    display({"text/html": page, "text/plain": plain}, raw=True)
