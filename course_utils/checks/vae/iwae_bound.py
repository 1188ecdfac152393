"""Exercise `iwae_bound`: the importance-weighted bound, from log weights."""

import math
from contextlib import nullcontext

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_gradient,
    hinting,
)


def _iwae_by_pairs(log_weights: Tensor) -> Tensor:
    """Adds the first half of the weights to the second with ``logaddexp``, in float64, until one is left."""
    rows = log_weights.double()
    while len(rows) > 1:
        half = len(rows) // 2
        rows = torch.cat([torch.logaddexp(rows[:half], rows[half : 2 * half]), rows[2 * half :]])
    return (rows - math.log(len(log_weights))).mean().to(log_weights.dtype)


_MISTAKES: list[Wrong] = [
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


_UNSTABLE = (
    "Not stable: before exp subtract each image's *own* largest log weight (over dimension 0), not the largest of all "
    "and not a mean; or let torch.logsumexp do it. No clamp and no small number can replace that."
)


_WORKED = (
    "One image, two draws: log weights 0 and -2.197 are weights 1 and 1/9. Their mean is 0.556, its log -0.588. Then "
    "the mean of such numbers over the images."
)


@exercise(_iwae_by_pairs)
def iwae_bound(fn: Answer) -> None:
    """Check ``iwae_bound(log_weights)``: (K, B) -> scalar in nats."""
    for shape in ((4, 3), (1, 5), (7, 1), (3, 6)):
        log_weights = 2 * torch.randn(shape) - 1 - torch.arange(float(shape[1]))
        _bound_case(fn, log_weights, f"the bound for log weights of shape {shape}")
    _bound_case(fn, 3 * torch.randn(5, 4) - 5000, "the bound for log weights near -5000")
    what = "the bound for log weights near 5000 (densities can be large)"
    _bound_case(fn, 3 * torch.randn(5, 4) + 5000, what)
    apart = 3 * torch.randn(5, 4) - 2000 * torch.arange(4.0)
    drawn = 3 * torch.randn(4, 3) - 300 * torch.arange(4.0)[:, None]
    _bound_case(fn, apart, "the bound for images 2000 nats apart")
    _bound_case(fn, apart.flip(1), "the bound for images 2000 nats apart, the least likely first")
    _bound_case(fn, drawn, "the bound for draws 300 nats apart")
    _bound_case(fn, drawn.flip(0), "the bound for draws 300 nats apart, the best one last")
    _bound_case(fn, 9 * drawn.double(), "the bound for draws 2700 nats apart, in float64")
    leaf, uncut = torch.randn(3, 4).requires_grad_(), "Return the tensor itself, uncut."
    expect_gradient(call(fn, leaf), _iwae_by_pairs(leaf), {"log_weights": leaf}, uncut)


def _bound_case(fn: Answer, log_weights: Tensor, what: str) -> None:
    got = call(fn, log_weights)
    broken = type(got) is Tensor and not got.isfinite().all()
    with hinting(_UNSTABLE) if broken else nullcontext():
        right, inputs = _iwae_by_pairs(log_weights), (log_weights,)
        far = log_weights.max() - log_weights.min() > 200
        hint = _UNSTABLE if far else _WORKED
        expect_close(got, right, what, inputs=inputs, wrong=_MISTAKES, hint=hint, rtol=1e-5)
