"""Exercise `clip_and_noise`: the gradient of differentially private training (DP-SGD)."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_tensor,
    require,
)


def _by_directions(
    gradients: Tensor, clip: float, noise_multiplier: float, generator: torch.Generator
) -> Tensor:
    """Each row's direction times its shortened length; then the noise, already divided by the number of rows."""
    lengths = gradients.norm(dim=1, keepdim=True).clamp(max=clip)
    mean = (F.normalize(gradients, dim=1) * lengths).mean(dim=0)
    noise = torch.empty(gradients.shape[1]).normal_(generator=generator)
    return mean + noise * (noise_multiplier * clip / len(gradients))


def _clipped(clip_rows: Callable[[Tensor, float], Tensor]) -> Answer:
    """A mistake in the clipping: a function of the gradients and the bound; its rows are averaged."""
    return lambda gradients, clip, *rest: clip_rows(gradients, clip).mean(dim=0)


def _rows(gradients: Tensor, clip: float) -> Tensor:
    return F.normalize(gradients, dim=1) * gradients.norm(dim=1, keepdim=True).clamp(max=clip)


def _factor(length: Tensor, clip: float) -> Tensor:
    return (clip / length).clamp(max=1)


_EACH = (
    "Clip each example's gradient before they are added: one loud example may hide in a sum, and the promise is made "
    "to each."
)
_LONG = (
    "Only rows that are longer than the bound are shortened: the factor is min(1, clip / norm), so small gradients "
    "stay as they are."
)
_DIRECTION = "Clipping each number changes the direction and bounds no norm: scale the whole row by one factor."
_NORM = (
    "The norm of one example runs over its P numbers: dim=1, and the factors (B, 1) scale the rows."
)
_ROOT = "The norm is the root of the sum of squares; the root is missing."
_SUM = "Clipped and added, but not divided by B, the number of examples."
_ZERO_ROW = (
    "An example whose gradient is 0 has the norm 0: clip / norm may not become 0 * infinity there."
)

_MISTAKES: list[Wrong] = [
    (
        _clipped(lambda g, clip: g),
        "Nothing was clipped: a row longer than the bound is scaled to it.",
    ),
    (_clipped(lambda g, clip: _rows(g, clip) * len(g)), _SUM),
    (_clipped(lambda g, clip: _rows(g, clip) * len(g) / g.shape[1]), "Divide by B, not by P."),
    (_clipped(lambda g, clip: g.mean(0, keepdim=True) * _factor(g.mean(0).norm(), clip)), _EACH),
    (_clipped(lambda g, clip: g * _factor(g.sum(0).norm(), clip)), _EACH),
    (_clipped(lambda g, clip: g * _factor(g.norm(), clip)), _EACH),
    (_clipped(lambda g, clip: g * _factor(g.norm(dim=1).max(), clip)), _EACH),
    (_clipped(lambda g, clip: g * _factor(g.norm(dim=1).mean(), clip)), _EACH),
    (_clipped(lambda g, clip: g.clamp(-clip, clip)), _DIRECTION),
    (_clipped(lambda g, clip: F.normalize(g, dim=1) * clip), _LONG),
    (_clipped(lambda g, clip: F.normalize(g, dim=1)), _LONG),
    (
        _clipped(lambda g, clip: g * (clip / g.norm(dim=1, keepdim=True)).clamp(min=1, max=1e6)),
        "min and max changed places: the factor is min(1, clip / norm), the divisor max(1, norm / clip).",
    ),
    (
        _clipped(lambda g, clip: torch.where(g.norm(dim=1, keepdim=True) > clip, 0 * g, g)),
        "Rows that are too long were left out. They are shortened to the bound, and still count.",
    ),
    (
        _clipped(lambda g, clip: g[g.norm(dim=1) <= clip]),
        "Rows that are too long were left out. They are shortened to the bound, and still count.",
    ),
    (_clipped(lambda g, clip: g * _factor(g.norm(dim=0, keepdim=True), clip)), _NORM),
    (_clipped(lambda g, clip: g * _factor(g.square().sum(1, keepdim=True), clip)), _ROOT),
    (
        _clipped(lambda g, clip: g * _factor(g.abs().sum(1, keepdim=True), clip)),
        "The norm is the root of the sum of squares, not the sum of absolute values.",
    ),
    (
        _clipped(lambda g, clip: g * _factor(g.abs().amax(1, keepdim=True), clip)),
        "The norm is the root of the sum of squares, not the largest number.",
    ),
    (
        _clipped(lambda g, clip: g / g.norm(dim=1, keepdim=True).clamp(min=clip)),
        "Divided by max(norm, clip) and not multiplied by clip: small rows would be blown up.",
    ),
    (
        _clipped(lambda g, clip: g / (1 + g.norm(dim=1, keepdim=True) / clip)),
        "The divisor is max(1, norm / clip), not their sum.",
    ),
]

