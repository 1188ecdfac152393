"""The figures of lesson 09 hold what they are given."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_hex

from course_utils.display import flow_plots, palette, plots


def row(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.2}


FLOOR = {"floor": {"FD": row(0.5)}, "data": "data"}


@pytest.fixture
def axes():
    figure, axes = plt.subplots(1, 2)
    yield axes
    plt.close(figure)


def test_a_plane_shows_points_before_data(axes):
    points, data = torch.randn(5, 2), torch.randn(7, 2)
    flow_plots.plane(axes[0], points, "title", data, side=4.0)
    behind, front = axes[0].collections
    assert len(behind.get_offsets()) == 7 and front.get_offsets().tolist() == points.tolist()
    assert axes[0].get_xlim() == (-4, 4) and axes[0].get_title() == "title"


def test_ways_have_their_own_colours(axes):
    paths = torch.randn(6, 3, 2)
    flow_plots.ways(axes[0], paths, ["#112233", "#445566", "#778899"], "")
    lines = axes[0].lines
    assert [to_hex(line.get_color()) for line in lines] == ["#112233", "#445566", "#778899"]
    assert lines[1].get_xydata().tolist() == paths[:, 1].tolist()


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plots.put_away("all")


def test_clouds_share_what_lies_behind_them():
    clouds = {f"{k} calls": torch.randn(1_000, 2) for k in (1, 2, 3)}
    figure = flow_plots.planes(clouds, behind=torch.randn(7, 2), side=5.0)
    assert [ax.get_title() for ax in figure.axes] == list(clouds)
    for ax in figure.axes:
        behind, points = ax.collections
        assert len(behind.get_offsets()) == 7 and len(points.get_offsets()) == 800
        assert to_hex(points.get_facecolor()[0]) == palette.VERMILION.lower()
    (alone,) = flow_plots.planes({"": torch.randn(4, 2)}).axes
    assert to_hex(alone.collections[0].get_facecolor()[0]) == palette.BLUE.lower()


def test_lines_that_cross_are_drawn_from_end_to_end_and_their_mean_as_an_arrow():
    noise, data = torch.linspace(-2, 2, 100)[:, None], torch.ones(100, 1)
    data[::2] = -1
    near = torch.arange(100) < 10  # five of each
    figure = flow_plots.crossings(noise, data, {0.0: (near, -0.04), 0.5: (near, 0.52)})
    left, right = figure.axes
    drawn = [(to_hex(line.get_color()), line.get_ydata().tolist()) for line in right.lines]
    for colour, first in ((palette.BLUE, 0), (palette.VERMILION, 1)):
        ends = [y for c, y in drawn if c == colour.lower()]
        assert ends == [[noise[k].item(), data[k].item()] for k in range(first, 10, 2)]
    (arrow,) = right.texts
    assert arrow.xyann == (0.5, 0.5) and arrow.xy == (0.75, pytest.approx(0.63))
    assert left.get_title() == "through x = 0: mean velocity 0"


def test_ways_beside_the_lines_between_their_ends():
    paths, cluster = torch.randn(6, 90, 2), torch.arange(90) % 3
    left, right = flow_plots.ways_and_lines(paths, cluster, each=5).axes
    assert len(left.lines) == len(right.lines) == 15
    assert left.lines[0].get_xydata().tolist() == paths[:, 0].tolist()
    assert right.lines[0].get_xydata().tolist() == paths[[0, -1], 0].tolist()
    assert len({to_hex(line.get_color()) for line in left.lines}) == 3


def test_error_by_calls_is_straight_on_two_logarithmic_axes():
    errors = {"Euler": [0.4, 0.2, 0.1], "Heun": [1.6, 0.4, 0.1]}
    (ax,) = flow_plots.error_by_calls([2, 4, 8], errors).axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2", "4", "8"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(errors)


def test_no_legend_lies_on_the_floor_or_on_a_curve():
    t = [k / 10 for k in range(11)]
    by_time = {"t": t, "floor": [1 + s for s in t], "loss": [1.1 + s for s in t]}
    by_step = {"step": [1, 2, 3], "loss": [3.0, 2.0, 1.9], "excess": [1.0, 0.1, 0.01]}
    figure = flow_plots.floor_and_excess(by_time, by_step)
    figure.canvas.draw()
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == by_time["loss"]
    assert [list(line.get_ydata()) for line in right.lines] == [by_step["loss"], by_step["excess"]]
    for ax in (left, right):
        assert not ax.get_legend().get_window_extent().overlaps(ax.patch.get_window_extent())


def test_loss_and_distance_by_step():
    curve = [{"step": s, "loss": row(1 / s), "FD": row(10 / s)} for s in (1, 2, 4)]
    figure = flow_plots.by_step({"curve": curve, "data": "some $data$"})
    loss, distance = figure.axes
    assert loss.lines[0].get_xydata().tolist() == [[1, 1], [2, 0.5], [4, 0.25]]
    assert distance.lines[0].get_ydata().tolist() == [10, 5, 2.5]
    assert loss.get_ylim()[0] == distance.get_ylim()[0] == 0
    assert "some $data$" in figure.get_suptitle()


def test_calls_are_numbers_on_a_logarithmic_axis():
    recorded = {
        **FLOOR,
        "euler": {"1": {"FD": row(9.0)}, "8": {"FD": row(2.0)}},
        "heun": {"8": {"FD": row(1.0)}},
    }
    (ax,) = flow_plots.by_calls(recorded).axes
    euler, heun, floor = ax.lines
    assert euler.get_xydata().tolist() == [[1, 9], [8, 2]]
    assert heun.get_xydata().tolist() == [[8, 1]]
    assert set(floor.get_ydata()) == {0.5} and ax.get_xscale() == "log"


def test_guidance():
    names = ("accuracy", "precision", "recall", "FD")
    rows = [{"scale": s, **{name: row(s / 10) for name in names}} for s in (0.0, 2.0)]
    figure = flow_plots.by_guidance({**FLOOR, "rows": rows, "calls": 16})
    figure.canvas.draw()
    shares, distance = figure.axes
    assert [line.get_label() for line in shares.lines] == list(names[:3])
    assert distance.lines[0].get_xydata().tolist() == [[0, 0], [2, 0.2]]
    legend = shares.get_legend().get_window_extent()
    assert not legend.overlaps(shares.patch.get_window_extent())


def test_families():
    curves = {f: [{"minutes": m, "FD": row(m + 1)} for m in (1, 2)] for f in flow_plots.FAMILIES}
    (ax,) = flow_plots.families({**FLOOR, "curves": curves}).axes
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == list(flow_plots.FAMILIES.values())
    assert ax.lines[0].get_xydata().tolist() == [[1, 2], [2, 3]]
