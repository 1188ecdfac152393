"""Exercise `generator_input`: noise in the shape that a convolutional generator starts from."""

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close


def _input_by_view(z: Tensor) -> Tensor:
    return z.view(*z.shape, 1, 1)


_TRANSPOSED = (
    "Batch and channels are exchanged. With as many pictures as latent numbers that even runs, and every picture is "
    "then made from one number of each noise vector."
)

_MISTAKES: list[Wrong] = [
    (lambda z: z, "Nothing changed: the layer wants (B, channels, height, width)."),
    (
        lambda z: z.unsqueeze(0),
        "This puts one dimension in front: the batch became the channels of a single picture.",
    ),
    (
        lambda z: z.unsqueeze(-1),
        "One dimension short: PyTorch then takes the batch for the channels of one picture.",
    ),
    (lambda z: z.t()[..., None, None], _TRANSPOSED),
    (
        lambda z: z.reshape(z.shape[1], z.shape[0], 1, 1),
        "`reshape` filled a (D, B) table row by row: noise is mixed up.",
    ),
    (
        lambda z: z[..., None, None].expand(-1, -1, 4, 4),
        "A generator starts from one point, 1x1, not from 4x4 equal ones.",
    ),
]


@exercise(_input_by_view)
def generator_input(fn: Answer) -> None:
    """Check ``generator_input(z)``: (B, D) -> (B, D, 1, 1).

    Batches 1, 7 and 100; 100 latent numbers and 8.
    """
    for count, size in ((7, 100), (1, 100), (100, 100), (3, 8)):
        z = torch.randn(count, size)
        hint = f"Expected is (B, D, 1, 1): here ({count}, {size}, 1, 1), with row i made from z[i] alone."
        got, what = call(fn, z), f"the input for {count} pictures"
        expect_close(got, _input_by_view(z), what, inputs=(z,), wrong=_MISTAKES, hint=hint)
