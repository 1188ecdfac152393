"""What the lessons' runs took, as measured (``data/results/lessons.json``), and what they fetch."""

import datetime
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from course_utils import assets, results
from course_utils.tiers import TIERS

KNOBS = {
    "02_dcgan_cifar10": "steps",
    "03_vae_elbo": "steps",
    "04_bert_imdb": "n_train",
    "05_attention_text": "steps",
    "09_diffusion_flow": "steps",
}
"""The setting that a lesson's training takes its time from, by the lesson's name."""


@dataclass(frozen=True)
class Measured:
    """One run of a lesson.

    Attributes:
        seconds: of computing.
        peak: memory in bytes.
        machine: in words.
        speed: what `speed.measure` found on that machine, empty where nobody asked.
        training: ``seconds`` of the lesson's training, and the setting of `KNOBS` that it ran with; may be empty.
    """

    seconds: float
    peak: int
    machine: str
    speed: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, float] = field(default_factory=dict)


def run_of(lesson: str, tier: str) -> Measured | None:
    """The measured run of a lesson at a tier, None where there was none.

    Args:
        lesson: its name, for example ``"02_dcgan_cifar10"``.
        tier: its name.
    """
    entry = _entries().get(lesson, {}).get(tier)
    return entry and _measured(entry)


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


def _measured(entry: Mapping[str, Any]) -> Measured:
    return Measured(
        entry["seconds"],
        int(entry["peak_mib"] * 2**20),
        results.in_words(entry["machine"]),
        entry.get("speed", {}),
        entry.get("training", {}),
    )


def newest_day() -> datetime.date | None:
    """The day of the newest run."""
    days = [entry["date"] for lesson in _entries().values() for entry in lesson.values()]
    return datetime.date.fromisoformat(max(days)) if days else None


@functools.cache
def _entries() -> dict:
    return results.earlier("lessons.json")
