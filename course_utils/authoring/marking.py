"""A course folder for nbgrader: ``python3 run.py build --nbgrader FOLDER``.

``FOLDER/source/NN_name/NN_name.ipynb`` is the solved notebook with what nbgrader needs to mark it: each solution stands
in a cell of its own, and the check below it is a locked cell with points. nbgrader takes the solutions out (the markers
are its own), collects, marks and writes feedback; nothing here needs nbgrader itself.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_utils.authoring import notebook as nb
from course_utils.authoring.exercises import CHECK, cards
from course_utils.authoring.rules import IMAGE
from course_utils.authoring.solutions import BEGIN
from course_utils.authoring.source import find_sources
from course_utils.paths import atomic_write

POINTS = {"easy": 1, "medium": 2, "hard": 3}
CONFIG = '''"""Read by every nbgrader command that is started in this folder. Written once: change what you like."""
import os

# The tier and the folder of training runs while nbgrader runs the notebooks: quick, and each student's own.
os.environ.setdefault("COURSE_TIER", "smoke")
os.environ.setdefault("COURSE_RUNS", os.path.abspath("course-runs"))

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "generative-ai"
c.ExecutePreprocessor.timeout = 300  # seconds for one cell; nbgrader's own 30 are short on a busy machine
'''
_MARKED = """# Points: {points}. A wrong answer costs none further down: the reference goes on in its place.
try:
    {check}
except checks.CheckFailed as failed:
    {name} = failed.reference
    raise"""


def write_course(root: Path, folder: Path) -> list[Path]:
    """Write nbgrader's sources of all lessons with exercises, and its configuration where there is none.

    Args:
        root: the repository.
        folder: nbgrader's course folder; students' work in it is not touched.

    Returns:
        The notebooks written.

    Raises:
        BadSource: a lesson's source has to be mended first.
    """
    written = []
    for path in find_sources(root):
        target = folder / "source" / path.stem
        notebook = for_nbgrader(path, root)
        if not any("points" in cell.metadata.get("nbgrader", {}) for cell in notebook.cells):
            continue
        written.append(atomic_write(target / f"{path.stem}.ipynb", nb.to_bytes(notebook)))
        for picture in sorted(_pictures(notebook)):
            atomic_write(target / picture, (root / "notebooks" / picture).read_bytes())
    if not (folder / "nbgrader_config.py").exists():
        atomic_write(folder / "nbgrader_config.py", CONFIG.encode())
    return written


def for_nbgrader(path: Path, root: Path) -> NotebookNode:
    """A lesson's solved notebook with the cells and the metadata that nbgrader marks by.

    Raises:
        BadSource: the source has to be mended first.
    """
    learner, solved = nb.assemble(path, root)
    notebook = solved.copy()
    notebook.cells = []
    points = _points(path)
    for text, cell in zip(learner.cells, solved.cells, strict=True):
        notebook.cells += [text] if cell.cell_type == "markdown" else _split(cell, points)
    set_ups = [
        cell for cell in nb.code_cells(notebook) if re.search(r"import .*\bchecks\b", cell.source)
    ]
    for cell in set_ups[:1]:
        cell.metadata["nbgrader"] = _metadata(
            "set_up", locked=True
        )  # without it nothing could be marked
    return notebook


def _split(cell: NotebookNode, points: dict[str, int]) -> Iterator[NotebookNode]:
    """A code cell as the solution, the check that gives points, and what follows; each where there is some."""
    found = CHECK.search(cell.source)
    if found is None or BEGIN not in cell.source:  # a prediction is never marked
        yield cell
        return
    before, after = cell.source[: found.start()].strip("\n"), cell.source[found.end() :].strip("\n")
    identity = f"exercise_{found['name']}"
    if before:
        answer = nbformat.v4.new_code_cell(before, id=cell.id)
        answer.metadata["nbgrader"] = _metadata(identity, solution=True)
        yield answer
    worth = points[f"{found['lesson']}.{found['name']}"]
    check = nbformat.v4.new_code_cell(
        _MARKED.format(points=worth, check=found[0], name=found["name"]), id=f"{cell.id}-check"
    )
    check.metadata["nbgrader"] = _metadata(f"{identity}_check", grade=True, locked=True) | {
        "points": worth
    }
    yield check
    if after:
        yield nbformat.v4.new_code_cell(after, id=f"{cell.id}-rest")


def _points(path: Path) -> dict[str, int]:
    """Points of each exercise, by the difficulty on its card; two functions of one exercise share them."""
    return {
        name: max(1, POINTS[one.level] // len(one.names))
        for one in cards(path)
        for name in one.names
    }


def _metadata(
    identity: str, grade: bool = False, solution: bool = False, locked: bool = False
) -> dict[str, object]:
    """What nbgrader (schema 3) wants to know about a cell."""
    kind = {"grade": grade, "solution": solution, "locked": locked, "task": False}
    return kind | {"grade_id": identity, "schema_version": 3}


def _pictures(notebook: NotebookNode) -> set[str]:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return {found["target"] for found in IMAGE.finditer(text) if found["target"]}
