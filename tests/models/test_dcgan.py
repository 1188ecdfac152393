"""The package's DCGAN: shapes, the training step against an oracle of its own, sampling, interpolation."""

from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from course_utils.errors import CourseError
from course_utils.models import dcgan


def players(size=32, seed=0):
    torch.manual_seed(seed)
    networks = dcgan.make_generator(6, 4, 3, size), dcgan.make_discriminator(4, 3, size)
    for network in networks:
        network.apply(dcgan.init_dcgan_weights)
        for (
            parameter
        ) in network.parameters():  # far from the symmetric start, where a wrong loss looks right
            parameter.data.mul_(3.0)
    return networks


def batches(steps, real=7, noise=4):
    generator = torch.Generator().manual_seed(5)
    for _ in range(steps):
        yield (
            torch.rand(real, 3, 32, 32, generator=generator) * 2 - 1,
            torch.randn(noise, 6, 1, 1, generator=generator),
        )


# Networks


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize(
    ("latent_dim", "width", "channels", "batch"), [(100, 8, 3, 2), (128, 4, 1, 5), (7, 3, 3, 1)]
)
def test_shapes(size, latent_dim, width, channels, batch):
    generator = dcgan.make_generator(latent_dim, width, channels, size)
    images = generator(torch.randn(batch, latent_dim, 1, 1))
    assert images.shape == (batch, channels, size, size)
    assert images.abs().max() <= 1
    assert dcgan.make_discriminator(width, channels, size)(images).shape == (batch,)


def test_numbers_of_parameters_at_width_64():
    count = [
        sum(p.numel() for p in n.parameters())
        for n in (dcgan.make_generator(), dcgan.make_discriminator())
    ]
    assert count == [1_068_928, 663_296]


def test_maps_of_the_generator():
    """256 maps of 4x4, 128 of 8x8, 64 of 16x16, then the image; and pixels of one 4x4 cell differ (no upsampling)."""
    generator, shapes = dcgan.make_generator(), []
    for layer in generator:
        if isinstance(layer, nn.ConvTranspose2d):
            layer.register_forward_hook(lambda layer, x, y: shapes.append(tuple(y.shape[1:])))
    image = generator(torch.randn(2, 100, 1, 1))
    assert shapes == [(256, 4, 4), (128, 8, 8), (64, 16, 16), (3, 32, 32)]
    assert image[0, 0, :4, :4].unique().numel() == 16


