"""Exercise `lora_linear`: a frozen linear layer with a trained update of low rank beside it."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, call, exercise, expect_close, expect_tensor, require
from course_utils.models.lora import LoRALinear

_IN, _OUT, _RANK, _ALPHA = 12, 7, 3, 6.0


def _by_the_package(linear: nn.Linear, rank: int, alpha: float) -> nn.Module:
    return LoRALinear(linear, rank, alpha)


@exercise(_by_the_package)
def lora_linear(fn: Answer) -> None:
    """Check ``lora_linear(linear, rank, alpha)`` -> a module that is called as the linear layer is."""
    linear, x = _layer(), torch.linspace(-1, 1, 5 * _IN).reshape(5, _IN).sin()
    before, weight = linear(x).detach(), linear.weight.detach().clone()
    layer = call(fn, linear, _RANK, _ALPHA, may_change=(linear,))
    made = isinstance(layer, nn.Module)
    require(made, "an nn.Module", layer, "Return a module: a class with `forward`, and one of it.")
    require(layer is not linear, "another module", "the linear layer itself", "It has no update.")
    trained = _expect_weights(layer, linear)
    _expect_begins(layer, x, before)
    _expect_learns(layer, trained, x)
    _expect_algebra(layer, trained, linear, weight, x)
    _expect_chances(fn, trained)


def _layer() -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Linear(_IN, _OUT)


def _expect_weights(layer: nn.Module, linear: nn.Linear) -> list[nn.Parameter]:
    """Only two thin matrices are trained. Returns them: rank rows first, rank columns second."""
    own = {id(p) for p in linear.parameters()}
    trained = [p for p in layer.parameters() if p.requires_grad]
    cold = (
        "The layer's own weight and bias are to stay as they were learned: requires_grad_(False)."
    )
    copied = any(p.shape == linear.weight.shape and torch.equal(p, linear.weight) for p in trained)
    own_too = copied or any(id(p) in own for p in trained)
    require(not own_too, "a frozen linear layer", "it trains", cold)
    shapes = sorted(tuple(p.shape) for p in trained)
    what = f"two trained matrices, {_RANK * (_IN + _OUT)} numbers in all"
    found = f"shapes {shapes}"
    none = "Nothing is trained: register the matrices as `nn.Parameter`, attributes of the module."
    require(bool(trained), what, found, none)
    whole = (
        "A full matrix has as many weights as the layer: a product of two thin ones is what saves."
    )
    full = any(tuple(p.shape) in ((_IN, _OUT), (_OUT, _IN)) for p in trained)
    require(not full, what, found, whole)
    one = "Two matrices and nothing else: one leads from the inputs down to `rank`, one from there up."
    require(len(trained) == 2, what, found, one)
    size = "Rank numbers stand between the two: (rank, in) and (out, rank), or each turned round."
    require(sum(p.numel() for p in trained) == _RANK * (_IN + _OUT), what, found, size)
    return sorted(trained, key=lambda p: p.numel() != _RANK * _IN)


def _expect_begins(layer: nn.Module, x: Tensor, before: Tensor) -> None:
    got = layer(x)
    expect_tensor(got, before.shape, "the layer's output")
    start = "Before training the new layer has to answer as the old one: how can a product be 0 at first?"
    expect_close(got, before, "the output before training", hint=start)


_WORKED = (
    "In numbers: the layer answers 5; the first matrix takes x down to 2, the second takes this up to 6. With alpha 3 "
    "and rank 2 the answer is 5 + 3 / 2 * 6 = 14."
)


def _expect_learns(layer: nn.Module, trained: list[nn.Parameter], x: Tensor) -> None:
    layer.zero_grad(set_to_none=True)
    out = layer(x)
    stuck = "Both matrices are 0, so the gradient of each is 0 and stays so: only one of them may begin at 0."
    cut = "No gradient reaches the matrices: `.data`, `.detach()` or `no_grad` cut the path."
    require(out.requires_grad, "an output that gradients pass", "a graph that is cut", cut)
    out.square().sum().backward()
    moved = any(p.grad is not None and p.grad.abs().max() > 0 for p in trained)
    require(moved, "a gradient for one of the matrices", "none", stuck)


def _expect_algebra(
    layer: nn.Module, trained: list[nn.Parameter], linear: nn.Linear, weight: Tensor, x: Tensor
) -> None:
    with torch.no_grad():
        for number, p in enumerate(trained):
            p.copy_(torch.linspace(0.2, 1.7, p.numel()).reshape(p.shape).cos() * (1 + number))
        down, up = (p.detach() for p in trained)
        down = down if down.shape == (_RANK, _IN) else down.T
        up = up if up.shape == (_OUT, _RANK) else up.T
        expected = x @ (weight + _ALPHA / _RANK * up @ down).T + linear.bias
        got = layer(x)
    stays = "The linear layer's own weight was changed: add the update to its output, not into it."
    require(torch.equal(linear.weight, weight), "the same weight as before", "another one", stays)

    def with_scale(scale: float) -> Any:
        return lambda: x @ (weight + scale * up @ down).T + linear.bias.detach()

    expect_close(
        got,
        expected,
        "the output with both matrices filled",
        inputs=(),
        wrong=[
            (
                with_scale(1.0),
                "The product is not scaled: alpha / rank keeps its size when rank grows.",
            ),
            (with_scale(_ALPHA), "Scaled by alpha alone: divide by the rank."),
            (with_scale(_RANK / _ALPHA), "The scale is upside down: alpha / rank."),
            (with_scale(0.0), "The update does not reach the output: is it added?"),
            (
                lambda: x @ (_ALPHA / _RANK * up @ down).T,
                "The frozen layer is gone: its output and the update are added.",
            ),
        ],
        hint=_WORKED,
    )
    flat, batch = layer(x[0]), layer(x[None])
    require(
        flat.shape == (_OUT,) and batch.shape == (1, 5, _OUT),
        f"(..., {_IN}) -> (..., {_OUT})",
        f"{tuple(flat.shape)} and {tuple(batch.shape)}",
        "A layer works on the last dimension, whatever stands before it.",
    )


def _expect_chances(fn: Answer, trained: list[nn.Parameter]) -> None:
    layer = call(fn, copy.deepcopy(_layer()), 4, 4.0)
    matrices = [p for p in layer.parameters() if p.requires_grad]
    filled: Any = next((p for p in matrices if p.abs().max() > 0), None)
    alike = "All rows are alike, and will stay so: they would learn the same. Start with random numbers."
    what = "a matrix of random numbers"
    require(filled is not None, what, "nothing but zeros", alike)
    rank = int(torch.linalg.matrix_rank(filled.detach()))
    require(rank == 4, what, f"one of rank {rank}", alike)
