"""Exercise `to_tanh_range`: bytes in the range of Tanh."""

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_tensor,
    hinting,
    require,
)


def _tanh_range_by_table(images: Tensor) -> Tensor:
    return torch.linspace(-1, 1, 256, device=images.device)[images.long()]


def _stretched(images: Tensor, dims: tuple[int, ...]) -> Tensor:
    low, high = images.float().amin(dims, keepdim=True), images.float().amax(dims, keepdim=True)
    return (images - low) / (high - low) * 2 - 1


def _imagenet(images: Tensor) -> Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images / 255 - mean[:, None, None]) / std[:, None, None]


def _standardised(images: Tensor) -> Tensor:
    return (images.float() - images.float().mean()) / images.float().std()


_WRAPPED = "Arithmetic on uint8 wraps round at 256 (200 * 2 is 144): convert to float before you calculate."
_OWN_RANGE = "own darkest and brightest pixel became -1 and 1: the same byte then means another grey elsewhere."

_MISTAKES: list[Wrong] = [
    (
        lambda x: x / 255,
        "These values lie in [0, 1]. Tanh also makes negative ones: the discriminator could tell by the sign alone.",
    ),
    (lambda x: x / 127.5, "The width is right (2), the place is not: these values lie in [0, 2]."),
    (
        lambda x: x / 255 - 0.5,
        "The middle is right (0), the width is not: these values lie in [-0.5, 0.5].",
    ),
    (
        lambda x: x / 128 - 1,
        "255 becomes 0.992 here: 256 byte values have how many steps between them?",
    ),
    (lambda x: 1 - x / 127.5, "Black and white are exchanged: 0 must become -1."),
    (
        _imagenet,
        "These are ImageNet's means and deviations, made for classifiers; Tanh's range needs none.",
    ),
    (
        _standardised,
        "Mean 0 and deviation 1 is another scaling: it leaves [-1, 1] and changes with the images.",
    ),
    (lambda x: _stretched(x, (1, 2, 3)), f"Each image's {_OWN_RANGE}"),
    (lambda x: _stretched(x, (0, 1, 2, 3)), f"The whole batch's {_OWN_RANGE}"),
    (lambda x: (x * 2 - 255).float() / 255, _WRAPPED),
    (lambda x: (x * 2).float() / 255 - 1, _WRAPPED),
    (lambda x: (x - 128).float() / 127.5, _WRAPPED),
]


_ANY_SHAPE = (
    "The shape is free, `(...)`: a single grey picture or a row of bytes comes too. Nothing per channel, no number "
    "of dimensions taken for granted: one straight line for all bytes."
)
_FIXED_LINE = "The same byte always becomes the same number, however dark or bright the pictures around it are."


def _expect_range(fn: Answer, images: Tensor) -> None:
    got, what = call(fn, images), f"images of shape {tuple(images.shape)}"
    places = "Only the values change: pixels, channels and batch stay in place."
    expect_tensor(got, images.shape, what, hint=places)
    asked, came = f"{what} as torch.float32", f"dtype {got.dtype}"
    bytes_left = "uint8 holds whole numbers from 0 to 255, so neither -1 nor 0.5 fits: return a float tensor."
    require(got.is_floating_point(), asked, came, bytes_left)
    doubled = "The networks' weights are float32: another float type stops at the first layer or wastes memory."
    require(got.dtype == torch.float32, asked, came, doubled)
    expect_close(got, _tanh_range_by_table(images), what, inputs=[images], wrong=_MISTAKES)


@exercise(_tanh_range_by_table)
def to_tanh_range(fn: Answer) -> None:
    """Check ``to_tanh_range(images)``: uint8 (...) -> float32 (...) in [-1, 1]."""
    # No image of the first batch holds 0 or 255: own ranges show. The second holds each byte.
    dull = torch.randint(40, 220, (2, 3, 5, 7), dtype=torch.uint8)
    dull[1] = dull[1] // 2 + 10
    every = (torch.randperm(264) % 256).to(torch.uint8).reshape(1, 3, 8, 11)
    grey = torch.full((7, 3, 2, 4), 90, dtype=torch.uint8)
    for images in (dull, every, grey):
        _expect_range(fn, images)
    with hinting(_ANY_SHAPE):
        for shape in (
            (1,),
            (6,),
            (5, 4),
            (3, 5, 4),
            (1, 7, 6),
            (2, 1, 4, 4),
            (2, 4, 3, 5),
            (2, 2, 3, 5, 4),
        ):
            _expect_range(fn, torch.randint(40, 220, shape, dtype=torch.uint8))
        _expect_range(fn, every[0].permute(1, 2, 0))
    with hinting(_FIXED_LINE):
        for image in (every * 0, every * 0 + 255, every % 2, every // 255):
            _expect_range(fn, image)
    got = call(fn, every)
    ends = [got[every == byte][0].item() for byte in (0, 255)]
    rounding = "Close, but rounded: a divisor that float32 holds exactly (a half is fine) gives exact ends."
    require(ends == [-1.0, 1.0], "0 -> -1 and 255 -> 1 exactly", f"{ends}", rounding)
