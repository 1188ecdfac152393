"""Everything on this machine that a lesson could stumble over, found before it does, each with its fix.

``preflight.report()`` is the first line of lesson 00. It takes some seconds, changes nothing, and never raises.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from course_utils.machine import folders, hardware, software
from course_utils.machine.finding import Finding

PROBES: tuple[Callable[[], Iterable[Finding]], ...] = (
    software.python,
    software.packages,
    software.torch_lives,
    software.torch_starts,
    software.front_end,
    software.which_copy,
    software.shadows,
    folders.variables,
    hardware.gpu,
    hardware.threads,
    hardware.memory_for_lessons,
    folders.folders,
    folders.disk,
    folders.progress_file,
    folders.shipped_weights,
    folders.own_data,
    folders.fetched_data,
    folders.network,
    hardware.clock,
)
"""In the order of the report: what stops everything first."""


@dataclass(frozen=True)
class Failed:
    """A probe that could not be made: its name and why."""

    probe: str
    error: str


def findings() -> tuple[list[Finding], list[Failed]]:
    """All findings, those that stop a lesson first, and the probes that failed themselves."""
    found, failed = [], []
    for probe in PROBES:
        try:
            found += list(probe())
        except Exception as error:
            failed.append(Failed(probe.__name__, f"{type(error).__name__}: {error}"))
        if any(finding.code == software.TORCH_DIES for finding in found):
            break  # the next ones import torch, and would end this process
    return sorted(found, key=lambda finding: not finding.stops), failed


def report() -> None:
    """Print all findings, or that there are none."""
    print("\n".join(lines(*findings())))


def lines(found: list[Finding], failed: list[Failed]) -> Iterator[str]:
    """The report, line by line."""
    if not found:
        yield "Nothing here stands in the way of the lessons."
    for stops, title in (
        (True, "Fix this first:"),
        (False, "Good to know (the lessons run without it):"),
    ):
        group = [finding for finding in found if finding.stops == stops]
        if group:
            yield title
        for finding in group:
            yield f"- {finding.what}\n  Why it matters: {finding.why}\n  Fix: {finding.fix}"
    for one in failed:
        yield f"(Not examined: {one.probe.replace('_', ' ')}. {one.error})"
