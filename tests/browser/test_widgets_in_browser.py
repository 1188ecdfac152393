"""Every widget in a real browser: its lesson run in JupyterLab, every control reached and moved by keyboard alone.

Needs the extra ``browser`` and a Chromium, Chrome or Edge; without them all of this is skipped, and says so.
Times are not asserted here: `measuring.measure_widgets` records them.
"""

from pathlib import Path

import pytest

from measuring import browser, widget_moves
from measuring.measure_widgets import lessons_with_widgets, summary

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NO_BROWSER = "WIDGETS NOT TESTED IN A BROWSER: "


@pytest.fixture(scope="module")
def program():
    reason = NO_BROWSER + "pip install -e '.[browser]', and have Chromium, Chrome or Edge"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    with sync_api.sync_playwright() as playwright:
        try:
            found = browser.launch(playwright)
        except LookupError as error:
            pytest.skip(f"{NO_BROWSER}{error}")
        yield found
        found.close()


@pytest.fixture(scope="module")
def lab(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab") / "a course"  # with a space, as on a learner's disk
    browser.copy_lessons(ROOT, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_TIER", "smoke")
        with browser.jupyter_lab(folder) as address:
            yield folder, address


@pytest.mark.parametrize("lesson", lessons_with_widgets(ROOT))
def test_every_control_answers_to_the_keyboard(lesson, program, lab):
    folder, address = lab
    page = browser.Page(program, browser.lesson_address(address, lesson))
    page.run_all()
    assert browser.errors_of(page.saved(folder / "notebooks" / f"{lesson}.ipynb")) == []
    widgets = widget_moves.widgets_of(page.page)
    assert widgets
    for widget in widgets:
        order = widget_moves.tab_order(page.page, widget)
        assert all(order), "a control without a name"
        moves = list(widget_moves.moves(page.page, widget))
        assert len({m.control for m in moves if m.control.endswith(", slider")}) == order.count(
            "slider"
        )
        mute = {m.control for m in moves} - {m.control for m in moves if m.answered}
        assert moves and not mute, f"no answer from {mute}"
        assert summary(moves)["all"]["n"] > 0
        assert not widget.get_by_text("javascript error").count()
    assert page.troubles == []
    page.close()


@pytest.mark.parametrize("lesson", ["01_gan_theory"])
def test_boxes_and_buttons_have_names_for_a_screen_reader(lesson, program, lab):
    _, address = lab
    page = browser.Page(program, browser.lesson_address(address, lesson))
    page.run_all()
    (widget,) = widget_moves.widgets_of(page.page)
    for name in ("mean of p_g", "std of p_g"):
        assert widget.get_by_role("spinbutton", name=name, exact=True).count() == 1
    page.close()
