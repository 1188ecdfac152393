"""Exercise `cheat`: a few real points, chosen so that their Fréchet distance beats an honest rival's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils.checks.core import Answer, call, exercise, require
from course_utils.evaluation.distances import feature_moments, frechet_distance

Score = Callable[[Tensor], float]
"""Points (m, D) -> their FD; each may stand for many copies of itself, so one point has an FD, too."""

_TRIES = 400
_SHARE = 0.6
"""Of the mean FD of random sets: what has to be beaten."""


def score_against(goal: Tensor) -> Score:
    """FD between points, all repeated equally often, and a set: what ``cheat`` gets as ``fd``. ``goal`` is (N, D)."""
    moments = feature_moments(goal)

    def fd(points: Tensor) -> float:
        return frechet_distance(*feature_moments(points.repeat(50, 1)), *moments)

    return fd


def _by_exchange(features: Tensor, count: int, fd: Score) -> Tensor:
    """Exchange one at a time by chance, and keep what is better."""
    random = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(features), generator=random)[:count]
    best = fd(features[rows])
    for _ in range(_TRIES):
        place, new = (int(torch.randint(n, (), generator=random)) for n in (count, len(features)))
        tried = rows.clone()
        tried[place] = new
        found = fd(features[tried])
        if found < best:
            rows, best = tried, found
    return rows


_NUMBERS = "Return `count` row numbers, `rows` for the set `features[rows]`: no points, and nothing around them."
_CHANCE = (
    "Chance does as well. `fd(features[rows])` tells how good a set is, and you may ask as often as you like: try many "
    "sets, or change one at a time, and keep what is better."
)
_NARROW = (
    "These lie close together: their mean may be right, but they vary far less than all points do, and FD compares "
    "covariances as well. What counts is the FD of the *set*, not how near each single point is."
)
_WORSE = "Worse than nearly every random set. A *low* FD is wanted: of two sets keep the one whose FD is smaller."


@exercise(_by_exchange)
def cheat(fn: Answer) -> None:
    """Check ``cheat(features, count, fd)``: (N, D), int, function -> ``count`` row numbers whose FD is low."""
    for seed, n, dim, count in ((1, 300, 6, 12), (2, 240, 8, 16)):
        features = _cloud(seed, n, dim)
        fd = score_against(_cloud(seed + 10, 600, dim))
        rows = _rows(call(fn, features, count, fd), n, count)
        random = torch.Generator().manual_seed(seed)
        chance = sorted(
            fd(features[torch.randperm(n, generator=random)[:count]]) for _ in range(50)
        )
        got, bar = fd(features[rows]), _SHARE * sum(chance) / len(chance)
        expected = f"{count} of {n} points with an FD below the rival's {bar:.3f}"
        spread = features[rows].double().var(dim=0).sum() / features.double().var(dim=0).sum()
        hint = _WORSE if got > chance[-2] else _CHANCE
        hint = _NARROW if spread < 0.45 else hint
        require(got < bar, expected, f"FD {got:.3f}", hint)


def _rows(answer: Any, n: int, count: int) -> Tensor:
    """The answer as row numbers, whichever way they are written."""
    if isinstance(answer, tuple | list):
        answer = [one.item() if getattr(one, "ndim", 1) == 0 else one for one in answer]
    whole = type(answer) in (Tensor, np.ndarray, list, tuple)
    if type(answer) in (list, tuple):
        whole = all(type(one) is int for one in answer)
    require(whole, f"{count} row numbers", answer, _NUMBERS)
    rows = torch.as_tensor(answer).detach().cpu()
    whole = rows.dtype not in (torch.bool, torch.complex64, torch.complex128)
    whole = whole and not rows.is_floating_point() and rows.ndim == 1
    require(whole, f"{count} row numbers", answer, _NUMBERS)
    several = f"`count` says how many: {count}. A row may be taken twice."
    require(len(rows) == count, f"{count} row numbers", f"{len(rows)} of them", several)
    inside = bool(((rows >= -n) & (rows < n)).all())
    require(inside, f"rows from 0 to {n - 1}", answer, "There are only N rows: 0 to N - 1.")
    return rows.long()


def _cloud(seed: int, n: int, dim: int) -> Tensor:
    """Three clumps of unequal width."""
    random = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(3, dim, generator=torch.Generator().manual_seed(0))
    kind = torch.randint(3, (n,), generator=random)
    return centres[kind] + (0.5 + 0.5 * kind[:, None]) * torch.randn(n, dim, generator=random)
