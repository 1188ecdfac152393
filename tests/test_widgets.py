"""The latent walk: what its controls change, and that the static twin draws the same."""

import ast
import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import plots, widgets
from course_utils.models import dcgan

# What both ipywidgets 7.7 (Colab) and 8.1 have.
SHARED = {"Widget", "Dropdown", "RadioButtons", "FloatSlider", "Image", "HBox", "VBox"}


def lerp(z0, z1, t):
    return (1 - t) * z0 + t * z1


@pytest.fixture(scope="module")
def decode():
    torch.manual_seed(0)
    generator = dcgan.make_generator(6, 4)
    return lambda z: dcgan.sample(generator, z[:, :, None, None])


@pytest.fixture(scope="module")
def latents():
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(1)) * 3


@pytest.fixture
def walk(decode, latents):
    box, picture = widgets.latent_walk(decode, latents, {"slerp": dcgan.slerp, "lerp": lerp}).children
    return dict(zip(("start", "end", "path", "t"), box.children, strict=True)) | {"picture": picture}


def shown(walk):
    """The widget's picture, back at one pixel a pixel."""
    enlarged = np.asarray(Image.open(io.BytesIO(walk["picture"].value)))
    small = enlarged[::8, ::8]
    np.testing.assert_array_equal(np.kron(small, np.ones((8, 8, 1), np.uint8)), enlarged)  # enlarged without smoothing
    return small


def test_first_picture_is_the_middle_between_the_first_two(walk, decode, latents):
    wanted = decode(dcgan.slerp(latents[:1], latents[1:2], 0.5))
    np.testing.assert_array_equal(shown(walk), plots.tile(wanted, 1))


@pytest.mark.parametrize(("control", "value"), [("start", 3), ("end", 4), ("path", "lerp"), ("t", 0.9)])
def test_every_control_changes_the_picture_and_back(control, value, walk):
    before, old = shown(walk), walk[control].value
    walk[control].value = value
    assert (shown(walk) != before).any()
    walk[control].value = old
    np.testing.assert_array_equal(shown(walk), before)


def test_ends_are_the_chosen_samples(walk, decode, latents):
    walk["start"].value, walk["end"].value = 2, 4
    for t, number in ((0.0, 2), (1.0, 4)):
        walk["t"].value = t
        np.testing.assert_array_equal(shown(walk), plots.tile(decode(latents[number : number + 1]), 1))


def test_all_samples_and_paths_can_be_chosen(walk):
    assert [value for _, value in walk["start"].options] == list(range(5))
    assert list(walk["path"].options) == ["slerp", "lerp"]
    assert (walk["t"].min, walk["t"].max) == (0, 1)


@pytest.mark.parametrize("name", ["slerp", "lerp"])
def test_static_twin_draws_what_the_widget_shows(name, walk, decode, latents):
    paths = {"slerp": dcgan.slerp, "lerp": lerp}
    _, (ax,) = plots.subplots()
    assert widgets.latent_walk_static(ax, decode, latents, 1, 3, paths[name], "title", stops=5) is ax
    strip = np.asarray(ax.get_images()[0].get_array())
    walk["start"].value, walk["end"].value, walk["path"].value = 1, 3, name
    for stop, t in enumerate([0.0, 0.25, 0.5, 0.75, 1.0]):
        walk["t"].value = t
        left = stop * (32 + 2)
        np.testing.assert_array_equal(strip[:, left : left + 32], shown(walk))
    plt.close("all")


def test_only_what_both_versions_of_ipywidgets_have_is_used():
    tree = ast.parse(Path(widgets.__file__).read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ipywidgets"
    }
    assert used
    assert used <= SHARED
    assert all(hasattr(ipywidgets, name) for name in SHARED)
