"""Exercise `linear_elbo`: the ELBO of the linear-Gaussian model, in closed form."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like

_LOG_2PI = math.log(2 * math.pi)


def _elbo_by_quadrature(m: Tensor, v: Tensor, x: Tensor, w: Tensor, s: Tensor) -> Tensor:
    """The mean over q of log p(x|z) + log p(z) - log q(z), a polynomial in z: exact by Gauss and Hermite's rule."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(8))
    z = m[..., None] + v.sqrt()[..., None] * nodes
    log_q = Normal(m[..., None], v.sqrt()[..., None]).log_prob(z)
    prior = Normal(torch.zeros_like(z), torch.ones_like(z))
    each = Normal(w * z, s).log_prob(x) + prior.log_prob(z) - log_q
    return (each * weights).sum(-1) / weights.sum()


def _likelihood(
    m: Tensor, v: Tensor, x: Tensor, w: Tensor, s: Tensor, spread: Tensor | float = 0.0
) -> Tensor:
    """Mean of log p(x|z) over q, with another ``spread`` of the error in the place of w squared times v."""
    return -0.5 * (((x - w * m) ** 2 + spread) / s**2 + torch.log(s**2) + _LOG_2PI)


def _kl(m: Tensor, v: Tensor) -> Tensor:
    return 0.5 * (m**2 + v - 1 - v.log())


def _right(m: Tensor, v: Tensor, x: Tensor, w: Tensor, s: Tensor) -> Tensor:
    return _likelihood(m, v, x, w, s, w**2 * v) - _kl(m, v)


def _of_spread(m: Tensor, v: Tensor, x: Tensor, w: Tensor, s: Tensor, spread: Tensor) -> Tensor:
    return _likelihood(m, v, x, w, s, spread) - _kl(m, v)


_AT_THE_MEAN = (
    "The likelihood is taken at z = m only. z spreads around m, so the mean squared error is larger than the error "
    "of the mean: by the variance of wz."
)
_WIDTH = "The variance of wz under q is not that: a number that is multiplied by w has w² times the variance."
_MISTAKES: list[Wrong] = [
    (lambda m, v, x, w, s: _likelihood(m, v, x, w, s) - _kl(m, v), _AT_THE_MEAN),
    (lambda m, v, x, w, s: _of_spread(m, v, x, w, s, v), _WIDTH),
    (lambda m, v, x, w, s: _of_spread(m, v, x, w, s, w * v), _WIDTH),
    (lambda m, v, x, w, s: _of_spread(m, v, x, w, s, w**2 * v.sqrt()), _WIDTH),
    (lambda m, v, x, w, s: _of_spread(m, v, x, w, s, w**2 * v**2), _WIDTH),
    (
        lambda m, v, x, w, s: _of_spread(m, v, x, w, s, -(w**2) * v),
        "The spread of z makes the mean squared error larger, not smaller.",
    ),
    (
        lambda m, v, x, w, s: _likelihood(m, v, x, w, s, w**2 * v),
        "The KL is missing: this is the first term of the ELBO alone.",
    ),
    (
        lambda m, v, x, w, s: _likelihood(m, v, x, w, s, w**2 * v) + _kl(m, v),
        "The sign of the KL: a q far from the prior must make the bound lower.",
    ),
    (
        lambda m, v, x, w, s: -_right(m, v, x, w, s),
        "The sign of the whole: this is the loss, the negative of the bound.",
    ),
    (
        lambda m, v, x, w, s: (
            _likelihood(m, v, x, w, s, w**2 * v)
            - kl_divergence(Normal(m, v), Normal(torch.zeros_like(m), torch.ones_like(m)))
        ),
        "In the KL, `v` was taken for a standard deviation: `Normal` takes the root of the variance.",
    ),
    (
        lambda m, v, x, w, s: (
            _likelihood(m, v, x, w, s, w**2 * v)
            - kl_divergence(Normal(torch.zeros_like(m), torch.ones_like(m)), Normal(m, v.sqrt()))
        ),
        "The KL the other way round: z is drawn from q, so q comes first.",
    ),
    (
        lambda m, v, x, w, s: _right(m, v, x, w, s) + 0.5 * _LOG_2PI,
        "The constant ½ log 2π of the likelihood is missing: then the identity with log p(x) cannot hold.",
    ),
    (
        lambda m, v, x, w, s: _right(m, v, x, w, s) + 0.5 * torch.log(s**2),
        "The term ½ log s² is missing: the density of x has a height, too.",
    ),
    (
        lambda m, v, x, w, s: _right(m, v, x, w, s) + 0.5 * (_LOG_2PI + torch.log(s**2)),
        "The height of the density is missing: ½ log(2πs²) belongs to each log p(x|z).",
    ),
    (
        lambda m, v, x, w, s: _right(m, v, x, w, s.sqrt()),
        "The squared error is divided by s, and not by the variance s².",
    ),
    (
        lambda m, v, x, w, s: _right(m, v, x, w, s**2),
        "`s` was taken for the variance of x; it is the standard deviation.",
    ),
    (
        lambda m, v, x, w, s: _right(m, v, x, w, s) - 0.5 * ((x - w * m) ** 2 + w**2 * v) / s**2,
        "The half is missing: the exponent of a Gaussian is the square over *twice* the variance.",
    ),
    (
        lambda m, v, x, w, s: _right(m, v, x, w, s).mean(),
        "Averaged over the q: one bound for each of them is asked for.",
    ),
    (
        lambda m, v, x, w, s: _right(m, v, x, w, s).sum(),
        "Summed over the q: one bound for each of them is asked for.",
    ),
]
_DRAWN = "This changes from call to call: is z drawn? Take the expectation with pencil and paper; no draw is left."
_WORKED = (
    "One number: m = 1, v = 1, x = 2, w = 2, s = 1. The mean squared error is (2 − 2)² + 4 · 1 = 4, so the first term "
    "is −½ (4 + log 2π) = −2.919; the KL is ½. The ELBO is −3.419."
)
_SHAPE = "One bound for each q: m and v have the same shape, and so has the result."


@exercise(_elbo_by_quadrature)
def linear_elbo(fn: Answer) -> None:
    """Check ``linear_elbo(m, v, x, w, s)``: m and v of one shape, three numbers -> that shape, in nats.

    Models of several slopes and noises, and q of one dimension or none, in float64.
    """
    models = ((2.0, 1.5, 0.5), (-0.7, 0.4, 1.3), (1.2, -2.0, 0.2))
    random = torch.Generator().manual_seed(3)
    for shape, model in zip(((6,), (), (4,)), models, strict=True):
        m = 2 * torch.randn(shape, generator=random, dtype=torch.float64) + 0.3
        v = 2.5 * torch.rand(shape, generator=random, dtype=torch.float64) + 0.1
        inputs = (m, v, *(torch.tensor(value, dtype=torch.float64) for value in model))
        got, expected = call(fn, *inputs), _elbo_by_quadrature(*inputs)
        again = call(fn, *inputs)
        drawn = type(got) is type(again) is Tensor and not torch.equal(got, again)
        what = "the ELBO for x = {:g}, w = {:g}, s = {:g}".format(*model)
        hint = _DRAWN if drawn else _WORKED
        expect_like(
            got, expected, what, inputs=inputs, wrong=_MISTAKES, shape=_SHAPE, hint=hint, atol=1e-5
        )
