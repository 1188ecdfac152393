"""Exercise `train_step`: one step of a network that also learns to do without the label."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.core import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    describe,
    exercise,
    expect_close,
    expect_plain_number,
    require,
)
from course_utils.checks.diffusion.shared import NOT_ONE_EACH, TIMES, as_column, require_times
from course_utils.checks.watched import Block, Noting

_SHAPE, _CLASSES = (2, 3, 3), 3
_BATCHES = ((4, 30.0), (6, 0.2), (5, 1.0))
"""Of each step: pictures in the batch, and their size; the first has long gradients, the second short ones."""


class _Small(nn.Module):
    """A velocity for each class and for none, of two matrices: it notes whether it is asked inside of a block."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block, self.classes = block, _CLASSES
        random, size = torch.Generator().manual_seed(4), int(torch.Size(_SHAPE).numel())
        self.matrix = nn.Parameter(torch.randn(size, size, generator=random) / size**0.5)
        self.of_time = nn.Parameter(torch.randn(size, generator=random))
        self.of_class = nn.Parameter(torch.randn(_CLASSES + 1, size, generator=random))
        self.inside: list[bool] = []

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """Velocity (B, ...) at x (B, ...) and t (B,) for the labels (B,)."""
        require_times(x, t)
        self.inside.append(self.block.inside)
        flat = x.flatten(1) @ self.matrix + t[:, None].to(x) * self.of_time + self.of_class[label]
        return flat.view_as(x)


def _by_library(
    network: Any,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    label: Tensor,
    noise: Tensor,
    t: Tensor,
    hidden: Tensor,
    autocast: Any = nullcontext,
) -> float:
    shown = torch.where(hidden, network.classes, label)
    with autocast():
        came = network(torch.lerp(noise, x, as_column(t, x).to(x)), t, shown)
    loss = F.mse_loss(came.float(), x - noise)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _by_hand(
    network: Any,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    label: Tensor,
    noise: Tensor,
    t: Tensor,
    hidden: Tensor,
    autocast: Any = nullcontext,
    *,
    wrong: str,
) -> float:
    """The step with its formulas written out; ``wrong`` makes one mistake."""
    nobody = {"zero": 0, "last": network.classes - 1}.get(wrong, network.classes)
    where = {"turned": ~hidden, "shown": hidden & False, "all": hidden | True}.get(wrong, hidden)
    shown = torch.where(where, nobody, label)
    if wrong == "left out":
        x, noise, t, shown = x[~hidden], noise[~hidden], t[~hidden], shown[~hidden]
    start, end = (x, noise) if wrong == "exchanged" else (noise, x)
    at = as_column(t, x)
    error = network((1 - at) * start + at * end, t, shown) - (end - start)
    loss = error.square().sum() if wrong == "sum" else error.square().mean()
    if wrong != "kept":
        optimizer.zero_grad()
    loss.backward()
    if wrong == "cleared":
        optimizer.zero_grad()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    length = torch.stack([g.norm() for g in gradients]).norm() if gradients else torch.zeros(())
    for g in gradients:
        if wrong == "values":
            g.clamp_(-1, 1)
        elif wrong == "always":
            g.div_(length)
        elif wrong == "each":
            g.mul_(min(1.0, float(1 / g.norm())))
        elif wrong != "long":
            g.mul_(min(1.0, float(1 / (length + 1e-6))))
    optimizer.step()
    return loss.item()


