"""Exercise `guided_velocity`: classifier-free guidance, both questions in one call of the network."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_like,
    require,
)
from course_utils.checks.diffusion.shared import as_column, require_times

_LABELS = "one label for each example"


class _Steered(nn.Module):
    """A velocity that depends on place, time, label and row alone, and notes how it is asked."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.classes = classes
        random = torch.Generator().manual_seed(5)
        self.pull = nn.Parameter(torch.randn(classes + 1, generator=random))
        self.asked: list[int] = []

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """Velocity (B, ...) of x (B, ...) at t (B,) for the labels (B,)."""
        require_times(x, t)
        if not isinstance(label, Tensor) or label.shape != x.shape[:1]:
            came = tuple(label.shape) if isinstance(label, Tensor) else type(label).__name__
            raise ValueError(f"label must hold {_LABELS}, shape ({len(x)},); came {came}")
        self.asked.append(len(x))
        pull = as_column(self.pull[label], x)
        return (2 * x + 3 * as_column(t, x).to(x) + pull).sin() + pull * (1 - x / 2)


def _guided_in_a_stack(network: Any, x: Tensor, t: Tensor, label: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return network(x, t, label)
    none = torch.full_like(label, network.classes)
    twice = (torch.stack(pair).flatten(0, 1) for pair in ((x, x), (t, t), (label, none)))
    with_label, without = network(*twice).unflatten(0, (2, len(x)))
    return torch.lerp(without, with_label, float(scale))


Halves = Callable[[Tensor], tuple[Tensor, Tensor]]


def _halves(both: Tensor) -> tuple[Tensor, Tensor]:
    return both[: len(both) // 2], both[len(both) // 2 :]


def _mistaken(
    *,
    nobody: Callable[[Tensor, int], Tensor] = lambda label, classes: torch.full_like(
        label, classes
    ),
    halves: Halves = _halves,
    mix: Callable[[Tensor, Tensor, float], Tensor] = lambda a, b, s: b + s * (a - b),
    scales: Callable[[float], bool] = lambda s: True,
    double: Callable[[Tensor], Tensor] = lambda x: torch.cat([x, x]),
) -> Answer:
    """A solution with parts to get wrong; ``scales`` says at which scales it goes wrong."""

    def answer(network: Any, x: Tensor, t: Tensor, label: Tensor, scale: float) -> Tensor | None:
        if not scales(scale):
            return None
        with torch.no_grad():
            labels = torch.cat([label, nobody(label, network.classes)])
            with_label, without = halves(network(double(x), double(t), labels))
            return mix(with_label, without, scale)

    return answer


_NOBODY = 'The label for "no label" is `network.classes`, one more than that of the last class: here it was a class.'
_EXCHANGED = (
    "The two halves are exchanged: the answers come in the order in which the labels were joined."
)
_INTERLEAVED = (
    "The halves do not belong together: `cat` puts the second half *behind* the first, and `repeat_interleave` puts "
    "each copy beside its original."
)
_FIRST = "The scale has no effect: were both halves asked with the same label, or is only one of the answers used?"

_MISTAKES: list[Wrong] = [
    (_mistaken(halves=lambda both: _halves(both)[::-1]), _EXCHANGED),
    (_mistaken(nobody=lambda label, classes: torch.full_like(label, classes - 1)), _NOBODY),
    (_mistaken(nobody=lambda label, classes: torch.zeros_like(label)), _NOBODY),
    (_mistaken(nobody=lambda label, classes: label), _FIRST),
    (_mistaken(halves=lambda both: (both[::2], both[1::2])), _INTERLEAVED),
    (_mistaken(double=lambda x: x.repeat_interleave(2, 0)), _INTERLEAVED),
    (_mistaken(mix=lambda a, b, s: a), _FIRST),
    (_mistaken(mix=lambda a, b, s: b), _FIRST),
    (_mistaken(mix=lambda a, b, s: (1 + s) * a - s * b), (
        "This counts as the paper does; `guided` has the pure label at scale 1.")),
    (_mistaken(mix=lambda a, b, s: a + s * (b - a)), (
        "`guided` takes the velocity with the label first, then the one without, then the scale.")),
    (_mistaken(mix=lambda a, b, s: b + (a - b)), "The scale is not used: pass it on to `guided`."),
    (_mistaken(mix=lambda a, b, s: s * (a - b)), (
        "Only the difference is left: it is added to the velocity without a label.")),
]  # fmt: skip
_WORKED = (
    "Compare with two calls, one with the labels and one without: joined, the answers are the same, one behind the "
    "other."
)
_SHAPE = "As many velocities as places: of the doubled batch, the two halves become one."


@exercise(_guided_in_a_stack)
def guided_velocity(fn: Answer) -> None:
    """Check ``guided_velocity(network, x, t, label, scale)``: x (B, ...), t and label (B,) -> (B, ...)."""
    for shape, scale in (
        ((4, 3, 4, 4), 3.0),
        ((5, 3, 6, 6), 0.0),
        ((2, 3, 4, 4), 1.7),
        ((1, 3, 4, 4), 2.0),
        ((4, 3, 4, 4), 1.0),
        ((3, 3, 4, 4), 1),
    ):
        network = _Steered()
        label = torch.arange(shape[0]) % network.classes
        x = 9 * torch.randn(shape)
        _expect_velocity(fn, (network, x, torch.rand(shape[0]), label, scale))


def _expect_velocity(fn: Answer, inputs: tuple[_Steered, Tensor, Tensor, Tensor, float]) -> None:
    network, x, *_, scale = inputs
    what = f"the velocity at scale {scale:g}"
    says = {
        "one time for each example": "Everything is doubled: x, t and the labels, so that each place has its own time.",
        _LABELS: "Everything is doubled: x, t and the labels, so that each place has its own label.",
        "must match": "Everything is doubled: x, t and the labels, so that the three belong together.",
    }
    with torch.no_grad():
        got = call(fn, *inputs, may_change=[network], says=says)
        asked = list(network.asked)
        expect_like(
            got,
            _guided_in_a_stack(*inputs),
            what,
            inputs=inputs,
            wrong=_MISTAKES,
            shape=_SHAPE,
            hint=_WORKED,
            atol=1e-5,
        )
    if scale == 1:
        once = "At scale 1 the velocity without a label has no part in the result: asking for it costs as much again."
        require(asked == [len(x)], f"at scale 1 one call, of {len(x)} rows", _calls(asked), once)
    else:
        joined = (
            "Join both questions with `torch.cat`, and ask once: one batch of twice as many rows in the place of two "
            "calls."
        )
        require(asked == [2 * len(x)], f"one call, of {2 * len(x)} rows", _calls(asked), joined)


def _calls(asked: list[int]) -> str:
    return f"{len(asked)} calls, of {', '.join(map(str, asked))} rows" if asked else "no call"
