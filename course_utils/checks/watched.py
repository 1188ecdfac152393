"""What checks of a training step look at: whether it works inside of autocast, and how often the weights move."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class Block:
    """In the place of autocast: it rounds nothing, and knows whether the code is inside."""

    inside = False

    @contextmanager
    def enter(self) -> Iterator[None]:
        """For a ``with``."""
        self.inside = True
        try:
            yield
        finally:
            self.inside = False


class Noting(torch.optim.SGD):
    """Descent with momentum that notes how often it was called, and whether inside of a block."""

    def __init__(self, network: nn.Module, block: Block, rate: float) -> None:
        super().__init__(network.parameters(), lr=rate, momentum=0.9)
        self.block, self.steps, self.left = block, 0, True

    def step(self, closure: Any = None) -> Any:
        """Step, and note it."""
        self.steps += 1
        self.left = self.left and not self.block.inside
        return super().step(closure)
