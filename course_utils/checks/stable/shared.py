"""What the checks of lesson 08 share: pairs of losses, and penalties that are trained on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    expect_close,
    expect_gradient,
    expect_tensor,
    require,
)

Losses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def expect_losses(
    fn: Answer, oracle: Losses, inputs: tuple[Tensor, Tensor], wrong: Sequence[Wrong], hint: str
) -> None:
    """Both losses of a game of logits, and their gradients.

    Args:
        fn: the learner's function of real and fake logits.
        oracle: the same, right.
        inputs: the logits (B,) and (B',).
        wrong: known mistakes, each with both losses; None stands for one in which the mistake does not show.
        hint: for mistakes that nobody has named yet.
    """
    for place, (what, leaves) in enumerate(
        (("the discriminator's loss", ("real", "fake")), ("the generator's loss", ("fake",)))
    ):
        mine = {
            n: a.clone().requires_grad_() for n, a in zip(("real", "fake"), inputs, strict=True)
        }
        came, expected = call(fn, *mine.values()), oracle(*mine.values())[place]
        two = "Return both losses: the discriminator's, then the generator's."
        require(isinstance(came, tuple | list) and len(came) == 2, "two losses", came, two)
        one = "One number for the whole batch: a mean over its logits."
        expect_tensor(came[place], (), what, torch.float32, hint=one)
        named: list[Wrong] = [
            (lambda *a, f=mistake, p=place: f(*a)[p], words) for mistake, words in wrong
        ]
        expect_close(came[place], expected, what, inputs=inputs, wrong=named, hint=hint)
        cut = "The number is right, but no gradient passes: no `.item()`, `.detach()` or `torch.no_grad` on the way."
        expect_gradient(came[place], expected, {f"{n} logits": mine[n] for n in leaves}, cut)


def smooth_critic(inputs: int) -> nn.Sequential:
    """A small critic of flattened examples, steep and curved everywhere: (B, ...) -> (B,)."""
    layers = nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 1)
    for layer in (layers[0], layers[2]):
        layer.weight.data.mul_(3)
    return nn.Sequential(nn.Flatten(), *layers, nn.Flatten(0))


def expect_penalty(
    came: Any,
    expected: Tensor,
    what: str,
    network: nn.Module,
    inputs: Sequence[Any],
    wrong: Sequence[Wrong],
    hint: str,
) -> None:
    """A scalar penalty, its gradient by the network's weights, and no gradient left behind in them.

    Args:
        came: what the learner's function returned.
        expected: the right one, with its graph.
        what: what is compared, in words.
        network: whose weights the penalty trains.
        inputs: the arguments that gave ``came``.
        wrong: known mistakes.
        hint: for mistakes that nobody has named yet.
    """
    shape = "A single number: a mean over the batch of what each example counts."
    expect_tensor(came, (), what, torch.float32, hint=shape)
    expect_close(came, expected, what, inputs=inputs, wrong=wrong, hint=hint, rtol=1e-3)
    expect_gradient(came, expected, weights_of(network), _GRAPH)
    filled = [name for name, p in network.named_parameters() if p.grad is not None]
    hint = "`backward` fills `.grad` of every weight, and the next step of the optimiser uses it: `autograd.grad`."
    require(not filled, "no gradients left in the network", ", ".join(filled[:3]), hint)


def weights_of(network: nn.Module) -> Mapping[str, Tensor]:
    """The weights of linear and convolutional layers, by words for them."""
    return {
        f"layer {name}": layer.weight
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }


_GRAPH = (
    "The number is right, but no gradient reaches the weights: `create_graph=True` keeps the path."
)


def bare(value: Tensor) -> Tensor:
    """A copy that asks for a gradient of its own."""
    return value.detach().clone().requires_grad_(True)


def own_gradients(network: nn.Module, x: Tensor) -> Tensor:
    """Gradient of each logit by its own example, asked about alone: (B, ...) -> (B, ...), with its graph."""
    rows = []
    for example in x.split(1):
        example = bare(example)
        rows.append(torch.autograd.grad(network(example).sum(), example, create_graph=True)[0])
    return torch.cat(rows)