def test_the_papers_rules():
    generator, discriminator = dcgan.make_generator(), dcgan.make_discriminator()
    kinds = [[type(layer).__name__ for layer in network] for network in (generator, discriminator)]
    assert kinds[0] == ["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 3 + ["ConvTranspose2d", "Tanh"]
    later = ["Conv2d", "BatchNorm2d", "LeakyReLU"] * 2
    assert kinds[1] == ["Conv2d", "LeakyReLU", *later, "Conv2d", "Flatten"]
    assert {layer.negative_slope for layer in discriminator if isinstance(layer, nn.LeakyReLU)} == {
        0.2
    }


@pytest.mark.parametrize("make", [dcgan.make_generator, dcgan.make_discriminator])
def test_another_size_is_named(make):
    with pytest.raises(CourseError, match="48 pixels") as caught:
        make(size=48)
    assert caught.value.code == "dcgan-size"


def test_initialisation():
    torch.manual_seed(0)
    layers = nn.Conv2d(64, 64, 4), nn.ConvTranspose2d(64, 64, 4), nn.BatchNorm2d(10_000)
    for layer, mean in zip(layers, (0.0, 0.0, 1.0), strict=True):
        nn.init.constant_(layer.bias, 9.0)
        layer.apply(dcgan.init_dcgan_weights)
        assert layer.weight.mean().item() == pytest.approx(mean, abs=1e-3)
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()
    linear = nn.Linear(3, 3)
    before = deepcopy(linear.state_dict())
    linear.apply(dcgan.init_dcgan_weights)
    assert all(torch.equal(before[k], v) for k, v in linear.state_dict().items())


# Ranges


def test_all_256_values_survive_the_round_trip():
    every = torch.arange(256, dtype=torch.uint8).reshape(2, 1, 8, 16)
    there = dcgan.to_tanh_range(every)
    assert (there.dtype, there.shape) == (torch.float32, every.shape)
    assert (there.min().item(), there.max().item()) == (-1.0, 1.0)
    assert torch.equal(dcgan.to_bytes(there), every)
    assert torch.equal(dcgan.to_bytes(there.double()), every)


def test_to_bytes_rounds_and_never_wraps():
    given = torch.tensor([-1.1, -1.0, 0.0, 0.0039, 1.0, 1.1])
    assert dcgan.to_bytes(given).tolist() == [0, 0, 128, 128, 255, 255]
    grey = torch.full((2, 3, 4, 4), 0.2)
    assert dcgan.to_bytes(grey).unique().tolist() == [
        153
    ]  # a grey image stays grey: no stretching by minimum, maximum


# The step, against gradients written out with torch.autograd.grad and labels, with SGD so that scale errors show


def oracle(
    networks,
    data,
    rates=(0.3, 0.2),
    detached=True,
    updated=True,
    saturating=False,
    labels=(1.0, 0.0),
):
    """Parameters after plain gradient steps of both players, and the losses; the flags make the usual mistakes."""
    g_net, d_net = (deepcopy(network) for network in networks)
    g, d = (
        {k: v.detach().clone().requires_grad_() for k, v in n.named_parameters()}
        for n in (g_net, d_net)
    )

    def cross_entropy(parameters, images, label):
        logits = functional_call(d_net, parameters, (images,))
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    losses = []
    for real, noise in data:
        fake = functional_call(g_net, g, (noise,))
        d_loss = cross_entropy(d, real, labels[0]) + cross_entropy(d, fake, labels[1])
        gradients = torch.autograd.grad(d_loss, [*d.values(), *g.values()], retain_graph=True)
        slopes = dict(
            zip(d, gradients, strict=False)
        )  # the first of them; the rest are the generator's
        new_d = {k: (v - rates[1] * slopes[k]).detach().requires_grad_() for k, v in d.items()}
        judge = new_d if updated else d
        g_loss = -cross_entropy(judge, fake, 0.0) if saturating else cross_entropy(judge, fake, 1.0)
        steps = list(torch.autograd.grad(g_loss, list(g.values())))
        if not detached:
            steps = [a + b for a, b in zip(steps, gradients[len(d) :], strict=True)]
        g = {
            k: (v - rates[0] * s).detach().requires_grad_()
            for (k, v), s in zip(g.items(), steps, strict=True)
        }
        d = new_d
        losses.append((d_loss.item(), g_loss.item()))
    return g, d, losses


def stepped(networks, data, rates=(0.3, 0.2), spoil=None):
    g_net, d_net = (deepcopy(network) for network in networks)
    optimizers = [
        torch.optim.SGD(n.parameters(), lr) for n, lr in zip((g_net, d_net), rates, strict=True)
    ]
    rows = []
    for real, noise in data:
        if spoil:
            spoil(g_net, d_net)
        rows.append(dcgan.dcgan_step(g_net, d_net, *optimizers, real, noise))
    return g_net, d_net, rows


def distance(networks, wanted):
    """Largest relative difference of a parameter tensor of either network."""
    pairs = [
        (p, w[k]) for n, w in zip(networks, wanted, strict=True) for k, p in n.named_parameters()
    ]
    return max(((p - w).norm() / w.norm()).item() for p, w in pairs)


def test_three_steps_equal_the_oracle():
    networks = players()
    g_net, d_net, rows = stepped(networks, batches(3))
    g, d, losses = oracle(networks, batches(3))
    assert distance((g_net, d_net), (g, d)) < 1e-4
    for row, (d_loss, g_loss) in zip(rows, losses, strict=True):
        assert (row["d_loss"], row["g_loss"]) == (
            pytest.approx(d_loss, rel=1e-4),
            pytest.approx(g_loss, rel=1e-4),
        )


@pytest.mark.parametrize(
    "mistake",
    [
        {"detached": False},
        {"updated": False},
        {"saturating": True},
        {"labels": (0.0, 1.0)},
        {"rates": (0.3, 0.1)},
    ],
    ids=str,
)
def test_the_oracle_tells_the_usual_mistakes_apart(mistake):
    networks = players()
    g_net, d_net, _ = stepped(networks, batches(3))
    assert distance((g_net, d_net), oracle(networks, batches(3), **mistake)[:2]) > 1e-3


def test_reported_probabilities_are_those_before_the_discriminators_step():
    networks = players()
    (real, noise), *_ = batches(1)
    g_net, d_net = (deepcopy(network) for network in networks)
    with torch.no_grad():
        fake = g_net(noise)
        d_real, d_fake = (d_net(x).sigmoid().mean().item() for x in (real, fake))
    row = stepped(networks, [(real, noise)])[2][0]
    assert row["d_real"] == pytest.approx(d_real, rel=1e-5)
    assert row["d_fake"] == pytest.approx(d_fake, rel=1e-5)
    assert set(row) == {"d_loss", "g_loss", "d_real", "d_fake"}


def test_stale_gradients_do_not_leak():
    def spoil(*networks):
        for network in networks:
            for parameter in network.parameters():
                parameter.grad = torch.full_like(parameter, 1e3)

    networks = players()
    clean, spoiled = stepped(networks, batches(3)), stepped(networks, batches(3), spoil=spoil)
    for a, b in zip(clean[:2], spoiled[:2], strict=True):
        assert all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def test_generators_step_leaves_no_gradient_in_the_discriminator():
    networks = players()
    _, d_net, _ = stepped(networks, batches(1), rates=(0.3, 0.0))
    (real, noise), *_ = batches(1)
    g, d = networks[0], networks[1]
    loss = -F.logsigmoid(d(real)).mean() - F.logsigmoid(-d(g(noise).detach())).mean()
    wanted = torch.autograd.grad(loss, list(d.parameters()))
    assert all(
        torch.allclose(p.grad, w, atol=1e-6)
        for p, w in zip(d_net.parameters(), wanted, strict=True)
    )


def test_slope_of_the_generators_loss_where_the_discriminator_is_sure():
    """Non-saturating: at logit -8 the slope is about -1 for each image's share; the saturating loss has almost none."""

    class Sure(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            return x.flatten(1).sum(1) - 8 + self.shift

    g_net, d_net = nn.ConvTranspose2d(1, 1, 1), Sure()
    nn.init.zeros_(g_net.weight)
    nn.init.zeros_(g_net.bias)
    optimizers = torch.optim.SGD(g_net.parameters(), 1.0), torch.optim.SGD(d_net.parameters(), 0.0)
    dcgan.dcgan_step(g_net, d_net, *optimizers, torch.zeros(2, 1, 1, 1), torch.ones(5, 1, 1, 1))
    assert g_net.bias.item() == pytest.approx(1.0, abs=1e-3)


def test_discriminator_is_unfrozen_after_an_error_in_the_generators_step():
    g_net, d_net = players()
    optimizers = [torch.optim.SGD(n.parameters(), 0.1) for n in (g_net, d_net)]
    entered = []

    @contextmanager
    def stop_the_second_time():
        entered.append(1)
        if len(entered) == 2:
            raise KeyboardInterrupt
        yield

    (real, noise), *_ = batches(1)
    with pytest.raises(KeyboardInterrupt):
        dcgan.dcgan_step(g_net, d_net, *optimizers, real, noise, stop_the_second_time)
    assert all(p.requires_grad for p in d_net.parameters())
    dcgan.dcgan_step(g_net, d_net, *optimizers, real, noise)


def test_layers_that_were_frozen_before_stay_frozen():
    g_net, d_net = players()
    d_net[0].requires_grad_(False)
    optimizers = (
        torch.optim.SGD(g_net.parameters(), 0.1),
        torch.optim.SGD(d_net[1:].parameters(), 0.1),
    )
    (real, noise), *_ = batches(1)
    dcgan.dcgan_step(g_net, d_net, *optimizers, real, noise)
    assert not d_net[0].weight.requires_grad
    assert d_net[2].weight.requires_grad


@pytest.mark.parametrize(("real", "noise"), [(1, 1), (1, 5), (5, 2)])
def test_any_two_batch_sizes(real, noise):
    assert all(
        np.isfinite(list(row.values())).all()
        for row in stepped(players(), batches(2, real, noise))[2]
    )


def test_both_players_learn_what_the_paper_says():
    """On data that are easy to tell apart: D learns first; with D's rate at 0, G learns to be called real."""
    torch.manual_seed(0)
    bright = [
        (torch.full((8, 3, 32, 32), 0.9) + 0.05 * torch.randn(8, 3, 32, 32), n)
        for _, n in batches(40, 8, 8)
    ]
    networks = players()
    d_rows = stepped(networks, bright, rates=(0.0, 0.1))[2]
    assert d_rows[-1]["d_real"] > 0.9
    assert d_rows[-1]["d_fake"] < 0.1
    g_rows = stepped(networks, bright, rates=(0.1, 0.0))[2]
    assert g_rows[-1]["d_fake"] > g_rows[0]["d_fake"]


# Sampling


def test_samples_depend_on_their_own_latent_vector_only():
    generator = players()[0]
    noise = torch.randn(9, 6, 1, 1)
    before = deepcopy(generator.state_dict())
    images = dcgan.sample(generator, noise)
    assert (images.dtype, images.shape) == (torch.uint8, (9, 3, 32, 32))
    for other in (
        dcgan.sample(generator, noise[3:4]),
        dcgan.sample(generator, noise, batch_size=2)[3:4],
    ):
        assert (
            other.int() - images[3:4].int()
        ).abs().max() <= 1  # other sums may round to the next grey level
    assert all(torch.equal(before[k], v) for k, v in generator.state_dict().items())
    with torch.no_grad():  # in training mode the batch would matter: the test above can fail
        alone, beside = generator(noise[3:4]), generator(noise)[3:4]
    assert (dcgan.to_bytes(alone).int() - dcgan.to_bytes(beside).int()).abs().max() > 1


@pytest.mark.parametrize("fails", [False, True])
def test_sample_gives_every_layers_mode_back(fails):
    generator = players()[0].train()
    generator[1].eval()
    modes = [module.training for module in generator.modules()]
    noise = torch.randn(2, 5 if fails else 6, 1, 1)
    if fails:
        with pytest.raises(RuntimeError):
            dcgan.sample(generator, noise)
    else:
        dcgan.sample(generator, noise)
    assert [module.training for module in generator.modules()] == modes
    assert modes.count(False) == 1


def test_shipped_generator():
    """It must ship: a missing file is a failure, and not a skip."""
    generator, facts = dcgan.load_shipped_generator()
    assert {"data", "steps", "epochs", "seed", "latent_dim", "width"} <= set(facts)
    assert "stand-in" not in facts["data"]
    assert int(facts["steps"]) > 0
    assert not generator.training
    state = generator.state_dict().values()
    assert all(bool(v.isfinite().all()) and v.dtype in (torch.float32, torch.int64) for v in state)
    noise = torch.randn(
        16, int(facts["latent_dim"]), 1, 1, generator=torch.Generator().manual_seed(0)
    )
    images = dcgan.sample(generator, noise).float()
    assert images.shape == (16, 3, 32, 32)
    assert images.std(dim=(1, 2, 3)).min() > 5  # no image is flat
    assert images.std(dim=0).mean() > 20  # and they are not all one image


# Slerp


def rotated(z0, z1, t):
    """The same path built another way: turn z0's direction towards z1's in their plane, then put the lengths back."""
    z0, z1 = z0.astype(np.float64), z1.astype(np.float64)
    u0, u1 = z0 / np.linalg.norm(z0), z1 / np.linalg.norm(z1)
    side = u1 - (u1 @ u0) * u0
    angle = np.arctan2(np.linalg.norm(side), u1 @ u0)
    turned = np.cos(t * angle) * u0 + np.sin(t * angle) * side / np.linalg.norm(side)
    shares, *_ = np.linalg.lstsq(np.stack([u0, u1], axis=1), turned, rcond=None)
    return shares[0] * z0 + shares[1] * z1


@pytest.mark.parametrize("t", [0.0, 0.1, 0.37, 0.5, 0.9, 1.0, 0, 1])
def test_slerp_equals_a_rotation(t):
    generator = torch.Generator().manual_seed(2)
    z0, z1 = torch.randn(5, 100, generator=generator), 3 * torch.randn(5, 100, generator=generator)
    wanted = np.stack([rotated(a, b, t) for a, b in zip(z0.numpy(), z1.numpy(), strict=True)])
    np.testing.assert_allclose(dcgan.slerp(z0, z1, t).numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_slerp_returns_the_ends_as_given_and_as_copies():
    z0, z1 = torch.randn(3, 8), torch.randn(3, 8)
    start = dcgan.slerp(z0, z1, 0.0)
    assert torch.equal(start, z0)
    assert torch.equal(dcgan.slerp(z0, z1, 1.0), z1)
    start += 1
    assert not torch.equal(start, z0)


def test_slerp_of_parallel_rows_is_the_straight_line_in_those_rows_only():
    torch.manual_seed(0)
    z0 = torch.randn(4, 50)
    z1 = torch.stack([z0[0], 2 * z0[1], -z0[2], torch.randn(50)])
    middle = dcgan.slerp(z0, z1, 0.25)
    assert torch.isfinite(middle).all()
    torch.testing.assert_close(middle[:2], 0.75 * z0[:2] + 0.25 * z1[:2], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        middle[3].numpy(), rotated(z0[3].numpy(), z1[3].numpy(), 0.25), rtol=1e-3, atol=1e-4
    )


def test_slerp_keeps_the_length_where_lerp_loses_it():
    z = torch.randn(2, 200, 100, generator=torch.Generator().manual_seed(1))
    assert dcgan.slerp(z[0], z[1], 0.5).norm(dim=1).mean() == pytest.approx(10, rel=0.02)
    assert ((z[0] + z[1]) / 2).norm(dim=1).mean() == pytest.approx(50**0.5, rel=0.02)
