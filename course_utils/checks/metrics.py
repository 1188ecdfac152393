"""Checks of lesson 06: measuring generators. Each returns the function that the lesson goes on with."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Categorical

from course_utils.checks import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_number,
    require,
)
from course_utils.checks._bootstrap import bootstrap_by_counts, inspect_bootstrap
from course_utils.checks._frechet_mistakes import WRONG_FRECHET
from course_utils.checks._metrics_mistakes import WRONG_INCEPTIONS, WRONG_KERNELS
from course_utils.checks._neighbour_mistakes import WRONG_REGIONS

_ONE = "One number is asked for, with nothing around it: what is still to be added up or averaged?"


def _number_case(
    fn: Answer,
    inputs: tuple[Any, ...],
    expected: float,
    what: str,
    wrong: Sequence[Wrong] = (),
    hint: str = "Compare with the formula term by term on the smallest example.",
    rtol: float = 1e-3,
    atol: float = 1e-6,
) -> None:
    """Require one number of any kind near the expected one."""
    got = call(fn, *inputs)
    dtype = str(getattr(got, "dtype", type(got).__name__))
    unreal = (
        "A root came out complex. Take it of something symmetric, or keep the real part (`.real`)."
    )
    require("complex" not in dtype, f"{what}: a real number", f"something of type {dtype}", unreal)
    several = isinstance(got, tuple | list) or (
        isinstance(got, Tensor | np.ndarray) and got.ndim > 0
    )
    expect_close(
        got,
        expected,
        what,
        inputs=inputs,
        wrong=wrong,
        hint=_ONE if several else hint,
        rtol=rtol,
        atol=atol,
    )
    expect_number(got, what)


def _special_case(
    fn: Answer, inputs: tuple[Any, ...], expected: float, what: str, hint: str, atol: float = 1e-6
) -> None:
    """A case that only one mistake fails on, be it by a wrong number, NaN or an error: always the same hint."""
    try:
        _number_case(fn, inputs, expected, what, atol=atol)
    except CheckFailed as failure:
        raise CheckFailed(failure.expected, failure.got, hint) from None


# ---------------------------------------------------------------- 6.1 the Fréchet distance


def _frechet_by_eigenvalues(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """By the eigenvalues of the plain product C1 C2, in NumPy."""
    m1, c1, m2, c2 = (
        np.asarray(part.detach().cpu(), dtype=np.float64) for part in (mean1, cov1, mean2, cov2)
    )
    roots = np.sqrt(np.clip(np.linalg.eigvals(c1 @ c2).real, 0, None))
    return float(((m1 - m2) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * roots.sum())


def _gaussian(
    dim: int, rank: int, scale: float, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """A mean (D,) and a covariance (D, D) of some rank, with positive entries: then wrong roots exist, too."""
    factor = torch.rand(dim, rank, dtype=torch.float64) + torch.eye(dim, rank, dtype=torch.float64)
    return (scale * 1.5 * torch.rand(dim)).to(dtype), (scale**2 * factor @ factor.T).to(dtype)


@exercise("6.1", _frechet_by_eigenvalues)
def exercise_6_1(fn: Answer) -> None:
    """Check ``frechet_distance(mean1, cov1, mean2, cov2)`` -> one number."""
    for dim, scale, dtype in (
        (3, 1.0, torch.float64),
        (5, 2.0, torch.float32),
        (1, 1.0, torch.float64),
    ):
        inputs = (*_gaussian(dim, dim, scale, dtype), *_gaussian(dim, dim, 1.7 * scale, dtype))
        what = f"the distance of two Gaussians with {dim} feature{'s' * (dim > 1)}"
        _number_case(fn, inputs, _frechet_by_eigenvalues(*inputs), what, WRONG_FRECHET)
    mean, cov = _gaussian(4, 4, 1.0)
    _number_case(
        fn,
        (mean, cov, mean.clone(), cov.clone()),
        0.0,
        "the distance of a Gaussian from itself",
        atol=1e-2,
    )
    inputs = (*_gaussian(3, 3, 1e-3), *_gaussian(3, 3, 2e-3))
    added = "Small features come out wrong: is a constant added to the covariances, or a result rounded?"
    _number_case(
        fn,
        inputs,
        _frechet_by_eigenvalues(*inputs),
        "the distance of very narrow Gaussians",
        hint=added,
        atol=0,
    )
    inputs = (*_gaussian(6, 2, 1.0), *_gaussian(6, 3, 1.0))
    singular = (
        "These covariances are singular, as with fewer images than features: some eigenvalues are 0, and rounding "
        "makes them slightly negative. Set those to 0 before the root, and do not use an inverse or Cholesky."
    )
    what = "the distance of Gaussians with singular covariances"
    _special_case(fn, inputs, _frechet_by_eigenvalues(*inputs), what, singular, atol=2e-2)


# ---------------------------------------------------------------- 6.2 the kernel distance


def _kernel_by_pairs(x: Tensor, y: Tensor) -> float:
    """Pair by pair, in plain Python."""
    rows = [[[float(v) for v in row] for row in part] for part in (x, y)]

    def kernel(a: list[float], b: list[float]) -> float:
        return (math.fsum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    within = [
        [kernel(a, b) for i, a in enumerate(part) for j, b in enumerate(part) if i != j]
        for part in rows
    ]
    between = [kernel(a, b) for a in rows[0] for b in rows[1]]
    return sum(math.fsum(w) / len(w) for w in within) - 2 * math.fsum(between) / len(between)


def _kernel_by_sums(x: Tensor, y: Tensor) -> float:
    """What the lesson goes on with: row sums, which no diagonal enters."""

    def matrix(a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum("nd,md->nm", a.double(), b.double()).div(a.shape[1]).add(1).pow(3)

    within = [
        matrix(a, a).masked_fill(torch.eye(len(a), dtype=torch.bool), 0.0).sum(1).mean()
        / (len(a) - 1)
        for a in (x, y)
    ]
    return float(within[0] + within[1] - 2 * matrix(x, y).mean(1).mean())


@exercise("6.2", _kernel_by_sums)
def exercise_6_2(fn: Answer) -> None:
    """Check ``kernel_distance(x, y)``: (N, D), (M, D) -> one number."""
    for n, m, dim in ((5, 5, 3), (6, 4, 2), (4, 7, 5)):
        inputs = torch.rand(n, dim) + 0.3, 1.3 * torch.rand(m, dim) + torch.rand(dim)
        what = f"the kernel distance of {n} and {m} points with {dim} features"
        _number_case(fn, inputs, _kernel_by_pairs(*inputs), what, WRONG_KERNELS, atol=1e-4)
    x = torch.randn(6, 3)
    below = "An unbiased estimate of 0 falls on both sides of it: do not cut off, and take no absolute value."
    _number_case(
        fn,
        (x, x.clone()),
        _kernel_by_pairs(x, x),
        "the kernel distance of a set and its copy",
        hint=below,
    )
    large = 30 * torch.rand(5, 8, dtype=torch.float64), 30 * torch.rand(4, 8, dtype=torch.float64)
    _number_case(fn, large, _kernel_by_pairs(*large), "the kernel distance of large features")


# ---------------------------------------------------------------- 6.3 the Inception-style score


def _score_by_entropies(probabilities: Tensor) -> float:
    """exp(entropy of the average - average of the entropies): the same as by KL."""
    p = torch.as_tensor(probabilities).double()
    average = Categorical(probs=p.mean(0), validate_args=False).entropy()
    return float((average - Categorical(probs=p, validate_args=False).entropy().mean()).exp())


@exercise("6.3", _score_by_entropies)
def exercise_6_3(fn: Answer) -> None:
    """Check ``inception_score(probabilities)``: (N, K) -> one number."""
    for n, k, dtype in ((20, 4, torch.float64), (30, 3, torch.float32), (7, 10, torch.float64)):
        logits = 2 * torch.randn(n, k, dtype=dtype) + torch.linspace(0, 2, k, dtype=dtype)
        p = logits.softmax(1)
        small = "Small probabilities come out wrong: is a constant added inside the logs, or a number rounded?"
        hint = (
            small if k == 10 else "Compare with the formula term by term on the smallest example."
        )
        what = f"the score of {n} images, {k} classes"
        _number_case(fn, (p,), _score_by_entropies(p), what, WRONG_INCEPTIONS, hint)
    certain = torch.eye(5)[torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])]
    zeros = "Probabilities of exactly 0: the limit of p log p is 0 there, but 0 times log 0 is NaN. See torch.xlogy."
    _special_case(
        fn, (certain,), 5.0, "the score of five classes, each certain and equally often", zeros
    )
    same = torch.tensor([[0.7, 0.2, 0.1]]).repeat(6, 1)
    one = (
        "If every image gets the same probabilities the score is 1: nothing can be told from them."
    )
    _number_case(fn, (same,), 1.0, "the score of images that all look alike", hint=one)


# ---------------------------------------------------------------- 6.4 precision and recall


def _regions_by_sorting(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """With the nearest neighbours of scikit-learn."""
    from sklearn.neighbors import NearestNeighbors

    def share(points: np.ndarray, centres: np.ndarray) -> float:
        search = NearestNeighbors(algorithm="brute").fit(centres)
        radii = search.kneighbors(n_neighbors=k)[0][
            :, -1
        ]  # asked without points: no point is its own neighbour
        distances, index = search.kneighbors(points, n_neighbors=len(centres))
        return float((distances <= radii[index] * (1 + 1e-9)).any(axis=1).mean())

    r, f = (np.asarray(part.detach().cpu(), dtype=np.float64) for part in (real, fake))
    return share(f, r), share(r, f)


# (seed, real, fake, features, k): clouds for which each known mistake gives other numbers.
_CLOUDS = ((130, 60, 45, 3, 5), (5, 30, 45, 3, 3), (8, 25, 25, 2, 1), (9, 50, 35, 2, 2))


def clouds(seed: int, n: int, m: int, dim: int) -> tuple[Tensor, Tensor]:
    """A real cloud of two parts of unlike density, and a fake one that covers one part and reaches beyond it."""
    random = torch.Generator().manual_seed(seed)
    real, fake = (
        torch.randn(n, dim, generator=random),
        0.7 * torch.randn(m, dim, generator=random) + 0.6,
    )
    real[: n // 3] = 0.5 * real[: n // 3] + 3
    fake[: m // 5] = 2.5 * fake[: m // 5] - 1
    return 0.6 * real, 0.6 * fake


@exercise("6.4", _regions_by_sorting)
def exercise_6_4(fn: Answer) -> None:
    """Check ``precision_recall(real, fake, k)``: (N, D), (M, D), int -> two numbers."""
    for seed, n, m, dim, k in _CLOUDS:
        inputs = (*clouds(seed, n, m, dim), k)
        expected, what = (
            _regions_by_sorting(*inputs),
            f"precision and recall of {n} real and {m} fake points, k = {k}",
        )
        got = call(fn, *inputs)
        two = "Return precision and recall, two numbers in this order: `return precision, recall`."
        pair = got.tolist() if isinstance(got, Tensor | np.ndarray) else got
        require(isinstance(pair, tuple | list) and len(pair) == 2, f"{what}: two numbers", got, two)
        share = "A share is one number: the mean over the points is left to do."
        for value in pair:
            require(getattr(value, "ndim", 0) == 0, f"{what}: two single numbers", value, share)
        numbers = [expect_number(v, what) for v in pair]
        hint = "Take four points on a line and k = 1, and count by hand."
        expect_close(
            numbers,
            list(expected),
            what,
            inputs=inputs,
            wrong=WRONG_REGIONS,
            hint=hint,
            atol=1e-6,
            rtol=0,
        )


# ---------------------------------------------------------------- 6.5 the bootstrap


@exercise("6.5", bootstrap_by_counts)
def exercise_6_5(fn: Answer) -> None:
    """Check ``bootstrap_interval(values, statistic, repeats, generator)`` -> (low, high)."""
    inspect_bootstrap(fn)
