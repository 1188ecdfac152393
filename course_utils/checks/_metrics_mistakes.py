"""Mistakes of exercises 6.2 and 6.3, the kernel distance and the Inception-style score, with their hints."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks import Wrong

# ---------------------------------------------------------------- 6.2 the kernel distance


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


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
    within = _kernel(x, x).triu(1).sum() / (n * (n - 1)) + _kernel(y, y).triu(1).sum() / (
        m * (m - 1)
    )
    return within - 2 * _kernel(x, y).mean()


def _cross_without_diagonal(x: Tensor, y: Tensor) -> Tensor:
    k, n = _kernel(x, y), len(x)
    return _mmd(x, y) + 2 * k.mean() - 2 * (k.sum() - k.trace()) / (n * (len(y) - 1))


def _by(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: _mmd(x, y, function)


def _within(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased means within both sets, added up."""
    return _mmd(x, y) + 2 * _kernel(x, y).mean()


WRONG_KERNELS: list[Wrong] = [
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
        lambda x, y: _mmd(x, x) + 2 * _kernel(x, x).mean() - 2 * _kernel(x, y).mean(),
        "The pairs within y are missing: x was used twice.",
    ),
]

# ---------------------------------------------------------------- 6.3 the Inception-style score


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) along the last dimension."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)


def _information(p: Tensor) -> Tensor:
    return _kl(p, p.mean(0, keepdim=True)).mean()


def _entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum(-1)


WRONG_INCEPTIONS: list[Wrong] = [
    (
        lambda p: _kl(p.mean(0, keepdim=True), p).mean().exp(),
        "The KL the other way round: it goes from each image's probabilities to their average, so p(y|x) comes first.",
    ),
    (
        _information,
        "The exp is missing. Its argument is in nats; exp makes it a number of classes.",
    ),
    (
        lambda p: (-_information(p)).exp(),
        "The sign: this falls below 1. The KL is positive, and the score at least 1.",
    ),
    (
        lambda p: _information(p).exp() ** len(p),
        "The KLs were summed over the images; take their mean.",
    ),
    (
        lambda p: (_information(p) / p.shape[1]).exp(),
        "Averaged over the classes too: a KL is a sum over classes (reduction='batchmean', not 'mean').",
    ),
    (
        lambda p: _kl(p, torch.full_like(p, 1 / p.shape[1])).mean().exp(),
        "Compared with equal shares. The average is over the images (dimension 0), not over the classes.",
    ),
    (
        lambda p: _kl(p, p.mean(0, keepdim=True)).exp().mean(),
        "exp was taken of each image's KL. The mean comes first, then exp.",
    ),
    (
        lambda p: _entropy(p.mean(0)).exp(),
        "Only variety is in it (the entropy of the average). How certain each image is, is missing.",
    ),
    (
        lambda p: (-_entropy(p).mean()).exp(),
        "Only certainty is in it. How varied the images are, the average's entropy, is missing.",
    ),
    (
        lambda p: _entropy(p).mean().exp(),
        "This rises when the classifier is *un*certain: an entropy with a wrong sign.",
    ),
    (
        lambda p: (_entropy(p.mean(0)) + _entropy(p).mean()).exp(),
        "A sign: uncertainty about single images must lower the score.",
    ),
    (
        lambda p: _information(p.softmax(1)).exp(),
        "softmax of what are probabilities already: that flattens them all.",
    ),
    (
        lambda p: (_information(p) / math.log(2)).exp(),
        "Bits inside exp: take natural logs, or 2 to the power.",
    ),
    (lambda p: 2 ** _information(p), "2 to the power of nats: take exp, or base-2 logs as well."),
    (
        lambda p: _information(F.one_hot(p.argmax(1), p.shape[1]).to(p)).exp(),
        "The most probable class alone was used. Uncertainty is half of what the score measures.",
    ),
    (
        lambda p: torch.stack([_information(part).exp() for part in p.chunk(10)]).mean(),
        "The mean over ten parts, as the original program has it. Fewer images give a lower score: use all at once.",
    ),
    (
        lambda p: _kl(p, p.mean(0, keepdim=True)).sum(),
        "A sum of KLs: take the mean over the images, then exp.",
    ),
    (
        lambda p: _kl(p, p.mean(0, keepdim=True)).median().exp(),
        "The median of the KLs; their mean is asked for.",
    ),
    (
        lambda p: (0.5 * (_kl(p, p.mean(0)) + _kl(p.mean(0).expand_as(p), p))).mean().exp(),
        "Both directions of the KL were averaged; only the one from p(y|x) to p(y) is asked for.",
    ),
    (
        lambda p: (p * (p / p.mean(0))).sum(1).mean(),
        "The logarithm is missing: KL = Σ p (log p - log q).",
    ),
    (
        lambda p: (p.log() - p.mean(0).log()).sum(1).mean().exp(),
        "The weight p before the logs is missing: KL = Σ p (log p - log q).",
    ),
    (
        lambda p: _information(p).exp() / p.shape[1],
        "Divided by the number of classes: the score goes from 1 to K.",
    ),
]
