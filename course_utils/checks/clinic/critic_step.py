"""Exercise `critic_step`: a step of critic and generator without PyTorch's error about in-place operations."""

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.checks.clinic.game import case
from course_utils.checks.clinic.shared import Players, expect_pair, make_batches, make_players
from course_utils.checks.core import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    describe,
    expect_close,
    require,
)
from course_utils.checks.gan.gan_step import Step, first_parting


def _critic_step_by_halves(
    g: nn.Module, c: nn.Module, g_opt: Optimizer, c_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple[float, float]:
    """The critic's half on fakes without a graph, then the generator's half on a new answer."""
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


def _steps_last(cleared_between: bool) -> Step:
    def step(
        g: nn.Module, c: nn.Module, g_opt: Optimizer, c_opt: Optimizer, real: Tensor, noise: Tensor
    ) -> tuple[float, float]:
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


def _old_answer(
    g: nn.Module, c: nn.Module, g_opt: Optimizer, c_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple[float, float]:
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


def _negated(part: int) -> Step:
    def step(
        g: nn.Module, c: nn.Module, g_opt: Optimizer, c_opt: Optimizer, real: Tensor, noise: Tensor
    ) -> tuple[float, float]:
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


def _turned(*arguments: Any) -> tuple[float, float]:
    c_loss, g_loss = _critic_step_by_halves(*arguments)
    return g_loss, c_loss


_MISTAKES: list[tuple[Step, str]] = [
    (_turned, "The losses come in the other order: the critic's first."),
    (
        _steps_last(True),
        "No error any more, and no judge either: both losses reach the critic, their pulls on every fake cancel, and "
        "it never learns to lower one. Detach the fakes, and finish the critic's half first.",
    ),
    (
        _steps_last(False),
        "No error any more, and no game either: both losses reach both networks, their pulls on every fake are +1"
        " and -1 and cancel, and the generator stands still. Detach the fakes, and finish the critic's half "
        "first.",
    ),
    (
        _old_answer,
        "G learns from the critic as it was *before* its step: ask the critic again after it.",
    ),
    (
        _negated(0),
        "The critic's loss has the wrong sign: it should lower fakes and raise real examples.",
    ),
    (
        _negated(1),
        "The generator's loss has the wrong sign: it should raise the critic's answer to fakes.",
    ),
]

# By what was tried against the error.
_USELESS_FIXES = {
    "retain": "The same error as before. `retain_graph=True` keeps a graph alive; the weights in it have still been "
    "changed by `c_optimizer.step()`, and no activation's `inplace` is to blame. Ask the critic again after its "
    "step.",
    "detach": "The same error as before. Detaching the fakes in the critic's half is right and not enough: `g_loss` "
    "was computed with the critic's old weights. Ask the critic again after its step.",
    "nothing": "The same error as before. No layer's `inplace=True` is to blame (there is none in these networks): "
    "`c_optimizer.step()` changes the weights in place, and `g_loss` was computed with the old ones.",
}

_KEEPS_THE_GRAPH = (
    "Return numbers, `loss.item()`: a tensor holds the graph that made it, "
    "and a list of losses then all graphs."
)
_DRAWN = "The step draws random numbers of its own: both halves use the noise that was passed in."
_SAYS = {
    "second time": "One graph is used twice. Do not keep it with `retain_graph=True`: "
    "detach the fakes in the critic's half.",
    "does not require grad": "A gradient was cut off: detach in the critic's half only.",
}


@case(_critic_step_by_halves)
def critic_step(fn: Answer) -> None:
    """Check ``critic_step(generator, critic, g_optimizer, c_optimizer, real, noise)`` -> (critic's, G's loss).

    Three SGD steps against the reference; the error, if it is still there, is told apart by what led to it.
    """
    right, came = _play(_critic_step_by_halves), _play(fn, checked=True)
    torch.manual_seed(1)  # a step that draws its own noise now takes another way
    again = _play(fn, checked=True)
    same = torch.allclose(came, again, atol=2e-5, rtol=1e-3, equal_nan=True)
    require(same, "the same step for the same noise", "another step", _DRAWN)
    wrong: list[Wrong] = [(lambda s=step: _play(s), hint) for step, hint in _MISTAKES]
    near = partial(expect_close, atol=2e-5, rtol=1e-3)
    try:
        near(came, right, "losses and weights", wrong=wrong, hint="")
    except CheckFailed as failure:
        rows = [f"losses {describe(x[:6])}, weights {describe(x[6:])}" for x in (right, came)]
        hint = failure.hint or _where_it_parts(fn)
        raise CheckFailed(f"after three SGD steps: {rows[0]}", rows[1], hint) from None


_PARTS = {
    "d_loss": "The critic's loss is another: its mean for the fakes minus its mean for the real examples.",
    "d": "The critic's loss is right, the critic after its step is not: it moves once, on that loss alone, and "
    "nothing else is done to its weights.",
    "g_loss": "The critic's half is right. G's loss is another: minus the mean of the critic's answers *after* its "
    "step.",
    "g": "The critic's half and G's loss are right, G after its step is not: it moves once, on that loss alone. Is a "
    "gradient of the critic's loss still in it, or does none reach it?",
}
_LATER = (
    "The first step is right, a later one is not: a gradient, or a change of the weights, is left over from the step "
    "before. For each network `zero_grad` comes before its `backward`."
)


def _where_it_parts(fn: Answer) -> str:
    """Words for the first loss, or the first weights, that are others than the right step's."""
    step, part = first_parting(_parts_of(fn), _parts_of(_critic_step_by_halves))
    return _PARTS[part] if step == 1 else _LATER


def _parts_of(step: Callable[..., object]) -> list[Tensor]:
    players, found = make_players(), []
    for real, noise in make_batches():
        c_loss, g_loss = expect_pair(step(*players, real, noise), "both losses")
        generator, critic = (
            torch.cat([p.detach().flatten() for p in network.parameters()])
            for network in players[:2]
        )
        found += [torch.tensor(float(c_loss)), critic, torch.tensor(float(g_loss)), generator]
    return found


def _play(step: Callable[..., object], checked: bool = False) -> Tensor:
    """Losses of three steps, then all weights."""
    players, told = make_players(), []
    for real, noise in make_batches():
        result = _watched(step, players, real, noise) if checked else step(*players, real, noise)
        losses = expect_pair(result, "(critic's loss, generator's loss)")
        for loss in losses:
            number = isinstance(loss, float | int | np.floating)
            require(number, "both losses as floats", result, _KEEPS_THE_GRAPH)
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
            return call(fn, *players, real, noise, may_change=players, says=_SAYS)
    except CheckFailed as failure:
        if "inplace operation" not in failure.got:
            raise
        reached = any(p.grad is not None for p in players[0].parameters())
        kind = "retain" if any(kept) else "nothing" if reached else "detach"
        raise CheckFailed("one step of both players", failure.got, _USELESS_FIXES[kind]) from None
