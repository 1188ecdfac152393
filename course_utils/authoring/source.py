"""Read a lesson's source (jupytext percent format) cell by cell, and keep the line where everything stands."""

import ast
import functools
import io
import re
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jupytext

from course_utils.errors import CourseError

KNOWN_TAGS = ("nbval-check-output", "raises-exception", "folded")
_FORMATTER = ("# fmt: off", "# fmt: on")  # whole lines for `ruff format`, which no notebook shows
_CELL = re.compile(r"#\s*%%(%*)(\s|$)")


@dataclass(frozen=True)
class Problem:
    """One thing to mend in a source: its line, what is wrong, and what to write instead."""

    line: int
    what: str
    fix: str


class BadSource(CourseError):
    """Sources that cannot become notebooks; ``problems`` maps each file's name to what is wrong in it."""

    def __init__(self, problems: Mapping[str, Sequence[Problem]]) -> None:
        self.problems = dict(problems)
        found = [
            (name, p)
            for name in self.problems
            for p in sorted(self.problems[name], key=lambda p: p.line)
        ]
        places = "\n".join(f"{name}:{p.line}: {p.what}\n    Write: {p.fix}" for name, p in found)
        super().__init__(
            "authoring-bad-source",
            f"{len(found)} place(s) in the lessons' sources have to be mended; no notebook was written.\n{places}",
            "Both notebooks of a lesson are made from its source, so a slip there would reach every learner.",
            "Mend these lines, then run: python3 run.py build",
        )


@dataclass(frozen=True)
class Cell:
    """One cell: the line of its ``# %%``, and its lines as (line number, text), Markdown without its ``#``."""

    kind: str
    line: int
    lines: tuple[tuple[int, str], ...]
    tags: tuple[str, ...]

    @property
    def text(self) -> str:
        """The cell's text."""
        return "\n".join(text for _, text in self.lines)


@dataclass(frozen=True, repr=False)
class Source:
    """A lesson's source: its name from the repository's root, its text, its syntax tree, its cells, its comments."""

    name: str
    text: str
    tree: ast.Module
    cells: tuple[Cell, ...]
    comments: Mapping[int, str]

    @functools.cached_property
    def statements(self) -> list[ast.stmt]:
        """All statements, at every depth."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.stmt)]

    def cell_at(self, line: int) -> Cell | None:
        """The cell that a line of the file belongs to (None above the first)."""
        return next((cell for cell in reversed(self.cells) if cell.line <= line), None)


def find_sources(root: Path) -> list[Path]:
    """The sources ``notebooks/source/NN_name.py`` below the repository's root, in order."""
    return sorted((root / "notebooks" / "source").glob("[0-9][0-9]_*.py"))


def find_source(
    root: Path, lesson: str, example: str = "python -m course_utils.authoring.build --execute 02"
) -> Path:
    """The source of a lesson by its number or its name.

    Args:
        root: the repository.
        lesson: for example ``"02"`` or ``"02_dcgan_cifar10"``.
        example: how whoever asks names a lesson rightly, for the error.

    Raises:
        CourseError: there is no such lesson.
    """
    found = [path for path in find_sources(root) if lesson in (path.stem, path.stem[:2])]
    if len(found) != 1:
        known = ", ".join(path.stem for path in find_sources(root)) or "none"
        raise CourseError(
            "authoring-unknown-lesson",
            f"There is no lesson {lesson!r}.",
            f"Lessons are named by their number or their name; known: {known}.",
            example,
        )
    return found[0]


def read_source(path: Path, root: Path) -> tuple[Source | None, list[Problem]]:
    """Read one source.

    Returns:
        The source (None when Python or jupytext cannot read it) and the problems of its structure.
    """
    text = path.read_text(encoding="utf-8")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return None, [_syntax(error, text)]
    comments = _whole_line_comments(text)
    markers, problems = _cell_markers(text, comments)
    if problems or not markers:
        return None, problems or [
            Problem(1, "There is no cell.", "`# %% [markdown]` and the lesson's title.")
        ]
    cells, problems = _cells(text.splitlines(), markers)
    return Source(path.relative_to(root).as_posix(), text, tree, tuple(cells), comments), problems


