"""Exercise `js_divergence`: the Jensen-Shannon divergence of two densities on a grid."""

import math

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_number,
    hinting,
    require,
)


def _js_by_entropies(p: Tensor, q: Tensor, dx: float) -> Tensor:
    """Entropy of the mixture minus the mean of the entropies, in nats."""
    p, q = torch.as_tensor(p), torch.as_tensor(q)
    h_p, h_q, h_m = (-torch.special.xlogy(d, d).sum() * dx for d in (p, q, (p + q) / 2))
    return h_m - (h_p + h_q) / 2


def _kl(p: Tensor, q: Tensor, dx: float) -> Tensor:
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum() * dx


_MIXTURE = "The mixture must be halved: p + q has mass 2 and is not a density. m = (p + q) / 2."

_MISTAKES: list[Wrong] = [
    (
        _kl,
        "This is KL(p || q): asymmetric, and infinite where q is 0. JSD compares each with the mixture m.",
    ),
    (
        lambda p, q, dx: _kl(q, p, dx),
        "This is KL(q || p): asymmetric, infinite where p is 0. JSD uses the mixture m.",
    ),
    (
        lambda p, q, dx: (_kl(p, q, dx) + _kl(q, p, dx)) / 2,
        "This is Jeffreys' divergence: the mixture m is missing.",
    ),
    (
        lambda p, q, dx: 2 * _js_by_entropies(p, q, dx),
        "The half in front of the two KL divergences is missing.",
    ),
    (lambda p, q, dx: (_kl(p, p + q, dx) + _kl(q, p + q, dx)) / 2, _MIXTURE),
    (
        lambda p, q, dx: _kl(p, p + q, dx) + _kl(q, p + q, dx),
        "This is the value of the game, -2 log 2 + 2 JSD: the mixture was not halved, and neither was the sum.",
    ),
    (
        lambda p, q, dx: _js_by_entropies(p, q, dx) / math.log(2),
        "These are bits (log base 2), not nats.",
    ),
    (
        lambda p, q, dx: _js_by_entropies(p, q, 1.0),
        "The spacing dx is missing: an integral is a sum times dx.",
    ),
    (
        lambda p, q, dx: _js_by_entropies(p, q, 1.0) / p.numel(),
        "A mean is not an integral: sum, times dx.",
    ),
    (
        lambda p, q, dx: _js_by_entropies(p, q, dx).clamp(min=0).sqrt(),
        "This is the square root of the JSD.",
    ),
    (
        lambda p, q, dx: _kl(p, (p + q) / 2, dx),
        "Only KL(p || m) is here: JSD is the mean with KL(q || m).",
    ),
    (lambda p, q, dx: _kl(p, (p + q) / 2, dx) / 2, "The second half, KL(q || m) / 2, is missing."),
    (
        lambda p, q, dx: (_kl((p + q) / 2, p, dx) + _kl((p + q) / 2, q, dx)) / 2,
        "Both KL divergences run from m to a density: the other way round, KL(p || m) and KL(q || m).",
    ),
    (
        lambda p, q, dx: -_js_by_entropies(p, q, dx),
        "The sign is wrong: a divergence is never negative.",
    ),
    (
        lambda p, q, dx: (p - q).abs().sum() * dx / 2,
        "This is the total variation distance; JSD has logarithms.",
    ),
]

_ZEROS = "0 log 0 counts as 0, but 0 * log(0) is NaN in floating point: torch.xlogy knows the rule."


_WORKED = (
    "One grid point: p = 0.4, q = 0.1 have m = 0.25 and give (0.4 log(0.4 / 0.25) + 0.1 log(0.1 / 0.25)) / 2 = 0.0482: "
    "each KL goes from a density *to* m. Then the sum, times dx."
)
_DIGITS = (
    "Right to a few digits only: no float32 where the densities are float64, and no small number inside the "
    "logarithms."
)


@exercise(_js_by_entropies)
def js_divergence(fn: Answer) -> None:
    """Check ``js_divergence(p, q, dx)``: scalar in nats."""
    x = torch.linspace(-12, 12, 481, dtype=torch.float64)  # spacing 0.05

    def normal(mean: float, std: float) -> Tensor:
        return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))

    def box(start: int, cells: int) -> Tensor:
        density = torch.zeros_like(x)
        density[start : start + cells] = 1 / (cells * 0.05)
        return density

    coarse = normal(0.5, 1.0)[::4], normal(-1.0, 2.0)[::4]
    cases = (
        (normal(0.0, 1.0), normal(1.5, 0.7), 0.05),
        (*coarse, 0.2),
        (box(100, 60), box(130, 90), 0.05),
        (box(100, 60), box(300, 20), 0.05),
        (box(100, 60).float(), box(100, 60).float(), 0.05),
    )
    for p, q, dx in cases:
        _expect_divergence(fn, p, q, dx)
    fine = torch.linspace(-30, 30, 1201, dtype=torch.float64)
    for shift in (0.0, 4.0, 20.0):
        p, q = (torch.exp(-0.5 * (fine - m) ** 2) / math.sqrt(2 * math.pi) for m in (0.0, shift))
        got, right = call(fn, p, q, 0.05), _js_by_entropies(p, q, 0.05)
        what = "JSD of float64 densities, to ten digits"
        got = torch.tensor(got, dtype=torch.float64) if isinstance(got, float) else got
        with hinting(_DIGITS):
            expect_close(got, right, what, atol=2e-10, rtol=0)


def _expect_divergence(fn: Answer, p: Tensor, q: Tensor, dx: float) -> None:
    got = call(fn, p, q, dx)
    number = got if type(got) in (int, float) else torch.as_tensor(got)
    bad = isinstance(number, Tensor) and number.dim() == 0 and number.isnan()
    require(not bad, "a number where densities are 0", "NaN", _ZEROS)
    expect_number(got, "JSD")
    right, how = _js_by_entropies(p, q, dx), {"hint": _WORKED, "atol": 2e-6}
    expect_close(got, right, "JSD", inputs=(p, q, dx), wrong=_MISTAKES, **how)
