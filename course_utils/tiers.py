"""The tiers: what each is for, and what the course does at it. A new one is a row here and a column of settings.

The settings stand in `course_utils.training.settings` and in the lessons' settings cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Tier:
    """One tier.

    Attributes:
        name: what ``COURSE_TIER`` calls it.
        purpose: what it is for, in words.
        default_on: the kind of device (as PyTorch calls it) where it is the default; None: nowhere.
        learns: whether networks learn at it, so that its times and results say something.
        takes_real: whether real data sets that are on the machine are taken without being asked for.
        fetches: whether what a lesson needs at full scale is fetched on first use.
        disk: bytes that a lesson's checkpoints take at most: lesson 4's network with its optimiser's two moments,
            three generations at a time.
    """

    name: str
    purpose: str
    default_on: str | None
    learns: bool
    takes_real: bool
    fetches: bool
    disk: float


TIERS: Mapping[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier(
            "smoke",
            purpose="for tests: everything runs, nothing is learned",
            default_on=None,
            learns=False,
            takes_real=False,
            fetches=False,
            disk=0.2e9,
        ),
        Tier(
            "laptop",
            purpose="for a CPU: minutes, real results on less data",
            default_on="cpu",
            learns=True,
            takes_real=True,
            fetches=False,
            disk=1e9,
        ),
        Tier(
            "gpu",
            purpose="for a graphics card: full scale",
            default_on="cuda",
            learns=True,
            takes_real=True,
            fetches=True,
            disk=5e9,
        ),
    )
}
"""By name, from the smallest to the largest."""
