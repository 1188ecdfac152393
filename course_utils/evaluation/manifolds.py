"""Precision and recall of generators by nearest neighbours, and the search for copies.

A set of feature vectors is taken for a region: the union of balls around its points, each reaching to the point's own
k-th nearest neighbour. Precision and recall ask how much of one set lies in the other's region.
"""

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.evaluation.distances import bad_shape

NEIGHBOURS = 3
"""The k of the paper (arXiv 1904.06991, section 3)."""
_ROWS = 500


def precision_recall(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Share of generated points in the real region, and share of real points in the generated region.

    Args:
        real: (N, D) features of real images, N > k.
        fake: (M, D) features of generated images, M > k.
        k: a ball reaches to the k-th nearest other point of its own set.

    Returns:
        Precision and recall, both in [0, 1]. Both are below 1 for equal distributions, and they depend on N and M.

    Raises:
        CourseError: ``metrics-shape``, or ``metrics-neighbours`` for a k that is not from 1 to N - 1.

    Source: Kynkäänniemi et al. 2019, arXiv 1904.06991, equations 1 and 2.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise bad_shape(f"features of shapes {tuple(real.shape)} and {tuple(fake.shape)}")
    if not 1 <= k < min(len(real), len(fake)):
        raise CourseError(
            "metrics-neighbours",
            f"k = {k} neighbours were asked for, in sets of {len(real)} and {len(fake)} points.",
            "A point is no neighbour of itself, so k goes from 1 to the number of points less one.",
            "precision, recall = precision_recall(real, fake, k=3)",
        )
    return _share_inside(fake, real, k), _share_inside(real, fake, k)


def nearest_distance(queries: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Euclidean distance to, and index of, the nearest of some points: (Q, D), (N, D) -> (Q,), (Q,) int64."""
    parts = [torch.cdist(part, points).min(dim=1) for part in queries.split(_ROWS)]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def copied(generated: Tensor, training: Tensor, held_out: Tensor, level: float = 0.01) -> Tensor:
    """Which generated images lie nearer to a training image than all but few real images do.

    Args:
        generated: (M, D) features.
        training: (N, D) features of the images that the generator learned from.
        held_out: (H, D) features of other real images, which cannot have been copied.
        level: share of held-out images that may be called copies by chance.

    Returns:
        (M,) bool; without any copying about ``level`` of them are True.
    """
    limit = nearest_distance(held_out, training)[0].quantile(level)
    return nearest_distance(generated, training)[0] < limit


def _share_inside(points: Tensor, centres: Tensor, k: int) -> float:
    """Share of the points that lie in at least one ball around a centre."""
    points, centres = points.double(), centres.double()
    scale = max(points.square().sum(1).max().item(), centres.square().sum(1).max().item())
    rounding = 1e-13 * scale  # of a square computed by products: equal points may be so far apart
    parts = [_squares(part, centres) for part in centres.split(_ROWS)]
    reach = (
        torch.cat([part.kthvalue(k + 1, dim=1).values for part in parts]) + rounding
    )  # the first is the point itself
    inside = [(_squares(part, centres) <= reach).any(dim=1) for part in points.split(_ROWS)]
    return torch.cat(inside).double().mean().item()


def _squares(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances of all pairs, by products: far quicker than by differences."""
    return x.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * x @ y.T
