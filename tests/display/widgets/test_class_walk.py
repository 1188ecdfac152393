"""The walk between classes: what the widget shows is what its twin draws, and what the generator says."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.display import plots
from course_utils.display.widgets import class_walk
from course_utils.models import cgan

CLASSES = ("cat", "dog & <b>", "frog", "ship")


@pytest.fixture(scope="module")
def decode():
    torch.manual_seed(0)
    network = cgan.Generator(6, 4, 32, len(CLASSES)).eval()
    for norm in network.norms:
        torch.nn.init.normal_(norm.weight.weight, 1, 0.5)
        torch.nn.init.normal_(norm.bias.weight)
    with torch.no_grad():
        network.doublings[-1].weight.mul_(500)  # pictures that are seen to differ
    return lambda shares, latents: cgan.sample(network, shares, latents)


@pytest.fixture(scope="module")
def latents():
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(1))


def parts(widget):
    """The controls (both classes, point, t), and the pictures with their sentences."""
    settings, pictures = widget.children
    start, end, point, t = settings.children
    boxes = start.children[1], end.children[1], point.children[0], t.children[0]
    return boxes, pictures.children[0].children, pictures.children[1].children


def shown(picture, scale):
    pixels = np.asarray(Image.open(io.BytesIO(picture.value)).convert("RGB"))[::scale, ::scale]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def close(one, other):
    """Equal but for rounding: a batch of several may differ by a grey level from one alone."""
    return (one.int() - other.int()).abs().max() <= 1


def test_shares_lead_from_one_class_to_the_other():
    rows = class_walk.shares(4, 2, 0, torch.tensor([0.0, 0.25, 1.0]))
    assert rows.tolist() == [[0, 0, 1, 0], [0.25, 0, 0.75, 0], [1, 0, 0, 0]]
    stay = class_walk.shares(3, 1, 1, torch.tensor([0.0, 0.3, 1.0]))
    torch.testing.assert_close(stay, torch.tensor([[0.0, 1.0, 0.0]] * 3))


def test_the_ends_of_a_walk_are_the_generators_pictures_of_the_classes(decode, latents):
    walk = class_walk.walk_images(decode, 4, latents[3], 2, 0, (0.0, 0.5, 1.0))
    for place, label in ((0, 2), (2, 0)):
        asked = torch.nn.functional.one_hot(torch.tensor([label]), 4).float()
        assert close(walk[place], decode(asked, latents[3:4])[0])
    assert (walk[0].int() - walk[2].int()).abs().max() > 10


def test_the_widget_shows_the_picture_that_was_asked_for(decode, latents):
    (start, end, point, t), (picture, sentence), (strip, whole) = parts(
        class_walk.class_walk(decode, CLASSES, latents)
    )
    seen = set()
    for a, b, z, time in ((0, 1, 0, 0.5), (2, 3, 4, 0.0), (2, 3, 4, 1.0), (3, 1, 2, 0.35)):
        start.value, end.value, point.value, t.value = a, b, z, time
        expected = class_walk.walk_images(decode, 4, latents[z], a, b, [time])[0]
        assert close(shown(picture, 8), expected)
        assert f"t = {time:.2f}" in sentence.value and f"latent point {z}" in whole.value
        assert ("<b>" not in sentence.value) and (1 not in (a, b) or "&lt;b&gt;" in whole.value)
        stops = class_walk.walk_images(decode, 4, latents[z], a, b, np.linspace(0, 1, 9).tolist())
        assert close(shown(strip, 2), torch.from_numpy(plots.tile(stops, 9)).permute(2, 0, 1))
        seen.add(picture.value)
    assert len(seen) == 4


def test_only_what_changes_is_drawn_again(decode, latents):
    asked = []

    def counted(shares, points):
        asked.append(len(shares))
        return decode(shares, points)

    (start, _, _, t), _, _ = parts(class_walk.class_walk(counted, CLASSES, latents))
    asked.clear()
    t.value = 0.9
    assert asked == [1]
    start.value = 3
    assert asked == [1, 9, 1]


def test_the_twin_draws_the_widgets_pictures(decode, latents):
    pairs = ((0, 2), (3, 1))
    figure = class_walk.class_walk_static(decode, CLASSES, pairs, latents[1:], "of $5")
    (ax,) = figure.axes
    drawn = torch.from_numpy(np.asarray(ax.images[0].get_array())[..., :3].copy()).permute(2, 0, 1)
    times = np.linspace(0, 1, 11).tolist()
    strips = [
        class_walk.walk_images(decode, 4, latents[1 + k], *pair, times)
        for k, pair in enumerate(pairs)
    ]
    expected = torch.from_numpy(plots.tile(torch.cat(strips), 11)).permute(2, 0, 1)
    assert close(drawn, expected)
    assert ax.get_title("left") == "of $5"
    assert [t.get_text() for t in ax.get_yticklabels()] == ["cat\nto frog", "ship\nto dog & <b>"]
    assert [t.get_text() for t in ax.get_xticklabels()][::5] == ["0%", "50%", "100%"]
    plots.put_away(figure)
