"""The figures of lesson 03 hold what they are given, and nothing in them overlaps."""

import itertools

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.datasets.images import load_images
from course_utils.display import plots, vae_plots
from course_utils.display.widgets import latent_plane
from course_utils.models import vae
from course_utils.training.recipes import vae_laboratory


@pytest.fixture(autouse=True)
def put_away():
    yield
    for number in plt.get_fignums():
        plots.put_away(plt.figure(number))


@pytest.fixture(scope="module")
def pictures():
    return load_images("standin", "test", limit=12)


def shown(figure):
    """Every text that the figure shows, with its place in pixels."""
    figure.canvas.draw()
    return {
        text: text.get_window_extent()
        for ax in figure.axes
        for text in [*ax.texts, ax.title, ax._left_title]
        if text.get_text()
    }


def overlapping(figure):
    """Pairs of texts of one figure that cover one another."""
    return [
        (one.get_text(), other.get_text())
        for (one, a), (other, b) in itertools.combinations(shown(figure).items(), 2)
        if a.overlaps(b)
    ]


def names(figure):
    return [text.get_text() for text in shown(figure)]


def test_every_bar_of_the_elbo_ends_at_log_px():
    parts = {"far": (-12.5, 10.3), "near": (-3.2, 1.0), "exact": (-2.2, 0.0)}
    figure = vae_plots.elbo_bars(parts, -2.2)
    below, above = figure.axes[0].containers
    ends = [
        low.get_height() + high.get_height() + low.get_y()
        for low, high in zip(below, above, strict=True)
    ]
    assert ends == pytest.approx([-2.2] * 3)
    assert {"−12.50", "gap 10.30", "log p(x)\n= −2.20"} <= set(names(figure))
    assert not overlapping(figure)
    (ax,) = figure.axes
    end = ax.collections[0].get_segments()[0][-1]  # of the dotted line
    right, height = ax.transData.transform(end)
    for text, place in shown(figure).items():
        crossed = place.y0 < height < place.y1
        assert not crossed or place.x0 > right, text.get_text()


def test_rows_of_pictures_have_their_names(pictures):
    figure = vae_plots.picture_rows({"one": pictures.images, "two": pictures.images}, "title")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["one", "two"]
    assert figure.get_suptitle() == "title" and not overlapping(figure)


def test_each_network_has_a_row_of_reconstructions(pictures):
    torch.manual_seed(0)
    networks = {"one": vae.VAE(4, 2).eval(), "two": vae.VAE(4, 2).eval()}
    figure = vae_plots.reconstructions(networks, pictures.images[:6], "title")
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["held-out", "reconstructed: one", "reconstructed: two"]
    codes, _ = vae.encode_means(networks["two"], pictures.images[:6])
    rebuilt = plots.tile(vae.decode_bytes(networks["two"], codes), 6)
    assert (figure.axes[2].images[0].get_array() == rebuilt).all()
    assert figure.get_suptitle() == "title" and not overlapping(figure)


def test_each_loss_line_shows_what_its_network_does(pictures):
    torch.manual_seed(0)
    network = vae.VAE(4, 2).eval()
    found = {"a": {"active": 3, "kl": 1.25}, "b": {"active": 0, "kl": 0.0}}
    betas = {"a": 1.0, "b": 1536.0}
    figure = vae_plots.loss_lines({"a": network, "b": network}, pictures, betas, found)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles[2:] == [
        "a: β = 1",
        "3 of 4 latents used, KL 1.2 nats",
        "b: β = 1536",
        "0 of 4 latents used, KL 0.0 nats",
    ]
    assert "stand-in" in figure.get_suptitle() and not overlapping(figure)
    first, second = (figure.axes[place].images[0].get_array() for place in (3, 5))
    assert (first == second).all()  # the same z for all lines
    left, right = (ax._left_title.get_window_extent().y0 for ax in figure.axes[:2])
    assert left == pytest.approx(right, abs=1)


def test_training_shows_curves_and_named_rows(pictures):
    torch.manual_seed(0)
    network, z = vae.VAE(4, 2).train(), torch.randn(4, 4)
    network.encoder[3].eval()
    modes = [module.training for module in network.modules()]
    figure = vae_plots.training_progress(
        {"step": [1, 2, 3], "kl": [9, 4, 5]}, [8, 7, 6], network, pictures.images[:4], z, "step 3"
    )
    assert [module.training for module in network.modules()] == modes
    bits, kl, grid = figure.axes
    assert bits.lines[0].get_ydata().tolist() == [8, 7, 6]
    assert kl.lines[0].get_ydata().tolist() == [9, 4, 5] and "nats" in kl.get_ylabel()
    assert [text.get_text() for text in grid.texts] == ["held-out", "rebuilt", "sampled"]
    assert not overlapping(figure)
    sampled = plots.tile(vae.decode_bytes(network.eval(), z), 4)
    assert (grid.images[0].get_array()[-len(sampled) :] == sampled).all()
    assert grid.get_window_extent().width > bits.get_window_extent().width


def test_bounds_rise_to_the_exact_value():
    figure = vae_plots.bound_by_draws((1, 4, 1024), (-3.0, -2.5, -2.2), (0.1, 0.05, 0.01), -2.2)
    (ax,) = figure.axes
    assert ax.containers[0].lines[0].get_ydata().tolist() == [-3.0, -2.5, -2.2]
    assert ax.get_xscale() == "log" and [t.get_text() for t in ax.get_xticklabels()][-1] == "1,024"
    figure.canvas.draw()
    texts = [text.get_window_extent() for text in ax.texts]
    assert not any(place.overlaps(ax.get_legend().get_window_extent()) for place in texts)


def test_blocks_stand_side_by_side(pictures):
    figure = vae_plots.side_by_side({"left": pictures.images, "right": pictures.images}, 6)
    assert names(figure) == ["left", "right"] and not overlapping(figure)


def test_planes_stand_above_their_codes():
    torch.manual_seed(0)
    networks = {1: vae.VAE(2, 2).eval(), 1000: vae.VAE(2, 2).eval()}
    figure = latent_plane.plane_static(networks, vae_laboratory.moving_hearts(20, "test"))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["β = 1", "β = 1,000", "", ""]
    assert [len(ax.collections[0].get_offsets()) for ax in figure.axes[2:]] == [20, 20]
    assert not overlapping(figure)


def test_rate_and_distortion_with_their_prices():
    points = {1: (13.8, 4.5), 10: (10.5, 4.6), 100: (7.1, 5.0), 400: (5.0, 6.4), 1000: (0.0, 26.5)}
    figure = vae_plots.rate_distortion(points, (19, 74, 357, 875), "title")
    assert {"19", "875", "β = 1", "β = 1,000"} <= set(names(figure)) and not overlapping(figure)
    (ax,) = figure.axes
    assert ax.lines[0].get_xydata().tolist() == [list(point) for point in points.values()]


def test_a_collapse_is_said_in_words_where_no_bar_is_seen():
    found = {
        "dead": {"active": 0, "kl_per_dim": [0.001] * 8},
        "alive": {"active": 8, "kl_per_dim": [5.0, 4.0, 3.0, 2.0, 2.0, 2.0, 1.0, 1.0]},
    }
    figure = vae_plots.kl_bars(found, "title")
    dead, alive = figure.axes
    assert dead.texts[0].get_text() == "all 8 bars are there:\nnone is above 0.001 nats"
    assert alive.texts[0].get_text() == "largest 5.00"
    assert [bar.get_height() for bar in alive.containers[0]] == found["alive"]["kl_per_dim"]
    assert dead.get_ylim() == alive.get_ylim() and not overlapping(figure)
