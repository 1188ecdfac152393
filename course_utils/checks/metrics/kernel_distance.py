"""Exercise `kernel_distance`: the unbiased squared MMD of two sets of features, with the cubic kernel."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, exercise
from course_utils.checks.metrics.shared import expect_score


def _kernel_by_sums(x: Tensor, y: Tensor) -> float:
    """What the lesson goes on with: row sums, which no diagonal enters."""

    def matrix(a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum("nd,md->nm", a.double(), b.double()).div(a.shape[1]).add(1).pow(3)

    within = [
        matrix(a, a)
        .masked_fill(torch.eye(len(a), dtype=torch.bool, device=a.device), 0.0)
        .sum(1)
        .mean()
        / (len(a) - 1)
        for a in (x, y)
    ]
    return float(within[0] + within[1] - 2 * matrix(x, y).mean(1).mean())


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mmd_with(x: Tensor, y: Tensor, within: Callable[[Tensor], Tensor]) -> Tensor:
    """The distance with another mean of the pairs within a set."""
    return within(_kernel(x, x)) + within(_kernel(y, y)) - 2 * _kernel(x, y).mean()


def _mmd(
    x: Tensor,
    y: Tensor,
    kernel: Callable[[Tensor, Tensor], Tensor] = _kernel,
    cross: float = 2.0,
    diagonal: bool = False,
) -> Tensor:
    """The unbiased estimate; ``diagonal`` makes it the biased one."""
    within = []
    for a in (x, y):
        k, n = kernel(a, a), len(a)
        within.append(k.mean() if diagonal else (k.sum() - k.trace()) / (n * (n - 1)))
    return within[0] + within[1] - cross * kernel(x, y).mean()


def _same_divisor(x: Tensor, y: Tensor) -> Tensor:
    a, b = (k.sum() - k.trace() for k in (_kernel(x, x), _kernel(y, y)))
    return a / len(x) ** 2 + b / len(y) ** 2 - 2 * _kernel(x, y).mean()


def _diagonal_kept(x: Tensor, y: Tensor) -> Tensor:
    n, m = len(x), len(y)
    within = _kernel(x, x).sum() / (n * (n - 1)) + _kernel(y, y).sum() / (m * (m - 1))
    return within - 2 * _kernel(x, y).mean()


def _upper_half(x: Tensor, y: Tensor) -> Tensor:
    n, m = len(x), len(y)
    a, b = _kernel(x, x).triu(1).sum(), _kernel(y, y).triu(1).sum()
    within = a / (n * (n - 1)) + b / (m * (m - 1))
    return within - 2 * _kernel(x, y).mean()


def _cross_without_diagonal(x: Tensor, y: Tensor) -> Tensor:
    k, n = _kernel(x, y), len(x)
    return _mmd(x, y) + 2 * k.mean() - 2 * (k.sum() - k.trace()) / (n * (len(y) - 1))


def _by(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: _mmd(x, y, function)


def _within(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased means within both sets, added up."""
    return _mmd(x, y) + 2 * _kernel(x, y).mean()


