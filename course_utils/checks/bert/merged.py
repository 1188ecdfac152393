"""Exercise `merged`: the one linear layer that answers as a given module does, found by asking it."""

from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, require
from course_utils.models.lora import LoRALinear


def _by_slope(layer: nn.Module, width: int) -> nn.Linear:
    """The matrix as the derivative of the answer; it works for every way to write the layer."""
    zeros = torch.zeros(width)
    with torch.enable_grad():
        matrix = torch.autograd.functional.jacobian(layer, zeros)
    with torch.no_grad():
        bias = layer(zeros)
        plain = nn.Linear(width, len(bias))
        plain.weight.copy_(matrix)
        plain.bias.copy_(bias)
    return plain


def _inside(layer: LoRALinear) -> tuple[Tensor, Tensor]:
    """Weight and bias from the matrices that the learner's function does not see."""
    weight = layer.linear.weight + layer.scale * layer.up @ layer.down
    return weight.detach(), layer.linear.bias.detach()


class _Closed(nn.Module):
    """A module that can only be called; nothing in it is named as in any answer."""

    def __init__(self, inside: LoRALinear) -> None:
        super().__init__()
        self._inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return self._inside(x)


def _case(width: int, out: int) -> LoRALinear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(10 * width + out)
        layer = LoRALinear(nn.Linear(width, out), rank=2, alpha=3.0)
        nn.init.normal_(layer.up)
    return layer


_TO_ROWS = "The bias is still in the matrix: what comes out for a row with a single 1 is W times it *plus* b."
_TURNED = "The matrix is turned round: row i of the answers to an identity matrix is column i of W."
_BARE = "The answers themselves are no weight: take the answer to zeros off, and row i of the rest is column i of W."
_OTHERS: list[Wrong] = [
    (lambda w, b: w + b[:, None], _TO_ROWS),
    (lambda w, b: w.T, _TURNED),
    (lambda w, b: (w + b[:, None]).T, _BARE),
    (lambda w, b: -w, "The sign is turned round: the answer to a 1 minus the answer to zeros."),
    (lambda w, b: w - b[:, None], "The bias is taken off twice: once is enough."),
    (lambda w, b: torch.zeros_like(w), "The matrix is 0: the layer was asked with zeros only."),
]
_BIASES: list[Wrong] = [
    (lambda w, b: torch.zeros_like(b), "The bias is missing: zeros come out as b, and not as 0."),
    (lambda w, b: -b, "The sign of the bias is turned round."),
    (lambda w, b: 2 * b, "The bias is counted twice."),
    (lambda w, b: w.sum(1) + b, "This is the answer to a row of ones: ask with a row of zeros."),
]
_WORKED = (
    "By hand: a layer answers 5 to the input 0 and 8 to the input 1. So b = 5 and W = 8 - 5 = 3."
)
_WORKED_BIAS = (
    "By hand: a layer answers 5 to the input 0, so b = 5. `nn.Linear` begins with random numbers: fill in both "
    "weight and bias."
)
_SAYS = {
    "leaf Variable": "Weights are filled in within `with torch.no_grad():`.",
    "cannot assign": "A weight is an `nn.Parameter`: put it around your tensor, or `copy_` within `torch.no_grad()`.",
    "has no attribute": "What is inside the layer is not known here: it can only be called.",
}


@exercise(_by_slope)
def merged(fn: Answer) -> None:
    """Check ``merged(layer, width)``: a module that answers W x + b -> the `nn.Linear` with this W and b."""
    for width, out in ((4, 4), (5, 3), (1, 2)):
        lora = _case(width, out)
        layer, (weight, bias) = _Closed(lora), _inside(lora)
        plain: Any = call(fn, layer, width, says=_SAYS)
        own = (
            "It is the given layer: make one `nn.Linear`, whose weight and bias you find by asking."
        )
        require(plain is not layer, "a new layer", "the same one", own)
        kind = "Return an `nn.Linear`: `nn.Linear(width, d_out)`, filled with what you found."
        require(isinstance(plain, nn.Linear), "an nn.Linear", plain, kind)
        none = "The layer has a bias: what does it answer to zeros?"
        require(plain.bias is not None, "an nn.Linear with a bias", "bias=False", none)
        shape = "`nn.Linear(d_in, d_out)` holds a weight (d_out, d_in). How long is an answer of the layer?"
        found = tuple(plain.weight.shape), tuple(plain.bias.shape)
        wanted = tuple(weight.shape), tuple(bias.shape)
        require(found == wanted, f"shapes {wanted} of weight and bias", f"{found}", shape)
        short = "The network computes in float32, and so must its new layers: leave out `.double()` or `.half()`."
        same = plain.weight.dtype == plain.bias.dtype == weight.dtype
        require(same, f"numbers of type {weight.dtype}", f"{plain.weight.dtype}", short)
        close: Any = {"inputs": (weight, bias), "atol": 1e-4}
        what = f"{width} inputs and {out} outputs"
        expect_close(
            plain.weight.detach(),
            weight,
            f"weight for {what}",
            wrong=_OTHERS,
            hint=_WORKED,
            **close,
        )
        expect_close(
            plain.bias.detach(), bias, f"bias for {what}", wrong=_BIASES, hint=_WORKED_BIAS, **close
        )
