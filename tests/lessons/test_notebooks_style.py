"""The shape of a lesson: short cells, as much text as code, figures with alt text, whole exercise cards."""

import ast
import re
import statistics
from pathlib import Path

import pytest

from course_utils import checks
from course_utils.authoring import exercises, solutions
from course_utils.authoring.rules import prose
from course_utils.authoring.source import Cell, Source, find_sources, read_source

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = (r"set-?up", r"go(es|ing)? wrong", r"quiz|questions", r"recap")
EXERCISES = (3, 7)
"""Fewest and most exercises of a lesson; predictions, which cannot be wrong and take a minute, do not count."""
CLINICS = {7: (14, 24)}
"""Lessons that are collections of cases, each with its own check: fewest and most exercises, by the lesson's number."""
OPENINGS = {0: {"words": (900, 2000), "exercises": (1, 1)}}
"""The lesson before the lessons, read in ten minutes: its own size, by its number. All other rules hold for it too."""
LETTERS = {"line": 100, "cell": 300}
"""Most letters of a line, which then fits beside a laptop's margin, and of a lesson's median code cell."""
UNBREAKABLE = re.compile(r"https?://|\{\{result:|^# \||^# !\[|^# .*\$\$")
"""Lines that cannot be broken: addresses, measured numbers, tables, pictures' alt texts, displayed formulas."""
FIGURES = re.compile(r"\b(plt|plots)\.(subplots|figure)$|\bplt\.(plot|imshow|hist|scatter|bar)$")


@pytest.fixture(params=find_sources(ROOT), ids=lambda path: path.stem)
def lesson(request: pytest.FixtureRequest) -> Source:
    source, problems = read_source(request.param, ROOT)
    assert source is not None and not problems, problems
    return source


def cells(lesson: Source, kind: str) -> list[Cell]:
    return [cell for cell in lesson.cells if cell.kind == kind]


def size(lesson: Source, what: str, usual: tuple[int, int]) -> tuple[int, int]:
    """Fewest and most of something that a lesson may have."""
    return OPENINGS.get(int(Path(lesson.name).stem[:2]), {}).get(what, usual)


def filled_lines(cell: Cell) -> int:
    return sum(bool(text.strip()) for _, text in cell.lines)


def words(text: str) -> int:
    """Words that are read: without code blocks, displayed formulas and tags."""
    text = re.sub(
        r"\$\$.*?\$\$|<[^>]+>|\{\{[^}]*\}\}", " ", prose(text, inline=False), flags=re.DOTALL
    )
    return len([word for word in text.split() if re.search(r"[^\W\d_]", word)])


def place(lesson: Source, cell: Cell) -> str:
    return f"{lesson.name}:{cell.line}"


def calls(cell: Cell, with_functions: bool = True) -> list[tuple[str, ast.Call]]:
    """(name, node) of the calls in a cell; without those inside function definitions if so wished."""
    tree = ast.parse(cell.text)
    if not with_functions:
        tree.body = [
            node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
    return [(ast.unparse(n.func), n) for n in ast.walk(tree) if isinstance(n, ast.Call)]


def test_code_cells_are_short(lesson: Source) -> None:
    sizes = [filled_lines(cell) for cell in cells(lesson, "code")]
    long = [place(lesson, cell) for cell in cells(lesson, "code") if filled_lines(cell) > 25]
    assert statistics.median(sizes) <= 8, f"median {statistics.median(sizes)} lines"
    assert statistics.quantiles(sizes, n=10)[-1] <= 25, f"longest: {long}"


def test_there_is_enough_text_and_not_too_much(lesson: Source) -> None:
    text = sum(words(cell.text) for cell in cells(lesson, "markdown"))
    code = sum(len(cell.text.split()) for cell in cells(lesson, "code"))
    fewest, most = size(lesson, "words", (1500, 4000))
    assert fewest <= text <= most, f"{text} words of prose"
    assert text >= code, f"{text} words of prose, {code} of code"


def excepted(lesson: Source) -> set[int]:
    """The lines that may be longer: those that cannot be broken, and the texts for who does not see a figure."""
    found, formula = set(), False
    for number, line in enumerate(lesson.text.splitlines(), start=1):
        formula ^= line.count("$$") % 2  # a formula over several lines
        if formula or UNBREAKABLE.search(line):
            found.add(number)
    for node in ast.walk(lesson.tree):
        named = isinstance(node, ast.keyword) and node.arg == "alt"
        if named or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "alt"):
            found |= set(range(node.value.lineno, node.value.end_lineno + 1))
    return found


