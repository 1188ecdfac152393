"""axe-core, Deque's checker of accessibility, on every notebook as a page: what it finds in ours is an error.

It needs a Chromium and the packages of the extra ``browser``: ``pip install -e ".[browser]"``, then, where there is no
browser, ``playwright install chromium``. Without them these tests are skipped; the build's own checks always run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from measuring.browser import launch

pytestmark = pytest.mark.slow

axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason='pip install -e ".[browser]" for axe-core'
)
playwright = pytest.importorskip("playwright.sync_api")
nbconvert = pytest.importorskip("nbconvert")

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
# Jupyter's, not ours: pale prompts and syntax colours (so pages are made without the code), links in text that only
# their colour tells apart, and the boxes of Markdown's task lists, whose text stands beside them but is no label.
THEIRS = {"exclude": [[".jp-InputPrompt"], [".jp-OutputPrompt"], [".task-list-item-checkbox"]]}
# Of what passes only the rule is told: the elements of one notebook are a megabyte.
OPTIONS = {"rules": {"link-in-text-block": {"enabled": False}}, "resultTypes": ["violations"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        try:
            started = launch(driver)
        except LookupError as error:
            pytest.skip(str(error))
        yield started
        started.close()


def findings(browser: Any, page_html: str) -> list[str]:
    page = browser.new_page()
    page.route("**", lambda route: route.abort())  # nothing is loaded: pages must not need it
    page.set_content(page_html, wait_until="domcontentloaded")
    result = axe.Axe().run(page, context=THEIRS, options=OPTIONS)
    page.close()
    assert len(result.response["passes"]) > 5  # it did look
    return [
        f"{v['id']}: {node['html'][:200]}"
        for v in result.response["violations"]
        for node in v["nodes"]
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_axe_finds_nothing_in_a_notebook(path: Path, browser: Any) -> None:
    exporter = nbconvert.HTMLExporter(exclude_input=True)
    page, _ = exporter.from_notebook_node(
        nbformat.read(path, as_version=4), {"metadata": {"name": path.stem}}
    )
    assert findings(browser, page) == []


@pytest.mark.parametrize(
    ("markdown", "rule"),
    [
        ('<input type="range">', "label"),
        ("# A\n\n### C", "heading-order"),
        ("| | b |\n| --- | --- |\n| 1 | 2 |", "empty-table-header"),
        ("[](x.html)", "link-name"),
        ('<p style="color: #bbbbbb">pale</p>', "color-contrast"),
    ],
)
def test_axe_finds_what_is_wrong(markdown: str, rule: str, browser: Any) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(markdown)])
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    assert any(found.startswith(rule) for found in findings(browser, page))
