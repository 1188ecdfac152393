"""Solution regions: where they stand in a source, and the learner's copy without them."""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from course_utils.authoring.source import Problem, Source

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
LOOKS_LIKE_MARKER = re.compile(r"#+[ \t]*(begin|end)[ \t_-]*solution", re.IGNORECASE)


@dataclass(frozen=True)
class Region:
    """A solution: the lines of its two markers, their indentation and its function."""

    begin: int
    end: int
    indent: str
    function: str


def find_regions(source: Source) -> tuple[list[Region], list[Problem]]:
    """The solution regions of a source, and everything that is wrong with its markers."""
    markers, problems = _markers(source)
    pairs, unpaired = _pairs(markers)
    problems += unpaired
    found = [_region(source, begin, end) for begin, end in pairs]
    regions = [one for one in found if isinstance(one, Region)]
    problems += [one for one in found if isinstance(one, Problem)]
    if not problems:
        problems += _learner_problems(source, regions)
    return regions, problems


def learner_text(
    text: str, regions: Sequence[Region], numbers: Mapping[str, str], keep_lines: bool = False
) -> str:
    """The source with ``raise NotImplementedError("Exercise N.M")`` in the place of each solution.

    Args:
        text: the source.
        regions: its solutions.
        numbers: of the exercises, by the names of their functions.
        keep_lines: leave blank lines, so that all that follows keeps its line number.
    """
    lines: list[str | None] = list(text.splitlines())
    for region in regions:
        size = region.end - region.begin
        stub = f'{region.indent}raise NotImplementedError("Exercise {numbers[region.function]}")'
        lines[region.begin - 1 : region.end] = [stub, *([""] if keep_lines else [None]) * size]
    return "\n".join(line for line in lines if line is not None) + "\n"


def _markers(source: Source) -> tuple[list[tuple[int, str]], list[Problem]]:
    """(line, text) of the markers that are written as they should be; the others are problems."""
    markers, problems = [], []
    for cell in source.cells:
        for line, text in cell.lines:
            if not LOOKS_LIKE_MARKER.search(text):
                continue
            if cell.kind != "code":
                problems.append(
                    Problem(
                        line,
                        "A solution marker in Markdown.",
                        "it in words; markers belong in code.",
                    )
                )
            elif line not in source.comments:
                problems.append(
                    Problem(
                        line,
                        "A solution marker in a string or behind code.",
                        "the marker on a line of its own.",
                    )
                )
            elif text.strip() not in (BEGIN, END):
                problems.append(
                    Problem(
                        line, f"Not a marker: `{text.strip()}`.", f"exactly `{BEGIN}` or `{END}`."
                    )
                )
            else:
                markers.append((line, text.rstrip()))
    return markers, problems


def _pairs(markers: Sequence[tuple[int, str]]) -> tuple[list[tuple[int, int]], list[Problem]]:
    pairs, problems, opened = [], [], None
    for line, text in markers:
        indent = text[: text.index("#")]
        if text.strip() == BEGIN:
            if opened:
                problems.append(
                    Problem(
                        line,
                        f"A solution begins inside that of line {opened[0]}.",
                        f"`{END}` first.",
                    )
                )
            opened = opened or (line, indent)
        elif not opened:
            problems.append(
                Problem(line, "A solution ends that never began.", f"`{BEGIN}` above the solution.")
            )
        else:
            if indent != opened[1]:
                problems.append(
                    Problem(
                        line,
                        "The markers are indented differently.",
                        f"`{END}` exactly below its `{BEGIN}`.",
                    )
                )
            else:
                pairs.append((opened[0], line))
            opened = None
    if opened:
        problems.append(
            Problem(opened[0], "A solution that never ends.", f"`{END}` below the solution.")
        )
    return pairs, problems


def _region(source: Source, begin: int, end: int) -> Region | Problem:
    inside = [n for n in source.statements if begin < n.lineno < end]
    owner = next(
        (n for n in source.tree.body if n.lineno < begin <= end <= _end_of(source, n)), None
    )
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef)
    if any(isinstance(n, (*definitions, ast.ClassDef)) and n in source.tree.body for n in inside):
        return Problem(
            begin,
            "The solution holds the `def` line.",
            f"`{BEGIN}` below the signature and docstring.",
        )
    if source.cell_at(begin) is not source.cell_at(end):
        return Problem(begin, "A solution that spans two cells.", f"`{END}` in the same cell.")
    if not inside:
        return Problem(
            begin, "There is no statement between the markers.", "the solution between them."
        )
    if not isinstance(owner, definitions):
        return Problem(
            begin,
            "A solution outside a function.",
            "it into a small function that is not in a class.",
        )
    indent = source.comments[begin][: source.comments[begin].index("#")]
    if _crosses(source, begin, end, indent, inside):
        return Problem(
            begin,
            "The markers cut a statement or a block.",
            "them at the indentation of whole statements.",
        )
    if not _is_checked(source, owner):
        fix = f"`{owner.name} = checks.<lesson>.{owner.name}({owner.name})` directly under the function."
        return Problem(begin, f"`{owner.name}` has a solution but no check.", fix)
    return Region(begin, end, indent, owner.name)


def _end_of(source: Source, node: ast.stmt) -> int:
    """Last line that can belong to a top-level statement: the one above what follows, within the cell."""
    starts = [n.lineno for n in source.tree.body] + [c.line for c in source.cells]
    return (
        min(
            (line for line in starts if line > node.lineno),
            default=len(source.text.splitlines()) + 1,
        )
        - 1
    )


def _crosses(source: Source, begin: int, end: int, indent: str, inside: Sequence[ast.stmt]) -> bool:
    lines = source.text.splitlines()[begin : end - 1]
    first = min(inside, key=lambda n: n.lineno)
    return (
        any((n.end_lineno or n.lineno) >= end for n in inside)
        or first.col_offset != len(indent)
        or any(line.strip() and not line.startswith(indent) for line in lines)
    )


def _is_checked(source: Source, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether ``name = checks.lesson.name(name)`` stands below the function, in its cell or the next code cell."""
    here = source.cell_at(function.lineno)
    code = [cell for cell in source.cells if cell.kind == "code"]
    near = code[code.index(here) : code.index(here) + 2] if here in code else []
    for node in source.tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=target)],
                value=ast.Call(func=check, args=[ast.Name(id=answer)]),
            ):
                checked = re.fullmatch(rf"checks\.\w+\.{function.name}", ast.unparse(check))
                below = node.lineno > function.lineno and source.cell_at(node.lineno) in near
                if checked and below and target == answer == function.name:
                    return True
    return False


def _learner_problems(source: Source, regions: Sequence[Region]) -> list[Problem]:
    names = {region.function: "0.0" for region in regions}
    text = learner_text(source.text, regions, names, keep_lines=True)
    leaks = [
        n for n, line in enumerate(text.splitlines(), start=1) if LOOKS_LIKE_MARKER.search(line)
    ]
    problems = [
        Problem(n, "A solution marker is left in the learner's copy.", f"`{BEGIN}` or `{END}`.")
        for n in leaks
    ]
    try:
        ast.parse(text)
    except SyntaxError as error:
        problems.append(
            Problem(
                error.lineno or 1, "The learner's copy is not valid Python.", "whole statements."
            )
        )
    return problems
