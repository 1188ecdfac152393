"""The mathematics of the scores: distances of features, class probabilities, sharpness of pictures."""

from typing import Any

import torch
from torch import Tensor

from course_utils.errors import CourseError


def frechet_distance(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> float:
    """Fréchet distance (squared) between two Gaussians: |m1 - m2|² + tr(C1 + C2 - 2 (C1½ C2 C1½)½).

    The trace of the last root is the sum of the singular values of C1½ C2½, which loses no digits where covariances
    are singular (fewer images than features).

    Args:
        mean1: (D,) mean of the first; tensor, array or list.
        cov1: (D, D) covariance of the first, symmetric; may be singular.
        mean2: (D,) mean of the second.
        cov2: (D, D) covariance of the second.

    Returns:
        The distance, >= 0, in squared units of the features, computed in float64.

    Raises:
        CourseError: ``metrics-shape``, or ``metrics-covariance`` for a matrix that is no covariance (not finite, not
            symmetric, or with an eigenvalue too far below 0 to be rounding).

    Source: Dowson and Landau 1982, equation 4; Heusel et al. 2017, arXiv 1706.08500, equation 6.
    """
    (mean1, root1, trace1), (mean2, root2, trace2) = _moments(mean1, cov1), _moments(mean2, cov2)
    if mean1.shape != mean2.shape:
        raise bad_shape(f"means of {len(mean1)} and {len(mean2)} features")
    overlap = torch.linalg.svdvals(root1 @ root2).sum()
    return max(0.0, float((mean1 - mean2).square().sum() + trace1 + trace2 - 2 * overlap))


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel k(a, b) = (a·b / D + 1)³.

    No image is compared with itself, so the mean over many draws of equal distributions is 0 at any number of images;
    a single value may therefore be negative.

    Args:
        x: (N, D) features, N >= 2.
        y: (M, D) features, M >= 2.

    Returns:
        The distance, computed in float64.

    Raises:
        CourseError: ``metrics-shape``.

    Source: Bińkowski et al. 2018, arXiv 1801.01401, section 4; estimator: Gretton et al. 2012, equation 3.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise bad_shape(f"features of shapes {tuple(x.shape)} and {tuple(y.shape)}")
    x, y = x.double(), y.double()
    pairs_x, pairs_y = len(x) * (len(x) - 1), len(y) * (len(y) - 1)
    within = (_kernel_sum(x, x) - _kernel_diagonal(x)) / pairs_x + (
        _kernel_sum(y, y) - _kernel_diagonal(y)
    ) / pairs_y
    return float(within - 2 * _kernel_sum(x, y) / (len(x) * len(y)))


def inception_score(probabilities: Tensor) -> float:
    """How certain and how varied a classifier is: exp of the mean KL of each image's probabilities from their average.

    Args:
        probabilities: (N, K), rows >= 0 that add up to 1.

    Returns:
        From 1 (all rows equal) to K (each row certain, all classes equally often), computed in float64.

    Raises:
        CourseError: ``metrics-probabilities`` for rows that are no probabilities.

    Source: Salimans et al. 2016, arXiv 1606.03498, section 4.
    """
    p = probabilities.double()
    if (
        p.ndim != 2 or not (p >= 0).all() or not ((p.sum(1) - 1).abs() < 1e-3).all()
    ):  # NaN fails this as well
        raise CourseError(
            "metrics-probabilities",
            f"The score got something of shape {tuple(p.shape)} whose rows are not probabilities.",
            "It takes (N, K): for each image K numbers from 0 that add up to 1, which logits do not.",
            "score = inception_score(network(images).softmax(dim=1))",
        )
    average = p.mean(0, keepdim=True)
    return float((torch.special.xlogy(p, p) - torch.special.xlogy(p, average)).sum(1).mean().exp())


def feature_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D, divided by N - 1) of features (N, D), in float64."""
    features = features.double()
    return features.mean(0), torch.cov(features.T).reshape(features.shape[1], -1)


def sharpness(images: Tensor) -> float:
    """Root mean square step between neighbouring pixels, in grey levels: uint8 (N, C, H, W) -> >= 0."""
    x = images.float()
    across, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    return torch.cat([across.flatten(), down.flatten()]).square().mean().sqrt().item()


def _moments(mean: Any, cov: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (D,), square root of the covariance (D, D) and its trace, in float64."""
    cov = cov if hasattr(cov, "dtype") else torch.tensor(cov, dtype=torch.float64)
    cov = torch.as_tensor(cov).detach().cpu()
    mean = torch.as_tensor(mean, dtype=torch.float64).detach().cpu()
    if mean.ndim != 1 or cov.shape != (len(mean), len(mean)):
        raise bad_shape(
            f"a mean of shape {tuple(mean.shape)} and a covariance of shape {tuple(cov.shape)}"
        )
    rounding = len(mean) * (
        torch.finfo(cov.dtype).eps if cov.is_floating_point() else torch.finfo(torch.float64).eps
    )
    cov = cov.double()
    if not (cov.isfinite().all() and mean.isfinite().all()):
        raise _bad_covariance("holds values that are not finite")
    scale = cov.abs().max().item()
    if (cov - cov.T).abs().max().item() > 10 * rounding * scale:
        raise _bad_covariance("is not symmetric")
    values, vectors = torch.linalg.eigh((cov + cov.T) / 2)
    if values.min().item() < -10 * rounding * values.abs().max().item():
        raise _bad_covariance(f"has the negative eigenvalue {values.min().item():.3g}")
    return mean, (vectors * values.clamp(min=0).sqrt()) @ vectors.T, cov.trace()


def _kernel_sum(x: Tensor, y: Tensor) -> Tensor:
    """Sum of the kernel over all pairs, in pieces of about 8 MB (fresh large tensors cost more than the products)."""
    rows = max(1, 2**20 // len(y))
    return torch.stack(
        [(part @ y.T).div_(x.shape[1]).add_(1).pow_(3).sum() for part in x.split(rows)]
    ).sum()


def _kernel_diagonal(x: Tensor) -> Tensor:
    return (x.square().sum(1) / x.shape[1] + 1).pow(3).sum()


def bad_shape(got: str) -> CourseError:
    """The error for tensors of the wrong shape; ``got`` completes "The metric got ..."."""
    return CourseError(
        "metrics-shape",
        f"The metric got {got}.",
        "It takes means (D,), covariances (D, D), and features (N, D) with N >= 2, of the same D on both sides.",
        "mean, cov = feature_moments(features)",
    )


def _bad_covariance(why: str) -> CourseError:
    return CourseError(
        "metrics-covariance",
        f"The covariance matrix {why}.",
        "A covariance is symmetric, finite, and has no eigenvalue below 0 other than by rounding.",
        "mean, cov = feature_moments(features)   # (N, D) finite features",
    )
