"""Checks of the clinic's training steps, 7.5 (in-place error) and 7.8 (gradients left over), and of 7.22."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from unittest.mock import patch

import torch
from torch import Tensor, nn

from course_utils.checks import Answer, CheckFailed, Wrong, call, describe, expect_close, require
from course_utils.checks._clinic_tools import call_in_words, expect_pair
from course_utils.checks._gan_mistakes import MISTAKES, bce

C_RATE, G_RATE = 0.2, 0.1
Players = tuple[nn.Module, nn.Module, torch.optim.Optimizer, torch.optim.Optimizer]


def make_players() -> Players:
    """A generator, a critic and SGD for each, equal at every call."""
    random = torch.Generator().manual_seed(3)
    generator = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 3))
    critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    with torch.no_grad():
        for parameter in (*generator.parameters(), *critic.parameters()):
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=random))
    g_optimizer = torch.optim.SGD(generator.parameters(), lr=G_RATE)
    return generator, critic, g_optimizer, torch.optim.SGD(critic.parameters(), lr=C_RATE)


def make_batches() -> list[tuple[Tensor, Tensor]]:
    """Real examples and noise of three steps; their numbers differ."""
    random = torch.Generator().manual_seed(4)
    sizes = ((5, 4), (1, 3), (4, 6))
    return [(torch.randn(b, 3, generator=random) + 1, torch.randn(n, 2, generator=random)) for b, n in sizes]


# ---------------------------------------------------------------- 7.5 the in-place error


def critic_step_by_halves(
    g: nn.Module, c: nn.Module, g_opt: torch.optim.Optimizer, c_opt: torch.optim.Optimizer, real: Tensor, noise: Tensor
) -> tuple[float, float]:
    """The reference: the critic's half on fakes without a graph, then the generator's half on a new answer."""
    with torch.no_grad():
        fake = g(noise)
    c_loss = c(fake).mean() - c(real).mean()
    c_opt.zero_grad()
    c_loss.backward()
    c_opt.step()
    g_loss = -c(g(noise)).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return c_loss.item(), g_loss.item()


def _steps_last(cleared_between: bool) -> Callable[..., tuple]:
    def step(g: nn.Module, c: nn.Module, g_opt: object, c_opt: object, real: Tensor, noise: Tensor) -> tuple:
        fake = g(noise)
        c_loss, g_loss = c(fake).mean() - c(real).mean(), -c(fake).mean()
        g_opt.zero_grad()
        c_opt.zero_grad()
        c_loss.backward(retain_graph=True)
        if cleared_between:
            g_opt.zero_grad()
        g_loss.backward()
        c_opt.step()
        g_opt.step()
        return c_loss.item(), g_loss.item()

    return step


def _old_answer(g: nn.Module, c: nn.Module, g_opt: object, c_opt: object, real: Tensor, noise: Tensor) -> tuple:
    fake = g(noise)
    c_loss, g_loss = c(fake.detach()).mean() - c(real).mean(), -c(fake).mean()
    g_gradients = torch.autograd.grad(g_loss, list(g.parameters()))
    c_opt.zero_grad()
    c_loss.backward()
    c_opt.step()
    for parameter, gradient in zip(g.parameters(), g_gradients, strict=True):
        parameter.grad = gradient
    g_opt.step()
    return c_loss.item(), g_loss.item()


def _negated(part: int) -> Callable[..., tuple]:
    def step(g: nn.Module, c: nn.Module, g_opt: object, c_opt: object, real: Tensor, noise: Tensor) -> tuple:
        signs = (-1 if part == 0 else 1, -1 if part == 1 else 1)
        c_loss = signs[0] * (c(g(noise).detach()).mean() - c(real).mean())
        c_opt.zero_grad()
        c_loss.backward()
        c_opt.step()
        g_loss = -signs[1] * c(g(noise)).mean()
        g_opt.zero_grad()
        g_loss.backward()
        g_opt.step()
        return c_loss.item(), g_loss.item()

    return step


_WRONG_CRITIC: list[tuple[Callable[..., tuple], str]] = [
    (
        _steps_last(True),
        "No error any more, and no judge either: both losses reach the critic, their pulls on every fake cancel, and it "
        "never learns to lower one. Detach the fakes, and finish the critic's half first.",
    ),
    (
        _steps_last(False),
        "No error any more, and no game either: both losses reach both networks, their pulls on every fake are +1 and "
        "-1 and cancel, and the generator stands still. Detach the fakes, and finish the critic's half first.",
    ),
    (_old_answer, "G learns from the critic as it was *before* its step: ask the critic again after it."),
    (_negated(0), "The critic's loss has the wrong sign: it should lower fakes and raise real examples."),
    (_negated(1), "The generator's loss has the wrong sign: it should raise the critic's answer to fakes."),
]
_SAME_ERROR = "The same error as before. "
_USELESS = {
    "retain": _SAME_ERROR + "`retain_graph=True` keeps a graph alive; the weights in it have still been changed by "
    "`c_optimizer.step()`, and no activation's `inplace` is to blame. Ask the critic again after its step.",
    "detach": _SAME_ERROR + "Detaching the fakes in the critic's half is right and not enough: `g_loss` was computed "
    "with the critic's old weights. Ask the critic again after its step.",
    "nothing": _SAME_ERROR + "No layer's `inplace=True` is to blame (there is none in these networks): "
    "`c_optimizer.step()` changes the weights in place, and `g_loss` was computed with the old ones.",
}
_TWICE = {
    "second time": "One graph is used twice. Do not keep it with `retain_graph=True`: detach the fakes in the critic's half.",
    "does not require grad": "A gradient was cut off: detach in the critic's half only.",
}


def inspect_critic_step(fn: Answer) -> None:
    """Three SGD steps against the reference; the error, if it is still there, is told apart by what led to it."""
    outcome = _play(critic_step_by_halves)
    came = _play(fn, checked=True)
    wrong: list[Wrong] = [(lambda s=step: _play(s), hint) for step, hint in _WRONG_CRITIC]
    hint = "One half at a time: loss, zero_grad, backward, step. Which network may move, on which loss?"
    try:
        expect_close(came, outcome, "losses and weights", wrong=wrong, hint=hint, atol=2e-5, rtol=1e-3)
    except CheckFailed as failure:
        rows = [f"losses {describe(row[:6])}, weights {describe(row[6:])}" for row in (outcome, came)]
        raise CheckFailed(f"after three SGD steps: {rows[0]}", rows[1], failure.hint) from None


def _play(step: Callable[..., object], checked: bool = False) -> Tensor:
    """Losses of three steps, then all weights."""
    players, told = make_players(), []
    for real, noise in make_batches():
        result = _watched(step, players, real, noise) if checked else step(*players, real, noise)
        losses = expect_pair(result, "(critic's loss, generator's loss)")
        told += [float(loss) for loss in losses]
    weights = [p.detach().flatten() for network in players[:2] for p in network.parameters()]
    return torch.cat([torch.tensor(told), *weights])


def _watched(fn: Answer, players: Players, real: Tensor, noise: Tensor) -> object:
    backward, kept = Tensor.backward, []

    def spy(self: Tensor, *args: object, **options: object) -> None:
        kept.append(bool(options.get("retain_graph")))
        backward(self, *args, **options)

    try:
        with patch.object(Tensor, "backward", spy):
            return call_in_words(fn, *players, real, noise, may_change=players, says=_TWICE)
    except CheckFailed as failure:
        if "inplace operation" not in failure.got:
            raise
        reached = any(p.grad is not None for p in players[0].parameters())
        kind = "retain" if any(kept) else "nothing" if reached else "detach"
        raise CheckFailed("one step of both players", failure.got, _USELESS[kind]) from None


# ---------------------------------------------------------------- 7.22 do two steps train alike?


def step_with_filled_labels(
    g: nn.Module, d: nn.Module, g_opt: torch.optim.Optimizer, d_opt: torch.optim.Optimizer, real: Tensor, noise: Tensor
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
    g: nn.Module, d: nn.Module, g_opt: torch.optim.Optimizer, d_opt: torch.optim.Optimizer, real: Tensor, noise: Tensor
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


def outcome(step: Callable[..., object], make: Callable[[], Players], batches: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """All weights after the steps, one flat row."""
    players = make()
    for real, noise in batches:
        step(*players, real, noise)
    return torch.cat([p.detach().flatten() for network in players[:2] for p in network.parameters()])


def same_by_outcome(step: object, other: object, make: object, batches: object) -> bool:
    """The reference: equal weights of both networks after all batches, up to rounding."""
    return torch.allclose(outcome(step, make, batches), outcome(other, make, batches), atol=1e-5)


def step_by_sums(
    g: nn.Module, d: nn.Module, g_opt: torch.optim.Optimizer, d_opt: torch.optim.Optimizer, real: Tensor, noise: Tensor
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
_ROUNDING = "These two compute the same in another order. Demand equality up to rounding (`torch.allclose`), not of each bit."
_PAIRS: list[tuple[Callable[..., tuple], int, bool, str]] = [
    (step_reusing_fakes, 3, True, "A step must equal itself: is each started from new players, `make_players()`?"),
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
        (step, 3, False, "These two steps train differently, but the test calls them equal: compare all weights at the end.")
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
