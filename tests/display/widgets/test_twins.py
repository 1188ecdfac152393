"""Readers without a kernel: on GitHub and on paper stands each widget's static twin with its caption, no empty box."""

import html
import re
from pathlib import Path

import nbformat
import pytest

from measuring.measure_widgets import lessons_with_widgets

ROOT = Path(__file__).parents[3]
TWINS = {
    "gan_game.game": "gan_game.game_static",
    "flow_steps.flow_steps": "flow_steps.flow_steps_static",
    "latent_walk.latent_walk": "latent_walk.latent_walk_static",
    "class_walk.class_walk": "class_walk.class_walk_static",
    "latent_plane.latent_plane": "latent_plane.plane_static",
    "review_meter.review_meter": "review_meter.review_meter_static",
    "sampling.sampling": "sampling.sampling_static",
    "score_bias.bias_slider": "score_bias.bias_static",
    "blind_test.blind_test": "blind_test.blind_static",
}
MODULES = {path.stem for path in (ROOT / "course_utils" / "display" / "widgets").glob("*.py")}


def calls(cell):
    return (
        set(re.findall(rf"\b(?:{'|'.join(MODULES)})\.\w+(?=\()", cell.source))
        if cell.cell_type == "code"
        else set()
    )


def read(lesson):
    return nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4)


def caption(cell):
    """The sentence under the last picture of a cell."""
    texts = [str(output.get("data", {}).get("text/html", "")) for output in cell.outputs]
    return next(text for text in reversed(texts) if text.startswith("<p><em>Figure. "))


def test_every_widget_has_a_twin():
    assert {name.partition(".")[0] for name in TWINS} == MODULES - {"__init__", "controls"}


def test_every_lesson_shows_its_widgets():
    shown = set().union(
        *(calls(cell) for lesson in lessons_with_widgets(ROOT) for cell in read(lesson).cells)
    )
    assert shown >= set(TWINS)
    assert {"00", "01", "02", "03", "04", "05"} <= {name[:2] for name in lessons_with_widgets(ROOT)}


@pytest.mark.parametrize("lesson", lessons_with_widgets(ROOT))
def test_a_page_without_a_kernel_shows_the_twin_and_its_caption(lesson):
    nbconvert = pytest.importorskip("nbconvert")
    notebook = read(lesson)
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    live = set().union(*map(calls, notebook.cells)) & set(TWINS)
    assert live
    for name in live:
        (twin,) = [cell for cell in notebook.cells if TWINS[name] in calls(cell)]
        pictures = [
            output.data["image/png"]
            for output in twin.outputs
            if "image/png" in output.get("data", {})
        ]
        assert pictures and all(picture.strip()[:60] in page for picture in pictures)
        assert html.unescape(caption(twin)) in html.unescape(page)
    assert "widget-view+json" not in page and "jupyter-widgets-view" not in page
    assert not re.search(r"<pre>[^<]*[HV]Box\(", page)  # what a widget without a kernel would print
