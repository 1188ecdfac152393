"""The penalty on the discriminator's slope and the averaged generator, against independent computations."""

import copy

import pytest
import torch
from torch import nn

from course_utils.models import dcgan, gan_steady


@pytest.fixture
def judge() -> nn.Module:
    torch.manual_seed(0)
    return dcgan.make_discriminator(4).apply(dcgan.init_dcgan_weights)


def test_slope_of_a_known_function() -> None:
    weights = torch.randn(3 * 4 * 4)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(48, 1, bias=False), nn.Flatten(0))
    linear[1].weight.data = weights[None]
    steepness = gan_steady.slope(linear, torch.randn(5, 3, 4, 4))
    torch.testing.assert_close(steepness, weights.square().sum())  # the same everywhere: ||w||^2


def test_slope_is_each_pictures_own_although_batch_norm_is_in_training_mode(
    judge: nn.Module,
) -> None:
    judge[3].eval()  # one layer was in evaluation mode before, and stays there
    modes = [layer.training for layer in judge.modules()]
    images, before = torch.rand(4, 3, 32, 32) * 2 - 1, copy.deepcopy(judge.state_dict())
    steepness = gan_steady.slope(judge, images)
    assert [layer.training for layer in judge.modules()] == modes and any(modes)
    assert all(torch.equal(value, before[name]) for name, value in judge.state_dict().items())
    judge.eval()  # without a batch's statistics each logit depends on its own image alone
    jacobian = torch.autograd.functional.jacobian(judge, images)  # (4, 4, 3, 32, 32)
    expected = torch.stack([jacobian[i, i].square().sum() for i in range(4)]).mean()
    torch.testing.assert_close(steepness.detach(), expected)


def test_slope_of_the_sum_is_0_for_batch_norm_and_a_linear_layer() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 1), nn.Flatten(0))
    images = torch.randn(9, 3, 2, 2)
    assert gan_steady.slope_of_the_sum(network, images).item() < 1e-10
    assert gan_steady.slope(network, images).item() > 1e-3


def test_a_penalty_step_makes_the_discriminator_flatter(judge: nn.Module) -> None:
    images = torch.rand(16, 3, 32, 32) * 2 - 1
    optimizer = torch.optim.SGD(judge.parameters(), 1e-3)
    before = gan_steady.penalty_step(judge, optimizer, images, gamma=1.0)
    for _ in range(3):
        gan_steady.penalty_step(judge, optimizer, images, gamma=1.0)
    after = gan_steady.slope(judge, images).item()
    assert 0 < after < before
    assert not images.requires_grad


def test_a_penalty_step_is_the_gradient_of_the_penalty(judge: nn.Module) -> None:
    images, twin = torch.rand(8, 3, 32, 32) * 2 - 1, copy.deepcopy(judge)
    gan_steady.penalty_step(judge, torch.optim.SGD(judge.parameters(), 0.1), images, gamma=0.3)
    loss = 0.3 / 2 * gan_steady.PENALTY_EVERY * gan_steady.slope(twin, images)
    gradients = torch.autograd.grad(loss, list(twin.parameters()))
    for moved, start, gradient in zip(
        judge.parameters(), twin.parameters(), gradients, strict=True
    ):
        torch.testing.assert_close(moved, start - 0.1 * gradient)


def test_the_average_is_an_exponential_one_of_weights_and_of_batchnorms_statistics() -> None:
    generator = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    average = gan_steady.make_average(generator, 0.9)
    expected: list[torch.Tensor] = []
    for number in range(4):
        with torch.no_grad():
            for tensor in (
                *generator.parameters(),
                generator[1].running_mean,
                generator[1].running_var,
            ):
                tensor.fill_(float(number))
        average.update_parameters(generator)
        expected.append(
            torch.tensor(float(number)) if not number else 0.9 * expected[-1] + 0.1 * number
        )
    for tensor in (
        *average.parameters(),
        average.module[1].running_mean,
        average.module[1].running_var,
    ):
        torch.testing.assert_close(tensor.flatten()[0], expected[-1])
    assert not any(p.requires_grad for p in average.parameters())
    assert all(p.requires_grad for p in generator.parameters())


def test_the_average_makes_images_as_a_generator_does() -> None:
    average = gan_steady.make_average(dcgan.make_generator(8, 4), 0.99)
    assert dcgan.sample(average, torch.randn(3, 8, 1, 1)).shape == (3, 3, 32, 32)
