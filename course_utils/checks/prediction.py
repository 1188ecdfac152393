"""Predictions: what a learner expects, written down before a cell measures it. None is ever marked wrong.

In a lesson, with ``fd_after_training = prediction("dcgan.fd_after_training")`` in the folder ``checks/dcgan``:

    fd_after_training = ...  # your guess: a number
    fd_after_training = checks.dcgan.fd_after_training(fd_after_training)
    fd_after_training.beside(measured)  # predicted 4.0, measured 1.6
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from course_utils import runtime
from course_utils.checks.core import CheckFailed, describe
from course_utils.errors import CourseError
from course_utils.learner import catalogue, progress


@dataclass(frozen=True)
class Prediction:
    """What was expected: a number, one of some choices, or nothing where nothing was written."""

    value: float | str | None

    def beside(self, measured: float | str, form: str = ".3g") -> None:
        """Print the prediction beside what was measured.

        Args:
            measured: a number, or one of the choices.
            form: Python's format for numbers.
        """
        print(f"{self._words(form)}, measured {_shown(measured, form)}")

    def _words(self, form: str) -> str:
        return "no prediction" if self.value is None else f"predicted {_shown(self.value, form)}"


def prediction(name: str, choices: Sequence[str] = ()) -> Callable[[Any], Prediction]:
    """An exercise that takes any number, or any one of ``choices``, and records it.

    Args:
        name: the lesson's folder in `course_utils.checks`, a dot, the name of the prediction.
        choices: what may be chosen; none for a number.
    """

    def check(answer: Any) -> Prediction:
        number = catalogue.number_of(name)
        if answer is None or answer is ...:
            print(f"Exercise {number}: no prediction yet; the lesson goes on.")
            return Prediction(None)
        value = written(name, answer, choices, number)
        print(f"Exercise {number}: predicted {_shown(value, '.6g')}. What comes out stands below.")
        return Prediction(value)

    check.name, check.choices = name, tuple(choices)  # type: ignore[attr-defined]
    return check


def written(name: str, answer: Any, choices: Sequence[str] = (), number: str = "") -> float | str:
    """Read a prediction and record it, without a word. The first one is what the record keeps.

    Args:
        name: under which it is recorded, as in `prediction`.
        answer: what a learner wrote.
        choices: what may be chosen; none for a number.
        number: of the exercise, for the message.

    Raises:
        CheckFailed: it is no number, or none of the choices.
    """
    value = _read(answer, choices, number)
    progress.record(name, "predicted", _tier(), value=_shown(value, ".6g"))
    return value


def _read(answer: Any, choices: Sequence[str], number: str) -> float | str:
    if choices:
        if answer in choices:
            return str(answer)
        words = f"one of {', '.join(map(repr, choices))}"
        raise CheckFailed(words, describe(answer), "Copy one of them, with its quotes.", number)
    try:
        value = float(answer)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or isinstance(answer, str | bool):
        raise CheckFailed(
            "a number", describe(answer), "Any number: no prediction is wrong.", number
        )
    return value


def _shown(value: float | str, form: str) -> str:
    return value if isinstance(value, str) else format(float(value), form)


def _tier() -> str:
    try:
        return runtime.tier()
    except CourseError:  # an unknown name: lesson code says so, a prediction need not
        return ""
