"""Tier, seeds and number formats of this machine."""

import random

import numpy as np
import pytest
import torch

from course_utils import runtime
from course_utils.datasets.images import load_images
from course_utils.errors import CourseError
from course_utils.evaluation import metrics
from course_utils.models import dcgan, vae
from course_utils.models.features import load_feature_network
from course_utils.tiers import TIERS


@pytest.fixture(autouse=True)
def generators_as_before():
    torch_state, python_state, numpy_state = (
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state(),
    )
    yield
    torch.set_rng_state(torch_state)
    random.setstate(python_state)
    np.random.set_state(numpy_state)


def draws():
    return random.random(), np.random.rand(), torch.rand(3).tolist()


def test_seed_reproduces_all_three_generators():
    runtime.setup(3, quiet=True)
    first = draws()
    runtime.setup(3, quiet=True)
    assert draws() == first
    runtime.setup(4, quiet=True)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range_is_named(seed):
    with pytest.raises(CourseError, match=str(seed)) as caught:
        runtime.setup(seed, quiet=True)
    assert caught.value.code == "runtime-seed"


@pytest.mark.parametrize("name", TIERS)
def test_tier_and_pick(name, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_TIER", name)
    run = runtime.setup(0)
    assert run.tier == name
    assert run.pick("smoke", "laptop", "gpu") == name
    report = capsys.readouterr().out
    assert report.count("\n") == 1
    assert f"tier {name}" in report
    assert "seed 0" in report


def test_default_tier_follows_the_hardware(monkeypatch):
    monkeypatch.delenv("COURSE_TIER", raising=False)
    assert runtime.tier() == ("gpu" if torch.cuda.is_available() else "laptop")


def test_unknown_tier_is_refused_before_anything_is_seeded(monkeypatch):
    monkeypatch.setenv("COURSE_TIER", "huge")
    before = torch.get_rng_state()
    with pytest.raises(CourseError, match="'huge'") as caught:
        runtime.setup(5)
    assert caught.value.code == "runtime-unknown-tier"
    assert all(name in str(caught.value) for name in TIERS)
    monkeypatch.delenv("COURSE_TIER")
    exec(caught.value.fix.split("example: ")[1], {"os": __import__("os")})
    assert runtime.tier() == "laptop"
    assert torch.equal(torch.get_rng_state(), before)


def test_bf16_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("COURSE_BF16", "0")
    run = runtime.setup(0, quiet=True)
    assert run.autocast_dtype is None
    assert "COURSE_BF16=0" in run.autocast_reason
    assert "float32" in str(run)
    with run.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(("gain", "taken"), [(0.5, False), (1.0, False), (1.9, True)])
def test_bf16_is_taken_only_where_its_products_are_faster(monkeypatch, gain, taken):
    monkeypatch.delenv("COURSE_BF16", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(runtime, "gain_of_bf16", lambda: gain)
    found = runtime.fast_dtype(torch.device("cpu"))
    assert found == (torch.bfloat16 if taken else None)
    monkeypatch.setenv("COURSE_BF16", "1")
    assert runtime.fast_dtype(torch.device("cpu")) == torch.bfloat16


def test_the_gain_of_bf16_is_that_of_products(monkeypatch):
    clock = iter(range(1_000))
    cost = {torch.float32: 3, torch.bfloat16: 1}
    product = torch.mm

    def slow(a, b):
        for _ in range(cost[a.dtype] - 1):
            next(clock)
        return product(a, b)

    monkeypatch.setattr(torch, "mm", slow)
    monkeypatch.setattr(runtime.time, "perf_counter", lambda: next(clock))
    assert runtime.gain_of_bf16.__wrapped__() == 3


def test_autocast_uses_the_dtype_it_reports(monkeypatch):
    monkeypatch.delenv("COURSE_BF16", raising=False)
    run = runtime.setup(0, quiet=True)
    with run.autocast():
        product = torch.ones(2, 2, device=run.device) @ torch.ones(2, 2, device=run.device)
    assert product.dtype == (run.autocast_dtype or torch.float32)
    forced = runtime.Runtime(
        "smoke", torch.device("cpu"), 0, 1, torch.bfloat16, "forced by this test"
    )
    with forced.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_denormal_numbers_are_flushed():
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot flush denormal numbers")
    tiny = torch.full((4,), 1e-38)
    assert (tiny * 0.1 > 0).all()
    runtime.setup(0, quiet=True)
    assert (tiny * 0.1 == 0).all()
    torch.set_flush_denormal(False)


@pytest.fixture
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_a_lesson_computes_in_float32_whatever_the_users_default(float64_by_default):
    runtime.setup(0, quiet=True)
    assert torch.get_default_dtype() is torch.float32


def scores(images):
    """Scores of pictures and of a sampler, by the shipped network; and a shipped generator's pictures."""
    real, held_out = images.subset(slice(0, 60)), images.subset(slice(60, 120))
    reference = metrics.RealReference.from_images(real, held_out, n=10, draws=2)
    found = [
        reference.score(images.images[:20]),
        reference.score(metrics.mean_image_plus_noise(real)),
    ]
    noise = torch.randn(
        2, 100, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float32
    )
    made = dcgan.sample(dcgan.load_shipped_generator()[0], noise)
    return [score.value for rows in found for score in rows.values()], made


def test_a_default_of_float64_changes_no_data_score_or_shipped_network(request):
    usual, made = scores(load_images("standin", limit=120))
    request.getfixturevalue("float64_by_default")
    again, remade = scores(load_images("standin", limit=120))
    assert again == usual and torch.equal(made, remade)
    for network in (vae.load_shipped("vae_cifar10")[0], load_feature_network()):
        assert {p.dtype for p in network.parameters()} == {torch.float32}
