"""Exercise `slope`: how steep the discriminator is at photographs, each picture for itself."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_gradient,
    expect_tensor,
    require,
)
from course_utils.checks.dcgan.shared import (
    expect_as_it_came,
    slope_of_the_package,
    small_judge,
)


def _alone(discriminator: nn.Module, picture: Tensor) -> Tensor:
    """Gradient (1, C, H, W) of the logit of one picture that is asked about alone."""
    picture = picture.detach().clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(picture).sum(), picture, create_graph=True)
    return gradient


def _one_by_one(discriminator: nn.Module, real: Tensor) -> Tensor:
    """The definition itself: in evaluation mode, one picture at a time."""
    training = [module for module in discriminator.modules() if module.training]
    discriminator.eval()
    lengths = [_alone(discriminator, picture).square().sum() for picture in real.split(1)]
    for module in training:
        module.training = True
    return torch.stack(lengths).mean()


def _gradients(discriminator: nn.Module, real: Tensor, train: bool) -> Tensor:
    """Gradient (B, C, H, W) of the sum of all logits, by a copy."""
    twin = copy.deepcopy(discriminator).train(train)
    real = real.detach().clone().requires_grad_(True)
    return torch.autograd.grad(twin(real).sum(), real)[0]


def _own_in_the_batch(discriminator: nn.Module, real: Tensor) -> Tensor:
    """Each logit by its own picture, in training mode, the batch around it."""
    twin, real = copy.deepcopy(discriminator).train(), real.detach().clone().requires_grad_(True)
    logits = twin(real)
    own = [
        torch.autograd.grad(logit, real, retain_graph=True)[0][i] for i, logit in enumerate(logits)
    ]
    return torch.stack(own).square().flatten(1).sum(1).mean()


def _each_alone_in_training(discriminator: nn.Module, real: Tensor) -> Tensor:
    twin = copy.deepcopy(discriminator).train()
    return torch.stack([_alone(twin, x).square().sum() for x in real.split(1)]).mean()


def _of_probabilities(discriminator: nn.Module, real: Tensor) -> Tensor:
    network = nn.Sequential(copy.deepcopy(discriminator), nn.Sigmoid())
    return _gradients(network, real, train=False).square().flatten(1).sum(1).mean()


def _of_weights(discriminator: nn.Module, real: Tensor) -> Tensor:
    twin = copy.deepcopy(discriminator).eval()
    rows = torch.autograd.grad(twin(real.detach()).sum(), list(twin.parameters()))
    return torch.stack([row.square().sum() for row in rows]).sum()


def _mistaken(reduce: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, Tensor], Tensor]:
    return lambda discriminator, real: reduce(_gradients(discriminator, real, train=False))


_IN_THE_BATCH = (
    "BatchNorm mixes the batch here: photograph i then moves every logit, not only its own. In which mode of the "
    "network does an answer depend on its own picture alone?"
)

_MISTAKES: list[Wrong] = [
    (
        _mistaken(lambda g: g.flatten(1).norm(dim=1).mean()),
        "These are lengths; the formula has their squares.",
    ),
    (
        _mistaken(lambda g: g.square().sum()),
        "The squares of all pictures are added: the formula has their mean over the batch.",
    ),
    (
        _mistaken(lambda g: g.square().mean()),
        "A mean over pixels: the squared length of a gradient is the *sum* of the squares of its numbers.",
    ),
    (
        _mistaken(lambda g: (g / len(g)).square().flatten(1).sum(1).mean()),
        "The mean of the logits divides each gradient by B, and its square by B twice: differentiate their sum.",
    ),
    (
        _mistaken(lambda g: (g / len(g)).square().sum()),
        "The mean of the logits divides each gradient by B, and its square by B twice: differentiate their sum.",
    ),
    (
        _mistaken(lambda g: g.square().flatten(1).sum(1).mean() / 2),
        "Half of it: the factor of the penalty comes later, the training loop multiplies by it.",
    ),
    (
        _of_probabilities,
        "This is the slope of the probability: where D is sure the sigmoid is flat, so it looks tame. Take the logit.",
    ),
    (
        _mistaken(lambda g: g.flatten(1).sum(1).square().mean()),
        "Added first and squared afterwards, so that ups and downs cancel: a length squares each number, then adds.",
    ),
    (
        _mistaken(lambda g: g.norm()),
        "One length for the whole batch: each picture has a length of its own, and it is squared.",
    ),
    (
        _mistaken(lambda g: g.square().sum(1).mean()),
        "dim=1 is the colour channels alone: a picture's gradient runs over channels, rows and columns.",
    ),
    (
        _mistaken(lambda g: g.square().sum((2, 3)).mean()),
        "Each colour channel by itself: a picture's gradient runs over channels, rows and columns.",
    ),
    (
        _mistaken(lambda g: (g.flatten(1).norm(dim=1) - 1).square().mean()),
        "This pulls the slope towards 1, as the penalty of Gulrajani et al. does; R1 pulls it towards 0.",
    ),
    (
        _of_weights,
        "This is the gradient by D's weights: asked for is how the logit changes with the *picture*.",
    ),
    (
        lambda d, real: _gradients(d, real, train=True).square().flatten(1).sum(1).mean(),
        _IN_THE_BATCH,
    ),
    (
        _own_in_the_batch,
        "Each picture's own slope, but inside the batch, whose mean and spread it moves: the task asks about it alone.",
    ),
    (
        _each_alone_in_training,
        "One picture at a time, and still in training mode: BatchNorm then subtracts that picture's own mean.",
    ),
]


_WORKED = (
    "A picture of two pixels and the logit a = 3 x1 - 4 x2: its gradient is (3, -4) at every picture, whose squared "
    "length is 9 + 16 = 25. Then the mean over the batch."
)


@exercise(slope_of_the_package)
def slope(fn: Answer) -> None:
    """Check ``slope(discriminator, real)``: mean squared length of each logit's gradient, a scalar.

    The discriminator's BatchNorm does not mix the pictures, its modes and averages are as before, and the result can
    be differentiated by its weights.
    """
    layer = nn.Linear(3 * 6 * 6, 1, bias=False)
    layer.weight.data.mul_(8)
    plane = nn.Sequential(nn.Flatten(), layer, nn.Flatten(0))
    _expect_slope(fn, plane, torch.randn(5, 3, 6, 6), "the slope of a plane")
    judge = small_judge()
    _expect_slope(fn, judge, torch.rand(6, 3, 16, 16) * 2 - 1, "the slope of a D with BatchNorm")
    _expect_slope(fn, judge.eval(), torch.rand(4, 3, 16, 16), "the slope of a D in evaluation mode")


def _expect_slope(fn: Answer, network: nn.Module, real: Tensor, what: str) -> None:
    before, expected = copy.deepcopy(network), _one_by_one(network, real)
    told = {
        "changed its argument": "The caller's photographs now need a gradient: ask it of a copy, `real.detach()`.",
        "does not require grad": "The photographs need a gradient before D sees them: `requires_grad_(True)`.",
        "appears to not have been used": "D was not asked about the tensor that you differentiate by.",
        "only for scalar outputs": "A gradient starts from one number, and these are B logits: which number holds all?",
        "'tuple' object": "`torch.autograd.grad` returns a tuple, even of one gradient: take it out.",
    }
    came = call(fn, network, real, may_change=[network], says=told)
    shape = "A single number: a mean over pictures of a sum over channels, rows and columns."
    expect_tensor(came, (), what, torch.float32, hint=shape)
    expect_close(
        came, expected, what, inputs=[before, real], wrong=_MISTAKES, hint=_WORKED, rtol=1e-3
    )
    _expect_left_alone(network, before)
    cut = "The number is right, but no gradient reaches D's weights: `create_graph=True` keeps the path."
    weights = {
        f"layer {name}": layer.weight
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    if came.requires_grad and not _reaches(came, weights):
        cut = "The gradient goes to the weights of a copy of D: ask the D that is trained, and put its modes back."
    expect_gradient(came, expected, weights, cut)


def _reaches(came: Tensor, weights: dict[str, Tensor]) -> bool:
    """Whether a gradient of the result comes to any of the weights."""
    rows = torch.autograd.grad(came, list(weights.values()), allow_unused=True, retain_graph=True)
    return any(row is not None for row in rows)


def _expect_left_alone(network: nn.Module, before: nn.Module) -> None:
    """Modes, averages, weights and their gradients are as they were."""
    expect_as_it_came(network, before)
    filled = [name for name, p in network.named_parameters() if p.grad is not None]
    hint = "`backward` fills `.grad` of every weight, and the next step of the optimiser uses it: `autograd.grad`."
    require(not filled, "no gradients left in D", ", ".join(filled[:3]), hint)
