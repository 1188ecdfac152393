"""What lesson 08's truncation does to latent vectors."""

import pytest
import torch

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
