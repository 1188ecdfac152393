"""An examination made from a seed: ``python3 run.py build --exam SEED [--exam-questions 6]``.

``build/exam/exam_SEED.ipynb`` holds the faults of lesson 07 in code that no notebook shows; ``key_SEED.ipynb`` beside
it has each right letter, the mended code, and a test to run on a student's answer. Same seed, same examination.
"""

import random
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_utils.authoring import notebook as nb
from course_utils.authoring.exam_bank import BANK, SET_UP, Question
from course_utils.errors import CourseError
from course_utils.paths import atomic_write

_OPENING = """# Examination {seed}: {count} patients

For each patient: read the symptom and the program, write the **letter** of the cause, and the **mended** program below.
In one sentence, say which test would have found the fault. One point for the letter, two for the program, one for the
test."""


def draw(seed: int, count: int) -> list[tuple[Question, list[str]]]:
    """Questions in the order of an examination, each with its causes shuffled.

    Raises:
        CourseError: more questions than the bank has, or none.
    """
    if not 1 <= count <= len(BANK):
        raise CourseError(
            "authoring-exam-size",
            f"An examination of {count} questions cannot be made.",
            f"The bank has {len(BANK)}.",
            "python3 run.py build --exam 1 --exam-questions 6",
        )
    chance = random.Random(seed)
    chosen = chance.sample(BANK, count)
    return [(one, chance.sample(one.causes, len(one.causes))) for one in chosen]


def make(seed: int, count: int = 6) -> tuple[NotebookNode, NotebookNode]:
    """The examination and its key, as notebooks."""
    questions = draw(seed, count)
    opening = _OPENING.format(seed=seed, count=count)
    sheets = []
    for key in (False, True):
        cells = [("markdown", opening + ("\n\n**Key**" if key else "")), ("code", SET_UP)]
        for number, (one, causes) in enumerate(questions, start=1):
            cells += _key(number, one, causes) if key else _question(number, one, causes)
        sheets.append(_notebook(cells))
    return sheets[0], sheets[1]


def write(root: Path, seed: int, count: int = 6) -> list[Path]:
    """Write the examination and its key below ``build/exam``. Returns their paths."""
    sheets = zip(("exam", "key"), make(seed, count), strict=True)
    folder = root / "build" / "exam"
    return [atomic_write(folder / f"{name}_{seed}.ipynb", nb.to_bytes(one)) for name, one in sheets]


def _question(number: int, one: Question, causes: list[str]) -> list[tuple[str, str]]:
    return [
        ("markdown", _card(number, one, causes)),
        ("code", one.broken.strip()),
        ("code", f"guess_{number} = ...  # a letter, in quotes"),
        ("code", f"# {one.function}, mended\n"),
        ("markdown", "*The test that would have found it:* …"),
    ]


def _key(number: int, one: Question, causes: list[str]) -> list[tuple[str, str]]:
    letter = "abcd"[causes.index(one.causes[0])]
    told = f"**({letter})** {one.causes[0]} (As `{one.like}` of lesson 7.)"
    return [
        ("markdown", _card(number, one, causes)),
        ("markdown", told),
        ("code", one.mended.strip()),
        ("code", f"{one.test.strip()}\nprint('question {number}: passed')"),
    ]


def _card(number: int, one: Question, causes: list[str]) -> str:
    letters = " ".join(f"({letter}) {cause}" for letter, cause in zip("abcd", causes, strict=True))
    return f"## {number}. {one.title}\n\n{one.symptom}\n\n{letters}"


def _notebook(cells: list[tuple[str, str]]) -> NotebookNode:
    sheet = nbformat.v4.new_notebook()
    sheet.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    kinds = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    sheet.cells = [kinds[kind](text, id=f"c{n:02d}") for n, (kind, text) in enumerate(cells)]
    return sheet
