"""Lesson 03: right and wrong answers to its exercises."""

import math
from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from answers import book
from course_utils.models import vae

RIGHT, WRONG, right, wrong = book()
LOG_2PI = math.log(2 * math.pi)


# ---- reparameterise


@right("reparameterise")
def draw(mean, log_var, noise):
    return mean + torch.exp(0.5 * log_var) * noise


@right("reparameterise")
def draw_by_root(mean, log_var, noise):
    return torch.addcmul(mean, log_var.exp().sqrt(), noise)


@right("reparameterise")
def draw_by_halves(mean, log_var, noise):
    half = log_var / 2
    std = half.exp()
    return noise.mul(std).add(mean)


@right("reparameterise")
def draw_by_logs(mean, log_var, noise):
    return mean + noise.sign() * (noise.abs().log() + log_var / 2).exp()


@torch.no_grad()
def without_gradient(mean, log_var, noise):
    return draw(mean, log_var, noise)


def in_place(mean, log_var, noise):
    return noise.mul_((log_var / 2).exp()).add_(mean)


WRONG["reparameterise"] += [
    (lambda m, v, e: m + v * e, "taken for the standard deviation"),
    (lambda m, v, e: m + v.exp() * e, "exp(log_var) is the variance"),
    (lambda m, v, e: m + torch.exp(2 * v) * e, "half went the wrong way"),
    (lambda m, v, e: m + torch.exp(-v / 2) * e, "divides by the deviation"),
    (lambda m, v, e: m - torch.exp(v / 2) * e, "noise is subtracted"),
    (lambda m, v, e: (m + e) * torch.exp(v / 2), "mean was scaled"),
    (lambda m, v, e: m.clone(), "noise is missing"),
    (lambda m, v, e: m + e, "deviation is missing"),
    (lambda m, v, e: e * torch.exp(v / 2), "mean is missing"),
    (lambda m, v, e: draw(m, v, torch.randn_like(m)), "draw none of your own"),
    (lambda m, v, e: Normal(m, (v / 2).exp()).rsample(), "draw none of your own"),
    (lambda m, v, e: draw(m.detach(), v, e), "cut the path to the encoder"),
    (lambda m, v, e: draw(m, v.detach(), e), "cut the path to the encoder"),
    (without_gradient, "cut the path to the encoder"),
    (lambda m, v, e: draw(m, v, e).detach(), "cut the path to the encoder"),
    (lambda m, v, e: draw(m, v, e[:1]), "noise of the first"),
    (lambda m, v, e: draw(m, v.clamp(-5, 5), e), "moderate numbers only"),
    (lambda m, v, e: draw(m, v.clamp(-30, 20), e), "moderate numbers only"),
    (lambda m, v, e: draw(m.clamp(-100, 100), v, e), "moderate numbers only"),
    (lambda m, v, e: m + (v.exp() + 1e-8).sqrt() * e, "moderate numbers only"),
    (lambda m, v, e: m + F.softplus(v) * e, "softplus makes"),
    (lambda m, v, e: m + F.softplus(v / 2) * e, "softplus makes"),
    (lambda m, v, e: m + v / 2 * e, "The exponential is missing"),
    (lambda m, v, e: draw(m, v, e) * 1.01, "z = 1 + 2 * 0.5"),
    (
        lambda m, v, e: draw(
            m, v, torch.randn(e.shape, generator=torch.Generator().manual_seed(1))
        ),
        "draw none of your own",
    ),
    (lambda m, v, e: draw(m, v, e).sum(1), "gets its own noise"),
    (in_place, "In-place"),
]


# ---- gaussian_kl


@right("gaussian_kl")
def kl(mean, log_var):
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(dim=1)


@right("gaussian_kl")
def kl_as_tutorials_write_it(mean, log_var):
    return -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp(), dim=-1)


@right("gaussian_kl")
def kl_by_library(mean, log_var):
    variance_part = torch.expm1(log_var) - log_var
    return torch.einsum("bd->b", variance_part + mean * mean) / 2


@right("gaussian_kl")
def kl_row_by_row(mean, log_var):
    rows = [
        sum((m * m + v.exp() - v - 1) / 2 for m, v in zip(a, b, strict=True))
        for a, b in zip(mean, log_var, strict=True)
    ]
    return torch.stack(rows)


def normal_kl(mean, std, reverse=False):
    q, p = Normal(mean, std, validate_args=False), Normal(0.0, 1.0)
    return (kl_divergence(p, q) if reverse else kl_divergence(q, p)).sum(1)


