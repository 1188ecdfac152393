"""Exercise `zero_centred_penalty`: each example's own squared slope, with or without BatchNorm around it."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, Wrong, call, exercise, require
from course_utils.checks.dcgan.shared import (
    expect_as_it_came,
    slope_of_the_package,
    small_judge,
)
from course_utils.checks.stable.shared import (
    bare,
    expect_penalty,
    own_gradients,
    smooth_critic,
)


def _penalty_one_by_one(discriminator: nn.Module, x: Tensor) -> Tensor:
    """The definition itself: in evaluation mode, one example at a time."""
    training = [module for module in discriminator.modules() if module.training]
    discriminator.eval()
    lengths = own_gradients(discriminator, x).square().flatten(1).sum(1)
    for module in training:
        module.training = True
    return lengths.mean()


def _gradients(
    discriminator: nn.Module,
    x: Tensor,
    train: bool = False,
    of: Callable[[Tensor], Tensor] = torch.sum,
) -> Tensor:
    """Gradient (B, ...) by a copy."""
    twin, x = copy.deepcopy(discriminator).train(train), bare(x)
    return torch.autograd.grad(of(twin(x)), x)[0]


def _of(reduce: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, Tensor], Tensor]:
    return lambda discriminator, x: reduce(_gradients(discriminator, x))


def _squared(gradient: Tensor) -> Tensor:
    return gradient.square().flatten(1).sum(1).mean()


def _each_alone_in_training(discriminator: nn.Module, x: Tensor) -> Tensor:
    return _squared(own_gradients(copy.deepcopy(discriminator).train(), x).detach())


def _own_in_the_batch(discriminator: nn.Module, x: Tensor) -> Tensor:
    """Each logit by its own example, in training mode, the batch around it."""
    twin, x = copy.deepcopy(discriminator).train(), bare(x)
    logits = twin(x)
    own = [torch.autograd.grad(a, x, retain_graph=True)[0][i] for i, a in enumerate(logits)]
    return _squared(torch.stack(own))


def _along_channels(gradient: Tensor) -> Tensor:
    return gradient.square().sum(1).mean()


_IN_THE_BATCH = (
    "BatchNorm mixes the batch here: example i then moves every logit, not only its own. In which mode of the network "
    "does an answer depend on its own example alone?"
)
_DIVIDED = "The mean of the logits divides each gradient by B, and its square by B twice: differentiate their sum."

_MISTAKES: list[Wrong] = [
    (_of(lambda g: g.flatten(1).norm(dim=1).mean()), "These are lengths; R1 has their squares."),
    (
        _of(lambda g: (g.flatten(1).norm(dim=1) - 1).square().mean()),
        "This pulls the slope to 1, as WGAN-GP does; here it is pulled to 0, by its square.",
    ),
    (
        _of(lambda g: g.square().sum()),
        "The squares of all examples are added: the penalty has their mean over the batch.",
    ),
    (
        _of(lambda g: g.square().mean()),
        "A mean over coordinates: the squared length of a gradient is the *sum* of its squares.",
    ),
    (_of(lambda g: _squared(g / len(g))), _DIVIDED),
    (_of(lambda g: (g / len(g)).square().sum()), _DIVIDED),
    (
        _of(lambda g: _squared(g) / 2),
        "Half of it: the factor of the penalty comes later, the training loop multiplies by it.",
    ),
    (
        _of(lambda g: g.flatten(1).sum(1).square().mean()),
        "Squared after the sum: a gradient of (1, -1) has the squared length 2, not 0.",
    ),
    (
        _of(lambda g: g.mean(0).square().sum()),
        "The gradients were averaged before their squares: opposite slopes cancel. Square first.",
    ),
    (
        _of(_along_channels),
        "The sum runs along the channels only: a picture's gradient is one vector of all its numbers, `flatten(1)`.",
    ),
    (
        lambda d, x: _squared(_gradients(d, x, of=lambda a: a.sigmoid().sum())),
        "This is the slope of the probability: where D is sure the sigmoid is flat, so it looks tame. Take the logit.",
    ),
    (lambda d, x: _squared(_gradients(d, x, train=True)), _IN_THE_BATCH),
    (
        _own_in_the_batch,
        "Each example's own slope, but inside the batch, whose mean and spread it moves: the task asks about it alone.",
    ),
    (
        _each_alone_in_training,
        "One example at a time, and still in training mode: BatchNorm then subtracts that example's own mean.",
    ),
]
_WORKED = "A plane w · x has the gradient w at every example: the penalty is the sum of w's squares, whatever x is."
_TOLD = {
    "changed its argument": "The caller's examples now need a gradient: ask it of a copy, `x.detach()`.",
    "does not require grad": "The examples need a gradient before D sees them: `requires_grad_(True)`.",
    "appears to not have been used": "D was not asked about the tensor that you differentiate by.",
    "Dimension out of range": "Points are (B, 2), pictures (B, 3, H, W): `flatten(1)` makes rows of both.",
    "grad can be implicitly created": "Differentiate one number: the *sum* of the logits.",
    "non-leaf": "x may hang on the generator's graph: cut it off first, `x.detach()`.",
    "a leaf Variable": "x may hang on the generator's graph: cut it off first, `x.detach()`.",
    "Expected more than 1 value per channel": "One example at a time, and still in training mode: BatchNorm has no "
    "spread to divide by. In which mode does it not ask the batch?",
}


@exercise(slope_of_the_package)
def zero_centred_penalty(fn: Answer) -> None:
    """Check ``zero_centred_penalty(discriminator, x)``: the mean of each logit's squared slope, a scalar.

    Points and pictures; the discriminator's BatchNorm does not mix them, its modes and averages are as before, the
    result can be differentiated by its weights, and of examples that a generator made nothing reaches that one.
    """
    layer = nn.Linear(3 * 6 * 6, 1, bias=False)
    layer.weight.data.mul_(8)
    plane = nn.Sequential(nn.Flatten(), layer, nn.Flatten(0))
    _expect_penalty(fn, plane, torch.randn(5, 3, 6, 6), "the penalty of a plane")
    _expect_penalty(fn, smooth_critic(2), torch.randn(5, 2), "the penalty of a D of points")
    judge = small_judge()
    _expect_penalty(
        fn, judge, torch.rand(6, 3, 16, 16) * 2 - 1, "the penalty of a D with BatchNorm"
    )
    _expect_penalty(fn, judge.eval(), torch.rand(4, 3, 16, 16), "the penalty in evaluation mode")
    _expect_cut_off(fn)


def _expect_penalty(fn: Answer, network: nn.Module, x: Tensor, what: str) -> None:
    before, expected = copy.deepcopy(network), _penalty_one_by_one(network, x)
    came = call(fn, network, x, may_change=[network], says=_TOLD)
    expect_penalty(came, expected, what, network, [before, x], _MISTAKES, _WORKED)
    expect_as_it_came(network, before)


def _expect_cut_off(fn: Answer) -> None:
    """Examples that hang on a generator's graph are data here, as photographs are."""
    critic, generator = smooth_critic(2), nn.Linear(3, 2)
    fake = generator(torch.randn(5, 3))
    came = call(fn, critic, fake, says=_TOLD)
    reached = torch.autograd.grad(came, generator.weight, allow_unused=True, retain_graph=True)[0]
    hint = "The penalty is D's alone, and G was pulled along: cut the examples off first, `x.detach()`."
    require(reached is None, "no gradient in the generator that made x", "one", hint)
