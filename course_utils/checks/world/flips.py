"""Exercise `flips`: which of a network's answers change when pixels move."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, call, exercise, expect_tensor, require
from course_utils.models.dcgan import to_tanh_range

Move = Callable[[Tensor, Tensor, float], Tensor]
"""Bytes, signs and a size in grey levels -> pictures as the network sees them."""


def _in_grey_levels(images: Tensor, direction: Tensor, size: float) -> Tensor:
    """Moved and cut while still in grey levels; converted afterwards."""
    grey = (images.double() + size * direction.double()).clamp(0, 255)
    return (grey / 127.5 - 1).to(direction.dtype)


def _by_grey_levels(network: nn.Module, images: Tensor, direction: Tensor, size: float) -> Tensor:
    return _answers(network, _in_grey_levels(images, direction, size)) != _answers(
        network, to_tanh_range(images)
    )


@torch.no_grad()
def _answers(network: nn.Module, x: Tensor) -> Tensor:
    answers: Tensor = network(x).argmax(dim=1)
    return answers


_LEVELS = "Grey levels run from 0 to 255, the network's range from -1 to 1: one grey level is 1 / 127.5 there."
_CUT = (
    "A pixel left its range, as 255 plus 2 does: no picture has that. Cut the moved pictures to [-1, 1] (or to 0 to "
    "255 before they are converted)."
)
_WHOLE = "Bytes wrap around, 255 + 1 = 0, and lose halves: convert to float before the pixels move."
_LOWER = "The pixels move *along* the direction: it is added."
_MISTAKES: tuple[tuple[Move, str], ...] = (
    (lambda x, d, size: to_tanh_range(x) + size / 127.5 * d, _CUT),
    (lambda x, d, size: (to_tanh_range(x) + size * d).clamp(-1, 1), _LEVELS),
    (lambda x, d, size: (to_tanh_range(x) + size / 255 * d).clamp(-1, 1), _LEVELS),
    (lambda x, d, size: (to_tanh_range(x) + size / 256 * d).clamp(-1, 1), _LEVELS),
    (lambda x, d, size: to_tanh_range(x) + size / 255 * d, _LEVELS),
    (lambda x, d, size: to_tanh_range(x) + size * d, _LEVELS),
    (lambda x, d, size: (to_tanh_range(x) - size / 127.5 * d).clamp(-1, 1), _LOWER),
    (lambda x, d, size: (to_tanh_range(x) + size / 127.5 * d).clamp(0, 1), "Black is -1, not 0."),
    (lambda x, d, size: (x + size * d).clamp(0, 255), "The network reads [-1, 1], not bytes."),
    (lambda x, d, size: (x + size * d).clamp(0, 255) / 255, "The network reads [-1, 1]."),
    (lambda x, d, size: to_tanh_range((x + size * d).to(torch.uint8)), _WHOLE),
    (lambda x, d, size: to_tanh_range((x + (size * d).to(torch.int8)).clamp(0, 255)), _WHOLE),
    (lambda x, d, size: to_tanh_range((x + size * d).round().clamp(0, 255)), _WHOLE),
    (
        lambda x, d, size: (to_tanh_range(x) * (1 + size / 127.5 * d)).clamp(-1, 1),
        "Each pixel moves by the same amount: added, not multiplied.",
    ),
)
_SHARE = "One bool for each picture is asked for, (N,); the share of them comes later."
_KEPT = "True where the answer *changes*: `!=`, not `==`."
_SHARED = "Each picture is compared with itself: before and after, both from the same network."
_WORKED = (
    "By hand: a pixel of 100 and a sign of -1, size 2, become 98, which the network sees as 98 / 127.5 - 1. The answer "
    "to that is compared with the answer to 100."
)


class _Thresholds(nn.Module):
    """Pictures (N, 3, H, W) -> logits (N, 3): three bands of the sum of pixels with alternating signs."""

    def __init__(self, cuts: Tensor) -> None:
        super().__init__()
        self.cuts = nn.Parameter(cuts)

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(1)
        signs = 1 - 2 * (torch.arange(pixels.shape[1]) % 2)
        seen = (pixels * signs).sum(1, keepdim=True)
        low, high = self.cuts.sort().values
        return torch.cat([low - seen, (seen - low).minimum(high - seen), seen - high], dim=1)


def _pictures() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(8)
    images = torch.randint(0, 256, (2000, 3, 2, 2), dtype=torch.uint8, generator=random)
    images[::3] = 255 * (images[::3] > 120)  # black and white: only these leave the range
    direction = torch.randint(0, 2, images.shape, generator=random) * 2.0 - 1
    return images, direction


@exercise(_by_grey_levels)
def flips(fn: Answer) -> None:
    """Check ``flips(network, images, direction, size)`` -> bool (N,).

    ``images`` (N, 3, H, W) uint8 and ``direction`` (N, 3, H, W) of signs, both left alone. Each pixel moves by ``size``
    grey levels, halves included, along its sign, and stays within 0 to 255. True where the network, which reads
    pictures in [-1, 1], answers differently then.
    """
    images, direction = _pictures()
    cuts = torch.tensor([-101.75, 114.75]) / 127.5  # at no multiple of half a grey level
    network = _Thresholds(cuts).eval()
    for size in (40.0, 90.5, 2.5, 0.0):
        _expect(fn, network, images, direction, size)
    _expect(fn, network, images[:1], direction[:1], 60.0)


def _expect(fn: Answer, network: nn.Module, images: Tensor, direction: Tensor, size: float) -> None:
    what = f"which of {len(images)} answers change at {size:g} grey levels"
    says = {
        "expected type": "The network reads float pictures in [-1, 1], from `dcgan.to_tanh_range`.",
        "result type": "Bytes cannot hold what is added to them: convert them with `dcgan.to_tanh_range` first.",
    }
    came = call(fn, network, images, direction, size, says=says)
    expected = _by_grey_levels(network, images, direction, size)
    expect_tensor(came, expected.shape, what, torch.bool, hint=_SHARE)
    before = _answers(network, to_tanh_range(images))
    hint = _KEPT if torch.equal(came, ~expected) else _WORKED
    for move, said in _MISTAKES if hint == _WORKED else ():
        wrong = _answers(network, move(images, direction, size)) != before
        if torch.equal(came, wrong) and not torch.equal(wrong, expected):
            hint = said
            break
    right = torch.equal(came, expected)
    require(right, f"{what}: {int(expected.sum())}", f"{int(came.sum())} of them", hint)