def notebook_cells(text: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """What jupytext makes of a source, less the formatter's marks: (kind, text, tags) of every cell."""
    lines = text.splitlines()
    shown = [line for line in lines[_header_length(lines) :] if line not in _FORMATTER]
    return list(_as_jupytext_has_it("\n".join(shown).strip("\n") + "\n"))


@functools.lru_cache(maxsize=64)  # a build asks several times for each lesson
def _as_jupytext_has_it(text: str) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    notebook = jupytext.reads(text, fmt="py:percent")
    return tuple((c.cell_type, c.source, tuple(c.metadata.get("tags", ()))) for c in notebook.cells)


def _syntax(error: SyntaxError, text: str) -> Problem:
    line = error.lineno or 1
    code = text.splitlines()[line - 1].strip() if text.strip() else ""
    if code.startswith(("!", "%")):
        return Problem(
            line,
            f"A bare command: `{code}`.",
            "Python; packages are installed by run.py, not by a lesson.",
        )
    return Problem(
        line,
        f"Python cannot read this line: {error.msg}.",
        "valid Python (the source is a Python file).",
    )


def _whole_line_comments(text: str) -> dict[int, str]:
    """Line number -> comment with its indentation, for comments that have a line to themselves."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        t.start[0]: t.line[: t.start[1]] + t.string
        for t in tokens
        if t.type == tokenize.COMMENT and not t.line[: t.start[1]].strip()
    }


def _cell_markers(text: str, comments: Mapping[int, str]) -> tuple[list[int], list[Problem]]:
    markers = [line for line, comment in comments.items() if _CELL.match(comment.lstrip())]
    problems = [
        Problem(
            line,
            f"`{comments[line].rstrip()}` splits the cell here.",
            "`# %%` unindented, or other words.",
        )
        for line in markers
        if not re.match(r"# %%(?!%)", comments[line])
    ]
    lines = text.splitlines()
    first = markers[0] if markers else len(lines) + 1
    for number in range(_header_length(lines) + 1, first):
        if lines[number - 1].strip():
            problems.append(
                Problem(number, "Text above the first cell.", "`# %% [markdown]` above it.")
            )
            break
    return markers, problems


def _header_length(lines: Sequence[str]) -> int:
    """Lines of jupytext's header (between two ``# ---``), 0 when there is none."""
    if not lines or lines[0].strip() != "# ---":
        return 0
    return next((n for n, line in enumerate(lines[1:], start=2) if line.strip() == "# ---"), 0)


def _cells(lines: Sequence[str], markers: Sequence[int]) -> tuple[list[Cell], list[Problem]]:
    read = notebook_cells("\n".join(lines) + "\n")
    if len(read) != len(markers):
        raise RuntimeError(f"jupytext sees {len(read)} cells where {len(markers)} are marked")
    cells, problems = [], []
    for start, end, (kind, text, tags) in zip(
        markers, [*markers[1:], len(lines) + 1], read, strict=True
    ):
        body = _without_blank_edges(
            [(n, lines[n - 1]) for n in range(start + 1, end) if lines[n - 1] not in _FORMATTER]
        )
        if kind == "markdown":
            problems += [
                Problem(
                    n,
                    "Markdown that is not a comment.",
                    "`# ` before every line of a Markdown cell.",
                )
                for n, line in body
                if not line.startswith("#")
            ]
            body = _without_blank_edges([(n, re.sub("^# ?", "", line)) for n, line in body])
        cells.append(Cell(kind, start, tuple(body), tags))
        problems += _as_jupytext_reads_it(cells[-1], text) if not problems else []
    return cells, problems


def _as_jupytext_reads_it(cell: Cell, text: str) -> list[Problem]:
    if cell.kind not in ("code", "markdown"):
        return [Problem(cell.line, f"A cell of kind {cell.kind}.", "`# %%` or `# %% [markdown]`.")]
    problems = [
        Problem(cell.line, f"Unknown tag {tag!r}.", f"one of {', '.join(KNOWN_TAGS)}.")
        for tag in cell.tags
        if tag not in KNOWN_TAGS
    ]
    read = [line.rstrip() for line in text.strip("\n").split("\n")]
    ours = [(n, line.rstrip()) for n, line in cell.lines] or [(cell.line, "")]
    for (number, line), seen in zip(ours, read, strict=False):
        # jupytext turns comments such as `# %matplotlib inline`, but also `# ls of it`, into commands.
        if line != seen and not seen.lstrip().startswith("%"):
            return [
                *problems,
                Problem(
                    number, f"jupytext would run this comment as `{seen}`.", "it in other words."
                ),
            ]
    return problems


def _without_blank_edges(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    while lines and not lines[0][1].strip():
        lines = lines[1:]
    while lines and not lines[-1][1].strip():
        lines = lines[:-1]
    return lines