# The noise of an answer, in units of the right one, for B = 9, clip = 0.7 and noise multiplier 1.6; its hint.
_BATCH, _CLIP, _NOISE = 9, 0.7, 1.6
_SCALES = (
    (
        _BATCH,
        "The noise is 9 times too large for 9 rows: it is added to the *sum*, and both are divided by B.",
    ),
    (
        3.0,
        "The noise is 3 times too large for 9 rows: one draw for the sum, not one for each example.",
    ),
    (
        1 / 3,
        "The noise is 3 times too small for 9 rows: added to the sum, it is divided by B once.",
    ),
    (1 / _BATCH, "The noise is 9 times too small for 9 rows: it was divided by B twice."),
    (1 / _CLIP, "The noise has the deviation noise_multiplier; the factor clip is missing."),
    (_CLIP, "clip was multiplied in twice: the deviation is noise_multiplier * clip."),
    (1 / _NOISE, "The noise has the deviation clip; the factor noise_multiplier is missing."),
    (
        1 / (_NOISE * _CLIP),
        "The noise has the deviation 1: multiply it by noise_multiplier * clip.",
    ),
    (_NOISE, "noise_multiplier was multiplied in twice: the deviation is noise_multiplier * clip."),
    (
        _NOISE * _CLIP,
        "noise_multiplier * clip is the standard deviation, not the variance: no square of it.",
    ),
    (
        1 / math.sqrt(_NOISE * _CLIP),
        "noise_multiplier * clip is the standard deviation, not the variance: no root of it.",
    ),
    (
        1 / _CLIP**2,
        "noise_multiplier / clip: a larger bound lets more of one example through and needs more noise.",
    ),
)


_WORKED = (
    "By hand: the rows (3, 4) and (0.3, 0.4) have the norms 5 and 0.5. Clipped at 1 they are (0.6, 0.8) and (0.3, "
    "0.4), their sum is (0.9, 1.2) and the average (0.45, 0.6)."
)


@exercise(_by_directions)
def clip_and_noise(fn: Answer) -> None:
    """Check ``clip_and_noise(gradients, clip, noise_multiplier, generator)`` -> (P,) float32.

    ``gradients`` is (B, P) float32, one row per example. A row whose norm exceeds ``clip`` is scaled down to that norm.
    To the sum of the rows comes Gaussian noise of standard deviation ``noise_multiplier * clip``, one number per
    weight, from the generator; all is divided by B. Source: arXiv 1607.00133, algorithm 1.
    """
    rows = torch.tensor(
        [
            [3.0, -4.0, 0.0, 0.5],
            [0.25, 0.5, -0.25, 0.125],
            [-0.75, 1.0, 2.0, -0.5],
            [0.0, 0.0, 0.0, 0.0],
            [0.5, -0.125, 1.25, 4.0],
            [0.25, 0.25, 0.0, -0.5],
        ]
    )
    full = torch.tensor([True, True, True, False, True, True])
    _without_noise(fn, rows[full], 0.9, "five rows, clipped at 0.9 and averaged")
    _without_noise(fn, rows[full], 2.0, "five rows, clipped at 2 and averaged")
    _without_noise(fn, 0.01 * torch.randn(7, 30), 2.0, "seven short rows, averaged")
    _without_noise(fn, 60 * rows[full], 90.0, "five large rows, clipped at 90 and averaged")
    _without_noise(fn, rows, 1.5, "six rows, of which one is 0", _ZERO_ROW)
    _draws_from_the_generator(fn)
    _noise_is_right(fn)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _without_noise(fn: Answer, rows: Tensor, clip: float, what: str, hint: str = "") -> None:
    inputs = (rows, clip, 0.0, _seeded(0))
    hint = hint or _WORKED
    came = call(fn, *inputs)
    one = "The sum of the rows, with noise, divided by B: one number per weight."
    expect_tensor(came, (rows.shape[1],), what, torch.float32, hint=one)
    if bool((rows == 0).all(1).any()) and not bool(came.isfinite().all()):
        require(False, f"{what}: finite numbers", came, _ZERO_ROW)
    expect_close(came, _by_directions(*inputs), what, inputs=inputs, wrong=_MISTAKES, hint=hint)


