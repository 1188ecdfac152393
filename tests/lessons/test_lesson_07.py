"""What lesson 07 says about its patients: they fail when it says so, and the decoys do not fail at all."""

import math

import pytest
import torch
from torch import nn

from course_utils.authoring.lessons import load_definitions
from course_utils.datasets.reviews import load_reviews
from course_utils.models.pretrained import load_encoder


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("07_debugging_clinic")
    module.reviews = load_reviews("standin", limit=600)
    module.encoder = load_encoder("standin", tier="smoke", texts=module.reviews.texts)
    return module


def test_the_epoch_passes_its_trial_and_fails_late(lesson, tmp_path):
    assert lesson.broken_epoch(torch.rand(64, 1, 4, 4), 32, 100, tmp_path) == 2
    with pytest.raises(ValueError, match="size"):
        lesson.broken_epoch(torch.rand(80, 1, 4, 4), 32, 100, tmp_path)
    with pytest.raises(NameError):
        lesson.broken_epoch(torch.rand(64, 1, 4, 4), 32, 2, tmp_path)


def test_the_judge_answers_twenty_five_times(lesson):
    assert lesson.broken_judge(64)(torch.rand(2, 3, 64, 64)).shape == (50,)
    assert lesson.broken_judge(32)(torch.rand(2, 3, 32, 32)).shape == (2,)


def test_the_critic_stops_with_the_message_of_the_title(lesson):
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        lesson.broken_critic_step(*lesson.make_players(), torch.randn(5, 1), torch.randn(5, 2))


@pytest.mark.parametrize("seed", range(20))
def test_the_data_are_the_worst_point_of_the_joint_loss(lesson, seed):
    random = torch.Generator().manual_seed(seed)
    p, q = (torch.rand(5, generator=random, dtype=torch.float64).softmax(0) for _ in range(2))
    worst = 2 * math.log(1.5) + math.log(3)
    assert lesson.broken_objective(p, p).item() == pytest.approx(worst)
    assert lesson.broken_objective(p, q) < worst
    here = p.clone().requires_grad_()
    (slope,) = torch.autograd.grad(lesson.broken_objective(p, here), here)
    assert torch.allclose(slope, torch.full_like(slope, math.log(9 / 2)))


def test_the_kl_of_the_patient_is_minus_the_other_one(lesson):
    p, q = torch.tensor([0.1, 0.2, 0.7]), torch.tensor([0.5, 0.3, 0.2])
    assert torch.allclose(lesson.broken_kl(p, q), -lesson.kl(q, p))


def test_the_bound_of_the_patient_lies_above_what_it_bounds(lesson):
    x, noise = (
        torch.tensor([3.0]),
        torch.randn(10_000, 1, generator=torch.Generator().manual_seed(0)),
    )
    exact = torch.distributions.Normal(0.0, math.sqrt(1.25)).log_prob(x)
    assert lesson.broken_elbo(x, x, torch.tensor([-6.0]), noise, 1.0, 0.5) > exact
    assert lesson.elbo(x, x, torch.tensor([-6.0]), noise, 1.0, 0.5) < exact


def test_labels_drawn_by_lot_tell_the_leak(lesson):
    torch.manual_seed(0)
    assert lesson.accuracy_on_random_labels(lesson.broken_encode) > 0.95
    assert 0.35 < lesson.accuracy_on_random_labels(lesson.encode_batch) < 0.65


def test_the_suspicious_step_is_healthy_and_the_patient_is_not(lesson):
    random = torch.Generator().manual_seed(0)
    batches = [
        (torch.randn(n, 1, generator=random), torch.randn(8, 2, generator=random))
        for n in (8, 5, 1)
    ]
    same = lesson.same_training
    assert same(lesson.suspicious_step, lesson.gan_step, lesson.make_players, batches)
    assert not same(lesson.broken_gan_step, lesson.gan_step, lesson.make_players, batches)


def test_players_are_the_same_at_every_call(lesson):
    first, second = (
        nn.utils.parameters_to_vector(lesson.make_players()[0].parameters()) for _ in range(2)
    )
    assert torch.equal(first, second)
