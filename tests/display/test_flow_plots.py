"""The figures of lesson 09 hold what they are given."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_hex

from course_utils.display import flow_plots


def row(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.2}


FLOOR = {"floor": {"FD": row(0.5)}}


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


def test_loss_and_distance_by_step(axes):
    curve = [{"step": s, "loss": row(1 / s), "FD": row(10 / s)} for s in (1, 2, 4)]
    flow_plots.by_step(axes, curve)
    assert axes[0].lines[0].get_xydata().tolist() == [[1, 1], [2, 0.5], [4, 0.25]]
    assert axes[1].lines[0].get_ydata().tolist() == [10, 5, 2.5]
    assert axes[0].get_ylim()[0] == axes[1].get_ylim()[0] == 0


def test_calls_are_numbers_on_a_logarithmic_axis(axes):
    recorded = {
        **FLOOR,
        "euler": {"1": {"FD": row(9.0)}, "8": {"FD": row(2.0)}},
        "heun": {"8": {"FD": row(1.0)}},
    }
    flow_plots.by_calls(axes[0], recorded)
    euler, heun, floor = axes[0].lines
    assert euler.get_xydata().tolist() == [[1, 9], [8, 2]] and heun.get_xydata().tolist() == [
        [8, 1]
    ]
    assert set(floor.get_ydata()) == {0.5} and axes[0].get_xscale() == "log"


def test_guidance(axes):
    names = ("accuracy", "precision", "recall", "FD")
    rows = [{"scale": s, **{name: row(s / 10) for name in names}} for s in (0.0, 2.0)]
    flow_plots.by_guidance(axes, {**FLOOR, "rows": rows})
    assert [line.get_label() for line in axes[0].lines] == list(names[:3])
    assert axes[1].lines[0].get_xydata().tolist() == [[0, 0], [2, 0.2]]


def test_families(axes):
    curves = {f: [{"minutes": m, "FD": row(m + 1)} for m in (1, 2)] for f in flow_plots.FAMILIES}
    flow_plots.families(axes[0], {**FLOOR, "curves": curves})
    labels = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert labels == list(flow_plots.FAMILIES.values())
    assert axes[0].lines[0].get_xydata().tolist() == [[1, 2], [2, 3]]
