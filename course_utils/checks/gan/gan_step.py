"""Exercise `gan_step`: one step of the discriminator, then one of the generator."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.checks.core import (
    Answer,
    CheckFailed,
    call,
    describe,
    exercise,
    expect_close,
    require,
)
from course_utils.checks.gan.shared import bce
from course_utils.models.stacked import stacked_mlp

Step = Callable[[nn.Module, nn.Module, Optimizer, Optimizer, Tensor, Tensor], tuple[float, float]]
"""Generator, discriminator, their optimisers, real examples, noise -> (discriminator loss, generator loss)."""


def gan_step_with_labels(
    generator: nn.Module,
    discriminator: nn.Module,
    g_optimizer: Optimizer,
    d_optimizer: Optimizer,
    real: Tensor,
    noise: Tensor,
) -> tuple[float, float]:
    """The step as cross-entropy against labels, with new fakes from the same noise for each half."""
    with torch.no_grad():
        fake = generator(noise)
    d_loss = bce(discriminator(real), 1.0) + bce(discriminator(fake), 0.0)
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    g_loss = bce(discriminator(generator(noise)), 1.0)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()


def _variant(
    d_labels: tuple[float, float] = (1.0, 0.0),
    g_loss: Callable[[Tensor], Tensor] = lambda logits: bce(logits, 1.0),
    d_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    swapped: bool = False,
    clear: bool = True,
) -> Step:
    """The right step with one thing changed."""

    def step(
        g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
    ) -> tuple[float, float]:
        fake = g(noise)
        a, b = d(real), d(fake.detach())
        loss_d = d_loss(a, b) if d_loss else bce(a, d_labels[0]) + bce(b, d_labels[1])
        if clear:
            d_opt.zero_grad()
        loss_d.backward()
        d_opt.step()
        loss_g = g_loss(d(fake))
        if clear:
            g_opt.zero_grad()
        loss_g.backward()
        g_opt.step()
        return (loss_g.item(), loss_d.item()) if swapped else (loss_d.item(), loss_g.item())

    return step


def joint_step(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple[float, float]:
    """Both losses reach both networks, from the same answers of the discriminator."""
    logits = d(g(noise))
    d_loss, g_loss = bce(d(real), 1.0) + bce(logits, 0.0), bce(logits, 1.0)
    g_opt.zero_grad()
    d_opt.zero_grad()
    d_loss.backward(retain_graph=True)
    g_loss.backward()
    d_opt.step()
    g_opt.step()
    return d_loss.item(), g_loss.item()


def clear_late(detach: bool) -> Step:
    """`zero_grad` after `step` instead of before `backward`, with the fakes detached in D's half or not."""

    def step(
        g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
    ) -> tuple[float, float]:
        fake = g(noise)
        d_loss = bce(d(real), 1.0) + bce(d(fake.detach() if detach else fake), 0.0)
        d_loss.backward()
        d_opt.step()
        d_opt.zero_grad()
        g_loss = bce(d(g(noise)), 1.0)
        g_loss.backward()
        g_opt.step()
        g_opt.zero_grad()
        return d_loss.item(), g_loss.item()

    return step


