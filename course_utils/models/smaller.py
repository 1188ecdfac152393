"""Copies of a network that are smaller: its matrices rounded or thinned out, or every other block left out."""

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from course_utils.models.attention import GPT

Network = TypeVar("Network", bound=nn.Module)


def with_matrices(model: Network, change: Callable[[Tensor], Tensor]) -> Network:
    """A copy of a network with each of its matrices changed; vectors, such as biases, stay as they are.

    Args:
        model: the network, which is left alone.
        change: (R, C) -> (R, C).
    """
    model = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.copy_(change(weight))
    return model


def rounded(matrix: Tensor, bits: int) -> Tensor:
    """The matrix with each row as whole numbers of so many bits times one step for the row: (R, C) -> (R, C)."""
    step = matrix.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
    return (matrix / step).round() * step


def pruned(matrix: Tensor, part: float) -> Tensor:
    """The matrix with this part of its entries, the smallest in size, set to 0: (R, C), part in (0, 1) -> (R, C)."""
    border = matrix.abs().flatten().kthvalue(max(1, int(part * matrix.numel()))).values
    return matrix * (matrix.abs() > border)


def every_other_block(model: GPT) -> GPT:
    """A copy of a GPT with its first, third, fifth block and so on, and everything around them."""
    model = copy.deepcopy(model)
    model.blocks = model.blocks[::2]
    model.sizes["layers"] = len(model.blocks)
    return model
