"""Exercise `first_break`: the first line of a derivation that does not follow from the one above it."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, call, require

Line = Callable[..., float]


def _break_by_pairs(lines: Sequence[Line], points: Sequence[tuple]) -> int | None:
    """The first line that differs from the one above it at any point."""
    for k in range(1, len(lines)):
        pairs = [(lines[k](*p), lines[k - 1](*p)) for p in points]
        if not all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in pairs):
            return k
    return None


def _v(p: float, q: float) -> float:
    return p * math.log(p / (p + q)) + q * math.log(q / (p + q))


_SYMMETRIC: list[Line] = [lambda p, q: p - q, lambda p, q: q - p, lambda p, q: -(p - q)]
_RETURNS: list[Line] = [lambda p, q: p, lambda p, q: p + 1, lambda p, q: p + 1, lambda p, q: p]
_ROUNDED: list[Line] = [lambda p, q: (0.1 + 0.2) * p, lambda p, q: 0.3 * p, lambda p, q: 0.3 * q]

_VALID: list[Line] = [
    _v,
    lambda p, q: (
        (p + q) * (p / (p + q) * math.log(p / (p + q)) + q / (p + q) * math.log(q / (p + q)))
    ),
]

_CROSSED: list[Line] = [lambda p, q: p - q, lambda p, q: q - p, lambda p, q: 4 - p]
_SIGNS: list[Line] = [lambda p, q: p + q, lambda p, q: q + p, lambda p, q: -p - q]
_CANCELLING: list[Line] = [lambda p, q: p - q, lambda p, q: q - p]
_ABOVE = "Count from 0, and give the line that does not follow: line 1 differs from line 0 here, so 1 and not 0."
_ONE = (
    "One number is asked for, the index of the first line that breaks: `return k` at once, no list."
)
_ENTRIES = "A point may have any number of entries: `line(*point)`."
_LENIENT = (
    "A small difference is one: allow for rounding only, a millionth of the value "
    "(`math.isclose` with `rel_tol=1e-6, abs_tol=1e-9`)."
)


def _off_by(difference: float, value: float) -> list[Line]:
    """A chain whose third line differs a little."""
    return [lambda p, q: value, lambda p, q: value, lambda p, q: value + difference]


_MISSED = (
    "The last line is larger or smaller than the one above it by 0.12, and was passed over. Are all lines compared, "
    "the last one too, and both directions, up to a millionth of the value?"
)
_SAYS = {"argument": _ENTRIES, "unpack": _ENTRIES}

_TRIALS: list[tuple[list[Line], list[tuple], str]] = [
    (
        _SYMMETRIC,
        [(0.5, 0.5), (0.2, 0.7)],
        "At the first point p = q, where much is equal that is not: a line holds only if it holds at *every* point.",
    ),
    (
        _RETURNS,
        [(0.5, 0.1), (0.3, 0.3)],
        "Two errors can cancel: the first and last line agree, the second is wrong.",
    ),
    (
        _ROUNDED,
        [(0.5, 0.1)],
        "0.1 + 0.2 is not 0.3 in floating point: allow for rounding, `math.isclose`.",
    ),
    (_VALID, [(0.5, 0.1), (0.3, 0.9)], "Every line follows here: the answer is None."),
    (
        _SYMMETRIC,
        [(0.2, 0.7), (0.5, 0.5), (0.1, 0.1)],
        "The chain breaks at the first point and holds at the later ones: a line holds only if it holds at *every* "
        "point, the first as well as the last.",
    ),
    (
        _SYMMETRIC,
        [(0.5, 0.5), (0.2, 0.7), (0.1, 0.1)],
        "The chain breaks at a point in the middle, and holds at the first and the last: go through all of them.",
    ),
    (
        _CROSSED,
        [(3.0, 3.0), (2.0, 5.0)],
        "Two lines break, each at another point: the first *line* is asked for. Lines in the outer loop, points "
        "in it.",
    ),
    (
        _CANCELLING,
        [(1.0, 2.0), (2.0, 1.0)],
        "What one point has too much the other has too little: compare at each point, not their sum or mean.",
    ),
    (_off_by(1e-3, 0.7), [(0.5, 0.1), (0.3, 0.9)], _LENIENT),
    (_off_by(1e-4, 1.0), [(0.3, 0.9)], _LENIENT),
    (_off_by(0.5, 1000.0), [(0.3, 0.9)], _LENIENT),
    (_off_by(2e-4, 1e-4), [(0.3, 0.9)], _LENIENT),
    (
        _SIGNS,
        [(0.5, 0.1), (0.3, 0.9)],
        "A line and its negative are not equal: no absolute values.",
    ),
    (
        [lambda x: 2 * x, lambda x: x + x, lambda x: x * x],
        [(2.0,), (3.0,)],
        _ENTRIES,
    ),
    (
        [lambda x, y, z: x * (y + z), lambda x, y, z: x * y + x * z, lambda x, y, z: x * y + z],
        [(1.0, 2.0, 3.0), (2.0, 2.0, 3.0)],
        _ENTRIES,
    ),
    (_RETURNS[:1], [(0.5, 0.1)], "One line alone cannot contradict anything: the answer is None."),
]


@case(_break_by_pairs)
def first_break(fn: Answer) -> None:
    """Check ``first_break(lines, points)``: index of the first line that differs from the one above, or None.

    Chains that break where p differs from q only, whose errors cancel, that differ by rounding, and sound ones.
    """
    for lines, points, hint in _TRIALS:
        expected = _break_by_pairs(lines, points)
        came = call(fn, lines, points, returns=False, says=_SAYS)  # None is an answer
        shown = f"{expected} for a chain of {len(lines)} lines"
        came = int(came) if isinstance(came, np.integer) else came
        late = came - expected if isinstance(came, int) and expected is not None else 0
        if isinstance(came, list | tuple):
            hint = _ONE
        elif came is None and lines is _ROUNDED:
            hint = _MISSED
        elif late == -1 and expected == 1:
            hint = _ABOVE
        elif late == 1 and lines is _SYMMETRIC:
            hint = "Count lines from 0: the answer is the index of the line that does not equal the one above it."
        elif late > 0 and lines is not _CROSSED:
            hint = "A later break came back: stop at the first one."
        require(came == expected and type(came) is type(expected), shown, repr(came), hint)
