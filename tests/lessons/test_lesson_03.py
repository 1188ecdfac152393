"""The code of lesson 03, taken from its source, against the package and against independent oracles."""

import ast
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from course_utils.authoring.lessons import load_definitions
from course_utils.datasets import standin_images
from course_utils.evaluation.elbo import PUBLISHED, effective_beta, measured_beta, trial
from course_utils.models import vae
from course_utils.training.settings import SETTINGS


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("03_vae_elbo")
    module.size = 32
    return module


@pytest.fixture(scope="module")
def images():
    return vae.dequantise(
        torch.from_numpy(standin_images.render(10, 5)[0]), torch.Generator().manual_seed(0)
    )


def test_the_lessons_functions_and_the_packages_agree(lesson):
    random = torch.Generator().manual_seed(1)
    mean, log_var, noise = (torch.randn(7, 4, generator=random) for _ in range(3))
    assert torch.allclose(
        lesson.reparameterise(mean, log_var, noise), vae.reparameterise(mean, log_var, noise)
    )
    assert torch.allclose(lesson.gaussian_kl(mean, log_var), vae.gaussian_kl(mean, log_var))
    one = torch.tensor(-2.0)
    nll = lesson.gaussian_nll(noise, mean, one)
    assert torch.allclose(nll, vae.gaussian_nll(noise, mean, one))
    kl = lesson.gaussian_kl(mean, log_var)
    assert lesson.negative_elbo(nll, kl, 3.0) == vae.negative_elbo(nll, kl, 3.0)
    assert torch.allclose(lesson.iwae_bound(100 * noise), vae.iwae_bound(100 * noise))
    assert lesson.bits_per_dim(6000.0, 3072) == pytest.approx(
        vae.bits_per_dim(torch.tensor(6000.0), 3072).item()
    )


def test_the_lessons_network_is_the_packages(lesson, images):
    torch.manual_seed(0)
    own, package = lesson.VAE(6, 4), vae.VAE(6, 4)
    package.load_state_dict(own.state_dict())
    for ours, theirs in zip(own.encode(images), package.encode(images), strict=True):
        assert torch.equal(ours, theirs)
    z = torch.randn(3, 6)
    assert torch.equal(own.decode(z), package.decode(z))


def test_the_lessons_step_is_the_packages(lesson, images):
    torch.manual_seed(0)
    own, package = lesson.VAE(6, 4), vae.VAE(6, 4)
    package.load_state_dict(own.state_dict())
    ours, theirs = vae.make_optimizer(own), vae.make_optimizer(package)
    random = torch.Generator().manual_seed(9)
    for _ in range(3):
        noise = torch.randn(len(images), 6, generator=random)
        found = lesson.train_step(own, ours, images, noise, 0.7, nullcontext)
        expected = vae.vae_step(package, theirs, images, 0.7, nullcontext, noise)
        assert found == pytest.approx(expected, rel=1e-4)


def test_the_step_descends_the_negative_elbo_of_distributions(lesson, images):
    """The oracle is made of torch.distributions alone; SGD, because Adam hides a wrong scale."""
    torch.manual_seed(3)
    network = lesson.VAE(6, 2).eval()  # evaluation mode: BatchNorm without memory
    reference = vae.VAE(6, 2).eval()
    reference.load_state_dict(network.state_dict())
    noise = torch.randn(len(images), 6, generator=torch.Generator().manual_seed(4))
    sgd = torch.optim.SGD(network.parameters(), 1.0)
    lesson.train_step(network, sgd, images, noise, 2.5, nullcontext)
    mean, log_var = reference.encode(images)
    q, prior = (
        Normal(mean, (log_var / 2).exp()),
        Normal(torch.zeros_like(mean), torch.ones_like(mean)),
    )
    x_mean = reference.decode(mean + q.stddev * noise)
    log_lik = Independent(Normal(x_mean, (reference.log_var / 2).exp()), 3).log_prob(images)
    kl = kl_divergence(Independent(q, 1), Independent(prior, 1))
    (2.5 * kl - log_lik).mean().backward()
    for (name, ours), theirs in zip(
        network.named_parameters(), reference.parameters(), strict=True
    ):
        step, gradient = theirs.detach() - ours.detach(), theirs.grad  # with a learning rate of 1
        assert torch.allclose(
            step, gradient, rtol=1e-3, atol=1e-4 * gradient.abs().max().item() + 1e-6
        ), name
        assert step.any(), name


def test_the_linear_gaussian_identity_holds_in_any_setting(lesson):
    for values in ((1.5, 0.5, 2.0), (-0.7, 1.1, 0.3), (3.0, 0.2, -4.0)):
        w, s, x = (torch.tensor(value, dtype=torch.float64) for value in values)
        m, v = torch.linspace(-3, 3, 50).double(), torch.linspace(0.02, 4, 50).double()
        posterior = Normal(w * x / (w**2 + s**2), s / torch.hypot(w, s))
        gap = kl_divergence(Normal(m, v.sqrt()), posterior)
        exact = Normal(torch.zeros_like(x), torch.hypot(w, s)).log_prob(x)
        assert (lesson.linear_elbo(m, v, x, w, s) + gap - exact).abs().max() < 1e-6


