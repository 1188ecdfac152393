"""Readers without a kernel: on GitHub and on paper stands each widget's static twin with its caption, no empty box."""

import html
import re
from pathlib import Path

import nbformat
import pytest

from measuring.measure_widgets import lessons_with_widgets

ROOT = Path(__file__).parents[3]
TWINS = {
    "widgets_gan.game": "widgets_gan.game_static",
    "widgets.latent_walk": "widgets.latent_walk_static",
    "widgets_vae.latent_plane": "widgets_vae.plane_static",
    "widgets_bert.review_meter": "widgets_bert.review_meter_static",
    "widgets_attention.sampling": "widgets_attention.sampling_static",
    "widgets_metrics.bias_slider": "widgets_metrics.bias_static",
    "widgets_blind.blind_test": "widgets_blind.blind_static",
}


def calls(cell):
    return (
        set(re.findall(r"\bwidgets\w*\.\w+(?=\()", cell.source))
        if cell.cell_type == "code"
        else set()
    )


def read(lesson):
    return nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4)


def caption(cell):
    """The sentence under the last picture of a cell."""
    texts = [str(output.get("data", {}).get("text/html", "")) for output in cell.outputs]
    return next(text for text in reversed(texts) if text.startswith("<p><em>Figure. "))


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
