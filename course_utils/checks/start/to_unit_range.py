"""Exercise `to_unit_range`: numbers in [-1, 1] as those in [0, 1] that a screen shows."""

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, expect_tensor


def _unit_range_by_line(images: Tensor) -> Tensor:
    """The straight line from (-1, 0) to (1, 1)."""
    return torch.lerp(torch.zeros_like(images), torch.ones_like(images), 0.5 + 0.5 * images)


def _stretched(x: Tensor) -> Tensor:
    return (x - x.min()) / (x.max() - x.min())


_MISTAKES: list[Wrong] = [
    (lambda x: x, "Nothing moved: -1 is still -1, and a screen has nothing darker than 0."),
    (lambda x: x / 2, "The width is right (1), the place is not: these values lie in [-0.5, 0.5]."),
    (
        lambda x: x + 1 / 2,
        "Python divides before it adds: this is x + (1/2). Which two things belong in parentheses?",
    ),
    (
        lambda x: (x - 1) / 2,
        "Moved the wrong way: -1 became -1, and it must become 0. Which number turns -1 into 0?",
    ),
    (
        lambda x: 2 * x - 1,
        "This is the way back, from [0, 1] to [-1, 1]: here -1 became -3, and it must become 0.",
    ),
    (
        lambda x: ((x + 1) / 2).round(),
        "The line is right, and then it was rounded: every grey became black or white.",
    ),
    (
        lambda x: (x + 1) // 2,
        "// divides and drops what stands behind the point: every grey became black.",
    ),
    (
        lambda x: (x + 1) / (x.max() + 1),
        "Divided by these images' own largest value: the range to map is [-1, 1], whichever of it they use.",
    ),
    (lambda x: x + 1, "The lower end is right (0), the width is not: these values lie in [0, 2]."),
    (
        lambda x: x / 2 + 1,
        "The width is right (1), the place is not: these values lie in [0.5, 1.5]. What comes first?",
    ),
    (lambda x: (1 - x) / 2, "Black and white are exchanged: -1 must become 0, and 1 must stay 1."),
    (
        lambda x: x.abs(),
        "The negative half is folded over: -1 and 1, black and white, both become 1.",
    ),
    (
        lambda x: x.clamp(0, 1),
        "The dark half is cut off: everything below 0 becomes the same black.",
    ),
    (
        _stretched,
        "The darkest value here became 0 and the brightest 1: the same number then means another grey elsewhere.",
    ),
    (torch.sigmoid, "A curve, not a line: the sigmoid of 1 is 0.73, so nothing is ever white."),
    (lambda x: (x + 1) * 127.5, "This is the range of bytes, [0, 255]; asked for is [0, 1]."),
]


_WORKED = "One number, -0.8: it lies 0.2 above the lower end of a range that is 2 wide, so it becomes 0.2 / 2 = 0.1."


@exercise(_unit_range_by_line)
def to_unit_range(fn: Answer) -> None:
    """Check ``to_unit_range(images)``: float (...) in [-1, 1] -> float (...) in [0, 1]."""
    # The first case has neither -1 nor 1: a stretched range differs.
    small = ([[-0.8, -0.2], [0.0, 0.6]], [-1.0, 1.0])
    cases = [(str(values), torch.tensor(values)) for values in small]
    cases += [("random numbers of shape (2, 3, 4, 4)", torch.rand(2, 3, 4, 4) * 2 - 1)]
    for name, images in cases:
        what, got = f"to_unit_range of {name}", call(fn, images)
        one = "Each number becomes one number: nothing is summed."
        expect_tensor(got, images.shape, what, torch.float32, hint=one)
        expect_close(
            got, _unit_range_by_line(images), what, inputs=[images], wrong=_MISTAKES, hint=_WORKED
        )