def _half_cleared(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple[float, float]:
    d_loss = bce(d(real), 1.0) + bce(d(g(noise)), 0.0)
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = bce(d(g(noise)), 1.0)
    g_loss.backward()
    g_opt.step()
    g_opt.zero_grad()
    return d_loss.item(), g_loss.item()


def _old_judge(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple[float, float]:
    fake = g(noise)
    g_loss = bce(d(fake), 1.0)
    g_gradients = torch.autograd.grad(g_loss, list(g.parameters()))
    d_loss = bce(d(real), 1.0) + bce(d(fake.detach()), 0.0)
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    for parameter, gradient in zip(g.parameters(), g_gradients, strict=True):
        parameter.grad = gradient
    g_opt.step()
    return d_loss.item(), g_loss.item()


def _generator_first(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple[float, float]:
    g_loss = bce(d(g(noise)), 1.0)
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    d_loss = bce(d(real), 1.0) + bce(d(g(noise).detach()), 0.0)
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    return d_loss.item(), g_loss.item()


def _one_mean(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    labels = torch.cat([torch.ones_like(real_logits), torch.zeros_like(fake_logits)], -2)
    return F.binary_cross_entropy_with_logits(torch.cat([real_logits, fake_logits], -2), labels)


CAUGHT = _variant(g_loss=lambda logits: bce(logits, 0.0))
HALVED = _variant(d_loss=lambda a, b: (bce(a, 1.0) + bce(b, 0.0)) / 2)

_JOINT = (
    "Both networks share the gradients of both losses: at D = 1/2 the pulls on a fake's logit cancel (2D - 1 = 0), and "
    "training freezes in what looks like the equilibrium. Detach the fakes in D's half and finish that half first."
)

_MISTAKES: list[tuple[Step, str]] = [
    (
        CAUGHT,
        "In the generator's half the fakes carry the label *fake*: G is trained to be caught. Its label is 1.",
    ),
    (
        _variant(g_loss=lambda a: -bce(a, 0.0)),
        "This generator loss is the saturating one, log(1 - D); asked for is the non-saturating -log D.",
    ),
    (joint_step, _JOINT),
    (
        clear_late(detach=False),
        "Without `detach` D's loss leaves a gradient in G, and `zero_grad` after `step` does not remove it in time: G "
        "then steps on D's wishes too. Detach, and clear *before* each backward.",
    ),
    (
        clear_late(detach=True),
        "`zero_grad` comes after `step`: what G's half leaves in D's gradients is still there in the next step. Clear "
        "*before* each backward.",
    ),
    (_variant(clear=False), "Gradients pile up from step to step: `zero_grad` is missing."),
    (
        _old_judge,
        "The generator's loss was computed with the discriminator from *before* its step: ask D again.",
    ),
    (
        _generator_first,
        "The generator moves first here; the order asked for is discriminator, then generator.",
    ),
    (
        _variant(d_labels=(0.0, 1.0)),
        "The discriminator's labels are swapped: real is 1, fake is 0.",
    ),
    (
        HALVED,
        "The discriminator's loss is the *sum* of the mean over real and the mean over fake; here it is halved.",
    ),
    (
        _variant(d_loss=_one_mean),
        "One mean over the real and fake batches together weighs them by their sizes: add two means.",
    ),
    (
        _variant(d_loss=lambda a, b: bce(a, 1.0)),
        "The discriminator sees real examples only: it learns to call everything real.",
    ),
    (
        _variant(d_loss=lambda a, b: bce(b, 0.0)),
        "The discriminator sees fakes only: it learns to call everything fake.",
    ),
    (
        _variant(swapped=True),
        "The losses are returned in the other order: (discriminator loss, generator loss).",
    ),
    (
        _variant(
            d_loss=lambda a, b: F.softplus(-a).sum() + F.softplus(b).sum(),
            g_loss=lambda a: F.softplus(-a).sum(),
        ),
        "Sums instead of means: the step then grows with the batch.",
    ),
    (
        _half_cleared,
        "Only the discriminator's `zero_grad` is in its place: without `detach` D's loss leaves a gradient in G, and G "
        "steps on it too. Clear both *before* their backward.",
    ),
]

_SAYS = {
    "second time": "One graph is used twice. `retain_graph=True` would silence this and train G to be caught: detach "
    "the fakes in D's half.",
    "inplace operation": "The generator's loss was computed before D's step changed the weights that it went through: "
    "ask D again after its step.",
    "Target size": "The labels have another shape than D's answers: `torch.ones_like(logits)` always fits.",
    "does not require grad": "A gradient was cut off: is the wrong half detached, or D left frozen from the last step?",
}

_D_RATE, _G_RATE = 0.3, 0.2


def _plain_sgd(network: nn.Module, rate: float) -> Optimizer:
    return torch.optim.SGD(network.parameters(), lr=rate)


def _with_momentum(network: nn.Module, rate: float) -> Optimizer:
    """An optimiser that remembers: it tells its own steps from updates by hand, and from a new one at each call."""
    return torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=0.05)


def _adam(network: nn.Module, rate: float) -> Optimizer:
    """The last layer alone, by Adam; its eps keeps rounding small."""
    last = list(network.parameters())[-2:]
    return torch.optim.Adam(last, lr=0.1 * rate, betas=(0.5, 0.9), eps=1e-3)


def _by_hand(anew: Callable[[Optimizer], Optimizer] | None) -> Step:
    """The right step, but the optimisers that are passed in never step: updates by hand, or an optimiser made anew."""

    def step(
        g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
    ) -> tuple[float, float]:
        def own(network: nn.Module, optimizer: Optimizer) -> Optimizer:
            if anew:
                return anew(optimizer)
            return _plain_sgd(network, optimizer.param_groups[0]["lr"])

        return gan_step_with_labels(g, d, own(g, g_opt), own(d, d_opt), real, noise)

    return step


def _made_anew(optimizer: Optimizer) -> Optimizer:
    return type(optimizer)(optimizer.param_groups[0]["params"], **optimizer.defaults)


_PASSED_IN = (
    "Right with plain SGD, wrong with an optimiser that has momentum: let the optimisers that are passed in take the "
    "steps, each once (`d_optimizer.step()`, `g_optimizer.step()`). An update by hand, or a new optimiser at each "
    "call, forgets what Adam remembers."
)
_UPDATES: list[tuple[Step, str]] = [
    (_by_hand(None), _PASSED_IN),
    (_by_hand(_made_anew), _PASSED_IN),
]


@exercise(gan_step_with_labels)
def gan_step(fn: Answer) -> None:
    """Check ``gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise) -> (float, float)``."""
    inspect_gan_step(fn)


def inspect_gan_step(fn: Answer) -> None:
    """Raise `CheckFailed` unless ``fn`` takes the steps of the oracle (lesson 07 asks for the same function)."""
    for game in _games():
        expected = _oracle(game)
        came = _play(fn, game, checked=True)
        torch.manual_seed(1)  # a step that draws its own noise now takes another way
        again = _play(fn, game, checked=True)
        fresh = "The step draws random numbers of its own: both halves use the noise that was passed in."
        alike = torch.allclose(came, again, atol=1e-6)
        require(alike, "the same step for the same noise", "another step", fresh)
        _name_what_stood_still(game, came)
        mistakes = _MISTAKES if game.optimizer is _plain_sgd else [*_UPDATES, *_MISTAKES]
        wrong = [(partial(_play, mistake, game), hint) for mistake, hint in mistakes]
        plain = game.optimizer is _plain_sgd
        what = "losses and weights after three steps"
        try:
            expect_close(came, expected, what, wrong=wrong, hint="", atol=2e-5, rtol=1e-3)
        except CheckFailed as failure:
            hint = failure.hint or (_where_it_parts(fn, game) if plain else _PASSED_IN)
            raise _in_words(came, expected, hint) from None


_PARTS = {
    "d_loss": "D's loss is another: a mean over real examples called real (label 1), plus one over fakes called fake "
    "(0).",
    "d": "D's loss is right, D after its step is not: it moves once, on that loss alone. What else is in its "
    "gradients?",
    "g_loss": "D's half is right. G's loss is another: D *after* its step is asked about the fakes, with the label 1 "
    "(real).",
    "g": "D's half and G's loss are right, G after its step is not: it moves once, on that loss alone.",
}
_LATER = (
    "The first step is right, {} of step {} is the first that is not: a gradient of the step before is still there. "
    "For each network `zero_grad` comes before its `backward`."
)


def first_parting(came: Sequence[Tensor], right: Sequence[Tensor]) -> tuple[int, str]:
    """The step, from 1, and the part of it where two runs part.

    Args:
        came: of each step the losses and weights in the order of `_PARTS`.
        right: the same of the right step.
    """
    for place, (mine, other) in enumerate(zip(came, right, strict=True)):
        if not torch.allclose(mine, other, atol=2e-5, rtol=1e-3):
            return place // len(_PARTS) + 1, list(_PARTS)[place % len(_PARTS)]
    return 0, ""


def told_of_parting(step: int, part: str) -> str:
    """Words for what `first_parting` found."""
    names = {"d_loss": "D's loss", "d": "D's weights", "g_loss": "G's loss", "g": "G's weights"}
    return _PARTS.get(part, "") if step <= 1 else _LATER.format(names[part], step)


def _where_it_parts(fn: Answer, game: "_Game") -> str:
    rows = [_parts_of(step, game) for step in (fn, gan_step_with_labels)]
    return told_of_parting(*first_parting(*rows))


def _parts_of(step: Step, game: "_Game") -> list[Tensor]:
    generator, discriminator = deepcopy(game.generator), deepcopy(game.discriminator)
    g_optimizer = game.optimizer(generator, _G_RATE)
    d_optimizer = game.optimizer(discriminator, _D_RATE)
    found = []
    for real, noise in game.batches:
        d_loss, g_loss = step(generator, discriminator, g_optimizer, d_optimizer, real, noise)
        d, g = (_state([], network, nn.Identity()) for network in (discriminator, generator))
        found += [torch.tensor(d_loss), d, torch.tensor(g_loss), g]
    return found


@dataclass(frozen=True)
class _Game:
    """Two networks at their start, the batches of three steps, and what makes an optimiser from network and rate."""

    generator: nn.Module
    discriminator: nn.Module
    batches: tuple[tuple[Tensor, Tensor], ...]
    optimizer: Callable[[nn.Module, float], Optimizer] = _plain_sgd


def _games() -> Iterator[_Game]:
    """Plain networks with logits (B, 1), then a stack with logits (copies, B, 1); real and noise differ in number.

    Last the plain networks again, with optimisers that a step by hand cannot stand in for.
    """
    random = torch.Generator().manual_seed(5)
    generator = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 3))
    discriminator = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    with torch.no_grad():
        for parameter in (*generator.parameters(), *discriminator.parameters()):
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=random))
    sizes = ((5, 4), (1, 3), (4, 6))
    plain = tuple(
        (torch.randn(b, 3, generator=random) + 1, torch.randn(n, 2, generator=random))
        for b, n in sizes
    )
    yield _Game(generator, discriminator, plain)
    tall = tuple(
        (torch.randn(2, b, 3, generator=random), torch.randn(2, n, 2, generator=random))
        for b, n in sizes
    )
    yield _Game(stacked_mlp([2, 5, 3], 2, 1, nn.Tanh), stacked_mlp([3, 5, 1], 2, 2, nn.Tanh), tall)
    yield _Game(generator, discriminator, plain, _with_momentum)
    yield _Game(generator, discriminator, plain, _adam)


