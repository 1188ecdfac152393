"""Lesson 09's network on pictures: its shapes, its step, its walk and the calls that a walk costs."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.models import flow, shipped


@pytest.fixture
def network() -> flow.Velocity:
    torch.manual_seed(0)
    network = flow.Velocity(width=8, classes=3)
    for parameter in network.parameters():  # the silent layers, too, say something
        nn.init.normal_(parameter, std=0.1)
    return network


class Counting(nn.Module):
    """A velocity that is known, and counts who asks."""

    size, classes = 32, 10

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.asked = nn.Parameter(torch.zeros(1)), []

    def forward(self, x, t, label):
        self.asked.append((t[0].item(), label.tolist()))
        return x - x + label.view(-1, 1, 1, 1) + 2 * t.view(-1, 1, 1, 1)


@pytest.mark.parametrize("size", [32, 64])
def test_a_velocity_for_each_picture_time_and_class(size):
    network = flow.Velocity(size, width=8, classes=3)
    x, t, label = torch.randn(2, 3, size, size), torch.rand(2), torch.tensor([0, 3])
    velocity = network(x, t, label)
    assert velocity.shape == x.shape
    assert velocity.abs().max() == 0  # at first it moves nothing


def test_time_and_class_matter_and_neighbours_do_not(network):
    x = torch.randn(1, 3, 32, 32).expand(4, -1, -1, -1)
    t, label = torch.tensor([0.2, 0.2, 0.7, 0.2]), torch.tensor([0, 0, 0, 3])
    first, same, later, free = network(x, t, label)
    torch.testing.assert_close(first, same)
    assert (first - later).abs().max() > 1e-3 and (first - free).abs().max() > 1e-3
    (alone,) = network(x[:1], t[:1], label[:1])
    torch.testing.assert_close(first, alone, rtol=1e-4, atol=1e-5)


def test_the_step_descends_on_the_mean_squared_error(network):
    torch.manual_seed(1)
    x, noise, t = torch.rand(8, 3, 32, 32) * 2 - 1, torch.randn(8, 3, 32, 32), torch.rand(8)
    label = torch.randint(0, 4, (8,))
    with torch.no_grad():
        at = t.view(-1, 1, 1, 1)
        expected = (network(noise + at * (x - noise), t, label) - (x - noise)).square().mean()
    optimizer = flow.make_optimizer(network)
    losses = [
        flow.flow_step(network, optimizer, x, label, noise, t, 1e-3)["loss"] for _ in range(15)
    ]
    assert losses[0] == pytest.approx(expected.item(), rel=1e-5)
    assert losses[-1] < losses[0]
    assert all(group["lr"] == 1e-3 for group in optimizer.param_groups)


def test_the_rate_warms_up_and_falls_to_a_twentieth():
    rates = [flow.learning_rate(step, 1_000) for step in range(1_001)]
    assert rates[0] < flow.PEAK / 40
    assert max(rates) == pytest.approx(flow.PEAK, rel=0.01)
    assert rates[-1] == pytest.approx(flow.PEAK / 20)
    assert all(a >= b for a, b in pairwise(rates[60:]))


def test_times_are_logit_normal():
    normal = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    t = flow.sample_times(normal)
    assert t.min() > 0 and t.max() < 1
    torch.testing.assert_close(torch.logit(t.double()).float(), normal, rtol=1e-3, atol=1e-3)
    assert ((t > 0.25) & (t < 0.75)).float().mean() > 0.7  # of uniform times it were a half


@pytest.mark.parametrize(
    ("method", "steps", "times"),
    [("euler", 4, [0, 0.25, 0.5, 0.75]), ("heun", 2, [0, 0.5, 0.5, 1]), ("euler", 1, [0])],
)
def test_a_walk_asks_at_these_times_and_arrives(method, steps, times):
    network, noise = Counting(), torch.randn(2, 3, 32, 32)
    labels = torch.tensor([1, 4])
    points = list(flow.walk(network, noise, labels, steps, method))
    assert [t for t, _ in network.asked] == pytest.approx(times)
    assert len(points) == steps + 1 and torch.equal(points[0], noise)
    slopes = labels + (1 - 1 / steps if method == "euler" else 1)  # the exact way is label + 1
    torch.testing.assert_close(points[-1], noise + slopes.view(2, 1, 1, 1))
    assert not points[-1].requires_grad


@pytest.mark.parametrize(("scale", "calls", "went"), [(0, 1, 10), (1, 1, 3), (2, 2, -4)])
def test_guidance_goes_from_without_to_with_and_beyond(scale, calls, went):
    network, noise = Counting(), torch.zeros(1, 3, 32, 32)
    *_, end = flow.walk(network, noise, torch.tensor([3]), 1, guidance=scale)
    assert len(network.asked) == calls
    torch.testing.assert_close(end, torch.full_like(end, went))


@pytest.mark.parametrize(("method", "steps"), [("rk4", 4), ("euler", 0)])
def test_another_method_is_refused_by_name(method, steps):
    with pytest.raises(CourseError, match=f"'{method}' in {steps} steps"):
        list(flow.walk(Counting(), torch.zeros(1, 3, 32, 32), torch.tensor([0]), steps, method))


def test_pictures_come_again_from_the_same_generator_whatever_the_batch(network):
    network.train()
    labels = torch.tensor([0, 1, 2, 3, 0])
    one, two = (
        flow.sample(network, labels, 3, generator=torch.Generator().manual_seed(5), batch_size=size)
        for size in (5, 2)
    )
    assert one.dtype == torch.uint8 and one.shape == (5, 3, 32, 32)
    assert (one.int() - two.int()).abs().max() <= 1  # rounding of another batch's sums
    assert network.training


def test_half_the_digits_give_the_same_pictures(network):
    def pictures(autocast):
        random = torch.Generator().manual_seed(5)
        return flow.sample(network, torch.arange(4) % 3, 8, generator=random, autocast=autocast)

    whole = pictures(lambda: torch.autocast("cpu", torch.bfloat16, enabled=False))
    half = pictures(lambda: torch.autocast("cpu", torch.bfloat16))
    difference = (whole.float() - half.float()).square().mean().sqrt()
    assert 0 < difference < 0.03 * whole.float().std()


@pytest.mark.parametrize(("name", "size"), [(flow.SHIPPED, 32), (flow.SHIPPED_64, 64)])
def test_shipped_weights_come_back_with_their_facts(own_data, name, size):
    torch.manual_seed(0)
    network = flow.Velocity(size, 4, 3)
    facts = {"size": size, "width": 4, "classes": 3, "steps": 5}
    shipped.write(name, network.state_dict(), facts)
    came, told = flow.load_shipped(name=name)
    assert told == facts and not came.training
    x, t, label = torch.randn(2, 3, size, size), torch.rand(2), torch.tensor([0, 3])
    torch.testing.assert_close(came(x, t, label), network(x, t, label), atol=0.01, rtol=0)


def test_time_features_tell_near_times_apart_but_not_too_much():
    t = torch.linspace(0, 1, 101)
    features = flow.time_features(t)
    assert features.shape == (101, flow.TIME_FEATURES)
    steps = (features[1:] - features[:-1]).norm(dim=1)
    far = (features[0] - features[50]).norm()
    assert steps.min() > 0.05 and steps.max() < far
    assert math.isclose(features.abs().max().item(), 1, abs_tol=1e-3)


@pytest.mark.parametrize("fold", [1, 2])
def test_the_order_in_memory_does_not_change_velocities(fold):
    torch.manual_seed(0)
    last = flow.Velocity(16, 8, 3, fold)
    first = flow.Velocity(16, 8, 3, fold, torch.contiguous_format)
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.normal_(0.0, 0.2)
    first.load_state_dict(last.state_dict())
    x, t, label = torch.randn(4, 3, 16, 16), torch.rand(4), torch.tensor([0, 1, 2, 3])
    seen = []
    for network in (last, first):
        network.first.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        assert network(x, t, label).shape == x.shape
    assert seen[0].shape == (4, 3 * fold**2, 16 // fold, 16 // fold)
    assert not seen[0].is_contiguous() and seen[1].is_contiguous()
    torch.testing.assert_close(last(x, t, label), first(x, t, label), atol=1e-4, rtol=1e-4)
