"""Exercise `frechet_distance`: the Fréchet distance of two Gaussians."""

import numpy as np
import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, exercise, hinting
from course_utils.checks.metrics.shared import expect_score


def _frechet_by_eigenvalues(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """By the eigenvalues of the plain product C1 C2, in NumPy."""
    parts = (mean1, cov1, mean2, cov2)
    m1, c1, m2, c2 = (np.asarray(part.detach().cpu(), dtype=np.float64) for part in parts)
    roots = np.sqrt(np.clip(np.linalg.eigvals(c1 @ c2).real, 0, None))
    return float(((m1 - m2) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * roots.sum())


def _square(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum()


def _root(cov: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(cov)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def _overlap(c1: Tensor, c2: Tensor) -> Tensor:
    return torch.linalg.eigvals(c1 @ c2).real.clamp_min(0).sqrt().sum()


def _half_root(cov: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp_min(0).sqrt()


def _nested(root: Tensor, d: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(root @ d).clamp_min(0).sqrt().sum()


def _spread(c1: Tensor, c2: Tensor) -> Tensor:
    return c1.trace() + c2.trace() - 2 * _overlap(c1, c2)


_ELEMENTS = (
    "The root was taken of each entry. A matrix root is another thing: the matrix R with R @ R = C. "
    "torch.linalg.eigh gives it: take the roots of the eigenvalues."
)

_COMMUTE = "tr(C1½ C2½) is right only where C1 and C2 have the same axes. The root is of the product: (C1½ C2 C1½)½."
_MATRIX = "The trace adds up the diagonal. Entries beside it do not belong to it."

_MISTAKES: list[Wrong] = [
    (lambda m, c, n, d: _square(m, n) + (c + d - 2 * (c @ d).sqrt()).trace(), _ELEMENTS),
    (lambda m, c, n, d: _square(m, n) + (c + d - 2 * (c @ d).abs().sqrt()).trace(), _ELEMENTS),
    (
        lambda m, c, n, d: _square(m, n) + (c + d - 2 * c.abs().sqrt() @ d.abs().sqrt()).trace(),
        _ELEMENTS,
    ),
    (
        lambda m, c, n, d: _square(m, n) + _square(c.diag().sqrt(), d.diag().sqrt()),
        "Only the variances were used (the diagonals). Then clouds that lean to opposite sides count as equal.",
    ),
    (
        lambda m, c, n, d: _square(m, n) + c.trace() + d.trace() - _overlap(c, d),
        "The 2 before the root is missing: equal Gaussians must have distance 0.",
    ),
    (
        lambda m, c, n, d: _square(m, n) + c.trace() + d.trace() + 2 * _overlap(c, d),
        "The root is subtracted.",
    ),
    (
        lambda m, c, n, d: _square(m, n).sqrt() + _spread(c, d),
        "The distance of the means goes in squared: a norm has a root of its own.",
    ),
    (
        lambda m, c, n, d: (m - n).abs().sum() + _spread(c, d),
        "Absolute differences: the mean's term is their squares.",
    ),
    (
        lambda m, c, n, d: (m - n).square().mean() + _spread(c, d),
        "The squares of the mean's differences were averaged; a distance adds them up.",
    ),
    (
        lambda m, c, n, d: _spread(c, d),
        "The means are missing: two clouds far apart must not count as equal.",
    ),
    (
        lambda m, c, n, d: _square(m, n),
        "The covariances are missing (or one stands twice): then a cloud shrunk to its centre counts as equal.",
    ),
    (
        lambda m, c, n, d: (_square(m, n) + _spread(c, d)).sqrt(),
        "This is the root of it. By custom the square is reported, as in the formula above.",
    ),
    (
        lambda m, c, n, d: _square(m, n) + (c + d - 2 * c @ d).trace(),
        "The root is missing: the product of two covariances has the unit of the features to the fourth.",
    ),
    (lambda m, c, n, d: _square(m, n) + (c + d - 2 * _root(c) @ _root(d)).trace(), _COMMUTE),
    (
        lambda m, c, n, d: (
            _square(m, n)
            + (c + d - 2 * torch.linalg.cholesky(c) @ torch.linalg.cholesky(d).T).trace()
        ),
        "A Cholesky factor is no symmetric root, and its trace says nothing. Use eigh.",
    ),
    (
        lambda m, c, n, d: _square(m, n) + (c - d).square().sum(),
        "Squared differences of the entries: not this formula.",
    ),
    (lambda m, c, n, d: _square(m, n) + _square(_root(c), _root(d)), _COMMUTE),
    (
        lambda m, c, n, d: _square(m, n) + _spread(c @ c, d @ d),
        "The covariances were squared first, as if they were standard deviations. They are squares already.",
    ),
    (
        lambda m, c, n, d: (
            _square(m, n) + c.sum() + d.sum() - 2 * _root(_root(c) @ d @ _root(c)).sum()
        ),
        _MATRIX,
    ),
    (
        lambda m, c, n, d: _square(m, n) + _spread(c, d) / len(m),
        "The trace was divided by the number of features: it is the sum of the diagonal.",
    ),
    (
        lambda m, c, n, d: (_square(m, n) + _spread(c, d)) / len(m),
        "Everything was divided by the number of features; the distance is a sum over them.",
    ),
    (
        lambda m, c, n, d: (
            _square(m, n)
            + (c + d).trace()
            - 2 * torch.linalg.eigh(c @ d)[0].clamp_min(0).sqrt().sum()
        ),
        "C1 C2 is not symmetric, and eigh reads one triangle of it without a word. Use the symmetric C1½ C2 C1½.",
    ),
    (
        lambda m, c, n, d: _square(m, n) + c.trace() + d.trace() - 2 * _nested(_half_root(c), d),
        "The inner root is V diag(√λ) Vᵀ: Vᵀ, or a second factor, is missing, so R R is not C1.",
    ),
    (
        lambda m, c, n, d: (
            _square(m, n)
            + (c + d).trace()
            - 2 * torch.linalg.eigvals(_root(c) @ d).real.sqrt().sum()
        ),
        "C1½ stands on both sides of C2; on one side alone the units do not fit.",
    ),
    (
        lambda m, c, n, d: _square(m, n) + c.trace() - 2 * _overlap(c, d),
        "The trace of the second covariance is missing.",
    ),
    (
        lambda m, c, n, d: _square(m, n) + d.trace() - 2 * _overlap(c, d),
        "The trace of the first covariance is missing.",
    ),
    (
        lambda m, c, n, d: _square(m, n) + d.trace() - c.trace(),
        "The root is of the product of *both* covariances, not of one with itself.",
    ),
    (
        lambda m, c, n, d: (
            _square(m, n)
            + (c + d).trace()
            - 2 * torch.linalg.eigvalsh((c @ d + d @ c) / 2).abs().sqrt().sum()
        ),
        "C1 C2 was made symmetric by its mean with C2 C1: that has other eigenvalues. Use C1½ C2 C1½.",
    ),
    (
        lambda m, c, n, d: _square(m, n) + c.trace() + d.trace() - 2 * _root(c + d).trace(),
        "The root of the sum: inside the root the covariances are multiplied.",
    ),
]


_WORKED = (
    "One feature: means 1 and 4, variances 9 and 1. The distance is (1 - 4)² + 9 + 1 - 2 sqrt(9 * 1) = 13. With more, "
    "the last term is twice the sum of the roots of the eigenvalues of C1 C2."
)


@exercise(_frechet_by_eigenvalues)
def frechet_distance(fn: Answer) -> None:
    """Check ``frechet_distance(mean1, cov1, mean2, cov2)`` -> one number."""
    cases = ((3, 1.0, torch.float64), (5, 2.0, torch.float32), (1, 1.0, torch.float64))
    for dim, scale, dtype in cases:
        inputs = (*_gaussian(dim, dim, scale, dtype), *_gaussian(dim, dim, 1.7 * scale, dtype))
        what = f"the distance of two Gaussians with {dim} feature{'s' * (dim > 1)}"
        expect_score(fn, inputs, _frechet_by_eigenvalues(*inputs), what, _MISTAKES, _WORKED)
    mean, cov = _gaussian(4, 4, 1.0)
    twice, what = (mean, cov, mean.clone(), cov.clone()), "the distance of a Gaussian from itself"
    expect_score(fn, twice, 0.0, what, atol=1e-2)
    inputs = (*_gaussian(3, 3, 1e-3), *_gaussian(3, 3, 2e-3))
    added = "Small features come out wrong: is a constant added to the covariances, or a result rounded?"
    what = "the distance of very narrow Gaussians"
    expect_score(fn, inputs, _frechet_by_eigenvalues(*inputs), what, hint=added, atol=0)
    inputs = (*_gaussian(6, 2, 1.0), *_gaussian(6, 3, 1.0))
    singular = (
        "These covariances are singular, as with fewer images than features: some eigenvalues are 0, and rounding "
        "makes them slightly negative. Set those to 0 before the root, and do not use an inverse or Cholesky."
    )
    what = "the distance of Gaussians with singular covariances"
    with hinting(singular):
        expect_score(fn, inputs, _frechet_by_eigenvalues(*inputs), what, atol=2e-2)


def _gaussian(
    dim: int, rank: int, scale: float, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """A mean (D,) and a covariance (D, D) of some rank, with positive entries: then wrong roots exist, too."""
    factor = torch.rand(dim, rank, dtype=torch.float64) + torch.eye(dim, rank, dtype=torch.float64)
    return (scale * 1.5 * torch.rand(dim)).to(dtype), (scale**2 * factor @ factor.T).to(dtype)
