"""Lesson 02's figures: what they say is what they were given, and nothing is written over anything else."""

import itertools

import matplotlib

matplotlib.use("Agg")

import pytest
import torch
from matplotlib.colors import same_color

from course_utils import results
from course_utils.display import gan_plots, palette, plots


def pictures(count):
    return torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8)


def extents(figure, texts):
    figure.draw_without_rendering()
    return [text.get_window_extent() for text in texts if text.get_text()]


def apart(boxes):
    return not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


@pytest.fixture
def axes():
    figure, axes = plots.subplots(2, 1, width=9, height=3.6)
    yield axes
    plots.put_away(figure)


def test_the_game_names_its_losses_and_beliefs_outside_of_the_curves():
    steps = list(range(2_500))
    history = {"step": steps} | dict.fromkeys(("d_loss", "g_loss", "d_real", "d_fake"), steps)
    figure = gan_plots.progress(history, pictures(25), "made, step 2,500")
    losses, beliefs, made = figure.axes
    assert [t.get_text() for t in losses.get_legend().get_texts()] == ["$L_D$", "$L_G$"]
    assert [t.get_text() for t in beliefs.get_legend().get_texts()] == ["D(x)", "D(G(z))"]
    assert losses.get_ylabel() == "loss (nats)" and beliefs.get_ylim() == (0, 1)
    assert made.get_title("left") == "made, step 2,500"
    ticks = [ax.get_xticklabels()[i] for ax, i in ((losses, -1), (beliefs, 0))]
    assert apart(extents(figure, ticks))
    plots.put_away(figure)


def test_each_row_in_time_names_its_step_and_the_first_its_data(tmp_path):
    tiles = [tmp_path / f"samples-{step:06d}.png" for step in (400, 2_400)]
    for tile in tiles:
        plots.save_tile(tile, pictures(4), 4)
    figure = gan_plots.through_time(tiles, "made")
    said = [ax.get_title("left") for ax in figure.axes]
    assert said == ["made, step 400", "step 2,400"]
    plots.put_away(figure)


def test_neighbours_stand_in_one_column_and_tell_their_distance(axes):
    distances = torch.tensor([1.04, 20.0, 3.5])
    gan_plots.neighbours(axes, pictures(3), pictures(3), distances, "made")
    assert axes[0].get_title("left") == "made"
    assert [text.get_text() for text in axes[1].texts] == ["1.0", "20.0", "3.5"]
    assert [text.get_position()[0] for text in axes[1].texts] == [4, 14, 24]  # 8 pixels, a gap of 2


def test_equal_time_draws_three_ways_their_bands_and_the_floor(axes):
    recorded = results.read("dcgan_equal_time.json")
    ax = gan_plots.equal_time(axes[0], recorded)
    assert len(ax.lines) == 4 and len(ax.collections) == 3
    assert set(ax.lines[3].get_ydata()) == {recorded["floor"]}
    last = recorded["curves"][-1]["course_averaged"]["value"]
    assert ax.lines[2].get_ydata()[-1] == last
    assert recorded["data"] in ax.get_title("left")


def test_penalties_are_sorted_and_yours_has_the_one_other_colour(axes):
    record = results.read("dcgan_penalty.json")
    ax = gan_plots.penalties(axes[0], record, "evaluation")
    means = [line.get_xdata()[0] for line in ax.lines[1::2]]
    assert means == sorted(means, reverse=True)
    dots = [line for line in ax.lines[::2] if same_color(line.get_color(), palette.VERMILION)]
    assert [list(dot.get_xdata()) for dot in dots] == [
        record["ways"]["evaluation"]["averaged"]["seeds"]
    ]
    assert ax.get_xlim()[1] > 1.03 * max(max(line.get_xdata()) for line in ax.lines)
    labels = [text.get_text().replace("\n", " ") for text in ax.get_yticklabels()]
    assert labels[-1].startswith(record["ways"]["sum"]["words"])
    assert [label for label in labels if "(yours)" in label] == [labels[-2]]
    assert f"width {record['settings']['width']} " in ax.get_xlabel()
    plots.put_away(ax.figure)


def test_the_penalties_labels_do_not_overlap():
    figure, (ax,) = plots.subplots(width=9, height=3.4)
    gan_plots.penalties(ax, results.read("dcgan_penalty.json"), "evaluation")
    assert apart(extents(figure, ax.get_yticklabels()))
    plots.put_away(figure)
