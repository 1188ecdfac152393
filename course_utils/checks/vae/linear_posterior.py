"""Exercise `linear_posterior`: which latent number made x, in the linear-Gaussian model."""

from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, require


def _posterior_by_regression(x: Tensor, w: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Together z and x are Gaussian with variances 1 and w² + s² and the covariance w: z regressed on x."""
    covariance, of_x = w, w.square() + s.square()
    return covariance / of_x * x, 1 - covariance.square() / of_x


def _both(x: Tensor, w: Tensor, s: Tensor) -> Tensor:
    return torch.stack(_posterior_by_regression(x, w, s))


def _with(mean: Any, variance: Any) -> Answer:
    """Another mean or variance; each is given x, w, s and what is right."""

    def answer(x: Tensor, w: Tensor, s: Tensor) -> Tensor:
        m, v = _posterior_by_regression(x, w, s)
        return torch.stack([mean(x, w, s, m), variance(x, w, s, v)])

    return answer


def _right(x: Tensor, w: Tensor, s: Tensor, value: Tensor) -> Tensor:
    return value


_NO_PRIOR = (
    "The prior has no say: this is what x tells about z alone. The prior adds a curvature of 1."
)
_DEVIATION = "The second number is the standard deviation; the *variance* is asked for, its square."
_S_ONCE = "s is the standard deviation of x: in the parabola its square divides."
_MISTAKES: list[Wrong] = [
    (_with(lambda x, w, s, m: x / w, lambda x, w, s, v: s**2 / w**2), _NO_PRIOR),
    (_with(_right, lambda x, w, s, v: s**2 / w**2), _NO_PRIOR),
    (_with(lambda x, w, s, m: x / w, _right), _NO_PRIOR),
    (_with(_right, lambda x, w, s, v: v.sqrt()), _DEVIATION),
    (
        _with(_right, lambda x, w, s, v: 1 / v),
        "The second number is the curvature of the parabola; the variance is one over it.",
    ),
    (
        _with(lambda x, w, s, m: w * x / s / (1 + w**2 / s), lambda x, w, s, v: s / (s + w**2)),
        _S_ONCE,
    ),
    (_with(lambda x, w, s, m: w * x / s**2, _right), "The mean is not yet divided by 1 + w²/s²."),
    (
        _with(lambda x, w, s, m: x * w / (w + s) ** 2, lambda x, w, s, v: s**2 / (w + s) ** 2),
        "Variances add up, w² + s², and standard deviations do not.",
    ),
    (
        _with(lambda x, w, s, m: w * x, lambda x, w, s, v: s**2),
        "This is the other way round: mean and variance of x for a given z.",
    ),
    (
        _with(lambda x, w, s, m: 0 * x, lambda x, w, s, v: w**2 + s**2),
        "These are mean and variance of x; those of z, once x is known, are asked for.",
    ),
    (
        _with(lambda x, w, s, m: m / w, _right),
        "The mean lacks the factor w, the slope by which x leans on z.",
    ),
    (
        _with(lambda x, w, s, m: -m, _right),
        "The sign of the mean: where x and w are positive, so is z.",
    ),
    (
        lambda x, w, s: _both(x, w, s).flip(0),
        "The two are exchanged: the mean comes first, then the variance.",
    ),
]
_WORKED = (
    "One number: x = 2, w = 1, s = 1. log p(x|z) + log p(z) is −½ (2 − z)² − ½ z² and a constant, a parabola with its "
    "top at z = 1 and the second derivative −2: mean 1, variance ½."
)
_PAIR = "Return both, mean and variance, as a tuple: `return mean, variance`."


@exercise(_posterior_by_regression)
def linear_posterior(fn: Answer) -> None:
    """Check ``linear_posterior(x, w, s)``: three numbers in float64 -> mean and variance."""
    for model in ((2.0, 1.5, 0.5), (-0.7, 0.4, 1.3), (1.2, -2.0, 0.2), (0.0, 1.0, 1.0)):
        inputs = tuple(torch.tensor(value, dtype=torch.float64) for value in model)
        came = call(fn, *inputs)
        require(type(came) in (tuple, list) and len(came) == 2, "two numbers", came, _PAIR)
        for each in came:
            plain = type(each) is Tensor and each.dim() == 0
            require(plain, "two tensors without dimensions", each, _PAIR)
        what = "mean and variance for x = {:g}, w = {:g}, s = {:g}".format(*model)
        expect_close(
            torch.stack(list(came)),
            _both(*inputs),
            what,
            inputs=inputs,
            wrong=_MISTAKES,
            hint=_WORKED,
        )
