"""Exercise `slerp`: the way from one latent vector to another along the sphere."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    describe,
    exercise,
    expect_close,
    expect_tensor,
    hinting,
    require,
)


def _slerp_by_rotation(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    """Turn z0 by t times the angle in the plane of both, and correct for the other length; in float64.

    Where the vectors are parallel there is no such plane, and the straight line is taken.
    """
    a, b = z0.double(), z1.double()
    length0, length1, along, across, angle = _plane(a, b)
    turned = length0 * (torch.cos(t * angle) * along + torch.sin(t * angle) * across)
    curved = turned + (length1 - length0) * torch.sin(t * angle) / torch.sin(angle) * b / length1
    line = a + t * (b - a)  # where they are parallel `across` is 0/0
    return torch.where(torch.sin(angle) < 1e-6, line, curved).to(z0.dtype)


def _plane(z0: Tensor, z1: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Lengths (B, 1), unit vectors along z0 and at right angles to it (B, D), and the angle between (B, 1)."""
    length0, length1 = (z.norm(dim=1, keepdim=True) for z in (z0, z1))
    along, other = z0 / length0, z1 / length1
    cosine = (along * other).sum(1, keepdim=True)
    across = other - cosine * along
    sine = across.norm(dim=1, keepdim=True)
    return length0, length1, along, across / sine, torch.atan2(sine, cosine)


def _weighted(angle_of: Callable[[Tensor, Tensor], Tensor], divide: bool = True) -> Answer:
    def mistake(z0: Tensor, z1: Tensor, t: float) -> Tensor:
        angle = angle_of(z0, z1)
        mixed = torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1
        return mixed / torch.sin(angle) if divide else mixed

    return mistake


def _cosine(z0: Tensor, z1: Tensor) -> Tensor:
    return (F.normalize(z0, dim=1) * F.normalize(z1, dim=1)).sum(1, keepdim=True)


def _angle(z0: Tensor, z1: Tensor) -> Tensor:
    return torch.arccos(_cosine(z0, z1))


