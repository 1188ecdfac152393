"""Lesson 02's own code against independent ones and against what graduated into the package."""

import copy
import os
import re
from pathlib import Path

import jupytext
import nbclient
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from course_utils import runtime
from course_utils.authoring.lessons import load_definitions
from course_utils.evaluation import metrics
from course_utils.models import dcgan, gan_steady

SOURCE = Path(__file__).parents[2] / "notebooks" / "source" / "02_dcgan_cifar10.py"


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("02_dcgan_cifar10")
    module.run = runtime.Runtime(
        "smoke", torch.device("cpu"), 0, 1, None, "float32 for an exact comparison"
    )
    return module


def copied(network: nn.Module, other: nn.Module) -> nn.Module:
    """``other`` with the weights of ``network``, taken in order."""
    other.load_state_dict(dict(zip(other.state_dict(), network.state_dict().values(), strict=True)))
    return other


@pytest.mark.parametrize("batch", [(8, 8), (5, 3)])
def test_the_step_of_the_lesson_is_the_step_of_the_package(lesson, batch):
    torch.manual_seed(0)
    ours = [
        net.apply(dcgan.init_dcgan_weights)
        for net in (dcgan.make_generator(10, 8), dcgan.make_discriminator(8))
    ]
    theirs = copy.deepcopy(ours)
    our_sgd, their_sgd = (
        [torch.optim.SGD(n.parameters(), 0.1) for n in nets] for nets in (ours, theirs)
    )
    for _ in range(3):
        real, noise = torch.rand(batch[0], 3, 32, 32) * 2 - 1, torch.randn(batch[1], 10, 1, 1)
        assert lesson.train_step(*ours, *our_sgd, real, noise) == dcgan.dcgan_step(
            *theirs, *their_sgd, real, noise
        )
    for a, b in zip(ours, theirs, strict=True):
        assert all(
            torch.equal(x, y)
            for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
        )
        assert all(p.requires_grad for p in a.parameters())


@pytest.fixture
def judge_and_photographs():
    """A discriminator in training mode whose BatchNorm has seen pictures, and six of them."""
    torch.manual_seed(0)
    judge = dcgan.make_discriminator(8).apply(dcgan.init_dcgan_weights)
    for _ in range(20):
        judge(torch.rand(8, 3, 32, 32) * 2 - 1)
    return judge, torch.rand(6, 3, 32, 32) * 2 - 1


def test_the_slope_of_the_lesson_is_that_of_the_package(lesson, judge_and_photographs):
    judge, real = judge_and_photographs
    torch.testing.assert_close(lesson.slope(judge, real), gan_steady.slope(judge, real))


def test_the_slope_of_the_lesson_is_each_photographs_own(lesson, judge_and_photographs):
    judge, real = judge_and_photographs
    ours = lesson.slope(judge, real)
    assert all(layer.training for layer in judge.modules())
    judge.eval()
    alone = torch.cat([lesson.own_slopes(judge, photo) for photo in real.split(1)]).mean()
    torch.testing.assert_close(ours.detach(), alone)


def test_the_sum_of_the_lesson_is_wrong_under_batch_norm_alone(lesson, judge_and_photographs):
    judge, real = judge_and_photographs
    right, through_the_batch = lesson.slope(judge, real), lesson.slope_of_sum(judge, real)
    assert abs(through_the_batch - right) > 0.1 * right
    torch.testing.assert_close(
        through_the_batch, gan_steady.slope_of_the_sum(judge, real), atol=1e-4, rtol=1e-3
    )
    judge.eval()
    torch.testing.assert_close(lesson.slope_of_sum(judge, real), lesson.slope(judge, real))


