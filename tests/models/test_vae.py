"""The package's VAE against independent oracles: distributions, exact models, numerical integrals."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence
from torchvision.transforms import functional as pictures

from course_utils import runtime
from course_utils.datasets import standin_images
from course_utils.datasets.images import load_images
from course_utils.errors import CourseError
from course_utils.models import dcgan, shipped, vae
from course_utils.train import LESSONS
from course_utils.training.recipes import vae_laboratory
from course_utils.training.recipes.vae import train_vae
from course_utils.training.recipes.vae_laboratory import Recipe
from course_utils.training.settings import SETTINGS


@pytest.fixture
def network():
    torch.manual_seed(0)
    return vae.VAE(latent_dim=5, width=4).eval()


def images(count, seed=3):
    return torch.from_numpy(standin_images.render(count, seed)[0])


def test_formulas_equal_distributions():
    torch.manual_seed(1)
    mean, log_var, x = torch.randn(4, 3), torch.randn(4, 3), torch.randn(4, 3)
    q, prior = Normal(mean, (log_var / 2).exp()), Normal(torch.zeros(4, 3), torch.ones(4, 3))
    assert torch.allclose(
        vae.gaussian_kl(mean, log_var), kl_divergence(Independent(q, 1), Independent(prior, 1))
    )
    assert torch.allclose(vae.gaussian_nll(x, mean, log_var), -q.log_prob(x).sum(1), atol=1e-5)
    one = torch.tensor(0.7)
    expected = -Normal(mean, (one / 2).exp()).log_prob(x).sum(1)
    assert torch.allclose(vae.gaussian_nll(x, mean, one), expected, atol=1e-5)


def test_reparameterised_gradients():
    mean, log_var, noise = (torch.randn(6, 2, requires_grad=k < 2) for k in range(3))
    z = vae.reparameterise(mean, log_var, noise)
    by_mean, by_log_var = torch.autograd.grad(z.sum(), [mean, log_var])
    assert torch.equal(by_mean, torch.ones(6, 2))
    assert torch.allclose(by_log_var, (z - mean).detach() / 2, atol=1e-6)


def test_negative_elbo_on_a_model_whose_evidence_is_known():
    """z ~ N(0, 1), x | z ~ N(w z, s^2): with the true posterior the ELBO is log p(x), with another it is less."""
    w, s, x, count = 1.5, 0.5, 2.0, 400_000
    exact = Normal(0.0, math.hypot(w, s)).log_prob(torch.tensor(x))
    mean, variance = w * x / (w**2 + s**2), s**2 / (w**2 + s**2)
    noise = torch.randn(count, 1, generator=torch.Generator().manual_seed(0))

    def elbo(m, v):
        m, log_v = torch.full((count, 1), m), torch.full((count, 1), math.log(v))
        z = vae.reparameterise(m, log_v, noise)
        nll = vae.gaussian_nll(torch.full((count, 1), x), w * z, torch.tensor(2 * math.log(s)))
        return -vae.negative_elbo(nll, vae.gaussian_kl(m, log_v)).item()

    assert elbo(mean, variance) == pytest.approx(exact.item(), abs=0.01)
    gap = kl_divergence(
        Normal(mean + 0.4, (3 * variance) ** 0.5), Normal(mean, variance**0.5)
    ).item()
    assert elbo(mean + 0.4, 3 * variance) == pytest.approx(exact.item() - gap, abs=0.02)


def test_iwae_bound_of_equal_weights_and_far_from_zero():
    log_weights = torch.tensor([[-3000.0, 1.0], [-3001.0, 1.0]])
    by_hand = ((-3000 + math.log((1 + math.exp(-1)) / 2)) + 1) / 2
    assert vae.iwae_bound(log_weights).item() == pytest.approx(by_hand, rel=1e-6)


def test_log_weights_average_to_the_evidence(network):
    """With a decoder that ignores z the evidence is known, and the mean weight must be it for any encoder."""
    with torch.no_grad():
        for parameter in network.decoder.parameters():
            parameter.zero_()
        network.encoder[-1].weight.mul_(0.05)
    x = vae.dequantise(images(2), torch.Generator().manual_seed(0))
    exact = -vae.gaussian_nll(x, torch.zeros_like(x), network.log_var)
    log_w = vae.log_weights(network, x, 1000, torch.Generator().manual_seed(1))
    estimate = torch.logsumexp(log_w, 0) - math.log(1000)
    assert torch.allclose(estimate, exact, atol=0.1)
    assert log_w.mean() < exact.mean()


def test_bits_per_dim_of_a_flat_density_are_eight():
    nats = torch.tensor(3072 * math.log(256 / 127.5))  # uniform on an interval of 256 grey levels
    assert vae.bits_per_dim(nats, 3072).item() == pytest.approx(8.0, abs=1e-5)


def test_dequantised_bytes_stay_in_their_grey_level():
    every = torch.arange(256, dtype=torch.uint8).repeat(50)
    spread = vae.dequantise(every, torch.Generator().manual_seed(0))
    level = (spread.double() + 1) * 127.5
    assert ((level - every).abs() <= 0.5 + 1e-4).all()
    assert (level - every).std().item() == pytest.approx(12**-0.5, rel=0.02)
    assert torch.equal(
        dcgan.to_bytes(spread[(level - every).abs() < 0.49]), every[(level - every).abs() < 0.49]
    )


def test_bits_bound_the_bits_of_a_discretised_gaussian():
    bytes_, pixel = (
        torch.arange(60, 200, 7),
        Normal(torch.tensor(0.1).double(), torch.tensor(0.2).double()),
    )
    edge = [(bytes_.double() + shift) / 127.5 - 1 for shift in (-0.5, 0.5)]
    exact = -torch.log2(pixel.cdf(edge[1]) - pixel.cdf(edge[0]))
    spread = vae.dequantise(
        bytes_.to(torch.uint8).repeat(20_000, 1), torch.Generator().manual_seed(0)
    ).double()
    bound = vae.bits_per_dim(-pixel.log_prob(spread).mean(0), 1)
    assert (bound >= exact - 1e-3).all() and (bound - exact).max() < 1e-2


def test_heads_are_unbounded_linear_layers(network):
    assert isinstance(network.encoder[-1], torch.nn.Linear)
    with torch.no_grad():
        network.encoder[-1].weight.mul_(60)
        mean, log_var = network.encode(torch.rand(200, 3, 32, 32) * 2 - 1)
    assert min(mean.min(), log_var.min()) < -2 and max(mean.max(), log_var.max()) > 2


@pytest.mark.parametrize(("size", "hidden"), [(32, 0), (64, 0), (32, 7)])
def test_shapes(size, hidden):
    network = vae.VAE(6, 2, size=size, hidden=hidden)
    x = torch.rand(3, 3, size, size) * 2 - 1
    mean, log_var = network.encode(x)
    x_mean = network.decode(mean)
    assert (
        mean.shape == log_var.shape == (3, 6)
        and x_mean.shape == x.shape
        and x_mean.abs().max() <= 1
    )
    assert vae.losses(network, x, torch.randn(3, 6)).nll.shape == (3,)


def test_losses_are_the_elbo_of_the_network(network):
    x, noise = vae.dequantise(images(4), torch.Generator().manual_seed(2)), torch.randn(4, 5)
    parts = vae.losses(network, x, noise)
    mean, log_var = network.encode(x)
    z = mean + (log_var / 2).exp() * noise
    log_lik = Normal(network.decode(z), (network.log_var / 2).exp()).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(parts.nll, -log_lik, rtol=1e-4)
    assert torch.allclose(parts.kl_per_dim.sum(1), vae.gaussian_kl(mean, log_var))


def test_sigma_is_learned_or_fixed():
    x = vae.dequantise(images(64))
    for sigma in (None, 0.3):
        torch.manual_seed(0)
        network = vae.VAE(4, 2, sigma)
        optimizer = vae.make_optimizer(network, lr=3e-3)
        rows = [vae.vae_step(network, optimizer, x) for _ in range(40)]
        assert rows[-1]["nll"] + rows[-1]["kl"] < rows[0]["nll"] + rows[0]["kl"]
        assert (
            rows[-1]["sigma"] == pytest.approx(0.3, rel=1e-5) if sigma else rows[-1]["sigma"] < 0.8
        )
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(CourseError, match="standard deviation"):
            vae.VAE(4, 2, bad)


def test_noise_that_is_given_replaces_the_draws():
    ends = []
    for given in (False, True):
        torch.manual_seed(0)
        network = vae.VAE(4, 2)
        level, noise = (torch.rand(8, 3, 32, 32), torch.randn(8, 4)) if given else (None, None)
        x = vae.dequantise(images(8), noise=level)
        ends.append((x, vae.vae_step(network, vae.make_optimizer(network), x, noise=noise)))
    assert torch.equal(ends[0][0], ends[1][0]) and ends[0][1] == ends[1][1]


def test_free_bits_charge_nothing_below_the_limit():
    per_dim = torch.tensor([[0.1, 2.0], [0.3, 4.0]], requires_grad=True)
    cost = vae.free_bits_kl(per_dim, 0.5)
    assert cost.item() == pytest.approx(0.5 + 3.0)
    assert torch.autograd.grad(cost, per_dim)[0].tolist() == [[0.0, 0.5], [0.0, 0.5]]


def test_active_units_are_counted_by_the_spread_of_means():
    random = torch.Generator().manual_seed(0)
    spread = torch.tensor([1.0, 0.2, 0.05, 0.0])  # variances 1, 0.04, 0.0025, 0
    means = 5 + spread * torch.randn(4000, 4, generator=random)
    assert vae.active_units(means) == 2


def test_evaluation_is_independent_of_batch_mates(network):
    some = images(9)
    alone, together = (
        vae.encode_means(network, some[:1])[0],
        vae.encode_means(network, some, batch_size=4)[0][:1],
    )
    assert torch.allclose(alone, together, atol=1e-5)
    z = torch.randn(6, 5)
    assert torch.equal(
        vae.decode_bytes(network, z[:1]), vae.decode_bytes(network, z, batch_size=4)[:1]
    )


@pytest.mark.parametrize("decoder_only", [False, True])
def test_shipping_and_loading(network, decoder_only, own_data):
    contents = vae.contents(network, {"data": "drawn", "steps": 3}, decoder_only)
    shipped.write("vae_try", *contents)
    loaded, facts = vae.load_shipped("vae_try")
    assert facts["data"] == "drawn" and facts["steps"] == 3 and not loaded.training
    z = torch.randn(4, 5)
    difference = vae.decode_bytes(loaded, z).int() - vae.decode_bytes(network, z).int()
    assert difference.abs().max() <= 2  # half precision
    assert (loaded.encoder is None) == decoder_only
    with pytest.raises(CourseError, match="vae_try"):
        vae.load_shipped("vae_none")


def test_training_resumes_exactly(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_TIER", "smoke")
    data = load_images("standin", limit=96)
    settings = {**SETTINGS["vae"]["smoke"], "steps": 6}
    whole, last = train_vae(runtime.setup(5, quiet=True), data, tmp_path / "whole", settings)
    train_vae(runtime.setup(5, quiet=True), data, tmp_path / "cut", {**settings, "steps": 4})
    run = runtime.setup(5, quiet=True)
    torch.manual_seed(
        77
    )  # whatever the process has drawn since, the checkpoint brings its own state
    cut, _ = train_vae(run, data, tmp_path / "cut", settings)
    assert set(last) == {"nll", "kl", "sigma"} and LESSONS["vae"].train is train_vae
    assert whole.history == cut.history and whole.weights_sha256 == cut.weights_sha256


# ---- the laboratory


def test_recipes_make_the_losses_that_they_name():
    torch.manual_seed(0)
    x, x_mean = torch.rand(5, 3, 4, 4), torch.rand(5, 3, 4, 4)
    kl = torch.rand(5, 2)
    parts = vae.Losses(vae.gaussian_nll(x, x_mean, torch.tensor(0.0)), kl)
    constant = math.log(2 * math.pi)
    collapsed = Recipe(1.0, mean_error=True).loss(parts, 48, 1.0)
    assert collapsed.item() == pytest.approx(
        ((x - x_mean) ** 2).mean().item() + constant + kl.sum(1).mean().item(), rel=1e-5
    )
    assert Recipe(1.0).loss(parts, 48, 0.2).item() == pytest.approx(
        (parts.nll + kl.sum(1)).mean().item(), rel=1e-6
    )
    half_way = Recipe(1.0, warm_up=0.5).loss(parts, 48, 0.25)
    assert half_way.item() == pytest.approx((parts.nll + 0.5 * kl.sum(1)).mean().item(), rel=1e-6)
    free = Recipe(1.0, free_nats=3.0).loss(parts, 48, 1.0)
    assert free.item() == pytest.approx(parts.nll.mean().item() + 6.0, rel=1e-6)


def test_the_mean_error_recipe_collapses_and_the_learned_sigma_does_not():
    data = load_images("standin", limit=512).images
    found = {}
    for name, recipe in {"mean": Recipe(1.0, mean_error=True), "learned": Recipe()}.items():
        network = vae_laboratory.train_recipe(recipe, data, seed=0, steps=70, latent_dim=8, width=4)
        found[name] = vae_laboratory.examine(network, data[:200])
    assert found["mean"]["kl"] < 0.5 < 5 < found["learned"]["kl"]
    assert found["learned"]["active"] == 8 > found["mean"]["active"]
    assert (
        found["learned"]["error"] < found["mean"]["error"]
        and found["learned"]["bits"] < found["mean"]["bits"]
    )


def test_a_loss_line_trains_as_the_recipe_that_it_writes_out():
    """Pixels of [0, 1], as lines take them: the summed squares over twice 0.1 squared are sigma 0.2 on [-1, 1]."""
    data = load_images("standin", limit=256).images

    def line(x_hat, x, mean, log_var):
        squares = (x - x_hat).square().flatten(1).sum(1) / (2 * 0.1**2)
        return (squares + vae.gaussian_kl(mean, log_var)).mean()

    by_line = vae_laboratory.train_line(line, data, seed=0, steps=40, latent_dim=4, width=4)
    by_recipe = vae_laboratory.train_recipe(
        Recipe(0.2), data, seed=0, steps=40, latent_dim=4, width=4
    )
    ours, theirs = (vae_laboratory.examine(net, data[:100]) for net in (by_line, by_recipe))
    assert ours["kl"] == pytest.approx(theirs["kl"], rel=0.3) and theirs["kl"] > 5
    assert ours["error"] == pytest.approx(theirs["error"], rel=0.1)
    again = vae_laboratory.train_line(line, data, seed=0, steps=40, latent_dim=4, width=4)
    assert all(map(torch.equal, again.parameters(), by_line.parameters()))


def test_a_line_sees_pictures_of_zero_to_one():
    seen = []

    def line(x_hat, x, mean, log_var):
        seen.append((x_hat.detach(), x))
        return (x - x_hat).square().mean() + mean.square().mean()

    data = load_images("standin", limit=8).images
    vae_laboratory.train_line(line, data, seed=0, steps=2, latent_dim=3, width=2, batch_size=8)
    for x_hat, x in seen:
        assert x.shape == x_hat.shape == data.shape and 0 <= x.min() < 0.3 < 0.7 < x.max() <= 1
        assert 0 <= x_hat.min() < x_hat.max() <= 1
    assert len(seen) == 2


def test_the_laboratory_trains_on_fewer_pictures_than_a_batch():
    data = load_images("standin", limit=3).images
    network = vae_laboratory.train_recipe(
        vae_laboratory.Recipe(), data, seed=0, steps=3, latent_dim=4, width=4, batch_size=64
    )
    assert vae.encode_means(network, data)[0].isfinite().all()


def test_only_place_varies_in_the_moving_hearts():
    hearts = vae_laboratory.moving_hearts(40, "test")
    assert hearts.is_standin and set(hearts.labels.tolist()) == {vae_laboratory.HEART}
    varying = {name for name, values in hearts.factors.items() if values.unique().numel() > 1}
    assert varying == {"x", "y"}
    reds = (hearts.images[:, 0].float() - hearts.images[:, 2].float() > 60).float()  # (N, H, W)
    columns = (reds.sum(1) * torch.arange(32)).sum(1) / reds.sum((1, 2))
    assert torch.corrcoef(torch.stack([columns, hearts.factors["x"].float()]))[0, 1] > 0.98
    assert not torch.equal(hearts.images, vae_laboratory.moving_hearts(40, "train").images)
    assert pictures.get_image_size(hearts.images[0]) == [32, 32]


def test_a_plane_is_read_with_the_places_that_are_known(monkeypatch):
    hearts = vae_laboratory.moving_hearts(200, "test")
    x, y = (hearts.factors[name].float() for name in ("x", "y"))
    codes = torch.stack([-5 * (y - y.mean()), x - x.mean()], dim=1)  # turned, and one axis too long
    monkeypatch.setattr(vae, "encode_means", lambda *_: (codes, None))
    found = vae_laboratory.read_plane(vae.VAE(2, 2), hearts, reach=1.0)
    assert found["x"] == pytest.approx(1.0) and found["y"] == pytest.approx(1.0)
    assert found["inside"] == pytest.approx((codes.abs() < 1).all(1).float().mean().item())
    assert found["spread"] == pytest.approx(codes.std().item())
