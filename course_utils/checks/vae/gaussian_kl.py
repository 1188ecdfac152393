"""Exercise `gaussian_kl`: the KL divergence of a diagonal Gaussian from the prior."""

import math

import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close
from course_utils.checks.vae.shared import expect_both_gradients, expect_per_image


def _kl_by_distributions(mean: Tensor, log_var: Tensor) -> Tensor:
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return kl_divergence(Independent(Normal(mean, (0.5 * log_var).exp()), 1), Independent(prior, 1))


def _kl(mean: Tensor, variance: Tensor, log_var: Tensor) -> Tensor:
    return 0.5 * (mean.square() + variance - 1 - log_var)


_MISTAKES: list[Wrong] = [
    (
        lambda m, v: _kl(m, v.exp(), v).mean(1),
        "The mean over the D dimensions; the KL of independent ones is the sum.",
    ),
    (lambda m, v: 2 * _kl(m, v.exp(), v).sum(1), "Twice too much: the factor one half is missing."),
    (lambda m, v: -_kl(m, v.exp(), v).sum(1), "The sign: a KL divergence is never negative."),
    (
        lambda m, v: _kl(m, v.square(), v.square().log()).sum(1),
        "log_var was taken for the standard deviation.",
    ),
    (
        lambda m, v: _kl(m, v.abs().square(), 2 * v.abs().log()).sum(1),
        "log_var was taken for the standard deviation.",
    ),
    (
        lambda m, v: _kl(m, (2 * v).exp(), 2 * v).sum(1),
        "log_var was taken for the log of the standard deviation.",
    ),
    (
        lambda m, v: _kl(m, (0.5 * v).exp(), v).sum(1),
        "The variance is exp(log_var); the half belongs to the deviation.",
    ),
    (
        lambda m, v: 0.5 * ((1 + m.square()) / v.exp() - 1 + v).sum(1),
        "The KL the other way round, from the prior to the posterior: which of the two does z come from?",
    ),
    (
        lambda m, v: 0.5 * (m.square() + v.exp() - v).sum(1),
        "The 1 is missing: at the prior itself the KL must be 0.",
    ),
    (
        lambda m, v: 0.5 * (m + v.exp() - 1 - v).sum(1),
        "The mean goes in squared: -2 is as far from 0 as 2.",
    ),
    (
        lambda m, v: 0.5 * (m.square() + v.exp() - 1 + v).sum(1),
        "The log's sign: a narrow posterior must cost more.",
    ),
    (
        lambda m, v: 0.5 * (v.exp() - 1 - v).sum(1),
        "The mean is missing: a posterior far from 0 must cost more.",
    ),
    (
        lambda m, v: _kl(m, v.exp(), v).sum(),
        "The batch was summed as well: one number for each image is asked for.",
    ),
    (
        lambda m, v: _kl(m, v.exp(), v).sum(1).mean(),
        "The batch was averaged as well; that comes in `negative_elbo`.",
    ),
    (
        lambda m, v: _kl(m, v.exp(), v).mean(),
        "The mean over everything: sum over D, and leave the batch alone.",
    ),
    (
        lambda m, v: _kl(m, v.exp(), v).sum(0),
        "The sum runs over the batch (dimension 0) instead of D (dimension 1).",
    ),
    (lambda m, v: _kl(m, v.exp(), v), "One KL for each dimension: the sum over D is left to do."),
    (
        lambda m, v: _kl(m, v.exp(), v).sum(1) / math.log(2),
        "These are bits. The ELBO is counted in nats: natural logs.",
    ),
]


_WORKED = (
    "One dimension: mean 1 and log_var 1.386, a variance of 4. Its KL is (1² + 4 - 1 - 1.386) / 2 = 1.307. Then the "
    "sum over D."
)


@exercise(_kl_by_distributions)
def gaussian_kl(fn: Answer) -> None:
    """Check ``gaussian_kl(mean, log_var)``: (B, D), (B, D) -> (B,) in nats."""
    for shape in ((4, 3), (1, 5), (6, 1)):
        mean, log_var = torch.randn(shape) + 0.5, 1.5 * torch.randn(shape) - 0.3
        if shape == (4, 3):
            log_var = log_var.abs() + 0.1  # the log of a log_var taken for a deviation then exists
        inputs, what = (mean, log_var), f"the KL of shape {(shape[0],)}"
        expect_per_image(fn, inputs, _kl_by_distributions(*inputs), what, _MISTAKES, _WORKED)
    mean, log_var = torch.zeros(2, 3), torch.tensor([[-60.0, -30.0, 3.0], [20.0, 0.0, -1.0]])
    hint = "Another number for a very narrow posterior: use log_var as it is, with no small constant inside a log."
    expected = 0.5 * (log_var.double().exp() - 1 - log_var.double()).sum(1)
    expect_close(call(fn, mean, log_var), expected, "the KL of very narrow posteriors", hint=hint)
    expect_both_gradients(fn, _kl_by_distributions, torch.randn(3, 4), torch.randn(3, 4))
