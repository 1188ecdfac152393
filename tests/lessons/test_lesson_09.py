"""Lesson 09's own code against independent ones and against the package."""

import copy
import math
import re
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.distributions import Normal

from course_utils import runtime
from course_utils.authoring.lessons import load_definitions
from course_utils.datasets.images import load_images
from course_utils.models import dcgan, flow, known_flow
from measuring import flow_film

SOURCE = Path(__file__).parents[2] / "notebooks" / "source" / "09_diffusion_flow.py"


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("09_diffusion_flow")
    module.run = runtime.Runtime("smoke", torch.device("cpu"), 0, 1, None, "float32")
    module.ring, module.classes, module.size = known_flow.ring(), 10, 32
    return module


@pytest.fixture
def network():
    """A small network whose last layers are not 0, so that its velocity depends on everything."""
    torch.manual_seed(0)
    network = flow.Velocity(width=4)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return network


def test_the_step_of_the_lesson_is_the_step_of_the_package(lesson, network):
    twin = copy.deepcopy(network)
    ours, theirs = flow.make_optimizer(network), flow.make_optimizer(twin)
    for lr in (1e-3, 2e-3):
        x, noise = torch.rand(3, 3, 32, 32) * 2 - 1, torch.randn(3, 3, 32, 32)
        label, t = torch.tensor([0, 10, 4]), torch.rand(3)
        ours.param_groups[0]["lr"] = lr
        given, hidden = torch.tensor([0, 3, 4]), label == network.classes
        loss = lesson.train_step(network, ours, x, given, noise, t, hidden, nullcontext)
        told = flow.flow_step(twin, theirs, x, label, noise, t, lr)
        assert loss == pytest.approx(told["loss"], rel=1e-5)
    for a, b in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_the_walk_of_the_lesson_is_that_of_the_package(lesson, network, scale):
    labels = torch.tensor([1, 3, 10])
    noise = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    ours = lesson.sample(network.eval(), labels, noise, 3, scale=scale)
    *_, last = flow.walk(network, noise, labels, 3, "euler", scale)
    assert (ours.int() - dcgan.to_bytes(last).int()).abs().max() <= 1


def test_a_walk_in_one_direction_with_a_known_end(lesson):
    """x' = x has the end e·x; Euler's is (1 + h)^n and Heun's (1 + h + h²/2)^n."""
    start = torch.randn(5, 2).double()
    for steps in (1, 4, 10):
        h = 1 / steps
        euler, heun = (
            lesson.solve(lambda x, t: x, start, steps, name) for name in ("euler", "heun")
        )
        torch.testing.assert_close(euler, start * (1 + h) ** steps)
        torch.testing.assert_close(heun, start * (1 + h + h**2 / 2) ** steps)


def test_the_exact_velocity_is_that_of_very_narrow_clusters(lesson):
    torch.manual_seed(0)
    data, x, t = torch.randn(6, 3).double(), torch.randn(20, 3).double(), torch.rand(20).double()
    narrow = known_flow.Mixture(data, 1e-6)
    torch.testing.assert_close(
        lesson.exact_velocity(x, 0.9 * t, data), narrow.velocity(x, 0.9 * t), atol=1e-6, rtol=1e-6
    )


def test_the_exact_optimum_ends_on_training_pictures(lesson):
    data = dcgan.to_tanh_range(load_images("standin", limit=30).images)
    end = lesson.solve(
        lambda x, t: lesson.exact_velocity(x, t, data), torch.randn(4, 3, 32, 32), 15, "euler"
    )
    differences = (end[:, None] - data).flatten(2).norm(dim=2).min(dim=1).values
    assert differences.max() < 1e-2


