"""What it costs to share the machine: the course's training alone and beside a busy process, by what its threads do.

Processes that differ only in the environment train in turn, A B C A B C. A turn of each alone, then a turn of each
beside one process that never rests, as a browser with a call in it: so both halves of a round see the same machine.
A turn begins with three seconds that do not count, in which a training finds out how many cores are free.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from measuring.benchmarks.sides import Side, geometric_interval

WARM = 3.0
"""Seconds before a turn counts."""

_ALL = {"OMP_NUM_THREADS": str(os.cpu_count())}
_ASLEEP = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"}
WAITING: Mapping[str, Mapping[str, str]] = {
    "pytorch": _ALL,
    "threads asleep": _ALL | _ASLEEP,
    "course": _ASLEEP,
}
"""PyTorch's own way, in which threads spin while they wait; asleep after a moment, as `course_utils` sets it; and with
that as many threads as cores are free, as `course_utils.training.threads` does where nobody has set their number."""


def measure(
    lesson: str, settings: dict[str, Any], seconds: float, rounds: int
) -> list[dict[str, Any]]:
    """A row for each way to wait: speed alone and beside a busy process, with the ratios that matter.

    ``cost`` is the speed alone over that of PyTorch's own way, alone (1: costs nothing); ``kept`` is the speed beside
    a busy process over the own one alone. Both are geometric means over the rounds with a 95 % interval.
    """
    sides = {
        name: Side(lesson, "course", settings, waiting=waiting) for name, waiting in WAITING.items()
    }
    for side in sides.values():
        side.steps(3)
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(_turns(sides, seconds))
        with busy_process():
            beside.append(_turns(sides, seconds))
    for side in sides.values():
        side.close()
    return [_row(lesson, name, alone, beside) | {"seconds_a_turn": seconds} for name in sides]


@contextlib.contextmanager
def busy_process() -> Iterator[None]:
    """Another program that takes all that it gets of one core."""
    command = [sys.executable, "-c", "while True: pass"]
    process = subprocess.Popen(
        command, start_new_session=True
    )  # as another program's: of equal right
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _turns(sides: Mapping[str, Side], seconds: float) -> dict[str, float]:
    """Examples per second of each side, one after the other."""
    turns = {}
    for name, side in sides.items():
        side.run(WARM)
        turns[name] = side.run(seconds)
    return {name: turn["examples"] / turn["seconds"] for name, turn in turns.items()}


def _row(
    lesson: str, name: str, alone: list[dict[str, float]], beside: list[dict[str, float]]
) -> dict[str, Any]:
    cost = geometric_interval([turn[name] / turn["pytorch"] for turn in alone])
    kept = geometric_interval([b[name] / a[name] for a, b in zip(alone, beside, strict=True)])
    row = {
        "lesson": lesson,
        "waiting": name,
        "environment": dict(WAITING[name]),
        "alone_per_s": fmean(turn[name] for turn in alone),
        "busy_per_s": fmean(turn[name] for turn in beside),
        "cost": dict(zip(("value", "low", "high"), cost, strict=True)),
        "kept": dict(zip(("value", "low", "high"), kept, strict=True)),
        "rounds": len(alone),
    }
    print(
        f"{lesson:6s} {name:10s} alone {row['alone_per_s']:8,.1f}/s ({cost[0]:.2f} of PyTorch's own)  "
        f"busy {row['busy_per_s']:8,.1f}/s ({kept[0]:.2f} of its speed alone)",
        flush=True,
    )
    return row
