"""Exercise `negative_elbo`: the loss of a VAE, with a weight beta on the KL."""

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_gradient,
    require,
)


def _negative_elbo_by_dot(nll: Tensor, kl: Tensor, beta: float) -> Tensor:
    both = torch.cat([nll, kl])
    weights = torch.cat([torch.ones_like(nll), torch.full_like(kl, beta)]) / len(nll)
    return (weights * both).sum()


_MISTAKES: list[Wrong] = [
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


_DENSITIES = (
    "A density can be above 1, so an nll of pixels may be negative, and it counts as it is: "
    "no clamp, no relu, no absolute value."
)
_FREE = 'A small KL counts as it is: no least value ("free bits") is asked for.'
_WORKED = (
    "Costs 4 and 6, KLs 1 and 3, beta = 0.5: (4 + 0.5 * 1 + 6 + 0.5 * 3) / 2 = 6, term by term."
)


@exercise(_negative_elbo_by_dot)
def negative_elbo(fn: Answer) -> None:
    """Check ``negative_elbo(nll, kl, beta)``: (B,), (B,), float -> scalar.

    Batches of several sizes; costs of both signs, small and large; weights from 0 to 30.
    """
    for count, beta in ((5, 0.3), (1, 2.5), (7, 1.0), (3, 0.0), (2, 4)):
        nll, kl = 40 + 100 * torch.rand(count), 20 * torch.rand(count) + 1
        _expect_loss(fn, nll, kl, beta, _WORKED)
    below, small = -5000 * torch.rand(6) - 10, 0.05 * torch.rand(6)
    _expect_loss(fn, torch.cat([below, -below]), 20 * torch.rand(12), 1.0, _DENSITIES)
    _expect_loss(fn, below.detach(), 20 * torch.rand(6), 0.5, _DENSITIES)
    _expect_loss(fn, torch.randn(6), small, 1.0, _FREE)
    _expect_loss(fn, torch.randn(6).double(), 900 * torch.rand(6).double(), 30.0, _WORKED)


def _expect_loss(fn: Answer, nll: Tensor, kl: Tensor, beta: float, hint: str) -> None:
    inputs = (nll.requires_grad_(), kl.requires_grad_(), beta)
    what = f"the negative ELBO of a batch of {len(nll)} with beta = {beta}"
    got, expected = call(fn, *inputs), _negative_elbo_by_dot(*inputs)
    expect_close(got, expected, what, inputs=inputs, wrong=_MISTAKES, hint=hint)
    cut = "Return the tensor itself: a plain number (`.item()`, `float`) has lost the way back to the networks."
    require(type(got) is Tensor, f"{what}: a tensor without dimensions", got, cut)
    if beta:
        expect_gradient(got, expected, {"nll": nll, "kl": kl}, cut)
