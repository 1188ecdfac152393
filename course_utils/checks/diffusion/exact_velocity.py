"""Exercise `exact_velocity`: what a network would answer that had learnt a finite set of examples perfectly."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_like,
    require,
)


def _exact_velocity_by_bayes(x: Tensor, t: Tensor, data: Tensor) -> Tensor:
    examples, rows = data.flatten(1).double(), []
    for point, time in zip(x.flatten(1).double(), t.double(), strict=True):
        # x_t = t data + (1 - t) noise: a Gaussian around each example, and Bayes' rule says which one it was.
        log_likelihood = Independent(Normal(time * examples, 1 - time), 1).log_prob(point)
        posterior = (log_likelihood - log_likelihood.logsumexp(0)).exp()
        noise = (point - time * (posterior @ examples)) / (1 - time)
        rows.append(posterior @ examples - noise)
    return torch.stack(rows).reshape(x.shape).to(x.dtype)


def _mistaken(
    *,
    centre: Callable[[Tensor], Tensor] = lambda t: t,
    logits: Callable[[Tensor, Tensor], Tensor] = lambda d2, t: -d2 / (2 * (1 - t) ** 2),
    weigh: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(1),
    velocity: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda m, x, t: (m - x) / (1 - t),
    time: Callable[[Tensor], Tensor] = lambda t: t,
) -> Answer:
    """A solution in float64 with parts to get wrong."""

    def answer(x: Tensor, t: Tensor, data: Tensor) -> Tensor:
        points, examples = x.flatten(1).double(), data.flatten(1).double()
        t = time(t.double())[:, None]
        squares = (points[:, None] - centre(t)[:, None] * examples).square().sum(2)
        mean = weigh(logits(squares, t)) @ examples
        return velocity(mean, points, t).reshape(x.shape)

    return answer


def _nearest(logits: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).to(logits)


_AXIS = "The softmax runs over the batch: weights say which *example* x came from, so they add up to 1 over the data."
_SPREAD = (
    "How wide is the Gaussian around t * x_i at time t? Its standard deviation is what is left of the noise, 1 - t: "
    "the exponent has the *square*, twice."
)
_LEFT = "The mean of the examples is where x will arrive; a velocity is the way still to go *per time that is left*."
_SCALED = (
    "At time t an example has moved only part of its way: x is compared with t * x_i, not with x_i."
)

_MISTAKES: list[Wrong] = [
    (_mistaken(weigh=lambda a: a.softmax(0)), _AXIS),
    (_mistaken(logits=lambda d2, t: -d2 / 2), _SPREAD),
    (_mistaken(logits=lambda d2, t: -d2), _SPREAD),
    (_mistaken(logits=lambda d2, t: -d2 / (1 - t) ** 2), _SPREAD),
    (_mistaken(logits=lambda d2, t: -d2 / (2 * (1 - t))), _SPREAD),
    (_mistaken(logits=lambda d2, t: -d2 / (1 - t)), _SPREAD),
    (_mistaken(logits=lambda d2, t: -d2 * (1 - t) ** 2 / 2), _SPREAD),
    (_mistaken(logits=lambda d2, t: -d2 / (2 * (1 - t) ** 4)), _SPREAD),
    (_mistaken(logits=lambda d2, t: -d2 / 2 * t**2), _SPREAD),
    (
        _mistaken(logits=lambda d2, t: -d2 / (2 * t**2)),
        "Time runs the other way: t is the share of the data here, and 1 - t that of the noise.",
    ),
    (
        _mistaken(centre=lambda t: 1 - t),
        "Time runs the other way: t is the share of the data here, and 1 - t that of the noise.",
    ),
    (
        _mistaken(logits=lambda d2, t: d2 / (2 * (1 - t) ** 2)),
        "A sign: the examples that are far away get the largest weights.",
    ),
    (
        _mistaken(logits=lambda d2, t: -d2.sqrt() / (2 * (1 - t) ** 2)),
        "The distance is not squared: a Gaussian falls with the square.",
    ),
    (_mistaken(centre=torch.ones_like), _SCALED),
    (
        _mistaken(weigh=lambda a: torch.full_like(a, 1 / a.shape[1])),
        "All examples count alike: whoever is near to x must count more.",
    ),
    (
        _mistaken(weigh=_nearest),
        "Only the nearest example counts: x may have come from any of them, and each counts by its probability.",
    ),
    (
        _mistaken(weigh=lambda a: a.exp()),
        "The weights do not add up to 1: divide by their sum, which is what softmax does.",
    ),
    (
        _mistaken(weigh=lambda a: a.log_softmax(1)),
        "These weights are logarithms (log_softmax), so they do not add up to 1.",
    ),
    (_mistaken(velocity=lambda m, x, t: m - x), _LEFT),
    (_mistaken(velocity=lambda m, x, t: m), _LEFT),
    (_mistaken(velocity=lambda m, x, t: (m - x) / (1 - t) ** 2), _LEFT),
    (_mistaken(velocity=lambda m, x, t: (m - x) * (1 - t)), _LEFT),
    (_mistaken(velocity=lambda m, x, t: (m - t * x) / (1 - t)), _LEFT),
    (
        _mistaken(velocity=lambda m, x, t: (t * m - x) / (1 - t)),
        "That is minus the noise: the velocity is data - noise.",
    ),
    (
        _mistaken(velocity=lambda m, x, t: (x - m) / (1 - t)),
        "A sign: it walks away from the examples.",
    ),
    (
        _mistaken(velocity=lambda m, x, t: (m - x) / t),
        "Divided by the time that is gone, not by the time that is left.",
    ),
    (
        _mistaken(time=lambda t: t[:1].expand_as(t)),
        "One time for the whole batch: each x has its own t.",
    ),
    (
        _mistaken(time=lambda t: t.mean().expand_as(t)),
        "One time for the whole batch: each x has its own t.",
    ),
]
_WORKED = (
    "One number: examples -1 and 1, x = 0.5, t = 0.5. The exponents are -2 and 0, the mean is tanh(1) = 0.762, so the "
    "velocity is 0.523."
)
_LIMITED = (
    "Right far from t = 1 only: is something added to 1 - t, or clipped? At t = 0.999 a thousandth is left, and it "
    "is divided by just that."
)
_UNDERFLOW = (
    "Near the end every exponent is below -1,000, so exp gives 0 for all of them, and 0/0. `torch.softmax` takes the "
    "largest away first."
)


def _with_a_floor(tiny: float) -> Answer:
    return _mistaken(velocity=lambda m, x, t: (m - x) / (1 - t + tiny))


_MISTAKES += [(_with_a_floor(tiny), _LIMITED) for tiny in (1e-2, 1e-3, 1e-4)]
_SHAPE = "One velocity for each x, of its shape: what is summed away are the examples."


@exercise(_exact_velocity_by_bayes)
def exact_velocity(fn: Answer) -> None:
    """Check ``exact_velocity(x, t, data)``: x (B, ...), t (B,) in [0, 1), data (N, ...) -> (B, ...)."""
    for count, size, shape in (
        (5, 7, (3,)),
        (4, 4, (2,)),
        (3, 6, (2, 2, 2)),
        (4, 1, (2,)),
        (1, 5, (2,)),
    ):
        data, t = torch.randn(size, *shape), 0.1 + 0.75 * torch.rand(count)
        x = 0.7 * torch.randn(count, *shape)
        _expect_velocity(fn, (x, t, data), f"the velocity of {count} x among {size} examples")
    start = (torch.randn(3, 2), torch.zeros(3), torch.randn(6, 2))
    _expect_velocity(fn, start, "the velocity at t = 0, which is the mean of the data minus x")
    # Far from every example: the exponents are far below zero.
    far = (torch.randn(3, 2) + 40, torch.tensor([0.5, 0.7, 0.8]), torch.randn(6, 2))
    _expect_velocity(fn, far, "the velocity far away from the examples", atol=2e-2)
    _expect_near_the_end(fn)


def _expect_near_the_end(fn: Answer) -> None:
    """At t = 0.99 and 0.999, from noise in 64 dimensions, where one example is left for each x."""
    data = torch.randn(6, 4, 4, 4)
    for time in (0.99, 0.999):
        t = torch.full((6,), time)
        x = time * data.flip(0) + (1 - time) * torch.randn(6, 4, 4, 4)
        got, what = _velocity(fn, (x, t, data)), f"the velocity at t = {time}"
        expected = _exact_velocity_by_bayes(x, t, data)
        expect_close(
            got,
            expected,
            what,
            inputs=(x, t, data),
            wrong=_MISTAKES,
            hint=_LIMITED,
            atol=2e-3,
            rtol=2e-3,
        )


def _expect_velocity(
    fn: Answer, inputs: tuple[Tensor, Tensor, Tensor], what: str, atol: float = 1e-4
) -> None:
    expected, got = _exact_velocity_by_bayes(*inputs), _velocity(fn, inputs)
    expect_like(
        got, expected, what, inputs=inputs, wrong=_MISTAKES, shape=_SHAPE, hint=_WORKED, atol=atol
    )


def _velocity(fn: Answer, inputs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    plane = inputs[0].dim() == 2
    shapes = "t is (B,): give it a dimension of 1 for each that x has behind the batch."
    if not plane:
        shapes = "Here x are pictures, (B, C, H, W): compare them as rows of numbers, then give the shape back."
    with torch.no_grad():
        says = {"size": shapes, "shape": shapes, "dimension": shapes}
        got = call(fn, *inputs, says=says)
    broken = isinstance(got, Tensor) and not got.is_complex() and not got.isfinite().all()
    require(not broken, "finite velocities", "NaN or infinity", _UNDERFLOW)
    real = "x and data are real: which step made the result complex?"
    require(not (isinstance(got, Tensor) and got.is_complex()), "real numbers", "complex", real)
    return got
