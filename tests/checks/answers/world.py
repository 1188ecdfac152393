"""Lesson 10: right and wrong answers to its exercises."""

import math
import random
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from sklearn.metrics import auc, roc_auc_score, roc_curve
from torch import nn

from answers import book

RIGHT, WRONG, right, wrong = book()


# ---- watermark_z


@right("watermark_z")
def z_by_a_loop(tokens, is_green, gamma):
    green, n = 0, 0
    previous = None
    for token in tokens:
        if previous is not None:
            n += 1
            if is_green(previous, token):
                green += 1
        previous = token
    return 0.0 if n == 0 else (green - gamma * n) / (n * gamma * (1 - gamma)) ** 0.5


@right("watermark_z")
def z_by_scipy(tokens, is_green, gamma):
    n = max(0, len(tokens) - 1)
    count = stats.binom(n, gamma)
    green = sum(is_green(a, b) for a, b in pairwise(tokens))
    return float((green - count.mean()) / count.std()) if n else 0.0


@right("watermark_z")
def z_in_numpy(tokens, is_green, gamma):
    if len(tokens) < 2:
        return np.float64(0)
    hits = np.array(
        [is_green(tokens[i - 1], tokens[i]) for i in range(1, len(tokens))], dtype=float
    )
    return (hits.mean() - gamma) / np.sqrt(gamma * (1 - gamma) / len(hits))


@right("watermark_z")
def z_in_torch(tokens, is_green, gamma):
    hits = torch.tensor([float(is_green(a, b)) for a, b in pairwise(tokens)])
    n = hits.numel()
    return (hits.sum() - gamma * n) / math.sqrt(n * gamma * (1 - gamma)) if n else torch.tensor(0.0)


class Detector:
    def __call__(self, tokens, is_green, gamma):
        places = range(1, len(tokens))
        if not places:
            return 0
        excess = sum((1 if is_green(tokens[i - 1], tokens[i]) else 0) - gamma for i in places)
        return excess / math.sqrt(len(places) * gamma * (1 - gamma))


RIGHT["watermark_z"].append(Detector())


@right("watermark_z")
def z_by_counted_pairs(tokens, is_green, gamma):
    pairs = Counter(pairwise(tokens))
    n = pairs.total()
    green = sum(often for pair, often in pairs.items() if is_green(*pair))
    return (green - n * gamma) / math.sqrt(max(n, 1) * gamma * (1 - gamma))


def z_with(formula):
    def answer(tokens, is_green, gamma):
        hits = [bool(is_green(a, b)) for a, b in pairwise(tokens)]
        return formula(sum(hits), len(hits), gamma) if hits else 0.0

    return answer


def z_over(pairs_of):
    def answer(tokens, is_green, gamma):
        if len(tokens) < 2:
            return 0.0
        hits = [bool(is_green(a, b)) for a, b in pairs_of(tokens)]
        n = len(hits)
        return (sum(hits) - gamma * n) / math.sqrt(n * gamma * (1 - gamma))

    return answer


@wrong("watermark_z", "first token has no token before it")
def z_of_all_tokens(tokens, is_green, gamma):
    green, total = sum(is_green(a, b) for a, b in pairwise(tokens)), len(tokens)
    return (green - gamma * total) / math.sqrt(total * gamma * (1 - gamma)) if total > 1 else 0.0


@wrong("watermark_z", "first token has no token before it")
def z_that_wraps_around(tokens, is_green, gamma):
    green = sum(is_green(tokens[i - 1], tokens[i]) for i in range(len(tokens)))
    n = len(tokens)
    return (green - gamma * n) / math.sqrt(n * gamma * (1 - gamma)) if n > 1 else 0.0


@wrong("watermark_z", "first token has no token before it")
def z_with_the_length_in_the_mean(tokens, is_green, gamma):
    n = len(tokens) - 1
    green = sum(is_green(a, b) for a, b in pairwise(tokens))
    return (green - gamma * len(tokens)) / np.sqrt(n * gamma * (1 - gamma)) if n > 0 else 0.0


@wrong("watermark_z", "return 0.0 before")
def z_that_divides_by_zero(tokens, is_green, gamma):
    n = len(tokens) - 1
    green = sum(is_green(a, b) for a, b in pairwise(tokens))
    return (green / n - gamma) / math.sqrt(gamma * (1 - gamma) / n)


@wrong("watermark_z", "return 0.0 before")
def z_of_one_token(tokens, is_green, gamma):
    n = max(len(tokens) - 1, 1)
    green = sum(is_green(a, b) for a, b in pairwise(tokens))
    return (green - gamma * n) / math.sqrt(n * gamma * (1 - gamma))


@wrong("watermark_z", "so do not make a set of pairs")
def z_of_each_pair_once(tokens, is_green, gamma):
    pairs = list(dict.fromkeys(pairwise(tokens)))
    green = sum(is_green(a, b) for a, b in pairs)
    n = len(pairs)
    return (green - gamma * n) / math.sqrt(n * gamma * (1 - gamma)) if n else 0.0


@wrong("watermark_z", "Two tokens hold one pair")
def z_of_three_tokens_or_more(tokens, is_green, gamma):
    return z_by_a_loop(tokens, is_green, gamma) if len(tokens) > 2 else 0.0


WRONG["watermark_z"] += [
    (z_over(lambda t: zip(t[1:], t, strict=False)), "is_green(previous, token), in this order"),
    (z_over(lambda t: zip(t[1:], t[1:], strict=True)), "not from itself"),
    (z_over(lambda t: list(pairwise(t[:-1])) or [(t[0], t[1])]), "The last token was left out"),
    (z_over(lambda t: list(pairwise(t[1:])) or [(t[0], t[1])]), "The second token has one before"),
    (
        z_with(lambda k, n, g: (k - g * n) / (n * g * (1 - g))),
        "A standard deviation is the root",
    ),
    (z_with(lambda k, n, g: (k - g * n) / math.sqrt(n * g)), "the factor 1 - gamma is missing"),
    (z_with(lambda k, n, g: (k - g * n) / n**0.5), "here it was n"),
    (z_with(lambda k, n, g: (k / n - g) / (g * (1 - g)) ** 0.5), "deviation of one token"),
    (z_with(lambda k, n, g: (k - g * n) / (g * (1 - g)) ** 0.5), "n is missing under the root"),
    (
        z_with(lambda k, n, g: (k - (1 - g) * n) / (n * g * (1 - g)) ** 0.5),
        "gamma is the share of green tokens: by chance",
    ),
    (
        z_with(lambda k, n, g: (g * n - k) / (n * g * (1 - g)) ** 0.5),
        "more green than chance is above 0",
    ),
    (z_with(lambda k, n, g: abs(k - g * n) / (n * g * (1 - g)) ** 0.5), "no abs"),
    (
        z_with(lambda k, n, g: (k - g * n) / math.sqrt(k * (1 - k / n))),
        "not the share that was found",
    ),
    (z_with(lambda k, n, g: k / n), "That is the share of green tokens"),
    (z_with(lambda k, n, g: k - g * n), "Divide by the standard deviation of such a count"),
    (
        z_with(lambda k, n, g: stats.norm.sf((k - g * n) / math.sqrt(n * g * (1 - g)))),
        "That is the p value",
    ),
]