def test_lines_fit_beside_a_laptops_margin(lesson: Source) -> None:
    may_be_longer = excepted(lesson)
    longer = [
        f"{lesson.name}:{number}: {len(line)} letters"
        for number, line in enumerate(lesson.text.splitlines(), start=1)
        if len(line) > LETTERS["line"] and number not in may_be_longer
    ]
    assert not longer, "\n" + "\n".join(longer)


def test_the_usual_code_cell_is_read_at_a_glance(lesson: Source) -> None:
    letters = statistics.median(len(cell.text.strip()) for cell in cells(lesson, "code"))
    assert letters <= LETTERS["cell"], f"median {letters:.0f} letters"


def test_it_opens_with_its_number_and_card(lesson: Source) -> None:
    number = int(Path(lesson.name).stem[:2])
    opening = "\n".join(cell.text for cell in lesson.cells[:3] if cell.kind == "markdown")
    assert lesson.cells[0].text.startswith(f"# {number}. "), place(lesson, lesson.cells[0])
    missing = [
        s
        for s in ("you will learn", "you need", "minutes", "{{tiers}}")
        if s not in opening.lower()
    ]
    assert not missing, f"the card does not say: {missing}"


def test_sections_come_in_order(lesson: Source) -> None:
    headings = [
        line
        for cell in cells(lesson, "markdown")
        for line in prose(cell.text).split("\n")
        if re.match("#+ ", line)
    ]
    found = [
        next((i for i, h in enumerate(headings) if re.search(s, h, re.I)), None) for s in SECTIONS
    ]
    assert None not in found, (
        f"no heading for {[s for s, f in zip(SECTIONS, found, strict=True) if f is None]}"
    )
    assert found == sorted(found), headings


def test_set_up_is_short_and_settings_show_the_tiers(lesson: Source) -> None:
    first = cells(lesson, "code")[0]
    assert filled_lines(first) <= 15, place(lesson, first)
    assert any(
        re.search(r"smoke.*laptop.*gpu|\.pick\(", cell.text) for cell in cells(lesson, "code")[:4]
    )


def test_every_figure_has_alt_text(lesson: Source) -> None:
    for cell in cells(lesson, "code"):
        every = calls(cell)
        assert not any(name == "plt.show" for name, _ in every), (
            f"{place(lesson, cell)}: use plots.show"
        )
        shown = [node for name, node in every if name in ("plots.show", "plots.LiveFigure")]
        silent = [
            n
            for n in shown
            if not any(
                k.arg == "alt" and ast.unparse(k.value) not in ("''", "None") for k in n.keywords
            )
        ]
        assert not silent, f"{place(lesson, cell)}: a figure without alt text"
        made = any(FIGURES.search(name) for name, _ in calls(cell, with_functions=False))
        assert shown or not made, (
            f"{place(lesson, cell)}: a figure that is not shown with plots.show(..., alt=...)"
        )


def is_prediction(name: str) -> bool:
    """Whether what is checked under this name, such as ``"gan.modes_covered"``, is recorded and never wrong."""
    lesson, function = name.split(".")
    return not hasattr(getattr(getattr(checks, lesson), function), "reference")


def test_exercises_have_a_card_and_hints(lesson: Source) -> None:
    regions, problems = solutions.find_regions(lesson)
    cards, unsound = exercises.find_cards(lesson.text)
    assert not problems and not unsound
    predictions = [card for card in cards if all(map(is_prediction, card.names))]
    solved = [card for card in cards if card not in predictions]
    fewest, most = CLINICS.get(
        int(Path(lesson.name).stem[:2]), size(lesson, "exercises", EXERCISES)
    )
    assert fewest <= len(solved) <= most, f"exercises: {[card.number for card in solved]}"
    checked = [name.partition(".")[2] for card in solved for name in card.names]
    assert [region.function for region in regions] == checked
    for card in cards:
        cell = lesson.cell_at(card.line)
        hints = () if card in predictions else ("<details>", "<summary>")
        for wanted in (r"\b(easy|medium|hard)\b", r"\d+ minutes", *hints):
            assert cell and re.search(wanted, cell.text, re.I), (
                f"the card of exercise {card.number} does not have {wanted}"
            )
