"""What lesson 10's measuring of privacy does to a network: clipped, noisy steps."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_utils.checks import world
from course_utils.models.attention import GPT
from course_utils.models.gpt_training import PEAK, learning_rate, make_optimizer
from measuring import measure_privacy


@pytest.fixture
def windows():
    return torch.randint(20, (6, 9), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return GPT(20, 8, 1, 2, 16)


def one_step_of_all(monkeypatch, windows):
    settings = {"steps": 1, "batch_size": len(windows), "context": windows.shape[1]}
    monkeypatch.setattr(measure_privacy, "TRAINING", settings)


def test_without_bound_and_noise_a_step_is_the_plain_one(monkeypatch, model, windows):
    one_step_of_all(monkeypatch, windows)
    plain = copy.deepcopy(model)
    measure_privacy.private_tune(model, windows, 1e9, 0.0, 0)
    optimizer = make_optimizer(plain, PEAK / 3)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(0, 1, PEAK / 3)
    F.cross_entropy(plain(windows)[:, :-1].flatten(0, 1), windows[:, 1:].flatten()).backward()
    optimizer.step()
    for (name, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-6), name


def test_no_window_pulls_farther_than_the_bound(monkeypatch, model, windows):
    """The gradient that is left is that of the lesson's exercise."""
    one_step_of_all(monkeypatch, windows)
    rows = []
    for window in windows:
        each = copy.deepcopy(model)
        F.cross_entropy(each(window[None])[0, :-1], window[1:]).backward()
        rows.append(torch.cat([p.grad.flatten() for p in each.parameters()]))
    reference = world.clip_and_noise.reference
    expected = reference(torch.stack(rows), 0.5, 0.0, torch.Generator())
    assert min(row.norm() for row in rows) > 0.5
    measure_privacy.private_tune(model, windows, 0.5, 0.0, 0)
    came = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert torch.allclose(came, expected, atol=1e-6)


def test_the_noise_has_its_deviation(monkeypatch, model, windows):
    one_step_of_all(monkeypatch, windows)
    noisy = copy.deepcopy(model)
    measure_privacy.private_tune(model, windows, 0.5, 0.0, 0)
    measure_privacy.private_tune(noisy, windows, 0.5, 3.0, 0)
    pairs = zip(noisy.parameters(), model.parameters(), strict=True)
    noise = torch.cat([(a.grad - b.grad).flatten() for a, b in pairs])
    assert noise.std().item() == pytest.approx(3.0 * 0.5 / len(windows), rel=0.1)


def test_exposure_and_area_are_those_of_the_exercises():
    random = np.random.default_rng(0)
    members, others = random.integers(0, 9, 20) / 8, random.integers(2, 12, 30) / 8
    tensors = torch.tensor(members), torch.tensor(others)
    assert measure_privacy.auc(members, others) == pytest.approx(
        world.membership_auc.reference(*tensors)
    )
    for canary in (0.0, 0.5, 2.0):
        expected = world.exposure.reference(canary, tensors[1])
        assert measure_privacy.exposure(canary, others) == pytest.approx(expected)
    assert measure_privacy.exposure(0.0, others) == math.log2(31)
