"""Exercise `warmup_linear`: the learning rate's multiplier, which rises in a straight line and falls in another."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from course_utils.checks.core import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_number,
    require,
)

Schedule = Callable[[int, int, int], float]


def _schedule_by_corners(step: int, warmup_steps: int, total_steps: int) -> float:
    """The straight lines between (0, 0), (warm-up, 1) and (end, 0)."""
    corners = {0: 0.0, total_steps: 0.0}
    corners[warmup_steps] = 1.0  # where two fall together, the peak stays
    steps = sorted(corners)
    return float(np.interp(step, steps, [corners[at] for at in steps], right=0.0))


def _after(down: Schedule) -> Schedule:
    """A right warm-up, then something else."""
    return lambda s, w, t: s / w if s < w else down(s, w, t)


def _before(up: Schedule) -> Schedule:
    """Something else, then a right descent."""
    return lambda s, w, t: up(s, w, t) if s < w else max(0.0, (t - s) / (t - w))


_MISTAKES: list[Wrong] = [
    (
        _after(lambda s, w, t: (t - s) / (t - w)),
        "Negative after the last step: the optimiser would climb the loss. What is the least it may be?",
    ),
    (
        _after(lambda s, w, t: max(0.0, (t - s) / t)),
        "A jump at the peak: the way down is counted from step 0. It starts at 1, where the warm-up ends.",
    ),
    (
        _after(lambda s, w, t: max(0.0, 1 - (s - w) / t)),
        "The descent takes total_steps more; total_steps counts the warm-up too, so 0 is reached earlier.",
    ),
    (
        _before(lambda s, w, t: (s + 1) / w),
        "One step early: step 0 gives 0, and 1 is reached at step == warmup_steps, not before.",
    ),
    (
        _before(lambda s, w, t: (s + 1) / (w + 1)),
        "Step 0 has the multiplier 0: from there it is warmup_steps equal steps up to 1, not one more.",
    ),
    (
        _before(lambda s, w, t: s / (w + 1)),
        "The ramp ends below 1 and then jumps: how many steps lie between step 0 and step warmup_steps?",
    ),
    (
        _before(lambda s, w, t: s / t),
        "The ramp is divided by all steps; it has only the warm-up's steps to reach 1.",
    ),
    (
        _before(lambda s, w, t: 1.0),
        "No ramp: the full rate from step 0 on is what warm-up is there to avoid.",
    ),
    (
        lambda s, w, t: max(0.0, (t - s) / t),
        "There is no warm-up here: it starts at 1 and only falls. Which steps are to rise?",
    ),
    (
        _before(lambda s, w, t: 1 - s / w),
        "The warm-up runs downwards: it starts cold, with 0.",
    ),
    (
        _after(lambda s, w, t: 1.0),
        "After the warm-up it stays at 1: it has to fall to 0 by the last step.",
    ),
    (
        _after(lambda s, w, t: 1.0 if s < t else 0.0),
        "After the warm-up it stays at 1 and drops at the end: it has to fall evenly, a little at each step.",
    ),
    (
        _after(lambda s, w, t: (w / s) ** 0.5),
        "This falls with the inverse square root (the first Transformer's schedule) and never reaches 0.",
    ),
    (
        _after(lambda s, w, t: 0.5 * (1 + math.cos(math.pi * min(1.0, (s - w) / (t - w))))),
        "This descent is half a cosine: right at both ends, but not a straight line.",
    ),
    (
        lambda s, w, t: s // w if s < w else max(0, (t - s) // (t - w)),
        "`//` divides without a rest, so nearly every multiplier is 0: use `/`.",
    ),
    (
        _after(lambda s, w, t: max(0.0, (t - 1 - s) / (t - 1 - w))),
        "0 one step too early: the last step trained is total_steps - 1, and it must still move the weights.",
    ),
    (
        _after(lambda s, w, t: abs(t - s) / (t - w)),
        "It rises again after the last step: from total_steps on it is 0.",
    ),
    (
        _after(lambda s, w, t: min(1.0, max(0.0, (s - w) / (t - w)))),
        "After the peak it falls to 0 at once and rises to 1 at the end: count the steps that are left.",
    ),
]

# The first schedule tells all the mistakes apart.
_SCHEDULES = ((4, 20), (1, 7), (100, 1000), (6, 7), (0, 10), (5, 5))


@exercise(_schedule_by_corners)
def warmup_linear(fn: Answer) -> None:
    """Check ``warmup_linear(step, warmup_steps, total_steps)``: ints -> multiplier in [0, 1]."""
    for warmup, total in _SCHEDULES:
        # Where the peak is the end, 1 as the end of the warm-up and 0 as the end of all are both right.
        peak_is_end = warmup == total
        steps = [*range(0, total + 4, 1 if total < 100 else 25)]
        steps = [step for step in steps if not (peak_is_end and step == total)]
        what = f"the multiplier with warmup_steps={warmup}, total_steps={total}"
        nothing = "All steps are warm-up here: the way down has no steps to divide by, and after the end it is 0."
        if not warmup:
            nothing = "Without warm-up there are no steps to divide by: step 0 has the full rate."
        got = [_multiplier(fn, step, warmup, total, nothing) for step in steps]
        expected = np.array([_schedule_by_corners(step, warmup, total) for step in steps])
        peak = got[min(len(got) - 1, steps.index(warmup) if warmup in steps else 0)]
        rate = "The shape is right, the size is not: return the multiplier, up to 1. Who calls it multiplies the rate."
        wrong = [(_whole(schedule, steps), hint) for schedule, hint in _MISTAKES]
        wrong.append((lambda w, t, e=expected, p=peak: e * p if p else None, rate))
        by_hand = "Draw it: two straight lines that meet at (warmup_steps, 1)."
        by_hand = nothing if warmup in (0, total) else by_hand
        _expect_steps(steps, got, expected, what, inputs=(warmup, total), wrong=wrong, hint=by_hand)
        if peak_is_end:
            last = _multiplier(fn, total, warmup, total, nothing)
            expected_there = "0 or 1 where the warm-up's end is the end of all"
            require(min(abs(last), abs(last - 1)) < 1e-6, expected_there, last, nothing)


def _multiplier(fn: Answer, step: int, warmup: int, total: int, divided: str) -> float:
    got = call(fn, step, warmup, total, says={"ZeroDivisionError": divided})
    return expect_number(got, f"the multiplier at step {step}")


def _expect_steps(steps: list[int], *values: Any, **how: Any) -> None:
    """`expect_close`, which tells the step instead of the index."""
    try:
        expect_close(*values, **how)
    except CheckFailed as failure:
        told = [failure.expected, failure.got]
        for index, step in enumerate(steps):
            told = [text.replace(f"index [{index}]", f"step {step}") for text in told]
        raise CheckFailed(*told, failure.hint) from None


def _whole(schedule: Answer, steps: list[int]) -> Answer:
    return lambda warmup, total: np.array([schedule(s, warmup, total) for s in steps], dtype=float)
