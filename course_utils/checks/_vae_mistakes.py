"""The mistakes that learners make in lesson 03, each as a function that makes it, with the hint for whoever did too."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.checks import Wrong

WRONG_DRAWS: list[Wrong] = [
    (
        lambda m, v, e: m + v * e,
        "log_var was taken for the standard deviation. It is the log of a variance.",
    ),
    (
        lambda m, v, e: m + v.exp() * e,
        "exp(log_var) is the variance; noise is multiplied by the standard deviation.",
    ),
    (
        lambda m, v, e: m + (2 * v).exp() * e,
        "The half went the wrong way: the deviation is the root of the variance.",
    ),
    (
        lambda m, v, e: m + (-0.5 * v).exp() * e,
        "A sign: this divides by the deviation, so certain posteriors scatter.",
    ),
    (
        lambda m, v, e: m - (0.5 * v).exp() * e,
        "The noise is subtracted: as probable a draw, but z = mean + std * noise.",
    ),
    (lambda m, v, e: (0.5 * v).exp() * (m + e), "The mean was scaled too; only the noise is."),
    (
        lambda m, v, e: m,
        "The noise is missing: this is an autoencoder, whose latent space has no spread.",
    ),
    (lambda m, v, e: m + e, "The deviation is missing: every posterior is equally wide."),
    (
        lambda m, v, e: (0.5 * v).exp() * e,
        "The mean is missing: nothing of the image gets through.",
    ),
]


def _kl(mean: Tensor, variance: Tensor, log_var: Tensor) -> Tensor:
    return 0.5 * (mean.square() + variance - 1 - log_var)


WRONG_KLS: list[Wrong] = [
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
        "The batch was averaged as well; that comes in exercise 3.4.",
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


def _nll(square: Tensor, precision: Tensor, log_var: Tensor, constant: float) -> Tensor:
    return 0.5 * (square * precision + log_var + constant)


_LOG_2PI = math.log(2 * math.pi)


def _nll_each(x: Tensor, m: Tensor, v: Tensor) -> Tensor:
    return _nll((x - m).square(), (-v).exp(), v, _LOG_2PI).flatten(1)


def _log_var_once(x: Tensor, m: Tensor, v: Tensor) -> Tensor:
    return (
        _nll((x - m).square(), (-v).exp(), torch.zeros_like(v), _LOG_2PI).flatten(1).sum(1)
        + 0.5 * v.sum()
    )


def _summed(
    square: Callable[[Tensor], Tensor], constant: float = _LOG_2PI
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda x, m, v: _nll((x - m).square(), square(v), v, constant).flatten(1).sum(1)


WRONG_NLLS: list[Wrong] = [
    (
        lambda x, m, v: _nll_each(x, m, v).mean(1),
        "This is the mean over the pixels. Their log densities add up: sum.",
    ),
    (
        lambda x, m, v: 2 * _nll_each(x, m, v).sum(1),
        "Twice too much: the factor one half is missing.",
    ),
    (
        lambda x, m, v: -_nll_each(x, m, v).sum(1),
        "The sign: this is the log density; the loss is its negative.",
    ),
    (
        _summed(lambda v: (-v).exp(), 0.0),
        "The constant log(2 pi) is missing: without it bits per dimension are wrong.",
    ),
    (
        lambda x, m, v: _summed(lambda v: (-v).exp(), 0.0)(x, m, v) + 0.5 * _LOG_2PI,
        "The constant was added once; it belongs to every pixel.",
    ),
    (
        _log_var_once,
        "log_var was added once (or as it came); broadcast, it counts for every pixel it stands for.",
    ),
    (
        lambda x, m, v: (
            _nll_each(x, m, v).sum(1) - 0.5 * (v + torch.zeros_like(x)).flatten(1).sum(1)
        ),
        "The term log_var is missing: with it, a model cannot win by claiming an enormous variance.",
    ),
    (
        lambda x, m, v: _nll_each(x, m, v).sum(1) - (v + torch.zeros_like(x)).flatten(1).sum(1),
        "The sign of log_var: a wide Gaussian is low everywhere.",
    ),
    (
        _summed(lambda v: (-0.5 * v).exp()),
        "The square is divided by the variance, not by the standard deviation.",
    ),
    (_summed(lambda v: v.exp()), "The square is multiplied by the variance; it is divided by it."),
    (_summed(lambda v: (-2 * v).exp()), "log_var was taken for the log of the standard deviation."),
    (
        lambda x, m, v: (
            _nll((x - m).square(), 1 / v.square(), v.square().log(), _LOG_2PI).flatten(1).sum(1)
        ),
        "log_var was taken for the standard deviation.",
    ),
    (
        lambda x, m, v: _nll((x - m).square(), 1 / v, v.abs().log(), _LOG_2PI).flatten(1).sum(1),
        "log_var was taken for the variance.",
    ),
    (
        lambda x, m, v: _nll((x - m).abs(), (-v).exp(), v, _LOG_2PI).flatten(1).sum(1),
        "The error goes in squared, not as it is.",
    ),
    (
        lambda x, m, v: (0.5 * (x - m).square()).flatten(1).sum(1),
        "The variance is missing: this is the squared error of a Gaussian with variance 1.",
    ),
    (
        lambda x, m, v: _nll_each(x, m, v).sum(),
        "The batch was summed as well: one number for each image is asked for.",
    ),
    (
        lambda x, m, v: _nll_each(x, m, v).sum(1).mean(),
        "The batch was averaged as well; that comes in exercise 3.4.",
    ),
    (
        lambda x, m, v: _nll_each(x, m, v).mean(),
        "The mean over everything: sum over the pixels, and leave the batch alone.",
    ),
    (
        lambda x, m, v: _nll(((x - m).square()), (-v).exp(), v, _LOG_2PI).sum(1),
        "Only dimension 1 was summed: of an image (B, C, H, W) three dimensions go.",
    ),
]


WRONG_ELBOS: list[Wrong] = [
    (
        lambda n, k, b: (n - b * k).mean(),
        "The KL is subtracted from the *ELBO*; in its negative it is added.",
    ),
    (
        lambda n, k, b: -(n + b * k).mean(),
        "This is the ELBO. An optimiser minimises: return its negative.",
    ),
    (
        lambda n, k, b: (b * k - n).mean(),
        "The sign of nll: it is a negative log likelihood already, so it is added.",
    ),
    (lambda n, k, b: (b * n + k).mean(), "beta weighs the KL, not the likelihood."),
    (
        lambda n, k, b: (b * (n + k)).mean(),
        "beta weighs the KL alone: as a common factor it would only scale the loss.",
    ),
    (lambda n, k, b: (n + k).mean(), "beta is not used."),
    (
        lambda n, k, b: n.mean(),
        "The KL is missing: without it nothing ties the posteriors to the prior.",
    ),
    (
        lambda n, k, b: (n + b * k).sum(),
        "The sum over the batch: the step would grow with the batch size. Take the mean.",
    ),
    (
        lambda n, k, b: n.mean() + b * k.sum(),
        "The KL is summed over the batch, the likelihood averaged: beta would be B times larger.",
    ),
    (
        lambda n, k, b: n.sum() + b * k.mean(),
        "The likelihood is summed over the batch, the KL averaged: beta would be B times smaller.",
    ),
    (
        lambda n, k, b: n + b * k,
        "One number for each image: the mean over the batch is left to do.",
    ),
]


WRONG_BOUNDS: list[Wrong] = [
    (
        lambda w: w.mean(),
        "The mean of the logs: that is the plain ELBO. Here it is the log of the mean.",
    ),
    (
        lambda w: w.logsumexp(0).mean(),
        "log K is missing: this is the log of the *sum* of the weights.",
    ),
    (
        lambda w: w.logsumexp(0).mean() + math.log(len(w)),
        "The sign of log K: the mean is the sum divided by K.",
    ),
    (
        lambda w: (w.logsumexp(1) - math.log(w.shape[1])).mean(),
        "K and B are exchanged: weights are averaged over the draws (dimension 0), logs over the images.",
    ),
    (
        lambda w: w.flatten().logsumexp(0) - math.log(w.numel()),
        "The mean weight of all images together: take each image's log first.",
    ),
    (
        lambda w: (w.logsumexp(0) - math.log(w.shape[1])).mean(),
        "log B was subtracted instead of log K.",
    ),
    (
        lambda w: (w.logsumexp(0) - math.log(len(w))).sum(),
        "Summed over the images: the mean over B is asked for.",
    ),
    (
        lambda w: -(w.logsumexp(0) - math.log(len(w))).mean(),
        "The sign: this is a bound *on* log p(x), not a loss.",
    ),
    (
        lambda w: (w.softmax(0) * w).sum(0).mean(),
        "The logs weighted by their weights: that is larger than the bound.",
    ),
    (lambda w: w.max(0).values.mean(), "The largest weight alone: the others count too."),
    (
        lambda w: w.exp().mean(0).log().mean(),
        "exp of a log weight of -1000 is 0 in floats, and its log -inf. Use logsumexp, or subtract the largest first.",
    ),
    (
        lambda w: w.logsumexp(0) - math.log(len(w)),
        "One bound for each image: the mean over B is left to do.",
    ),
    (lambda w: w.exp().mean(0).mean(), "The logarithm of the mean weight is missing."),
]
