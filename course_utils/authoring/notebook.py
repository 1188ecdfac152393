"""One lesson as notebooks: assemble the cells, keep outputs that still belong to them, write stable JSON."""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_utils.authoring import bootstrap, exercises, fill_results, rules, solutions
from course_utils.authoring.minutes import minutes
from course_utils.authoring.source import (
    BadSource,
    Cell,
    Problem,
    Source,
    find_sources,
    notebook_cells,
    read_source,
)
from course_utils.errors import CourseError

_METADATA: Mapping[str, Any] = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def assemble(path: Path, root: Path) -> tuple[NotebookNode, NotebookNode]:
    """The learner's and the solved notebook of a source, both without outputs, with the cell that Colab needs.

    Raises:
        BadSource: with all that has to be mended in this source.
        CourseError: pyproject.toml holds no usable address of the repository.
    """
    source, problems = read_source(path, root)
    name = path.relative_to(root).as_posix()
    if source is None or problems:
        raise BadSource({name: problems})
    regions, problems = solutions.find_regions(source)
    problems += rules.find_problems(source, root)
    if problems:  # first: where a marker is wrong, cards and checks cannot be right
        raise BadSource({name: problems})
    cards, unsound = exercises.find_cards(source.text)
    texts, unfilled = _markdown(source, cards, path, root)
    problems = unsound + unfilled
    if problems:
        raise BadSource({name: problems})
    numbers = exercises.numbers(path)
    learner = _notebook(
        source,
        texts,
        notebook_cells(solutions.learner_text(source.text, regions, numbers)),
        solved=False,
    )
    solved = _notebook(source, texts, notebook_cells(source.text), solved=True)
    leaks = [c for c in learner.cells if solutions.LOOKS_LIKE_MARKER.search(c.source)]
    if leaks:
        raise BadSource(
            {
                name: [
                    Problem(
                        1, f"A solution marker is left in cell {leaks[0].id}.", "whole regions."
                    )
                ]
            }
        )
    release = bootstrap.read_release(root)
    if release is not None:
        bootstrap.add(learner, release, f"notebooks/{path.stem}.ipynb")
        bootstrap.add(solved, release)
    return learner, solved


def keep_outputs(new: NotebookNode, old: NotebookNode) -> None:
    """Give ``new`` the outputs of those code cells of ``old`` whose code is the same, in the same order."""
    ours, theirs = code_cells(new), code_cells(old)
    matcher = SequenceMatcher(
        None, [c.source for c in theirs], [c.source for c in ours], autojunk=False
    )
    for block in matcher.get_matching_blocks():
        for before, now in zip(
            theirs[block.a :][: block.size], ours[block.b :][: block.size], strict=True
        ):
            now.outputs = copy.deepcopy(before.outputs)
            now.execution_count = before.execution_count
    facts = old.metadata.get("course", {}).get("outputs")
    if facts and any(cell.execution_count for cell in ours):
        new.metadata.course["outputs"] = copy.deepcopy(facts)


def stale_outputs(notebook: NotebookNode) -> bool:
    """Whether outputs are older than the code: made by other code than now stands there, or not all there."""
    cells = [cell for cell in code_cells(notebook) if cell.source.strip()]
    facts = notebook.metadata.get("course", {}).get("outputs")
    if not facts:
        return any(cell.outputs or cell.execution_count for cell in cells)
    return facts["code_sha256"] != code_digest(notebook) or any(
        not cell.execution_count for cell in cells
    )


def code_digest(notebook: NotebookNode) -> str:
    """SHA-256 of the code of all cells, in order."""
    return hashlib.sha256(
        "\0".join(cell.source for cell in code_cells(notebook)).encode()
    ).hexdigest()


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The lesson's code cells, in order; the cell for Colab is none of them, since it changes no output."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and not bootstrap.is_bootstrap(cell)
    ]


def read_notebook(path: Path) -> NotebookNode | None:
    """A notebook, None when there is no such file.

    Raises:
        CourseError: the file is not a notebook (a merge conflict, say).
    """
    if not path.is_file():
        return None
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (
        nbformat.reader.NotJSONError,
        nbformat.ValidationError,
        UnicodeDecodeError,
        AttributeError,
    ) as error:
        raise CourseError(
            "authoring-unreadable-notebook",
            f"{path.name} cannot be read as a notebook ({str(error)[:80]}).",
            "The build keeps the outputs of the notebook that is there, and a merge conflict breaks its JSON.",
            f"Delete {path}, then run: python3 run.py build; its outputs come back with --execute {path.stem[:2]}",
        ) from None


def to_bytes(notebook: NotebookNode) -> bytes:
    """The notebook as JSON: sorted keys, one space, UTF-8, one newline at the end; the same on every platform."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT)
    return (
        json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    ).encode()


def _markdown(
    source: Source, cards: Sequence[exercises.Card], path: Path, root: Path
) -> tuple[list[str], list[Problem]]:
    """The text of each Markdown cell with its placeholders filled ("" for code), and what cannot be filled."""
    here = {name.partition(".")[2]: card.number for card in cards for name in card.names}
    page = fill_results.Page(
        lesson=path.stem,
        results=root / "data" / "results",
        cards=cards,
        numbers=exercises.numbers_of_all(find_sources(root)) | here,
        minutes=minutes(path),
    )
    filled = [
        fill_results.fill(cell, page) if cell.kind == "markdown" else ("", [])
        for cell in source.cells
    ]
    return [text for text, _ in filled], [problem for _, problems in filled for problem in problems]


def _notebook(
    source: Source,
    texts: Sequence[str],
    cells: Sequence[tuple[str, str, tuple[str, ...]]],
    solved: bool,
) -> NotebookNode:
    metadata = copy.deepcopy(dict(_METADATA)) | {"course": {"source": source.name}}
    notebook = nbformat.v4.new_notebook(metadata=nbformat.from_dict(metadata))
    for identity, text, (kind, code, tags) in zip(
        _identities(source.cells), texts, cells, strict=True
    ):
        if kind == "markdown":
            cell = nbformat.v4.new_markdown_cell(
                rules.links_one_folder_down(text) if solved else text, id=identity
            )
        else:
            cell = nbformat.v4.new_code_cell(code.strip("\n"), id=identity)
        # Without outputs there is nothing to compare: nbval would pass such a cell whatever it prints.
        kept = [tag for tag in tags if not (solved and tag == "nbval-check-output")]
        if kept:
            cell.metadata["tags"] = kept
        if "folded" in tags:  # JupyterLab shows a bar, which a click opens
            cell.metadata["jupyter"] = {"source_hidden": True}
        notebook.cells.append(cell)
    return notebook


def _identities(cells: Sequence[Cell]) -> list[str]:
    """Cell ids from the number of the section and the place in it: a changed line changes no other cell's id."""
    section, place, identities = 0, 0, []
    for cell in cells:
        if cell.kind == "markdown" and cell.text.startswith(("# ", "## ")):
            section, place = section + 1, 0
        place += 1
        identities.append(f"s{section:02d}-c{place:02d}")
    return identities