WRONG["gaussian_kl"] += [
    (lambda m, v: kl(m, v) / m.shape[1], "mean over the D dimensions"),
    (lambda m, v: 2 * kl(m, v), "one half is missing"),
    (lambda m, v: -kl(m, v), "never negative"),
    (lambda m, v: 0.5 * torch.sum(1 + v - m**2 - v.exp(), 1), "never negative"),
    (lambda m, v: normal_kl(m, v), "taken for the standard deviation"),
    (lambda m, v: 0.5 * (m**2 + v**2 - 1 - 2 * v.log()).sum(1), "taken for the standard deviation"),
    (lambda m, v: normal_kl(m, v.exp()), "log of the standard deviation"),
    (lambda m, v: 0.5 * (m**2 + (v / 2).exp() - 1 - v).sum(1), "half belongs to the deviation"),
    (lambda m, v: normal_kl(m, (v / 2).exp(), reverse=True), "other way round"),
    (lambda m, v: 0.5 * (m**2 + v.exp() - v).sum(1), "The 1 is missing"),
    (lambda m, v: 0.5 * (m + v.exp() - 1 - v).sum(1), "mean goes in squared"),
    (lambda m, v: 0.5 * (m**2 + v.exp() - 1 + v).sum(1), "log's sign"),
    (lambda m, v: kl(torch.zeros_like(m), v), "mean is missing"),
    (lambda m, v: kl(m, v).sum(), "batch was summed"),
    (lambda m, v: kl(m, v).mean(), "batch was averaged"),
    (lambda m, v: kl(m, v).mean() / m.shape[1], "mean over everything"),
    (lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v).sum(0), "runs over the batch"),
    (lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v), "left to do"),
    (lambda m, v: kl(m, v) / math.log(2), "These are bits"),
    (lambda m, v: 0.5 * (m**2 + v.exp() - 1 - (v.exp() + 1e-8).log()).sum(1), "no small constant"),
    (lambda m, v: kl(m.detach(), v), "cut the path"),
    (lambda m, v: kl(m, v)[:, None], "what is summed away"),
    (lambda m, v: kl(m.mul_(1.0), v.mul_(2.0)), "In-place"),
]


# ---- gaussian_nll


def each(x, mean, log_var):
    return 0.5 * ((x - mean) ** 2 / log_var.exp() + log_var + LOG_2PI)


@right("gaussian_nll")
def nll(x, mean, log_var):
    return each(x, mean, log_var).flatten(1).sum(1)


@right("gaussian_nll")
def nll_by_library(x, mean, log_var):
    variance = log_var.exp().expand_as(x)
    return (
        F.gaussian_nll_loss(mean, x, variance, full=True, eps=1e-12, reduction="none")
        .reshape(len(x), -1)
        .sum(-1)
    )


@right("gaussian_nll")
def nll_by_parts(x, mean, log_var):
    every = log_var.expand(x.shape).reshape(len(x), -1)
    square = torch.exp(-every) * (x - mean).reshape(len(x), -1).square()
    return 0.5 * (square.sum(1) + every.sum(1) + every.shape[1] * np.log(2 * np.pi))


@right("gaussian_nll")
def nll_by_density(x, mean, log_var):
    dims = tuple(range(1, x.dim()))
    return -Normal(mean, torch.exp(log_var / 2)).log_prob(x).sum(dims)


def summed(values):
    return values.flatten(1).sum(1)


WRONG["gaussian_nll"] += [
    (lambda x, m, v: each(x, m, v).flatten(1).mean(1), "mean over the pixels"),
    (lambda x, m, v: 2 * nll(x, m, v), "one half is missing"),
    (lambda x, m, v: -nll(x, m, v), "this is the log density"),
    (lambda x, m, v: summed(each(x, m, v) - 0.5 * LOG_2PI), "constant log(2 pi) is missing"),
    (
        lambda x, m, v: summed(F.gaussian_nll_loss(m, x, v.exp().expand_as(x), reduction="none")),
        "constant log(2 pi)",
    ),
    (
        lambda x, m, v: summed(each(x, m, v) - 0.5 * LOG_2PI) + 0.5 * LOG_2PI,
        "constant was added once",
    ),
    (
        lambda x, m, v: summed(0.5 * ((x - m) ** 2 / v.exp() + LOG_2PI)) + 0.5 * v.sum(),
        "log_var was added once",
    ),
    (lambda x, m, v: summed(0.5 * ((x - m) ** 2 / v.exp() + LOG_2PI)), "term log_var is missing"),
    (lambda x, m, v: summed(0.5 * ((x - m) ** 2 / v.exp() - v + LOG_2PI)), "sign of log_var"),
    (
        lambda x, m, v: summed(0.5 * ((x - m) ** 2 / (v / 2).exp() + v + LOG_2PI)),
        "not by the standard deviation",
    ),
    (
        lambda x, m, v: summed(0.5 * ((x - m) ** 2 * v.exp() + v + LOG_2PI)),
        "multiplied by the variance",
    ),
    (lambda x, m, v: summed(-Normal(m, v).log_prob(x)), "taken for the standard deviation"),
    (
        lambda x, m, v: summed(0.5 * ((x - m) ** 2 / v + v.log() + LOG_2PI)),
        "taken for the variance",
    ),
    (
        lambda x, m, v: summed(0.5 * ((x - m).abs() / v.exp() + v + LOG_2PI)),
        "error goes in squared",
    ),
    (lambda x, m, v: summed(0.5 * (x - m) ** 2), "variance is missing"),
    (lambda x, m, v: nll(x, m, v).sum(), "batch was summed"),
    (lambda x, m, v: nll(x, m, v).mean(), "batch was averaged"),
    (lambda x, m, v: each(x, m, v).mean(), "mean over everything"),
    (lambda x, m, v: each(x, m, v).sum(1), "Only dimension 1"),
    (lambda x, m, v: nll(x, m, v.clamp_min(-10.0)), "above some least value"),
    (lambda x, m, v: nll(x, m, v.detach()), "cut the path"),
    (lambda x, m, v: nll(x, m, v) * 1.01, "One pixel"),
]


# ---- negative_elbo


@right("negative_elbo")
def negative_elbo(nll, kl, beta):
    return (nll + beta * kl).mean()


@right("negative_elbo")
def of_two_means(nll, kl, beta):
    return torch.mean(nll) + beta * torch.mean(kl)


@right("negative_elbo")
def of_the_elbo(nll, kl, beta):
    elbo = -nll - kl * beta
    return -elbo.sum() / elbo.shape[0]