# ---- membership_auc


@right("membership_auc")
def auc_by_pairs(member_losses, other_losses):
    total = 0.0
    for one in member_losses.tolist():
        for other in other_losses.tolist():
            total += 1.0 if one < other else 0.5 if one == other else 0.0
    return total / (len(member_losses) * len(other_losses))


@right("membership_auc")
def auc_by_sklearn(member_losses, other_losses):
    truth = np.r_[np.ones(len(member_losses)), np.zeros(len(other_losses))]
    return roc_auc_score(truth, -torch.cat([member_losses, other_losses]).numpy())


@right("membership_auc")
def auc_by_the_curve(member_losses, other_losses):
    truth = [1] * len(member_losses) + [0] * len(other_losses)
    alarms, hits, _ = roc_curve(truth, (-torch.cat([member_losses, other_losses])).tolist())
    return float(auc(alarms, hits))


@right("membership_auc")
def auc_by_scipy(member_losses, other_losses):
    n, m = len(member_losses), len(other_losses)
    ranks = stats.rankdata(np.concatenate([other_losses.numpy(), member_losses.numpy()]))
    return 1 - (ranks[m:].sum() - n * (n + 1) / 2) / (n * m)


@right("membership_auc")
def auc_by_the_u_statistic(member_losses, other_losses):
    found = stats.mannwhitneyu(other_losses.double().numpy(), member_losses.double().numpy())
    return found.statistic / (len(member_losses) * len(other_losses))


@right("membership_auc")
def auc_by_signs(member_losses, other_losses):
    return 0.5 + torch.sign(other_losses[None] - member_losses[:, None]).mean() / 2


@right("membership_auc")
def auc_by_search(member_losses, other_losses):
    others = other_losses.sort().values
    above = len(others) - torch.searchsorted(others, member_losses, right=True)
    upto = len(others) - torch.searchsorted(others, member_losses, right=False)
    return (above + upto).double().mean() / (2 * len(others))


def judged(judge):
    return lambda a, b: float(np.mean(judge(a.numpy()[:, None], b.numpy()[None, :])))


def rank_area(take_off, first=1):
    """From the ranks of the negative losses; what is taken off their sum is given."""

    def answer(a, b):
        ranks = stats.rankdata(np.r_[-a.numpy(), -b.numpy()]) + first - 1
        n, m = len(a), len(b)
        return (ranks[:n].sum() - take_off(n)) / (n * m)

    return answer


def auc_by_order(a, b):
    order = torch.cat([a, b]).argsort(stable=True, descending=True)
    ranks = torch.empty(len(order))
    ranks[order] = torch.arange(1.0, len(order) + 1)
    n, m = len(a), len(b)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def best_accuracy(a, b):
    middle = np.median(np.r_[a.numpy(), b.numpy()])
    return (np.sum(a.numpy() < middle) + np.sum(b.numpy() >= middle)) / (len(a) + len(b))


WRONG["membership_auc"] += [
    (judged(lambda a, b: (a > b) + 0.5 * (a == b)), "have *low* losses"),
    (judged(lambda a, b: a > b), "have *low* losses"),
    (
        lambda a, b: roc_auc_score([1] * len(a) + [0] * len(b), torch.cat([a, b]).numpy()),
        "have *low* losses",
    ),
    (judged(lambda a, b: a < b), "the pair counts half"),
    (judged(lambda a, b: a <= b), "the pair counts half"),
    (auc_by_order, "the pair counts half"),
    (lambda a, b: auc_by_pairs(a, b) * len(a) * len(b), "That counts pairs"),
    (lambda a, b: auc_by_pairs(a, b) * len(b) / len(a), "members times others"),
    (lambda a, b: auc_by_pairs(a, b) * len(a) / len(b), "members times others"),
    (
        lambda a, b: auc_by_pairs(a, b) * len(a) * len(b) / (len(a) + len(b)) ** 2,
        "members times others",
    ),
    (rank_area(lambda n: 0), "off the sum of their ranks"),
    (rank_area(lambda n: n * (n - 1) / 2), "not N (N - 1) / 2"),
    (rank_area(lambda n: n * (n + 1) / 2, first=0), "Ranks count from 1"),
    (lambda a, b: 2 * auc_by_pairs(a, b) - 1, "twice the area minus 1"),
    (lambda a, b: max(auc_by_pairs(a, b), 1 - auc_by_pairs(a, b)), "report it as it is"),
    (lambda a, b: -auc_by_pairs(a, b), "integrated from right to left"),
    (
        lambda a, b: np.mean(
            [(x < y) + 0.5 * (x == y) for x, y in zip(a.tolist(), b.tolist(), strict=False)]
        ),
        "not the first with the first alone",
    ),
    (best_accuracy, "accuracy of one threshold"),
    (lambda a, b: b.mean() - a.mean(), "difference of means"),
    (lambda a, b: (a < b.mean()).float().mean(), "not with the mean of them all"),
    (lambda a, b: a[:, None] < b[None], "with nothing around it"),
]


# ---- exposure


@right("exposure")
def exposure_by_a_loop(canary_loss, other_losses):
    rank = 1
    for loss in other_losses.tolist():
        if loss <= canary_loss:
            rank += 1
    return math.log(len(other_losses) + 1, 2) - math.log(rank, 2)


@right("exposure")
def exposure_in_numpy(canary_loss, other_losses):
    others = np.sort(other_losses.numpy())
    rank = np.searchsorted(others, canary_loss, side="right") + 1
    return np.log2(len(others) + 1) - np.log2(rank)


