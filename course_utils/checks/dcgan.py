"""Checks of lesson 02: DCGAN on CIFAR-10. Each returns the function that the lesson goes on with."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from course_utils.checks import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_tensor,
    require,
)
from course_utils.checks._generator import inspect_generator
from course_utils.checks._slerp import inspect_slerp, slerp_by_rotation

# ---------------------------------------------------------------- 2.1 the size after a transposed convolution


def _size_by_running(size: int, kernel_size: int, stride: int, padding: int) -> int:
    row, kernel = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel_size)
    return F.conv_transpose1d(row, kernel, stride=stride, padding=padding).shape[-1]


# The first case tells all the mistakes apart; the others are the generator's layers and unlike sizes.
_SIZES = (
    (7, 9, 4, 3),
    (1, 4, 1, 0),
    (4, 4, 2, 1),
    (16, 4, 2, 1),
    (5, 3, 2, 0),
    (6, 2, 3, 0),
    (3, 6, 1, 2),
)
_WRONG_SIZES: list[Wrong] = [
    (
        lambda i, k, s, p: (i + 2 * p - k) // s + 1,
        "This is the size after an ordinary convolution, which shrinks. A transposed one runs it backwards.",
    ),
    (
        lambda i, k, s, p: (i - 1) * s + k,
        "Padding is missing. In a transposed convolution it crops the output: at one side only, or at both?",
    ),
    (
        lambda i, k, s, p: (i - 1) * s - p + k,
        "Padding is cropped at one side here; it is cropped at both.",
    ),
    (
        lambda i, k, s, p: (i - 1) * s + 2 * p + k,
        "Padding makes the output larger here. Which way does it go?",
    ),
    (
        lambda i, k, s, p: i * s,
        "Input times stride is right only for special kernels (4, stride 2, padding 1). What do kernel and padding do?",
    ),
    (
        lambda i, k, s, p: i * s - 2 * p + k,
        "One step too many: between i copies of the kernel there are fewer than i strides (fence posts and gaps).",
    ),
    (
        lambda i, k, s, p: (i - 1) * s - 2 * p + k - 1,
        "Short by one: how many output pixels does the kernel itself cover where the last input pixel lands?",
    ),
    (
        lambda i, k, s, p: (i - 1) * s - 2 * p,
        "The kernel is missing: even a single input pixel (i = 1) writes a whole kernel into the output.",
    ),
]


@exercise("2.1", _size_by_running)
def exercise_2_1(fn: Answer) -> None:
    """Check ``conv_transpose_output_size(size, kernel_size, stride, padding) -> int``."""
    for case in _SIZES:
        what, got = f"conv_transpose_output_size{case}", call(fn, *case)
        whole = "A size is a whole number of pixels, but `/` makes a float even of whole numbers. Is a division needed?"
        require(type(got) is not float, f"{what}: an int", got, whole)
        require(
            type(got) is int,
            f"{what}: an int",
            got,
            "Return one plain int: the size along one side.",
        )
        expect_close(
            got, _size_by_running(*case), what, inputs=case, wrong=_WRONG_SIZES, atol=0, rtol=0
        )


# ---------------------------------------------------------------- 2.2 bytes to the range of Tanh


def _tanh_range_by_table(images: Tensor) -> Tensor:
    return torch.linspace(-1, 1, 256, device=images.device)[images.long()]


def _stretched(images: Tensor, dims: tuple[int, ...]) -> Tensor:
    low, high = images.float().amin(dims, keepdim=True), images.float().amax(dims, keepdim=True)
    return (images - low) / (high - low) * 2 - 1


def _imagenet(images: Tensor) -> Tensor:
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    return (images / 255 - mean) / std


def _standardised(images: Tensor) -> Tensor:
    return (images.float() - images.float().mean()) / images.float().std()


_WRAPPED = "Arithmetic on uint8 wraps round at 256 (200 * 2 is 144): convert to float before you calculate."
_OWN_RANGE = "own darkest and brightest pixel became -1 and 1: the same byte then means another grey elsewhere."
_WRONG_RANGES: list[Wrong] = [
    (
        lambda x: x / 255,
        "These values lie in [0, 1]. Tanh also makes negative ones: the discriminator could tell by the sign alone.",
    ),
    (lambda x: x / 127.5, "The width is right (2), the place is not: these values lie in [0, 2]."),
    (
        lambda x: x / 255 - 0.5,
        "The middle is right (0), the width is not: these values lie in [-0.5, 0.5].",
    ),
    (
        lambda x: x / 128 - 1,
        "255 becomes 0.992 here: 256 byte values have how many steps between them?",
    ),
    (lambda x: 1 - x / 127.5, "Black and white are exchanged: 0 must become -1."),
    (
        _imagenet,
        "These are ImageNet's means and deviations, made for classifiers; Tanh's range needs none.",
    ),
    (
        _standardised,
        "Mean 0 and deviation 1 is another scaling: it leaves [-1, 1] and changes with the images.",
    ),
    (lambda x: _stretched(x, (1, 2, 3)), f"Each image's {_OWN_RANGE}"),
    (lambda x: _stretched(x, (0, 1, 2, 3)), f"The whole batch's {_OWN_RANGE}"),
    (lambda x: (x * 2 - 255).float() / 255, _WRAPPED),
    (lambda x: (x * 2).float() / 255 - 1, _WRAPPED),
    (lambda x: (x - 128).float() / 127.5, _WRAPPED),
]


@exercise("2.2", _tanh_range_by_table)
def exercise_2_2(fn: Answer) -> None:
    """Check ``to_tanh_range(images)``: uint8 (...) -> float32 (...) in [-1, 1]."""
    dull = torch.randint(
        40, 220, (2, 3, 5, 7), dtype=torch.uint8
    )  # no image holds 0 or 255: own ranges show
    dull[1] = dull[1] // 2 + 10
    every = (
        (torch.randperm(264) % 256).to(torch.uint8).reshape(1, 3, 8, 11)
    )  # each byte at least once
    grey = torch.full((7, 3, 2, 4), 90, dtype=torch.uint8)
    for images in (dull, every, grey):
        got, what = call(fn, images), f"images of shape {tuple(images.shape)}"
        expect_tensor(
            got,
            images.shape,
            what,
            hint="Only the values change: pixels, channels and batch stay in place.",
        )
        bytes_left = "uint8 holds whole numbers from 0 to 255, so neither -1 nor 0.5 fits: return a float tensor."
        require(
            got.is_floating_point(), f"{what} as torch.float32", f"dtype {got.dtype}", bytes_left
        )
        doubled = "The networks' weights are float32: another float type stops at the first layer or wastes memory."
        require(
            got.dtype == torch.float32, f"{what} as torch.float32", f"dtype {got.dtype}", doubled
        )
        expect_close(got, _tanh_range_by_table(images), what, inputs=[images], wrong=_WRONG_RANGES)
    got = call(fn, every)
    ends = [got[every == byte][0].item() for byte in (0, 255)]
    rounding = "Close, but rounded: a divisor that float32 holds exactly (a half is fine) gives exact ends."
    require(ends == [-1.0, 1.0], "0 -> -1 and 255 -> 1 exactly", f"{ends}", rounding)


# ---------------------------------------------------------------- 2.3 initial weights


@torch.no_grad()
def _init_by_table(module: nn.Module) -> None:
    for kind, mean in ((_ConvNd, 0.0), (_BatchNorm, 1.0)):
        if isinstance(module, kind) and module.weight is not None:
            module.weight.copy_(mean + 0.02 * torch.randn_like(module.weight))
            if module.bias is not None:
                module.bias.zero_()


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
        for tensor in (
            *network.parameters(),
            *(b for b in network.buffers() if b.is_floating_point()),
        ):
            tensor.uniform_(0.3, 0.5)
    return network


def _apply(fn: Answer, network: nn.Module) -> None:
    def visit(layer: nn.Module) -> None:
        try:
            call(fn, layer, may_change=[layer], returns=False)
        except CheckFailed as failure:
            no_bias = isinstance(layer, _ConvNd) and layer.bias is None
            hint = (
                "With bias=False a layer's `bias` is None: look before you fill it."
                if no_bias
                else failure.hint
            )
            raise CheckFailed(failure.expected, failure.got, hint) from None

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
        require(
            not (spread and abs(got_mean - wrong_mean) < 0.1 * wrong_std + 1e-3),
            expected,
            came,
            hint,
        )
    right = math.isclose(got_std, 0.02, rel_tol=0.06) and abs(got_mean - mean) < 0.0015
    require(
        right,
        expected,
        came,
        "Which of the two numbers is off? `nn.init.normal_` takes mean and deviation.",
    )
    kurtosis = (
        (weight - got_mean) ** 4
    ).mean().item() / got_std**4  # 3 for a normal, 1.8 for a uniform distribution
    bell = "Mean and deviation are right, the shape is not a bell: is it a uniform distribution?"
    require(
        abs(kurtosis - 3) < 0.5, expected, f"{came}, kurtosis {kurtosis:.2g} instead of 3", bell
    )


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


@exercise("2.3", _init_by_table)
def exercise_2_3(fn: Answer) -> None:
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
    for name in [name for name in network if name not in ("Linear", "LayerNorm")]:
        weight, kind = after[f"{name}.weight"], name.removeprefix("second ").split("2d")[0]
        same = torch.equal(weight, start[f"{name}.weight"])
        require(not same, f"new values in {name}.weight", "the values from before", forgotten[kind])
        norm = kind == "BatchNorm"
        _expect_normal(weight, name, float(norm), _WRONG_NORM if norm else _WRONG_CONV)
    for name in ("Conv2d", "ConvTranspose2d", "BatchNorm2d"):
        hint = "Biases start at 0: those of the convolutions and those of BatchNorm, which add to the output."
        require(not after[f"{name}.bias"].any(), f"{name}.bias: all 0", after[f"{name}.bias"], hint)
    hint = "Only convolutions, transposed convolutions and BatchNorm's weight and bias are meant: ask for the class."
    for name in [
        n
        for n in after
        if n.startswith(("Linear", "LayerNorm")) or "running" in n or "tracked" in n
    ]:
        require(torch.equal(after[name], start[name]), f"{name} left as it was", after[name], hint)
    twins = torch.equal(after["Conv2d.weight"], after["second Conv2d.weight"])
    hint = "Every layer draws the same numbers: a generator that is seeded anew in each call repeats itself."
    require(not twins, "other random numbers in each layer", "two layers with equal weights", hint)
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    require(
        not frozen,
        "weights that can be trained",
        f"requires_grad is False for {frozen}",
        "Undo the freezing.",
    )


# ---------------------------------------------------------------- 2.4 the generator


def _course_generator(latent_dim: int, width: int, channels: int) -> nn.Module:
    from course_utils.models.dcgan import make_generator

    return make_generator(latent_dim, width, channels)


@exercise("2.4", _course_generator)
def exercise_2_4(fn: Answer) -> None:
    """Check ``make_generator(latent_dim, width, channels)``: (B, latent_dim, 1, 1) -> (B, channels, 32, 32)."""
    inspect_generator(fn)


# ---------------------------------------------------------------- 2.5 spherical interpolation


@exercise("2.5", slerp_by_rotation)
def exercise_2_5(fn: Answer) -> None:
    """Check ``slerp(z0, z1, t)``: (B, D), (B, D), float in [0, 1] -> (B, D)."""
    inspect_slerp(fn)
