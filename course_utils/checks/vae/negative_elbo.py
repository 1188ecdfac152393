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
    return weights @ both


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


@exercise(_negative_elbo_by_dot)
def negative_elbo(fn: Answer) -> None:
    """Check ``negative_elbo(nll, kl, beta)``: (B,), (B,), float -> scalar."""
    for count, beta in ((5, 0.3), (1, 2.5), (7, 1.0), (3, 0.0), (2, 4)):
        nll = (40 + 100 * torch.rand(count)).requires_grad_()
        kl = (20 * torch.rand(count) + 1).requires_grad_()
        inputs = (nll, kl, beta)
        what = f"the negative ELBO of a batch of {count} with beta = {beta}"
        got, expected = call(fn, *inputs), _negative_elbo_by_dot(*inputs)
        expect_close(got, expected, what, inputs=inputs, wrong=_MISTAKES)
        cut = "Return the tensor itself: a plain number (`.item()`, `float`) has lost the way back to the networks."
        require(type(got) is Tensor, f"{what}: a tensor without dimensions", got, cut)
        if beta:
            expect_gradient(got, expected, {"nll": nll, "kl": kl}, cut)
