"""What the course consists of: its lessons in order, and their exercises in order.

`data/catalogue.json` is written by ``python3 run.py build`` from the lessons' sources; nobody edits it.
"""

import functools
import json
from dataclasses import dataclass

from course_utils.paths import data_dir


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        number: by its place in the lesson, for example ``"2.1"``.
        title: in words.
        level: ``easy``, ``medium`` or ``hard``.
        minutes: that it takes.
        names: of its functions as checks and progress know them, for example ``("dcgan.slerp",)``.
    """

    number: str
    title: str
    level: str
    minutes: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        number: 0 to 99.
        name: of its source and notebooks, for example ``"02_dcgan_cifar10"``.
        title: in words.
        minutes: to read and solve.
        uses: which real data it takes where they are: ``images``, ``reviews``, ``encoder``.
        exercises: in the order in which they come.
    """

    number: int
    name: str
    title: str
    minutes: int
    uses: tuple[str, ...]
    exercises: tuple[Exercise, ...]

    @property
    def notebook(self) -> str:
        """The learner's notebook, seen from the folder ``notebooks``."""
        return f"{self.name}.ipynb"


def lessons() -> tuple[Lesson, ...]:
    """All lessons, in order.

    Raises:
        OSError: the catalogue is missing or cannot be read.
        ValueError: it is not what the build wrote.
    """
    entries = _read()["lessons"]
    return tuple(
        Lesson(
            **e
            | {
                "uses": tuple(e["uses"]),
                "exercises": tuple(
                    Exercise(**x | {"names": tuple(x["names"])}) for x in e["exercises"]
                ),
            }
        )
        for e in entries
    )


def number_of(name: str) -> str:
    """The number of the exercise that holds a function: ``"dcgan.slerp"`` -> ``"2.5"``; the name where there is none.

    Args:
        name: the lesson's folder in `course_utils.checks`, a dot, the function.
    """
    try:
        known = _numbers()
    except (
        OSError,
        ValueError,
        LookupError,
    ):  # a damaged clone: preflight says so, a check need not
        known = {}
    return known.get(name, name)


@functools.cache
def _numbers() -> dict[str, str]:
    return {name: x.number for lesson in lessons() for x in lesson.exercises for name in x.names}


@functools.cache
def _read() -> dict:
    return json.loads((data_dir() / "catalogue.json").read_text(encoding="utf-8"))