@right("negative_elbo")
def by_einsum(nll, kl, beta):
    return torch.einsum("b->", nll + kl.mul(beta)) / nll.numel()


@right("negative_elbo")
def one_by_one(nll, kl, beta):
    return sum(n + beta * k for n, k in zip(nll, kl, strict=True)) / len(nll)


WRONG["negative_elbo"] += [
    (lambda n, k, b: (n.clamp_min(0) + b * k).mean(), "no clamp, no relu"),
    (lambda n, k, b: (n.abs() + b * k).mean(), "no clamp, no relu"),
    (lambda n, k, b: (n + b * k).mean().clamp_min(0), "no clamp, no relu"),
    (lambda n, k, b: (n.clamp_min(-1000) + b * k).mean(), "no clamp, no relu"),
    (lambda n, k, b: (n + b * k.clamp_min(0.1)).mean(), "free bits"),
    (lambda n, k, b: (n - b * k).mean(), "in its negative it is added"),
    (lambda n, k, b: (-n - b * k).mean(), "An optimiser minimises"),
    (lambda n, k, b: (-n + b * k).mean(), "negative log likelihood already"),
    (lambda n, k, b: (b * n + k).mean(), "not the likelihood"),
    (lambda n, k, b: b * (n + k).mean(), "beta weighs the KL alone"),
    (lambda n, k, b: (n + k).mean(), "beta is not used"),
    (lambda n, k, b: n.mean(), "KL is missing"),
    (lambda n, k, b: (n + b * k).sum(), "The sum over the batch"),
    (lambda n, k, b: n.mean() + b * k.sum(), "B times larger"),
    (lambda n, k, b: n.sum() + b * k.mean(), "B times smaller"),
    (lambda n, k, b: n + b * k, "left to do"),
    (lambda n, k, b: (n + b * k).mean().item(), "has lost the way back"),
    (lambda n, k, b: (n + b * k.detach()).mean(), "has lost the way back"),
    (lambda n, k, b: (n + b * k).median(), "term by term"),
]


# ---- iwae_bound


@right("iwae_bound")
def iwae(log_weights):
    return (torch.logsumexp(log_weights, dim=0) - math.log(log_weights.shape[0])).mean()


@right("iwae_bound")
def iwae_by_largest(log_weights):
    largest = log_weights.max(dim=0, keepdim=True).values
    return (largest[0] + (log_weights - largest).exp().mean(0).log()).mean()


@right("iwae_bound")
def iwae_column_by_column(log_weights):
    shifted = log_weights - np.log(len(log_weights))
    return torch.stack([column.logsumexp(0) for column in shifted.unbind(1)]).mean()


@right("iwae_bound")
def iwae_in_double(log_weights):
    return (log_weights.double().logsumexp(0) - math.log(len(log_weights))).mean()


@right("iwae_bound")
def iwae_pair_by_pair(log_weights):
    total = log_weights[0]
    for row in log_weights[1:]:
        total = torch.logaddexp(total, row)
    return (total - math.log(len(log_weights))).mean()


def shifted_by(shift):
    def answer(w):
        m = shift(w)
        return (m + (w - m).exp().mean(0).log()).mean()

    return answer


WRONG["iwae_bound"] += [
    (shifted_by(lambda w: w.max()), "Not stable"),
    (shifted_by(lambda w: w.double().max()), "Not stable"),
    (shifted_by(lambda w: w.mean(0)), "Not stable"),
    (shifted_by(lambda w: w.min(0).values), "Not stable"),
    (shifted_by(lambda w: w[0]), "Not stable"),
    (lambda w: (w.max() + ((w - w.max()).exp().mean(0) + 1e-20).log()).mean(), "Not stable"),
    (lambda w: shifted_by(lambda w: w.max())(w).nan_to_num(0.0, 0.0, 0.0), "Not stable"),
    (lambda w: w.mean(), "that is the plain ELBO"),
    (lambda w: w.logsumexp(0).mean(), "log K is missing"),
    (lambda w: (w.logsumexp(0) + math.log(len(w))).mean(), "sign of log K"),
    (lambda w: (w.logsumexp(1) - math.log(w.shape[1])).mean(), "K and B are exchanged"),
    (lambda w: w.flatten().logsumexp(0) - math.log(w.numel()), "all images together"),
    (lambda w: (w.logsumexp(0) - math.log(w.shape[1])).mean(), "log B was subtracted"),
    (lambda w: (w.logsumexp(0) - math.log(len(w))).sum(), "Summed over the images"),
    (lambda w: -iwae(w), "not a loss"),
    (lambda w: (torch.softmax(w, 0) * w).sum(0).mean(), "weighted by their weights"),
    (lambda w: w.amax(0).mean(), "largest weight alone"),
    (lambda w: w.exp().mean(0).log().mean(), "Not stable"),
    (lambda w: w.double().exp().mean(0).log().mean().float(), "Not stable"),
    (lambda w: w.logsumexp(0) - math.log(len(w)), "left to do"),
    (lambda w: w.exp().mean(), "logarithm of the mean weight"),
    (lambda w: iwae(w).detach(), "uncut"),
]


# ---- repaired_line


def parts(x_hat, x, mean, log_var):
    return (x_hat - x) ** 2, 0.5 * (mean**2 + log_var.exp() - 1 - log_var)


@right("repaired_line")
def line(x_hat, x, mean, log_var):
    squares, each = parts(x_hat, x, mean, log_var)
    return (50 * squares.flatten(1).sum(1) + each.sum(1)).mean()


