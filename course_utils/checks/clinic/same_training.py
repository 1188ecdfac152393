"""Exercise `same_training`: a test whether two steps train networks alike."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.checks.clinic.game import case
from course_utils.checks.clinic.shared import Players, make_batches, make_players
from course_utils.checks.core import Answer, call, require
from course_utils.checks.gan.gan_step import CAUGHT, HALVED, Step, clear_late, joint_step
from course_utils.checks.gan.shared import bce

Make = Callable[[], Players]
Batches = Sequence[tuple[Tensor, Tensor]]


def _same_by_outcome(step: Step, other: Step, make: Make, batches: Batches) -> bool:
    """Equal weights of both networks after all batches, up to rounding."""
    return torch.allclose(_outcome(step, make, batches), _outcome(other, make, batches), atol=1e-5)


def _outcome(step: Step, make: Make, batches: Batches) -> Tensor:
    """All weights after the steps, one flat row."""
    players = make()
    for real, noise in batches:
        step(*players, real, noise)
    weights = (*players[0].parameters(), *players[1].parameters())
    return torch.cat([p.detach().flatten() for p in weights])


def _step_with_filled_labels(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
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


def _step_reusing_fakes(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
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


def _only(network: int) -> Step:
    """A step in which only one network moves: the generator (0) or the discriminator (1)."""

    def step(
        g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
    ) -> tuple[float, float]:
        frozen = (g, d)[1 - network]
        still = deepcopy(frozen.state_dict())
        told = _step_reusing_fakes(g, d, g_opt, d_opt, real, noise)
        frozen.load_state_dict(still)
        return told

    return step


def _then(change: Callable[[nn.Module], None], network: int) -> Step:
    """The right step, and then a change of the generator (0) or the discriminator (1)."""

    def step(*arguments: Any) -> tuple[float, float]:
        told = _step_reusing_fakes(*arguments)
        with torch.no_grad():
            change(arguments[network])
        return told

    return step


def _relabel(network: nn.Module) -> None:
    """Permute the hidden units: the same function, and the same numbers in other places."""
    first, second, third, _ = network.parameters()
    for weights, dim in ((first, 0), (second, 0), (third, 1)):
        weights.copy_(weights.roll(1, dim))


def _nudge(network: nn.Module) -> None:
    """Move two biases of the first layer by little and opposite amounts."""
    bias = list(network.parameters())[1]
    bias[0] += 1e-3
    bias[-1] -= 1e-3


def _shift_last(network: nn.Module) -> None:
    """Move the last bias alone."""
    list(network.parameters())[-1].add_(1e-3)


def _step_by_sums(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
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


def _idle(*arguments: Any) -> tuple[float, float]:
    """No step at all."""
    return 0.0, 0.0


_NEW = "A step must equal itself: is each started from new players, `make_players()`?"
_BOTH = "In this step {} never moves: compare all weights of *both* networks, with a tolerance near 1e-6."
_BLIND = (
    "The test even calls a step that does nothing equal to a right one. Are both played, each with players of its own, "
    "and then all weights compared, up to rounding only?"
)
_ROUNDING = (
    "These two compute the same in another order. "
    "Demand equality up to rounding (`torch.allclose`), not of each bit."
)
_LATE = (
    "This step leaves a gradient behind, which harms only the *next* step: play all batches, not one, and compare "
    "weights after the last."
)
_OTHER = "These two steps train differently, but the test calls them equal: compare all weights at the end."

_PERMUTED = "These end with the same numbers in other places: sums, norms and losses agree. Compare weight by weight."
_LITTLE = (
    "A few weights differ by 0.001 here, which is no rounding: compare *every* weight and bias, with a "
    "tolerance near 1e-6, and not their sums."
)

# Another step, the number of batches, whether it trains as the right one does, and the hint if that is missed.
_PAIRS: list[tuple[Step, int, bool, str]] = [
    (_step_reusing_fakes, 3, True, _NEW),
    (_step_with_filled_labels, 3, True, _ROUNDING),
    (_step_by_sums, 3, True, _ROUNDING),
    (_only(0), 1, False, _BOTH.format("the discriminator")),
    (_only(1), 1, False, _BOTH.format("the generator")),
    (clear_late(detach=True), 3, False, _LATE),
    (CAUGHT, 3, False, _OTHER),
    (joint_step, 3, False, _OTHER),
    (clear_late(detach=False), 3, False, _OTHER),
    (HALVED, 3, False, _OTHER),
    *[(_then(_relabel, network), 3, False, _PERMUTED) for network in (0, 1)],
    *[(_then(_relabel, network), 1, False, _PERMUTED) for network in (0, 1)],
    *[(_then(_nudge, network), 1, False, _LITTLE) for network in (0, 1)],
    *[(_then(_shift_last, network), 1, False, _LITTLE) for network in (0, 1)],
]


@case(_same_by_outcome)
def same_training(fn: Answer) -> None:
    """Check ``same_training(step, other, make_players, batches)`` -> bool.

    It is asked about pairs of steps that are equal, and about pairs that differ late, little or in one network.
    """
    for other, count, same, hint in _PAIRS:
        for pair in ((_step_reusing_fakes, other), (other, _step_reusing_fakes)):
            batches = make_batches()[:count]
            came = call(fn, *pair, make_players, batches)
            kind = "Return a bool: `torch.allclose` gives one, `==` a tensor."
            require(isinstance(came, bool | np.bool_), "True or False", came, kind)
            name = "equal" if same else "different"
            if came and not same and call(fn, pair[0], _idle, make_players, batches):
                hint = _BLIND
            require(bool(came) is same, f"{same} for two {name} steps", f"{came}", hint)