def test_the_score_is_the_gradient_of_the_log_density(lesson):
    ring, t = known_flow.ring(), 0.6
    x = torch.randn(40, 2).double().requires_grad_(True)
    spread = math.hypot(1 - t, t * ring.std)
    log_p = Normal(t * ring.centres.double(), spread).log_prob(x[:, None]).sum(2).logsumexp(1)
    (expected,) = torch.autograd.grad(log_p.sum(), x)
    times = torch.full((40,), t).double()
    clean, noise, score = lesson.from_velocity(x.detach(), times, ring.velocity(x.detach(), times))
    torch.testing.assert_close(score, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close((1 - t) * noise + t * clean, x.detach())


def test_the_step_down_is_the_posterior_of_a_chain(lesson):
    """Bayes' rule on a grid: p(y at s | z at t, clean) ~ p(y | clean) p(z | y)."""
    t, s, clean, z = 0.3, 0.6, torch.tensor(0.7).double(), torch.tensor(-0.4).double()
    y = torch.linspace(-6, 6, 20_001).double()
    carried = t / s
    added = math.sqrt((1 - t) ** 2 - carried**2 * (1 - s) ** 2)
    prior = Normal(s * clean, 1 - s).log_prob(y)
    weight = (prior + Normal(carried * y, added).log_prob(z)).softmax(0)
    mean = (weight * y).sum()
    deviation = (weight * (y - mean) ** 2).sum().sqrt()
    found = lesson.step_down(z, clean, t, s)
    torch.testing.assert_close(found.mean, mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.stddev, deviation, atol=1e-6, rtol=0)


def test_ddim_is_euler_on_another_path(lesson):
    start = torch.randn(100, 2).double()
    velocity = lambda x, t: known_flow.ring().velocity(x, t.to(x))  # noqa: E731
    torch.testing.assert_close(
        lesson.ddim(velocity, start, 7),
        lesson.solve(velocity, start, 7, "euler"),
        atol=1e-5,
        rtol=0,
    )


def test_noisy_walks_make_the_cloud_of_the_data(lesson):
    """From 0 to 1 with the exact velocity of one Gaussian: its mean and spread, within four standard errors."""
    torch.manual_seed(0)
    one, count = known_flow.Mixture(torch.tensor([[1.0, -0.5]]), 0.6), 20_000
    kicks = torch.randn(100, count, 2)
    end = lesson.noisy_walk(one.velocity, torch.randn(count, 2), kicks)
    error = 4 * one.std / count**0.5
    torch.testing.assert_close(end.mean(0), one.centres[0], atol=error + 0.01, rtol=0)
    torch.testing.assert_close(end.std(0), torch.full((2,), one.std), atol=error + 0.01, rtol=0)


def test_guidance_asks_once_and_gives_what_two_calls_give(lesson, network):
    x, t, label = torch.randn(3, 3, 32, 32), torch.rand(3), torch.tensor([0, 7, 9])
    rows = []
    network.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    with torch.no_grad():
        found = lesson.guided_velocity(network, x, t, label, 2.5)
        alone = lesson.guided_velocity(network, x, t, label, 1.0)
        assert rows == [6, 3]
        a, b = network(x, t, label), network(x, t, torch.full_like(label, 10))
    torch.testing.assert_close(found, b + 2.5 * (a - b), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(alone, a, atol=1e-5, rtol=1e-5)


def test_the_line_that_is_to_be_mended_is_wrong_at_every_scale_but_none(lesson):
    a, b = torch.randn(2, 3, 2)
    for scale in (0.0, 1.0, 2.0):
        wrong, right = lesson.guided_as_found(a, b, scale), lesson.guided(a, b, scale)
        assert torch.allclose(wrong, right) == (scale == 0)


def test_thumbnails_are_means_of_squares(lesson):
    images = load_images("standin", limit=5).images
    found = lesson.thumbnails(images).view(5, 3, 8, 8)
    torch.testing.assert_close(found[2, 1, 3, 5], images[2, 1, 12:16, 20:24].float().mean())


def test_the_folded_answer_names_the_rows_that_the_network_drew():
    source = SOURCE.read_text(encoding="utf-8")
    seed = int(
        re.search(r"randperm\(4, generator=torch.Generator\(\).manual_seed\((\d+)\)", source)[1]
    )
    mixed = torch.randperm(4, generator=torch.Generator().manual_seed(seed)).tolist()
    told = re.search(r"The network drew ([A-D]) and ([A-D])\b", source)
    assert set(told.groups()) == {letter for letter, k in zip("ABCD", mixed, strict=True) if k >= 2}


def test_the_films_are_drawn_by_the_lessons_own_code_and_weights():
    with Image.open(flow_film.RING) as film:
        assert film.n_frames >= 30 and flow_film.RING.stat().st_size < 2**20
        told = film.info["comment"].decode()
        assert told == flow_film.code_digest(), "python -m measuring.flow_film ring"
    shipped_films = {
        flow.SHIPPED: (flow_film.PICTURES, "pictures"),
        flow.SHIPPED_64: (flow_film.DRAWINGS, "drawings"),
    }
    for name, (path, command) in shipped_films.items():
        with Image.open(path) as film:
            assert film.n_frames >= 20 and path.stat().st_size < 3 * 2**20
            told = film.info["comment"].decode()
            assert told == flow_film.weights_digest(name), (
                f"python -m measuring.flow_film {command}"
            )
