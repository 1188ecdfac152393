"""Every displayed formula is asserted: a cell that checks something follows it, in its own section and close by.

What a cell asserts no program can read; that there is one, and that none is far, can be counted.
"""

import re
from pathlib import Path

import pytest

from course_utils.authoring.source import notebook_cells

SOURCES = sorted((Path(__file__).parents[2] / "notebooks" / "source").glob("*.py"))
FORMULA = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
ASSERTS = re.compile(
    r"^\s*(assert\b|torch\.testing\.assert_close\(|\w+ = checks\.\w+\.\w+\()", re.MULTILINE
)
NEAR = 6
"""Cells below a formula in which it is asserted: its figure and an exercise may stand between."""


def unasserted(cells: list[tuple[str, str]]) -> tuple[int, list[str]]:
    """How many formulas the cells display, and those that no near cell of their section asserts.

    Args:
        cells: kind (``"markdown"`` or ``"code"``) and text of each.
    """
    found, bare = 0, []
    for number, (kind, text) in enumerate(cells):
        formulas = FORMULA.findall(text) if kind == "markdown" else []
        found += len(formulas)
        for formula in formulas:
            after = text[text.index(formula) :]
            near = [] if re.search(r"^## ", after, re.MULTILINE) else _near(cells[number + 1 :])
            if not any(kind == "code" and ASSERTS.search(code) for kind, code in near):
                bare.append(" ".join(formula.split()))
    return found, bare


def _near(cells: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The next cells, to the end of the section."""
    near = []
    for kind, text in cells[:NEAR]:
        if kind == "markdown" and text.startswith("## "):
            break
        near.append((kind, text))
        if kind == "markdown" and re.search(r"^## ", text, re.MULTILINE):
            break
    return near


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem[:2])
def test_each_displayed_formula_is_asserted_close_by(path: Path) -> None:
    cells = [(kind, text) for kind, text, _ in notebook_cells(path.read_text(encoding="utf-8"))]
    found, bare = unasserted(cells)
    assert not bare, f"{path.stem}: {len(bare)} of {found} formulas"


def test_the_course_displays_formulas() -> None:
    texts = [path.read_text(encoding="utf-8") for path in SOURCES]
    assert sum(len(FORMULA.findall(text)) for text in texts) >= 20


def test_a_formula_without_a_check_is_found() -> None:
    formula, check = ("markdown", "so $$a = b$$ holds"), ("code", "assert a == b")
    prose, plain = ("markdown", "and then"), ("code", "a = b")
    assert unasserted([formula, plain, check]) == (1, [])
    assert unasserted([formula, plain]) == (1, ["a = b"])
    assert unasserted([check, formula, *[prose] * NEAR, check]) == (1, ["a = b"])
    assert unasserted([formula, ("markdown", "## Next"), check]) == (1, ["a = b"])
    assert unasserted([formula, ("code", "f = checks.gan.f(f)")]) == (1, [])
