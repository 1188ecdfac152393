"""Exercise `wilson_interval`: Wilson's interval for a share, from counts."""

import math

import numpy as np
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_number,
    require,
)

Ends = tuple[float, float]


def _interval_by_roots(correct: int, total: int, z: float) -> tuple[float, float]:
    """The shares x that are just z of their own standard errors away: (correct/total - x)^2 = z^2 x (1 - x) / total."""
    p, s = correct / total, z * z / total
    low, high = sorted(np.roots([1 + s, -(2 * p + s), p * p]).real.clip(0, 1))
    return float(low), float(high)


def _around(centre: float, half: float) -> Ends:
    return centre - half, centre + half


def _pieces(
    c: int,
    n: int,
    z: float,
    *,
    front: float | None = None,
    squared: float | None = None,
    rest: float | None = None,
) -> Ends:
    """Wilson's centre and half width, with what stands before the root, z^2 or the root's second term exchanged."""
    p, s = c / n, (z * z if squared is None else squared) / n
    rest = s / (4 * n) if rest is None else rest
    front = z if front is None else front
    return (p + s / 2) / (1 + s), front / (1 + s) * math.sqrt(p * (1 - p) / n + rest)


def _wilson(c: int, n: int, z: float) -> Ends:
    return _around(*_pieces(c, n, z))


def _scaled(c: int, n: int, z: float, centre: float = 1.0, half: float = 1.0) -> Ends:
    middle, width = _pieces(c, n, z)
    return _around(centre * middle, half * width)


def _wald_half(c: int, n: int, z: float) -> float:
    return z * math.sqrt(c / n * (1 - c / n) / n)


def _wald(c: int, n: int, z: float) -> Ends:
    return _around(c / n, _wald_half(c, n, z))


def _clipped(ends: Ends) -> Ends:
    return max(0.0, ends[0]), min(1.0, ends[1])


def _agresti_coull(c: int, n: int, z: float) -> Ends:
    trials = n + z * z
    p = (c + z * z / 2) / trials
    return _around(p, z * math.sqrt(p * (1 - p) / trials))


def _continuity(c: int, n: int, z: float) -> Ends:
    p, ends = c / n, []
    for sign in (-1, 1):
        root = z * math.sqrt(z * z - 1 / n + 4 * n * p * (1 - p) - sign * (4 * p - 2)) + 1
        ends.append((2 * n * p + z * z + sign * root) / (2 * (n + z * z)))
    return ends[0], ends[1]


def _by_beta(c: int, n: int, z: float, prior: float) -> Ends:
    """Clopper and Pearson's interval with ``prior`` 0, that of Jeffreys with one half."""
    from scipy.stats import beta  # slow to import, and only a wrong answer gets here

    tail = 0.5 * math.erfc(z / math.sqrt(2))
    low = beta.ppf(tail, c + prior, n - c + 1 - prior)
    return float(low), float(beta.ppf(1 - tail, c + 1 - prior, n - c + prior))


_CLIPPED = "This is Wald's interval, clipped to [0, 1]: at 10 right of 10 it would claim 100 % with certainty."
_WIDER = "This is the interval of Agresti and Coull: Wilson's centre, but with a wider half width."

_CORRECTED = (
    "This is Wilson's interval with the correction for continuity; the plain one is asked for."
)

_ONE_SIDE = "Only one side is bounded here: both ends are asked for, with the same z."

_PLAIN_Z = (
    "z stands where z^2 belongs: it is squared inside the root and in both fractions z^2 / n."
)

_BELOW = "Without brackets `a / {0}` is (a / {1}) {2}: put all that stands below the line in brackets, `a / ({0})`."


def _below(line: str, first: str, rest: str) -> str:
    return _BELOW.format(line, first, rest)


def _root(c: int, n: int, z: float) -> float:
    return math.sqrt(c / n * (1 - c / n) / n + z * z / (4 * n * n))


