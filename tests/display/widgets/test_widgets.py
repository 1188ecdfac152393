"""The latent walk: what its controls change, and that the static twin draws the same."""

import ast
import asyncio
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

from course_utils.display import plots
from course_utils.display.widgets import controls, latent_walk
from course_utils.models import dcgan

# What both ipywidgets 7.7 (Colab) and 8.1 have.
SHARED = {
    "Widget", "BoundedIntText", "BoundedFloatText", "IntSlider", "FloatSlider", "SelectionSlider", "ToggleButtons",
    "Textarea", "Button", "Image", "HTML", "Label", "HBox", "VBox", "Layout", "jslink",
}  # fmt: skip
MODULES = [*sorted(Path(latent_walk.__file__).parent.glob("widgets*.py")), Path(controls.__file__)]


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
    left, right = latent_walk.latent_walk(
        decode, latents, {"slerp": dcgan.slerp, "lerp": lerp}
    ).children
    start, end, path, t = left.children
    boxes = {
        "start": start.children[0],
        "end": end.children[0],
        "path": path.children[1],
        "t": t.children[0],
    }
    return boxes | {"picture": right.children[0], "sentence": right.children[1]}


def shown(walk):
    """The widget's picture, back at one pixel a pixel."""
    enlarged = np.asarray(Image.open(io.BytesIO(walk["picture"].value)))
    small = enlarged[::8, ::8]
    np.testing.assert_array_equal(
        np.kron(small, np.ones((8, 8, 1), np.uint8)), enlarged
    )  # enlarged without smoothing
    return small


def test_first_picture_is_the_middle_between_the_first_two(walk, decode, latents):
    wanted = decode(dcgan.slerp(latents[:1], latents[1:2], 0.5))
    np.testing.assert_array_equal(shown(walk), plots.tile(wanted, 1))


@pytest.mark.parametrize(
    ("control", "value"), [("start", 3), ("end", 4), ("path", "lerp"), ("t", 0.9)]
)
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
        np.testing.assert_array_equal(
            shown(walk), plots.tile(decode(latents[number : number + 1]), 1)
        )


def test_all_samples_and_paths_can_be_chosen(walk):
    assert (walk["start"].min, walk["start"].max, walk["end"].max) == (0, 4, 4)
    assert [value for _, value in walk["path"].options] == ["slerp", "lerp"]
    assert (walk["t"].min, walk["t"].max) == (0, 1)


@pytest.mark.parametrize("name", ["slerp", "lerp"])
def test_static_twin_draws_what_the_widget_shows(name, walk, decode, latents):
    paths = {"slerp": dcgan.slerp, "lerp": lerp}
    _, (ax,) = plots.subplots()
    assert (
        latent_walk.latent_walk_static(ax, decode, latents, 1, 3, paths[name], "title", stops=5)
        is ax
    )
    strip = np.asarray(ax.get_images()[0].get_array())
    walk["start"].value, walk["end"].value, walk["path"].value = 1, 3, name
    for stop, t in enumerate([0.0, 0.25, 0.5, 0.75, 1.0]):
        walk["t"].value = t
        left = stop * (32 + 2)
        np.testing.assert_array_equal(strip[:, left : left + 32], shown(walk))
    plt.close("all")


def test_the_sentence_tells_what_is_chosen(walk):
    walk["end"].value, walk["t"].value = 3, 0.9
    assert walk["sentence"].value == "slerp from sample 0 to sample 3, t = 0.90"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_only_what_both_versions_of_ipywidgets_have_is_used(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "ipywidgets"
    }
    assert (
        used and used <= SHARED
    )  # no drop-down lists and radio buttons: JupyterLab takes their arrow keys
    assert all(hasattr(ipywidgets, name) for name in SHARED)


# ---- what all of them are made of


@pytest.mark.parametrize(("step", "value"), [(1, 3), (0.05, 0.3)])
def test_a_number_can_be_typed_and_dragged(step, value):
    made = controls.number("t", 0 * step, 10 * step, step, 0 * step)
    box, slider = made.row.children
    assert made.box is box and box.description == "t" and slider.readout is False
    links = [
        w
        for w in ipywidgets.Widget.get_manager_state()["state"].values()
        if w["model_name"] == "LinkModel"
    ]
    ends = [(w["state"]["source"], w["state"]["target"]) for w in links]
    assert (
        [f"IPY_MODEL_{slider.model_id}", "value"],
        [f"IPY_MODEL_{box.model_id}", "value"],
    ) in ends
    assert (
        (slider.min, slider.max, slider.step)
        == (box.min, box.max, box.step)
        == (0, 10 * step, step)
    )
    box.value = value
    assert type(box.value) is type(value) and box.value == value


def test_a_sketch_leaves_nothing_behind():
    def first(ax):
        ax.plot([0, 1], [3, 4], label="one")
        ax.set(xscale="log", ylabel="left over?")
        ax.legend()

    def second(ax):
        ax.plot([0, 1], [1, 0])

    used, fresh = (controls.Sketch(3, 2, (0.2, 0.2, 0.7, 0.7)) for _ in range(2))
    used.png(first)
    assert used.png(second) == fresh.png(second) != used.png(first)
    pixels = np.asarray(Image.open(io.BytesIO(fresh.png(second))))
    assert pixels.shape[:2] == (192, 288) and used.figure.number not in plt.get_fignums()


def test_a_pictures_sentence_is_escaped():
    picture = controls.Picture(10)
    picture.show(b"x", "<script> & 2 < 3")
    assert picture.sentence.value == "&lt;script&gt; &amp; 2 &lt; 3"


def test_after_a_pause_it_is_done_once():
    done = []
    ask = controls.after_pause(60, lambda: done.append(len(done)))

    async def typing():
        now, loop = 0.0, asyncio.get_running_loop()
        loop.time = lambda: now  # a clock that only this test moves
        for _ in range(5):
            ask()
            now += 59
            await asyncio.sleep(0)
        assert done == []
        now += 2
        await asyncio.sleep(0)

    asyncio.run(typing())
    assert done == [0]
    ask()  # no loop, as in a script: at once
    assert done == [0, 1]
