"""Exercise `generator_objective`: what the generator minimises once the discriminator is the best one."""

import math

import torch
from torch import Tensor

from course_utils.checks.clinic.game import case
from course_utils.checks.clinic.shared import ZERO_LOG_ZERO, is_nan
from course_utils.checks.core import Answer, Wrong, call, expect_close, require


def _objective_by_entropies(p: Tensor, q: Tensor) -> Tensor:
    """2 H((p + q) / 2) - H(p) - H(q) - log 4."""
    p, q = torch.as_tensor(p).double(), torch.as_tensor(q).double()
    entropy = [-torch.xlogy(d, d).sum() for d in ((p + q) / 2, p, q)]
    return 2 * entropy[0] - entropy[1] - entropy[2] - math.log(4)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def _joint(p: Tensor, q: Tensor) -> Tensor:
    return (
        torch.xlogy(p + q, p + 2 * q)
        - torch.xlogy(p + q, p + q)
        + torch.xlogy(q, p + 2 * q)
        - torch.xlogy(q, q)
    ).sum()


def _value(p: Tensor, q: Tensor, d: Tensor) -> Tensor:
    """V of the game where D answers ``d``."""
    return torch.xlogy(p, d) + torch.xlogy(q, 1 - d)


_WORKED = (
    "One x with p = 0.3 and q = 0.1: D = 0.3 / 0.4 = 0.75, and it adds 0.3 log 0.75 + 0.1 log 0.25 = -0.225 to V. Then "
    "the sum over all x."
)
_MISTAKES: list[Wrong] = [
    (
        lambda p, q: _value(p, q, (p + q) / (p + 2 * q)).sum(),
        "This is V at the D that *helps* the generator, (p + q) / (p + 2q). Its own best answer is p / (p + q).",
    ),
    (
        lambda p, q: _value(p, q, p / (p + q)).mean(),
        "A mean over the states: V is the sum, since p and q are probabilities already.",
    ),
    (
        lambda p, q: _value(p, q, q / (p + q)).sum(),
        "D stands on its head: q / (p + q) is how probable a *fake* is.",
    ),
    (
        lambda p, q: torch.xlogy(q, q / (p + q)).sum(),
        "Only the generator's term, sum q log(1 - D). V has both: the best D moves with q, and the first term with it.",
    ),
    (
        lambda p, q: torch.xlogy(p, p / (p + q)).sum(),
        "Only the first term, sum p log D. The second, sum q log(1 - D), is missing.",
    ),
    (
        lambda p, q: -torch.xlogy(q, p / (p + q)).sum(),
        "This is the non-saturating loss, -sum q log D. Asked for is the value of the game.",
    ),
    (
        lambda p, q: torch.xlogy(p, p / (p + q)).sum() - torch.xlogy(q, q / (p + q)).sum(),
        "A sign: both terms of V are added.",
    ),
    (
        _joint,
        "Unchanged: D still helps the generator. Let D have only its own loss, and put the best D into V.",
    ),
    (
        lambda p, q: -_objective_by_entropies(p, q),
        "This is D's loss at its best; the generator descends V = minus that.",
    ),
    (
        lambda p, q: _objective_by_entropies(p, q) / math.log(2),
        "These are bits: the value at p = q would be -2, not -log 4.",
    ),
    (
        lambda p, q: (_objective_by_entropies(p, q) - math.log(4)) / 2,
        "The factor 2 in front of the JSD is missing; p = q cannot show it.",
    ),
    (
        lambda p, q: _objective_by_entropies(p, q) + math.log(4),
        "The constant is missing: V at p = q is -log 4, not 0.",
    ),
    (
        lambda p, q: (_objective_by_entropies(p, q) + math.log(4)) / 2,
        "This is the JSD alone; asked for is V at the best D.",
    ),
    (
        lambda p, q: _kl(p, q) - math.log(4),
        "A KL divergence in place of the JSD; p = q cannot show it.",
    ),
    (
        lambda p, q: _kl(q, p) - math.log(4),
        "A KL divergence in place of the JSD; p = q cannot show it.",
    ),
    (lambda p, q: p.new_tensor(0.0), "0 is the value of the worst generator."),
    (
        lambda p, q: torch.maximum(p, q).sum(),
        "Without logarithms the game is about total variation.",
    ),
]


@case(_objective_by_entropies)
def generator_objective(fn: Answer) -> None:
    """Check ``generator_objective(p_data, p_g)``: probabilities (N,), (N,) -> V at the best D, nats.

    Equal, unequal, and disjoint probabilities.
    """
    rows = (
        ([0.1, 0.2, 0.7], [0.5, 0.3, 0.2]),
        ([0.25, 0.75], [0.25, 0.75]),
        ([0.9, 0.1, 0.0], [0.1, 0.6, 0.3]),
        ([1.0, 0.0], [0.0, 1.0]),
    )
    for row in rows:
        p, q = (torch.tensor(r, dtype=torch.float64) for r in row)
        got = call(fn, p, q)
        require(not is_nan(got), f"a number for p = {row[0]}, q = {row[1]}", "NaN", ZERO_LOG_ZERO)
        what = f"V at the best D for p = {row[0]}, q = {row[1]}"
        right, inputs = _objective_by_entropies(p, q), (p, q)
        expect_close(got, right, what, inputs=inputs, wrong=_MISTAKES, hint=_WORKED, atol=1e-5)
