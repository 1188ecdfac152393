"""A learner's progress for people: what is solved, what is open, what comes next. ``python3 run.py progress``."""

import argparse
import html
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from course_utils.display import tables
from course_utils.errors import CourseError
from course_utils.learner import catalogue, progress
from course_utils.learner.catalogue import Exercise, Lesson
from course_utils.learner.progress import Record
from course_utils.paths import data_dir


@dataclass(frozen=True)
class Standing:
    """How far a learner is in one lesson: the exercises that are solved, and those that are open, as they come.

    Attributes:
        lesson: the lesson.
        solved: numbers of the solved exercises.
        open: numbers of the others.
        tries: wrong answers so far, by the number of the exercise.
        last: when a check of this lesson was last recorded, ``""`` if never.
    """

    lesson: Lesson
    solved: tuple[str, ...]
    open: tuple[str, ...]
    tries: dict[str, int]
    last: str


def standings(records: Sequence[Record], lessons: Sequence[Lesson]) -> list[Standing]:
    """Where a learner stands in each lesson. An exercise is solved once each of its functions was right once."""
    return [_standing(lesson, records) for lesson in lessons]


def next_exercise(found: Sequence[Standing]) -> tuple[Lesson, Exercise] | None:
    """The first open exercise of the lesson that was worked on last; where that one is done, of the course.

    Returns:
        The lesson and the exercise; None when everything is solved.
    """
    last_first = sorted(found, key=lambda standing: standing.last, reverse=True)[:1]
    for standing in (*(one for one in last_first if one.last), *found):
        for exercise in standing.lesson.exercises:
            if exercise.number in standing.open:
                return standing.lesson, exercise
    return None


def text(records: Sequence[Record], lessons: Sequence[Lesson]) -> str:
    """The progress as plain text, for a terminal."""
    found = standings(records, lessons)
    rows = [(f"{one.lesson.number}. {one.lesson.title}", _count(one), _open(one)) for one in found]
    step = next_exercise(found)
    after = _DONE if step is None else f"Next: {_step(*step)}, in notebooks/{step[0].notebook}"
    return f"{tables.text(_total(found), ('Lesson', 'Solved', 'Open'), rows)}\n\n{after}"


def page(records: Sequence[Record], lessons: Sequence[Lesson]) -> str:
    """The progress as HTML, for a notebook in the folder ``notebooks``: a table with headers, and links to go on."""
    found = standings(records, lessons)
    rows = [(_link(one.lesson), _count(one), html.escape(_open(one) or "none")) for one in found]
    step = next_exercise(found)
    after = _DONE if step is None else f"Next: {html.escape(_step(*step))}, in {_link(step[0])}"
    return f"{tables.page(_total(found), ('Lesson', 'Solved', 'Open'), rows)}<p>{after}</p>"


def show() -> None:
    """Display the progress in a notebook. A file that cannot be read is told in a sentence."""
    from IPython.display import display

    try:
        records, lessons = progress.read(), catalogue.lessons()
    except (CourseError, OSError, ValueError) as error:
        print(f"Your progress cannot be shown: {error}")
        return
    display({"text/html": page(records, lessons), "text/plain": text(records, lessons)}, raw=True)


def place() -> str:
    """Where the progress is kept, seen from the course's folder where it lies in it."""
    file = progress.path()
    root = data_dir().resolve().parent
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    options = _options(argv)
    try:
        print(_do(options), flush=True)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"{progress.FILE} or the course's files cannot be used: {error}", file=sys.stderr)
        return 1
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 run.py progress", description=__doc__.splitlines()[0]
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--reset", action="store_true", help="begin anew; the old file is kept beside the new one"
    )
    what.add_argument("--export", metavar="FILE", help="write your progress to a file")
    what.add_argument(
        "--import", metavar="FILE", dest="source", help="add the progress of a file to yours"
    )
    return parser.parse_args(argv)


def _do(options: argparse.Namespace) -> str:
    if options.reset:
        old = progress.reset()
        return (
            f'Begun anew. To go back: python3 run.py progress --import "{old}"'
            if old
            else "Nothing to reset."
        )
    if options.export:
        return f"Written to {progress.export_to(options.export)}. There: python3 run.py progress --import FILE"
    added = f"{progress.import_from(options.source)} new records.\n\n" if options.source else ""
    return f"{added}{text(progress.read(), catalogue.lessons())}\nKept in {place()}"


_DONE = "Every exercise is solved."


def _standing(lesson: Lesson, records: Sequence[Record]) -> Standing:
    ours = [one for one in records if any(one.exercise in x.names for x in lesson.exercises)]
    right = {one.exercise for one in ours if one.outcome in ("correct", "predicted")}
    done = {x.number for x in lesson.exercises if right.issuperset(x.names)}
    order = [exercise.number for exercise in lesson.exercises]
    wrong = {
        x.number: sum(one.exercise in x.names and one.outcome == "wrong" for one in ours)
        for x in lesson.exercises
    }
    return Standing(
        lesson,
        tuple(number for number in order if number in done),
        tuple(number for number in order if number not in done),
        {number: count for number, count in wrong.items() if count},
        max((one.when for one in ours), default=""),
    )


def _count(standing: Standing) -> str:
    return f"{len(standing.solved)} of {len(standing.lesson.exercises)}"


def _open(standing: Standing) -> str:
    """The open exercises in words: tried ones each with its tries, four or more others in a row as a span."""
    spans: list[list[str]] = []
    for number in standing.open:
        if standing.tries.get(number):
            spans += [[f"{number} (tried {_times(standing.tries[number])})"], []]
        elif spans and _follows(standing, spans[-1], number):
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(f"{s[0]} to {s[-1]}" if len(s) > 3 else ", ".join(s) for s in spans if s)


def _follows(standing: Standing, span: Sequence[str], number: str) -> bool:
    """Whether an exercise is the next one after a span."""
    order = [exercise.number for exercise in standing.lesson.exercises]
    return bool(span) and order.index(span[-1]) + 1 == order.index(number)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _step(lesson: Lesson, exercise: Exercise) -> str:
    return f"exercise {exercise.number}, {exercise.title} ({exercise.level}, {exercise.minutes} minutes)"


def _total(found: Sequence[Standing]) -> str:
    solved = sum(len(one.solved) for one in found)
    return f"Your progress: {solved} of {solved + sum(len(one.open) for one in found)} exercises solved"


def _link(lesson: Lesson) -> str:
    return (
        f'<a href="{html.escape(lesson.notebook)}">{lesson.number}. {html.escape(lesson.title)}</a>'
    )


if __name__ == "__main__":
    sys.exit(main())
