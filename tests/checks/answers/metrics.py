"""Lesson 06: right and wrong answers to its exercises."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

from answers import book
from course_utils.checks.metrics.precision_recall import MISTAKES

RIGHT, WRONG, right, wrong = book()


# ---- frechet_distance


def root(cov):
    values, vectors = torch.linalg.eigh(cov)
    return vectors @ values.clamp_min(0).sqrt().diag() @ vectors.T


@right("frechet_distance")
def frechet(mean1, cov1, mean2, cov2):
    half = root(cov1)
    overlap = torch.linalg.eigvalsh(half @ cov2 @ half).clamp_min(0).sqrt().sum()
    return ((mean1 - mean2) ** 2).sum() + cov1.trace() + cov2.trace() - 2 * overlap


@right("frechet_distance")
def frechet_float(mean1, cov1, mean2, cov2):
    return frechet(mean1, cov1, mean2, cov2).item()


@right("frechet_distance")
def frechet_by_singular_values(mean1, cov1, mean2, cov2):
    overlap = torch.linalg.svdvals(root(cov1) @ root(cov2)).sum()
    return float(torch.dot(mean1 - mean2, mean1 - mean2) + torch.trace(cov1 + cov2) - 2 * overlap)


@right("frechet_distance")
def frechet_by_scipy(mean1, cov1, mean2, cov2):
    m1, c1, m2, c2 = (np.asarray(part, dtype=np.float64) for part in (mean1, cov1, mean2, cov2))
    middle = sqrtm(sqrtm(c1).real @ c2 @ sqrtm(c1).real)
    return np.sum((m1 - m2) ** 2) + np.trace(c1) + np.trace(c2) - 2 * np.trace(middle.real)


@right("frechet_distance")
def frechet_by_plain_product(mean1, cov1, mean2, cov2):
    values = torch.linalg.eigvals(cov1.double() @ cov2.double()).real.clamp(min=0)
    return (mean1 - mean2).pow(2).sum() + (cov1 + cov2).trace() - 2 * values.sqrt().sum()


@right("frechet_distance")
def frechet_in_single_precision(mean1, cov1, mean2, cov2):
    return frechet(mean1.float(), cov1.float(), mean2.float(), cov2.float())


def parts(m, c, n, d):
    """The mean's term, and the covariances'."""
    first = ((m - n) ** 2).sum()
    return first, frechet(m, c, n, d) - first


def overlap(c, d):
    zero = torch.zeros(len(c), dtype=c.dtype)
    return (c.trace() + d.trace() - frechet(zero, c, zero, d)) / 2


WRONG["frechet_distance"] += [
    (
        lambda m, c, n, d: ((m - n) ** 2).sum() + torch.trace(c + d - 2 * torch.sqrt(c @ d)),
        "root was taken of each entry",
    ),
    (
        lambda m, c, n, d: (
            ((m - n) ** 2).sum() + torch.trace(c + d - 2 * torch.sqrt(c) @ torch.sqrt(d))
        ),
        "root was taken of each entry",
    ),
    (
        lambda m, c, n, d: float(
            ((m - n) ** 2).sum() + ((c.diag() ** 0.5 - d.diag() ** 0.5) ** 2).sum()
        ),
        "Only the variances were used",
    ),
    (
        lambda m, c, n, d: (
            ((m - n) ** 2).sum() + (c.diag() + d.diag() - 2 * (c.diag() * d.diag()).sqrt()).sum()
        ),
        "Only the variances were used",
    ),
    (lambda m, c, n, d: frechet(m, c, n, d) + overlap(c, d), "The 2 before the root"),
    (lambda m, c, n, d: frechet(m, c, n, d) + 4 * overlap(c, d), "root is subtracted"),
    (lambda m, c, n, d: (m - n).norm() + parts(m, c, n, d)[1], "norm has a root of its own"),
    (lambda m, c, n, d: (m - n).abs().sum() + parts(m, c, n, d)[1], "Absolute differences"),
    (lambda m, c, n, d: F.mse_loss(m, n) + parts(m, c, n, d)[1], "were averaged; a distance adds"),
    (lambda m, c, n, d: parts(m, c, n, d)[1], "The means are missing"),
    (lambda m, c, n, d: parts(m, c, n, d)[0], "The covariances are missing"),
    (lambda m, c, n, d: frechet(m, c, n, d).clamp_min(0).sqrt(), "This is the root of it"),
    (
        lambda m, c, n, d: ((m - n) ** 2).sum() + torch.trace(c + d - 2 * c @ d),
        "The root is missing",
    ),
    (
        lambda m, c, n, d: ((m - n) ** 2).sum() + torch.trace(c + d - 2 * root(c) @ root(d)),
        "right only where C1",
    ),
    (
        lambda m, c, n, d: ((m - n) ** 2).sum() + (root(c) - root(d)).norm() ** 2,
        "right only where C1",
    ),
    (
        lambda m, c, n, d: (
            ((m - n) ** 2).sum()
            + torch.trace(c + d - 2 * torch.linalg.cholesky(c) @ torch.linalg.cholesky(d).T)
        ),
        "Cholesky factor is no symmetric root",
    ),
    (
        lambda m, c, n, d: ((m - n) ** 2).sum() + ((c - d) ** 2).sum(),
        "Squared differences of the entries",
    ),
    (lambda m, c, n, d: frechet(m, c @ c, n, d @ d), "were squared first"),
    (
        lambda m, c, n, d: ((m - n) ** 2).sum() + (c + d - 2 * root(root(c) @ d @ root(c))).sum(),
        "adds up the diagonal",
    ),
    (
        lambda m, c, n, d: parts(m, c, n, d)[0] + parts(m, c, n, d)[1] / len(m),
        "The trace was divided",
    ),
    (lambda m, c, n, d: frechet(m, c, n, d) / len(m), "Everything was divided"),
    (lambda m, c, n, d: frechet(m, c, n, c), "The covariances are missing"),
    (
        lambda m, c, n, d: ((m - n) ** 2).sum() + (c + d - 2 * root(c @ c)).trace(),
        "product of *both*",
    ),
    (
        lambda m, c, n, d: ((m - n) ** 2).sum() + (c + d - 2 * root(c + d)).trace(),
        "The root of the sum",
    ),
    (
        lambda m, c, n, d: ((m - n) ** 2).sum() + (c + d).trace() - 2 * root(c @ d).trace(),
        "eigh reads one triangle",
    ),
    (
        lambda m, c, n, d: (
            ((m - n) ** 2).sum()
            + (c + d).trace()
            - 2
            * torch.linalg.eigvalsh(
                torch.linalg.eigh(c)[1] @ torch.linalg.eigh(c)[0].clamp_min(0).sqrt().diag() @ d
            )
            .clamp_min(0)
            .sqrt()
            .sum()
        ),
        "The inner root is V diag",
    ),
    (
        lambda m, c, n, d: (
            ((m - n) ** 2).sum()
            + (c + d).trace()
            - 2 * torch.linalg.eigvals(root(c) @ d).real.clamp_min(0).sqrt().sum()
        ),
        "stands on both sides",
    ),
    (
        lambda m, c, n, d: frechet(m, c, n, d) - d.trace(),
        "trace of the second covariance is missing",
    ),
    (
        lambda m, c, n, d: frechet(m, c, n, d) - c.trace(),
        "trace of the first covariance is missing",
    ),
    (lambda m, c, n, d: frechet(m, c, n, d)[None], "what is still to be added up"),
    (lambda m, c, n, d: (m - n) ** 2 + (c + d).diag(), "what is still to be added up"),
    (lambda m, c, n, d: complex(frechet(m, c, n, d)), "came out complex"),
    (
        lambda m, c, n, d: frechet(
            m, c + 1e-6 * torch.eye(len(m)), n, d + 1e-6 * torch.eye(len(m))
        ),
        "constant added",
    ),
    (lambda m, c, n, d: round(float(frechet(m, c, n, d)), 4), "constant added"),
    (
        lambda m, c, n, d: (
            ((m - n) ** 2).sum()
            + (c + d).trace()
            - 2 * torch.linalg.eigvalsh(root(c) @ d @ root(c)).sqrt().sum()
        ),
        "These covariances are singular",
    ),
    (lambda m, c, n, d: frechet(m.mul_(1.0), c.mul_(2.0), n, d), "In-place"),
]


# ---- kernel_distance


def kernel(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


@right("kernel_distance")
def mmd(x, y):
    k_xx, k_yy = kernel(x, x), kernel(y, y)
    n, m = len(x), len(y)
    within = (k_xx.sum() - k_xx.trace()) / (n * (n - 1)) + (k_yy.sum() - k_yy.trace()) / (
        m * (m - 1)
    )
    return float(within - 2 * kernel(x, y).mean())


@right("kernel_distance")
def mmd_by_masks(x, y):
    def off(k):
        return k[~torch.eye(len(k), dtype=torch.bool)].mean()

    return off(kernel(x, x)) + off(kernel(y, y)) - 2 * kernel(x, y).mean()


@right("kernel_distance")
def mmd_in_numpy(x, y):
    a, b = x.numpy(), y.numpy()
    polynomial = lambda p, q: (p @ q.T / p.shape[1] + 1) ** 3  # noqa: E731
    off = lambda k: k[np.triu_indices(len(k), 1)].mean()  # noqa: E731
    return off(polynomial(a, a)) + off(polynomial(b, b)) - 2 * polynomial(a, b).mean()


@right("kernel_distance")
def mmd_in_double(x, y):
    return torch.as_tensor(mmd(x.double(), y.double()))


def with_kernel(k):
    def answer(x, y):
        off = lambda a: (k(a, a).sum() - k(a, a).trace()) / (len(a) * (len(a) - 1))  # noqa: E731
        return off(x) + off(y) - 2 * k(x, y).mean()

    return answer


def sums(x, y):
    a, b = kernel(x, x), kernel(y, y)
    return a.sum() - a.trace(), b.sum() - b.trace(), kernel(x, y)


def cross_off(x, y):
    a, b, c = sums(x, y)
    n, m = len(x), len(y)
    return a / (n * (n - 1)) + b / (m * (m - 1)) - 2 * (c.sum() - c.trace()) / (n * (m - 1))


WRONG["kernel_distance"] += [
    (
        lambda x, y: kernel(x, x).mean() + kernel(y, y).mean() - 2 * kernel(x, y).mean(),
        "This is the biased estimate",
    ),
    (
        lambda x, y: (
            sums(x, y)[0] / len(x) ** 2 + sums(x, y)[1] / len(y) ** 2 - 2 * kernel(x, y).mean()
        ),
        "N (N - 1) pairs, not N²",
    ),
    (
        lambda x, y: (
            kernel(x, x).sum() / (len(x) * (len(x) - 1))
            + kernel(y, y).sum() / (len(y) * (len(y) - 1))
            - 2 * kernel(x, y).mean()
        ),
        "pairs of a point with itself are still",
    ),
    (
        lambda x, y: (
            kernel(x, x).triu(1).sum() / (len(x) * (len(x) - 1))
            + kernel(y, y).triu(1).sum() / (len(y) * (len(y) - 1))
            - 2 * kernel(x, y).mean()
        ),
        "Each pair was counted once",
    ),
    (cross_off, "between x and y as well"),
    (lambda x, y: mmd(x, y) + kernel(x, y).mean(), "The 2 before the mean"),
    (lambda x, y: mmd(x, y) + 4 * kernel(x, y).mean(), "between x and y is subtracted"),
    (lambda x, y: -mmd(x, y), "The sign"),
    (lambda x, y: max(mmd(x, y), 0.0) ** 0.5, "This is the root"),
    (with_kernel(lambda a, b: (a @ b.T + 1) ** 3), "divided by d, the number of features, before"),
    (with_kernel(lambda a, b: (a @ b.T / math.sqrt(a.shape[1]) + 1) ** 3), "root of d"),
    (
        lambda x, y: with_kernel(lambda a, b: (a @ b.T / len(x) + 1) ** 3)(x, y),
        "d is the number of features",
    ),
    (with_kernel(lambda a, b: (a @ b.T / a.shape[1]) ** 3), "The 1 is missing"),
    (with_kernel(lambda a, b: (a @ b.T / a.shape[1] + 1) ** 2), "The power is 3"),
    (with_kernel(lambda a, b: (a @ b.T / a.shape[1]) ** 3 + 1), "The 1 is missing"),
    (with_kernel(lambda a, b: a @ b.T / a.shape[1] + 1), "third power is missing"),
    (with_kernel(lambda a, b: (a @ b.T + 1) ** 3 / a.shape[1]), "Only the product is divided"),
    (with_kernel(lambda a, b: torch.exp(-((a[:, None] - b) ** 2).sum(-1) / 2)), "Gaussian kernel"),
    (lambda x, y: mmd(F.normalize(x), F.normalize(y)), "scaled to length 1"),
    (lambda x, y: mmd(x - x.mean(0), y - y.mean(0)), "centred on its own mean"),
    (
        lambda x, y: float(sums(x, y)[0] + sums(x, y)[1] - 2 * sums(x, y)[2].sum()),
        "Sums, where means",
    ),
    (
        lambda x, y: mmd(x, y) + 2 * kernel(x, y).mean() - 2 * kernel(x, y).sum() / len(x) ** 2,
        "sets need not be of equal size",
    ),
    (
        lambda x, y: float(
            sum(
                (kernel(a.mean(0)[None], b.mean(0)[None]) * s).sum()
                for a, b, s in ((x, x, 1), (y, y, 1), (x, y, -2))
            )
        ),
        "features were averaged first",
    ),
    (
        lambda x, y: mmd(x, x) + 2 * kernel(x, x).mean() - 2 * kernel(x, y).mean(),
        "x was used twice",
    ),
    (lambda x, y: 2 * mmd(x, y) + 2 * kernel(x, y).mean(), "count twice"),
    (lambda x, y: mmd(x, y) + 2 * kernel(x, y).mean(), "No pair of an x with a y"),
    (
        lambda x, y: (
            mmd(x, y) + 2 * kernel(x, y).mean() - 2 * kernel(x, y).sum() / (len(x) * (len(y) - 1))
        ),
        "all N · M pairs count",
    ),
    (
        lambda x, y: (
            mmd(x, y)
            + 2 * kernel(x, y).mean()
            - 2 * ((x * y).sum(1) / x.shape[1] + 1).pow(3).mean()
        ),
        "x_i was paired with y_i",
    ),
    (lambda x, y: 0.5 * mmd(x, y), "Half of it"),
    (
        lambda x, y: (
            kernel(x, x).mean()
            - kernel(x, x).diag().mean()
            + kernel(y, y).mean()
            - kernel(y, y).diag().mean()
            - 2 * kernel(x, y).mean()
        ),
        "The mean of the diagonal was subtracted",
    ),
    (lambda x, y: max(0.0, mmd(x, y)), "falls on both sides"),
    (lambda x, y: abs(mmd(x, y)), "falls on both sides"),
    (lambda x, y: kernel(x, y), "what is still to be added up"),
    (lambda x, y: mmd(x.mul_(2), y), "In-place"),
]


# ---- inception_score


def information(p):
    p = p.double()
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, p.mean(0))).sum(1).mean()


def entropy(p):
    return -torch.special.xlogy(p, p).sum(-1)


@right("inception_score")
def score(probabilities):
    average = probabilities.mean(0, keepdim=True)
    kl = (torch.xlogy(probabilities, probabilities) - torch.xlogy(probabilities, average)).sum(1)
    return kl.mean().exp()


@right("inception_score")
def score_with_a_tiny_constant(probabilities):
    p = probabilities.double()
    return float(
        torch.exp((p * (torch.log(p + 1e-12) - torch.log(p.mean(0) + 1e-12))).sum(1).mean())
    )


@right("inception_score")
def score_by_entropies(probabilities):
    return torch.exp(entropy(probabilities.mean(0)) - entropy(probabilities).mean())


@right("inception_score")
def score_by_library(probabilities):
    log_average = probabilities.mean(0).log().expand_as(probabilities)
    return F.kl_div(log_average, probabilities, reduction="batchmean").exp().item()


@right("inception_score")
def score_in_numpy(probabilities):
    p = probabilities.numpy().astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp(np.nansum(p * np.log(p / p.mean(0)), axis=1).mean())


WRONG["inception_score"] += [
    (
        lambda p: F.kl_div(p.log(), p.mean(0).expand_as(p), reduction="batchmean").exp(),
        "KL the other way round",
    ),
    (information, "The exp is missing"),
    (lambda p: torch.exp(-information(p)), "The sign: this falls"),
    (lambda p: torch.exp(len(p) * information(p)), "summed over the images"),
    (
        lambda p: F.kl_div(p.mean(0).log().expand_as(p), p, reduction="mean").exp(),
        "Averaged over the classes",
    ),
    (lambda p: torch.exp((p * (p * p.shape[1]).log()).sum(1).mean()), "Compared with equal shares"),
    (
        lambda p: torch.exp((p * (p / p.mean(1, keepdim=True)).log()).sum(1).mean()),
        "Compared with equal shares",
    ),
    (lambda p: ((p * (p / p.mean(0)).log()).sum(1)).exp().mean(), "exp was taken of each image"),
    (lambda p: entropy(p.mean(0)).exp(), "Only variety"),
    (lambda p: (-entropy(p).mean()).exp(), "Only certainty"),
    (lambda p: entropy(p).mean().exp(), "entropy with a wrong sign"),
    (lambda p: (entropy(p.mean(0)) + entropy(p).mean()).exp(), "A sign: uncertainty"),
    (lambda p: torch.exp(information(torch.softmax(p, 1))), "softmax of what are probabilities"),
    (lambda p: torch.exp((p * torch.log2(p / p.mean(0))).sum(1).mean()), "Bits inside exp"),
    (lambda p: 2 ** information(p), "2 to the power of nats"),
    (
        lambda p: torch.exp(information(F.one_hot(p.argmax(1), p.shape[1]))),
        "most probable class alone",
    ),
    (
        lambda p: torch.stack([information(q).exp() for q in torch.chunk(p, 10)]).mean(),
        "mean over ten parts",
    ),
    (lambda p: (p * (p / p.mean(0)).log()).sum(), "A sum of KLs"),
    (lambda p: (p * (p / p.mean(0)).log()).sum(1).median().exp(), "The median of the KLs"),
    (
        lambda p: (
            ((p * (p / p.mean(0)).log()).sum(1) + (p.mean(0) * (p.mean(0) / p).log()).sum(1))
            .div(2)
            .mean()
            .exp()
        ),
        "Both directions",
    ),
    (lambda p: (p * p / p.mean(0)).sum(1).mean(), "The logarithm is missing"),
    (lambda p: (p / p.mean(0)).log().sum(1).mean().exp(), "The weight p before"),
    (lambda p: score(p) / p.shape[1], "Divided by the number of classes"),
    (
        lambda p: (p * ((p + 1e-3) / (p.mean(0) + 1e-3)).log()).sum(1).mean().exp(),
        "Small probabilities",
    ),
    (lambda p: (score(p), 0.0), "what is still to be added up"),
    (lambda p: torch.exp((p * (p / p.mean(0)).log()).sum(1)), "what is still to be added up"),
    (lambda p: torch.exp((p * (p / p.mean(0)).log()).sum(1).mean()), "Probabilities of exactly 0"),
    (lambda p: p.mul_(2).sum(), "In-place"),
]


# ---- precision_recall


@right("precision_recall")
def regions(real, fake, k):
    def share(points, centres):
        radii = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        return (torch.cdist(points, centres) <= radii).any(1).float().mean().item()

    return share(fake, real), share(real, fake)


@right("precision_recall")
def regions_without_the_diagonal(real, fake, k):
    found = []
    for points, centres in ((fake, real), (real, fake)):
        own = (centres[:, None] - centres).norm(dim=-1)
        own.fill_diagonal_(float("inf"))
        radii = own.topk(k, largest=False).values[:, -1]
        found.append(
            ((points[:, None] - centres).norm(dim=-1) - radii).amin(1).le(0).double().mean()
        )
    return torch.stack(found)


@right("precision_recall")
def regions_by_scipy(real, fake, k):
    def share(points, centres):
        radii = np.sort(cdist(centres, centres), axis=1)[:, k]
        return np.mean((cdist(points, centres) <= radii[None]).any(axis=1))

    r, f = real.double().numpy(), fake.double().numpy()
    return [share(f, r), share(r, f)]


@right("precision_recall")
def regions_with_open_balls(real, fake, k):
    def share(points, centres):
        squares = ((centres[:, None] - centres) ** 2).sum(-1).sort(1).values[:, k]
        return float((((points[:, None] - centres) ** 2).sum(-1) < squares).any(1).double().mean())

    return share(fake, real), share(real, fake)


WORDS = [
    "swapped",
    "own nearest neighbour",
    "One neighbour too far",
    "measured to the other set",
    "ball of the point that is",
    "Only the nearest point's ball",
    "`all` asks",
    "balls that hold a point",
    "share of all pairs",
    "balls around each point",
    "*density*",
    "Squared distances",
    "Squared radii",
    "per cent",
    "These are counts",
    "Both are precision",
    "Both are recall",
    "The mean distance to the k nearest",
    "*farthest*",
    "thrown together",
    "at least k balls",
    "(the mean)",
    "(the largest)",
    "(the median)",
    "shares *outside*",
    "absolute differences",
    "Angles",
    "3 stands",
    "nearest neighbour stands",
]
WRONG["precision_recall"] += [(fn, word) for (fn, _), word in zip(MISTAKES, WORDS, strict=True)]


def share_of(points, centres, radii):
    return (torch.cdist(points, centres) <= radii).any(1).double().mean().item()


def kth(points, k):
    return torch.cdist(points, points).sort(1).values[:, k]


WRONG["precision_recall"] += [
    (
        lambda r, f, k: (share_of(f, r, kth(r, k - 1)), share_of(r, f, kth(f, k - 1))),
        "own nearest neighbour",
    ),
    (lambda r, f, k: (share_of(r, f, kth(f, k)), share_of(f, r, kth(r, k))), "swapped"),
    (lambda r, f, k: share_of(f, r, kth(r, k)), "two numbers in this order"),
    (
        lambda r, f, k: ((torch.cdist(f, r) <= kth(r, k)).any(1), 0.5),
        "the mean over the points is left",
    ),
    (lambda r, f, k: {"precision": share_of(f, r, kth(r, k))}, "two numbers in this order"),
    (
        lambda r, f, k: (share_of(f, r, kth(r, k)), share_of(r, f, kth(f, k)) + 0.013),
        "four points on a line",
    ),
    (lambda r, f, k: (share_of(f.mul_(2), r, kth(r, k)), 0.5), "In-place"),
]


# ---- bootstrap_interval


@right("bootstrap_interval")
def bootstrap(values, statistic, repeats, generator):
    results = []
    for _ in range(repeats):
        index = torch.randint(len(values), (len(values),), generator=generator)
        results.append(statistic(values[index]))
    return tuple(torch.tensor(results).quantile(torch.tensor([0.025, 0.975])).tolist())


@right("bootstrap_interval")
def bootstrap_drawing_all_at_once(values, statistic, repeats, generator):
    index = torch.randint(0, len(values), (repeats, len(values)), generator=generator)
    results = sorted(statistic(values[row]) for row in index)
    return results[round(0.025 * repeats)], results[round(0.975 * repeats) - 1]


@right("bootstrap_interval")
def bootstrap_by_multinomial(values, statistic, repeats, generator):
    weights = torch.ones(len(values))
    drawn = [
        torch.multinomial(weights, len(values), True, generator=generator) for _ in range(repeats)
    ]
    return np.quantile([float(statistic(values[rows])) for rows in drawn], [0.025, 0.975])


@right("bootstrap_interval")
def bootstrap_by_uniforms(values, statistic, repeats, generator):
    statistic(values)  # the value itself, asked for first
    results = torch.empty(repeats)
    for i in range(repeats):
        results[i] = statistic(
            values[(torch.rand(len(values), generator=generator) * len(values)).long()]
        )
    return torch.stack([torch.quantile(results, 0.025), torch.quantile(results, 0.975)])


def results_of(values, statistic, repeats, generator, size=None):
    n = len(values)
    rows = [torch.randint(n, (size or n,), generator=generator) for _ in range(repeats)]
    return torch.tensor([statistic(values[row]) for row in rows])


def points(low, high):
    def answer(v, s, b, g):
        results = results_of(v, s, b, g)
        return results.quantile(low).item(), results.quantile(high).item()

    return answer


def sized(count):
    def answer(v, s, b, g):
        results = results_of(v, s, b, g, size=count(len(v), b))
        return results.quantile(0.025).item(), results.quantile(0.975).item()

    return answer


def between(start, end):
    def answer(v, s, b, g):
        rows = [torch.randint(start, len(v) + end, (len(v),), generator=g) for _ in range(b)]
        results = torch.tensor([s(v[row]) for row in rows])
        return results.quantile(0.025).item(), results.quantile(0.975).item()

    return answer


def without_replacement(v, s, b, g):
    results = torch.tensor([s(v[torch.randperm(len(v), generator=g)]) for _ in range(b)])
    return results.quantile(0.025).item(), results.quantile(0.975).item()


def torn_rows(v, s, b, g):
    flat = v.flatten()
    drawn = [flat[torch.randint(len(flat), flat.shape, generator=g)].view_as(v) for _ in range(b)]
    results = torch.tensor([s(d) for d in drawn])
    return results.quantile(0.025).item(), results.quantile(0.975).item()


def single_values(v, s, b, g):
    for _ in range(b):
        s(v[torch.randint(len(v), (len(v),), generator=g)])
    rows = v[torch.randint(len(v), (len(v),), generator=g)].flatten()
    return rows.quantile(0.025).item(), rows.quantile(0.975).item()


def normal_formula(v, s, b, g):
    results = results_of(v, s, b, g)
    return s(v) - 1.96 * results.std().item(), s(v) + 1.96 * results.std().item()


def reflected(v, s, b, g):
    low, high = bootstrap(v, s, b, g)
    return 2 * s(v) - high, 2 * s(v) - low


def differences(v, s, b, g):
    low, high = bootstrap(v, s, b, g)
    return low - s(v), high - s(v)


def global_generator(v, s, b, g):
    return bootstrap(v, s, b, None)


def smoothed(v, s, b, g):
    drawn = [v[torch.randint(len(v), (len(v),), generator=g)] for _ in range(b)]
    results = torch.tensor([s(d + 1e-3 * torch.randn(d.shape, generator=g)) for d in drawn])
    return results.quantile(0.025).item(), results.quantile(0.975).item()


def jackknife(v, s, b, g):
    results = torch.tensor([s(torch.cat([v[:i], v[i + 1 :]])) for i in range(len(v))])
    return results.quantile(0.025).item(), results.quantile(0.975).item()


@right("bootstrap_interval")
def bootstrap_by_a_seed_that_is_drawn(values, statistic, repeats, generator):
    seed = int(torch.randint(2**31, (), generator=generator))
    rows = np.random.default_rng(seed).integers(len(values), size=(repeats, len(values)))
    return np.quantile([float(statistic(values[row])) for row in rows], [0.025, 0.975])


def from_its_seed(v, s, b, g):
    rows = np.random.default_rng(g.initial_seed()).integers(len(v), size=(b, len(v)))
    return tuple(np.quantile([float(s(v[row])) for row in rows], [0.025, 0.975]))


def from_a_copy(v, s, b, g):
    return bootstrap(v, s, b, torch.Generator().set_state(g.get_state()))


def unsorted(v, s, b, g):
    results = results_of(v, s, b, g)
    return results[int(0.025 * b)].item(), results[int(0.975 * b)].item()


WRONG["bootstrap_interval"] += [
    (from_its_seed, "Two calls with one generator"),
    (from_a_copy, "Two calls with one generator"),
    (lambda v, s, b, g: bootstrap(v, s, b, g.manual_seed(g.initial_seed())), "Two calls with one"),
    (unsorted, "in the order of drawing"),
    (without_replacement, "draw *with* replacement"),
    (lambda v, s, b, g: results_of(v, s, b, g), "Return the two ends"),
    (lambda v, s, b, g: bootstrap(v, s, b, g)[::-1], "Return the two ends"),
    (lambda v, s, b, g: bootstrap(v, s, b, g)[0], "Return the two ends"),
    (points(0.05, 0.95), "enclose 90 %"),
    (points(0.005, 0.995), "enclose 99 %"),
    (points(0.25, 0.75), "The middle half"),
    (points(0.16, 0.84), "is 68 %"),
    (points(0.25, 0.975), "2.5 % is 0.025"),
    (points(0.025, 0.75), "2.5 % is 0.025"),
    (between(0, -1), "Every row can be drawn"),
    (between(1, 0), "Every row can be drawn"),
    (points(0.5, 0.975), "One end is at the middle"),
    (points(0.025, 0.5), "One end is at the middle"),
    (points(0.0, 1.0), "the smallest and the largest"),
    (sized(lambda n, b: n // 2), "as many rows as the data"),
    (sized(lambda n, b: 1), "as many rows as the data"),
    (sized(lambda n, b: b), "as many rows as the data"),
    (jackknife, "as many rows as the data"),
    (torn_rows, "Whole rows are drawn"),
    (smoothed, "nothing is added"),
    (single_values, "spread of single values"),
    (normal_formula, "No resample has a maximum"),
    (reflected, "No resample has a maximum"),
    (differences, "lies around 0"),
    (global_generator, "Give the generator"),
    (lambda v, s, b, g: bootstrap(v, s, b, torch.Generator().manual_seed(7)), "Another generator"),
    (lambda v, s, b, g: bootstrap(v, s, 1000, g), "Draw `repeats` resamples"),
    (lambda v, s, b, g: (float(v.min()), float(v.max())), "Call `statistic(resample)`"),
    (lambda v, s, b, g: bootstrap(v.mul_(2), s, b, g), "In-place"),
]


# ---- cheat


@right("cheat")
def cheat_by_lucky_draws(features, count, fd):
    tries = [torch.randperm(len(features))[:count] for _ in range(300)]
    return min(tries, key=lambda rows: fd(features[rows]))


@right("cheat")
def cheat_one_more_each_time(features, count, fd):
    chosen = []
    for _ in range(count):
        some = torch.randperm(len(features))[:40].tolist()
        chosen.append(min(some, key=lambda row: fd(features[[*chosen, row]])))
    return chosen


@right("cheat")
def cheat_by_exchange(features, count, fd):
    random = np.random.default_rng(0)
    rows = random.choice(len(features), count, replace=False)
    for _ in range(300):
        tried = rows.copy()
        tried[random.integers(count)] = random.integers(len(features))
        rows = min(rows, tried, key=lambda these: fd(features[these]))
    return rows


@right("cheat")
def cheat_with_one_row_twice(features, count, fd):
    rows = cheat_one_more_each_time(features, count - 1, fd)
    return torch.tensor([*rows, rows[0]])


def nearest_to_the_mean(features, count):
    return (features - features.mean(0)).norm(dim=1).argsort()[:count]


WRONG["cheat"] += [
    (lambda f, count, fd: torch.arange(count), "Chance does as well"),
    (lambda f, count, fd: list(range(len(f) - count, len(f))), "Chance does as well"),
    (lambda f, count, fd: nearest_to_the_mean(f, count), "vary far less than all points"),
    (
        lambda f, count, fd: sorted(range(len(f)), key=lambda row: fd(f[row : row + 1]))[:count],
        "vary far less than all points",
    ),
    (
        lambda f, count, fd: max(
            (torch.randperm(len(f))[:count] for _ in range(300)), key=lambda rows: fd(f[rows])
        ),
        "A *low* FD is wanted",
    ),
    (lambda f, count, fd: f[cheat_by_lucky_draws(f, count, fd)], "Return `count` row numbers"),
    (lambda f, count, fd: fd(f[:count]), "Return `count` row numbers"),
    (
        lambda f, count, fd: torch.zeros(len(f), dtype=torch.bool).index_fill(
            0, torch.arange(count), True
        ),
        "Return `count` row numbers",
    ),
    (lambda f, count, fd: cheat_by_lucky_draws(f, count + 1, fd), "`count` says how many"),
    (lambda f, count, fd: torch.arange(len(f)), "`count` says how many"),
    (lambda f, count, fd: torch.arange(len(f), len(f) + count), "There are only N rows"),
]


# ---- near_copies


def nearest(points, others):
    return torch.cdist(points, others).min(dim=1).values


@right("near_copies")
def near_copies_in_pieces(generated, training, held_out, level):
    def near(points):
        return torch.cat([nearest(part, training) for part in points.split(50)])

    return near(generated) < near(held_out).quantile(level)


@right("near_copies")
def near_copies_by_scipy(generated, training, held_out, level):
    limit = np.quantile(cdist(held_out, training).min(axis=1), level)
    return torch.from_numpy(cdist(generated, training).min(axis=1) <= limit)


@right("near_copies")
def near_copies_by_sorting(generated, training, held_out, level):
    usual = nearest(held_out, training).sort().values
    return torch.stack([(training - one).norm(dim=1).min() < usual[int(level * len(usual))]
                        for one in generated])  # fmt: skip


WRONG["near_copies"] += [
    (
        lambda g, t, h, a: nearest(g, t) < nearest(h, t).sort().values[: max(1, int(a * len(h)))].mean(),
        "The limit is one distance",
    ),
    (lambda g, t, h, a: nearest(g, t) > nearest(h, t).quantile(a), "The other way round"),
    (lambda g, t, h, a: nearest(g, t) < nearest(h, t).quantile(1 - a), "at the small end"),
    (lambda g, t, h, a: nearest(g, t) < nearest(g, t).quantile(a), "the generated points them"),
    (lambda g, t, h, a: nearest(g, h) < nearest(h, t).quantile(a), "among the held-out ones"),
    (lambda g, t, h, a: nearest(g, t) < nearest(t, t).quantile(a), "found itself"),
    (
        lambda g, t, h, a: nearest(g, t) < torch.cdist(t, t).topk(2, largest=False)[0][:, 1].quantile(a),
        "They were seen in training",
    ),
    (lambda g, t, h, a: nearest(g, t) < nearest(h, t).min(), "Nearer than *every*"),
    (lambda g, t, h, a: nearest(g, t) < a, "not a distance"),
    (
        lambda g, t, h, a: torch.cdist(g, t).mean(1) < torch.cdist(h, t).mean(1).quantile(a),
        "The mean distance",
    ),
    (lambda g, t, h, a: nearest(g, t) < torch.cdist(h, t).quantile(a), "over all pairs"),
    (lambda g, t, h, a: (nearest(g, t) < nearest(h, t).quantile(a)).float().mean(), "the share of"),
    (lambda g, t, h, a: nearest(g, t), "These are the distances"),
    (lambda g, t, h, a: nearest(t, g) < nearest(h, t).quantile(a), "for each *training* point"),
    (lambda g, t, h, a: (nearest(g, t) < nearest(h, t).quantile(a)).float(), "Convert with"),
    (lambda g, t, h, a: (nearest(g, t) < nearest(h, t).quantile(a)).tolist(), "Return a tensor"),
]  # fmt: skip


# ---- repetition


@right("repetition")
def repetition_by_a_set(ids, length):
    runs = [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]
    return 1 - len(set(runs)) / len(runs)


@right("repetition")
def repetition_by_looking_back(ids, length):
    runs = [ids[i : i + length] for i in range(len(ids) - length + 1)]
    return np.mean([run in runs[:place] for place, run in enumerate(runs)])


def runs_of(ids, length):
    return [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]


WRONG["repetition"] += [
    (
        lambda ids, n: np.mean([a == b for a in runs_of(ids, n) for b in runs_of(ids, n)]),
        "[7, 8, 7, 8, 9] in runs of 2",
    ),
    (lambda ids, n: len(set(runs_of(ids, n))) / len(runs_of(ids, n)), "share of *different* runs"),
    (lambda ids, n: len(runs_of(ids, n)) - len(set(runs_of(ids, n))), "how many there are"),
    (lambda ids, n: 1 - len(set(ids)) / len(ids), "Single tokens"),
    (
        lambda ids, n: (
            1 - len({tuple(ids[i : i + n]) for i in range(len(ids) - n)}) / max(len(ids) - n, 1)
        ),
        "The last run is missing",
    ),
    (
        lambda ids, n: 1 - len(set(runs_of(ids, n)[::n])) / len(runs_of(ids, n)[::n]),
        "`length` apart",
    ),
    (
        lambda ids, n: 1 - len({tuple(ids[i : i + n]) for i in range(len(ids))}) / len(ids),
        "or shorter pieces at the end",
    ),
    (
        lambda ids, n: (len(runs_of(ids, n)) - len(set(runs_of(ids, n)))) / len(ids),
        "or shorter pieces at the end",
    ),
    (
        lambda ids, n: np.mean([runs_of(ids, n).count(run) > 1 for run in runs_of(ids, n)]),
        "The first time counts",
    ),
    (
        lambda ids, n: (
            sum(ids[i : i + n] == ids[i + 1 : i + n + 1] for i in range(len(ids) - n))
            / (len(ids) - n + 1)
        ),
        "compared with its neighbour",
    ),
    (lambda ids, n: len({ids[i : i + n] for i in range(len(ids))}), "A set holds tuples"),
]


# ---- distinct


@right("distinct")
def distinct_by_a_set(texts, length):
    runs = [run for ids in texts for run in runs_of(ids, length)]
    return len(set(runs)) / len(runs)


@right("distinct")
def distinct_by_growing_sets(texts, length):
    seen, count = set(), 0
    for ids in texts:
        seen |= set(runs_of(ids, length))
        count += len(ids) - length + 1
    return len(seen) / count


def all_runs(texts, length):
    return [run for ids in texts for run in runs_of(ids, length)]


WRONG["distinct"] += [
    (
        lambda texts, n: np.mean([a != b for a in all_runs(texts, n) for b in all_runs(texts, n)]),
        "[[1, 2, 3], [2, 3, 4]] in runs of 2",
    ),
    (lambda texts, n: 1 - distinct_by_a_set(texts, n), "share of repeats"),
    (
        lambda texts, n: np.mean([distinct_by_a_set([ids], n) for ids in texts]),
        "The mean over single texts",
    ),
    (
        lambda texts, n: sum(len(set(runs_of(ids, n))) for ids in texts) / len(all_runs(texts, n)),
        "counted twice",
    ),
    (
        lambda texts, n: distinct_by_a_set([[i for ids in texts for i in ids]], n),
        "The texts were joined",
    ),
    (lambda texts, n: len(set(all_runs(texts, n))), "how many there are"),
    (lambda texts, n: distinct_by_a_set(texts, 1), "Single tokens"),
    (lambda texts, n: distinct_by_a_set([ids[:-1] for ids in texts], n), "The last run of each"),
    (
        lambda texts, n: (
            len({run for ids in texts for run in runs_of(ids, n)[::n]})
            / sum(len(runs_of(ids, n)[::n]) for ids in texts)
        ),
        "`length` apart",
    ),
    (
        lambda texts, n: (
            len({tuple(ids[i : i + n]) for ids in texts for i in range(len(ids))})
            / sum(map(len, texts))
        ),
        "shorter than `length`",
    ),
    (
        lambda texts, n: len(set(all_runs(texts, n))) / sum(map(len, texts)),
        "Divided by the number of tokens",
    ),
    (lambda texts, n: len({tuple(ids) for ids in texts}) / len(texts), "Whole texts"),
    (lambda texts, n: len({ids[:n] for ids in texts}), "A set holds tuples"),
]


# ---- further ones, of which no test had been


def cubes(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


def distance_with(within):
    return lambda x, y: float(
        within(cubes(x, x), x) + within(cubes(y, y), x) - 2 * cubes(x, y).mean()
    )


def one_resample(values, statistic, repeats, generator):
    rows = torch.randint(len(values), (len(values),), generator=generator)
    results = torch.tensor([float(statistic(values[rows])) for _ in range(repeats)])
    return float(results.quantile(0.025)), float(results.quantile(0.975))


def outermost(values, statistic, repeats, generator):
    n = len(values)
    results = [
        float(statistic(values[torch.randint(n, (n,), generator=generator)]))
        for _ in range(repeats)
    ]
    return min(results), max(results)


WRONG["kernel_distance"] += [
    (
        distance_with(lambda k, x: k.triu().sum() / (len(k) * (len(k) - 1) / 2)),
        "*with* its diagonal",
    ),
    (
        distance_with(lambda k, x: (k.sum() - k.trace()) / (len(x) * (len(x) - 1))),
        "counted for both sets",
    ),
]
WRONG["bootstrap_interval"] += [
    (one_resample, "One resample served"),
    (outermost, "the smallest and the largest"),
]
