"""Exercise `best_log_var`: how much noise a decoder should admit to."""

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_like,
)


def _by_logs(x: Tensor, mean: Tensor) -> Tensor:
    """The log of the mean square, without a square: by the logs of the errors, in double precision."""
    logs = 2 * (x - mean).double().abs().log().flatten()
    count = torch.tensor(float(len(logs)), dtype=torch.float64, device=logs.device)
    return (torch.logsumexp(logs, 0) - count.log()).to((x - mean).dtype)


def _square(x: Tensor, mean: Tensor) -> Tensor:
    return (x - mean).square()


_MISTAKES: list[Wrong] = [
    (
        lambda x, m: _square(x, m).mean().sqrt().log(),
        "This is log σ. Asked for is the log of the *variance*, twice as much.",
    ),
    (lambda x, m: _square(x, m).mean(), "This is the variance; its logarithm is asked for."),
    (
        lambda x, m: _square(x, m).mean().sqrt(),
        "This is σ itself; the logarithm of its square is asked for.",
    ),
    (
        lambda x, m: -_square(x, m).mean().log(),
        "The sign: large errors ask for a large variance.",
    ),
    (
        lambda x, m: _square(x, m).sum().log(),
        "The squares are summed: one variance is shared by all pixels, so it is their mean.",
    ),
    (
        lambda x, m: _square(x, m).flatten(1).sum(1).mean().log(),
        "The squares are summed over the pixels: one variance is shared by all of them, so it is their mean.",
    ),
    (
        lambda x, m: (0.5 * _square(x, m)).mean().log(),
        "The ½ stands before both terms that hold the variance, so it drops out of the derivative.",
    ),
    (
        lambda x, m: (2 * _square(x, m)).mean().log(),
        "A factor 2 too much: the ½ stands before both terms that hold the variance and drops out.",
    ),
    (
        lambda x, m: _square(x, m).log().mean(),
        "A mean of logs is not the log of the mean: average the squares first.",
    ),
    (
        lambda x, m: _square(x, m).flatten(1).mean(1).log(),
        "One number for each picture: a single one for the whole batch is asked for.",
    ),
    (
        lambda x, m: _square(x, m).flatten(1).mean(1).log().mean(),
        "Each picture got its own variance, and then the logs were averaged: one variance is shared by all.",
    ),
    (
        lambda x, m: (x - m).abs().mean().square().log(),
        "The mean error is squared; the cost holds the mean of the *squared* errors.",
    ),
    (
        lambda x, m: (x - m).var().log(),
        "`var` subtracts the mean error first: a decoder that is too bright everywhere errs, too.",
    ),
    (
        lambda x, m: (x - m).var(correction=0).log(),
        "`var` subtracts the mean error first: a decoder that is too bright everywhere errs, too.",
    ),
    (
        lambda x, m: _square(x, m).log(),
        "One number for each pixel: the squares are averaged before their logarithm is taken.",
    ),
    (
        lambda x, m: (x - m).mean().log(),
        "The mean error is 0 for many bad decoders: the cost holds the *squares* of the errors.",
    ),
    (lambda x, m: x.var().log(), "This is the spread of the pictures; the errors are x − mean."),
]
_WORKED = (
    "Two pixels, off by 1 and 3: their cost is ½ (1 + 9)/σ² + log σ² and a constant, and its derivative is 0 at "
    "σ² = 5. So log 5 = 1.609."
)
_SHAPE = "One number for the whole batch, a tensor without dimensions."


@exercise(_by_logs)
def best_log_var(fn: Answer) -> None:
    """Check ``best_log_var(x, mean)``: images (B, ...) twice -> scalar."""
    for shape, scale in (((3, 2, 4, 5), 0.3), ((2, 6), 2.0), ((4, 3, 2, 2), 0.05), ((1, 7), 1.0)):
        x, mean = torch.randn(shape), torch.randn(shape)
        mean = x + scale * (mean - 0.5)
        what = f"the best log_var for pictures of shape {shape}"
        expect_like(
            call(fn, x, mean),
            _by_logs(x, mean),
            what,
            inputs=(x, mean),
            wrong=_MISTAKES,
            shape=_SHAPE,
            hint=_WORKED,
        )
