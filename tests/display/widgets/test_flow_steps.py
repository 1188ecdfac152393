"""Steps, guidance and class of a flow: what the widget's controls change, and that its static twin draws the same."""

import asyncio
import io

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.display import plots
from course_utils.display.widgets import flow_steps

NAMES = ("ship", "frog & toad", "horse")


class Sampler:
    """Pictures of 8 pixels that tell how they were asked for, and a list of the questions."""

    def __init__(self):
        self.asked = []

    def __call__(self, labels, steps, guidance, seed):
        self.asked.append((labels.tolist(), steps, guidance, seed, torch.is_grad_enabled()))
        noise = torch.randint(
            100, (len(labels), 3, 8, 8), generator=torch.Generator().manual_seed(seed)
        )
        told = 10 * labels[:, None, None, None] + 3 * steps + 5 * guidance
        return (noise + told).to(torch.uint8)


@pytest.fixture
def sampler():
    return Sampler()


@pytest.fixture
def walk(sampler):
    return parts(flow_steps.flow_steps(sampler, NAMES))


def parts(widget):
    label, steps, guidance, noise, picture = widget.children
    return {
        "label": label.children[1],
        "steps": steps.children[1],
        "guidance": guidance.children[0],
        "noise": noise.children[0],
        "picture": picture.children[0],
        "sentence": picture.children[1],
    }


def shown(walk):
    return np.asarray(Image.open(io.BytesIO(walk["picture"].value)).convert("RGB"))[::4, ::4]


def test_first_pictures_are_of_the_first_class(walk, sampler):
    assert sampler.asked == [([0, 0, 0, 0], 8, 1.0, 0, False)]
    wanted = sampler(torch.zeros(4, dtype=torch.int64), 8, 1.0, 0)
    np.testing.assert_array_equal(shown(walk), plots.tile(wanted, 4))
    assert walk["sentence"].value == "4 pictures of class ship: 8 steps, guidance 1.0, noise no. 0"


@pytest.mark.parametrize(
    ("control", "value", "place"),
    [("label", 2, 0), ("steps", 16, 1), ("guidance", 3.5, 2), ("noise", 7, 3)],
)
def test_every_control_changes_the_pictures_and_back(control, value, place, walk, sampler):
    before, old = shown(walk), walk[control].value
    walk[control].value = value
    assert (shown(walk) != before).any()
    asked = sampler.asked[-1][place]
    assert asked == value or asked == [value] * 4
    walk[control].value = old
    np.testing.assert_array_equal(shown(walk), before)


def test_the_sentence_tells_what_is_chosen(walk):
    walk["label"].value, walk["steps"].value = 1, 1
    walk["guidance"].value, walk["noise"].value = 2.5, 12
    told = "4 pictures of class frog &amp; toad: 1 step, guidance 2.5, noise no. 12"
    assert walk["sentence"].value == told


def test_what_can_be_chosen(walk):
    assert [value for _, value in walk["label"].options] == [0, 1, 2]
    assert [value for _, value in walk["steps"].options] == list(flow_steps.STEPS)
    assert (walk["guidance"].min, walk["guidance"].max) == (0, 6)


def test_a_slider_that_is_dragged_asks_once(sampler):
    async def drag():
        boxes = parts(flow_steps.flow_steps(sampler, NAMES))
        for value in (1.5, 2.0, 2.5, 3.0):
            boxes["guidance"].value = value
            await asyncio.sleep(0)
        assert len(sampler.asked) == 1  # the pictures that it opens with
        await asyncio.sleep(2 * flow_steps._PAUSE)

    asyncio.run(drag())
    assert [asked[2] for asked in sampler.asked] == [1.0, 3.0]


def test_static_twin_draws_what_the_widget_shows(walk, sampler):
    figure, (ax,) = plots.subplots()
    assert flow_steps.flow_steps_static(ax, sampler, 2, "title", 1.5, 3) is ax
    assert not any(asked[-1] for asked in sampler.asked)  # without gradients
    drawn = np.asarray(ax.get_images()[0].get_array())
    walk["label"].value, walk["guidance"].value, walk["noise"].value = 2, 1.5, 3
    for column, steps in enumerate(flow_steps.STEPS):
        walk["steps"].value = steps
        row = shown(walk)
        for place in range(4):
            np.testing.assert_array_equal(
                drawn[10 * place : 10 * place + 8, 10 * column : 10 * column + 8],
                row[:, 10 * place : 10 * place + 8],
            )
    assert [text.get_text() for text in ax.texts] == [
        "1 step", "2 steps", "4 steps", "8 steps", "16 steps",
    ]  # fmt: skip
    plots.show(figure, alt="a test")