def test_my_line_is_the_collapsing_one(lesson):
    assert measured_beta(lesson.my_line, 3072, 64, "squared") == pytest.approx(1536)
    assert [round(effective_beta(line), 3) for line in PUBLISHED] == [1.0, 392.0, 1.536, 0.6]


def test_the_published_lines_as_functions_are_those_of_the_accounting(lesson):
    lines = (
        lesson.pytorch_examples,
        lesson.keras_blog,
        lesson.pytorch_vae,
        lesson.lightning_bolts,
    )
    for line, words in zip(lines, PUBLISHED, strict=True):
        found = measured_beta(line, words.dims, words.latent_dim, words.likelihood)
        assert found == pytest.approx(effective_beta(words)), words.name
        nll = lesson.squared if words.likelihood == "squared" else lesson.crossed
        inputs = trial(words.dims, words.latent_dim)
        assert lesson.beta_of(line, nll, *inputs) == pytest.approx(found, rel=1e-5), words.name


@pytest.mark.parametrize(("dims", "latents", "batch"), [(3072, 16, 8), (784, 20, 3), (50, 2, 1)])
def test_the_repaired_line_has_beta_one_at_every_size(lesson, dims, latents, batch):
    found = measured_beta(
        lesson.repaired_line, dims, latents, "squared", sigma=0.1, batch_size=batch
    )
    assert found == pytest.approx(1.0)


def test_free_bits_are_the_packages(lesson):
    random = torch.Generator().manual_seed(2)
    mean, log_var = (torch.randn(9, 5, generator=random) for _ in range(2))
    x, x_hat = torch.rand(9, 12, generator=random), torch.rand(9, 12, generator=random)
    ours = lesson.free_bits(x_hat, x, mean, log_var, free=0.6) - (x - x_hat).square().mean()
    theirs = vae.free_bits_kl(vae.gaussian_kl_per_dim(mean, log_var), 0.6)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_pictures_are_dequantised_as_in_the_package(lesson):
    pictures = torch.arange(256, dtype=torch.uint8)
    noise = torch.rand(256, generator=torch.Generator().manual_seed(3))
    assert torch.equal(lesson.dequantise(pictures, noise), vae.dequantise(pictures, noise=noise))


def test_the_lessons_weights_are_the_packages(lesson, images):
    network = vae.VAE(6, 4).eval()
    random = torch.Generator().manual_seed(4)
    noise = torch.stack([torch.randn(len(images), 6, generator=random) for _ in range(3)])
    with torch.no_grad():
        ours = lesson.log_weights(network, images, noise)
    theirs = vae.log_weights(network, images, 3, torch.Generator().manual_seed(4))
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-2)
    assert ours.shape == (3, len(images))


def test_a_draw_lies_around_the_mean_by_sigma(lesson):
    network = vae.VAE(6, 4, sigma=0.1).eval()
    random = torch.Generator().manual_seed(6)
    z, noise = torch.randn(40, 6, generator=random), torch.randn(40, 3, 32, 32, generator=random)
    with torch.no_grad():
        apart = lesson.sample(network, z, noise) - network.decode(z)
    assert apart.std().item() == pytest.approx(0.1, rel=0.03)


def test_no_log_var_costs_less_than_the_best(lesson):
    random = torch.Generator().manual_seed(7)
    x, mean = (torch.rand(5, 3, 4, 4, generator=random) for _ in range(2))
    tried = torch.linspace(-6, 3, 2001)
    costs = torch.stack([lesson.gaussian_nll(x, mean, one).mean() for one in tried])
    assert lesson.best_log_var(x, mean).item() == pytest.approx(
        tried[costs.argmin()].item(), abs=0.01
    )


def test_no_q_beats_the_posterior(lesson):
    x, w, s = (torch.tensor(v, dtype=torch.float64) for v in (-0.7, 1.1, 0.6))
    mean, variance = lesson.linear_posterior(x, w, s)
    m = mean + torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None]
    v = variance * torch.linspace(0.2, 3, 57, dtype=torch.float64)
    best = lesson.linear_elbo(mean, variance, x, w, s)
    assert (lesson.linear_elbo(m, v, x, w, s) <= best + 1e-9).all()
    assert best.item() == pytest.approx(
        Normal(0.0, (w**2 + s**2).sqrt().item()).log_prob(x).item(), abs=1e-6
    )


def test_settings_are_those_of_the_command_line():
    source = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "03_vae_elbo.py"
    picked = {}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Attribute(attr="pick"), args=values),
            ):
                picked[name] = [ast.literal_eval(value) for value in values]
    names = {"steps": "steps", "batch_size": "batch_size", "n_images": "images", "width": "width"}
    for tier, column in {"smoke": 0, "laptop": 1, "gpu": 2}.items():
        assert {n: picked[n][column] for n in names} == {
            n: SETTINGS["vae"][tier][k] for n, k in names.items()
        }
        assert SETTINGS["vae"][tier]["latent_dim"] == 64