@pytest.mark.parametrize("gamma", [0.1, 3.0])
def test_the_penalty_step_of_the_lesson_is_that_of_the_package(
    lesson, judge_and_photographs, gamma
):
    judge, real = judge_and_photographs
    twin = copy.deepcopy(judge)
    lesson.penalty_step(
        judge, torch.optim.SGD(judge.parameters(), 0.1), real, gamma, gan_steady.PENALTY_EVERY
    )
    gan_steady.penalty_step(twin, torch.optim.SGD(twin.parameters(), 0.1), real, gamma)
    for ours, theirs in zip(judge.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_distance_of_the_lesson_is_that_of_the_package(lesson):
    torch.manual_seed(0)
    one, two = torch.randn(200, 5).double(), torch.randn(300, 5).double() * 2 + 1
    moments = one.mean(0), one.T.cov(), two.mean(0), two.T.cov()
    assert lesson.frechet(*moments).item() == pytest.approx(metrics.frechet_distance(*moments))


def test_networks_of_the_lesson_are_those_of_the_package(lesson):
    torch.manual_seed(0)
    noise, images = torch.randn(4, 100, 1, 1), torch.rand(4, 3, 32, 32)
    generator, discriminator = lesson.make_generator(100, 64, 3), lesson.make_discriminator(64, 3)
    assert sum(p.numel() for p in generator.parameters()) == 1_068_928
    assert sum(p.numel() for p in discriminator.parameters()) == 663_296
    assert torch.equal(generator(noise), copied(generator, dcgan.make_generator())(noise))
    assert torch.equal(
        discriminator(images), copied(discriminator, dcgan.make_discriminator())(images)
    )


def test_size_formula_against_the_layer(lesson):
    for n, k, s, p in [(1, 4, 1, 0), (7, 4, 2, 1), (5, 3, 3, 0), (6, 5, 2, 2)]:
        made = nn.ConvTranspose1d(1, 1, k, s, p)(torch.zeros(1, 1, n)).shape[-1]
        assert lesson.conv_transpose_output_size(n, k, s, p) == made


def test_range_and_slerp_agree_with_the_package(lesson):
    every_byte = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(lesson.to_tanh_range(every_byte), dcgan.to_tanh_range(every_byte))
    z0, z1 = torch.randn(2, 6, 50)
    for t in (0.0, 0.2, 0.7, 1.0):
        assert torch.allclose(lesson.slerp(z0, z1, t), dcgan.slerp(z0, z1, t), atol=1e-6)


def test_nearest_against_a_loop(lesson):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (23, 3, 4, 4), dtype=torch.uint8)
    queries = images[[7, 20]].clone()
    queries[1, 0, 0, 0] ^= 8
    distance, index = lesson.nearest(queries, images, chunk=5)
    assert index.tolist() == [7, 20]
    all_distances = [((queries[1].float() - i.float()) / 255).norm().item() for i in images]
    assert distance[0] < 1e-3 and abs(distance[1].item() - min(all_distances)) < 1e-3


@pytest.mark.slow
def test_the_lesson_runs_on_ones_own_folder_at_64_pixels_with_128_latents(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "my faces").mkdir()
    for number in range(120):
        height, width = (90, 70) if number % 2 else (70, 100)
        pixels = rng.integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(
            tmp_path / "my faces" / f"{number}.png"
        )
    text = SOURCE.read_text(encoding="utf-8")
    for old, new in {
        r"^latent_dim = 100 ": "latent_dim = 128 ",
        r"^source     = None ": f"source = {str(tmp_path / 'my faces')!r} ",
        r"^size       = 32 ": "size = 64 ",
        r"^steps .*$": "steps = 6",
    }.items():
        text, count = re.subn(old, new, text, flags=re.M)
        assert count == 1, old
    notebook = jupytext.reads(text, fmt="py:percent")
    environment = {**os.environ, "COURSE_TIER": "smoke", "COURSE_STRICT": "1"}
    environment |= {"COURSE_RUNS": str(tmp_path / "runs"), "COURSE_CACHE": str(tmp_path / "cache")}
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=environment)
    printed = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", []))
    assert "my faces: 100 training and 20 test images, (3, 64, 64)" in printed
    assert "make 12,288 numbers from 128" in printed