@right("repaired_line")
def line_by_mean_error(x_hat, x, mean, log_var):
    """The published line with a factor in front of each of its means."""
    of_pixels, of_latents = x[0].numel() / (2 * 0.1**2), mean.shape[1]
    return of_pixels * F.mse_loss(x_hat, x) + of_latents * parts(x_hat, x, mean, log_var)[1].mean()


@right("repaired_line")
def line_by_sums(x_hat, x, mean, log_var):
    squares, each = parts(x_hat, x, mean, log_var)
    return squares.sum() / 0.02 / len(x) + each.sum() / len(x)


def published(x_hat, x, mean, log_var):
    squares, each = parts(x_hat, x, mean, log_var)
    return squares.mean() + 0.1 * each.mean()


def changed(error=50.0, weight=1.0, of_pixels="sum", of_latents="sum"):
    def answer(*inputs):
        squares, each = parts(*inputs)
        of_error = getattr(squares.flatten(1), of_pixels)(1)
        return (error * of_error + weight * getattr(each, of_latents)(1)).mean()

    return answer


WRONG["repaired_line"] += [
    (published, "mean over the pixels"),
    (changed(of_pixels="mean"), "mean over the pixels"),
    (changed(100.0), "The half is missing"),
    (changed(1.0), "sigma is not used"),
    (changed(0.5), "sigma is not used"),
    (changed(5.0), "sigma squared"),
    (changed(0.02), "multiplied by the variance"),
    (changed(of_latents="mean"), "mean over the latent numbers"),
    (changed(weight=0.1), "weight 0.1"),
    (changed(weight=0.1, of_latents="mean"), "mean over the latent numbers"),
    (changed(weight=-1.0), "sign of the KL"),
    (lambda *i: len(i[0]) * line(*i), "nats per *image*"),
    (lambda *i: 50 * parts(*i)[0].sum() + parts(*i)[1].sum(1).mean(), "beta is 1/B"),
    (lambda *i: changed(weight=0.0)(*i) + parts(*i)[1].sum(), "beta is B"),
    (lambda *i: 50 * parts(*i)[0].flatten(1).sum(1) + parts(*i)[1].sum(1), "left to do"),
    (lambda *i: line(*i) + 1.0, "One picture of two pixels"),
    (lambda *i: line(*i).detach(), "uncut"),
    (lambda *i: line(*i).item(), "uncut"),
    (lambda a, x, m, v: line(a, x, m.detach(), v), "uncut"),
]


# ---- log_weights


def log_normal(x, mean, log_var):
    return -nll(x, mean, log_var)


@right("log_weights")
def weights(model, x, noise):
    mean, log_var = model.encode(x)
    zero, rows = torch.zeros(()), []
    for one in noise:
        z = draw(mean, log_var, one)
        of_x = log_normal(x, model.decode(z), model.log_var)
        rows.append(log_normal(z, zero, zero) + of_x - log_normal(z, mean, log_var))
    return torch.stack(rows)


@right("log_weights")
def weights_without_constants(model, x, noise):
    """All draws at once, and what p(z) and q(z|x) have in common left out of both."""
    mean, log_var = model.encode(x)
    z = mean + noise * (log_var / 2).exp()
    x_mean = model.decode(z.flatten(0, 1))
    of_x = nll(x.repeat(len(noise), *[1] * (x.dim() - 1)), x_mean, model.log_var)
    ratio = (0.5 * (noise**2 + log_var - z**2)).sum(-1)
    return ratio - of_x.view(len(noise), len(x))


def weighed(prior=1.0, of_x=1.0, q=-1.0, deviation=0.5, sigma=True, width=1.0, constant=1.0):
    def answer(model, x, noise):
        mean, log_var = model.encode(x)
        rows = []
        for one in noise:
            z = mean + (deviation * log_var).exp() * one
            of_pixel = model.log_var if sigma else torch.zeros(())
            zs = ((z - mean) ** 2 / log_var.exp() + width * log_var + constant * LOG_2PI).sum(1)
            total = prior * log_normal(z, torch.zeros(()), torch.zeros(())) - q * 0.5 * zs
            rows.append(total + of_x * log_normal(x, model.decode(z), of_pixel))
        return torch.stack(rows)

    return answer


def with_closed_form(model, x, noise):
    mean, log_var = model.encode(x)
    likelihoods = weighed(prior=0.0, q=0.0)(model, x, noise)
    return likelihoods - kl(mean, log_var)


WRONG["log_weights"] += [
    (with_closed_form, "closed form of the KL"),
    (weighed(prior=0.0), "The prior is missing"),
    (weighed(q=0.0), "q is missing"),
    (weighed(prior=0.0, q=0.0), "alone"),
    (weighed(q=1.0), "sign of log q"),
    (weighed(of_x=-1.0), "sign of the likelihood"),
    (lambda *i: -weights(*i), "sign of the whole"),
    (weighed(width=0.0), "lacks log sigma"),
    (weighed(constant=0.0), "constant that log p(z) has"),
    (weighed(deviation=1.0), "too wide or too narrow"),
    (weighed(sigma=False), "pixels' variance"),
    (lambda m, x, e: weights(m, x, e[:1].expand_as(e)), "All draws use the first noise"),
    (lambda *i: weights(*i).T, "exchanged"),
    (lambda *i: weights(*i).mean(0), "Averaged over the draws"),
    (lambda *i: weights(*i).sum(0), "Summed over the draws"),
    (lambda *i: weights(*i).exp(), "their *logs*"),
    (lambda *i: weights(*i)[..., None], "what is summed away is D"),
    (lambda *i: weights(*i) + 0.5, "K = B = D = 1"),
]


