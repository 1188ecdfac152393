"""The figures of lesson 01 hold what they are given, and no label lies on another."""

import itertools
import math

import pytest
import torch
from matplotlib.colors import to_hex

from course_utils.display import game_plots, palette, plots

X = torch.linspace(-6, 6, 25)
BUMP = torch.exp(-0.5 * X**2) / math.sqrt(2 * math.pi)
RING = {name: 2 * torch.ones(3, 40, 2) for name in ("G faster", "equal rates", "G slower")}
HISTORY = {
    "step": [20, 40, 60],
    "d_loss": [1.2, 1.3, 1.4],
    "d_fake": [0.4, 0.6, 0.5],
    "diversity": [0.1, 1.0, 2.0],
    "real_diversity": [2.0, 2.1, 2.0],
}
RUNS = dict.fromkeys(RING, HISTORY)
MEANS = {name: torch.rand(30, 4) for name in ("minimax", "non-saturating")}
FIGURES = {
    "optimum": lambda: game_plots.optimum(X, BUMP, BUMP, BUMP, BUMP),
    "weighted": lambda: game_plots.weighted(X, BUMP, torch.randn(90), torch.rand(90)),
    "value": lambda: game_plots.value(X + 6, -BUMP),
    "pushes": lambda: game_plots.pushes(X, {name: -X.sigmoid() for name in MEANS}),
    "snapshots": lambda: game_plots.snapshots(
        X, BUMP, {step: (torch.randn(90), BUMP) for step in (0, 75, 1_500)}
    ),
    "race": lambda: game_plots.race(MEANS, 3, "generator with SGD"),
    "rings": lambda: game_plots.rings(RING, torch.randn(50, 2)),
    "around": lambda: game_plots.around(RING, "G slower", X + 6, BUMP),
    "histories": lambda: game_plots.histories(RUNS),
    "distances": lambda: game_plots.distances(X + 6, BUMP, X + 6),
    "paths": lambda: game_plots.paths({name: torch.randn(9, 2) for name in RING}),
}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plots.put_away("all")


@pytest.mark.parametrize("name", FIGURES)
def test_axes_are_named_and_no_words_lie_on_others(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    if name != "rings":  # points in a plane have no units
        assert all(ax.get_xlabel() for ax in figure.axes) and figure.axes[0].get_ylabel()
    words = [text for ax in figure.axes for text in [*ax.texts, ax.title, ax._left_title]]
    boxes = [text.get_window_extent() for text in words if text.get_text()]
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    boxes += [legend.get_window_extent() for legend in legends if legend]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_the_optimum_has_the_given_curves():
    (ax,) = game_plots.optimum(X, BUMP, BUMP, 2 * BUMP, 3 * BUMP).axes
    assert [line.get_label() for line in ax.lines] == ["trained D", "formula $D^*$"]
    assert torch.allclose(torch.as_tensor(ax.lines[1].get_ydata()), 3 * BUMP)


def test_a_push_is_minus_the_derivative():
    (ax,) = game_plots.pushes(X, {"minimax": -X.sigmoid(), "non-saturating": X.sigmoid() - 1}).axes
    assert [line.get_label() for line in ax.lines] == ["minimax", "non-saturating"]
    assert torch.allclose(torch.as_tensor(ax.lines[0].get_ydata()), X.sigmoid())


def test_weights_weigh():
    heavy = torch.tensor([-3.0, 3.0])
    left, right = game_plots.weighted(X, BUMP, heavy, torch.tensor([0.25, 0.75])).axes
    tall = [sorted(bar.get_height() for bar in ax.patches)[-2:] for ax in (left, right)]
    assert tall[0][0] == pytest.approx(tall[0][1]) and tall[1][1] == pytest.approx(3 * tall[1][0])


def test_snapshots_share_one_height():
    figure = FIGURES["snapshots"]()
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert [ax.get_title() for ax in figure.axes] == ["step 0", "step 75", "step 1,500"]


def test_a_race_draws_the_median():
    (ax,) = game_plots.race(MEANS, 3, "").axes
    line = next(line for line in ax.lines if line.get_label() == "minimax")
    assert torch.equal(torch.as_tensor(line.get_ydata()), MEANS["minimax"].median(dim=1).values)


def test_a_setting_has_one_colour_in_all_figures_of_the_ring():
    rings = game_plots.rings(RING, torch.randn(50, 2)).axes
    points = [to_hex(ax.collections[-1].get_facecolor()[0]).upper() for ax in rings[::3]]
    curves = [line.get_color() for line in game_plots.histories(RUNS).axes[2].lines[:3]]
    assert points == curves == [palette.PURPLE, palette.BLUE, palette.VERMILION]
    bars = game_plots.around(RING, "G slower", X + 6, BUMP).axes[0].patches
    assert to_hex(bars[0].get_facecolor()).upper() == palette.VERMILION


def test_no_sample_leaves_the_frame_of_a_ring():
    far = {"G faster": torch.full((1, 10, 2), 7.0), "equal rates": torch.zeros(2, 10, 2)}
    axes = game_plots.rings(far, torch.zeros(5, 2)).axes
    assert len(axes) == 2
    assert all(ax.get_xlim()[1] == pytest.approx(7.35) for ax in axes)


def test_paths_start_at_their_dots():
    path = torch.tensor([[1.0, 1.0], [0.5, 1.5], [0.0, 2.0]])
    (ax,) = game_plots.paths({"at once": path}).axes
    assert ax.lines[0].get_xydata().tolist() == path.tolist() and ax.get_title() == "at once"
    assert ax.lines[1].get_xydata().tolist() == [[1, 1]]
