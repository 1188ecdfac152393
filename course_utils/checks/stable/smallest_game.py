"""Exercise `smallest_game`: a line against a point, both steps at once, and a penalty that is the critic's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like, require

Penalty = Callable[[nn.Module, Tensor, Tensor], Any]
Step = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True)
class _Probe:
    """A penalty, and its slopes written down.

    Attributes:
        words: what is compared.
        penalty: (critic, real (1, 1), fake (1, 1)) -> a number.
        by_b: (a, b) -> its slope by the critic's b.
        by_a: (a, b) -> its slope by the generator's a, which must not count.
    """

    words: str
    penalty: Penalty
    by_b: Callable[[float, float], float]
    by_a: Callable[[float, float], float] = lambda a, b: 0.0


def _steepness(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Half the squared slope at the data, with weight 0.6."""
    x = real.detach().clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return 0.3 * gradient.square().sum()


# The game without a penalty comes last: exchanged columns and exchanged signs look alike in it.
_PROBES = (
    _Probe("with the squared slope at the data as penalty", _steepness, lambda a, b: 0.6 * b),
    _Probe(
        "with the squared logit of the fake as penalty",
        lambda critic, real, fake: 0.4 * critic(fake).square().sum(),
        lambda a, b: 0.8 * a * a * b,
        lambda a, b: 0.8 * a * b * b,
    ),
    _Probe("without a penalty", lambda critic, real, fake: 0.0, lambda a, b: 0.0),
)


class _Line(nn.Module):
    """The lesson's critic: points (B, 1) -> logits (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(1) * self.b


def _game_by_sgd(penalty: Penalty, rate: float, steps: int) -> Tensor:
    """With the library's optimiser: what the lesson plays where nobody has answered."""
    critic, a = _Line(), torch.ones(1, 1, requires_grad=True)
    players, data = [a, critic.b], torch.zeros(1, 1)
    path = [torch.cat([p.detach().flatten() for p in players])]
    optimizer = torch.optim.SGD(players, rate)
    for _ in range(steps):
        d_loss = (critic(a.detach()) - critic(data)).sum() + penalty(critic, data, a.detach())
        of_b = torch.autograd.grad(d_loss, critic.b)[0]
        of_a = torch.autograd.grad(-critic(a).sum(), a)[0]
        a.grad, critic.b.grad = of_a, of_b
        optimizer.step()
        path.append(torch.cat([p.detach().flatten() for p in players]))
    return torch.stack(path)


def _written_down(probe: _Probe, rate: float, steps: int) -> Tensor:
    """The same in numbers: the critic's line has the slope a by b, and b by a."""
    return _path(lambda a, b: (a + rate * b, b - rate * (a + probe.by_b(a, b))), steps)


def _path(step: Step, steps: int) -> Tensor:
    places = [(1.0, 1.0)]
    for _ in range(steps):
        places.append(step(*places[-1]))
    return torch.tensor(places, dtype=torch.float64)


def _plays(
    step: Callable[[float, float, _Probe, float], tuple[float, float]],
) -> Callable[[_Probe, float, int], Tensor]:
    """A mistake in a step: (a, b, probe, rate) -> the next (a, b)."""
    return lambda probe, rate, steps: _path(lambda a, b: step(a, b, probe, rate), steps)


def _ends(
    change: Callable[[Tensor], Tensor],
) -> Callable[[_Probe, float, int], Tensor]:
    """A mistake in what becomes of the path."""
    return lambda probe, rate, steps: change(_written_down(probe, rate, steps))


def _generator_first(a: float, b: float, probe: _Probe, rate: float) -> tuple[float, float]:
    moved = a + rate * b
    return moved, b - rate * (moved + probe.by_b(moved, b))


def _critic_first(a: float, b: float, probe: _Probe, rate: float) -> tuple[float, float]:
    moved = b - rate * (a + probe.by_b(a, b))
    return a + rate * moved, moved


def _added_up(probe: _Probe, rate: float, steps: int) -> Tensor:
    """Gradients that nobody empties."""
    a = b = 1.0
    of_a = of_b = 0.0
    places = [(a, b)]
    for _ in range(steps):
        of_a, of_b = of_a - b, of_b + a + probe.by_b(a, b)
        a, b = a - rate * of_a, b - rate * of_b
        places.append((a, b))
    return torch.tensor(places, dtype=torch.float64)


_AT_ONCE = (
    "Both step at once: neither may see where the other has just gone. Take both gradients at the same (a, b), and "
    "only then move."
)
_CRITIC_TURNED = (
    "The critic goes the wrong way: it *minimises* critic(a) - critic(data) plus the penalty, so its step goes against "
    "the gradient."
)
_BOTH_TURNED = (
    "Both go the wrong way: the critic minimises critic(a) - critic(data) plus the penalty, the generator -critic(a), "
    "and a step goes against the gradient."
)
_LEFT_OUT = "The penalty has no say: it is added to what the critic minimises."
_DRAGGED = (
    "The penalty moves the generator, too: it is the critic's own affair, and the fake that it sees is data, "
    "`a.detach()`."
)
_NO_STEP = (
    "The path stands still: put today's number into it, `.item()`; a tensor that a later step changes in place changes "
    "in the list, too."
)
_START = "The path begins with (1, 1), before the first step, and has steps + 1 rows."

