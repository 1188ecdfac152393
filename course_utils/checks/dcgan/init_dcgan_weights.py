"""Exercise `init_dcgan_weights`: the random weights that a DCGAN starts from."""

import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from course_utils.checks.core import Answer, call, exercise, hinting, require


@torch.no_grad()
def _init_by_table(module: nn.Module) -> None:
    for kind, mean in ((_ConvNd, 0.0), (_BatchNorm, 1.0)):
        if isinstance(module, kind) and module.weight is not None:
            module.weight.copy_(mean + 0.02 * torch.randn_like(module.weight))
            if module.bias is not None:
                module.bias.zero_()


_WRONG_CONV = [
    (
        1.0,
        0.02,
        "Mean 1 belongs to BatchNorm, which multiplies by its weight; a convolution's weights lie around 0.",
    ),
    (
        0.0,
        0.2,
        "Ten times too wide: a deviation of 0.2 instead of 0.02 drives Tanh to its ends from the start.",
    ),
    (0.0, 0.02**0.5, "0.02 was taken for the variance; it is the standard deviation."),
    (0.0, 0.02**2, "0.02 was squared: the standard deviation itself is 0.02."),
    (
        0.02,
        0.0,
        "All weights are equal, so all filters of a layer learn the same: draw them at random.",
    ),
    (
        0.0,
        0.0,
        "All weights are 0: no signal passes, and no gradient comes back. Draw them at random.",
    ),
]

_WRONG_NORM = [
    (
        0.0,
        0.02,
        "Around 0 BatchNorm's weight switches nearly every channel off; it multiplies, so it lies around 1.",
    ),
    (
        1.0,
        0.0,
        "All of BatchNorm's weights are exactly 1, its default: they too are drawn at random here.",
    ),
]


@exercise(_init_by_table)
def init_dcgan_weights(fn: Answer) -> None:
    """Check ``init_dcgan_weights(module)``, a function for ``Module.apply``."""
    network = _probe_network()
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    _apply(fn, network)
    after = network.state_dict()
    forgotten = {
        "Conv": "The convolutions' weights are as they were: which class do they have? Change them in place.",
        "ConvTranspose": "Transposed convolutions were left out: nn.ConvTranspose2d is no kind of nn.Conv2d.",
        "BatchNorm": "BatchNorm's weights were left out; they have a distribution of their own.",
    }
    for name in (name for name in network if name not in ("Linear", "LayerNorm")):
        weight, kind = after[f"{name}.weight"], name.removeprefix("second ").split("2d")[0]
        same = torch.equal(weight, start[f"{name}.weight"])
        require(not same, f"new values in {name}.weight", "the values from before", forgotten[kind])
        norm = kind == "BatchNorm"
        _expect_normal(weight, name, float(norm), _WRONG_NORM if norm else _WRONG_CONV)
    for name in ("Conv2d", "ConvTranspose2d", "BatchNorm2d"):
        hint = "Biases start at 0: those of the convolutions and those of BatchNorm, which add to the output."
        require(not after[f"{name}.bias"].any(), f"{name}.bias: all 0", after[f"{name}.bias"], hint)
    hint = "Only convolutions, transposed convolutions and BatchNorm's weight and bias are meant: ask for the class."
    averages = (
        "These are what BatchNorm collects while it trains, no weights: leave them as they are."
    )
    for name, value in after.items():
        collected = "running" in name or "tracked" in name
        other = name.startswith(("Linear", "LayerNorm")) or collected
        kept, told = torch.equal(value, start[name]), averages if collected else hint
        require(kept or not other, f"{name} left as it was", value, told)
    twins = torch.equal(after["Conv2d.weight"], after["second Conv2d.weight"])
    hint = "Every layer draws the same numbers: a generator that is seeded anew in each call repeats itself."
    require(not twins, "other random numbers in each layer", "two layers with equal weights", hint)
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    came = f"requires_grad is False for {', '.join(frozen[:3])} ({len(frozen)} in all)"
    require(not frozen, "weights that can be trained", came, "Undo the freezing.")


_STOPPED = {
    "has no attribute": "`apply` also visits activations and whole networks, without weights: ask for the class first.",
    "cannot assign": "A weight is an nn.Parameter, no plain tensor: fill it in place, as `nn.init` does.",
    "requires grad is being used": "Autograd watches this weight: the functions of `nn.init` fill it all the same.",
    "not iterable": "`apply` walks through the network itself: your function gets one layer at a time.",
    "Boolean value": "A whole tensor is neither true nor false: ask whether the bias `is not None`.",
}


def _probe_network() -> nn.ModuleDict:
    """Layers whose every parameter and buffer starts at a value that no initialisation leaves by chance."""
    kinds = {
        "Conv2d": nn.Conv2d(8, 64, 4),
        "second Conv2d": nn.Conv2d(8, 64, 4),
        "Conv2d without bias": nn.Conv2d(8, 64, 4, bias=False),
        "ConvTranspose2d": nn.ConvTranspose2d(64, 8, 4),
        "ConvTranspose2d without bias": nn.ConvTranspose2d(64, 8, 4, bias=False),
        "BatchNorm2d": nn.BatchNorm2d(8192),
        "Linear": nn.Linear(32, 64),
        "LayerNorm": nn.LayerNorm(64),
    }
    network = nn.ModuleDict(kinds)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.3, 0.5)
    return network


def _apply(fn: Answer, network: nn.Module) -> None:
    """What ``network.apply(fn)`` does, with the course's words where it stops."""

    def visit(layer: nn.Module) -> None:
        no_bias = isinstance(layer, _ConvNd) and layer.bias is None
        none = "With bias=False a layer's `bias` is None: look before you fill it."
        with hinting(none) if no_bias else nullcontext():
            call(fn, layer, may_change=[layer], returns=False, says=_STOPPED)

    network.apply(visit)


def _expect_normal(
    weight: Tensor, name: str, mean: float, mistakes: list[tuple[float, float, str]]
) -> None:
    """Require N(mean, 0.02) of 8192 weights; name the (mean, deviation) that they have instead."""
    got_mean, got_std = weight.mean().item(), weight.std().item()
    expected = f"{name}.weight drawn from a normal distribution with mean {mean:g} and standard deviation 0.02"
    came = f"mean {got_mean:.4g}, standard deviation {got_std:.4g}"
    for wrong_mean, wrong_std, hint in mistakes:
        spread = math.isclose(got_std, wrong_std, rel_tol=0.08, abs_tol=1e-6)
        same = spread and abs(got_mean - wrong_mean) < 0.1 * wrong_std + 1e-3
        require(not same, expected, came, hint)
    right = math.isclose(got_std, 0.02, rel_tol=0.06) and abs(got_mean - mean) < 0.0015
    which = "Which of the two numbers is off? `nn.init.normal_` takes mean and deviation."
    require(right, expected, came, which)
    # 3 for a normal, 1.8 for a uniform distribution.
    kurtosis = (weight - got_mean).pow(4).mean().item() / got_std**4
    bell = "Mean and deviation are right, the shape is not a bell: is it a uniform distribution?"
    came = f"{came}, kurtosis {kurtosis:.2g} instead of 3"
    require(abs(kurtosis - 3) < 0.5, expected, came, bell)
