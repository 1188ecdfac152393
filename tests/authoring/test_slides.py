"""Slides: what belongs on which, and one page with everything in it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course_utils import assets
from course_utils.authoring import notebook as nb
from course_utils.authoring import slides
from course_utils.authoring.source import find_sources
from course_utils.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]
LESSONS = [path.stem for path in find_sources(ROOT)]


@pytest.fixture
def libraries(monkeypatch):
    """Stand-ins for the text of reveal.js and MathJax, so that nothing is fetched."""
    monkeypatch.setattr(
        slides, "_libraries", lambda: {name: f"/* {name} */" for name in slides._FILES}
    )


def markdown(text):
    return nbformat.v4.new_markdown_cell(text)


def lay(*cells):
    """(kind, first line) of the pieces on slides."""
    result = slides.on_slides(nbformat.v4.new_notebook(cells=list(cells)))
    return [
        (cell.metadata.slideshow.slide_type, cell.source.split("\n")[0]) for cell in result.cells
    ]


def test_headings_begin_slides_and_what_does_not_fit_goes_below():
    long = " ".join(["word"] * 200)
    text = f"# 1. T\n\nOne.\n\n## A\n\nTwo.\n\n{long}\n\n{long}\n\n### Exercise 1.1\n\nThree."
    kinds = lay(markdown(text), nbformat.v4.new_code_cell("x = 1"))
    assert kinds == [
        ("slide", "# 1. T"), ("slide", "## A"), ("-", long), ("subslide", long),
        ("subslide", "### Exercise 1.1"), ("-", "x = 1"),
    ]  # fmt: skip


def test_formulas_fences_and_folded_hints_stay_whole():
    whole = [
        "$$a\n\n= b$$",
        "```\nx\n\ny\n```",
        "<details><summary>Hint</summary>one\n\ntwo</details>",
    ]
    assert slides._paragraphs("Text.\n\n" + "\n\n".join(whole)) == ["Text.", *whole]


@pytest.mark.parametrize("lesson", LESSONS)
def test_nothing_of_a_lesson_gets_lost_and_its_notebook_stays(lesson):
    notebook = nb.read_notebook(ROOT / "notebooks" / f"{lesson}.ipynb")
    before = nb.to_bytes(notebook)
    result = slides.on_slides(notebook)
    assert nb.to_bytes(notebook) == before
    for kind in ("markdown", "code"):
        ours = "".join(cell.source for cell in result.cells if cell.cell_type == kind)
        theirs = "".join(cell.source for cell in notebook.cells if cell.cell_type == kind)
        assert re.sub(r"\s", "", ours) == re.sub(r"\s", "", theirs)
    outputs = [output for cell in nb.code_cells(notebook) for output in cell.outputs]
    assert [output for cell in nb.code_cells(result) for output in cell.outputs] == outputs
    levels = [
        len(m[1])
        for c in result.cells
        if (m := re.match("(##?) ", c.source)) and c.cell_type == "markdown"
    ]
    assert [cell.metadata.slideshow.slide_type for cell in result.cells].count("slide") == len(
        levels
    )


def test_the_page_needs_nothing_from_outside_and_is_the_same_each_time(libraries, tmp_path):
    pytest.importorskip("nbconvert", reason="nbconvert comes with JupyterLab (extra lab)")
    page = slides.make(ROOT, "01", tmp_path)
    html, first = page.read_text(encoding="utf-8"), page.read_bytes()
    assert page.name == f"{LESSONS[[s[:2] for s in LESSONS].index('01')]}.html"
    assert html.count("<section") > 40 and all(f"/* {name} */" in html for name in slides._FILES)
    loaded = re.findall(
        r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)\s*=\s*[\"']?([^\"'\s>]+)", html
    )
    assert loaded and all(
        address.startswith("data:") for address in loaded
    )  # pictures, and they are inside
    assert slides.make(ROOT, "01", tmp_path).read_bytes() == first


def test_the_command(libraries, tmp_path, capsys):
    pytest.importorskip("nbconvert", reason="nbconvert comes with JupyterLab (extra lab)")
    assert slides.main(["07", "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "07_debugging_clinic.html")
    assert (
        slides.main(["99", "--to", str(tmp_path)]) == 1
        and "no lesson '99'" in capsys.readouterr().err
    )


def test_without_reveal_it_says_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("nbconvert", reason="nbconvert comes with JupyterLab (extra lab)")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    nowhere = assets.manifest()
    monkeypatch.setattr(assets, "manifest", lambda: {"reveal": _without_address(nowhere["reveal"])})
    with pytest.raises(CourseError, match=r"course_utils\.assets reveal mathjax"):
        slides.make(ROOT, "01", tmp_path)


def _without_address(asset):
    from dataclasses import replace

    return replace(asset, urls=())


def test_loading_the_module_needs_no_jupyter():
    program = "import sys, course_utils.authoring.slides; print('nbconvert' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert json.loads(done.stdout.lower()) is False