_MISTAKES: list[Wrong] = [
    (
        lambda x, y: 2 * _within(x, y) - 2 * _kernel(x, y).mean(),
        "The pairs within the sets count twice: either both triangles over N (N - 1), or one over N (N - 1) / 2.",
    ),
    (_within, "No pair of an x with a y is in it: like sets must come out near 0."),
    (
        lambda x, y: _within(x, y) - 2 * _kernel(x, y).sum() / (len(x) * (len(y) - 1)),
        "Between x and y no point meets itself: all N · M pairs count.",
    ),
    (
        lambda x, y: _within(x, y) - 2 * _kernel(x, y).diagonal().mean(),
        "x_i was paired with y_i only. Every x is compared with every y: x @ y.T.",
    ),
    (
        lambda x, y: _mmd(x, y) / 2,
        "Half of it: the two means within the sets are added, not averaged.",
    ),
    (
        lambda x, y: (
            sum(k.mean() - k.diag().mean() for k in (_kernel(x, x), _kernel(y, y)))
            - 2 * _kernel(x, y).mean()
        ),
        "The mean of the diagonal was subtracted from the mean of all. Leave the diagonal out of sum *and* count.",
    ),
    (
        lambda x, y: _mmd(x, y, diagonal=True),
        "This is the biased estimate: each point was compared with itself too. Leave the diagonals out.",
    ),
    (_same_divisor, "Without the diagonal there are N (N - 1) pairs, not N²."),
    (
        _diagonal_kept,
        "Divided by N (N - 1), but the N pairs of a point with itself are still in the sum.",
    ),
    (
        _upper_half,
        "Each pair was counted once, but N (N - 1) counts it twice: use both triangles, or half the divisor.",
    ),
    (
        _cross_without_diagonal,
        "The diagonal was left out between x and y as well. There x_i meets y_i, another image: that pair belongs in.",
    ),
    (lambda x, y: _mmd(x, y, cross=1.0), "The 2 before the mean between x and y is missing."),
    (
        lambda x, y: _mmd(x, y, cross=-2.0),
        "The mean between x and y is subtracted: like sets must come out near 0.",
    ),
    (
        lambda x, y: -_mmd(x, y),
        "The sign: within minus between, so that unlike sets are far apart.",
    ),
    (
        lambda x, y: _mmd(x, y).clamp_min(0).sqrt(),
        "This is the root; the squared distance is asked for (and unbiased).",
    ),
    (
        _by(lambda x, y: (x @ y.T + 1) ** 3),
        "The product is divided by d, the number of features, before 1 is added.",
    ),
    (
        _by(lambda x, y: (x @ y.T / x.shape[1] ** 0.5 + 1) ** 3),
        "Divided by the root of d; the kernel divides by d.",
    ),
    (
        lambda x, y: _mmd(x, y, lambda a, b: (a @ b.T / len(x) + 1) ** 3),
        "Divided by the number of images. d is the number of features, x.shape[1].",
    ),
    (
        _by(lambda x, y: (x @ y.T / x.shape[1]) ** 3),
        "The 1 is missing: without it only third moments are compared.",
    ),
    (_by(lambda x, y: (x @ y.T / x.shape[1] + 1) ** 2), "The power is 3, not 2."),
    (
        _by(lambda x, y: (x @ y.T / x.shape[1]) ** 3 + 1),
        "1 is added before the third power is taken.",
    ),
    (
        _by(lambda x, y: x @ y.T / x.shape[1] + 1),
        "The third power is missing: this compares means only.",
    ),
    (
        _by(lambda x, y: (x @ y.T + 1) ** 3 / x.shape[1]),
        "Only the product is divided by d, before 1 is added.",
    ),
    (
        _by(lambda x, y: torch.exp(-torch.cdist(x, y).square() / 2)),
        "A Gaussian kernel: also a good one, but another. Use (x·y/d + 1)³.",
    ),
    (
        lambda x, y: _mmd(F.normalize(x, dim=1), F.normalize(y, dim=1)),
        "The features were scaled to length 1. Take them as they are: their length is information.",
    ),
    (
        lambda x, y: _mmd(x - x.mean(0), y - y.mean(0)),
        "Each set was centred on its own mean; a shift then goes unseen.",
    ),
    (
        lambda x, y: sum(
            _kernel(a.mean(0, keepdim=True), b.mean(0, keepdim=True)).sum() * w
            for a, b, w in ((x, x, 1), (y, y, 1), (x, y, -2))
        ),
        "The features were averaged first: that compares means only. Average the kernel, not the features.",
    ),
    (
        lambda x, y: sum(
            w * (k.sum() - k.trace() * (w > 0))
            for k, w in ((_kernel(x, x), 1), (_kernel(y, y), 1), (_kernel(x, y), -2))
        ),
        "Sums, where means are asked for: divide each by its number of pairs.",
    ),
    (
        lambda x, y: _mmd(x, y) + 2 * _kernel(x, y).mean() - 2 * _kernel(x, y).sum() / len(x) ** 2,
        "Between x and y there are N · M pairs: the sets need not be of equal size.",
    ),
    (
        lambda x, y: _mmd_with(x, y, lambda k: k.triu().sum() / (len(k) * (len(k) - 1) / 2)),
        "The upper triangle was taken *with* its diagonal: `triu(1)` begins beside it.",
    ),
    (
        lambda x, y: _mmd_with(x, y, lambda k: (k.sum() - k.trace()) / (len(x) * (len(x) - 1))),
        "N (N - 1) pairs of x were counted for both sets: within y there are M (M - 1).",
    ),
    (
        lambda x, y: _mmd_with(x, y, lambda k: (k.sum() - k.trace()) / (len(k) - 1) ** 2),
        "Off the diagonal there are N (N - 1) pairs, not (N - 1)².",
    ),
    (
        lambda x, y: _mmd(x, x) + 2 * _kernel(x, x).mean() - 2 * _kernel(x, y).mean(),
        "The pairs within y are missing: x was used twice.",
    ),
]


_WORKED = (
    "One feature, x = 0, 1 and y = 1, 1: k = (a b + 1)³ is 1 within x, 8 within y, and between them 1, 1, 8, 8 with "
    "mean 4.5. So 1 + 8 - 2 * 4.5 = 0."
)


@exercise(_kernel_by_sums)
def kernel_distance(fn: Answer) -> None:
    """Check ``kernel_distance(x, y)``: (N, D), (M, D) -> one number."""
    for n, m, dim in ((5, 5, 3), (6, 4, 2), (4, 7, 5)):
        inputs = torch.rand(n, dim) + 0.3, 1.3 * torch.rand(m, dim) + torch.rand(dim)
        what = f"the kernel distance of {n} and {m} points with {dim} features"
        expect_score(fn, inputs, _kernel_by_pairs(*inputs), what, _MISTAKES, _WORKED, atol=1e-4)
    x = torch.randn(6, 3)
    below = "An unbiased estimate of 0 falls on both sides of it: do not cut off, and take no absolute value."
    what = "the kernel distance of a set and its copy"
    expect_score(fn, (x, x.clone()), _kernel_by_pairs(x, x), what, hint=below)
    large = 30 * torch.rand(5, 8, dtype=torch.float64), 30 * torch.rand(4, 8, dtype=torch.float64)
    expect_score(fn, large, _kernel_by_pairs(*large), "the kernel distance of large features")


def _kernel_by_pairs(x: Tensor, y: Tensor) -> float:
    """The distance pair by pair, in plain Python."""
    rows = [[[float(v) for v in row] for row in part] for part in (x, y)]

    def kernel(a: list[float], b: list[float]) -> float:
        return (math.fsum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    within = [
        [kernel(a, b) for i, a in enumerate(part) for j, b in enumerate(part) if i != j]
        for part in rows
    ]
    between = [kernel(a, b) for a in rows[0] for b in rows[1]]
    return sum(math.fsum(w) / len(w) for w in within) - 2 * math.fsum(between) / len(between)
