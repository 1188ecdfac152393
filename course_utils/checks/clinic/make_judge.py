"""Exercise `make_judge`: a discriminator that answers once per picture, whatever the picture's size."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, CheckFailed, call, expect_tensor, require


def _judge_by_depth(size: int) -> nn.Sequential:
    """Strided layers until the map is 4x4, then one kernel over all of it."""
    layers, channels = [], 3
    for depth in range(int(math.log2(size)) - 2):
        layers += [nn.Conv2d(channels, 8 * 2**depth, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels = 8 * 2**depth
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4), nn.Flatten(0))


_POOLED = (
    "The count is right, but the answer is a mean over patches: nobody looks at the picture as a whole, and "
    "lesson 2's rule says no pooling. Another strided layer makes the map small enough for the last kernel."
)

_ADDED = (
    "The count is right, but the last kernel answers for each patch and the answers are then added (or picked): "
    "nobody looks at the picture as a whole. Another strided layer makes the map small enough for the last "
    "kernel."
)

_SHRUNK = "The picture is shrunk before it is judged: D is blind to fine detail. Another strided layer keeps it."

_SQUEEZED = "Logits are asked for: no sigmoid at the end, for the loss has one inside."
_STRAIGHT = (
    "The network is linear: no activation stands between its layers, so that all of them are one."
)

_POOLING = {"mean", "amax", "avg_pool2d", "adaptive_avg_pool2d", "max_pool2d"}
_PRODUCTS = ("conv", "linear", "mm", "mul", "einsum", "dot")
"""Parts of the names of functions that multiply by weights."""
_ELEMENTWISE = {"mul", "__mul__", "__rmul__", "multiply"}
"""A sum may follow these: together they are one linear map."""
_POOLING |= {"adaptive_max_pool2d", "lp_pool2d"}


@case(_judge_by_depth)
def make_judge(fn: Answer) -> None:
    """Check ``make_judge(size)``: a module (B, 3, size, size) -> logits (B,), size 32 or 64.

    One logit a picture at 32 and 64 pixels; every corner counts; no pooling, no shrinking.
    """
    for size in (32, 64):
        judge = call(fn, size)
        network = "Return the network, for example an nn.Sequential."
        require(isinstance(judge, nn.Module), "a module", judge, network)
        judge.eval()
        for count in (1, 7):
            pictures = (2 * torch.rand(count, 3, size, size) - 1).requires_grad_()
            with _Listen() as heard:
                logits = _answer(judge, pictures, size)
            _expect_one_each(logits, count, size)
            pooled, shrunk = heard.names & _POOLING, "interpolate" in heard.names
            require(not pooled, "strided convolutions only", "pooling or a mean", _POOLED)
            require(not shrunk, "all pixels judged", "a shrunken picture", _SHRUNK)
            _expect_own_picture(logits, pictures)
            squeezed = "sigmoid" in heard.names and bool(((logits >= 0) & (logits <= 1)).all())
            require(not squeezed, "logits, any numbers", "the results of a sigmoid", _SQUEEZED)
            _expect_bent(judge, pictures.detach())
            came = f"{heard.places} answers a picture, made one without weights"
            require(heard.places == 1, "one answer from the last weights", came, _ADDED)


def _expect_own_picture(logits: Tensor, pictures: Tensor) -> None:
    """All of its own picture, and nothing of the others, has a say in the first answer."""
    (slope,) = torch.autograd.grad(logits[0], pictures)
    corners = slope[0, :, [0, 0, -1, -1], [0, -1, 0, -1]].abs().sum(0)
    what = "an answer that depends on all four corners"
    hint = "One corner of the picture has no say: the answer is taken from a part of the map."
    require(bool((corners > 0).all()), what, corners, hint)
    alone = not slope[1:].any()
    mates = "Other pictures of the batch have a say."
    require(alone, "an answer for each picture alone", "a mixture", mates)


def _expect_bent(judge: nn.Module, pictures: Tensor) -> None:
    """More than one linear map."""
    with torch.no_grad():
        there, back, middle = judge(pictures), judge(-pictures), judge(0 * pictures)
    bent = bool((there + back - 2 * middle).abs().max() > 1e-4 * there.abs().max())
    require(bent, "a network that is not linear", "f(x) + f(-x) = 2 f(0)", _STRAIGHT)


class _Listen(TorchFunctionMode):
    """Notes the torch functions that are called, and for how many places the last weights gave an answer.

    Attributes:
        names: of all functions.
        places: of a picture, in the result of the last product with weights: a convolution, a linear map.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.places = 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, result = getattr(func, "__name__", ""), func(*args, **(kwargs or {}))
        self.names.add(name)
        given = [x for x in (*args, *(kwargs or {}).values()) if isinstance(x, Tensor)]
        learned = sum(x.requires_grad and x.numel() > 1 for x in given)  # the map, and its weights
        if learned > 1 and isinstance(result, Tensor) and any(word in name for word in _PRODUCTS):
            sides = result.shape[2:] if "conv" in name else result.shape[1:-1]
            self.places = 1 if name in _ELEMENTWISE else math.prod(sides)
        return result


def _answer(judge: nn.Module, pictures: Tensor, size: int) -> Tensor:
    try:
        return judge(pictures)
    except Exception as error:
        hint = "Print the shape after each layer: a strided layer (4, 2, 1) halves it, the last kernel wants 4x4."
        got = f"{type(error).__name__}: {str(error)[:120]}"
        raise CheckFailed(f"logits for pictures of {size} pixels", got, hint) from None


def _expect_one_each(logits: Any, count: int, size: int) -> None:
    hint = "One logit a picture, in a flat row: `nn.Flatten(0)`."
    if isinstance(logits, Tensor) and logits.numel() > count:
        hint = "The last map has more than one place, so D answers once for each patch: one more strided layer."
    expect_tensor(logits, (count,), f"logits of {count} pictures of {size} pixels", hint=hint)
