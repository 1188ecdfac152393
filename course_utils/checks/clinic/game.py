"""The clinic as a game: a guess from the symptom, written before the fix; the check that passes tells what it was.

In the lesson, ``checks.clinic.guess("kl", ...)`` stands below a symptom, with a letter in the place of the dots.
The first letter is recorded and is the one that counts. Whether it was right, what the fault was and what keeps it
from coming back are told by the passing check of the mended program, and nowhere before.
"""

import contextlib
import textwrap
from collections.abc import Callable
from typing import Any

from course_utils.checks.core import Answer, Exercise
from course_utils.checks.prediction import written
from course_utils.errors import CourseError
from course_utils.learner import progress
from course_utils.learner.clinic_cases import CASES, Case, find

NONE = "-"
"""What is recorded for a case whose diagnosis was read before a guess was written."""
_here: dict[str, str] = {}
_mended: set[str] = set()
_WIDTH = 96


class CaseCheck(Exercise):
    """The check of a case. A right answer is told what its fault was and whether the guess was right."""

    def _praise(self) -> str:
        one = find(self.name.partition(".")[2])
        _mended.add(one.function)
        count = f" {standing()}." if one.causes else ""
        said = [super()._praise(), *_verdict(one), *told(one)]
        return "\n".join([*said, *([count.strip()] if count else [])])


def case(reference: Answer) -> Callable[[Callable[[Answer], None]], CaseCheck]:
    """Make a `CaseCheck` of the function below, as `course_utils.checks.core.exercise` makes an exercise."""
    return lambda inspect: CaseCheck(inspect, reference)


def guess(function: str, answer: Any = ...) -> None:
    """Record the letter of a cause on the case's card, or say which letters there are.

    Args:
        function: the case, by the name of its function.
        answer: a letter; ``...`` while there is no guess.

    Raises:
        CheckFailed: no letter of one of the causes.
        CourseError: no such case.
    """
    one = find(function)
    letters = [letter for letter, _ in one.lettered]
    if answer is None or answer is ...:
        print(f"No guess yet. In the place of the dots, put {', '.join(map(repr, letters))}.")
        return
    letter = answer.strip(" ().").lower() if isinstance(answer, str) else answer
    letter = str(written(_record_of(function), letter, letters, one.number))
    _here.setdefault(function, letter)
    first = first_guesses()[function]
    print(_wrapped(f"Your guess: ({letter}) {dict(one.lettered)[letter]}"))
    if first != letter:
        print(f"(The first one counts: {_shown(first)}.)")
    print("Whether it is right, the mended program will tell.")


def reveal(function: str) -> None:
    """Tell what a case's fault was before it is mended. A guess written later does not count.

    Raises:
        CourseError: no such case.
    """
    one = find(function)
    if function not in first_guesses():
        _here[function] = NONE
        progress.record(_record_of(function), "predicted", value=NONE)
    print("\n".join([*_verdict(one), *told(one)]))


def first_sight() -> None:
    """Say how many guesses were right, of the cases that are mended."""
    guesses = first_guesses()
    print(f"{standing()}.")
    waiting = [
        one.number
        for one in CASES
        if one.causes and one.function not in mended() and guesses.get(one.function, NONE) != NONE
    ]
    if waiting:
        print(f"Guessed and not mended yet: {', '.join(waiting)}.")


def standing() -> str:
    """``Right at first sight: 3 of 5``, of the cases that are mended and have a guess."""
    guesses = first_guesses()
    known = [one for one in CASES if one.function in mended() and one.function in guesses]
    right = sum(guesses[one.function] == one.right for one in known)
    return f"Right at first sight: {right} of {len(known)} cases guessed and mended"


def first_guesses() -> dict[str, str]:
    """The first letter written for each case: on record where there is one, else of this kernel."""
    return _here | {
        record.exercise.partition(".guess_")[2]: record.value
        for record in _recorded()
        if ".guess_" in record.exercise
    }


def mended() -> set[str]:
    """The cases whose check has passed, on record or in this kernel."""
    right = {one.exercise.partition(".")[2] for one in _recorded() if one.outcome == "correct"}
    return _mended | {one.function for one in CASES if one.function in right}


def forget() -> None:
    """Forget the guesses of this kernel and what it mended (for tests, and to play again after ``--reset``)."""
    _here.clear()
    _mended.clear()


def told(one: Case) -> list[str]:
    """What a case's fault was, and the habit that keeps it from coming back."""
    return [
        _wrapped(f"What it was: {one.diagnosis}"),
        _wrapped(f"So that it cannot come back: {one.habit}"),
    ]


def _verdict(one: Case) -> list[str]:
    if not one.causes:
        return []
    first = first_guesses().get(one.function, NONE)
    cause = f"({one.right}) {dict(one.lettered)[one.right]}"
    if first == one.right:
        return [_wrapped(f"Right at first sight: {cause}")]
    before = "No guess was written." if first == NONE else f"Your guess was ({first})."
    return [_wrapped(f"{before} It was {cause}")]


def _recorded() -> list[progress.Record]:
    if not progress.is_recording():
        return []
    with contextlib.suppress(CourseError, OSError):
        return [one for one in progress.read() if one.exercise.startswith("clinic.")]
    return []


def _record_of(function: str) -> str:
    return f"clinic.guess_{function}"


def _shown(letter: str) -> str:
    return "none, since the diagnosis was read" if letter == NONE else f"({letter})"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="    ")
