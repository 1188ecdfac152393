"""Exercise `measured_anew`: a generator whose BatchNorms have the averages of other latent vectors."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, require
from course_utils.models import cgan


def _norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]


def _averages(network: nn.Module) -> Tensor:
    """All means and variances of its BatchNorms, one after the other."""
    parts: list[Tensor] = []
    for layer in _norms(network):
        assert layer.running_mean is not None and layer.running_var is not None
        parts += [layer.running_mean, layer.running_var]
    return torch.cat(parts)


def _after_a_pass(
    momentum: float | None = 1.0,
    reset: bool = False,
    training: bool = True,
    first_only: bool = False,
    of: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda labels, noise: (labels, noise),
) -> Answer:
    """The averages after a pass, right but for what is given."""

    def averages(network: nn.Module, labels: Tensor, noise: Tensor) -> Tensor:
        twin = copy.deepcopy(network).train(training)
        for place, layer in enumerate(_norms(twin)):
            if reset:
                layer.reset_running_stats()
            layer.momentum = 0.1 if first_only and place else momentum
        labels, noise = of(labels, noise)
        with torch.no_grad():
            twin(noise, labels)
        return _averages(twin)

    return averages


def _behind_old_ones(network: nn.Module, labels: Tensor, noise: Tensor) -> Tensor:
    """Each layer's input is measured while the layers before it still have their old averages."""
    twin, found = copy.deepcopy(network).eval(), list[Tensor]()

    def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.extend([inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3))])

    for layer in _norms(twin):
        layer.register_forward_pre_hook(look)
    with torch.no_grad():
        twin(noise, labels)
    return torch.cat(found)


def _reset(network: nn.Module, labels: Tensor, noise: Tensor) -> Tensor:
    twin = copy.deepcopy(network)
    for layer in _norms(twin):
        layer.reset_running_stats()
    return _averages(twin)


_NO_AVERAGES = (
    "Without running averages BatchNorm looks at the batch it gets, and a picture depends on the others beside it. "
    "Keep the averages, and fill them with this batch's."
)
_STILL = (
    "The averages are the old ones. BatchNorm looks at a batch, and keeps something of it, in training mode only; and "
    "with momentum 0 it keeps nothing."
)
_TENTH = (
    "The averages moved a tenth of the way: BatchNorm's momentum is 0.1. With which momentum does nothing of the old "
    "average remain?"
)
_MOSTLY = "Something of the old averages is left: momentum is the share of the *new* batch."

_MISTAKES: list[Wrong] = [
    (lambda network, labels, noise: _averages(network), _STILL),
    (_after_a_pass(momentum=0.1), _TENTH),
    (
        _after_a_pass(momentum=0.1, reset=True),
        "The averages were reset to 0 and 1, and moved a tenth of the way from there: momentum is still 0.1.",
    ),
    (
        _reset,
        "The averages are 0 and 1, as in a new network: after the reset the batch has to go through.",
    ),
    (_after_a_pass(momentum=0.9), _MOSTLY),
    (_after_a_pass(momentum=0.99), _MOSTLY),
    (_after_a_pass(momentum=0.5), _MOSTLY),
    (
        _after_a_pass(momentum=None),
        "Momentum None takes the mean over all batches that a layer has ever seen: forget the earlier ones with "
        "`reset_running_stats()`.",
    ),
    (
        _after_a_pass(first_only=True),
        "Only the first BatchNorm was measured: each of them has averages.",
    ),
    (
        _behind_old_ones,
        "Each layer was measured behind layers that still had their old averages. In training mode each passes on what "
        "the batch's own mean and variance make of it.",
    ),
    (
        _after_a_pass(of=lambda labels, noise: (0 * labels, noise)),
        "All pictures were asked for as class 0: the generator is told `labels`.",
    ),
    (
        _after_a_pass(of=lambda labels, noise: (labels.flip(0), noise)),
        "Each latent vector goes with its own label: the order was changed.",
    ),
    (
        _after_a_pass(of=lambda labels, noise: (labels, 0 * noise)),
        "The noise has no say: all latent vectors were 0.",
    ),
]
_WORKED = (
    "The averages of each BatchNorm are the mean and the variance of what comes into it when this batch, and no other, "
    "goes through in training mode."
)
_COPY = (
    "Something that was given has changed: another scale needs the generator as it was. Work on "
    "`copy.deepcopy(network)`, which shares no layer with it."
)
_ORDER = "The generator takes noise first and labels second: `network(noise, labels)`."
_TOLD = {
    "changed its argument": _COPY,
    "shapes cannot be multiplied": _ORDER,
    "must have same number of dimensions": _ORDER,
}


@exercise(cgan.with_averages_of)
def measured_anew(fn: Answer) -> None:
    """Check ``measured_anew(network, labels, noise)``: a copy with one batch's averages, in evaluation mode.

    The network comes in either mode; labels (N,), noise (N, latent_dim, 1, 1).
    """
    for training, scale in ((False, 0.4), (True, 0.4), (False, 2.0)):
        _expect_copy(fn, training, scale)


def _expect_copy(fn: Answer, training: bool, scale: float) -> None:
    network = _that_has_seen_noise().train(training)
    labels, noise = torch.arange(3).repeat(8), scale * torch.randn(24, 6, 1, 1)
    came = call(fn, network, labels, noise, says=_TOLD)
    whole = "Return the copy of the generator itself, and nothing around it."
    require(isinstance(came, nn.Module), "a generator", came, whole)
    require(came is not network, "a copy", "the very network that was given", _COPY)
    kept = all(norm.running_mean is not None for norm in _norms(came))
    require(kept, "running averages in each BatchNorm", "none", _NO_AVERAGES)
    names = "The copy is a generator of the same layers: `copy.deepcopy(network)` makes it."
    require(came.state_dict().keys() == network.state_dict().keys(), "the same layers", came, names)
    what = f"the averages for noise times {scale:g}"
    expected, found = _averages(cgan.with_averages_of(network, labels, noise)), _averages(came)
    inputs = (network, labels, noise)
    expect_close(
        found, expected, what, inputs=inputs, wrong=_MISTAKES, hint=_WORKED, atol=5e-3, rtol=1e-2
    )
    learned = "Only the averages are new: nothing is trained, and no weight moves."
    weights = zip(came.parameters(), network.parameters(), strict=True)
    require(all(torch.equal(a, b) for a, b in weights), "the same weights", "others", learned)
    mode = "The copy is in training mode, where a picture depends on the others of its batch: end with `.eval()`."
    still = not any(layer.training for layer in came.modules())
    require(still, "a copy in evaluation mode", "layers in training mode", mode)


def _that_has_seen_noise() -> cgan.Generator:
    """A generator of three classes whose averages and class weights are not those of the start, with large maps."""
    network = cgan.Generator(6, 4, classes=3).train()
    for norm in network.norms:
        assert isinstance(norm, cgan.ConditionalBatchNorm)
        nn.init.uniform_(norm.weight.weight, 0.5, 2.0)
        nn.init.normal_(norm.bias.weight)
    with torch.no_grad():
        for layer in (network.first, *network.doublings):
            layer.weight.mul_(20)
        for _ in range(3):
            network(torch.randn(16, 6, 1, 1), torch.arange(16) % 3)
    return network
