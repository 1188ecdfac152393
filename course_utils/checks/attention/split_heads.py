"""Exercise `split_heads`: the columns of each token shared out to the heads, in runs."""

import torch
from torch import Tensor

from course_utils.checks.attention.shared import expect_heads
from course_utils.checks.core import Answer, Wrong, call, exercise, expect_gradient


def _split_by_slices(x: Tensor, heads: int) -> Tensor:
    return torch.stack(x.chunk(heads, dim=2), dim=1)


def _parts(x: Tensor, heads: int) -> tuple[int, int, int]:
    return x.shape[0], x.shape[1], x.shape[2] // heads


def _split_scrambled(x: Tensor, heads: int) -> Tensor:
    batch, length, width = _parts(x, heads)
    return x.reshape(batch, heads, length, width)


def _split_interleaved(x: Tensor, heads: int) -> Tensor:
    batch, length, width = _parts(x, heads)
    return x.reshape(batch, length, width, heads).permute(0, 3, 1, 2)


_SCRAMBLED = "Reshaped straight away: numbers of different tokens land in one row. Cut D in two, then change places."

_INTERLEAVED = (
    "Every heads-th column went to a head. A head gets a whole run: cut D into (heads, D / heads)."
)

_NOT_SWAPPED = "D is cut, but the heads still stand behind the tokens: change dimensions 1 and 2."

_MISTAKES: list[Wrong] = [
    (_split_scrambled, _SCRAMBLED),
    (_split_interleaved, _INTERLEAVED),
    (lambda x, h: x.unflatten(2, (h, -1)), _NOT_SWAPPED),
    (
        lambda x, h: x.unflatten(2, (h, -1)).permute(2, 0, 1, 3),
        "The heads come first; the batch stays in front.",
    ),
    (lambda x, h: torch.stack(x.chunk(h, 2)), "The heads come first; the batch stays in front."),
    (
        lambda x, h: x.unflatten(2, (h, -1)).permute(0, 2, 3, 1),
        "Tokens and columns changed places too: (B, heads, T, head_dim).",
    ),
    (
        lambda x, h: x.unflatten(2, (-1, h)).transpose(1, 2),
        "D was cut into (D / heads, heads): the other way round.",
    ),
    (
        lambda x, h: torch.stack(x.chunk(h, 1), 1),
        "The tokens were shared out; it is the columns that are.",
    ),
    (lambda x, h: x[:, None].expand(-1, h, -1, -1), "Every head got all columns; they share them."),
    (lambda x, h: torch.stack(x.chunk(h, 2)[::-1], 1), "The heads stand in reverse order."),
]


@exercise(_split_by_slices)
def split_heads(fn: Answer) -> None:
    """Check ``split_heads(x, heads)``: (B, T, D) -> (B, heads, T, D / heads), columns in runs."""
    for batch, length, heads, width in ((2, 5, 3, 4), (1, 4, 2, 3), (3, 2, 4, 2), (2, 3, 1, 5)):
        x = 10 * torch.randn(batch, length, heads * width)
        what = f"split_heads for {tuple(x.shape)} and {heads} heads"
        expect_heads(fn, (x, heads), _split_by_slices(x, heads), what, _MISTAKES)
    x = torch.randn(2, 3, 6, requires_grad=True)
    expect_gradient(call(fn, x, 3), _split_by_slices(x, 3), {"x": x})
