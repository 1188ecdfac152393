"""What the lessons' runs took, as measured (``data/results/lessons.json``), and what they fetch."""

import datetime
import functools
import os
from dataclasses import dataclass

from course_utils import assets, results
from course_utils.tiers import TIERS


@dataclass(frozen=True)
class Measured:
    """One run of a lesson: seconds of computing, peak memory in bytes, the machine in words."""

    seconds: float
    peak: int
    machine: str


def run_of(lesson: str, tier: str) -> Measured | None:
    """The measured run of a lesson at a tier, None where there was none.

    Args:
        lesson: its name, for example ``"02_dcgan_cifar10"``.
        tier: its name.
    """
    entry = _entries().get(lesson, {}).get(tier)
    return entry and Measured(
        entry["seconds"], int(entry["peak_mib"] * 2**20), results.in_words(entry["machine"])
    )


def peak_bytes(lesson: str) -> int | None:
    """Peak memory of a lesson at this machine's tier; where that was not measured, at tier ``laptop``."""
    run = run_of(lesson, os.environ.get("COURSE_TIER", "")) or run_of(lesson, "laptop")
    return run.peak if run else None


def download_mib(lesson: str, tier: str) -> float:
    """MiB that a lesson fetches at a tier on first use, by ``data/manifest.toml``; 0 where the tier fetches nothing."""
    if not TIERS[tier].fetches:
        return 0.0
    needed = (asset for asset in assets.manifest().values() if lesson in asset.lessons)
    return sum(asset.bytes for asset in needed) / 2**20


def duration(seconds: float) -> str:
    """A time in words: seconds up to 100 s, minutes beyond."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def newest_day() -> datetime.date | None:
    """The day of the newest run."""
    days = [entry["date"] for lesson in _entries().values() for entry in lesson.values()]
    return datetime.date.fromisoformat(max(days)) if days else None


@functools.cache
def _entries() -> dict:
    return results.earlier("lessons.json")
