"""Figures of lesson 08 about classes."""

import pytest

from course_utils.display import class_plots, plots
from course_utils.evaluation.scores import Score


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plots.put_away("all")


def test_the_legend_lies_above_every_error_bar():
    names = ("yours", "shipped", "other real images")
    classes = [f"class {k}" for k in range(10)]
    rows = {name: [Score("FD", 5, 4, 7, 100, 5, "features", "real", 0.4)] * 10 for name in names}
    figure, (ax,) = plots.subplots(width=9, height=3.6)
    class_plots.by_class(ax, classes, rows)
    ax.set_title("FD of each class")
    figure.canvas.draw()
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == list(names)
    lowest = ax.transData.inverted().transform(legend.get_window_extent())[0, 1]
    assert lowest > 7
