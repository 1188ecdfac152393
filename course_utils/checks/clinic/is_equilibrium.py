"""Exercise `is_equilibrium`: whether losses and answers are those of the equilibrium."""

import math

import numpy as np
from torch import Tensor

from course_utils import results
from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, call, require


def _equilibrium_by_largest_gap(d_loss: float, g_loss: float, d_real: float, d_fake: float) -> bool:
    """D is undecided about everything, and both losses are what that makes them."""
    gaps = (d_real - 0.5, d_fake - 0.5, d_loss - 2 * math.log(2), g_loss - math.log(2))
    return max(map(abs, gaps)) < 0.15


_NEAR_REAL = (
    "D answers 1/2 to fakes, and the generator's loss is log 2, here too; but D is sure about real examples. At the "
    "equilibrium it answers 1/2 to *both*, and its loss is the sum of two log 2."
)

_EQUAL = (
    "D gives real and fake the *same* answer here, but it is not 1/2: that D(x) equals D(G(z)) is not enough. "
    "Compare each with 1/2."
)

_STATES: list[tuple[str, tuple[float, ...] | None, bool, str]] = [
    ("the equilibrium itself", (2 * math.log(2), math.log(2), 0.5, 0.5), True,
     "D's loss is the sum of two means: 2 log 2 = 1.386 where D says 1/2 to all."),
    ("no_detach", None, False, _NEAR_REAL),
    ("stale", None, False, _NEAR_REAL),
    ("joint", None, False, _NEAR_REAL),
    ("a D that leads", (0.446, 1.609, 0.8, 0.2), False,
     "The *mean* of D(x) and D(G(z)) is 1/2 whenever D is as sure of the one as of the other: look at each."),
    ("caught", None, False, "D tells everything apart here: D(x) = 1 and D(G(z)) = 0."),
    ("a generator ahead", (1.378, 0.329, 0.9, 0.72), False,
     "D's loss is 1.38 here by chance: it calls everything real, fakes included. Look at its answers."),
    ("a D that calls all real", (2.408, 0.105, 0.9, 0.9), False, _EQUAL),
    ("a D that calls all fake", (2.408, 2.303, 0.1, 0.1), False, _EQUAL),
    ("nearly half", (1.54, 0.37, 0.69, 0.69), False, _EQUAL),
    ("a D that is sure and wrong", (4.61, 2.31, 0.5, 0.5), False,
     "The answers' *means* are 1/2 here, but D is sure of each and wrong about half: the losses tell."),
    ("a D that is sure and wrong about real examples", (3.0, 0.69, 0.5, 0.5), False,
     "D is sure of each real example and wrong about half: the *mean* of its answers is 1/2, its loss is not 2 log 2."),
    ("losses that agree", (1.39, 0.69, 0.82, 0.62), False,
     "Both losses are the equilibrium's here, and D is not undecided: look at D(x) and D(G(z)) as well."),
    ("a healthy end", (1.34, 0.74, 0.53, 0.48), True,
     "A run wobbles around its equilibrium: allow about 0.1 on each side."),
    ("right", None, True, "This is the mean of five healthy runs at their end: allow about 0.1 on each side."),
]  # fmt: skip


@case(_equilibrium_by_largest_gap)
def is_equilibrium(fn: Answer) -> None:
    """Check ``is_equilibrium(d_loss, g_loss, d_real, d_fake)`` -> bool.

    Recorded ends of runs (``gan_traces.json``), the equilibrium itself, and states that share one sign with it.
    """
    toy = results.read("gan_traces.json")["toy"]
    for name, numbers, expected, hint in _STATES:
        row = numbers or tuple(toy[name][key] for key in ("d_loss", "g_loss", "d_real", "d_fake"))
        came = call(fn, *row)
        single = isinstance(came, Tensor | np.ndarray) and math.prod(came.shape) == 1
        yes_or_no = isinstance(came, bool | np.bool_) or single
        require(yes_or_no, "True or False", came, "A bool.")
        shown = f"D's loss {row[0]:.2f}, G's {row[1]:.2f}, D(x) {row[2]:.2f}, D(G(z)) {row[3]:.2f}"
        require(bool(came) is expected, f"{expected} for {shown}", f"{bool(came)}", hint)