def _nearer(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    return _weighted(_angle)(z0, torch.where(_cosine(z0, z1) < 0, -z1, z1), t)


def _sine_first(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    angle = _angle(z0, z1)
    return (math.sin(1 - t) * angle * z0 + math.sin(t) * angle * z1) / torch.sin(angle)


def _line(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    return (1 - t) * z0 + t * z1


def _lengths(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    return _line(z0.norm(dim=1, keepdim=True), z1.norm(dim=1, keepdim=True), t)


def _unit_slerp(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    return _weighted(_angle)(F.normalize(z0, dim=1), F.normalize(z1, dim=1), t)


_CHORD = "A straight line pushed out to the sphere moves fastest in its middle: equal steps of t must be equal angles."
_LOST = "The length is lost: the normalised vectors are for the angle only, the sum is made of z0 and z1 themselves."
_WHOLE = "One angle for the whole batch: each row is a pair of its own, so the sum of products runs along dim=1."
_COLUMNS = "The products were summed over the batch (dim=0), which mixes the images: sum over the latent dimensions."
_DEGREES = "torch.sin expects radians, and torch.arccos gives radians: no conversion to degrees."
_RAW = "The arccos of a plain dot product is no angle: divide both vectors by their lengths first."
_ENDS = "At t = 0 and t = 1 the end itself must come back: is a number added, or a value clipped, somewhere?"
_WORKED = (
    "One row: z0 = (1, 0), z1 = (0, 2), t = 0.5. The angle is 90 degrees, both weights sin 45 / sin 90 = 0.707, so the "
    "result is (0.707, 1.414)."
)

_STOPPED = {
    "must match the size": "One angle for each row stands beside a row of numbers: keepdim=True makes a column (B, 1).",
    "Boolean value": "One `if` would decide for all rows at once: `torch.where` chooses row by row.",
    "converted to Python scalars": "`math` takes one number, and here is one for each row: torch.arccos and torch.sin.",
}

_OPPOSITE = (
    "Opposite vectors have sin(angle) = 0 too, for the angle is pi. Take the straight line there as well: ask the "
    "sine, not the cosine."
)

_MISTAKES: list[Wrong] = [
    (
        lambda a, b, t: (
            _line(a, b, t)
            if (1 - F.cosine_similarity(a, b) < 1e-6).any()
            else _slerp_by_rotation(a, b, t)
        ),
        "One parallel pair, and the whole batch took the straight line: choose row by row, `torch.where`.",
    ),
    (
        _line,
        "This is the straight line. It cuts through the sphere, where the generator has seen no latent vectors.",
    ),
    (lambda a, b, t: F.normalize(_line(a, b, t), dim=1) * _lengths(a, b, t), _CHORD),
    (lambda a, b, t: F.normalize(_line(a, b, t), dim=1), _CHORD),
    (_unit_slerp, _LOST),
    (lambda a, b, t: _unit_slerp(a, b, t) * a.norm(dim=1, keepdim=True), _LOST),
    (
        lambda a, b, t: _weighted(_angle)(b, a, t),
        "The ends are exchanged: t = 0 must give z0, so whose weight is 1?",
    ),
    (_weighted(lambda a, b: torch.rad2deg(_angle(a, b))), _DEGREES),
    (_weighted(lambda a, b: torch.arccos((a * b).sum(1, keepdim=True))), _RAW),
    (
        _weighted(lambda a, b: torch.arccos(F.cosine_similarity(a.flatten(), b.flatten(), dim=0))),
        _WHOLE,
    ),
    (_weighted(lambda a, b: torch.arccos(F.cosine_similarity(a, b, dim=0))), _COLUMNS),
    (
        _weighted(_cosine),
        "This is the cosine, not yet the angle: which function leads back from it?",
    ),
    (
        _weighted(_angle, divide=False),
        "The weights are not divided by the sine of the whole angle.",
    ),
    (
        _weighted(lambda a, b: torch.arccos((a * b).sum(1, keepdim=True) / a.norm() / b.norm())),
        "`norm()` without dim=1 is the length of the whole batch: each row is divided by a length of its own.",
    ),
    (
        _weighted(lambda a, b: torch.arcsin(_cosine(a, b))),
        "arcsin leads back from a sine; what you have is the cosine.",
    ),
    (
        _sine_first,
        "The share t belongs to the angle: first multiply the two, then take the sine.",
    ),
    (
        lambda a, b, t: torch.cos(t * _angle(a, b)) * a + torch.sin(t * _angle(a, b)) * b,
        "cos and sin turn between vectors at right angles, which z0 and z1 are not: z1 has a share along z0, too.",
    ),
    (
        _nearer,
        "z1 was turned round where the angle is obtuse: right for quaternions, but here -z1 is another image.",
    ),
]


@exercise(_slerp_by_rotation)
def slerp(fn: Answer) -> None:
    """Check ``slerp(z0, z1, t)``: (B, D), (B, D), float in [0, 1] -> (B, D)."""
    z0, z1 = torch.randn(5, 16), torch.randn(5, 16)
    # Lengths below 1: a raw dot product still has an arccos.
    lengths = torch.tensor([[0.6], [0.9], [0.7], [0.8], [0.5]])
    z0, z1 = F.normalize(z0, dim=1) * lengths, F.normalize(z1, dim=1) * lengths.flip(0)
    for t in (0.3, 0.85, 0.0, 1.0):
        _expect_slerp(fn, z0, z1, t)
    _expect_slerp(fn, 3 * torch.randn(1, 128), torch.randn(1, 128), 0.4)
    _expect_slerp(fn, 3 * torch.randn(6, 6), 3 * torch.randn(6, 6), 0.7)
    some, other = torch.randn(64, 10), torch.randn(64, 10)
    # Parallel rows beside others.
    other[::2] = some[::2] * torch.tensor([[1.0], [2.0]]).repeat(16, 1)
    for t in (0.25, 1.0):
        _expect_slerp(fn, some, other, t)
    _expect_line_between_opposites(fn)


def _expect_line_between_opposites(fn: Answer) -> None:
    """Along the axes the cosine is exactly -1; other rows stand beside these. Two right answers, by length."""
    z0, z1 = torch.randn(2, 6, 8)
    opposite = torch.tensor([True, False, True, True, False, True])
    z0[opposite] = torch.tensor([1.0, 2.0, 0.5, 4.0])[:, None] * torch.eye(8)[[0, 3, 5, 7]]
    z1[opposite] = torch.tensor([-1.0, -1.0, -2.0, -4.0])[:, None] * torch.eye(8)[[0, 3, 5, 7]]
    for t in (0.25, 0.5, 0.9):
        for rows in (slice(None), slice(2, 3)):
            a, b = z0[rows], z1[rows]
            got, line = call(fn, a, b, t), _line(a, b, t)
            what = f"the straight line at t = {t} between opposite vectors"
            expect_tensor(got, a.shape, what, a.dtype)
            directions = _line(F.normalize(a, dim=1), F.normalize(b, dim=1), t) * _lengths(a, b, t)
            which = opposite[rows]
            near = [torch.allclose(got[which], x[which], 1e-4, 1e-5) for x in (line, directions)]
            came = got[which][0]
            require(any(near), f"{what}, {describe(line[which][0])}", came, _OPPOSITE)
            others = torch.allclose(got[~which], _slerp_by_rotation(a, b, t)[~which], 1e-4, 1e-5)
            mixed = torch.allclose(
                got[~which], _turned_with_mean_length(a, b, t)[~which].float(), 1e-4, 1e-5
            )
            beside = (
                "Only the opposite rows take the straight line: choose row by row, `torch.where`."
            )
            require(others or mixed, "the arc in the rows beside them", got[~which], beside)


def _turned_with_mean_length(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    """The other right answer where lengths differ: turn the direction, let the length go on in a straight line."""
    length0, length1, along, across, angle = _plane(z0.double(), z1.double())
    direction = torch.cos(t * angle) * along + torch.sin(t * angle) * across
    turned = ((1 - t) * length0 + t * length1) * direction
    return torch.where(torch.sin(angle) < 1e-6, _line(z0, z1, t).double(), turned)


def _expect_slerp(fn: Answer, z0: Tensor, z1: Tensor, t: float) -> None:
    got = call(fn, z0, z1, t, says=_STOPPED)
    what = f"slerp(z0, z1, {t}) with z0, z1 of shape {tuple(z0.shape)}"
    rows = "One vector for each row: keepdim=True keeps a sum beside its row."
    expect_tensor(got, z0.shape, what, z0.dtype, rows)
    straight = torch.isclose(F.cosine_similarity(z0, z1), torch.ones(len(z0)), atol=1e-5)
    parallel = "Parallel vectors have sin(angle) = 0, and rounding can make the cosine 1.0000001: treat them apart."
    finite = got[straight].isfinite().all().item()
    require(finite, f"{what}: numbers where they are parallel", "NaN or inf", parallel)
    raw = "Where the vectors are long their dot product leaves [-1, 1]: divide by their lengths before arccos."
    require(got.isfinite().all().item(), f"{what}: finite numbers", "NaN or inf", raw)
    if torch.allclose(got.double(), _turned_with_mean_length(z0, z1, t), 1e-4, 1e-5):
        return
    others = torch.allclose(
        got[~straight], _slerp_by_rotation(z0, z1, t)[~straight], rtol=1e-4, atol=1e-5
    )
    along = "Only the parallel rows are off: the formula divides 0 by 0 there, and the straight line is asked for."
    if straight.any() and others and t not in (0.0, 1.0):
        with hinting(along):
            expect_close(got, _slerp_by_rotation(z0, z1, t), what, atol=1e-5)
    right_ends = t not in (0.0, 1.0) and torch.allclose(call(fn, z0, z1, 0.0), z0, 1e-4, 1e-5)
    hint = _WORKED if right_ends else _ENDS
    expected = _slerp_by_rotation(z0, z1, t)
    expect_close(got, expected, what, inputs=(z0, z1, t), wrong=_MISTAKES, hint=hint, atol=1e-5)
