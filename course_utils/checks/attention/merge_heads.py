"""Exercise `merge_heads`: what the heads found, side by side again in the columns of each token."""

import torch
from torch import Tensor

from course_utils.checks.attention.shared import expect_heads
from course_utils.checks.core import Answer, Wrong, call, exercise, expect_gradient


def _merge_by_slices(x: Tensor) -> Tensor:
    return torch.cat(x.unbind(1), dim=2)


def _merge_scrambled(x: Tensor) -> Tensor:
    batch, heads, length, width = x.shape
    return x.reshape(batch, length, heads * width)


_MISTAKES: list[Wrong] = [
    (
        _merge_scrambled,
        "Reshaped straight away: a row mixes tokens of one head. Put the tokens in front of the heads first.",
    ),
    (
        lambda x: x.permute(0, 2, 3, 1).flatten(2),
        "The heads' columns are interleaved: one head's run must stay together, (heads, head_dim) in this order.",
    ),
    (
        lambda x: x.transpose(1, 2),
        "The tokens are in front; the last two dimensions are left to be joined.",
    ),
    (
        lambda x: x.flatten(1, 2),
        "Heads and tokens were joined; the heads belong beside each other, in the columns.",
    ),
    (
        lambda x: x.transpose(1, 2).flatten(1, 2),
        "Tokens and heads were joined; join heads and columns.",
    ),
    (lambda x: x.mean(1), "The heads were averaged; they stand side by side."),
    (lambda x: x.sum(1), "The heads were added; they stand side by side."),
    (lambda x: torch.cat(x.unbind(1)[::-1], 2), "The heads stand in reverse order."),
    (
        lambda x: x.transpose(1, 2).flatten(2).transpose(1, 2),
        "Tokens and columns changed places: (B, T, D).",
    ),
]


@exercise(_merge_by_slices)
def merge_heads(fn: Answer) -> None:
    """Check ``merge_heads(x)``: (B, heads, T, D / heads) -> (B, T, D), the inverse of `split_heads`."""
    for shape in ((2, 3, 5, 4), (1, 2, 4, 3), (3, 4, 2, 2), (2, 1, 3, 5)):
        x = 10 * torch.randn(shape)
        expect_heads(fn, (x,), _merge_by_slices(x), f"merge_heads for {shape}", _MISTAKES)
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    expect_gradient(call(fn, x), _merge_by_slices(x), {"x": x})