def _in_words(came: Tensor, expected: Tensor, hint: str) -> CheckFailed:
    rows = [
        f"discriminator loss {row[0]:.4f}, generator loss {row[1]:.4f}"
        for row in (expected[:2], came[:2])
    ]
    if torch.allclose(came[:2], expected[:2], atol=2e-5):
        rows = [
            f"weights {describe(expected[6:])}",
            f"other weights {describe(came[6:])} (losses of step 1 are right)",
        ]
    return CheckFailed(f"after three steps: {rows[0]}", rows[1], hint)


def _oracle(game: _Game) -> Tensor:
    """Losses of three steps and the final weights, with gradients from `torch.autograd.grad`."""
    generator, discriminator = deepcopy(game.generator), deepcopy(game.discriminator)
    g_optimizer = game.optimizer(generator, _G_RATE)
    d_optimizer = game.optimizer(discriminator, _D_RATE)
    told = []
    for real, noise in game.batches:
        fake = generator(noise).detach()
        d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()
        _descend(d_loss, discriminator, d_optimizer)
        g_loss = F.softplus(-discriminator(generator(noise))).mean()
        _descend(g_loss, generator, g_optimizer)
        told += [d_loss.item(), g_loss.item()]
    return _state(told, generator, discriminator)


def _descend(loss: Tensor, network: nn.Module, optimizer: Optimizer) -> None:
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()


