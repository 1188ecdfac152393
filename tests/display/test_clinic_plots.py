"""Lesson 07's figures: every curve has its name, names do not touch, and the data's place is told as it is."""

import itertools

import matplotlib

matplotlib.use("Agg")

import pytest
import torch
from matplotlib.text import Text

from course_utils.display import clinic_plots, plots
from course_utils.learner import clinic


@pytest.fixture
def drawn():
    figures = []

    def draw(figure):
        figures.append(figure)
        figure.draw_without_rendering()
        return figure

    yield draw
    for figure in figures:
        plots.put_away(figure)


def test_every_program_has_its_name_beside_its_end(drawn):
    ends = {"healthy": 0.0, "high": 0.9, "random labels": 0.001, "slow": 0.04}
    learned = {name: [1.0, 0.5, end] for name, end in ends.items()}
    figure = drawn(clinic_plots.one_batch(learned))
    (ax,) = figure.axes
    assert {text.get_text() for text in ax.texts} == set(ends)
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without the lines to the curves
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(figure.bbox.containsx(box.x1) and box.x0 > ax.bbox.x1 for box in boxes)
    assert all(figure.bbox.containsy(box.y1) for box in boxes)


def test_two_runs_share_a_legend_and_each_panel_has_its_equilibrium(drawn):
    runs = {"run A": clinic.recorded("healthy line"), "run B": clinic.recorded("collapse")}
    figure = drawn(clinic_plots.two_runs(runs))
    assert [ax.get_ylabel() for ax in figure.axes] == [x for x, _ in clinic_plots.PANELS.values()]
    for ax, (_, theory) in zip(figure.axes, clinic_plots.PANELS.values(), strict=True):
        assert len(ax.lines) == 3 and set(ax.lines[-1].get_ydata()) == {theory}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*runs, "at the equilibrium"]
    assert not any(ax.get_legend() for ax in figure.axes)
    assert not any(legend.get_window_extent().overlaps(ax.bbox) for ax in figure.axes)


def test_the_data_are_called_what_they_are(drawn):
    objectives = {"falls": [2.0, 1.0, 0.0], "rises": [0.0, 1.0, 2.0], "turns": [0.0, 1.0, -1.0]}
    figure = drawn(clinic_plots.from_the_data([0.0, 0.5, 1.0], objectives))
    told = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert told == ["at the data: highest", "at the data: lowest", "at the data"]
    assert [ax.get_title("left") for ax in figure.axes] == list(objectives)


def test_no_curve_runs_through_the_words_about_the_data(drawn):
    t = [k / 20 for k in range(21)]
    objectives = {"falls": [-x * x for x in t], "rises": [x * x for x in t]}
    figure = drawn(clinic_plots.from_the_data(t, objectives))
    for ax in figure.axes:
        (words,) = ax.texts
        curve = ax.transData.transform(list(zip(t, ax.lines[0].get_ydata(), strict=True)))
        assert not any(words.get_window_extent().contains(*point) for point in curve)


def test_pixels_are_shares_of_their_batch_and_panels_share_an_axis(drawn):
    narrow, wide = torch.rand(4, 3, 8, 8), 2 * torch.rand(2, 3, 8, 8) - 1
    batches = {"as they came": (narrow, wide), "mended": (2 * narrow - 1, wide)}
    figure = drawn(clinic_plots.pixel_values(batches))
    assert [ax.get_title("left") for ax in figure.axes] == list(batches)
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    for ax, (real, made) in zip(figure.axes, batches.values(), strict=True):
        for patch, pixels in zip(ax.patches, (real, made), strict=True):
            x, y = patch.get_path().vertices.T
            assert pixels.min() - 0.051 < x[y > 0].min() < pixels.min() + 0.051
            assert y.max() < 0.2
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["real", "made"]
