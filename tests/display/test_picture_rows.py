"""Rows of pictures have their names where the pictures are."""

import pytest
import torch

from course_utils.display import picture_rows, plots


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plots.put_away("all")


def pictures(count, level=0):
    return torch.full((count, 3, 8, 8), level, dtype=torch.uint8)


def names_of(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def test_each_row_has_its_name_at_its_height():
    rows = {"1 call": pictures(4, 10), "2 calls": pictures(4, 20), "8 calls": pictures(4, 30)}
    (ax,) = picture_rows.named_rows(rows, "some $title$", columns=list("abcd")).axes
    assert names_of(ax.yaxis) == list(rows) and names_of(ax.xaxis) == list("abcd")
    drawn = ax.images[0].get_array()
    middles = [round(place) for place in ax.get_yticks()]
    assert [int(drawn[place, 3, 0]) for place in middles] == [10, 20, 30]
    assert ax.get_title("left") == "some $title$"


def test_names_of_classes_are_written_once_where_they_are_the_same():
    grids = {"yours": (pictures(6), ["cat", "dog"]), "shipped": (pictures(6), ["cat", "dog"])}
    left, right = picture_rows.class_grids(grids).axes
    assert names_of(left.yaxis) == ["cat", "dog"] and names_of(right.yaxis) == ["", ""]
    grids["shipped"] = (pictures(9), ["a", "b", "c"])
    _, right = picture_rows.class_grids(grids).axes
    assert names_of(right.yaxis) == ["a", "b", "c"]


def test_panels_have_their_own_names_and_one_title():
    figure = picture_rows.panels({"scale 0": pictures(6), "scale 1": pictures(6)}, 2, "horses")
    assert [ax.get_title("left") for ax in figure.axes] == ["scale 0", "scale 1"]
    assert figure.get_suptitle() == "horses"
    assert figure.axes[0].images[0].get_array().shape == (28, 18, 3)


@pytest.mark.parametrize(("count", "columns"), [(20, 5), (80, 8)])
def test_pictures_beside_losses_fill_their_place(count, columns):
    steps = list(range(60))
    history = {"step": steps, "d_loss": [1.0] * 60, "g_loss": [2.0] * 60}
    figure = picture_rows.losses_and_pictures(
        history, {"D": "d_loss", "G": "g_loss"}, "loss (nats)", pictures(count), columns, "title"
    )
    figure.canvas.draw()
    curves, grid = figure.axes
    assert [text.get_text() for text in curves.get_legend().get_texts()] == ["D", "G"]
    assert curves.get_ylim()[0] == 0
    right = curves.get_tightbbox().x1
    assert 0 < grid.get_window_extent().x0 - right < 0.08 * figure.bbox.width


def test_rows_of_a_running_training_have_names_and_room():
    history = {"step": list(range(60)), "d_loss": [1.0] * 60, "g_loss": [2.0] * 60}
    names = [f"class {k}" for k in range(10)]
    losses = {"D": "d_loss", "G": "g_loss"}
    figure = picture_rows.losses_and_pictures(
        history, losses, "loss (nats)", pictures(80), 8, "title", names
    )
    figure.canvas.draw()
    curves, grid = figure.axes
    assert names_of(grid.yaxis) == names
    assert grid.get_window_extent().height / 10 > 0.4 * figure.dpi  # inches of a picture
    assert curves.get_legend().get_window_extent().y0 >= curves.get_window_extent().y1
    assert grid.get_tightbbox().x0 > curves.get_tightbbox().x1
