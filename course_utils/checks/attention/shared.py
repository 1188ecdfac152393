"""What checks of lesson 05 share: how heads are compared, and a network to write with."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, Wrong, call, expect_like

_WORKED = (
    "One text, two tokens 0 1 2 3 and 4 5 6 7, two heads: head 0 has the rows 0 1 and 4 5, head 1 has 2 3 and 6 7. "
    "That is (1, 2, 2, 2), and merging makes (1, 2, 4) of it again."
)


def expect_heads(
    fn: Answer, inputs: tuple[Any, ...], expected: Tensor, what: str, wrong: Sequence[Wrong]
) -> None:
    """Require every number of the expected tensor in its place."""
    expect_like(
        call(fn, *inputs),
        expected,
        what,
        inputs=inputs,
        wrong=wrong,
        shape=_WORKED,
        dtype=expected.dtype,
        hint=_WORKED,
    )


class SmallNetwork(nn.Module):
    """A network whose logits (B, T, V) depend on every token that it reads, and on nothing after it."""

    def __init__(self, vocab: int = 11, context: int = 4, seed: int = 0) -> None:
        super().__init__()
        self.context, self.vocab = context, vocab
        self.table = nn.Embedding(vocab, vocab)
        random = torch.Generator().manual_seed(seed)
        self.table.weight.data = torch.randn(vocab, vocab, generator=random)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V); it refuses more tokens than its context."""
        if ids.dim() != 2:
            raise ValueError(f"ids of shape {tuple(ids.shape)}, not (B, T)")
        if ids.shape[1] > self.context:
            raise IndexError(f"{ids.shape[1]} tokens are more than the context of {self.context}")
        weights = torch.arange(1.0, ids.shape[1] + 1)[None, :, None]
        return (self.table(ids) * weights.to(ids.device)).cumsum(1)
