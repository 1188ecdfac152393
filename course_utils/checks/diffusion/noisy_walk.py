"""Exercise `noisy_walk`: diffusion's random sampler, which adds fresh noise and lets the score take it back."""

import math
from collections.abc import Callable

import torch
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
from course_utils.checks.diffusion.shared import NOT_ONE_EACH, TIMES, Probe

Velocity = Callable[[Tensor, Tensor], Tensor]


def _walk_by_one_drift(
    velocity: Velocity, noise: Tensor, kicks: Tensor, until: float = 1.0
) -> Tensor:
    """The score of the line is ``(t v - x) / (1 - t)``: with (1 - t) of it, v becomes ``(1 + t) v - x``."""
    x, h = noise.double(), until / len(kicks)
    for k, kick in enumerate(kicks.double()):
        t = k * h
        v = velocity(x.to(noise), noise.new_full((len(noise),), t)).double()
        x = x * (1 - h) + h * (1 + t) * v + math.sqrt(2 * h * (1 - t)) * kick
    return x.to(noise)


def _mistaken(
    *,
    drift: Callable[[Tensor, Tensor, float], Tensor] = lambda v, score, t: v + (1 - t) * score,
    kick: Callable[[float, float], float] = lambda t, h: math.sqrt(2 * (1 - t) * h),
    asked: Callable[[float, float], float] = lambda t, h: t,
    end: Callable[[float], float] = lambda until: until,
    clock: Callable[[float, int], float] = lambda until, steps: until / steps,
    first: int = 0,
) -> Answer:
    """A solution with parts to get wrong; it asks a probe of its own."""

    def answer(_: object, noise: Tensor, kicks: Tensor, until: float = 1.0) -> Tensor:
        velocity, x, steps = Probe(noise), noise, len(kicks)
        h = end(until) / steps
        for k in range(first, steps):
            t = k * clock(until, steps)
            v = velocity(x, x.new_full((len(x),), asked(t, h)))
            score = (t * v - x) / (1 - t)
            x = x + h * drift(v, score, t) + kick(t, h) * kicks[k]
        return x

    return answer


_ROOT = (
    "In a time h noise of *variance* g² h is added: the standard normal kick is multiplied by its root, the standard "
    "deviation."
)
_FACTOR = "Half of g² is 1 - t: so much of the score is added to the velocity, no more and no less."

_MISTAKES: list[Wrong] = [
    (_mistaken(kick=lambda t, h: 2 * (1 - t) * h), _ROOT),
    (_mistaken(kick=lambda t, h: h * math.sqrt(2 * (1 - t))), _ROOT),
    (_mistaken(kick=lambda t, h: math.sqrt(2 * (1 - t))), (
        "The kick does not depend on the length of the step: its variance is g² h, so that many small ones add up.")),
    (_mistaken(kick=lambda t, h: math.sqrt((1 - t) * h)), (
        "The kick is too small: g² is 2 (1 - t), and only what the velocity gains is half of it.")),
    (_mistaken(kick=lambda t, h: 2 * (1 - t) * math.sqrt(h)), (
        "The kick has g² where its root belongs: a standard deviation is g times the root of h.")),
    (_mistaken(kick=lambda t, h: math.sqrt(2 * t * h)), (
        "Time runs the other way: g² is 2 (1 - t), so that the last steps add almost no noise.")),
    (_mistaken(kick=lambda t, h: 0.0), "No fresh noise was added: `kicks[k]` is for step k."),
    (_mistaken(drift=lambda v, s, t: v), (
        "The velocity did not grow: fresh noise without the score makes the cloud wider and wider.")),
    (_mistaken(drift=lambda v, s, t: v - (1 - t) * s), (
        "A sign: the score points to where the cloud is dense, and takes the fresh noise back. (Minus the mean "
        "noise is (1 - t) times the score.)")),
    (_mistaken(drift=lambda v, s, t: v + s), _FACTOR),
    (_mistaken(drift=lambda v, s, t: v + 2 * (1 - t) * s), _FACTOR),
    (_mistaken(drift=lambda v, s, t: v + t * s), _FACTOR),
    (_mistaken(drift=lambda v, s, t: v + (1 - t) ** 2 * s), _FACTOR),
    (_mistaken(drift=lambda v, s, t: v + math.sqrt(2 * (1 - t)) * s), _FACTOR),
    (_mistaken(drift=lambda v, s, t: (1 - t) * s), (
        "The velocity itself is missing: the score is *added* to it.")),
    (_mistaken(asked=lambda t, h: t + h), (
        "The velocity is asked about x, which stands where the step *begins*, at that time.")),
    (_mistaken(end=lambda until: 1.0), (
        "The steps are too long: together they reach only up to `until`, so each takes until / len(kicks).")),
    (_mistaken(end=lambda until: 1.0, clock=lambda until, steps: 1 / steps), (
        "This walks on to t = 1: the walk ends at the time `until`.")),
    (_mistaken(clock=lambda until, steps: 1 / steps), (
        "The clock runs to 1 while the steps reach up to `until`: step k begins at k * until / len(kicks).")),
    (_mistaken(first=1), "The first step is missing: there are as many steps as kicks."),
]  # fmt: skip
_WORKED = (
    "One step of length h from t = 0: the score there is -x, so x becomes x + h (v - x) + sqrt(2 h) kick. Then try two "
    "steps."
)
_OWN_DRAWS = "The fresh noise is an argument, `kicks`: draw none of your own, or nobody could check (or repeat) a walk."


@exercise(_walk_by_one_drift)
def noisy_walk(fn: Answer) -> None:
    """Check ``noisy_walk(velocity, noise, kicks, until)``: noise (B, 2), kicks (S, B, 2) -> (B, 2) after S steps."""
    for rows, steps, until in ((5, 4, 1.0), (4, 2, 0.5), (3, 1, 0.8), (1, 7, 1.0), (2, 10, 0.3)):
        _expect_walk(fn, torch.randn(rows, 2), torch.randn(steps, rows, 2), until)
    _expect_walk(fn, 9 + torch.rand(3, 2), torch.randn(2, 3, 2), 0.3)


def _expect_walk(fn: Answer, noise: Tensor, kicks: Tensor, until: float) -> None:
    probe, steps = Probe(noise), len(kicks)
    what = f"the walk of {steps} steps to t = {until:g}"
    says = {
        NOT_ONE_EACH: TIMES,
        "a return value": "A function without `return` gives None; is it inside the loop?",
    }
    with torch.no_grad():
        got = call(fn, probe, noise, kicks, until, says=says)
        expect_tensor(got, noise.shape, what, hint="x keeps the shape of the noise.")
        again = call(fn, Probe(noise), noise, kicks, until)
        expected = _walk_by_one_drift(Probe(noise), noise, kicks, until)
        hint = _WORKED if torch.equal(got, again) else _OWN_DRAWS
        inputs = (None, noise, kicks, until)
        expect_close(got, expected, what, inputs=inputs, wrong=_MISTAKES, hint=hint, atol=1e-4)
    cost = f"The velocity was asked {len(probe.times)} times: one call gives the noise and the score of a step too."
    count = f"{steps} calls of the velocity for {steps} steps"
    require(len(probe.times) == steps, count, f"{len(probe.times)} calls", cost)