_HINTS = {
    "shown": "No label was hidden: without that the network never learns the velocity of just any picture.",
    "turned": "The wrong labels were hidden: `hidden` is True where the label is to be hidden.",
    "all": "Every label was hidden: only those where `hidden` is True.",
    "zero": 'A hidden label became class 0; "no label" is `network.classes`.',
    "last": 'A hidden label became the last class; "no label" is `network.classes`, one more.',
    "left out": "The pictures without a label were left out: they train, too, but without the label.",
    "exchanged": "Pictures and noise are exchanged: `flow_loss` takes the data first, then the noise.",
    "sum": "The loss is a sum: `flow_loss` gives a mean.",
    "kept": "Gradients of the step before are still there: `zero_grad` comes before `backward`.",
    "cleared": "The gradients are cleared between `backward` and `step`: clear them before `backward`.",
    "long": (
        "The gradients were not cut to length 1 in time: they exist after `backward`, and the optimiser uses them in "
        "`step`."
    ),
    "values": "Each number was cut alone, which turns the direction: `clip_grad_norm_` cuts the length of all.",
    "always": "Short gradients were made longer: only those longer than 1 are cut.",
    "each": "Each layer was cut alone: the length is that of all gradients together.",
}
_OF_TWO = "`flow_loss` asks its network with x_t and t: give it a function of these two, which adds the label."
_APART = "Take it apart: hide labels, loss; then clear, backward, cut, step."


@exercise(_by_library)
def train_step(fn: Answer) -> None:
    """Check ``train_step(network, optimizer, x, label, noise, t, hidden, autocast)`` -> the loss, a number."""
    expected, got = _run(_by_library), _run(partial(_called, fn))
    mistakes: list[Wrong] = [
        (lambda name=name: _run(partial(_by_hand, wrong=name)).numbers, hint)
        for name, hint in _HINTS.items()
    ]
    calls, steps = len(got.inside), len(_BATCHES)
    once = "The network is asked once in each step."
    require(calls == steps, f"{steps} calls of the network in {steps} steps", f"{calls}", once)
    short = "`with autocast():` belongs around the call of the network: there numbers may be short."
    require(all(got.inside), "the network called within autocast()", "outside of it", short)
    moved = (
        "The weights move once a call, by `optimizer.step()` of the optimiser that is passed in."
    )
    require(
        got.steps == steps,
        "one step of the optimiser a call",
        f"{got.steps} in {steps} calls",
        moved,
    )
    late = "The backward pass is inside `with autocast():`; only the loss is to be."
    require(got.left, "autocast() left before the optimiser's step", "still within it", late)
    what = "loss and weights after three steps"
    try:
        expect_close(got.numbers, expected.numbers, what, wrong=mistakes, hint=_APART, atol=1e-5)
    except CheckFailed as failure:
        raise _in_words(got.numbers, expected.numbers, failure.hint) from None


def _called(fn: Answer, network: Any, optimizer: Any, *others: Any) -> float:
    says = {
        NOT_ONE_EACH: TIMES,
        "takes 2 positional": _OF_TWO,
        "missing 1 required positional argument: 'label'": _OF_TWO,
    }
    told = call(fn, network, optimizer, *others, may_change=(network, optimizer), says=says)
    return expect_plain_number(told, "the loss")


def _in_words(got: Tensor, expected: Tensor, hint: str) -> CheckFailed:
    """What differs first: the loss of the first step, or what came later."""
    told = [f"{row[0]:.4f}" for row in (expected, got)]
    if told[0] != told[1]:
        return CheckFailed(f"in the first step the loss {told[0]}", told[1], hint)
    later = [describe(row) for row in (expected, got)]
    return CheckFailed(f"three losses and weights {later[0]}", later[1], hint)


def _run(step: Callable[..., float]) -> SimpleNamespace:
    """Three steps of a fresh network: all that came out, in one tensor."""
    block, told = Block(), []
    network = _Small(block)
    optimizer = Noting(network, block, 0.1)
    random = torch.Generator().manual_seed(2)
    for count, size in _BATCHES:
        x = size * (torch.rand(count, *_SHAPE, generator=random) * 2 - 1)
        noise = torch.randn(count, *_SHAPE, generator=random)
        label = torch.arange(count) % _CLASSES
        hidden = torch.arange(count) % 4 == 1
        t = torch.rand(count, generator=random)
        told.append(step(network, optimizer, x, label, noise, t, hidden, block.enter))
    weights = [p.detach().flatten() for p in network.parameters()]
    return SimpleNamespace(
        numbers=torch.cat([torch.tensor(told), *weights]),
        inside=network.inside,
        left=optimizer.left,
        steps=optimizer.steps,
    )
