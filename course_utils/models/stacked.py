"""Several small networks trained side by side, so that an experiment is repeated at the price of little more than one.

A stack holds ``copies`` networks of the same shape with separate weights. It maps (copies, B, in) to (copies, B, out),
and copy k sees row k of its input only. The loss of a stack is the mean over copies, which scales each copy's gradient
by 1/copies and leaves its direction as it is; Adam, whose step does not depend on that scale, does not notice.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """``copies`` linear layers side by side, initialised as ``nn.Linear`` is, copy k from seed ``seed + k``."""

    def __init__(self, copies: int, inputs: int, outputs: int, seed: int = 0) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        rows = []
        for k in range(copies):
            random = torch.Generator().manual_seed(
                1_000_003 * (seed + k) + 1_009 * inputs + outputs
            )
            rows.append((2 * torch.rand(inputs + 1, outputs, generator=random) - 1) * bound)
        both = torch.stack(rows)  # (copies, in + 1, out)
        self.weight = nn.Parameter(both[:, :-1].clone())  # (copies, in, out)
        self.bias = nn.Parameter(both[:, -1:].clone())  # (copies, 1, out)

    def forward(self, x: Tensor) -> Tensor:
        """(copies, B, in) -> (copies, B, out)."""
        return torch.baddbmm(self.bias, x, self.weight)


def stacked_mlp(
    sizes: Sequence[int], copies: int, seed: int = 0, activation: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """A stack of fully connected networks: (copies, B, sizes[0]) -> (copies, B, sizes[-1]).

    Args:
        sizes: units of each layer, input and output included; the output is linear.
        copies: how many networks stand side by side.
        seed: copy k starts from seed ``seed + k``, however many copies there are.
        activation: makes the module between layers.
    """
    layers: list[nn.Module] = []
    for depth, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers += [StackedLinear(copies, inputs, outputs, seed + 7_919 * depth), activation()]
    return nn.Sequential(*layers[:-1])
