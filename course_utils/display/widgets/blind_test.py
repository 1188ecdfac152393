"""A blind test for people: real or made? One picture at a time, and at the end an interval on the answers.

The widget needs a kernel and no network. Its static twin shows the same pictures with numbers, and the answers folded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets
import torch
from matplotlib.axes import Axes
from torch import Tensor

from course_utils.display import plots
from course_utils.display.widgets import controls
from course_utils.errors import CourseError
from course_utils.evaluation.intervals import wilson_interval


@dataclass(frozen=True)
class BlindTest:
    """Pictures in a random order and what each is.

    Attributes:
        images: uint8 (N, 3, H, W).
        real: for each whether it is real.
        title: what the pictures are.
    """

    images: Tensor
    real: tuple[bool, ...]
    title: str


def make_test(real: Tensor, made: Tensor, count: int, title: str, seed: int = 0) -> BlindTest:
    """For each picture a coin decides whether it is a real or a made one, so that nobody can count how many are left.

    Args:
        real: uint8 (N, 3, H, W), N >= count.
        made: uint8 (M, 3, H, W), M >= count.
        count: how many pictures.
        title: what they are; for a stand-in use ``ImageSet.title``.
        seed: of the coin.

    Raises:
        CourseError: too few pictures.
    """
    if not 1 <= count <= min(len(real), len(made)):
        raise CourseError(
            "blind-too-few",
            f"{count} pictures were asked for, with {len(real)} real and {len(made)} made ones.",
            "The coin may choose the same side every time, so both sides need that many.",
            "test = make_test(real_images, made_images, count=20, title='real or made?')",
        )
    coin = torch.rand(count, generator=torch.Generator().manual_seed(seed)) < 0.5
    images = torch.where(coin[:, None, None, None], real[:count], made[:count])
    return BlindTest(images, tuple(coin.tolist()), title)


def judge(right: int, total: int) -> str:
    """What so many right answers show, with the 95 % (Wilson) interval.

    Raises:
        CourseError: there were no answers, or more right ones than answers.
    """
    low, high = wilson_interval(right, total)
    found = (
        f"{right} of {total} right: {right / total:.0%} (95 % interval {low:.0%} to {high:.0%}). "
    )
    if low <= 0.5 <= high:
        return found + (
            "The interval contains 50 %: these answers could have come from a coin. That does not show that the "
            "pictures cannot be told apart, only that so few answers do not show that they can."
        )
    if low > 0.5:
        return found + "The interval lies above 50 %: made and real pictures were told apart."
    return found + "The interval lies below 50 %: told apart, too, but with the names exchanged."


def blind_test(test: BlindTest) -> ipywidgets.Widget:
    """The test as a widget: a picture, two buttons, and after the last picture the result."""
    answers: list[bool] = []
    picture = ipywidgets.Image(format="png", width=192, height=192)
    real = ipywidgets.Button(description="real", tooltip="this picture is real")
    made = ipywidgets.Button(description="made", tooltip="a generator made this picture")
    status = ipywidgets.HTML()

    def show() -> None:
        number = len(answers)
        if number < len(test.real):
            picture.value = controls.enlarged(test.images[number : number + 1], 6)
            status.value = f"Picture {number + 1} of {len(test.real)}"
        else:
            real.disabled = made.disabled = True
            status.value = result(test, answers)

    def take(button: ipywidgets.Button) -> None:
        answers.append(button is real)
        show()

    for button in (real, made):
        button.on_click(take)
    show()
    return ipywidgets.VBox([picture, ipywidgets.HBox([real, made]), status])


def result(test: BlindTest, answers: Sequence[bool]) -> str:
    """The judgement of a whole set of answers (True for "real"), and which ones were wrong."""
    wrong = [
        str(i + 1)
        for i, (said, is_real) in enumerate(zip(answers, test.real, strict=True))
        if said != is_real
    ]
    mistaken = f" Wrong: {', '.join(wrong)}." if wrong else ""
    return judge(len(answers) - len(wrong), len(answers)) + mistaken


def blind_static(ax: Axes, test: BlindTest, columns: int = 10) -> Axes:
    """The static twin: all pictures in order, numbered from 1."""
    plots.image_grid(ax, test.images, columns, gap=8)
    ax.set_title(test.title, loc="left", fontsize=10, pad=14, parse_math=False)
    height, width = test.images.shape[2] + 8, test.images.shape[3] + 8
    for number in range(len(test.real)):
        x, y = number % columns * width, number // columns * height
        ax.text(x - 0.5, y - 1.5, str(number + 1), fontsize=9, va="bottom")
    return ax


def answers_folded(test: BlindTest) -> str:
    """The answers of the static twin as HTML that opens on a click."""
    real = ", ".join(str(i + 1) for i, is_real in enumerate(test.real) if is_real) or "none"
    return f"<details><summary>Answers (decide first)</summary>Real: {real}. All others are made.</details>"