@right("exposure")
def exposure_in_torch(canary_loss, other_losses):
    every = torch.cat([other_losses, torch.tensor([canary_loss])])
    return -torch.log2((every <= canary_loss).double().mean())


@right("exposure")
def exposure_by_scipy(canary_loss, other_losses):
    every = [canary_loss, *other_losses.tolist()]
    return math.log2(len(every)) - math.log2(stats.rankdata(every, method="max")[0])


class Exposure:
    def __call__(self, canary_loss, other_losses):
        higher = torch.count_nonzero(other_losses > canary_loss).item()
        candidates = other_losses.numel() + 1
        return math.log2(Fraction(candidates, candidates - higher))


RIGHT["exposure"].append(Exposure())


def exposed(formula):
    """A formula of the numbers of others, below, equal."""
    return lambda canary, others: formula(
        len(others),
        sum(loss < canary for loss in others.tolist()),
        sum(loss == canary for loss in others.tolist()),
    )


WRONG["exposure"] += [
    (exposed(lambda n, b, e: math.log2(n / (1 + b + e))), "The canary itself is a candidate"),
    (exposed(lambda n, b, e: math.log2(n / (1 + b))), "The canary itself is a candidate"),
    (exposed(lambda n, b, e: np.log2(n + 1) - np.log2(b + e)), "Ranks count from 1"),
    (exposed(lambda n, b, e: math.log2(n + 1) - math.log2(b + e)), "Ranks count from 1"),
    (
        lambda canary, others: (
            math.log2(len(others) + 1) - math.log2(sorted([*others.tolist(), canary]).index(canary))
        ),
        "Ranks count from 1",
    ),
    (exposed(lambda n, b, e: math.log2((n + 1) / (1 + b))), "A tie counts against the canary"),
    (
        lambda canary, others: (
            math.log2(len(others) + 1)
            - math.log2(sorted([*others.tolist(), canary]).index(canary) + 1)
        ),
        "A tie counts against the canary",
    ),
    (
        lambda canary, others: math.log2(
            (len(others) + 1) / stats.rankdata([canary, *others.tolist()])[0]
        ),
        "A tie counts against the canary",
    ),
    (exposed(lambda n, b, e: math.log(n + 1) - math.log(1 + b + e)), "Bits come from log2"),
    (exposed(lambda n, b, e: np.log10((n + 1) / (1 + b + e))), "Bits come from log2"),
    (exposed(lambda n, b, e: math.log2((1 + b + e) / (n + 1))), "The sign"),
    (
        lambda canary, others: math.log2((len(others) + 1) / (1 + int((others >= canary).sum()))),
        "belongs to the *lowest* loss",
    ),
    (
        lambda canary, others: math.log2((len(others) + 1) / (1 + int((others > canary).sum()))),
        "belongs to the *lowest* loss",
    ),
    (exposed(lambda n, b, e: math.log2((n + 1) / (2 + b + e))), "is not among `other_losses`"),
    (exposed(lambda n, b, e: math.log2(n + 1) / np.log2(1 + b + e)), "not divided"),
    (exposed(lambda n, b, e: math.log2(1 + b + e)), "logarithm of the rank alone"),
    (exposed(lambda n, b, e: -math.log2(1 + b + e)), "The number of candidates is missing"),
    (exposed(lambda n, b, e: n - b - e), "The logarithm of each is asked for"),
    (exposed(lambda n, b, e: (n + 1) / (1 + b + e)), "Its logarithm is asked for"),
    (exposed(lambda n, b, e: 1 + b + e), "That is the rank"),
    (lambda canary, others: others.mean() - canary, "By hand"),
]


# ---- clip_and_noise


@right("clip_and_noise")
def clip_by_a_loop(gradients, clip, noise_multiplier, generator):
    total = torch.zeros(gradients.shape[1])
    for row in gradients:
        norm = row.norm().item()
        total += row * (clip / norm) if norm > clip else row
    noise = torch.normal(0.0, 1.0, total.shape, generator=generator)
    return (total + noise_multiplier * clip * noise) / len(gradients)


@right("clip_and_noise")
def clip_by_the_librarys_clipping(gradients, clip, noise_multiplier, generator):
    rows = []
    for row in gradients:
        weight = nn.Parameter(torch.zeros_like(row))
        weight.grad = row.clone()
        nn.utils.clip_grad_norm_([weight], clip)
        rows.append(weight.grad)
    noise = torch.empty_like(rows[0]).normal_(0, noise_multiplier * clip, generator=generator)
    return torch.stack(rows).sum(0).add(noise).div(len(rows))


@right("clip_and_noise")
def clip_by_einsum(gradients, clip, noise_multiplier, generator):
    norms = torch.einsum("bp,bp->b", gradients, gradients).sqrt()
    factors = 1 / torch.maximum(norms / clip, torch.ones(()))
    noise = torch.randn(gradients.shape[1], generator=generator) * (noise_multiplier * clip)
    return (torch.einsum("b,bp->p", factors, gradients) + noise) / gradients.shape[0]


@right("clip_and_noise")
def clip_in_numpy(gradients, clip, noise_multiplier, generator):
    rows = gradients.double().numpy()
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    total = (rows * np.minimum(1, clip / np.maximum(norms, 1e-12))).sum(0)
    noise = torch.randn(len(total), generator=generator, dtype=torch.float64).numpy()
    mean = (total + noise * noise_multiplier * clip) / len(rows)
    return torch.from_numpy(mean).float()


@right("clip_and_noise")
def clip_by_renorm(gradients, clip, noise_multiplier, generator):
    clipped = torch.renorm(gradients, p=2, dim=0, maxnorm=clip)
    deviation = noise_multiplier * clip / len(gradients)
    return clipped.mean(0) + deviation * torch.randn(gradients.shape[1], generator=generator)


@right("clip_and_noise")
def clip_with_a_small_number(gradients, clip, noise_multiplier, generator):
    norms = gradients.pow(2).sum(1).sqrt()
    factors = torch.clamp(clip / (norms + 1e-9), max=1.0)
    noise = torch.randn(gradients.shape[1], generator=generator)
    return ((factors[:, None] * gradients).sum(0) + noise_multiplier * clip * noise) / len(norms)


