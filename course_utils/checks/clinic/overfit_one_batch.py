"""Exercise `overfit_one_batch`: the first test of a training, a single batch that has to be learned."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, call, expect_close, require

Loss = Callable[[Tensor, Tensor], Tensor]


def _losses_by_grad(
    model: nn.Module, loss: Loss, x: Tensor, y: Tensor, steps: int, lr: float
) -> list[float]:
    """Gradients asked for, not accumulated."""
    parameters = list(model.parameters())
    optimizer, losses = torch.optim.Adam(parameters, lr=lr), []
    for _ in range(steps):
        value = loss(model(x), y)
        for p, gradient in zip(parameters, torch.autograd.grad(value, parameters), strict=True):
            p.grad = gradient
        optimizer.step()
        losses.append(value.item())
    return losses


def _variant(
    keep: bool = False,
    late: bool = False,
    step: bool = True,
    rate: float = 1.0,
    kind: Any = torch.optim.Adam,
    own: float | None = None,
) -> Callable:
    def train(
        model: nn.Module, loss: Loss, x: Tensor, y: Tensor, steps: int, lr: float
    ) -> list[float]:
        optimizer, losses = kind(model.parameters(), lr=own or rate * lr), []
        for _ in range(steps):
            value = loss(model(x), y)
            if not keep:
                optimizer.zero_grad()
            value.backward()
            if step:
                optimizer.step()
            losses.append((loss(model(x), y) if late else value).item())
        return losses

    return train


_MISTAKES: list[tuple[Callable, str]] = [
    (_variant(keep=True), "Gradients add up from step to step: where is `zero_grad`?"),
    (
        _variant(step=False),
        "The loss does not move: no step is taken, or the gradient is gone before it.",
    ),
    (
        _variant(late=True),
        "These are the losses *after* each step; asked for is the loss from which the step came.",
    ),
    (
        _variant(kind=torch.optim.SGD),
        "This is plain SGD: the lesson asks for Adam, so that steep and flat losses take like steps.",
    ),
    (_variant(own=1e-3), "This is Adam with its own rate, 0.001: pass `lr` on."),
    (
        lambda m, f, x, y, n, lr: _fresh(m, f, x, y, n, lr),
        "A new optimiser for each step forgets Adam's means: make it once.",
    ),
]
_FLOAT = "A tensor keeps the whole graph of its step, so that memory grows with every loss in the list: `.item()`."
_COUNT = "One loss per step, in a list."
_EARLY = (
    "Stopped before `steps` steps: a loss of every step is asked for, however small it has become."
)
_FIRST = (
    "The first loss is that of the network as it came, on x and y as they came, by the `loss` that was given: the "
    "whole batch, no draw of rows, and before any step."
)
_WORKED = (
    "By hand: Adam's first step moves each weight by almost lr, whatever its slope. With lr 0.05 a weight of 1.0 and "
    "slope 3 becomes 0.95; the loss noted is that at 1.0."
)


def _fresh(
    model: nn.Module, loss: Loss, x: Tensor, y: Tensor, steps: int, lr: float
) -> list[float]:
    return [_losses_by_grad(model, loss, x, y, 1, lr)[0] for _ in range(steps)]


@case(_losses_by_grad)
def overfit_one_batch(fn: Answer) -> None:
    """Check ``overfit_one_batch(model, loss, x, y, steps, lr)``: Adam on one batch, the loss before each step.

    The same losses as another implementation, for two kinds of loss, and the network trained in place.
    """
    for loss, outputs, steps in ((F.cross_entropy, 3, 12), (_squares, 1, 5)):
        x = torch.randn(8, 5)
        y = torch.randint(3, (8,)) if outputs == 3 else torch.randn(8, 1)
        start = _start(outputs).state_dict()
        model = _network(start, outputs)
        came = call(fn, model, loss, x, y, steps, 0.05, may_change=[model])
        _expect_floats(came, steps)
        rest = (loss, x, y, steps, 0.05)
        right = _losses_by_grad(_network(start, outputs), *rest)
        wrong = [
            (
                lambda how=how, start=start, outputs=outputs, rest=rest: how(
                    _network(start, outputs), *rest
                ),
                hint,
            )
            for how, hint in _MISTAKES
        ]
        expect_close(
            came,
            right,
            "losses",
            wrong=wrong,
            hint=_WORKED if abs(came[0] - right[0]) < 1e-4 else _FIRST,
        )
        moved = not torch.equal(next(model.parameters()), start["0.weight"])
        require(
            moved,
            "the network trained",
            "its weights are as before",
            "Train the network that was given, not a copy.",
        )

    known = _network(start, 1).requires_grad_(True)
    x = torch.randn(4, 5)
    came = call(fn, known, _squares, x, known(x).detach(), 6, 0.01, may_change=[known])
    require(len(came) == 6, "6 losses where all are 0", f"{len(came)} losses", _EARLY)


def _expect_floats(came: Any, steps: int) -> None:
    require(type(came) in (list, tuple), "a list of losses", came, _COUNT)
    kinds: Sequence[Any] = [one for one in came if type(one) is not float]
    require(not kinds, "floats", kinds[0] if kinds else "", _FLOAT)
    require(len(came) == steps, f"{steps} losses", f"{len(came)} losses", _COUNT)


def _squares(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction - target).square().mean()


def _start(outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, outputs))


def _network(state: dict[str, Tensor], outputs: int) -> nn.Module:
    model = _start(outputs)
    model.load_state_dict(state)
    return model
