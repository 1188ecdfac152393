"""Exercise `optimal_discriminator`: the best answer of a discriminator, from both densities."""

import math

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, require


def _best_by_odds(p_data: Tensor, p_g: Tensor) -> Tensor:
    """D* as the sigmoid of its log odds."""
    p, q = torch.as_tensor(p_data), torch.as_tensor(p_g)
    return torch.where((p == 0) & (q == 0), 0.5, torch.sigmoid(torch.log(p) - torch.log(q)))


_PLAIN = "0/0 is NaN: where both densities are 0 nothing is ever asked, and the answer is fixed to 0.5 there."

_MISTAKES: list[Wrong] = [
    (
        lambda p, q: _best_by_odds(q, p),
        "The roles are swapped: this is the probability of *fake*.",
    ),
    (
        lambda p, q: p / q,
        "This is the ratio of the densities, which has no upper bound; divide by their sum.",
    ),
    (
        lambda p, q: q / p,
        "This is the inverse ratio of the densities; divide p_data by the sum of both.",
    ),
    (
        lambda p, q: (p > q).to(p.dtype),
        "A hard decision is the best answer to a game without logarithms; with them the best answer is a probability.",
    ),
    (
        lambda p, q: 2 * _best_by_odds(p, q),
        "The mixture was halved: D* divides by the sum, not by the mean.",
    ),
    (
        lambda p, q: torch.nan_to_num(p / (p + q)),
        "Where both densities are 0 the answer is fixed to 0.5, not to 0.",
    ),
    (
        lambda p, q: torch.nan_to_num(p / (p + q), nan=1.0),
        "Where both densities are 0 the answer is 0.5, not 1.",
    ),
    (lambda p, q: p / (p + q), _PLAIN),
    (
        lambda p, q: torch.where(q == 0, 0.5, p / (p + q)),
        "Where only p_g is 0 there is no doubt, and D* is 1: the 0.5 is for points where *both* are 0.",
    ),
    (
        lambda p, q: torch.where(p == 0, 0.5, p / (p + q)),
        "Where only p_data is 0 there is no doubt, and D* is 0: the 0.5 is for points where *both* are 0.",
    ),
    (
        lambda p, q: torch.where((p == 0) | (q == 0), 0.5, p / (p + q)),
        "Where only one of them is 0 there is no doubt: the 0.5 is for points where *both* are 0.",
    ),
    (
        lambda p, q: p - q,
        "A difference of densities is no probability: which share of the mass at x is real?",
    ),
]

_DIGITS = (
    "Right to a few digits only, and log D* needs more: no float32 where the densities are float64, nothing "
    "added, and no 1 - almost 1. p_data / (p_data + p_g) itself keeps them."
)
_WORKED = (
    "One point, densities 0.6 and 0.2: p log d + q log(1 - d) has the slope 0.6 / d - 0.2 / (1 - d), which is 0 at "
    "d = 0.6 / 0.8 = 0.75."
)
_ADDED = "A small number in the denominator spoils the answer where both densities are small; treat only 0/0 apart."


@exercise(_best_by_odds)
def optimal_discriminator(fn: Answer) -> None:
    """Check ``optimal_discriminator(p_data, p_g)``: densities of the same shape -> D* of that shape."""
    cases = (
        (
            torch.tensor([0.6, 0.1, 0.05, 2.5, 0.0, 0.9]),
            torch.tensor([0.2, 0.3, 0.75, 0.5, 0.4, 0.0]),
        ),
        (
            torch.tensor([[0.0, 0.3], [1e-9, 0.0], [0.7, 0.2]]),
            torch.tensor([[0.0, 0.1], [3e-9, 0.0], [0.7, 0.6]]),
        ),
        (
            torch.tensor([1e-30, 4e-20, 0.8], dtype=torch.float64),
            torch.tensor([3e-30, 1e-20, 0.1], dtype=torch.float64),
        ),
    )
    for p, q in cases:
        got = call(fn, p, q)
        what = f"one answer a point, shape {tuple(p.shape)}"
        shaped = hasattr(got, "shape") and tuple(got.shape) == tuple(p.shape)
        require(shaped, what, got, "Work entry by entry.")
        both, expected = (p == 0) & (q == 0), _best_by_odds(p, q)
        got = torch.as_tensor(got)
        require(not got[both].isnan().any(), "0.5 where both densities are 0", "NaN", _PLAIN)
        hint = _hint_if_small(got, expected, p + q)
        expect_close(got, expected, "D*", inputs=(p, q), wrong=_MISTAKES, hint=hint)
    _expect_all_digits(fn)


def _expect_all_digits(fn: Answer) -> None:
    """Two normal densities, far apart: the integral of the lesson takes logarithms of D* and of 1 - D*."""
    x = torch.linspace(-30, 30, 401, dtype=torch.float64)
    for shift in (0.0, 4.0, 20.0):
        p, q = (torch.exp(-0.5 * (x - m) ** 2) / math.sqrt(2 * math.pi) for m in (0.0, shift))
        for pair in ((p, q), (q, p)):
            got, expected = call(fn, *pair), _best_by_odds(*pair)
            what = "D* for float64 densities, in all its digits"
            expect_close(got, expected, what, hint=_DIGITS, atol=1e-300, rtol=1e-9)


def _hint_if_small(got: Tensor, expected: Tensor, total: Tensor) -> str:
    large = total > 1e-3
    right_where_large = torch.allclose(got[large].double(), expected[large].double(), atol=1e-3)
    return _ADDED if right_where_large else _WORKED
