"""Exercise `near_copies`: which generated points lie nearer to the training points than real ones do."""

import numpy as np
import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like, require

_ROWS = 500


def _nearest_by_products(points: Tensor, others: Tensor) -> np.ndarray:
    """Distance to the nearest of the others: (M, D), (N, D) -> (M,), by |a|² + |b|² - 2 a·b."""
    found = [
        (part.square().sum(1, keepdim=True) + others.square().sum(1) - 2 * part @ others.T).amin(1)
        for part in points.split(_ROWS)
    ]
    return torch.cat(found).clamp_min(0).sqrt().double().numpy()


def _by_products(generated: Tensor, training: Tensor, held_out: Tensor, level: float) -> Tensor:
    limit = np.quantile(_nearest_by_products(held_out, training), level)
    return torch.from_numpy(_nearest_by_products(generated, training) < limit)


def _near(points: Tensor, others: Tensor) -> Tensor:
    return torch.cdist(points, others).amin(1)


_MISTAKES: list[Wrong] = [
    (
        lambda g, t, h, level: _near(g, t) > _near(h, t).quantile(level),
        "The other way round: these are the points that are *far* from all training points.",
    ),
    (
        lambda g, t, h, level: _near(g, t) < _near(h, t).quantile(1 - level),
        "Nearer than `level` of the held-out points, not than all but `level`: the quantile is at the small end.",
    ),
    (
        lambda g, t, h, level: _near(g, t) < _near(g, t).quantile(level),
        "The limit comes from the generated points themselves, so `level` of them are below it whatever they are. It "
        "comes from points that cannot have been copied: the held-out ones.",
    ),
    (
        lambda g, t, h, level: _near(g, h) < _near(h, t).quantile(level),
        "The generated points were looked up among the held-out ones. A copy is near to what was *learned* from.",
    ),
    (
        lambda g, t, h, level: _near(g, t) < torch.cdist(t, t).amin(1).quantile(level),
        "Each training point was looked up among the training points and found itself, at distance 0. The limit comes "
        "from the held-out points.",
    ),
    (
        lambda g, t, h, level: _near(g, t) < torch.cdist(t, t).sort(1).values[:, 1].quantile(level),
        "The limit comes from the training points. They were seen in training; ask the held-out ones.",
    ),
    (
        lambda g, t, h, level: _near(g, t) < _near(h, t).min(),
        "Nearer than *every* held-out point: one odd picture among them decides. Take the quantile `level`.",
    ),
    (
        lambda g, t, h, level: _near(g, t) < level,
        "`level` is a share of the held-out points, not a distance.",
    ),
    (
        lambda g, t, h, level: (
            torch.cdist(g, t).mean(1) < torch.cdist(h, t).mean(1).quantile(level)
        ),
        "The mean distance to all training points. A copy is near to *one* of them: the smallest distance counts.",
    ),
    (
        lambda g, t, h, level: _near(g, t) < torch.cdist(h, t).flatten().quantile(level),
        "The quantile over all pairs: first the nearest for each held-out point, then the quantile of these.",
    ),
    (
        lambda g, t, h, level: (_near(g, t) < _near(h, t).quantile(level)).double().mean(),
        "That is the share of copies. Say for each point whether it is one; the share is counted outside.",
    ),
    (
        lambda g, t, h, level: _near(g, t),
        "These are the distances. Which of them are small? Compare with the limit.",
    ),
    (
        lambda g, t, h, level: torch.cdist(g, t).amin(0) < _near(h, t).quantile(level),
        "One answer for each *training* point: the smallest distance is wanted in each generated point's row.",
    ),
]
_EACH = "One answer, True or False, for each generated point."
_WORKED = (
    "The limit is one distance for all points. By hand: four held-out points lie 1, 2, 3 and 4 from their nearest "
    "training points. The quantile 0.25 of these is 1.75: a generated point at 1.5 is a near copy, one at 2 is not."
)


@exercise(_by_products)
def near_copies(fn: Answer) -> None:
    """Check ``near_copies(generated, training, held_out, level)``: (M, D), (N, D), (H, D), float -> bool (M,)."""
    for seed, n, scale, level in ((1, 200, 1.0, 0.1), (2, 700, 100.0, 0.03)):
        inputs = _sets(seed, n, scale)
        expected = _by_products(*inputs, level)
        got = call(fn, *inputs, level)
        what = f"which of {len(expected)} points are near copies (1: yes)"
        each = isinstance(got, Tensor) and got.shape == expected.shape
        require(
            not each or not got.is_floating_point() or _all_bits(got),
            what, got, "These are the distances. Which of them are small? Compare with the limit.",
        )  # fmt: skip
        expect_like(
            got, expected, what,
            inputs=(*inputs, level), wrong=_MISTAKES, shape=_EACH, dtype=torch.bool,
            hint=_WORKED,
        )  # fmt: skip


def _all_bits(found: Tensor) -> bool:
    return bool(((found == 0) | (found == 1)).all())


def _sets(seed: int, n: int, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Generated, training and held-out points; of the first a third are copies, a third copies with noise."""
    random = torch.Generator().manual_seed(seed)
    training, held_out = (torch.randn(size, 4, generator=random) for size in (n, n // 2))
    copied = training[torch.randperm(n, generator=random)[: n // 5]]
    noise = torch.randn(copied.shape, generator=random)
    new = torch.randn(n // 5, 4, generator=random)
    generated = torch.cat([copied + 0.001 * noise, copied + 0.2 * noise, new])
    return scale * generated, scale * training, scale * held_out
