"""Lesson 08's own code against independent ones and against what the package has."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import runtime
from course_utils.authoring.lessons import load_definitions
from course_utils.models import cgan, gan_losses, gan_steady


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("08_steady_conditional_gans")
    module.run = runtime.Runtime("smoke", torch.device("cpu"), 0, 1, None, "float32")
    module.gamma = 0.1
    return module


def test_the_games_of_the_lesson_are_those_of_the_package(lesson):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 40)
    for ours, theirs in (
        (lesson.hinge_losses, gan_losses.hinge),
        (lesson.relativistic_losses, gan_losses.relativistic),
    ):
        torch.testing.assert_close(ours(real, fake), theirs(real, fake))


def test_the_broken_hinge_is_broken_in_each_of_its_three_ways(lesson):
    right, far = torch.full((4,), 3.0), torch.full((4,), -3.0)
    assert lesson.hinge_losses(right, far)[0] == 0 < lesson.hinge_as_found(right, far)[0]
    far.requires_grad_(True)
    assert not torch.autograd.grad(lesson.hinge_as_found(right, far)[1], far)[0].any()
    assert lesson.hinge_as_found(torch.zeros(2), torch.zeros(6))[0] == 1
    assert lesson.hinge_losses(torch.zeros(2), torch.zeros(6))[0] == 2


def test_both_penalties_are_those_of_the_package(lesson):
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Flatten(0))
    real, fake, alpha = torch.randn(6, 3), torch.randn(6, 3), torch.rand(6)
    torch.testing.assert_close(
        lesson.zero_centred_penalty(critic, real),
        gan_losses.squared_slopes(critic, real).mean(),
    )
    torch.testing.assert_close(
        lesson.gradient_penalty(critic, real, fake, alpha),
        gan_losses.one_centred(critic, real, fake, alpha[:, None]).mean(),
    )


def test_the_conditional_discriminator_and_its_penalty_are_those_of_the_package(lesson):
    torch.manual_seed(0)
    ours, theirs = lesson.Discriminator(8), cgan.Discriminator(8)
    theirs.load_state_dict(ours.state_dict())
    real, label = torch.rand(6, 3, 32, 32) * 2 - 1, torch.arange(6)
    torch.testing.assert_close(ours(real, label), theirs(real, label))
    twin = copy.deepcopy(ours)
    lesson.penalty_step(ours, torch.optim.SGD(ours.parameters(), 0.1), real, label)
    told = cgan.Judging(twin, label)
    optimizer = torch.optim.SGD(twin.parameters(), 0.1)
    gan_steady.penalty_step(told, optimizer, real, lesson.gamma)
    for a, b in zip(ours.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_conditional_generator_is_that_of_the_package(lesson):
    torch.manual_seed(0)
    ours = cgan.Generator(6, 8, classes=5, norm=lesson.ConditionalNorm)
    assert all(type(norm) is lesson.ConditionalNorm for norm in ours.norms)
    for norm in ours.norms:
        torch.nn.init.normal_(norm.weight.weight)
        torch.nn.init.normal_(norm.bias.weight)
    theirs = cgan.Generator(6, 8, classes=5)
    theirs.load_state_dict(ours.state_dict())
    noise, label = torch.randn(7, 6, 1, 1), torch.tensor([0, 1, 2, 3, 4, 1, 1])
    torch.testing.assert_close(ours(noise, label), theirs(noise, label), rtol=1e-4, atol=1e-5)
    for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(a, b)


def test_spectral_norm_keeps_up_and_normalised_layers_stretch_nothing(lesson):
    torch.manual_seed(0)
    network = lesson.normalised(nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 4)))
    for layer in network[::2]:
        assert torch.linalg.svdvals(layer.weight)[0].item() == pytest.approx(1, abs=1e-3)
    kernel, u = torch.randn(4, 3, 2, 2), F.normalize(torch.randn(4), dim=0)
    sigma, _ = lesson.spectral_norm(kernel, u, 200)
    assert sigma.item() == pytest.approx(torch.linalg.matrix_norm(kernel.flatten(1), 2).item())


def test_the_line_without_a_penalty_climbs_and_with_one_finds_its_best_slope(lesson):
    assert lesson.train_line(1_000) > lesson.train_line(100) + 2
    w = lesson.train_line(5_000, pull=0.1)
    assert 2 / (1 + math.exp(w)) == pytest.approx(0.1 * w)  # where both forces are equal


@pytest.mark.parametrize(("pull", "size"), [(0.0, math.sqrt(1.01)), (0.5, math.sqrt(0.96))])
def test_the_smallest_game_shrinks_by_its_eigenvalue(lesson, pull, size):
    path = lesson.smallest_game(
        lambda critic, real, fake: pull / 2 * lesson.zero_centred_penalty(critic, real), 0.1, 200
    )
    assert (path[-1].norm() / path[0].norm()) ** (1 / 200) == pytest.approx(size, abs=1e-3)


def test_batch_norm_blinds_the_penalty_and_group_norm_does_not(lesson):
    blind, steep = lesson.train_wgan_gp(lesson.make_critic(nn.BatchNorm1d(32)), steps=100)
    _, held = lesson.train_wgan_gp(lesson.make_critic(nn.GroupNorm(4, 32)), steps=100)
    assert blind == pytest.approx(1, abs=1e-3) and steep > 20 > 1.3 > held