# ---- further ones, of which no test had been

WRONG["gaussian_nll"] += [
    (
        lambda x, m, v: Normal(m, v.exp()).log_prob(x).flatten(1).sum(1).neg(),
        "log of the standard deviation",
    ),
    (
        lambda x, m, v: Normal(m, (v / 2).exp()).log_prob(x).neg().sum((1, 2, 3)),
        "Not every x is a picture",
    ),
]
WRONG["repaired_line"] += [
    (
        lambda a, x, m, v: 50 * 3072 * (a - x).square().mean() + kl(m, v).mean(),
        "is written down",
    ),
]


# ---- linear_elbo


def bound(spread=lambda w, v: w**2 * v, kl_weight=-1.0, height=0.5, deviation=None, sigma=None):
    """The ELBO of the linear-Gaussian model with one part exchanged."""

    def answer(m, v, x, w, s):
        variance = sigma(s) if sigma else s**2
        square = (x - w * m) ** 2 + spread(w, v)
        of_x = -0.5 * square / variance - height * torch.log(2 * torch.pi * variance)
        std = deviation(v) if deviation else v.sqrt()
        return of_x + kl_weight * kl_divergence(Normal(m, std), Normal(0.0, 1.0))

    return answer


@right("linear_elbo")
def bound_by_moments(m, v, x, w, s):
    """E[x²] - 2 x w E[z] + w² E[z²], and the KL written out."""
    square = x**2 - 2 * x * w * m + w**2 * (m**2 + v)
    kl = (m**2 + v - 1 - v.log()) / 2
    return -(square / s**2 + LOG_2PI) / 2 - s.log() - kl


@right("linear_elbo")
def bound_by_the_gap(m, v, x, w, s):
    """The identity the other way round: log p(x) less the KL to the posterior."""
    total = w**2 + s**2
    posterior = Normal(w * x / total, (s**2 / total).sqrt())
    gap = kl_divergence(Normal(m, v.sqrt()), posterior)
    return Normal(torch.zeros_like(x), total.sqrt()).log_prob(x) - gap


@right("linear_elbo")
def bound_by_density(m, v, x, w, s):
    kl = kl_divergence(Normal(m, v.sqrt()), Normal(0.0, 1.0))
    return Normal(w * m, s).log_prob(x) - w**2 * v / (2 * s**2) - kl


RIGHT["linear_elbo"] += [bound()]


def drawn_bound(m, v, x, w, s):
    z = m + v.sqrt() * torch.randn((1000, *m.shape), dtype=m.dtype)
    of_x = Normal(w * z, s).log_prob(x).mean(0)
    return of_x - kl_divergence(Normal(m, v.sqrt()), Normal(0.0, 1.0))


def reversed_bound(m, v, x, w, s):
    kl = kl_divergence(Normal(0.0, 1.0), Normal(m, v.sqrt()))
    return bound(kl_weight=0.0)(m, v, x, w, s) - kl


WRONG["linear_elbo"] += [
    (bound(spread=lambda w, v: 0.0), "taken at z = m only"),
    (bound(spread=lambda w, v: v), "variance of wz under q is not that"),
    (bound(spread=lambda w, v: w * v), "variance of wz under q is not that"),
    (bound(spread=lambda w, v: (w * v) ** 2), "variance of wz under q is not that"),
    (bound(spread=lambda w, v: -(w**2) * v), "larger, not smaller"),
    (bound(kl_weight=0.0), "The KL is missing"),
    (bound(kl_weight=1.0), "The sign of the KL"),
    (lambda *i: -bound()(*i), "The sign of the whole"),
    (bound(deviation=lambda v: v), "taken for a standard deviation"),
    (reversed_bound, "KL the other way round"),
    (lambda m, v, x, w, s: bound()(m, v, x, w, s) + LOG_2PI / 2, "constant ½ log 2π"),
    (lambda m, v, x, w, s: bound()(m, v, x, w, s) + s.log(), "term ½ log s²"),
    (bound(height=0.0), "height of the density"),
    (bound(sigma=lambda s: s), "divided by s, and not"),
    (bound(sigma=lambda s: s**4), "taken for the variance of x"),
    (
        lambda m, v, x, w, s: bound()(m, v, x, w, s) - ((x - w * m) ** 2 + w**2 * v) / (2 * s**2),
        "The half is missing",
    ),
    (lambda *i: bound()(*i).mean(), "Averaged over the q"),
    (lambda *i: bound()(*i).sum(), "Summed over the q"),
    (drawn_bound, "changes from call to call"),
    (lambda *i: bound()(*i) + 0.1, "The ELBO is −3.419"),
    (lambda *i: bound()(*i)[..., None], "One bound for each q"),
]


# ---- train_step


def step(
    order=("zero", "backward", "step"),
    code=lambda mean, log_var, noise: draw(mean, log_var, noise),
    variance=lambda model, log_var: model.log_var,
    loss=lambda nll, kl, beta: (nll + beta * kl).mean(),
    told=lambda nll, kl, beta: {"nll": nll.mean().item(), "kl": kl.mean().item()},
    sigma=lambda model: (model.log_var / 2).exp().item(),
    block=lambda autocast: autocast(),
):
    """The step in this order, with one part exchanged."""

    def answer(model, optimizer, x, noise, beta, autocast):
        with block(autocast):
            mean, log_var = model.encode(x)
            x_mean = model.decode(code(mean, log_var, noise))
        costs = nll(x, x_mean, variance(model, log_var)), kl(mean, log_var)
        found = loss(*costs, beta)
        acts = {"zero": optimizer.zero_grad, "backward": found.backward, "step": optimizer.step}
        for name in order:
            acts[name]()
        return told(*costs, beta) | {"sigma": sigma(model)}

    return answer


