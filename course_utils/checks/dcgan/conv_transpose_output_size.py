"""Exercise `conv_transpose_output_size`: how large a transposed convolution makes its input."""

import torch
import torch.nn.functional as F

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, require


def _size_by_running(size: int, kernel_size: int, stride: int, padding: int) -> int:
    row, kernel = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel_size)
    return F.conv_transpose1d(row, kernel, stride=stride, padding=padding).shape[-1]


_MISTAKES: list[Wrong] = [
    (
        lambda i, k, s, p: (i + 2 * p - k) // s + 1,
        "This is the size after an ordinary convolution, which shrinks. A transposed one runs it backwards.",
    ),
    (
        lambda i, k, s, p: (i - 1) * s + k,
        "Padding is missing. In a transposed convolution it crops the output: at one side only, or at both?",
    ),
    (
        lambda i, k, s, p: (i - 1) * s - p + k,
        "Padding is cropped at one side here; it is cropped at both.",
    ),
    (
        lambda i, k, s, p: (i - 1) * s + 2 * p + k,
        "Padding makes the output larger here. Which way does it go?",
    ),
    (
        lambda i, k, s, p: i * s,
        "Input times stride is right only for special kernels (4, stride 2, padding 1). What do kernel and padding do?",
    ),
    (
        lambda i, k, s, p: i * s - 2 * p + k,
        "One step too many: between i copies of the kernel there are fewer than i strides (fence posts and gaps).",
    ),
    (
        lambda i, k, s, p: (i - 1) * s - 2 * p + k - 1,
        "Short by one: how many output pixels does the kernel itself cover where the last input pixel lands?",
    ),
    (
        lambda i, k, s, p: (i - 1) * s - 2 * p + k + 1,
        "Long by one: i copies of the kernel have i - 1 strides between them, and no `output_padding` is asked for.",
    ),
    (
        lambda i, k, s, p: (i - 1) * s - 2 * p,
        "The kernel is missing: even a single input pixel (i = 1) writes a whole kernel into the output.",
    ),
    (
        lambda i, k, s, p: i - 1 * s - 2 * p + k,
        "Python multiplies before it subtracts: this is size - (1 * stride). Which two belong in parentheses?",
    ),
    (
        lambda i, k, s, p: i * k - 2 * p,
        "The stamps lie side by side here; in the figure they overlap. How far is it from one to the next?",
    ),
    (
        lambda i, k, s, p: (i - 1) * s - 2 * p * s + k,
        "Padding is counted in strides here; it cuts off single cells of the output.",
    ),
    (
        lambda i, k, s, p: (i - 1) * s - p * s + k,
        "A whole stride is cut for each number of padding: it cuts off single cells, and at both ends.",
    ),
    (
        lambda i, k, s, p: (i - 1) * (s - 2 * p) + k,
        "Every distance is made shorter here: padding cuts only at the two ends of the whole sum.",
    ),
    (
        lambda i, k, s, p: i * (k - 2 * p),
        "Every stamp is cut here, and they lie side by side: padding cuts only at the two ends of the whole sum.",
    ),
    (
        lambda i, k, s, p: (i + 1) * s - 2 * p + k,
        "Two distances too many: between three stamps there are two, not four.",
    ),
]

_WORKED = (
    "By hand: 3 stamps of 4 numbers, 2 apart: they cover 2 distances of 2 and one whole kernel, 2 * 2 + 4 = 8. "
    "Padding 1 cuts one off each end: 6."
)

# The first case tells all the mistakes apart; the others are the generator's layers and unlike sizes.
_SIZES = (
    (6, 10, 3, 2),
    (7, 9, 4, 3),
    (1, 4, 1, 0),
    (4, 4, 2, 1),
    (16, 4, 2, 1),
    (5, 3, 2, 0),
    (6, 2, 3, 0),
    (3, 6, 1, 2),
)


@exercise(_size_by_running)
def conv_transpose_output_size(fn: Answer) -> None:
    """Check ``conv_transpose_output_size(size, kernel_size, stride, padding) -> int``."""
    for case in _SIZES:
        what, got = f"conv_transpose_output_size{case}", call(fn, *case)
        whole = "A size is a whole number of pixels, but `/` makes a float even of whole numbers. Is a division needed?"
        require(type(got) is not float, f"{what}: an int", got, whole)
        plain = "Return one plain int: the size along one side."
        require(type(got) is int, f"{what}: an int", got, plain)
        right = _size_by_running(*case)
        expect_close(got, right, what, inputs=case, wrong=_MISTAKES, hint=_WORKED, atol=0, rtol=0)