_MISTAKES: list[Wrong] = [
    (
        _wald,
        "This is Wald's interval, z standard errors to each side: it can leave [0, 1], and has no width at p = 1.",
    ),
    (lambda c, n, z: _clipped(_wald(c, n, z)), _CLIPPED),
    (_agresti_coull, _WIDER),
    (_continuity, _CORRECTED),
    (lambda c, n, z: _clipped(_continuity(c, n, z)), _CORRECTED),
    (
        lambda c, n, z: _by_beta(c, n, z, 0.0),
        "This is the exact interval of Clopper and Pearson: from quantiles of Beta, and wider than Wilson's.",
    ),
    (
        lambda c, n, z: _by_beta(c, n, z, 0.5),
        "This is the interval of Jeffreys, from a Beta prior: near Wilson's, but another one.",
    ),
    (_pieces, "These are the centre and the half width. Asked for are the two ends."),
    (lambda c, n, z: _wilson(c, n, z)[::-1], "The ends are exchanged: the order is (low, high)."),
    (
        lambda c, n, z: _scaled(c, n, z, 100, 100),
        "These are per cent: return shares between 0 and 1.",
    ),
    (
        lambda c, n, z: _scaled(c, n, z, n, n),
        "These are counts: the interval is one for the share, between 0 and 1.",
    ),
    (
        lambda c, n, z: _scaled(c, n, z, half=0.5),
        "Half as wide as it should be: the half width goes to either side, whole.",
    ),
    (
        lambda c, n, z: _scaled(c, n, z, half=2.0),
        "Twice as wide as it should be. Is the 2 of a formula for half the width lost?",
    ),
    (lambda c, n, z: (_wilson(c, n, z)[0], 1.0), _ONE_SIDE),
    (lambda c, n, z: (0.0, _wilson(c, n, z)[1]), _ONE_SIDE),
    (
        lambda c, n, z: _around(c / n, _pieces(c, n, z)[1]),
        "Wilson's half width, but around the share itself: his centre is pulled towards one half.",
    ),
    (
        lambda c, n, z: _around(_pieces(c, n, z)[0], _wald_half(c, n, z)),
        "Wilson's centre, but Wald's half width, which is 0 when every answer is right.",
    ),
    (
        lambda c, n, z: _around(*_pieces(c, n, z, rest=0.0)),
        "The root lacks its second term: without it the interval has no width when every answer is right.",
    ),
    (
        lambda c, n, z: _scaled(c, n, z, half=1 + z * z / n),
        "The half width is not divided by 1 + z^2 / n; the centre is.",
    ),
    (
        lambda c, n, z: _scaled(c, n, z, centre=1 + z * z / n),
        "The centre is not divided by 1 + z^2 / n; the half width is.",
    ),
    (
        lambda c, n, z: _scaled(c, n, z, 1 + z * z / n, 1 + z * z / n),
        "Nothing is divided by 1 + z^2 / n: the upper end can then be larger than 1.",
    ),
    (
        lambda c, n, z: _around(*_pieces(c, n, z, front=1.0)),
        "z is missing before the root: the interval would hardly grow with how sure you want to be.",
    ),
    (
        lambda c, n, z: _around((c / n + z * z / n) / (1 + z * z / n), _pieces(c, n, z)[1]),
        "The centre moves too far: z^2 / n is halved there, since half of the added trials count as right.",
    ),
    (
        lambda c, n, z: _around(*_pieces(c, n, z, rest=z * z / (4 * n))),
        "Inside the root the second term has n squared below: compare the units with p (1 - p) / n.",
    ),
    (
        lambda c, n, z: _around(*_pieces(c, n, z, rest=z * z / n**2)),
        "Inside the root the second term lacks its 4.",
    ),
    (lambda c, n, z: _around(*_pieces(c, n, z, rest=z / (4 * n * n))), _PLAIN_Z),
    (lambda c, n, z: _around(*_pieces(c, n, z, squared=z)), _PLAIN_Z),
    (lambda c, n, z: _around(*_pieces(c, n, z, squared=z, rest=z * z / (4 * n * n))), _PLAIN_Z),
    (
        lambda c, n, z: _around(*_pieces(c, n, z, front=z * z)),
        "z^2 stands before the root, where z belongs: there it counts standard deviations.",
    ),
    *[
        (slip, _below("1 + z**2 / n", "1", "+ z**2 / n"))
        for slip in (
            lambda c, n, z: _scaled(c, n, z, (1 + z * z / n) ** 2, (1 + z * z / n) ** 2),
            lambda c, n, z: _around(c / n + 1.5 * z * z / n, z * _root(c, n, z) + z * z / n),
            lambda c, n, z: _around(c / n + 1.5 * z * z / n, _pieces(c, n, z)[1]),
            lambda c, n, z: _around(_pieces(c, n, z)[0], z * _root(c, n, z) + z * z / n),
            lambda c, n, z: _around(_pieces(c, n, z)[0], z + z * z / n * _root(c, n, z)),
            lambda c, n, z: _around(c / n + 1.5 * z * z / n, z + z * z / n * _root(c, n, z)),
            lambda c, n, z: _around(
                1 + z * z / n * (c / n + z * z / (2 * n)), 1 + z * z / n * z * _root(c, n, z)
            ),
            lambda c, n, z: (
                c / n + z * z / (2 * n) - z * _root(c, n, z) + z * z / n,
                c / n + z * z / (2 * n) + z * _root(c, n, z) + z * z / n,
            ),
        )
    ],
    *[
        (
            lambda c, n, z, rest=rest: _around(*_pieces(c, n, z, rest=rest(n, z))),
            _below("4 * n**2", "4", "* n**2"),
        )
        for rest in (
            lambda n, z: z * z / 4 * n * n,
            lambda n, z: z * z / 4 / n * n,
            lambda n, z: z * z / 4 * n,
        )
    ],
    (
        lambda c, n, z: _around((c / n + z * z / 2 * n) / (1 + z * z / n), _pieces(c, n, z)[1]),
        _below("2 * n", "2", "* n"),
    ),
    (
        lambda c, n, z: _wilson(c, n, 1.96),
        "This is the interval for z = 1.96, whatever z is: use the argument.",
    ),
    (
        lambda c, n, z: _wilson(c, n, 1.0),
        "This is the interval for z = 1, whatever z is: use the argument.",
    ),
    (
        lambda c, n, z: _wilson(n - c, n, z),
        "This is the interval for the share of wrong answers: p = correct / total.",
    ),
]

