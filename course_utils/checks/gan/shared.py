"""What the checks of losses of logits share."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, expect_close, expect_tensor, require


def bce(logits: Tensor, label: float) -> Tensor:
    """Mean cross-entropy of logits against one label for all, in nats."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


TWO_STEPS = (
    "The sigmoid of -200 is 0 in floating point, and its logarithm is lost. "
    "F.logsigmoid does both in one stable step."
)


CAPPED = (
    "`binary_cross_entropy` stops its logarithm at -100, and the sigmoid before it loses digits: give the logits to "
    "`binary_cross_entropy_with_logits`."
)


def capped_bce(logits: Tensor, label: float) -> Tensor:
    """Cross-entropy of sigmoids, as most code for GANs has it: wrong where a logit is far from 0."""
    return F.binary_cross_entropy(logits.sigmoid(), torch.full_like(logits, label))


def expect_scalar_loss(
    fn: Answer,
    oracle: Callable[..., Tensor],
    args: tuple,
    what: str,
    wrong: list[Wrong],
    worked: str,
) -> None:
    """Value and gradient of a scalar loss of logits; ``args`` are tensors, or settings such as a flag.

    ``worked`` is an example worked through, for a mistake that nobody has named.
    """
    mine = [a.clone().requires_grad_() if isinstance(a, Tensor) else a for a in args]
    got = call(fn, *mine)
    one = "One number for the whole batch: take the mean over all logits."
    expect_tensor(got, (), what, hint=one)
    require(bool(got.isfinite()), f"{what} finite for logits of +-200", got, TWO_STEPS)
    expect_close(got, oracle(*args), what, inputs=args, wrong=wrong, hint=worked)
    theirs = [a for a in mine if isinstance(a, Tensor)]
    cut = "The result has lost its gradient: no .item(), .detach(), NumPy or torch.no_grad on the way."
    require(got.requires_grad, f"{what} with a gradient", "a constant", cut)
    ours = [a.clone().requires_grad_() for a in args if isinstance(a, Tensor)]
    flags = [a for a in args if not isinstance(a, Tensor)]
    expected = torch.autograd.grad(oracle(*ours, *flags), ours)
    came = torch.autograd.grad(got, theirs, allow_unused=True)
    for mine_grad, right in zip(came, expected, strict=True):
        mine_grad = torch.zeros_like(right) if mine_grad is None else mine_grad
        expect_close(mine_grad, right, f"the gradient of {what} in the logits", hint=cut)
