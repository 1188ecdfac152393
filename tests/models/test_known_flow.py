"""The flow to a mixture against densities, sampling and a case that is worked out by hand."""

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from course_utils.models import known_flow


def density(mixture, t):
    """The cloud at time t as PyTorch's own mixture."""
    spread = ((1 - t) ** 2 + (t * mixture.std) ** 2) ** 0.5
    centres = t * mixture.centres.double()
    clusters = Independent(Normal(centres, torch.full_like(centres, spread)), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(centres)).double()), clusters)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dims", [1, 2, 5])
def test_the_velocity_is_what_the_density_says(t, dims):
    torch.manual_seed(0)
    mixture = known_flow.Mixture(torch.randn(4, dims).double(), 0.3)
    x = torch.randn(50, dims).double().requires_grad_(True)
    (score,) = torch.autograd.grad(density(mixture, t).log_prob(x).sum(), x)
    expected = (x + (1 - t) * score) / t  # from the mean noise, which is -(1 - t) times the score
    found = mixture.velocity(x.detach(), torch.full((50,), t, dtype=torch.float64))
    torch.testing.assert_close(found, expected.detach())


def test_at_the_start_the_velocity_leads_to_the_mean_and_at_the_end_it_is_finite():
    ring = known_flow.ring()
    x = torch.randn(10, 2)
    torch.testing.assert_close(ring.velocity(x, torch.zeros(10)), -x, atol=1e-5, rtol=0)
    assert ring.velocity(x, torch.ones(10)).isfinite().all()


@pytest.mark.parametrize("t", [0.0, 0.4, 0.8, 1.0])
def test_the_floor_is_the_error_of_the_known_velocity(t):
    ring, random = known_flow.ring(), torch.Generator().manual_seed(1)
    data, noise = ring.draw(100_000, random), torch.randn(100_000, 2, generator=random)
    times = torch.full((100_000,), t)
    errors = ring.velocity((1 - t) * noise + t * data, times) - (data - noise)
    squares = errors.square().mean(1)
    assert abs(squares.mean() - ring.floor(t)) < 4 * squares.std() / 100_000**0.5


def test_the_floor_of_one_cluster_by_hand():
    alone = known_flow.Mixture(torch.tensor([[1.0, -2.0]]), 0.5)
    assert alone.floor(0.25) == pytest.approx(0.25 / (0.75**2 + 0.125**2))


def test_the_floor_is_for_the_plane():
    with pytest.raises(ValueError, match="two dimensions"):
        known_flow.Mixture(torch.zeros(1, 3), 0.5).floor(0.5)


def test_draws_lie_on_the_ring():
    points = known_flow.ring(std=0.1).draw(20_000, torch.Generator().manual_seed(0))
    distance, cluster = torch.cdist(points, known_flow.ring().centres).min(1)
    assert abs((distance < 0.3).float().mean() - 0.98889) < 0.005  # 1 - exp(-4.5)
    assert (cluster.bincount() / 20_000 - 1 / 8).abs().max() < 0.01
