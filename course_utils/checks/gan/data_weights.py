"""Exercise `data_weights`: weights that make the generator's samples stand for the data, from D's logits alone."""

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_like,
    hinting,
)


def _ratio(logits: Tensor) -> Tensor:
    """D / (1 - D) of each, divided by their sum: the odds, in float64 and from the largest one down."""
    odds = (logits.double() - logits.double().max()).exp()
    return (odds / odds.sum()).to(logits.dtype)


_MISTAKES: list[Wrong] = [
    (
        lambda a: a.sigmoid() / a.sigmoid().sum(),
        "These are D's answers, p_data / (p_data + p_g). Weighted with them, samples of p_g have a density in "
        "proportion to p_g · D, which is not p_data.",
    ),
    (
        lambda a: torch.softmax(a.sigmoid(), 0),
        "The exponential belongs to the logits, not to the probabilities.",
    ),
    (
        lambda a: torch.softmax(-a, 0),
        "The ratio stands on its head: what D finds real must weigh more, not less.",
    ),
    (
        lambda a: torch.softmax(a, 0) * len(a),
        "These weights have the mean 1; asked for is the sum 1.",
    ),
    (
        lambda a: a.exp(),
        "The ratio is right; it is left to divide the weights by their sum.",
    ),
    (
        lambda a: a / a.sum(),
        "Logits may be negative, and weights may not: which function of a logit is p_data / p_g?",
    ),
    (
        lambda a: (-a).sigmoid() / (-a).sigmoid().sum(),
        "These are 1 - D: what D finds fake would weigh most.",
    ),
    (
        lambda a: (a - a.min()) / (a - a.min()).sum(),
        "Moved up, the logits are no longer negative, but no ratio of densities either: D = 0.5 must give the ratio 1. "
        "Which function of a logit is D / (1 - D)?",
    ),
    (
        lambda a: a.relu() / a.relu().sum(),
        "Negative logits are cut to 0 here. Fakes that D doubts weigh little, but not nothing: which function of a "
        "logit is D / (1 - D)?",
    ),
    (
        lambda a: torch.log_softmax(a, 0),
        "These are the logarithms of the weights.",
    ),
    (
        lambda a: (a > 0).to(a.dtype) / (a > 0).sum(),
        "This keeps what D calls real and drops the rest; how real is lost.",
    ),
]
_WORKED = (
    "Two samples with D = 0.75 and 0.5, logits log 3 and 0: the ratios D / (1 - D) are 3 and 1, so the weights are "
    "3 / 4 = 0.75 and 0.25."
)
_OVERFLOW = (
    "The exponential of 200 is infinite in floating point. Only ratios of weights matter: what may be subtracted from "
    "all logits before?"
)


@exercise(_ratio)
def data_weights(fn: Answer) -> None:
    """Check ``data_weights(logits)``: logits (N,) of samples of p_g -> weights (N,) that sum to 1."""
    shape = "One weight for each sample, in the order of the samples."
    for values in ([-1.5, 0.7, 2.2, 0.4, -3.0], [0.8, -0.6]):
        logits = torch.tensor(values)
        expected, what = _ratio(logits), "the weights"
        answer = call(fn, logits)
        expect_like(
            answer, expected, what, inputs=(logits,), wrong=_MISTAKES, shape=shape, hint=_WORKED
        )
    extreme = torch.tensor([200.0, 199.0, -200.0])
    with hinting(_OVERFLOW):
        answer = call(fn, extreme)
        expect_close(answer, _ratio(extreme), "the weights of logits of ±200")
