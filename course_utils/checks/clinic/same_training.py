"""The exercise `same_training`: its reference, the mistakes that learners make in it, and its check."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from course_utils.checks.clinic.shared import make_batches, make_players, outcome
from course_utils.checks.core import Answer, call, exercise, require
from course_utils.checks.gan.gan_step import MISTAKES
from course_utils.checks.gan.shared import bce


def step_with_filled_labels(
    g: nn.Module,
    d: nn.Module,
    g_opt: torch.optim.Optimizer,
    d_opt: torch.optim.Optimizer,
    real: Tensor,
    noise: Tensor,
) -> tuple[float, float]:
    """Right, although it fills one label tensor in place for every use, and remakes the fakes."""
    labels = torch.empty(len(real), 1).fill_(1.0)
    loss = nn.functional.binary_cross_entropy_with_logits
    d_opt.zero_grad()
    real_loss = loss(d(real), labels)
    real_loss.backward()
    labels = labels.new_empty(len(noise), 1).fill_(0.0)
    fake_loss = loss(d(g(noise).detach()), labels)
    fake_loss.backward()
    d_opt.step()
    g_loss = loss(d(g(noise)), labels.fill_(1.0))
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return (real_loss + fake_loss).item(), g_loss.item()


def step_reusing_fakes(
    g: nn.Module,
    d: nn.Module,
    g_opt: torch.optim.Optimizer,
    d_opt: torch.optim.Optimizer,
    real: Tensor,
    noise: Tensor,
) -> tuple[float, float]:
    """The right step; the same fakes serve both halves."""
    fake = g(noise)
    d_loss = bce(d(real), 1.0) + bce(d(fake.detach()), 0.0)
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = bce(d(fake), 1.0)
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


def _only(network: int) -> Callable[..., tuple]:
    """A step in which only one network moves: the generator (0) or the discriminator (1)."""

    def step(*arguments: object) -> tuple:
        players, (real, noise) = arguments[:4], arguments[4:]
        still = deepcopy(players[1 - network].state_dict())
        told = step_reusing_fakes(*players, real, noise)
        players[1 - network].load_state_dict(still)
        return told

    return step


def same_by_outcome(step: object, other: object, make: object, batches: object) -> bool:
    """The reference: equal weights of both networks after all batches, up to rounding."""
    return torch.allclose(outcome(step, make, batches), outcome(other, make, batches), atol=1e-5)


def step_by_sums(
    g: nn.Module,
    d: nn.Module,
    g_opt: torch.optim.Optimizer,
    d_opt: torch.optim.Optimizer,
    real: Tensor,
    noise: Tensor,
) -> tuple[float, float]:
    """The right step in other words: sums of logarithms, divided at the end. Equal up to rounding."""
    log = nn.functional.logsigmoid
    with torch.no_grad():
        fake = g(noise)
    d_loss = -(log(d(real)).sum() / len(real) + log(-d(fake)).sum() / len(noise))
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = -log(d(g(noise))).sum() / len(noise)
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


_BOTH = "In this step {} never moves: compare the weights of *both* networks."


_ROUNDING = "These two compute the same in another order. Demand equality up to rounding (`allclose`), not of each bit."


_PAIRS: list[tuple[Callable[..., tuple], int, bool, str]] = [
    (
        step_reusing_fakes,
        3,
        True,
        "A step must equal itself: is each started from new players, `make_players()`?",
    ),
    (step_with_filled_labels, 3, True, _ROUNDING),
    (step_by_sums, 3, True, _ROUNDING),
    (_only(0), 1, False, _BOTH.format("the discriminator")),
    (_only(1), 1, False, _BOTH.format("the generator")),
    (
        MISTAKES[4][0],
        3,
        False,
        "This step leaves a gradient behind, which harms only the *next* step: play all batches, not one, and compare "
        "weights after the last.",
    ),
    *[
        (
            step,
            3,
            False,
            "These two steps train differently, but the test calls them equal: compare all weights at the end.",
        )
        for step, _ in (MISTAKES[0], MISTAKES[2], MISTAKES[3], MISTAKES[9])
    ],
]
"""Another step, the number of batches, whether it trains as the right one does, and what to say if that is missed."""


def inspect_same_training(fn: Answer) -> None:
    """The learner's test on pairs of steps that are equal, and on pairs that differ late, little or in one network."""
    for other, count, same, hint in _PAIRS:
        for pair in ((step_reusing_fakes, other), (other, step_reusing_fakes)):
            batches = make_batches()[:count]
            came = call(fn, *pair, make_players, batches, may_change=[batches])
            kind = "Return a bool: `torch.allclose` gives one, `==` a tensor."
            require(isinstance(came, bool), "True or False", came, kind)
            name = "equal" if same else "different"
            require(came is same, f"{same} for two {name} steps", f"{came}", hint)


@exercise(same_by_outcome)
def same_training(fn: Answer) -> None:
    """Check ``same_training(step, other, make_players, batches)`` -> bool."""
    inspect_same_training(fn)