_MISTAKES: list[Wrong] = [
    (_plays(_generator_first), _AT_ONCE),
    (_plays(_critic_first), _AT_ONCE),
    (_plays(lambda a, b, p, rate: (a + rate * b, b - rate * a)), _LEFT_OUT),
    (
        _plays(lambda a, b, p, rate: (a + rate * b, b - rate * (a - p.by_b(a, b)))),
        "The penalty's sign: it is added to the loss that the critic minimises.",
    ),
    (
        _plays(
            lambda a, b, p, rate: (
                a + rate * (b - p.by_a(a, b)),
                b - rate * (a + p.by_b(a, b)),
            )
        ),
        _DRAGGED,
    ),
    (
        _plays(lambda a, b, p, rate: (a - rate * b, b - rate * (a + p.by_b(a, b)))),
        "The generator's sign: it wants the critic's answer to its point to rise, so it minimises minus that answer.",
    ),
    (_plays(lambda a, b, p, rate: (a + rate * b, b + rate * (a - p.by_b(a, b)))), _CRITIC_TURNED),
    (_plays(lambda a, b, p, rate: (a + rate * b, b + rate * (a + p.by_b(a, b)))), _CRITIC_TURNED),
    (_plays(lambda a, b, p, rate: (a - rate * b, b + rate * (a - p.by_b(a, b)))), _BOTH_TURNED),
    (_plays(lambda a, b, p, rate: (a - rate * b, b + rate * (a + p.by_b(a, b)))), _BOTH_TURNED),
    (
        _plays(lambda a, b, p, rate: (a + b, b - (a + p.by_b(a, b)))),
        "A step is `rate` times the gradient.",
    ),
    (
        _plays(lambda a, b, p, rate: (a, b - rate * (a + p.by_b(a, b)))),
        "The generator never moves: both players step.",
    ),
    (
        _plays(lambda a, b, p, rate: (a + rate * b, b - rate * p.by_b(a, b))),
        "Without a penalty the critic stands still: it minimises critic(a) - critic(data) *plus* the penalty, and "
        "steps as often as the generator.",
    ),
    (_plays(lambda a, b, p, rate: (a, b)), _NO_STEP),
    (_ends(lambda path: path[-1].expand_as(path)), _NO_STEP),
    (_ends(lambda path: torch.cat([path[:1], path[-1:].expand_as(path[1:])])), _NO_STEP),
    (
        _added_up,
        "Gradients of earlier steps add up: `backward` *adds* to `.grad`. Empty it in each step, or use "
        "`torch.autograd.grad`.",
    ),
    (_ends(lambda path: path.flip(1)), "The columns: a first, then b."),
    (_ends(lambda path: path.T), "Rows are steps: (steps + 1, 2), in each a and b."),
    (_ends(lambda path: path[1:]), _START),
    (_ends(lambda path: path[:-1]), _START),
    (_ends(lambda path: path[-1]), "The whole path is asked for, not its end alone."),
]
_WORKED = (
    "The first step by hand, without a penalty and with rate 0.1: a = 1 + 0.1 · 1 = 1.1 and b = 1 - 0.1 · 1 = 0.9, "
    "both from (1, 1)."
)
_TOLD = {
    "backward through the graph a second time": "Both losses hang on one graph, which the first gradient throws away: "
    "`retain_graph=True`, or ask the critic once for each loss.",
    "a leaf Variable": "A step is no part of the graph: take it within `with torch.no_grad():`.",
    "modified by an inplace": "A player was moved before the other's gradient was taken: first both gradients, then "
    "both steps.",
    "does not require grad": "The generator's point and the critic's b need a gradient, and the losses are made "
    "outside of `torch.no_grad()`.",
}


@exercise(_game_by_sgd)
def smallest_game(fn: Answer) -> None:
    """Check ``smallest_game(penalty, rate, steps)``: the path (steps + 1, 2) of (a, b) from (1, 1), without a graph."""
    for rate, steps in ((0.1, 6), (0.25, 4)):
        for probe in _PROBES:
            came = call(fn, probe.penalty, rate, steps, says=_TOLD)
            expect_like(
                came,
                _written_down(probe, rate, steps),
                f"the path of {steps} steps {probe.words}",
                inputs=(probe, rate, steps),
                wrong=_MISTAKES,
                shape=_START,
                hint=_WORKED,
            )
            hint = "A path is numbers: `.item()` takes them out of the graph."
            require(not came.requires_grad, "plain numbers", "a path with its graph", hint)