def _draws_from_the_generator(fn: Answer) -> None:
    rows, going_on = torch.randn(4, 6), _seeded(3)
    first, again, other = (call(fn, rows, 1.0, 1.0, _seeded(seed)) for seed in (3, 3, 4))
    what = "the same gradient from a generator in the same state"
    given = "Give the generator to the function that draws: torch.randn(..., generator=generator)."
    require(torch.equal(first, again), what, "two different ones", given)
    clean = call(fn, rows, 1.0, 0.0, _seeded(3))
    none = "Nothing was added: the noise is missing."
    require(not torch.allclose(first, clean), "noise", "the gradient without it", none)
    fixed = "Another generator changes nothing: is a seed set inside?"
    require(not torch.equal(first, other), "other noise from another generator", "the same", fixed)
    twice = [call(fn, rows, 1.0, 1.0, going_on) for _ in range(2)]
    moved = (
        "Two calls with one generator gave the same noise, which can be subtracted: draw from the generator itself, "
        "not from its `initial_seed()` or a copy."
    )
    require(not torch.equal(*twice), "other noise in the next step", "the same", moved)


def _noise_is_right(fn: Answer) -> None:
    """Over 20,000 weights the deviation is known to half a per cent; half of them have no gradient at all."""
    rows = torch.randn(_BATCH, 20_000)
    rows[:, ::2] = 0.0
    came = call(fn, rows, _CLIP, _NOISE, _seeded(5)).double()
    noise = came - _by_directions(rows, _CLIP, 0.0, _seeded(5)).double()
    right = _NOISE * _CLIP / _BATCH
    without, where, all_of_it = (
        float(part.std()) / right for part in (noise[::2], noise[1::2], noise)
    )
    mean = float(noise.mean()) / right
    what, shown = f"noise of deviation {right:.4f} on the result", f"{all_of_it * right:.4f}"
    one = "All weights got the same number: draw P numbers, one per weight."
    require(all_of_it > 1e-3, what, "the same number for each weight", one)
    alike = "Weights without a gradient get the same noise as all others: it may not depend on the gradients."
    require(
        0.9 < without / max(where, 1e-9) < 1.1, "equal noise on all weights", "unequal noise", alike
    )
    zero = "The noise has a mean: `torch.rand` draws from 0 to 1; Gaussian numbers come from `torch.randn`."
    require(
        abs(mean) < 0.05 * all_of_it,
        f"noise of mean 0, deviation {right:.4f}",
        f"mean {mean * right:.4f}",
        zero,
    )
    fourth = float((noise / noise.std()).pow(4).mean())
    bell = "The noise is not Gaussian: take `torch.randn` or `torch.normal`."
    require(2.7 < fourth < 3.3, "a fourth moment of 3 (Gaussian)", f"{fourth:.2f}", bell)
    hint = "To the sum comes noise of standard deviation noise_multiplier * clip; then all is divided by B."
    for scale, text in _SCALES:
        hint = text if abs(all_of_it / scale - 1) < 0.025 else hint
    require(abs(all_of_it - 1) < 0.025, what, shown, hint)