@right("train_step")
def step_of_the_package(model, optimizer, x, noise, beta, autocast):
    return vae.vae_step(model, optimizer, x, beta, autocast, noise)


@right("train_step")
def step_within_one_block(model, optimizer, x, noise, beta, autocast):
    """The losses inside of the block, too: their sums are taken in 32 bits there as well."""
    with autocast():
        mean, log_var = model.encode(x)
        x_mean = model.decode(mean + noise * log_var.exp().sqrt())
        costs = nll(x, x_mean, model.log_var), kl(mean, log_var)
        loss = costs[0].mean() + beta * costs[1].mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    sigma = math.exp(model.log_var.item()) ** 0.5
    return {"kl": float(costs[1].mean()), "nll": float(costs[0].mean()), "sigma": sigma}


def step_inside(model, optimizer, x, noise, beta, autocast):
    with autocast():
        return step(block=lambda _: nullcontext())(model, optimizer, x, noise, beta, autocast)


def by_new_optimizer(model, optimizer, *others):
    own = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return step()(model, own, *others)


def encoding_twice(model, optimizer, x, *others):
    model.encode(x)
    return step()(model, optimizer, x, *others)


RIGHT["train_step"] += [step(), step(order=("zero", "backward", "step", "zero"))]
WRONG["train_step"] += [
    (step(code=lambda m, v, e: m), "the mean of q, and no draw"),
    (step(code=lambda m, v, e: e), "gets the noise itself"),
    (step(code=lambda m, v, e: draw(m, v, e).detach()), "The draw is detached"),
    (step(code=lambda m, v, e: m + v.exp() * e), "too wide or too narrow"),
    (step(variance=lambda model, v: torch.zeros(())), "pixels' variance is missing"),
    (step(variance=lambda model, v: model.log_var.detach()), "so that it never learns"),
    (step(variance=lambda model, v: v.mean()), "Two variances are mixed up"),
    (step(loss=lambda n, k, b: (n + k).mean()), "beta is not used"),
    (step(loss=lambda n, k, b: (n + b * k).sum()), "a sum over the batch"),
    (step(loss=lambda n, k, b: n.mean()), "The KL is not in the loss"),
    (step(loss=lambda n, k, b: b * k.mean()), "The likelihood is not in the loss"),
    (step(loss=lambda n, k, b: (n - b * k).mean()), "The sign of the KL"),
    (step(loss=lambda n, k, b: -(n + b * k).mean()), "This climbs"),
    (step(order=("backward", "step")), "Gradients of the step before"),
    (step(order=("backward", "zero", "step")), "cleared between"),
    (step(order=("zero", "backward")), "by `optimizer.step()`"),
    (by_new_optimizer, "by `optimizer.step()`"),
    (step(order=("zero", "backward", "step", "step")), "by `optimizer.step()`"),
    (step(block=lambda autocast: nullcontext()), "belongs around `encode` and `decode`"),
    (step_inside, "only the networks are to be"),
    (encoding_twice, "encodes once and decodes once"),
    (
        step(told=lambda n, k, b: {"nll": n.mean().item(), "kl": b * k.mean().item()}),
        "multiplied by beta",
    ),
    (
        step(told=lambda n, k, b: {"nll": n.sum().item(), "kl": k.sum().item()}),
        "Sums over the batch are returned",
    ),
    (step(told=lambda n, k, b: {"nll": n.mean(), "kl": k.mean()}), "keeps the whole step"),
    (step(told=lambda n, k, b: {"nll": n.mean().item()}), "all three as plain numbers"),
    (step(sigma=lambda model: model.log_var.exp().item()), "returned is the variance"),
    (step(sigma=lambda model: model.log_var.item()), "still a logarithm"),
    (step(sigma=lambda model: model.log_var.exp()), "keeps the whole step"),
    (step(loss=lambda n, k, b: 2 * (n + b * k).mean()), "Take it apart"),
]


# ---- linear_posterior


def posterior(mean=lambda x, w, s, m: m, variance=lambda x, w, s, v: v):
    """The posterior with one part exchanged."""

    def answer(x, w, s):
        total = w**2 + s**2
        return mean(x, w, s, w * x / total), variance(x, w, s, s**2 / total)

    return answer


@right("linear_posterior")
def posterior_by_curvature(x, w, s):
    curvature = (w / s) ** 2 + 1
    return x * w / (s * s * curvature), curvature.reciprocal()


@right("linear_posterior")
def posterior_by_elbo(x, w, s):
    """Where the ELBO's derivatives in m and v are 0; its second derivative in m is minus one over v."""
    with torch.enable_grad():
        m = torch.zeros_like(x).requires_grad_()
        value = bound()(m, torch.ones_like(x), x, w, s)
        (first,) = torch.autograd.grad(value, m, create_graph=True)
        (second,) = torch.autograd.grad(first, m)
    return (-first / second).detach(), -1 / second


def posterior_as_numbers(x, w, s):
    mean, variance = posterior()(x, w, s)
    return mean.item(), variance.item()


