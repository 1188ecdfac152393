"""Exercise `match_ranges`: photographs in the range that the generator's last layer fills."""

from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.checks.clinic.game import case
from course_utils.checks.clinic.shared import expect_pair
from course_utils.checks.core import Answer, call, expect_close, expect_tensor, require


def _ranges_by_affine() -> tuple[Callable[[Tensor], Tensor], torch.nn.Module]:
    return lambda pictures: torch.add(-1, pictures, alpha=2), torch.nn.Tanh()


_HALF = "Sigmoid makes [0, 1], but the photographs fill [-1, 1]: every dark pixel now gives away a photograph."
_ZERO_RANGE = "A uniform picture has no spread of its own: its minimum and maximum, or its deviation, give 0/0."
_BY_COLOUR = (
    "A mean and a deviation for each colour (ImageNet's, say) are for classifiers: they leave the data between about "
    "-2.1 and 2.6, where Tanh cannot follow."
)

# Ends of the data and of the last layer, and the hint.
_MISTAKES: list[tuple[tuple[float, float, float, float], str]] = [
    (
        (0, 1, -1, 1),
        "Unchanged: half of what Tanh makes is negative, and no photograph ever is. D needs one such pixel.",
    ),
    ((-1, 1, 0, 1), _HALF),
    (
        (-1, 127 / 128, -1, 1),
        "x * 255 / 128 - 1 ends at 0.992: white can be told. 255 should become exactly 1.",
    ),
    ((0, 255, -1, 1), "The pictures are already in [0, 1]; Tanh can never reach 255."),
    ((-0.5, 0.5, -1, 1), "The mean is gone, but the photographs fill only half of Tanh's range."),
    ((0, 2, -1, 1), "The pictures were stretched, but not shifted."),
]
_OPEN = (
    "Nothing bounds this last layer: it makes 60 of 60. Sigmoid ends at 0 and 1, Tanh at -1 and 1."
)
_TURNED = "The two are exchanged: first the function that prepares pictures, then the layer."
_CLASS = {
    "positional argument": "A class was returned, not a layer: `nn.Tanh()` with brackets makes one."
}


@case(_ranges_by_affine)
def match_ranges(fn: Answer) -> None:
    """Check ``match_ranges()`` -> (prepare, last): pictures in [0, 1] -> the range that the layer ``last`` fills.

    What the data and the last layer fill must be the same interval, whatever else is in the batch.
    """
    prepare, last = expect_pair(call(fn), "(prepare, last): a function of pictures, and a layer")
    black, white = torch.zeros(2, 3, 4, 6), torch.ones(2, 3, 4, 6)
    low, high = (call(prepare, p) for p in (black, white))
    for name, shown in (("black", low), ("white", high)):
        expect_tensor(shown, (2, 3, 4, 6), f"prepared {name} pictures", torch.float32)
        finite = bool(shown.isfinite().all())
        require(finite, f"finite numbers for {name}", shown, _ZERO_RANGE)
        uniform = float(shown.max() - shown.min()) < 1e-6
        require(uniform, f"one value for {name}, in all colours", shown, _BY_COLOUR)
    far = torch.tensor([-60.0, 60.0]).view(2, 1, 1, 1)
    turned = isinstance(prepare, torch.nn.Module) and not isinstance(last, torch.nn.Module)
    require(not turned, "(prepare, last)", "a layer first and then a function", _TURNED)
    ends = call(last, far, says=_CLASS).flatten()
    found = (low.mean().item(), high.mean().item(), *ends.tolist())
    equal = abs(found[0] - found[2]) < 1e-5 and abs(found[1] - found[3]) < 1e-5
    hint = "Data and last layer must fill the same interval: both ends of one are the ends of the other."
    if found[1] < found[0]:
        hint = "A negative: black has become the high end, white the low one."
    elif found[1] - found[0] < 0.01:
        hint = "Divided by 255, or by half of it, once more: these pictures are in [0, 1] already."
    hint = _OPEN if max(found[2:]) > 59 else hint
    for row, named in _MISTAKES:
        if all(abs(a - b) < 1e-4 for a, b in zip(found, row, strict=True)):
            hint = named
    got = f"data from {found[0]:.3f} to {found[1]:.3f}, last layer from {found[2]:.3f} to {found[3]:.3f}"
    require(equal, "data and last layer from the same low to the same high end", got, hint)
    _expect_straight(prepare, found[0], found[1])


def _expect_straight(prepare: Answer, low: float, high: float) -> None:
    mixed = torch.rand(3, 3, 4, 6)
    alone = torch.cat([call(prepare, mixed[i : i + 1]) for i in range(3)])
    hint = "The same pixel becomes another number beside other pictures: no minimum, maximum or mean of the batch."
    expect_close(call(prepare, mixed), alone, "a picture prepared in a batch and alone", hint=hint)
    straight = low + (high - low) * mixed
    bent = "The ends are right, what lies between is not a straight line: colours would be bent, and not come back."
    expect_close(alone, straight, "pictures prepared", hint=bent, atol=1e-5)
