"""What lesson 08's truncation does to latent vectors, and to the averages of the generator's BatchNorms."""

import copy

import pytest
import torch

from course_utils.models import cgan
from measuring.measure_stable import drawn_nearer


def test_scaled_noise_is_multiplied_and_nothing_else():
    noise = torch.randn(50, 7)
    assert torch.equal(drawn_nearer(noise), noise)
    torch.testing.assert_close(drawn_nearer(noise, scale=0.4), 0.4 * noise)


@pytest.mark.parametrize("threshold", [2.0, 1.0, 0.5])
def test_redrawn_noise_is_the_truncated_normal_distribution_and_keeps_its_order(threshold):
    torch.manual_seed(0)
    noise = torch.randn(100_000)
    nearer = drawn_nearer(noise, threshold=threshold)
    assert nearer.abs().max() <= threshold and nearer.dtype == noise.dtype
    again = torch.nn.init.trunc_normal_(torch.empty(100_000), a=-threshold, b=threshold)
    shares = torch.linspace(0.01, 0.99, 30)
    torch.testing.assert_close(
        nearer.quantile(shares), again.quantile(shares), atol=0.03 * threshold, rtol=0
    )
    assert (nearer[noise.argsort()].diff() >= 0).all()


def test_averages_measured_anew_are_those_of_the_batch_and_the_given_network_stays():
    torch.manual_seed(0)
    network = cgan.Generator(6, 4, classes=3).eval()
    kept = copy.deepcopy(network.state_dict())
    labels, noise = torch.arange(3).repeat(20), 0.4 * torch.randn(60, 6)
    found = cgan.with_averages_of(network, labels, noise[:, :, None, None])
    twin = copy.deepcopy(network).train()
    with torch.no_grad():  # in training mode BatchNorm takes the batch itself
        expected = twin(noise[:, :, None, None], labels)
        torch.testing.assert_close(
            found(noise[:, :, None, None], labels), expected, atol=1e-3, rtol=1e-2
        )
    assert not any(layer.training for layer in found.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, kept[name])


def test_a_nearer_generator_takes_the_same_noise_and_shortens_it_itself():
    torch.manual_seed(0)
    network = cgan.Generator(6, 4, classes=3).eval()
    twin = cgan.nearer(network, 0.4)
    drawn = torch.randn(300, 6, 1, 1, generator=torch.Generator().manual_seed(5))
    apart = cgan.with_averages_of(network, torch.arange(3).repeat(100), 0.4 * drawn)
    labels, noise = torch.arange(3), torch.randn(3, 6, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(twin(noise, labels), apart(0.4 * noise, labels))
        assert not torch.allclose(network(noise, labels), twin(noise, labels), atol=1e-3)
