"""ELBO accounting: the arithmetic of a described loss line against the gradients of the line itself."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.errors import CourseError
from course_utils.evaluation import elbo
from course_utils.evaluation.elbo import (
    PUBLISHED,
    REDUCTIONS,
    LossLine,
    effective_beta,
    implied_sigma,
    measured_beta,
)


def kl_terms(mean, log_var):
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var)


def reduced(values, how):
    return {"sum": values.sum(), "per image": values.sum(1).mean(), "mean": values.mean()}[how]


def written_out(line):
    """The line as a program, from library losses and reductions."""

    def loss(x_hat, x, mean, log_var):
        error = F.binary_cross_entropy if line.likelihood == "bernoulli" else F.mse_loss
        each = error(x_hat, x, reduction="none")
        kl = reduced(kl_terms(mean, log_var), line.kl)
        return line.reconstruction_weight * reduced(each, line.reconstruction) + line.kl_weight * kl

    return loss


LINES = [
    LossLine("case", "", likelihood, reconstruction, kl, 12, 5, weight, 0.3)
    for likelihood, reconstruction, kl, weight in itertools.product(
        elbo.LIKELIHOODS, REDUCTIONS, REDUCTIONS, (1.0, 40.0)
    )
]


@pytest.mark.parametrize(
    "line",
    LINES,
    ids=lambda s: f"{s.likelihood}-{s.reconstruction}-{s.kl}-{s.reconstruction_weight}",
)
@pytest.mark.parametrize(("batch", "sigma"), [(3, 1.0), (7, 0.25)])
def test_arithmetic_equals_gradients(line, batch, sigma):
    by_gradient = measured_beta(
        written_out(line), line.dims, line.latent_dim, line.likelihood, sigma, batch
    )
    assert effective_beta(line, sigma, batch) == pytest.approx(by_gradient, rel=1e-6)


@pytest.mark.parametrize("line", PUBLISHED, ids=lambda line: line.name)
def test_published_lines(line):
    assert measured_beta(
        written_out(line), line.dims, line.latent_dim, line.likelihood
    ) == pytest.approx(effective_beta(line), rel=1e-6)


def test_published_betas_by_hand():
    betas = [effective_beta(line) for line in PUBLISHED]
    assert betas == pytest.approx([1.0, 784 / 2, 0.00025 * 12288 / 2, 0.1 * 3072 / 256 / 2])
    assert len(set(betas)) == 4
    assert implied_sigma(PUBLISHED[0]) is None
    assert implied_sigma(PUBLISHED[3]) == pytest.approx(0.6**0.5)


def test_implied_sigma_makes_beta_one():
    for line in (line for line in LINES if line.likelihood == "squared"):
        sigma = implied_sigma(line, batch_size=4)
        assert effective_beta(line, sigma, batch_size=4) == pytest.approx(1.0)


def test_a_network_does_not_notice_the_common_factor():
    """The published line and nll + beta * kl move the weights of a small VAE in one direction."""
    torch.manual_seed(0)
    line = PUBLISHED[3]
    encoder, decoder = nn.Linear(6, 4).double(), nn.Linear(2, 6).double()
    x, noise = torch.rand(5, 6).double(), torch.randn(5, 2).double()
    own = LossLine("", "", "squared", "mean", "mean", 6, 2, kl_weight=line.kl_weight)

    def gradient(loss):
        mean, log_var = encoder(x).chunk(2, 1)
        x_hat = decoder(mean + (log_var / 2).exp() * noise)
        weights = [*encoder.parameters(), *decoder.parameters()]
        return torch.cat(
            [g.flatten() for g in torch.autograd.grad(loss(x_hat, x, mean, log_var), weights)]
        )

    def right(x_hat, x, mean, log_var):
        nll = 0.5 * ((x - x_hat) ** 2).sum(1)
        return (nll + effective_beta(own) * kl_terms(mean, log_var).sum(1)).mean()

    theirs, ours = gradient(written_out(own)), gradient(right)
    assert torch.allclose(theirs / theirs.norm(), ours / ours.norm(), atol=1e-9)


def bce(x_hat, x):
    return F.binary_cross_entropy(x_hat, x, reduction="sum")


def test_a_missing_half_is_a_beta_of_two():
    found = measured_beta(
        lambda h, x, m, v: bce(h, x) + 2 * kl_terms(m, v).sum(), 9, 3, "bernoulli"
    )
    assert found == pytest.approx(2.0)


@pytest.mark.parametrize(
    "loss",
    [
        lambda h, x, m, v: (
            bce(h, x) + 0.5 * (m**2 + v**2 - 1 - (v**2).log()).sum()
        ),  # log_var as deviation
        lambda h, x, m, v: bce(h, x) - kl_terms(m, v).sum(),
        lambda h, x, m, v: bce(h, x) + 0.5 * (m**2).sum(),
        lambda h, x, m, v: bce(h, x),
        lambda h, x, m, v: F.l1_loss(h, x, reduction="sum") + kl_terms(m, v).sum(),
        lambda h, x, m, v: kl_terms(m, v).sum() + 0 * h.sum(),
    ],
)
def test_what_is_no_elbo_is_refused(loss):
    with pytest.raises(CourseError) as caught:
        measured_beta(loss, 9, 3, "bernoulli")
    assert caught.value.code == "elbo-not-an-elbo"


def test_batch_size_is_asked_for_where_it_matters():
    line = LossLine("", "mean + sum", "squared", "mean", "sum", 100, 10)
    with pytest.raises(CourseError) as caught:
        effective_beta(line)
    assert caught.value.code == "elbo-batch-size"
    assert effective_beta(line, batch_size=6) == pytest.approx(6 * 100 / 2)


@pytest.mark.parametrize(
    "bad",
    [
        {"likelihood": "poisson"},
        {"kl": "median"},
        {"dims": 0},
        {"kl_weight": -1.0},
        {"latent_dim": 0},
    ],
)
def test_bad_lines_are_refused(bad):
    parts = {
        "likelihood": "squared",
        "reconstruction": "sum",
        "kl": "sum",
        "dims": 4,
        "latent_dim": 2,
    } | bad
    with pytest.raises(CourseError) as caught:
        LossLine("", "", **parts)
    assert caught.value.code == "elbo-loss-line" and next(iter(bad)) in caught.value.what


def test_table_shows_every_line():
    text = elbo.table()
    assert text.count("\n") == 1 + len(PUBLISHED)
    assert all(line.name in text for line in PUBLISHED)
    assert "| 392 |" in text and "0.6 (at σ = 1)" in text and "(no σ)" in text


def test_a_trial_is_the_same_each_time_and_fits_every_line():
    first, again = elbo.trial(12, 5, 4), elbo.trial(12, 5, 4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    x_hat, x, mean, log_var = first
    assert x_hat.shape == x.shape == (4, 12) and mean.shape == log_var.shape == (4, 5)
    assert ((x > 0) & (x < 1) & (x_hat > 0) & (x_hat < 1)).all() and x.dtype == torch.float64