class Private:
    def __call__(self, gradients, clip, noise_multiplier, generator):
        norms = torch.linalg.vector_norm(gradients, dim=-1)
        total = (gradients / (norms / clip).clamp(min=1.0).unsqueeze(-1)).sum(dim=0)
        noise = torch.randn(total.shape, generator=generator).mul(noise_multiplier * clip)
        return total.add(noise) / len(gradients)


RIGHT["clip_and_noise"].append(Private())


def clipped(gradients, clip):
    return gradients / (gradients.norm(dim=1, keepdim=True) / clip).clamp(min=1)


def with_rows(shorten):
    """A mistake in the clipping, with the right noise."""

    def answer(gradients, clip, noise_multiplier, generator):
        noise = torch.randn(gradients.shape[1], generator=generator) * noise_multiplier * clip
        return shorten(gradients, clip).mean(0) + noise / len(gradients)

    return answer


def with_noise(draw):
    """A mistake in what is added to the mean: a function of (B, P), the bound, the multiplier and the generator."""

    def answer(gradients, clip, noise_multiplier, generator):
        mean = clipped(gradients, clip).mean(0)
        return mean + draw(gradients.shape, clip, noise_multiplier, generator)

    return answer


def normal(shape, generator):
    return torch.randn(shape, generator=generator)


@wrong("clip_and_noise", "one number per weight")
def clip_that_keeps_the_rows(gradients, clip, noise_multiplier, generator):
    return clipped(gradients, clip) + normal(gradients.shape, generator) * noise_multiplier * clip


@wrong("clip_and_noise", "has the norm 0")
def clip_that_divides_by_zero(gradients, clip, noise_multiplier, generator):
    norms = gradients.norm(dim=1, keepdim=True)
    total = (gradients / norms * norms.clamp(max=clip)).sum(0)
    noise = normal(gradients.shape[1], generator) * noise_multiplier * clip
    return (total + noise) / len(gradients)


@wrong("clip_and_noise", "may not depend on the gradients")
def noise_on_what_moves(gradients, clip, noise_multiplier, generator):
    mean = clipped(gradients, clip).mean(0)
    noise = normal(gradients.shape[1], generator) * noise_multiplier * clip / len(gradients)
    return mean + noise * (gradients != 0).any(0)


@wrong("clip_and_noise", "Clip each example")
def noise_before_the_clipping(gradients, clip, noise_multiplier, generator):
    total = gradients.sum(0)
    total = total * min(1.0, clip / total.norm().item())
    noise = normal(gradients.shape[1], generator) * noise_multiplier * clip
    return (total + noise) / len(gradients)


def copied(generator):
    return torch.Generator().manual_seed(generator.initial_seed())


WRONG["clip_and_noise"] += [
    (with_rows(lambda g, c: g), "Nothing was clipped"),
    (with_rows(lambda g, c: clipped(g, c) * len(g)), "but not divided by B"),
    (with_rows(lambda g, c: clipped(g, c) * len(g) / g.shape[1]), "Divide by B, not by P"),
    (
        with_rows(lambda g, c: g.mean(0, keepdim=True) * min(1, c / g.mean(0).norm())),
        "Clip each example",
    ),
    (with_rows(lambda g, c: g * min(1, c / g.norm())), "Clip each example"),
    (with_rows(lambda g, c: g.clamp(min=-c, max=c)), "changes the direction"),
    (
        with_rows(lambda g, c: g * c / g.norm(dim=1, keepdim=True).clamp_min(1e-12)),
        "Only rows that are longer",
    ),
    (
        with_rows(lambda g, c: g / g.norm(dim=1, keepdim=True).clamp_min(1e-12)),
        "Only rows that are longer",
    ),
    (
        with_rows(lambda g, c: g * (g.norm(dim=1, keepdim=True) <= c)),
        "still count",
    ),
    (
        with_rows(lambda g, c: g * (c / g.norm(dim=0).clamp_min(1e-12)).clamp(max=1)),
        "runs over its P numbers",
    ),
    (
        with_rows(
            lambda g, c: g * (c / (g * g).sum(1, keepdim=True).clamp_min(1e-12)).clamp(max=1)
        ),
        "the root is missing",
    ),
    (
        with_rows(
            lambda g, c: g * (c / g.norm(p=1, dim=1, keepdim=True).clamp_min(1e-12)).clamp(max=1)
        ),
        "not the sum of absolute values",
    ),
    (
        with_rows(
            lambda g, c: g * (c / g.abs().amax(1, keepdim=True).clamp_min(1e-12)).clamp(max=1)
        ),
        "not the largest number",
    ),
    (
        with_rows(lambda g, c: g / g.norm(dim=1, keepdim=True).clamp_min(c)),
        "not multiplied by clip",
    ),
    (
        with_rows(lambda g, c: g / (g.norm(dim=1, keepdim=True) / c).clamp(1e-12, 1)),
        "min and max changed places",
    ),
    (with_rows(lambda g, c: g / (1 + g.norm(dim=1, keepdim=True) / c)), "not their sum"),
    (with_noise(lambda s, c, m, g: 0.0), "the noise is missing"),
    (with_noise(lambda s, c, m, g: normal(s[1], g) * m * c), "is added to the *sum*"),
    (with_noise(lambda s, c, m, g: normal(s, g).mean(0) * m * c), "one draw for the sum"),
    (with_noise(lambda s, c, m, g: normal(s, g).sum(0) * m * c / s[0] ** 2), "divided by B once"),
    (with_noise(lambda s, c, m, g: normal(s[1], g) * m * c / s[0] ** 2), "divided by B twice"),
    (with_noise(lambda s, c, m, g: normal(s[1], g) * m / s[0]), "the factor clip is missing"),
    (with_noise(lambda s, c, m, g: normal(s[1], g) * m * c * c / s[0]), "clip was multiplied in"),
    (
        with_noise(lambda s, c, m, g: normal(s[1], g) * c * (m > 0) / s[0]),
        "the factor noise_multiplier is missing",
    ),
    (with_noise(lambda s, c, m, g: normal(s[1], g) * (m > 0) / s[0]), "has the deviation 1"),
    (
        with_noise(lambda s, c, m, g: normal(s[1], g) * m * m * c / s[0]),
        "noise_multiplier was multiplied in twice",
    ),
    (with_noise(lambda s, c, m, g: normal(s[1], g) * (m * c) ** 2 / s[0]), "no square of it"),
    (with_noise(lambda s, c, m, g: normal(s[1], g) * (m * c) ** 0.5 / s[0]), "no root of it"),
    (with_noise(lambda s, c, m, g: normal(s[1], g) * m / c / s[0]), "lets more of one example"),
    (with_noise(lambda s, c, m, g: normal(1, g) * m * c / s[0]), "All weights got the same"),
    (
        with_noise(lambda s, c, m, g: torch.rand(s[1], generator=g) * 12**0.5 * m * c / s[0]),
        "The noise has a mean",
    ),
    (
        with_noise(
            lambda s, c, m, g: (torch.rand(s[1], generator=g) - 0.5) * 12**0.5 * m * c / s[0]
        ),
        "not Gaussian",
    ),
    (with_noise(lambda s, c, m, g: normal(s[1], None) * m * c / s[0]), "Give the generator"),
    (
        with_noise(
            lambda s, c, m, g: normal(s[1], torch.Generator().manual_seed(1)) * m * c / s[0]
        ),
        "is a seed set inside",
    ),
    (with_noise(lambda s, c, m, g: normal(s[1], copied(g)) * m * c / s[0]), "initial_seed"),
    (
        with_noise(lambda s, c, m, g: normal(s[1], g) * 0.5 * m * c / s[0]),
        "then all is divided by B",
    ),
]


