"""The small GANs of lesson 08: each loss against a formula of its own, and batched games against single ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.models import gan_losses, plane_gan
from course_utils.models.stacked import StackedLinear


def by_hand(name: str, real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Both losses in float64, from the papers' formulas."""

    def log_d(a: np.ndarray) -> np.ndarray:
        return -np.logaddexp(0, -a)

    cross = -(log_d(real).mean() + log_d(-fake).mean())
    lead = real - fake
    return {
        "saturating": (cross, log_d(-fake).mean()),
        "non-saturating": (cross, -log_d(fake).mean()),
        "least squares": (
            0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(),
            0.5 * ((fake - 1) ** 2).mean(),
        ),
        "Wasserstein": (fake.mean() - real.mean(), -fake.mean()),
        "hinge": (
            np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(),
            -fake.mean(),
        ),
        "relativistic": (np.logaddexp(0, -lead).mean(), np.logaddexp(0, lead).mean()),
    }[name]


@pytest.mark.parametrize("name", gan_losses.GAMES)
def test_each_game_is_its_formula(name):
    torch.manual_seed(0)
    real, fake = 3 * torch.randn(2, 50, dtype=torch.float64)
    ours = [loss.item() for loss in gan_losses.GAMES[name](real, fake)]
    assert ours == pytest.approx(by_hand(name, real.numpy(), fake.numpy()))


def test_slopes_of_a_plane_and_of_a_paraboloid():
    torch.manual_seed(0)
    x, w = torch.randn(2, 5, 3), torch.tensor([1.0, -2.0, 2.0])
    assert torch.allclose(gan_losses.squared_slopes(lambda p: p @ w, x), torch.full((2, 5), 9.0))
    bowl = gan_losses.squared_slopes(lambda p: p.square().sum(-1), x)
    assert torch.allclose(bowl, 4 * x.square().sum(-1))
    alpha = torch.rand(2, 5, 1)
    apart = gan_losses.one_centred(lambda p: p @ w, x, x + 1, alpha)
    assert torch.allclose(apart, torch.full((2, 5), 4.0))


def test_penalties_are_trained_on_and_leave_the_examples_alone():
    w = torch.ones(3, requires_grad=True)
    x = torch.randn(4, 3, requires_grad=True)
    gan_losses.squared_slopes(lambda p: p @ w, x).mean().backward()
    assert torch.allclose(w.grad, 2 * w.detach()) and x.grad is None


@pytest.mark.parametrize("name", plane_gan.METHODS)
def test_a_run_does_not_depend_on_the_runs_beside_it(name):
    """Three seeds side by side, and the losses and penalties of each computed for its own network alone."""
    torch.manual_seed(0)
    method = plane_gan.METHODS[name]
    judges = plane_gan.Judges(method, 3, seed=5).eval()
    real, fake, alpha = torch.randn(3, 8, 2), torch.randn(3, 8, 2), torch.rand(3, 8, 1)
    whole = judges.losses(real, fake)[0] + judges.penalty(real, fake, alpha)
    parts = 0.0
    for k in range(3):
        layers: list[nn.Module] = []
        for layer in judges.layers:
            single = nn.Linear(*layer.weight.shape[1:])
            single.weight.data = layer.weight[k].T.clone()
            single.bias.data = layer.bias[k, 0].clone()
            layers += [single, nn.LeakyReLU(0.2)]
        single_judge = nn.Sequential(*layers[:-1], nn.Flatten(0))
        parts += method.game(single_judge(real[k]), single_judge(fake[k]))[0]
        for weight, x in ((method.r1, real[k]), (method.r2, fake[k])):
            parts += weight / 2 * gan_losses.squared_slopes(single_judge, x).mean()
        parts += (
            method.one_centred
            * gan_losses.one_centred(single_judge, real[k], fake[k], alpha[k]).mean()
        )
    torch.testing.assert_close(whole, torch.as_tensor(parts))


def test_weights_are_held_where_the_method_says_so():
    ring = plane_gan.ring()
    _, held = plane_gan.play(plane_gan.METHODS["hinge + spectral norm"], ring, 2, 30)
    held.train()  # each look at the weights in training mode is one more turn of the power iteration
    for layer in held.layers:
        rough = torch.linalg.svdvals(layer.weight.detach())[:, 0]  # one turn a step lags a little
        assert torch.allclose(rough, torch.full((2,), 3.0), rtol=0.15)
        for _ in range(300):
            weight = layer.weight.detach()
        largest = torch.linalg.svdvals(weight)[:, 0]
        assert torch.allclose(largest, torch.full((2,), 3.0), rtol=1e-3)
    _, clipped = plane_gan.play(plane_gan.METHODS["WGAN, clipped"], ring, 2, 5)
    assert max(p.abs().max().item() for p in clipped.parameters()) <= 0.1 + 1e-6


def test_equal_seeds_start_alike_whatever_the_method():
    first, second = (
        plane_gan.Judges(plane_gan.METHODS[name], 2, seed=3)
        for name in ("saturating", "relativistic + R1")
    )
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    assert isinstance(first.layers[0], StackedLinear)


def test_training_learns_the_ring():
    method = replace(plane_gan.METHODS["non-saturating + R1"])
    samples, _ = plane_gan.play(method, plane_gan.ring(), 2, 300, rate=3e-3)
    modes, _ = plane_gan.score(samples, plane_gan.ring())
    assert samples.shape == (2, 2_500, 2) and modes.float().mean() >= 3


@pytest.mark.parametrize("data", plane_gan.DATA)
def test_the_score_of_the_data_and_of_one_mode(data):
    centres = plane_gan.DATA[data]()
    points = plane_gan.draw(centres, 2, 20_000, torch.Generator().manual_seed(0))
    modes, good = plane_gan.score(points, centres)
    assert modes.tolist() == [len(centres)] * 2
    inside = 1 - math.exp(-4.5)  # of a Gaussian in the plane, within three standard deviations
    assert good.tolist() == pytest.approx([inside] * 2, abs=0.004)
    one = centres[:1].expand(1, 500, 2)
    assert plane_gan.score(one, centres)[0].tolist() == [1]
