"""Exercise `precision_recall`: precision and recall of two clouds of points, by nearest neighbours."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_number,
    require,
)

Inside = Callable[[Tensor, Tensor, int], Tensor]
"""(points, centres, k) -> something about the points that lie in the region of the centres."""


def _regions_by_sorting(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """With the nearest neighbours of scikit-learn."""
    from sklearn.neighbors import NearestNeighbors

    def share(points: np.ndarray, centres: np.ndarray) -> float:
        search = NearestNeighbors(algorithm="brute").fit(centres)
        # Asked without points: no point is its own neighbour.
        radii = search.kneighbors(n_neighbors=k)[0][:, -1]
        distances, index = search.kneighbors(points, n_neighbors=len(centres))
        return float((distances <= radii[index] * (1 + 1e-9)).any(axis=1).mean())

    r, f = (np.asarray(part.detach().cpu(), dtype=np.float64) for part in (real, fake))
    return share(f, r), share(r, f)


def _radii(centres: Tensor, k: int) -> Tensor:
    """Distance of each point to its k-th nearest other point."""
    return torch.cdist(centres, centres).sort(1).values[:, k]


def _hits(points: Tensor, centres: Tensor, k: int) -> Tensor:
    """(points, centres) bool: which point lies in which ball."""
    return torch.cdist(points, centres) <= _radii(centres, k)


def _with_radii(points: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    return (torch.cdist(points, centres) <= radii).any(1).double().mean()


def _share(points: Tensor, centres: Tensor, k: int) -> Tensor:
    return _hits(points, centres, k).any(1).double().mean()


def _both(inside: Inside) -> Callable[[Tensor, Tensor, int], tuple[float, float]]:
    return lambda real, fake, k: (float(inside(fake, real, k)), float(inside(real, fake, k)))


def _others_radius(points: Tensor, centres: Tensor, k: int) -> Tensor:
    distances = torch.cdist(points, centres)
    return (distances <= distances.sort(0).values[k - 1]).any(1).double().mean()


def _own_ball(points: Tensor, centres: Tensor, k: int) -> Tensor:
    return (torch.cdist(points, centres).amin(1) <= _radii(points, k)).double().mean()


def _nearest_ball(points: Tensor, centres: Tensor, k: int) -> Tensor:
    nearest = torch.cdist(points, centres).min(1)
    return (nearest.values <= _radii(centres, k)[nearest.indices]).double().mean()


def _radius(reduce: Callable[[Tensor], Tensor]) -> Inside:
    return lambda p, c, k: (torch.cdist(p, c).amin(1) <= reduce(_radii(c, k))).double().mean()


def _metric(distance: Callable[[Tensor, Tensor], Tensor]) -> Inside:
    def inside(p: Tensor, c: Tensor, k: int) -> Tensor:
        return (distance(p, c) <= distance(c, c).sort(1).values[:, k]).any(1).double().mean()

    return inside


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return 1 - F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


_SELF = (
    "Each point was counted as its own nearest neighbour, at distance 0. The k-th *other* point is the (k + 1)-th "
    "smallest of the distances within a set."
)

MISTAKES: list[Wrong] = [
    (
        lambda r, f, k: _both(_share)(f, r, k),
        "Precision and recall are swapped. Precision: how much of the fake lies in the real region. It comes first.",
    ),
    (_both(lambda p, c, k: _share(p, c, k - 1)), _SELF),
    (
        _both(lambda p, c, k: _share(p, c, k + 1)),
        "One neighbour too far: was the point itself skipped twice?",
    ),
    (
        _both(_others_radius),
        "The radius was measured to the other set. A ball reaches to the k-th neighbour within its *own* set.",
    ),
    (
        _both(_own_ball),
        "The ball of the point that is asked about was used. The balls are those of the other set's points.",
    ),
    (
        _both(_nearest_ball),
        "Only the nearest point's ball was asked. A ball farther off may be wide enough: any of them counts.",
    ),
    (
        _both(lambda p, c, k: _hits(p, c, k).all(1).double().mean()),
        "`all` asks for points that lie in every ball. One ball is enough: `any`.",
    ),
    (
        lambda r, f, k: (
            float(_hits(f, r, k).any(0).double().mean()),
            float(_hits(r, f, k).any(0).double().mean()),
        ),
        "The balls that hold a point were counted, not the points that lie in a ball: `any` along the other dimension.",
    ),
    (
        _both(lambda p, c, k: _hits(p, c, k).double().mean()),
        "The share of all pairs. A point counts once, however many balls it lies in: `any` first, then the mean.",
    ),
    (
        _both(lambda p, c, k: _hits(p, c, k).double().sum(1).mean()),
        "The balls around each point were counted. A point counts once: `any` first, then the mean.",
    ),
    (
        _both(lambda p, c, k: _hits(p, c, k).double().sum(1).mean() / k),
        "This is the *density* of Naeem et al. 2020, another measure: here a point counts once.",
    ),
    (
        _both(lambda p, c, k: (torch.cdist(p, c).square() <= _radii(c, k)).any(1).double().mean()),
        "Squared distances were compared with radii that are not squared.",
    ),
    (
        _both(lambda p, c, k: (torch.cdist(p, c) <= _radii(c, k).square()).any(1).double().mean()),
        "Squared radii were compared with distances that are not squared.",
    ),
    (
        _both(lambda p, c, k: 100 * _share(p, c, k)),
        "These are per cent; shares from 0 to 1 are asked for.",
    ),
    (
        _both(lambda p, c, k: _share(p, c, k) * len(p)),
        "These are counts; divide by the number of points asked about.",
    ),
    (
        lambda r, f, k: (float(_share(f, r, k)), float(_share(f, r, k))),
        "Both are precision. For recall the roles change: real points, balls around the fake ones.",
    ),
    (
        lambda r, f, k: (float(_share(r, f, k)), float(_share(r, f, k))),
        "Both are recall. For precision the roles change: fake points, balls around the real ones.",
    ),
    (
        _both(
            lambda p, c, k: _with_radii(
                p, c, torch.cdist(c, c).sort(1).values[:, 1 : k + 1].mean(1)
            )
        ),
        "The mean distance to the k nearest. The radius is the distance to the k-th.",
    ),
    (
        _both(lambda p, c, k: _with_radii(p, c, torch.cdist(c, c).topk(k).values[:, -1])),
        "The k-th *farthest* point: topk takes the largest unless largest=False says otherwise.",
    ),
    (
        lambda r, f, k: _both(_share)(torch.cat([r, f]), torch.cat([r, f]), k),
        "Both sets were thrown together. Each region is made of the points of one set.",
    ),
    (
        _both(lambda p, c, k: (_hits(p, c, k).sum(1) >= k).double().mean()),
        "Points in at least k balls. One ball is enough; k only makes the radius.",
    ),
    (_both(_radius(torch.mean)), "One radius for all (the mean). Every ball has its own."),
    (_both(_radius(torch.max)), "One radius for all (the largest). Every ball has its own."),
    (_both(_radius(torch.median)), "One radius for all (the median). Every ball has its own."),
    (
        _both(lambda p, c, k: 1 - _share(p, c, k)),
        "These are the shares *outside*: inside means distance <= radius.",
    ),
    (
        _both(_metric(lambda a, b: torch.cdist(a, b, p=1))),
        "Distances by absolute differences: use Euclidean ones.",
    ),
    (
        _both(_metric(_cosine)),
        "Angles were compared. Use Euclidean distances: length is information too.",
    ),
    (_both(lambda p, c, k: _share(p, c, 3)), "k is not used: 3 stands in its place."),
    (
        _both(lambda p, c, k: _share(p, c, 1)),
        "k is not used: the nearest neighbour stands in its place.",
    ),
]

# (seed, real, fake, features, k): _clouds for which each known mistake gives other numbers.
_CLOUDS = ((130, 60, 45, 3, 5), (5, 30, 45, 3, 3), (8, 25, 25, 2, 1), (9, 50, 35, 2, 2))


@exercise(_regions_by_sorting)
def precision_recall(fn: Answer) -> None:
    """Check ``precision_recall(real, fake, k)``: (N, D), (M, D), int -> two numbers."""
    for seed, n, m, dim, k in _CLOUDS:
        inputs = (*_clouds(seed, n, m, dim), k)
        what = f"precision and recall of {n} real and {m} fake points, k = {k}"
        expected, got = _regions_by_sorting(*inputs), call(fn, *inputs)
        two = "Return precision and recall, two numbers in this order: `return precision, recall`."
        pair = got.tolist() if isinstance(got, Tensor | np.ndarray) else got
        require(isinstance(pair, tuple | list) and len(pair) == 2, f"{what}: two numbers", got, two)
        share = "A share is one number: the mean over the points is left to do."
        for value in pair:
            require(getattr(value, "ndim", 0) == 0, f"{what}: two single numbers", value, share)
        numbers = [expect_number(v, what) for v in pair]
        how = {"hint": "Take four points on a line and k = 1, and count by hand.", "rtol": 0}
        expect_close(numbers, list(expected), what, inputs=inputs, wrong=MISTAKES, **how)


def _clouds(seed: int, n: int, m: int, dim: int) -> tuple[Tensor, Tensor]:
    """A real cloud of two parts of unlike density, and a fake one that covers one part and reaches beyond it."""
    random = torch.Generator().manual_seed(seed)
    real = torch.randn(n, dim, generator=random)
    fake = 0.7 * torch.randn(m, dim, generator=random) + 0.6
    real[: n // 3] = 0.5 * real[: n // 3] + 3
    fake[: m // 5] = 2.5 * fake[: m // 5] - 1
    return 0.6 * real, 0.6 * fake
