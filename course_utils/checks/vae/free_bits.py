"""Exercise `free_bits`: a loss line in which each latent number's first nats cost nothing."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import mse_loss

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_gradient,
    require,
)


def _each(mean: Tensor, log_var: Tensor) -> Tensor:
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return kl_divergence(Normal(mean, (0.5 * log_var).exp()), prior)


def _free_by_excess(
    x_hat: Tensor, x: Tensor, mean: Tensor, log_var: Tensor, free: float = 1.0
) -> Tensor:
    """All latent numbers pay the free nats, and whatever is above them."""
    error = mse_loss(x_hat, x)
    kl = _each(mean, log_var).sum(0) / len(mean)
    return error + free * mean.shape[1] + (kl - free).relu().sum()


def _with(error: str = "mean", kl: str = "per latent") -> Answer:
    """The line with one part exchanged."""

    def line(a: Tensor, x: Tensor, m: Tensor, v: Tensor, free: float = 1.0) -> Tensor:
        squares, each = (a - x).square(), _each(m, v)
        of_error = {
            "mean": squares.mean(),
            "sum": squares.flatten(1).sum(1).mean(),
            "none": torch.zeros(()),
        }[error]
        of_batch = each.mean(0)
        return (
            of_error
            + {
                "per latent": lambda: of_batch.clamp(min=free).sum(),
                "each": lambda: each.clamp(min=free).sum(1).mean(),
                "per picture": lambda: each.sum(1).clamp(min=free).mean(),
                "total": lambda: of_batch.sum().clamp(min=free),
                "total of all": lambda: of_batch.sum().clamp(min=free * m.shape[1]),
                "most": lambda: of_batch.clamp(max=free).sum(),
                "excess": lambda: (of_batch - free).relu().sum(),
                "less": lambda: (of_batch - free).sum(),
                "plain": lambda: of_batch.sum(),
                "one": lambda: of_batch.clamp(min=1.0).sum(),
                "mean": lambda: of_batch.clamp(min=free).mean(),
                "batch summed": lambda: each.sum(0).clamp(min=free).sum(),
                "over latents": lambda: each.mean(1).clamp(min=free).sum(),
                "switched": lambda: torch.where(of_batch > free, of_batch, 0.0).sum(),
                "everywhere": lambda: of_batch.sum() + free * m.shape[1],
            }[kl]()
        )

    return line


_EACH = (
    "The least value is taken for each picture: average over the batch first, so that a latent number may be silent "
    "for some pictures and speak for others."
)
_WHOLE = "The nats are free for the whole code: then one latent number may take them all. Give each its own."
_MISTAKES: list[Wrong] = [
    (_with(kl="each"), _EACH),
    (_with(kl="per picture"), _WHOLE),
    (_with(kl="total"), _WHOLE),
    (_with(kl="total of all"), _WHOLE),
    (
        _with(kl="most"),
        "This holds the KL *below* `free`: nats above it cost nothing, and the first ones are dear.",
    ),
    (
        _with(kl="excess"),
        "Same gradient, another number: below `free` a KL counts as `free`, and not as 0.",
    ),
    (
        _with(kl="less"),
        "`free` is only subtracted, a constant: the gradient is still that of `my_line`.",
    ),
    (
        _with(kl="everywhere"),
        "`free` is only added, a constant: the gradient is still that of `my_line`.",
    ),
    (_with(kl="plain"), "This is `my_line`: no nat is free yet."),
    (_with(kl="one"), "One nat is written down: how many are free is what `free` says."),
    (_with(kl="mean"), "A mean over the latent numbers; `my_line` sums them."),
    (_with(kl="over latents"), "The average runs over the latent numbers, and not over the batch."),
    (_with(kl="batch summed"), "The KL is summed over the batch; average it, as `my_line` does."),
    (
        _with(kl="switched"),
        "Below `free` this counts 0: the loss would jump at `free`. It counts as `free` there.",
    ),
    (
        _with(error="sum"),
        "The error is summed over the pixels: `my_line` has a mean, and keeps it here.",
    ),
    (_with(error="none"), "The error is missing: nothing asks for pictures."),
]
_WORKED = (
    "No error, two latent numbers whose KLs over the batch average 0.4 and 2.5, one nat free: 1 + 2.5 = 3.5, and only "
    "the second has a gradient."
)
_SCALAR = "One number for the batch, a tensor: sums and means over pixels, batch and latent numbers leave no dimension."
_CUT = (
    "The number is right, its gradient is not: below `free` there is none, above it that of the KL."
)


_CASES = (((3, 2, 4, 5), 4, 0.6), ((5, 7), 6, None), ((2, 3, 4, 4), 3, 30.0), ((1, 6), 3, 0.2))
"""Shape of the images, latent numbers, and nats that are free; None for the default."""


@exercise(_free_by_excess)
def free_bits(fn: Answer) -> None:
    """Check ``free_bits(x_hat, x, mean, log_var, free)``: images (B, ...), latents (B, D) -> scalar.

    Latent numbers below and above what is free, codes that are below it as a whole, and the default of one nat.
    """
    asked = [_inputs(*case) for case in _CASES]
    told = []
    for inputs, (shape, latents, free) in zip(asked, _CASES, strict=True):
        came = call(fn, *inputs)
        what = f"the line for {shape} images, {latents} latents and {free or 1:g} nats free"
        whole = type(came) is Tensor and came.dim() == 0
        require(whole, f"{what}: a tensor without dimensions", came, _SCALAR)
        told.append(came)
    right = [_free_by_excess(*inputs) for inputs in asked]
    # All at once: some mistakes can only be told apart by where they are right.
    wrong: list[Wrong] = [
        (lambda line=line: torch.stack([line(*inputs) for inputs in asked]), hint)
        for line, hint in _MISTAKES
    ]
    what = "the line for four batches (nats free: 0.6, 1, 30 and 0.2)"
    expect_close(torch.stack(told), torch.stack(right), what, wrong=wrong, hint=_WORKED)
    for came, expected, inputs in zip(told, right, asked, strict=True):
        if not torch.autograd.grad(expected, inputs[2], retain_graph=True)[0].any():
            continue  # all of the code is free: a constant may have no graph at all
        leaves = dict(zip(("x_hat", "mean", "log_var"), (inputs[0], *inputs[2:4]), strict=True))
        expect_gradient(came, expected, leaves, _CUT)


def _inputs(shape: tuple[int, ...], latents: int, free: float | None) -> tuple[Any, ...]:
    """One batch; some latent numbers say little, some much."""
    x_hat, x = torch.rand(shape).requires_grad_(), torch.rand(shape)
    spread = torch.linspace(0.2, 2.2, latents)
    mean = (spread * (1 + torch.rand(shape[0], latents))).requires_grad_()
    log_var = (0.3 * torch.randn(shape[0], latents) - 0.2 * spread).requires_grad_()
    return (x_hat, x, mean, log_var, *([] if free is None else [free]))
