"""LoRA: a frozen linear layer, and beside it a product of two thin matrices that is trained.

Source: E. Hu and others (2021), arXiv 2106.09685, section 4.1.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class LoRALinear(nn.Module):
    """A linear layer with ``alpha / rank`` times a product of two matrices added to its weight.

    Args:
        linear: the layer, D_in -> D_out; it is frozen.
        rank: r, of the update.
        alpha: its scale.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        self.down = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))  # A
        self.up = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))  # B
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D_in) -> (..., D_out)."""
        return self.linear(x) + self.scale * (x @ self.down.T @ self.up.T)


def add(model: Any, rank: int, alpha: float, layer: type[nn.Module] = LoRALinear) -> float:
    """Freeze a BERT classifier but for pooler and head, and put LoRA at its queries and values; the model is changed.

    Args:
        model: with ``bert``, ``bert.pooler`` and ``classifier``.
        rank: of the updates; 0 for none.
        alpha: their scale.
        layer: what makes the layer, called with the linear one, ``rank`` and ``alpha``.

    Returns:
        The share of all weights that is trained.
    """
    model.requires_grad_(False)
    for part in (model.bert.pooler, model.classifier):
        part.requires_grad_(True)
    if rank:
        _exchange(model, lambda linear: layer(linear, rank, alpha))
    return trainable(model) / sum(p.numel() for p in model.parameters())


def merge(model: Any, merged: Callable[[nn.Module, int], nn.Module]) -> int:
    """Put one plain layer in the place of each layer that `add` put at queries and values; the model is changed.

    Args:
        model: what `add` changed.
        merged: a layer and its number of inputs -> the plain layer that answers as it does.

    Returns:
        How many weights the model has then.
    """
    _exchange(model, lambda layer: merged(layer, model.config.hidden_size))
    return sum(p.numel() for p in model.parameters())


def _exchange(model: Any, make: Callable[[nn.Module], nn.Module]) -> None:
    """Put what is made of it in the place of each layer of queries and values."""
    for block in model.bert.encoder.layer:
        attention = block.attention.self
        for name in ("query", "value"):
            setattr(attention, name, make(getattr(attention, name)))


def trainable(model: nn.Module) -> int:
    """How many weights are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