# ---- training_cost


class Cost(NamedTuple):
    hours: float
    kwh: float
    money: float


@right("training_cost")
def cost_by_hours(flops, flops_per_second, watts, price_per_kwh):
    hours = flops / flops_per_second / 60 / 60
    kwh = hours * watts / 1000
    return hours, kwh, kwh * price_per_kwh


@right("training_cost")
def cost_by_fractions(flops, flops_per_second, watts, price_per_kwh):
    hours = Fraction(flops) / Fraction(flops_per_second) / 3600
    kwh = hours * Fraction(watts) / 1000
    return float(hours), float(kwh), float(kwh * Fraction(price_per_kwh))


@right("training_cost")
def cost_as_a_named_tuple(flops, flops_per_second, watts, price_per_kwh):
    seconds = flops / flops_per_second
    joules = seconds * watts
    return Cost(seconds / 3600, joules / 3.6e6, joules / 3.6e6 * price_per_kwh)


@right("training_cost")
def cost_in_numpy(flops, flops_per_second, watts, price_per_kwh):
    hours = np.float64(flops) / np.float64(flops_per_second) / 3600
    return list(hours * np.cumprod([1.0, watts / 1000, price_per_kwh]))


class Sheet:
    def __call__(self, flops, flops_per_second, watts, price_per_kwh):
        hours = torch.tensor(flops / flops_per_second, dtype=torch.float64) / 3600
        return hours, hours * watts * 1e-3, hours * watts * 1e-3 * price_per_kwh


RIGHT["training_cost"].append(Sheet())


def cost(hours=1.0, kwh=1.0, money=1.0):
    """The right answer with each part times a factor, which is a number or a function of the arguments."""

    def answer(*inputs):
        factors = [part(*inputs) if callable(part) else part for part in (hours, kwh, money)]
        return tuple(f * part for f, part in zip(factors, cost_by_hours(*inputs), strict=True))

    return answer


