"""Figures of lesson 08 about classes: every colour and line has its name, and no words lie on others."""

import itertools

import pytest
import torch

from course_utils import results
from course_utils.display import class_plots, plots
from course_utils.evaluation.scores import Score

CLASSES = [f"class {k}" for k in range(10)]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plots.put_away("all")


def words(legend):
    return [text.get_text() for text in legend.get_texts()]


def apart(figure):
    """Whether titles, legends and named ticks keep off each other."""
    figure.canvas.draw()
    texts = [t for ax in figure.axes for t in (ax.title, ax._left_title, ax.xaxis.label)]
    texts += [
        t
        for ax in figure.axes
        for t in ax.get_yticklabels()
        if ax.yaxis.get_tick_params()["labelleft"]
    ]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    boxes += [legend.get_window_extent() for legend in legends if legend]
    return not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_scores_of_classes_have_their_legend_above_the_frame():
    names = ("yours", "shipped", "other real images")
    rows = {name: [Score("FD", 5, 4, 7, 100, 5, "features", "real", 0.4)] * 10 for name in names}
    figure = class_plots.by_class(CLASSES, rows, "FD of each class, 100 images in a draw [data]")
    (ax,) = figure.axes
    assert words(ax.get_legend()) == list(names) and ax.get_ylabel() == "FD"
    assert apart(figure)
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


def test_a_table_writes_shares_of_rows_that_can_be_seen():
    seen = torch.eye(10) * 96 + 0.4
    figure = class_plots.read_as({"as trained": seen, "swapped": seen.flip(0)}, CLASSES)
    left, right = figure.axes
    assert [text.get_text() for text in left.texts] == ["96%"] * 10
    assert [text.get_position() for text in right.texts] == [(9 - k, k) for k in range(10)]
    assert (left.get_title(), right.get_title()) == ("as trained", "swapped")
    assert left.get_ylabel() and left.get_xlabel() == right.get_xlabel()
    assert apart(figure)


def test_each_way_has_its_seeds_and_the_line_of_real_photographs_has_its_name():
    record = results.read("stable_pictures.json")
    figure = class_plots.by_way(record, {"FD": "FD", "accuracy": "share read as asked"})
    assert words(figure.legends[0]) == ["95 % interval", "a seed", "mean", "real photographs"]
    fd, accuracy = figure.axes
    assert set(accuracy.lines[-1].get_xdata()) == {record["real"]["accuracy"]["value"]}
    assert set(fd.lines[-1].get_xdata()) == {record["real"]["total"]["FD"]["value"]}
    names = [text.get_text() for text in fd.get_yticklabels()]
    assert names == list(record["ways"])[::-1]
    lowest = record["ways"][names[0]]["FD"]
    assert list(fd.lines[1].get_xdata()) == lowest["seeds"]
    assert fd.get_title("left") == record["data"] and apart(figure)


def test_scores_by_scale_have_a_line_for_each_kind_of_averages_and_one_for_photographs():
    record = results.read("stable_truncation.json")
    panels = {"accuracy": "share read as asked", "recall": "recall", "FD": "FD"}
    figure = class_plots.by_scale(record, panels)
    names = ["averages measured anew", "averages of training", "real photographs"]
    assert words(figure.legends[0]) == names
    for ax, (key, label) in zip(figure.axes, panels.items(), strict=True):
        assert ax.get_ylabel() == label and ax.get_ylim()[0] == 0
        anew, trained, photographs = ax.lines
        assert list(anew.get_xdata()) == [row["scale"] for row in record["anew"]]
        scored = [row[key] if key in row else row["total"][key] for row in record["scaled"]]
        assert list(trained.get_ydata()) == [score["value"] for score in scored]
        real = record["real"]
        floor = real[key] if key in real else real["total"][key]
        assert set(photographs.get_ydata()) == {floor["value"]}
    assert apart(figure)
