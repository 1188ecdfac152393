"""Exercise `value_by_quadrature`: the value of the game against the best discriminator, as a sum over a grid."""

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


def _value_by_entropies(p: Tensor, q: Tensor, dx: float) -> Tensor:
    """Entropy of p + q minus both entropies: V at D*, in nats, without D*."""
    p, q = torch.as_tensor(p), torch.as_tensor(q)
    of_p, of_q, of_both = (torch.special.xlogy(d, d).sum() * dx for d in (p, q, p + q))
    return of_p + of_q - of_both


def _best(p: Tensor, q: Tensor) -> Tensor:
    return torch.nan_to_num(p / (p + q), nan=0.5)


def _value(p: Tensor, q: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """The sum over the grid for these probabilities of "real" at real points and of "fake" at fakes."""
    return (torch.xlogy(p, real) + torch.xlogy(q, fake)).sum()


_CIRCLE = (
    "This is the right side, -2 log 2 + 2 JSD. Compared with itself it proves nothing: put D* into V, with "
    "`optimal_discriminator`."
)
_SWAPPED = (
    "D and 1 - D are exchanged: log D belongs to p, the data, and log(1 - D) to q, the fakes."
)
_FAR = (
    "Where D* is almost 1, `1 - D*` is rounded to 0, and its logarithm is minus infinity. 1 - D* is a best answer too, "
    "in the game where p and q trade places: optimal_discriminator(q, p)."
)
_ZEROS = "0 * log(0) is NaN in floating point and counts as 0 here: `torch.xlogy(p, d)` is p log d."

_MISTAKES: list[Wrong] = [
    (
        lambda p, q, dx: _value_by_entropies(p, q, dx) + ((p + q).sum() * dx - 2) * math.log(2),
        _CIRCLE,
    ),
    (lambda p, q, dx: _value(p, q, _best(q, p), _best(p, q)) * dx, _SWAPPED),
    (
        lambda p, q, dx: -_value_by_entropies(p, q, dx),
        "This is -V, the discriminator's loss; asked for is V itself.",
    ),
    (
        lambda p, q, dx: _value(p, q, _best(p, q), torch.ones_like(p)) * dx,
        "The second term is missing: the mean of log(1 - D) over the fakes.",
    ),
    (
        lambda p, q, dx: _value(p, q, _best(p, q), _best(p, q)) * dx,
        "Both terms have log D: the fakes' is log(1 - D).",
    ),
    (
        lambda p, q, dx: _value(p, q, _best(p, q), _best(q, p)),
        "The spacing dx is missing: an integral is a sum times dx.",
    ),
    (
        lambda p, q, dx: _value(p, q, _best(p, q), _best(q, p)) / p.numel(),
        "A mean over the grid is not an integral: sum, times dx.",
    ),
    (
        lambda p, q, dx: (_best(p, q).log() + _best(q, p).log()).sum() * dx,
        "The densities are missing: a mean over draws from p is the integral of p times what is averaged.",
    ),
    (
        lambda p, q, dx: _value(p, q, _best(p, q), _best(q, p)) * dx / 2,
        "V is the sum of both means, not their mean: leave out the factor 1/2.",
    ),
    (
        lambda p, q, dx: _value_by_entropies(p, q, dx) / math.log(2),
        "These are bits (log base 2), not nats.",
    ),
    (
        lambda p, q, dx: _value(p, q, torch.full_like(p, 0.5), torch.full_like(q, 0.5)) * dx,
        "This is V of a D that answers 1/2 everywhere; asked for is the best D against these two densities.",
    ),
    (
        lambda p, q, dx: (_value_by_entropies(p, q, dx) + 2 * math.log(2)) / 2,
        "This is the JSD; asked for is V, from D* itself.",
    ),
]
_WORKED = (
    "One grid point: p = 0.6, q = 0.2 have D* = 0.75 and give 0.6 log 0.75 + 0.2 log 0.25 = -0.45. Then the sum, times "
    "dx."
)


@exercise(_value_by_entropies)
def value_by_quadrature(fn: Answer) -> None:
    """Check ``value_by_quadrature(p, q, dx)``: V(D*, G) in nats, a number, for densities (N,) on a grid."""
    x = torch.linspace(-12, 12, 481, dtype=torch.float64)  # spacing 0.05
    wide, narrow = _normal(x, -1.0, 2.0), _normal(x, 0.5, 1.0)
    cut = x.abs() < 1  # the mass of two densities that leave the grid is not 2
    for p, q in (
        (wide, narrow),
        (narrow[cut], wide[cut]),
        (narrow[::4].float(), wide[::4].float()),
    ):
        dx = 0.05 if p.dtype == torch.float64 else 0.2
        _expect_value(fn, p, q, dx)
    here, there = (x < -2).double() / 10, (x > 2).double() / 10
    with hinting(_ZEROS):  # both are 0 in between
        _expect_value(fn, here, there, 0.05)
    far = torch.linspace(-30, 30, 1201, dtype=torch.float64)
    for shift in (4.0, 20.0):
        with hinting(_FAR):
            _expect_value(fn, _normal(far, 0.0, 1.0), _normal(far, shift, 1.0), 0.05, 2e-10)


def _normal(x: Tensor, mean: float, std: float) -> Tensor:
    return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def _expect_value(fn: Answer, p: Tensor, q: Tensor, dx: float, atol: float = 2e-6) -> None:
    got = call(fn, p, q, dx)
    if isinstance(got, float):
        got = torch.tensor(got, dtype=torch.float64)  # with all its digits
    infinite = isinstance(got, Tensor) and bool(got.isinf().any())
    require(not infinite, "a finite V", got, _FAR)
    expect_number(got, "V")
    right, inputs = _value_by_entropies(p, q, dx), (p, q, dx)
    expect_close(got, right, "V", inputs=inputs, wrong=_MISTAKES, hint=_WORKED, atol=atol, rtol=0)