RIGHT["linear_posterior"] += [posterior()]
WRONG["linear_posterior"] += [
    (lambda x, w, s: (x / w, (s / w) ** 2), "The prior has no say"),
    (posterior(variance=lambda x, w, s, v: (s / w) ** 2), "The prior has no say"),
    (posterior(variance=lambda x, w, s, v: s / torch.hypot(w, s)), "second number is the standard"),
    (posterior(variance=lambda x, w, s, v: 1 + (w / s) ** 2), "curvature of the parabola"),
    (lambda x, w, s: (w * x / (w**2 + s), s / (w**2 + s)), "in the parabola its square"),
    (posterior(mean=lambda x, w, s, m: w * x / s**2), "not yet divided"),
    (posterior(mean=lambda x, w, s, m: x / (w**2 + s**2)), "lacks the factor w"),
    (lambda x, w, s: (w * x / (w + s) ** 2, (s / (w + s)) ** 2), "Variances add up"),
    (lambda x, w, s: (w * x, s**2), "other way round"),
    (lambda x, w, s: (torch.zeros_like(x), w**2 + s**2), "mean and variance of x; those"),
    (posterior(mean=lambda x, w, s, m: -m), "The sign of the mean"),
    (lambda x, w, s: posterior()(x, w, s)[::-1], "exchanged"),
    (lambda x, w, s: posterior()(x, w, s)[0], "Return both"),
    (posterior_as_numbers, "Return both"),
    (posterior(variance=lambda x, w, s, v: v + 0.1), "mean 1, variance ½"),
]


# ---- best_log_var


@right("best_log_var")
def of_mean_square(x, mean):
    return torch.log(F.mse_loss(mean, x))


@right("best_log_var")
def of_norm(x, mean):
    error = (x - mean).flatten()
    return 2 * error.norm().log() - math.log(len(error))


@right("best_log_var")
def of_distance(x, mean):
    return ((x - mean) ** 2).flatten(1).mean(1).mean().log()


WRONG["best_log_var"] += [
    (lambda x, m: F.mse_loss(m, x).log() / 2, "This is log σ"),
    (lambda x, m: F.mse_loss(m, x), "This is the variance"),
    (lambda x, m: F.mse_loss(m, x) ** 0.5, "This is σ itself"),
    (lambda x, m: -F.mse_loss(m, x).log(), "The sign"),
    (lambda x, m: F.mse_loss(m, x, reduction="sum").log(), "The squares are summed: one"),
    (lambda x, m: (F.mse_loss(m, x) / 2).log(), "The ½ stands before both"),
    (lambda x, m: (F.mse_loss(m, x) * 2).log(), "A factor 2 too much"),
    (lambda x, m: 2 * (x - m).abs().log().mean(), "mean of logs"),
    (lambda x, m: ((x - m) ** 2).flatten(1).mean(1).log(), "One number for each picture"),
    (lambda x, m: ((x - m) ** 2).flatten(1).mean(1).log().mean(), "Each picture got its own"),
    (lambda x, m: 2 * (x - m).abs().mean().log(), "The mean error is squared"),
    (lambda x, m: 2 * (x - m).std().log(), "subtracts the mean error"),
    (lambda x, m: 2 * x.std().log(), "spread of the pictures"),
    (lambda x, m: 2 * (x - m).abs().log(), "One number for each pixel"),
    (lambda x, m: (x.mean() - m.mean()).log(), "0 for many bad decoders"),
    (lambda x, m: ((x - m) ** 2).flatten(1).sum(1).mean().log(), "summed over the pixels"),
    (lambda x, m: F.mse_loss(m, x).log() + 0.1, "log 5 = 1.609"),
    (lambda x, m: F.mse_loss(m, x).log()[None], "without dimensions"),
]


# ---- beta_of


def prices(line, nll, x_hat, x, mean, log_var):
    """What the line asks for a nat of pixels and for a nat of code."""
    value, near, far = line(x_hat, x, mean, log_var), (3 * x_hat + x) / 4, 2 * mean + 0.1
    pixels = (line(near, x, mean, log_var) - value) / (nll(near, x) - nll(x_hat, x)).mean()
    code = line(x_hat, x, far, log_var) - value
    return pixels, code / (kl(far, log_var) - kl(mean, log_var)).mean()


@right("beta_of")
def beta_of_prices(*inputs):
    pixels, code = prices(*inputs)
    return float(code / pixels)


@right("beta_of")
def beta_by_backward(line, nll, x_hat, x, mean, log_var):
    """Gradients, whose lengths do not tell a sign: one element of each is enough."""
    leaves = [tensor.clone().requires_grad_() for tensor in (x_hat, mean)]
    theirs = torch.autograd.grad(line(leaves[0], x, leaves[1], log_var), leaves)
    ours = torch.autograd.grad(nll(leaves[0], x).mean() + kl(leaves[1], log_var).mean(), leaves)
    of_pixels, of_code = (
        a.flatten()[0] / b.flatten()[0] for a, b in zip(theirs, ours, strict=True)
    )
    return of_code / of_pixels


@right("beta_of")
def beta_by_equations(line, nll, x_hat, x, mean, log_var):
    """Three values, three unknowns: a, c, and the constant."""
    tries = [(x_hat, mean), (x, mean), (x, mean + 1)]
    rows = [[nll(h, x).mean().item(), kl(m, log_var).mean().item(), 1.0] for h, m in tries]
    values = [line(h, x, m, log_var).item() for h, m in tries]
    a, c, _ = np.linalg.solve(np.array(rows), np.array(values))
    return c / a


def of_prices(formula):
    return lambda *inputs: formula(*prices(*inputs))