WRONG["training_cost"] += [
    (cost(hours=3600), "Those are seconds"),
    (cost(hours=60), "Those are minutes"),
    (cost(hours=3600**2), "to give hours, not multiplied"),
    (cost(hours=1 / 24), "Those are days"),
    (cost(hours=lambda f, r, w, p: r * r), "not multiplied"),
    (lambda f, r, w, p: (r / f / 3600, *cost_by_hours(f, r, w, p)[1:]), "not the speed by it"),
    (lambda f, r, w, p: (3600 / (f / r), *cost_by_hours(f, r, w, p)[1:]), "fit into an hour"),
    (
        lambda f, r, w, p: cost_by_hours(f // r * r, r, w, p),
        "drops the part behind the point",
    ),
    (
        lambda f, r, w, p: cost_by_hours(f // r // 3600 * 3600 * r, r, w, p),
        "drops the part behind the point",
    ),
    (cost(kwh=1000), "Those are watt hours"),
    (cost(kwh=3.6e6), "Those are joules"),
    (cost(kwh=3600), "Those are kilojoules"),
    (cost(kwh=60), "Those are kilowatt minutes"),
    (cost(kwh=1000 / 1024), "not 1,024"),
    (lambda f, r, w, p: (cost_by_hours(f, r, w, p)[0], w / 1000, w / 1000 * p), "the power"),
    (cost(kwh=lambda f, r, w, p: (f / r / 3600) ** -2), "not divided by them"),
    (cost(money=1000), "was multiplied by watt hours"),
    (cost(money=lambda f, r, w, p: 1000 / w), "not of an hour"),
    (cost(money=lambda f, r, w, p: p**-2), "not divided by it"),
    (cost(money=100), "no cents"),
    (cost(money=0.01), "no cents"),
    (cost(money=lambda f, r, w, p: 1 / p), "That is the energy again"),
    (cost(money=3600), "multiplied by kilojoules"),
    (lambda *inputs: cost_by_hours(*inputs)[::-1], "their order is not"),
    (lambda f, r, w, p: [cost_by_hours(f, r, w, p)[i] for i in (1, 0, 2)], "their order is not"),
    (lambda *inputs: tuple(round(part, 2) for part in cost_by_hours(*inputs)), "Rounded"),
    (lambda *inputs: cost_by_hours(*inputs)[2], "Return three numbers"),
    (
        lambda *inputs: dict(zip(Cost._fields, cost_by_hours(*inputs), strict=True)),
        "Return three numbers",
    ),
    (cost(kwh=2), "By hand: 7.2e12"),
]


# ---- further ones, of which no test had been

WRONG["exposure"] += [
    (
        lambda c, others: round(math.log2(len(others) + 1) - math.log2(1 + (others <= c).sum())),
        "Rounded: bits",
    ),
]


# ---- rounded


@right("rounded")
def rounded_in_numpy(matrix, bits):
    weights = matrix.numpy().astype(np.float64)
    step = np.abs(weights).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    step[step == 0] = 1
    return torch.from_numpy(np.rint(weights / step) * step).float()


@right("rounded")
def rounded_by_a_loop(matrix, bits):
    found = torch.empty_like(matrix)
    for number, row in enumerate(matrix):
        largest = max(abs(x) for x in row.tolist())
        step = largest / (2 ** (bits - 1) - 1)
        found[number] = torch.tensor(
            [round(x / step) * step if step else 0.0 for x in row.tolist()]
        )
    return found


@right("rounded")
def rounded_with_infinity(matrix, bits):
    step = torch.linalg.vector_norm(matrix, math.inf, dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
    return torch.nan_to_num(torch.round(matrix / step) * step)


class Grid:
    def __call__(self, matrix, bits):
        top = (1 << (bits - 1)) - 1
        scale = top / torch.maximum(matrix.max(1).values, -matrix.min(1).values).clamp(min=1e-9)
        return (matrix * scale[:, None]).round().clamp(-top, top) / scale[:, None]


RIGHT["rounded"].append(Grid())


def grid(largest, most, whole=torch.round):
    def answer(matrix, bits):
        step = (largest(matrix) / most(bits)).clamp_min(1e-12)
        return whole(matrix / step) * step

    return answer


def of_row(matrix):
    return matrix.abs().max(dim=1, keepdim=True).values


def signed(bits):
    return 2 ** (bits - 1) - 1


@wrong("rounded", "0 / 0 is no number")
def rounded_without_a_thought_of_zeros(matrix, bits):
    step = of_row(matrix) / signed(bits)
    return (matrix / step).round() * step


def from_smallest_to_largest(matrix, bits):
    rows = []
    for row in matrix:
        step = (row.max() - row.min()) / (2**bits - 1)
        rows.append(row.min() + step * ((row - row.min()) / step).round())
    return torch.stack(rows)


WRONG["rounded"] += [
    (from_smallest_to_largest, "The steps begin at the smallest entry"),
    (grid(lambda m: m.abs().max(), signed), "One step for all rows"),
    (grid(lambda m: m.abs().max(dim=0).values, signed), "Each column got a step"),
    (grid(of_row, lambda bits: 2**bits - 1), "One bit is for the sign"),
    (grid(of_row, lambda bits: 1 << (bits - 1)), "One bit is for the sign"),
    (grid(of_row, lambda bits: bits), "One bit is for the sign"),
    (grid(lambda m: m.max(dim=1, keepdim=True).values, signed), "in *size*"),
    (grid(of_row, signed, torch.floor), "Round to the *nearest*"),
    (grid(of_row, signed, lambda x: x.int().float()), "Round to the *nearest*"),
    (
        lambda m, bits: torch.round(m * signed(bits) / of_row(m)),
        "Times the step they become weights again",
    ),
    (lambda m, bits: m.clone(), "Nothing was rounded"),
    (lambda m, bits: torch.round(m), "not to whole numbers of steps"),
    (grid(lambda m: m.abs().mean(dim=1, keepdim=True), signed), "not from the mean"),
    (lambda m, bits: rounded_in_numpy(m, bits).numpy(), "Return a tensor"),
]


# ---- worst_direction


@right("worst_direction")
def uphill_by_backward(network, images):
    x = (images.float() / 127.5 - 1).requires_grad_()
    logits = network(x)
    nn.functional.cross_entropy(logits, logits.argmax(1), reduction="sum").backward()
    network.zero_grad()
    return torch.sign(x.grad)


@right("worst_direction")
def uphill_one_by_one(network, images):
    signs = []
    for picture in images:
        x = (picture[None] / 127.5 - 1).requires_grad_(True)
        own = network(x).argmax()
        loss = -network(x).log_softmax(1)[0, own]
        signs.append(torch.autograd.grad(loss, x)[0].sign())
    return torch.cat(signs)


@right("worst_direction")
def uphill_by_a_transform(network, images):
    def loss(x):
        logits = network(x)
        return nn.functional.nll_loss(logits.log_softmax(1), logits.argmax(1))

    slope = torch.func.grad(loss)(images / 127.5 - 1)
    return slope.sign()


class Uphill:
    def __call__(self, network, images):
        x = torch.tensor(images.numpy() / 127.5 - 1, dtype=torch.float32, requires_grad=True)
        logits = network(x)
        weights = torch.zeros_like(logits).scatter_(1, logits.argmax(1, keepdim=True), 1.0)
        loss = -(weights * logits.log_softmax(1)).mean()
        return torch.autograd.grad(loss, x)[0].sign().detach()


RIGHT["worst_direction"].append(Uphill())


def uphill_with(loss, start=lambda images: images / 127.5 - 1, end=torch.sign):
    def answer(network, images):
        x = start(images).requires_grad_(True)
        return end(torch.autograd.grad(loss(network(x)), x)[0])

    return answer


def own_loss(logits):
    return nn.functional.cross_entropy(logits, logits.argmax(1), reduction="sum")


@wrong("worst_direction", "need `.requires_grad_(True)`")
def uphill_without_a_gradient(network, images):
    x = images / 127.5 - 1
    logits = network(x).detach()
    return torch.autograd.grad(own_loss(logits), x)[0].sign()


@wrong("worst_direction", "Bytes have no gradient")
def uphill_of_bytes(network, images):
    x = images.requires_grad_(True)
    return torch.autograd.grad(own_loss(network(x)), x)[0].sign()


@wrong("worst_direction", "take the first")
def uphill_in_a_tuple(network, images):
    x = (images / 127.5 - 1).requires_grad_(True)
    return torch.autograd.grad(own_loss(network(x)), x)


@wrong("worst_direction", "sum or average")
def uphill_of_many_losses(network, images):
    x = (images / 127.5 - 1).requires_grad_(True)
    logits = network(x)
    losses = nn.functional.cross_entropy(logits, logits.argmax(1), reduction="none")
    return torch.autograd.grad(losses.repeat(2), x)[0].sign()


WRONG["worst_direction"] += [
    (uphill_with(own_loss, end=lambda slope: slope), "That is the gradient"),
    (uphill_with(own_loss, end=lambda slope: -slope.sign()), "Downhill"),
    (uphill_with(lambda z: -z.log_softmax(1).amin(1).mean()), "Those are the least likely"),
    (uphill_with(lambda z: -z.log_softmax(1)[:, 0].mean()), "class 0 was taken"),
    (uphill_with(lambda z: own_loss(z.softmax(1))), "does the softmax itself"),
    (uphill_with(own_loss, start=lambda images: images.float()), "pictures in [-1, 1]"),
    (uphill_with(own_loss, start=lambda images: images / 255), "pictures in [-1, 1]"),
    (uphill_with(lambda z: z.max(1).values.mean()), "answer's logit; the loss has to rise"),
    (uphill_with(lambda z: -z.max(1).values.mean()), "forgets the other classes"),
    (uphill_with(own_loss, end=lambda slope: slope.mean(1).sign()), "has its own sign"),
    (
        lambda network, images: (images / 127.5 - 1) + uphill_by_backward(network, images),
        "Those are changed pictures",
    ),
]


# ---- green_list


@right("green_list")
def list_by_sample(previous, vocab, gamma, key):
    chosen = set(random.Random(f"{key}:{previous}").sample(range(vocab), round(gamma * vocab)))
    return torch.tensor([token in chosen for token in range(vocab)])


@right("green_list")
def list_by_numpy(previous, vocab, gamma, key):
    dice = np.random.default_rng((key, previous))
    green = np.zeros(vocab, dtype=bool)
    green[dice.choice(vocab, round(gamma * vocab), replace=False)] = True
    return torch.from_numpy(green)


@right("green_list")
def list_by_scores(previous, vocab, gamma, key):
    dice = torch.Generator().manual_seed(previous + vocab * key)
    best = torch.rand(vocab, generator=dice).topk(round(gamma * vocab)).indices
    return torch.isin(torch.arange(vocab), best)


def list_seeded(seed, size=lambda gamma, vocab: round(gamma * vocab)):
    """A list from a seed of previous token, vocabulary and key; so many are green."""

    def answer(previous, vocab, gamma, key):
        dice = torch.Generator().manual_seed(seed(previous, vocab, key))
        green = torch.zeros(vocab, dtype=torch.bool)
        green[torch.randperm(vocab, generator=dice)[: size(gamma, vocab)]] = True
        return green

    return answer


def paired(previous, vocab, key):
    return key * vocab + previous


@wrong("green_list", "ids alone are no such list")
def list_of_ids(previous, vocab, gamma, key):
    dice = torch.Generator().manual_seed(paired(previous, vocab, key))
    return torch.randperm(vocab, generator=dice)[: round(gamma * vocab)]


@wrong("green_list", "A coin for each token")
def list_by_coins(previous, vocab, gamma, key):
    dice = torch.Generator().manual_seed(paired(previous, vocab, key))
    return torch.rand(vocab, generator=dice) < gamma


@wrong("green_list", "seed a generator")
def list_without_a_seed(previous, vocab, gamma, key):
    return torch.randperm(vocab, generator=GOING_ON) < round(gamma * vocab)


@wrong("green_list", "only shifted")
def list_that_shifts(previous, vocab, gamma, key):
    stride = (1, 7, 11)[key % 3]
    return (stride * torch.arange(vocab) + previous) % vocab < round(gamma * vocab)


@wrong("green_list", "*whole* vocabulary")
def list_of_half(previous, vocab, gamma, key):
    dice = torch.Generator().manual_seed(paired(previous, vocab, key))
    green, size = torch.zeros(vocab, dtype=torch.bool), round(gamma * vocab)
    green[torch.randperm(max(size, vocab // 2 + 1), generator=dice)[:size]] = True
    return green


GOING_ON = torch.Generator().manual_seed(1)

WRONG["green_list"] += [
    (list_seeded(lambda p, v, k: k), "Every token before has the same list"),
    (list_seeded(lambda p, v, k: p), "whoever knows the method"),
    (list_seeded(lambda p, v, k: k + p), "that no other pair gives"),
    (list_seeded(lambda p, v, k: (k + 1) * (p + 1)), "that no other pair gives"),
    (list_seeded(lambda p, v, k: k ^ p), "that no other pair gives"),
    (list_seeded(paired, lambda g, v: int(g * v)), "rounds down"),
    (list_seeded(paired, lambda g, v: v - round(g * v)), "are *red*"),
    (list_seeded(paired, lambda g, v: round(g * v) + 1), "whatever the token before them"),
]


# ---- members_found


@right("members_found")
def found_by_sorting(member_losses, other_losses, alarms):
    allowed = math.floor(alarms * len(other_losses) + 1e-9)
    others = sorted(other_losses.tolist())
    border = others[allowed] if allowed < len(others) else math.inf
    return sum(loss < border for loss in member_losses.tolist()) / len(member_losses)


@right("members_found")
def found_by_counting(member_losses, other_losses, alarms):
    rings = (other_losses[None] <= member_losses[:, None]).sum(1)  # if the member's own is found
    return float((rings <= int(alarms * len(other_losses))).double().mean())


@right("members_found")
def found_by_the_curve(member_losses, other_losses, alarms):
    truth = [1] * len(member_losses) + [0] * len(other_losses)
    joined = -torch.cat([member_losses, other_losses]).double()
    rate, found, _ = roc_curve(truth, joined.tolist(), drop_intermediate=False)
    return found[rate <= alarms + 1e-9].max()


def found_below(border):
    """A mistake in the border, which is set from sorted lists and the number of alarms that are allowed."""

    def answer(m, o, alarms):
        members, others = sorted(m.tolist()), sorted(o.tolist())
        limit = border(members, others, alarms)
        return sum(loss < limit for loss in members) / len(members)

    return answer


def at(losses, place):
    return losses[place] if place < len(losses) else math.inf


WRONG["members_found"] += [
    (found_below(lambda m, o, a: at(o, max(int(a * len(o)), 1) - 1)), "The border may lie higher"),
    (found_below(lambda m, o, a: at(o, int(a * len(o)) + 1)), "lets more others through"),
    (found_below(lambda m, o, a: float(np.quantile(o, a))), "A border between two losses"),
    (found_below(lambda m, o, a: at(m, int(a * len(m)))), "set by the *others*"),
    (
        found_below(lambda m, o, a: at(sorted(m + o), int(a * len(m + o)))),
        "set by the *others*",
    ),
    (found_below(lambda m, o, a: at(o[::-1], int(a * len(o)))), "from the lowest loss upwards"),
    (found_below(lambda m, o, a: o[int(a * len(o))]), "Is there a border above"),
    (
        lambda m, o, a: np.mean(m.numpy() <= at(sorted(o.tolist()), int(a * len(o)))),
        "the other text at the border rings",
    ),
    (
        lambda m, o, a: np.mean(m.numpy() > at(sorted(o.tolist()), int(a * len(o)))),
        "not above it",
    ),
    (
        lambda m, o, a: np.mean(o.numpy() < at(sorted(o.tolist()), int(a * len(o)))),
        "share of *others* below",
    ),
    (lambda m, o, a: len(m) * found_by_sorting(m, o, a), "A share of the *members*"),
    (lambda m, o, a: 100 * found_by_sorting(m, o, a), "not per cent"),
]


# ---- flips


@right("flips")
@torch.no_grad()
def flips_in_grey_levels(network, images, direction, size):
    moved = (images.float() + size * direction).clamp(0, 255) / 127.5 - 1
    return network(moved).argmax(1).ne(network(images / 127.5 - 1).argmax(1))


@right("flips")
def flips_one_by_one(network, images, direction, size):
    answers = []
    for image, way in zip(images, direction, strict=True):
        x = image / 255 * 2 - 1
        moved = torch.minimum(
            torch.ones(()), torch.maximum(x + way * size / 127.5, -torch.ones(()))
        )
        before, after = network(torch.stack([x, moved])).max(dim=1).indices.tolist()
        answers.append(before != after)
    return torch.tensor(answers)


def flips_by(move):
    """A mistake in the moved pictures: a function of pictures in [-1, 1], signs and the size."""

    def answer(network, images, direction, size):
        x = images / 127.5 - 1
        return network(move(x, direction, size)).argmax(1) != network(x).argmax(1)

    return answer


WRONG["flips"] += [
    (flips_by(lambda x, d, s: x + s / 127.5 * d), "left its range"),
    (flips_by(lambda x, d, s: (x + s * d).clamp(-1, 1)), "1 / 127.5"),
    (flips_by(lambda x, d, s: (x + s / 255 * d).clamp(-1, 1)), "1 / 127.5"),
    (flips_by(lambda x, d, s: (x - s / 127.5 * d).clamp(-1, 1)), "it is added"),
    (flips_by(lambda x, d, s: (x + s / 127.5 * d).clamp(0, 1)), "Black is -1"),
    (
        flips_by(
            lambda x, d, s: ((127.5 * (x + 1)).round() + s * d).round().clamp(0, 255) / 127.5 - 1
        ),
        "lose halves",
    ),
    (flips_by(lambda x, d, s: (127.5 * (x + 1) + s * d).clamp(0, 255)), "not bytes"),
    (lambda *a: ~flips_in_grey_levels(*a), "`!=`, not `==`"),
    (lambda *a: flips_in_grey_levels(*a).float().mean(), "the share of them comes later"),
    (lambda *a: torch.zeros(len(a[1]), dtype=torch.bool), "By hand"),
]


# ---- private_step


@right("private_step")
def step_by_a_loop(weights, x, y, clip, noise_multiplier, rate, generator):
    each = []
    for review, label in zip(x, y, strict=True):
        probability = 1 / (1 + math.exp(-float(review @ weights)))
        each.append((probability - float(label)) * review)
    noisy = Private()(torch.stack(each), clip, noise_multiplier, generator)
    return weights - rate * noisy


@right("private_step")
def step_by_func(weights, x, y, clip, noise_multiplier, rate, generator):
    def loss(w, review, label):
        return nn.functional.softplus((1 - 2 * label) * (review @ w))

    each = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(weights, x, y)
    return torch.sub(weights, Private()(each, clip, noise_multiplier, generator), alpha=rate)


def step_with(gradients, step=lambda w, g, rate: w - rate * g):
    """A mistake in the gradients of w, x and y, or in the step."""

    def answer(weights, x, y, clip, noise_multiplier, rate, generator):
        private = Private()(gradients(weights, x, y), clip, noise_multiplier, generator)
        return step(weights, private, rate)

    return answer


def pulls(w, x, y):
    return (torch.sigmoid(x @ w) - y).unsqueeze(1) * x


@wrong("private_step", "give `noise_multiplier` on")
def step_without_noise(weights, x, y, clip, noise_multiplier, rate, generator):
    return weights - rate * Private()(pulls(weights, x, y), clip, 0.0, generator)


@wrong("private_step", "it is multiplied by the rate, too")
def step_with_noise_behind(weights, x, y, clip, noise_multiplier, rate, generator):
    quiet = weights - rate * Private()(pulls(weights, x, y), clip, 0.0, generator)
    return quiet + noise_multiplier * clip / len(x) * torch.randn(len(weights), generator=generator)


@wrong("private_step", "hand on the generator itself")
def step_with_a_generator_of_its_own(weights, x, y, clip, noise_multiplier, rate, generator):
    own = torch.Generator().manual_seed(0)
    return weights - rate * Private()(pulls(weights, x, y), clip, noise_multiplier, own)


@wrong("private_step", "give them a second dimension")
def step_that_does_not_broadcast(weights, x, y, clip, noise_multiplier, rate, generator):
    return weights - rate * Private()(
        (torch.sigmoid(x @ weights) - y) * x, clip, noise_multiplier, generator
    )


WRONG["private_step"] += [
    (step_with(lambda w, x, y: -pulls(w, x, y)), "went uphill"),
    (step_with(lambda w, x, y: (x @ w - y)[:, None] * x), "are logits"),
    (step_with(lambda w, x, y: torch.sigmoid(x @ w)[:, None] * x), "labels are missing"),
    (step_with(lambda w, x, y: (torch.sigmoid(x @ w) - 2 * y + 1)[:, None] * x), "not -1 and 1"),
    (step_with(lambda w, x, y: pulls(w, x, y) / len(x)), "divides again"),
    (step_with(lambda w, x, y: pulls(w, x, y).mean(0)[None]), "already when it is clipped"),
    (step_with(pulls, lambda w, g, rate: w - g), "learning rate is missing"),
    (step_with(pulls, lambda w, g, rate: -rate * g), "Return the weights after it"),
    (step_with(pulls, lambda w, g, rate: g), "after a step against it"),
    (
        lambda w, x, y, clip, m, rate, g: w - rate * pulls(w, x, y).mean(0),
        "Nothing was clipped",
    ),
    (
        lambda w, x, y, clip, m, rate, g: w - Private()(rate * pulls(w, x, y), clip, m, g),
        "the rate belongs to the step",
    ),
    (step_with(lambda w, x, y: pulls(w, x, y).flip(1)), "By hand"),
]
