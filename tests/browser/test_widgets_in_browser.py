"""Every widget in a real browser: its lesson run in JupyterLab, every control reached and moved by keyboard alone.

Needs the extra ``browser`` and a Chromium, Chrome or Edge; without them all of this is skipped, and says so.
Times are not asserted here: `measuring.measure_widgets` records them.
"""

import re
from pathlib import Path

import pytest

from measuring import browser, widget_moves
from measuring.measure_widgets import lessons_with_widgets, summary

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NO_BROWSER = "WIDGETS NOT TESTED IN A BROWSER: "
BAR = re.compile(r":\s+\d+%\|.*it/s\]$")  # tqdm's, as text


@pytest.fixture(scope="module")
def window():
    reason = NO_BROWSER + "pip install -e '.[browser]', and have Chromium, Chrome or Edge"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    with sync_api.sync_playwright() as playwright:
        try:
            found = browser.launch(playwright)
        except LookupError as error:
            pytest.skip(f"{NO_BROWSER}{error}")
        yield browser.open_window(found)
        found.close()


@pytest.fixture(scope="module")
def lab(window, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab") / "a course"  # with a space, as on a learner's disk
    browser.copy_lessons(ROOT, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_TIER", "smoke")
        with browser.jupyter_lab(folder) as address:
            yield folder, address


@pytest.fixture(scope="module")
def run(request, window, lab):
    """A lesson in JupyterLab after all its cells have run, and the notebook that was saved then."""
    folder, address = lab
    page = browser.Page(window, browser.lesson_address(address, request.param))
    page.run_all()
    yield page, page.saved(folder / "notebooks" / f"{request.param}.ipynb")
    page.close()


def widgets_in(notebook):
    """How many widgets a saved notebook shows, without the bars of libraries, which are gone when they are full."""
    views = "application/vnd.jupyter.widget-view+json"
    shown = [out.get("data", {}) for cell in notebook.cells for out in cell.get("outputs", ())]
    return sum(views in data and not BAR.search(data["text/plain"]) for data in shown)


@pytest.mark.parametrize("run", ["01_gan_theory"], indirect=True)
def test_boxes_and_buttons_have_names_for_a_screen_reader(run):
    page, _ = run
    (widget,) = widget_moves.widgets_of(page.page)
    for name in ("mean of p_g", "std of p_g"):
        assert widget.get_by_role("spinbutton", name=name, exact=True).count() == 1


@pytest.mark.parametrize("run", lessons_with_widgets(ROOT), indirect=True)
def test_every_control_answers_to_the_keyboard(run):
    page, notebook = run
    assert browser.errors_of(notebook) == []
    widgets = widget_moves.widgets_of(page.page)
    assert widgets and len(widgets) == widgets_in(notebook)
    for widget in widgets:
        order = widget_moves.tab_order(page.page, widget)
        assert all(order), "a control without a name"
        moves = list(widget_moves.moves(page.page, widget, len(order)))
        assert len({m.control for m in moves if m.control.endswith(", slider")}) == order.count(
            "slider"
        )
        mute = {m.control for m in moves} - {m.control for m in moves if m.answered}
        assert moves and not mute, f"no answer from {mute}"
        assert summary(moves)["all"]["n"] > 0
        assert not widget.get_by_text("javascript error").count()
    assert page.troubles == []
