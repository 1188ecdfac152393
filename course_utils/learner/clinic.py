"""Around the cases of lesson 07: a complaint in one line, a scanner, a budget of runs, recorded runs, the checklist."""

import functools
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from course_utils import results
from course_utils.errors import CourseError
from course_utils.learner import catalogue
from course_utils.learner.clinic_cases import CASES
from course_utils.paths import atomic_write, runs_dir

RECORDS = ("gan_traces.json", "clinic_traces.json", "clinic_imdb.json")
"""Files with recorded histories, by name of the run."""


def complaint(program: Callable[..., Any], *arguments: Any) -> None:
    """Run a program and print how it ends: the last line of its error with the line that caused it, or its result."""
    try:
        result = program(*arguments)
    except Exception as error:
        frames = [
            f
            for f in traceback.extract_tb(error.__traceback__)
            if f.name == getattr(program, "__name__", "")
        ]
        frames = [f for f in frames if "site-packages" not in f.filename]
        line = f"   at: {frames[-1].line}" if frames and frames[-1].line else ""
        message = " ".join(str(error).split())
        print(
            f"{type(error).__name__}: {message[:230]}{'...' * (len(message) > 230)}",
            line,
            sep="\n" if line else "",
        )
    else:
        shape = getattr(result, "shape", None)
        shown = (
            result
            if shape is None
            else f"shape {tuple(shape)}"
            if shape
            else f"{result.item():.4f}"
        )
        print("no error; result:", shown)


def scanned(pictures: Tensor, page: int = 700) -> Tensor:
    """Pictures (N, 64) as a scanner delivers them. What it did to one of them is a case of lesson 07.

    Args:
        pictures: at least ``page + 1`` of them; they stay as they are.
        page: where the scanner was not paying attention.
    """
    delivered = pictures.clone()
    delivered[page] = 0
    return delivered


class Budget:
    """A number of runs to spend, counted and told. It never refuses one: work is not lost.

    Attributes:
        runs: how many there are.
        spent: how many were used.
    """

    def __init__(self, runs: int) -> None:
        self.runs, self.spent = runs, 0

    def __call__(self, program: Callable[..., Any], *arguments: Any) -> Any:
        """Run a program, say which run it was and what came back, and return it."""
        self.spent += 1
        over = f" (the budget was {self.runs})" if self.spent > self.runs else f" of {self.runs}"
        result = program(*arguments)
        print(f"run {self.spent}{over}: {_told(result)}")
        return result


def _told(result: Any) -> str:
    if isinstance(result, dict):
        return ", ".join(f"{name} {_told(value)}" for name, value in result.items())
    return f"{result:.3f}" if isinstance(result, float) else str(result)


def ward() -> str:
    """All cases as a table in Markdown: number, how the fault shows, difficulty and minutes, what one should know."""
    known = {
        name: one
        for lesson in catalogue.lessons()
        for one in lesson.exercises
        for name in one.names
    }
    lines = ["| case | how it shows | minutes | needs |", "| --- | --- | --- | --- |"]
    for case in CASES:
        card = known.get(f"clinic.{case.function}")
        size = f"{card.minutes} ({card.level})" if card else ""
        lines.append(f"| {case.number} | {case.sign} | {size} | {case.needs} |")
    return "\n".join(lines)


@functools.cache
def _records() -> dict[str, list[dict[str, list[float]]]]:
    found: dict[str, list] = {}
    for name in RECORDS:
        found |= results.read(name)["traces"]
    return found


def recorded(name: str, copy: int = 0) -> dict[str, list[float]]:
    """The history of a recorded run, as `course_utils.evaluation.diagnose.diagnose` reads it.

    Args:
        name: of the kind of run, for example ``"generator trained to be caught"``.
        copy: which repetition.

    Raises:
        CourseError: no such run.
    """
    runs = _records().get(name, [])
    if not 0 <= copy < len(runs):
        raise CourseError(
            "clinic-no-record",
            f"There is no recorded run {copy} of {name!r}.",
            f"Known: {', '.join(sorted(_records()))}.",
            'clinic.recorded("healthy line")',
        )
    return runs[copy]


def recorded_all(name: str) -> list[dict[str, list[float]]]:
    """The histories of all repetitions of a kind of run; as `recorded`."""
    recorded(name)
    return list(_records()[name])


def recorded_names() -> list[str]:
    """All kinds of recorded runs."""
    return sorted(_records())


def checklist(answers: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> str:
    """The learner's checklist as Markdown: tick and habit where they mended the case themselves, and their own notes.

    Args:
        answers: functions by name, for example ``globals()`` of the notebook. A case is ticked when its function is
            there and is not the course's own.
        notes: further lines by the number that stands on an exercise's card.
    """
    notes = notes or {}
    unknown = set(notes) - {case.number for case in CASES}
    if unknown:
        asked_again = catalogue.number_of("clinic.critic_step")
        raise CourseError(
            "clinic-unknown-case",
            f"There is no case {', '.join(sorted(unknown))}.",
            f"They run from {CASES[0].number} to {CASES[-1].number}.",
            f'clinic.checklist(globals(), {{"{asked_again}": "Ask the critic again."}})',
        )
    lines = ["## My checklist", ""]
    for case in CASES:
        mended = callable(answers.get(case.function)) and not _is_ours(answers[case.function])
        habit = f": {case.habit}" if mended else ""
        lines.append(f"- [{'x' if mended else ' '}] *{case.sign}* ({case.number}){habit}")
        if case.number in notes:
            lines.append(f"    - {' '.join(notes[case.number].split())}")
    return "\n".join(lines) + "\n"


def save_checklist(text: str) -> Path:
    """Write the checklist into the folder of training runs; an older one is replaced."""
    return atomic_write(runs_dir() / "07_checklist.md", text.encode())


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("course_utils.")