# The first case tells all the mistakes apart: z, z^2 and 2z differ, and Wald's interval leaves [0, 1].
_CASES = (
    (9, 10, 1.5),
    (3, 11, 2.576),
    (10, 10, 1.96),
    (0, 10, 1.96),
    (1, 1, 1.0),
    (0, 1, 2.0),
    (21_860, 25_000, 1.96),
)


@exercise(_interval_by_roots)
def wilson_interval(fn: Answer) -> None:
    """Check ``wilson_interval(correct, total, z)`` -> (low, high) of a share."""
    hint = "Take it apart: the centre, what stands before the root, the root's two terms, the division."
    for case in _CASES:
        what, got = f"wilson_interval{case}", call(fn, *case)
        pair = type(got) in (tuple, list) and len(got) == 2
        pair = pair or (type(got) in (Tensor, np.ndarray) and tuple(got.shape) == (2,))
        both = "Return both ends: `return low, high`."
        require(pair, f"{what}: two numbers (low, high)", got, both)
        ends = [
            expect_number(end, f"{what}: the {name} end")
            for name, end in zip(("low", "high"), got, strict=True)
        ]
        ours = np.array(_interval_by_roots(*case))
        expect_close(np.array(ends), ours, what, inputs=case, wrong=_MISTAKES, hint=hint, rtol=1e-6)
