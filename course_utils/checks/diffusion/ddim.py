"""Exercise `ddim`: diffusion's deterministic sampler on the circle, with a network that was trained on the line."""

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


def _factor(t: float) -> float:
    return 1 / math.hypot(t, 1 - t)


def _ddim_by_angles(
    network: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int
) -> Tensor:
    """On the circle x is ``cos(angle) noise + sin(angle) clean``: a step turns it further."""
    x = noise.double()
    for k in range(steps):
        now, then = (math.atan2(s, steps - s) for s in (k, k + 1))
        on_line = x * math.hypot(k / steps, 1 - k / steps)
        velocity = network(on_line.to(noise), noise.new_full((len(noise),), k / steps)).double()
        # x and its derivative by the angle determine each other: here the derivative is cos · clean - sin · noise.
        spread = math.cos(now) + math.sin(now)
        across = (velocity + x * (math.cos(now) - math.sin(now))) / spread
        x = x * math.cos(then - now) + across * math.sin(then - now)
    return x.to(noise)


def _mistaken(
    *,
    to_line: Callable[[Tensor, float], Tensor] = lambda x, now: x / _factor(now),
    asked: Callable[[float, float], float] = lambda now, then: now,
    guess: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]] = lambda x, v, t: (
        x + (1 - t) * v,
        x - t * v,
    ),
    mix: Callable[[Tensor, Tensor, float, float], Tensor] = lambda c, n, now, then: (
        then * c + (1 - then) * n
    ),
    to_circle: Callable[[float, float], float] = lambda now, then: _factor(then),
    count: Callable[[int], int] = lambda n: n,
) -> Answer:
    """A solution with parts to get wrong; it asks a probe of its own."""

    def answer(_: object, noise: Tensor, steps: int) -> Tensor:
        network, x = Probe(noise), noise
        for k in range(count(steps)):
            now, then = k / steps, (k + 1) / steps
            on_line, t = to_line(x, now), asked(now, then)
            velocity = network(on_line, x.new_full((len(x),), t))
            clean, mean_noise = guess(on_line, velocity, now)
            x = to_circle(now, then) * mix(clean, mean_noise, now, then)
        return x

    return answer


_LINE = "The network knows the straight line: bring x back to it before you ask, x / on_circle(now), and ask there."
_CIRCLE = "After the step x belongs on the circle again, at its new time: times on_circle(then)."
_STILL = "The new mixture has the weights of `then`; with those of `now` nothing moves."
_EXCHANGED = (
    "At `then` the share of the clean picture is `then`, that of the noise 1 - `then`. Are the two taken from "
    "`from_velocity` in its order?"
)
_END = "The network is asked about x, which stands at `now`: at that time, not at the one where the step ends."
_SHORT = "The last step is missing: n steps end at t = 1, where no noise is left."
_GUESSES = "`from_velocity` returns clean picture, noise and score, in this order: DDIM mixes the first two anew."

_MISTAKES: list[Wrong] = [
    (_mistaken(to_line=lambda x, now: x), _LINE),
    (_mistaken(to_line=lambda x, now: x * _factor(now)), _LINE),
    (_mistaken(to_circle=lambda now, then: 1.0), _CIRCLE),
    (_mistaken(to_circle=lambda now, then: _factor(now)), _CIRCLE),
    (_mistaken(to_circle=lambda now, then: 1 / _factor(then)), _CIRCLE),
    (_mistaken(mix=lambda c, n, now, then: now * c + (1 - now) * n), _STILL),
    (_mistaken(mix=lambda c, n, now, then: (1 - then) * c + then * n), _EXCHANGED),
    (_mistaken(mix=lambda c, n, now, then: then**0.5 * c + (1 - then) ** 0.5 * n), (
        "The square roots are of another way to write diffusion: on_circle has already made the squares add up to 1.")),
    (_mistaken(mix=lambda c, n, now, then: c), (
        "That jumps to the guess in each step: the noise has a share in the new mixture until the last one.")),
    (_mistaken(asked=lambda now, then: then), _END),
    (_mistaken(asked=lambda now, then: 1 - now), "Time runs the other way: t = 0 is noise, t = 1 is data."),
    (_mistaken(guess=lambda x, v, t: (x + (1 - t) * v, -(x - t * v) / (1 - t))), _GUESSES),
    (_mistaken(count=lambda n: n - 1), _SHORT),
]  # fmt: skip
_WORKED = (
    "In one step from t = 0 both factors are 1, and x becomes the guessed clean picture, noise + velocity. Then try "
    "two steps."
)


@exercise(_ddim_by_angles)
def ddim(fn: Answer) -> None:
    """Check ``ddim(network, noise, steps)``: network (x, t) -> like x, noise (B, 2) -> (B, 2)."""
    for rows, steps in ((5, 4), (4, 2), (3, 1), (1, 7), (2, 10)):
        noise = torch.randn(rows, 2)
        _expect_walk(fn, noise, steps)
    _expect_walk(fn, 9 + torch.rand(3, 2), 2)


def _expect_walk(fn: Answer, noise: Tensor, steps: int) -> None:
    probe, what = Probe(noise), f"the walk of {steps} steps"
    says = {
        NOT_ONE_EACH: TIMES,
        "a return value": "A function without `return` gives None; is it inside the loop?",
    }
    with torch.no_grad():
        got = call(fn, probe, noise, steps, says=says)
        expect_tensor(got, noise.shape, what, hint="x keeps the shape of the noise.")
        real = "The network's answers and the noise are real: which step made x complex?"
        require(not got.is_complex(), f"{what}, real numbers", "complex numbers", real)
        expected = _ddim_by_angles(Probe(noise), noise, steps)
        inputs = (None, noise, steps)
        expect_close(got, expected, what, inputs=inputs, wrong=_MISTAKES, hint=_WORKED, atol=1e-4)
    count = len(probe.times)
    cost = f"The network was asked {count} times. DDIM asks once in each step: calls are what a sampler costs."
    require(
        count == steps, f"{steps} calls of the network for {steps} steps", f"{count} calls", cost
    )
