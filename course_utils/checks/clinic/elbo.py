"""Exercise `elbo`: a lower bound of log p(x), where the patient's lies above it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, Wrong, call, expect_like


def _elbo_by_distributions(
    x: Tensor, mean: Tensor, log_var: Tensor, noise: Tensor, w: float, s: float
) -> Tensor:
    """The expectation of log p(x|z) in closed form, minus torch's own KL."""
    q = Normal(mean, (log_var / 2).exp())
    expected = Normal(w * mean, s).log_prob(x) - (w / s) ** 2 * q.variance / 2
    return expected - kl_divergence(q, Normal(0.0, 1.0))


def _with_penalty(penalty: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    def bound(
        x: Tensor, mean: Tensor, log_var: Tensor, noise: Tensor, w: float, s: float
    ) -> Tensor:
        kl = (mean**2 + log_var.exp() - 1 - log_var) / 2
        return _elbo_by_distributions(x, mean, log_var, noise, w, s) + kl - penalty(mean, log_var)

    return bound


def _constant(
    x: Tensor, mean: Tensor, log_var: Tensor, noise: Tensor, w: float, s: float
) -> Tensor:
    return _with_penalty(lambda m, v: (noise - noise.sigmoid()).square().mean())(
        x, mean, log_var, noise, w, s
    )


def _reverse_kl(m: Tensor, v: Tensor) -> Tensor:
    return kl_divergence(Normal(0.0, 1.0), Normal(m, (v / 2).exp()))


def _weights(x: Tensor, mean: Tensor, log_var: Tensor, noise: Tensor, w: float, s: float) -> Tensor:
    """Log p(x|z) of each draw, (K, B)."""
    return Normal(w * (mean + (log_var / 2).exp() * noise), s).log_prob(x)


_WORKED = (
    "One x: mean 1, log_var 0, so the KL is (1 + 1 - 1 - 0) / 2 = 0.5. If the draws have log p(x|z) = -2 and -4, the "
    "bound is -3 - 0.5 = -3.5."
)
_MISTAKES: list[Wrong] = [
    (
        lambda x, m, v, e, w, s: (
            _weights(x, m, v, e, w, s).mean(0) - ((m**2 + v.exp() - 1 - v) / 2).mean()
        ),
        "The KL was averaged over the batch: each x pays for its own q.",
    ),
    (
        lambda x, m, v, e, w, s: (
            _weights(x, m, v, e, w, s).mean(0) - ((m**2 + v.exp() - 1 - v) / 2).sum()
        ),
        "The KL was summed over the batch: each x pays for its own q.",
    ),
    (
        lambda x, m, v, e, w, s: _elbo_by_distributions(x, m, v, e, w, s**2),
        "s is the deviation of x around wz, not its variance: `Normal(w * z, s)`.",
    ),
    (
        lambda x, m, v, e, w, s: (
            _weights(x, m, v, e, w, s).logsumexp(0)
            - math.log(len(e))
            - (m**2 + v.exp() - 1 - v) / 2
        ),
        "The log of the mean is not the mean of the logs: average log p(x|z) over the draws.",
    ),
    (
        lambda x, m, v, e, w, s: _weights(x, m, v, e, w, s).logsumexp(0) - math.log(len(e)),
        "Without a second term nothing ties q to the prior, and the log of a mean lies above the mean of logs.",
    ),
    (
        lambda x, m, v, e, w, s: _weights(x, m, v, e, w, s).sum(0) - (m**2 + v.exp() - 1 - v) / 2,
        "The draws were summed: the likelihood is a *mean* over them.",
    ),
    (
        _constant,
        "Unchanged: a term that depends on nothing the encoder does has no gradient. Put KL(q(z|x) || p(z)) there.",
    ),
    (
        _with_penalty(lambda m, v: 0 * m),
        "Without a second term nothing ties q to the prior: this is an autoencoder.",
    ),
    (_with_penalty(lambda m, v: m**2 + v.exp() - 1 - v), "The ½ in front of the KL is missing."),
    (
        _with_penalty(lambda m, v: -(m**2 + v.exp() - 1 - v) / 2),
        "The KL has the wrong sign: a bound *loses* it.",
    ),
    (
        lambda x, m, v, e, w, s: (
            Normal(w * (m + v.exp() * e), s).log_prob(x).mean(0) - (m**2 + v.exp() - 1 - v) / 2
        ),
        "exp(log_var) is the variance: the draws need the deviation, `torch.exp(log_var / 2)`.",
    ),
    (
        lambda x, m, v, e, w, s: (
            Normal(w * (m + v * e), s).log_prob(x).mean(0) - (m**2 + v.exp() - 1 - v) / 2
        ),
        "log_var was used as if it were the deviation: the draws need `torch.exp(log_var / 2)`.",
    ),
    (
        _with_penalty(lambda m, v: (v.exp() - 1 - v) / 2),
        "mean² is missing in the KL: nothing ties the mean of q to the prior.",
    ),
    (
        _with_penalty(lambda m, v: (m**2 + v.exp() - 1 + v) / 2),
        "log_var is added in the KL: there it is subtracted.",
    ),
    (
        lambda x, m, v, e, w, s: (
            _elbo_by_distributions(x, m, v, e, w, s) - (e - e.sigmoid()).square().mean()
        ),
        "The KL is right; the term that is made of noise alone is still there beside it.",
    ),
    (
        lambda x, m, v, e, w, s: Normal(0.0, math.hypot(w, s)).log_prob(x),
        "This is log p(x) itself, in which the encoder has no say: asked for is the bound that it reaches.",
    ),
    (
        _with_penalty(lambda m, v: (m**2 + (2 * v).exp() - 1 - 2 * v) / 2),
        "log_var was used as if it were log sigma.",
    ),
    (
        _with_penalty(lambda m, v: (m**2 + (v / 2).exp() - 1 - v / 2) / 2),
        "sigma stands where sigma² belongs in the KL.",
    ),
    (
        _with_penalty(_reverse_kl),
        "This is KL(prior || q), the wrong way round; the bound needs KL(q || prior).",
    ),
    (
        _with_penalty(lambda m, v: m**2 / 2),
        "Only the mean is tied to the prior; the spread of q must be as well.",
    ),
    (
        lambda *a: _elbo_by_distributions(*a).mean(),
        "One bound for each example, (B,): keep the examples apart, average over the draws only.",
    ),
    (lambda *a: -_elbo_by_distributions(*a), "This is the loss, the negative bound."),
]


@case(_elbo_by_distributions)
def elbo(fn: Answer) -> None:
    """Check ``elbo(x, mean, log_var, noise, w, s)``: (B,), (B,), (B,), (K, 1) -> (B,) nats.

    Equal to log p(x) at the true posterior of a linear-Gaussian model; below it by KL(q || posterior) elsewhere.
    """
    w, s = 1.7, 0.6
    x = torch.tensor([0.4, -2.0, 3.1])
    # Mean 0 and variance 1 exactly, so that averages of squares are exact.
    noise = math.sqrt(1.5) * torch.tensor([[-1.0], [0.0], [1.0]])
    variance = s**2 / (w**2 + s**2)
    true_mean, true_log_var = variance * w * x / s**2, torch.full_like(x, math.log(variance))
    exact = Normal(0.0, math.sqrt(w**2 + s**2)).log_prob(x)
    posts = (
        (torch.tensor([0.9, -0.4, 0.2]), torch.tensor([-1.3, 0.7, 0.1])),
        (true_mean, true_log_var),
    )
    for mean, log_var in posts:
        arguments = (x, mean, log_var, noise, w, s)
        got = call(fn, *arguments)
        shape = "One bound for each example, (B,): the mean runs over the K draws, dimension 0."
        posterior = Normal(true_mean, math.sqrt(variance))
        gap = kl_divergence(Normal(mean, (log_var / 2).exp()), posterior)
        what = "the bound (log p(x) minus the distance of q from the true posterior)"
        expect_like(
            got,
            exact - gap,
            what,
            inputs=arguments,
            wrong=_MISTAKES,
            shape=shape,
            hint=_WORKED,
            atol=1e-4,
        )
