"""Figures of lesson 08: ellipses, games in the plane, and methods with their seeds."""

import pytest
import torch

from course_utils import results
from course_utils.display import palette, plane_plots, plots
from course_utils.models import plane_gan


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plots.put_away("all")


def test_an_ellipse_and_its_longest_semi_axis():
    matrix = torch.tensor([[2.0, 0.0], [0.0, 0.5]])
    figure = plane_plots.stretched({"W": matrix, "half of it": matrix / 2})
    for ax, longest in zip(figure.axes, (2.0, 1.0), strict=True):
        ellipse, arrow = torch.tensor(ax.lines[1].get_xydata()), ax.texts[0]
        assert ellipse.norm(dim=1).max().item() == pytest.approx(longest, rel=1e-3)
        assert sum(part**2 for part in arrow.xy) ** 0.5 == pytest.approx(longest)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["before", "after"]
    assert [ax.get_title() for ax in figure.axes] == ["W", "half of it"]


def test_a_row_of_games_for_each_method_and_its_counts_above():
    centres, seeds = plane_gan.ring(), 3
    samples = torch.stack([centres.repeat(3, 1) * scale for scale in (1.0, 0.5, 2.0)])
    judges = plane_gan.Judges(plane_gan.METHODS["non-saturating"], seeds).eval()
    played = dict.fromkeys(("plain", "plain + R1"), (samples, judges))
    counted = {name: plane_gan.score(samples, centres) for name in played}
    figure = plane_plots.games(played, counted, centres, columns=2)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["8 of 8, 100% good", "0 of 8, 0% good"]
    assert len(figure.axes) == 4 and figure.axes[2].get_ylabel() == "plain\n+ R1"
    points, ground = figure.axes[1].collections[0], figure.axes[0].images[0]
    assert torch.tensor(points.get_offsets()).float().allclose(samples[1])
    with torch.no_grad():  # the logit is drawn where it was asked: its lowest row is y = -2.7
        corner = judges(torch.tensor([2.7, -2.7]).expand(seeds, 1, 2))[0].item()
    assert float(ground.get_array()[0, -1]) == pytest.approx(corner, abs=1e-4)
    assert ground.origin == "lower"


def test_methods_have_a_mark_for_each_seed_and_every_mark_a_name():
    record = results.read("stable_plane.json")
    figure = plane_plots.methods(record, "modes", "modes covered")
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["learning rate 0.001", "learning rate 0.003", "all modes"]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    for ax, (data, rates) in zip(figure.axes, record["games"].items(), strict=True):
        assert ax.get_xlabel() == f"modes covered, {data}"
        first = next(iter(rates.values()))
        assert names == list(first)[::-1]
        assert list(ax.lines[1].get_xdata()) == first[names[0]]["modes"]["seeds"]
        means = next(line for line in ax.lines if line.get_label() == said[0])
        assert list(means.get_xdata()) == [first[name]["modes"]["value"] for name in names]
        assert means.get_color() == palette.BLUE
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert all(legend.y0 >= ax.get_window_extent().y1 for ax in figure.axes)