WRONG["beta_of"] += [
    (of_prices(lambda a, c: a / c), "Upside down"),
    (of_prices(lambda a, c: c), "KL's factor c"),
    (of_prices(lambda a, c: a), "error's factor a"),
    (of_prices(lambda a, c: 1 / a), "KL's factor is missing"),
    (of_prices(lambda a, c: c * a), "The product"),
    (lambda *i: beta_of_prices(*i) * len(i[2]), "summed over the batch"),
    (lambda *i: beta_of_prices(*i) / len(i[2]), "summed over the batch"),
    (of_prices(lambda a, c: (c / a).abs()), "The sign is lost"),
    (of_prices(lambda a, c: c * c / (a * a)), "beta squared"),
    (of_prices(lambda a, c: -c / a), "A sign: one of the two"),
    (
        lambda line, nll, h, x, m, v: (line(h, x, m, v) - nll(h, x).mean()) / kl(m, v).mean(),
        "for granted",
    ),
    (
        lambda line, nll, h, x, m, v: torch.autograd.grad(line(h, x, m, v), h)[0].mean(),
        "make leaves first",
    ),
    (of_prices(lambda a, c: c / a + 0.1), "beta is 5/0.5 = 10"),
]


# ---- free_bits


def freely(code, error=lambda x_hat, x: F.mse_loss(x_hat, x)):
    """A line whose second part is ``code(each, free)``, each (B, D)."""

    def answer(x_hat, x, mean, log_var, free=1.0):
        return error(x_hat, x) + code(parts(x_hat, x, mean, log_var)[1], free)

    return answer


@right("free_bits")
def free_by_maximum(x_hat, x, mean, log_var, free=1.0):
    each = parts(x_hat, x, mean, log_var)[1].mean(0)
    return F.mse_loss(x_hat, x) + torch.maximum(each, torch.full_like(each, free)).sum()


RIGHT["free_bits"] += [
    freely(lambda each, free: each.mean(0).clamp(min=free).sum()),
    freely(lambda each, free: sum(max(k, torch.tensor(free)) for k in each.mean(0))),
    freely(lambda e, free: torch.where(e.mean(0) > free, e.mean(0), free).sum()),
]
WRONG["free_bits"] += [
    (freely(lambda each, free: each.clamp_min(free).mean(0).sum()), "taken for each picture"),
    (freely(lambda each, free: each.sum(1).clamp_min(free).mean()), "for the whole code"),
    (freely(lambda each, free: each.mean(0).sum().clamp_min(free)), "for the whole code"),
    (
        freely(lambda each, free: each.mean(0).sum().clamp_min(free * each.shape[1])),
        "for the whole code",
    ),
    (freely(lambda each, free: each.mean(0).clamp_max(free).sum()), "*below* `free`"),
    (freely(lambda each, free: F.relu(each.mean(0) - free).sum()), "Same gradient, another"),
    (freely(lambda each, free: (each.mean(0) - free).sum()), "only subtracted"),
    (freely(lambda each, free: (each.mean(0) + free).sum()), "only added"),
    (freely(lambda each, free: each.mean(0).sum()), "no nat is free yet"),
    (freely(lambda each, free: each.mean(0).clamp_min(1.0).sum()), "One nat is written down"),
    (freely(lambda each, free: each.mean(0).clamp_min(free).mean()), "A mean over the latent"),
    (freely(lambda each, free: each.mean(1).clamp_min(free).sum()), "and not over the batch"),
    (freely(lambda each, free: each.sum(0).clamp_min(free).sum()), "summed over the batch"),
    (
        freely(lambda each, free: (each.mean(0) * (each.mean(0) > free)).sum()),
        "the loss would jump",
    ),
    (
        freely(
            lambda each, free: each.mean(0).clamp_min(free).sum(),
            lambda a, x: (a - x).square().flatten(1).sum(1).mean(),
        ),
        "summed over the pixels",
    ),
    (
        freely(lambda each, free: each.mean(0).clamp_min(free).sum(), lambda a, x: 0.0),
        "The error is missing",
    ),
    (
        freely(lambda e, free: torch.where(e.mean(0) > free, e.mean(0), free).sum().detach()),
        "gradient is not",
    ),
    (freely(lambda each, free: each.mean(0).clamp_min(free).sum() + 0.1), "1 + 2.5 = 3.5"),
]


# ---- sample


@right("sample")
def sample_by_draw(model, z, noise):
    return draw(model.decode(z), model.log_var, noise)


@right("sample")
def sample_by_root(model, z, noise):
    return model.log_var.exp() ** 0.5 * noise + model.decode(z)


WRONG["sample"] += [
    (lambda model, z, e: model.decode(z), "which everyone shows"),
    (lambda model, z, e: model.decode(z) + e, "the deviation 1"),
    (lambda model, z, e: model.decode(z) + model.log_var.exp() * e, "too strong or too weak"),
    (lambda model, z, e: model.decode(z) + model.log_var * e, "too strong or too weak"),
    (lambda model, z, e: sample_by_root(model, z, -e), "noise is subtracted"),
    (lambda model, z, e: model.log_var.exp() ** 0.5 * e, "noise alone"),
    (lambda model, z, e: sample_by_root(model, z, e).clamp(-1, 1), "Nothing is cut off"),
    (lambda model, z, e: sample_by_root(model, z, e[:1]), "noise of the first"),
    (lambda model, z, e: sample_by_root(model, z, torch.randn_like(e)), "none of your own"),
    (lambda model, z, e: sample_by_root(model, z, e).flatten(1), "the shape of the picture"),
    (lambda model, z, e: sample_by_root(model, z, e) + 0.1, "x = 0.4 + 2"),
]
