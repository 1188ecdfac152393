"""Exercise `solve`: walk along a velocity from noise to data, by Euler's and by Heun's method."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_tensor,
    require,
)
from course_utils.checks.diffusion.shared import NOT_ONE_EACH, TIMES, Probe

Velocity = Callable[[Tensor, Tensor], Tensor]
_CALLS = {"euler": 1, "heun": 2}
"""Method -> how often it asks for a velocity in each step."""


def _solve_on_a_grid(velocity: Velocity, noise: Tensor, steps: int, method: str) -> Tensor:
    if method not in _CALLS:
        raise ValueError(f"method is {method!r}; there are {', '.join(_CALLS)}")
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64).tolist()
    x = noise
    for now, later in pairwise(grid):
        slope = velocity(x, x.new_full((len(x),), now))
        ahead = torch.add(x, slope, alpha=later - now)
        if method == "euler":
            x = ahead
        else:
            second = velocity(ahead, x.new_full((len(x),), later))
            x = torch.add(ahead, second - slope, alpha=(later - now) / 2)
    return x


def _walk(
    method: str = "both",
    *,
    count: Callable[[int], int] = lambda n: n,
    size: Callable[[int], float] = lambda n: 1 / n,
    time: Callable[[int, int], float] = lambda i, n: i / n,
    later: Callable[[int, int], float] = lambda i, n: (i + 1) / n,
    moved: bool = True,
    sign: float = 1.0,
    mix: Callable[[Tensor, Tensor], Tensor] = lambda a, b: (a + b) / 2,
    last_by_euler: bool = False,
) -> Answer:
    """A solution with parts to get wrong; with a method's name only that one's results are named."""

    def answer(_: Any, noise: Tensor, steps: int, asked: str) -> Tensor | None:
        if method not in ("both", asked):
            return None
        velocity, x, h = Probe(noise), noise, sign * size(steps)
        for i in range(count(steps)):
            slope = velocity(x, x.new_full((len(x),), time(i, steps)))
            last = last_by_euler and i == count(steps) - 1
            if asked == "heun" and not last:
                ahead = x + h * slope if moved else x
                slope = mix(slope, velocity(ahead, x.new_full((len(x),), later(i, steps))))
            x = x + h * slope
        return x

    return answer


def _midpoint(_: Any, noise: Tensor, steps: int, asked: str) -> Tensor | None:
    if asked != "heun":
        return None
    velocity, x, h = Probe(noise), noise, 1 / steps
    for i in range(steps):
        slope = velocity(x, x.new_full((len(x),), i / steps))
        x = x + h * velocity(x + h / 2 * slope, x.new_full((len(x),), (i + 0.5) / steps))
    return x


def _exchanged(_: Any, noise: Tensor, steps: int, asked: str) -> Tensor:
    other = "heun" if asked == "euler" else "euler"
    return _solve_on_a_grid(Probe(noise), noise, steps, other)


_SHORT = (
    "The last step is missing: the walk ends at t = 1 - 1/steps, where some noise is still left."
)
_LONG = "A step too many: the walk leads past t = 1. With `while t < 1` rounding may do that: count the steps."
_WRONG_END = (
    "Euler's slope is the one where the step *begins*; this asks at the time where it ends."
)
_BACK = "Time runs the other way: the walk starts at t = 0 (noise) and ends at t = 1 (data)."
_GRID = "The times and the size of the step do not fit: n steps need n + 1 points in time, of which the last only ends."
_PAST = "Heun's second slope is asked for past t = 1, or at no end of the step: it belongs where the step ends."
_NOT_MOVED = (
    "Heun's second slope belongs to the point that Euler's step reaches, not to the old one."
)
_SAME_TIME = "Heun's second slope belongs to the time where the step ends, not to where it begins."
_LAST_BY_EULER = (
    "The last step is Euler's, as in samplers that divide by what is left of the noise. Here the velocity exists at "
    "t = 1 too, so Heun costs 2 calls in each step."
)

_MISTAKES: list[Wrong] = [
    (_walk(count=lambda n: n - 1), _SHORT),
    (_walk(count=lambda n: n + 1), _LONG),
    (_walk("euler", time=lambda i, n: (i + 1) / n), _WRONG_END),
    (_walk("heun", time=lambda i, n: (i + 1) / n, later=lambda i, n: (i + 2) / n), _PAST),
    (_walk("heun", later=lambda i, n: (i + 2) / n), _PAST),
    (_walk("heun", later=lambda i, n: 1.0), _PAST),
    (_walk("heun", later=lambda i, n: (i + 0.5) / n), _PAST),
    (_walk("heun", time=lambda i, n: (i + 1) / n), _SAME_TIME),
    (_walk("heun", later=lambda i, n: i / n), _SAME_TIME),
    (_walk("heun", moved=False), _NOT_MOVED),
    *[
        (_walk(time=time, later=later, sign=sign), _BACK)
        for sign in (1.0, -1.0)
        for time, later in (
            (lambda i, n: 1 - i / n, lambda i, n: 1 - (i + 1) / n),
            (lambda i, n: (n - 1 - i) / n, lambda i, n: (n - i) / n),
        )
    ],
    (
        _walk(sign=-1.0),
        "A sign: the walk leads against the velocity, away from the data.",
    ),
    (
        _walk(size=lambda n: 1.0),
        "The size of the step is missing: a velocity is way per unit of time, and a step takes only 1/steps of it.",
    ),
    *[
        (
            _walk(
                size=size,
                time=lambda i, n: i / max(n - 1, 1),
                later=lambda i, n: (i + 1) / max(n - 1, 1),
            ),
            _GRID,
        )
        for size in (lambda n: 1 / n, lambda n: 1 / max(n - 1, 1))
    ],
    (
        _walk(
            count=lambda n: n - 1,
            size=lambda n: 1 / max(n - 1, 1),
            time=lambda i, n: i / max(n - 1, 1),
            later=lambda i, n: (i + 1) / max(n - 1, 1),
        ),
        _GRID,
    ),
    (
        _walk(time=lambda i, n: 0.0, later=lambda i, n: 0.0),
        "The time stands still: the velocity is asked about t = 0 in every step.",
    ),
    (
        _walk(time=lambda i, n: float(i), later=lambda i, n: float(i + 1)),
        "The time counts steps: t runs from 0 to 1, so step i begins at i/steps.",
    ),
    (
        _walk("heun", mix=lambda a, b: a + b),
        "Heun adds both slopes: it walks along their mean, or each step is twice as long.",
    ),
    (
        _walk("heun", mix=lambda a, b: b),
        "Heun walks along the second slope alone here: it takes the mean of both.",
    ),
    (
        _midpoint,
        "This is the midpoint rule, a relative of the same order: Heun takes the mean of the slopes at both ends.",
    ),
    (_exchanged, "This is the other method: look at what `method` says."),
    (_walk("heun", last_by_euler=True), _LAST_BY_EULER),
]
_WORKED = (
    "Take velocity = t (whatever x is), noise 0 and two steps. Euler reaches 0 + 0.5 * 0 + 0.5 * 0.5 = 0.25; Heun, "
    "with the mean slope of each step, 0.5."
)


@exercise(_solve_on_a_grid)
def solve(fn: Answer) -> None:
    """Check ``solve(velocity, noise, steps, method)``: velocity (x, t) -> like x, noise (B, ...) -> (B, ...)."""
    for method in ("euler", "heun"):
        for shape, steps in (((3, 2), 4), ((2, 3, 4, 4), 3), ((4, 2), 1), ((1, 5), 7)):
            _expect_walk(fn, torch.randn(shape), steps, method)
        _expect_walk(fn, 9 + torch.rand(3, 2), 2, method)
        for steps in (10, 25):  # ten times 0.1 is less than 1 in floating point
            _expect_walk(fn, torch.randn(2, 2), steps, method)


def _expect_walk(fn: Answer, noise: Tensor, steps: int, method: str) -> None:
    probe, what = Probe(noise), f"the walk of {steps} steps by {method!r}"
    says = {
        NOT_ONE_EACH: TIMES,
        "a return value": "A function without `return` gives None; is it inside the loop or a condition?",
        "division by zero": "With one step alone something is divided by steps - 1: the step is 1/steps long.",
    }
    with torch.no_grad():
        got = call(fn, probe, noise, steps, method, says=says)
        expect_tensor(got, noise.shape, what, hint="x keeps the shape of the noise.")
        real = "The velocity and the noise are real: which step made x complex?"
        require(not got.is_complex(), f"{what}, real numbers", "complex numbers", real)
        expected = _solve_on_a_grid(Probe(noise), noise, steps, method)
        # A constant offset of rounding grows along a bending walk.
        inputs = (None, noise, steps, method)
        try:
            expect_close(
                got, expected, what, inputs=inputs, wrong=_MISTAKES, hint=_WORKED, atol=1e-4
            )
        except CheckFailed as failure:
            if failure.hint == _WORKED and len(probe.times) != _CALLS[method] * steps:
                failure.hint = _calls_hint(len(probe.times), steps, method)
            raise
    _expect_cost(probe, steps, method)


def _calls_hint(count: int, steps: int, method: str) -> str:
    each = _CALLS[method]
    return (
        f"The velocity was asked {count} times. {method.capitalize()} asks {'once' if each == 1 else 'twice'} in each "
        f"step, {each * steps} times in {steps}: calls are what a sampler costs."
    )


def _expect_cost(probe: Probe, steps: int, method: str) -> None:
    count, right = len(probe.times), _CALLS[method] * steps
    require(
        count == right,
        f"{right} calls of the velocity for {steps} steps by {method!r}",
        f"{count} calls",
        _calls_hint(count, steps, method),
    )