def _play(step: Step, game: _Game, checked: bool = False) -> Tensor:
    """Losses of three steps and the final weights, as `step` takes them."""
    generator, discriminator = deepcopy(game.generator), deepcopy(game.discriminator)
    g_optimizer = game.optimizer(generator, _G_RATE)
    d_optimizer = game.optimizer(discriminator, _D_RATE)
    told: list[float] = []
    for real, noise in game.batches:
        parts = (generator, discriminator, g_optimizer, d_optimizer)
        told += _checked_step(step, parts, real, noise) if checked else step(*parts, real, noise)
    return _state(told, generator, discriminator)


def _checked_step(step: Answer, parts: Sequence[Any], real: Tensor, noise: Tensor) -> list[float]:
    try:
        result = call(step, *parts, real, noise, may_change=parts, says=_SAYS)
    except CheckFailed as failure:
        if failure.expected.startswith("a result"):
            sizes = f"real {tuple(real.shape)}, noise {tuple(noise.shape)}"
            failure.expected = f"one step of both players ({sizes})"
        raise
    return _two_floats(result)


def _two_floats(result: Any) -> list[float]:
    what = "(discriminator loss, generator loss), two Python floats"
    pair = type(result) in (tuple, list) and len(result) == 2
    both = "Return both losses, as a tuple: `return d_loss.item(), g_loss.item()`."
    require(pair, what, result, both)
    item = (
        "A loss that is still a tensor keeps its whole graph in memory: `.item()` makes it a float."
    )
    require(all(type(value) is float for value in result), what, result, item)
    return list(result)


def _state(told: list[float], generator: nn.Module, discriminator: nn.Module) -> Tensor:
    parameters = (*generator.parameters(), *discriminator.parameters())
    return torch.cat([torch.tensor(told), *(p.detach().flatten() for p in parameters)])


def _name_what_stood_still(game: _Game, came: Tensor) -> None:
    g_size = sum(p.numel() for p in game.generator.parameters())
    start, end = _state([], game.generator, game.discriminator), came[6:]
    g_hint = "The generator never moves: is its step there, and does a gradient reach it?"
    d_hint = "The discriminator never moves: is its step there, after `backward`?"
    players = (("generator", slice(g_size), g_hint), ("discriminator", slice(g_size, None), d_hint))
    for name, part, hint in players:
        moved = not torch.equal(start[part], end[part])
        require(moved, f"a {name} that learns", "the same weights as before", hint)
