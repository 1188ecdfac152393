"""What lesson 07 says about its patients: they fail when it says so, and the decoys do not fail at all."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from course_utils.authoring.lessons import load_definitions
from course_utils.checks import CheckFailed, clinic
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
from course_utils.models import dcgan
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


def test_both_label_losses_stop_with_a_message_of_their_own(lesson):
    with pytest.raises(RuntimeError, match="can't be cast"):
        lesson.broken_label_loss(torch.randn(3), 1)
    with pytest.raises(ValueError, match="size"):
        lesson.broken_label_loss(torch.randn(3, 1), 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_ranges_alone_give_the_generator_away_in_one_step(lesson, seed):
    torch.manual_seed(seed)
    lesson.pictures = load_images("standin", limit=64).images.float() / 255
    with torch.no_grad():
        lesson.unfinished = dcgan.make_generator(100, 16, 3)[:-1](torch.randn(64, 100, 1, 1))
    assert lesson.right_after_one_step(nn.Identity(), nn.Tanh()) == 1
    assert lesson.right_after_one_step(lambda x: 2 * x - 1, nn.Tanh()) < 0.95


def test_the_discriminator_answers_twenty_five_times(lesson):
    assert lesson.broken_discriminator(64)(torch.rand(2, 3, 64, 64)).shape == (50,)
    assert lesson.broken_discriminator(32)(torch.rand(2, 3, 32, 32)).shape == (2,)


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


def test_the_mended_bound_is_exact_for_the_exact_posterior(lesson):
    noise = torch.randn(1_000_000, 1, generator=torch.Generator().manual_seed(0))
    mean, log_var = torch.tensor([3 / 1.25]), torch.tensor([0.2]).log()
    exact = torch.distributions.Normal(0.0, math.sqrt(1.25)).log_prob(torch.tensor(3.0)).item()
    bound = lesson.elbo(torch.tensor([3.0]), mean, log_var, noise, 1.0, 0.5).item()
    assert bound == pytest.approx(exact, abs=0.005)


def test_random_labels_tell_the_leak(lesson):
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


# ---- the commonest, on digits


@pytest.fixture(scope="module")
def digits():
    found = load_digits()
    x = torch.tensor(found.images, dtype=torch.float32).flatten(1) / 16
    return x, torch.tensor(found.target)


def seeded(seed, make):
    torch.manual_seed(seed)
    return make()


@pytest.mark.parametrize("seed", range(3))
def test_one_network_gets_three_accuracies_only_in_training(lesson, digits, seed):
    x, y = digits
    reader = seeded(seed, lambda: nn.Sequential(nn.Linear(64, 64), nn.Dropout(), nn.Linear(64, 10)))
    lesson.fit(reader, F.cross_entropy, x, y, 50)
    assert len({lesson.broken_accuracy(reader, x, y) for _ in range(3)}) > 1
    assert len({lesson.accuracy(reader, x, y) for _ in range(3)}) == 1 and reader.training


@pytest.mark.parametrize("seed", range(3))
def test_the_table_of_differences_is_no_better_than_the_mean(lesson, digits, seed):
    x, ink = digits[0], digits[0].sum(1) / 10
    ends = {}
    for name in ("broken_squared_error", "squared_error"):
        scale = seeded(seed, lambda: nn.Linear(64, 1))
        ends[name] = sum(lesson.fit(scale, getattr(lesson, name), x, ink, 300, 0.03)[-50:]) / 50
    assert ends["broken_squared_error"] > 0.9 * ink.var() > 10 * ends["squared_error"]


@pytest.mark.parametrize("seed", range(3))
def test_two_softmaxes_leave_a_floor_below_which_no_loss_goes(lesson, digits, seed):
    floor = math.log(1 + 9 / math.e)
    sure = 1_000 * F.one_hot(torch.arange(10), 10).float()
    assert lesson.broken_class_loss(sure, torch.arange(10)).item() == pytest.approx(floor)
    reader = seeded(seed, lesson.small_network)
    losses = lesson.fit(reader, lesson.broken_class_loss, *digits)
    assert min(losses) > floor and lesson.accuracy(reader, *digits) > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_a_list_of_layers_is_neither_trained_nor_saved(lesson, digits, seed):
    original = seeded(seed, lambda: lesson.BrokenNetwork(2, 64))
    copy = lesson.BrokenNetwork(2, 64)
    before = [layer.weight.clone() for layer in original.hidden]
    lesson.fit(original, F.cross_entropy, *digits)
    assert all(torch.equal(a, b.weight) for a, b in zip(before, original.hidden, strict=True))
    copy.load_state_dict(original.state_dict())
    assert lesson.accuracy(original, *digits) > 0.6 > 0.4 > lesson.accuracy(copy, *digits)


def test_a_blank_picture_is_what_cannot_be_standardised(lesson):
    x = torch.rand(4, 64)
    reader = nn.Sequential(lesson.Standardise(), nn.Linear(64, 10))
    assert lesson.first_nan(reader, x) is None
    x[2] = 0
    assert lesson.first_nan(reader, x) == "0"


@pytest.mark.parametrize("seed", range(3))
def test_one_batch_catches_what_the_lesson_says(lesson, digits, seed):
    x, y = digits[0][:16], digits[1][:16]
    ink = (x.sum(1) - x.sum(1).mean()) / x.sum(1).std()
    coins = torch.randint(10, (16,), generator=torch.Generator().manual_seed(seed))
    programs = {
        "healthy": (lesson.small_network, lesson.class_loss, y),
        "floor": (lesson.small_network, lesson.broken_class_loss, y),
        "table": (lambda: nn.Linear(64, 1), lesson.broken_squared_error, ink),
        "list": (lambda: lesson.BrokenNetwork(2, 64), lesson.class_loss, y),
        "random": (lesson.small_network, lesson.class_loss, coins),
    }
    left = {}
    for name, (make, loss, target) in programs.items():
        losses = lesson.overfit_one_batch(seeded(seed, make), loss, x, target, 200, 3e-2)
        left[name] = losses[-1] / losses[0]
    assert max(left["healthy"], left["random"]) < 0.01 and left["list"] < 0.1
    assert min(left["floor"], left["table"]) > 0.5


FAULTS = {
    "labels[: enough.sum()]": "labels[enough]",
    "            schedule.step()\n": "        schedule.step()\n",
    "float() / 255": "float() / 16",
}


@pytest.mark.parametrize("left", range(8))
def test_the_mystery_has_three_faults_and_the_check_sees_each(lesson, left):
    text = inspect.getsource(lesson.broken_script)
    for place, (fault, cure) in enumerate(FAULTS.items()):
        assert text.count(fault) == 1
        text = text.replace(fault, cure) if not left >> place & 1 else text
    names = dict(vars(lesson))
    exec(text, names)
    for _ in range(2):
        if left:
            with pytest.raises(CheckFailed):
                clinic.mystery(names["broken_script"])
        else:
            clinic.mystery(names["broken_script"])


def test_the_mystery_is_a_script_of_about_sixty_lines(lesson):
    assert 50 <= len(inspect.getsource(lesson.broken_script).splitlines()) <= 70
