"""Lesson 01's own code against independent ones, its claims from the measured results, and what graduated."""

import copy
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from scipy.stats import wasserstein_distance
from torch import nn

from course_utils import results
from course_utils.authoring.lessons import load_definitions
from course_utils.models import gan
from course_utils.models.dcgan import dcgan_step
from course_utils.models.stacked import StackedLinear, stacked_mlp
from measuring import gan_film

SOURCE = Path(__file__).parents[2] / "notebooks" / "source" / "01_gan_theory.py"


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("01_gan_theory")
    module.copies, module.batch = 2, 128
    return module


def result(name):
    return results.read(f"gan_{name}.json")


def players(seed=0):
    torch.manual_seed(seed)
    return [
        nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)),
        nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)),
    ]


# ---- graduation


@pytest.mark.parametrize("batch", [(8, 8), (5, 3), (1, 4)])
@pytest.mark.parametrize("theirs_step", [gan.gan_step, dcgan_step], ids=["gan", "dcgan"])
def test_the_step_of_the_lesson_is_the_step_of_the_package(lesson, batch, theirs_step):
    ours = players()
    theirs = copy.deepcopy(ours)
    our_sgd, their_sgd = (
        [torch.optim.SGD(n.parameters(), 0.3) for n in nets] for nets in (ours, theirs)
    )
    for _ in range(3):
        real, noise = torch.randn(batch[0], 2), torch.randn(batch[1], 3)
        told = theirs_step(*theirs, *their_sgd, real, noise)
        told = (told["d_loss"], told["g_loss"]) if isinstance(told, dict) else told
        assert lesson.gan_step(*ours, *our_sgd, real, noise) == pytest.approx(told, abs=1e-6)
    for a, b in zip(ours, theirs, strict=True):
        assert all(
            torch.allclose(x, y, atol=1e-6)
            for x, y in zip(a.parameters(), b.parameters(), strict=True)
        )


def test_the_losses_of_the_lesson_are_those_of_the_package(lesson):
    for logits in (torch.randn(7), torch.tensor([[-200.0], [200.0]]), torch.randn(2, 3, 1)):
        other = torch.randn(4)
        assert torch.equal(lesson.value_function(logits, other), gan.value_function(logits, other))
        for saturating in (True, False):
            assert torch.equal(
                lesson.generator_loss(logits, saturating), gan.generator_loss(logits, saturating)
            )


# ---- stacks: the copies must not see each other


def test_a_stack_is_its_networks_side_by_side():
    stack, x = stacked_mlp([3, 5, 2], copies=4, seed=7), torch.randn(4, 6, 3)
    for k in range(4):
        alone = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
        for layer, part in zip(alone, stack, strict=True):
            if isinstance(part, StackedLinear):
                layer.weight.data, layer.bias.data = (
                    part.weight[k].T.clone(),
                    part.bias[k, 0].clone(),
                )
        assert torch.allclose(stack(x)[k], alone(x[k]), atol=1e-6)


def test_copies_do_not_reach_each_other():
    stack, x = stacked_mlp([3, 5, 2], copies=4), torch.randn(4, 6, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(stack(x)[2].square().sum(), x)
    assert gradient[2].abs().sum() > 0 and gradient[[0, 1, 3]].abs().sum() == 0


def test_a_copy_starts_from_its_seed_however_many_there_are():
    few, many = stacked_mlp([3, 5, 2], copies=2, seed=3), stacked_mlp([3, 5, 2], copies=6, seed=3)
    assert all(
        torch.equal(a, b[:2]) for a, b in zip(few.parameters(), many.parameters(), strict=True)
    )
    first = many[0].weight
    assert not torch.equal(first[0], first[1])
    assert first.abs().max() <= 1 / math.sqrt(3)


# ---- the lesson's rulers


def test_ring_scores_of_known_samples(lesson):
    centres = lesson.ring_centres()
    three = centres[torch.arange(900) % 3][None]  # three modes in equal shares
    far = torch.full((1, 900, 2), 9.0)
    modes, good, kl = (
        torch.cat(parts)
        for parts in zip(lesson.score_ring(three), lesson.score_ring(far), strict=True)
    )
    assert modes.tolist() == [3, 0] and good.tolist() == [1, 0]
    assert kl[0].item() == pytest.approx(math.log(8 / 3), abs=1e-5)


def test_draws_of_the_ring_have_eight_equal_modes(lesson):
    torch.manual_seed(0)
    modes, good, kl = lesson.score_ring(lesson.draw_ring(3, 5_000))
    assert modes.tolist() == [8, 8, 8] and kl.max() < 0.01
    assert (
        good - (1 - math.exp(-4.5))
    ).abs().max() < 0.01  # three standard deviations of a plane Gaussian


def test_the_distance_after_sorting_is_wasserstein_1(lesson):
    x, y = torch.randn(50, dtype=torch.float64), 3 + 2 * torch.randn(50, dtype=torch.float64)
    expected = wasserstein_distance(x.numpy(), y.numpy())
    assert lesson.wasserstein_1d(x, y).item() == pytest.approx(expected)


def test_the_layer_of_the_spread_is_the_learners_function(lesson):
    points = torch.randn(2, 6, 2)
    judge = lesson.make_spread_judge(2)
    assert torch.equal(judge[0](points), lesson.with_spread(points))
    assert judge(points).shape == (2, 6, 1)


def test_the_trace_of_a_ring_is_that_of_its_first_copy(lesson):
    generator, judge = lesson.make_ring_generator(2), lesson.make_judge(2)
    torch.manual_seed(5)
    seen = lesson.ring_trace(generator, judge, 40, 2)
    torch.manual_seed(5)
    real, fake = lesson.draw_ring(2, 256)[0], generator(torch.randn(2, 256, 2))[0]
    answers = [judge(points.expand(2, -1, -1))[0].sigmoid() for points in (real, fake)]
    assert seen["step"] == 40
    assert seen["d_real"] == pytest.approx(answers[0].mean().item(), abs=1e-5)
    assert seen["d_fake"] == pytest.approx(answers[1].mean().item(), abs=1e-5)
    losses = -answers[0].log().mean() - (1 - answers[1]).log().mean(), -answers[1].log().mean()
    assert seen["d_loss"] == pytest.approx(losses[0].item(), abs=1e-4)
    assert seen["g_loss"] == pytest.approx(losses[1].item(), abs=1e-4)
    spreads = [points.var(dim=0).sum().sqrt().item() for points in (real, fake)]
    assert [seen["real_diversity"], seen["diversity"]] == pytest.approx(spreads, abs=1e-4)


def test_first_arrival(lesson):
    mean = torch.tensor([[0.0, 3.1, 0.0], [2.8, 0.0, 1.0], [0.0, 3.0, 2.0]])
    assert lesson.arrival(mean).tolist() == [1, 0, 3]


def test_a_critic_overshoots_as_the_formula_says(lesson):
    estimate = lesson.train_critic(penalty=10.0, steps=200)
    assert (estimate - 4.8).abs().max() < 0.1


# ---- what the prose claims


def test_claims_about_the_optimum():
    found = result("optimum")
    assert found["copies"] >= 10 and found["error"]["max"] < 0.02


def test_claims_about_the_two_losses():
    found = result("losses")
    sgd, adam = found["sgd"], found["adam"]
    assert len(sgd["minimax"]["values"]) >= 10
    assert sgd["minimax"]["low"] > sgd["non-saturating"]["high"]
    assert sgd["minimax"]["high"] < found["steps"]  # "All did arrive"
    assert adam["minimax"]["median"] < adam["non-saturating"]["median"]


def test_claims_about_collapse():
    """Collapse as the word means: good samples of few modes, in at least eight runs of ten."""
    found = result("collapse")
    assert found["copies"] >= 10
    collapsed = [
        good > 0.8 and modes <= 3
        for good, modes in zip(
            found["slower"]["good"]["values"], found["slower"]["modes"]["values"], strict=True
        )
    ]
    assert sum(collapsed) >= 0.8 * len(collapsed)
    assert min(found["equal"]["modes"]["values"]) >= 7
    chased = [modes <= 2 for modes in found["faster"]["modes"]["values"]]
    assert found["faster"]["good"]["mean"] < 0.5 < sum(chased) / len(chased) < 1  # "in some runs"
    assert found["faster"]["g_lr"] == 5 * found["equal"]["g_lr"] == 100 * found["slower"]["g_lr"]
    assert found["equal"]["g_lr"] == found["d_lr"]
    assert found["spread"]["g_lr"] == found["slower"]["g_lr"]


def test_only_the_chase_has_the_losses_of_a_good_game(lesson):
    found = result("collapse")
    equilibrium = math.log(4)
    assert abs(found["faster"]["d_loss_of_the_first"] - equilibrium) < 0.2
    assert abs(found["equal"]["d_loss_of_the_first"] - equilibrium) < 0.2
    one_mode, seven_modes = lesson.loss_of_modes(1, 8), lesson.loss_of_modes(7, 8)
    assert abs(found["slower"]["d_loss_of_the_first"] - one_mode) < 0.1
    assert found["faster"]["d_loss_of_the_first"] > seven_modes  # "nearly all"


def test_claims_about_wrong_loops():
    toy = result("traces")["toy"]
    assert abs(toy["right"]["mean"] - 3) < 0.1 and abs(toy["right"]["d_loss"] - math.log(4)) < 0.02
    assert toy["caught"]["g_loss"] < 0.01 and toy["caught"]["mean"] < 0
    for name in ("no_detach", "stale", "joint"):
        row = toy[name]
        assert abs(row["d_fake"] - 0.5) < 0.01 and row["d_real"] > 0.99 and row["std"] < 0.05
        assert abs(row["d_loss"] - math.log(2)) < 0.02 and abs(row["g_loss"] - math.log(2)) < 0.02


@pytest.mark.parametrize("name", ["optimum", "losses", "collapse", "traces", "dcgan"])
def test_results_say_their_seed_day_and_seconds(name):
    assert {"seed", "date", "seconds"} <= result(name).keys()


# ---- the smallest game


@pytest.mark.parametrize(("penalty", "inwards"), [(0.0, False), (0.05, False), (0.2, True)])
def test_a_zero_centred_penalty_turns_the_spiral_inwards_when_it_exceeds_the_rate(
    lesson, penalty, inwards
):
    path = lesson.bilinear_game(400, 0.1, pull=lambda b: penalty * b)
    assert (path[-1].norm() < path[0].norm()).item() is inwards
    matrix = torch.tensor([[1, -0.1], [0.1, 1 - 0.1 * penalty]], dtype=torch.float64)
    assert torch.allclose(path[-1], torch.linalg.matrix_power(matrix, 400) @ path[0])


def test_in_turn_the_smallest_game_neither_arrives_nor_leaves(lesson):
    radius = lesson.bilinear_game(5_000, 0.1, in_turn=True).norm(dim=1)
    assert radius.min() > 1.3 and radius.max() < 1.6


def test_weighted_fakes_have_the_moments_of_the_data(lesson):
    fakes = 0.5 + 1.3 * torch.randn(200_000, dtype=torch.float64)
    logits = torch.log(lesson.p_data(fakes) / lesson.p_g(fakes))  # of the best discriminator
    weights = lesson.data_weights(logits)
    assert (weights * fakes).sum().item() == pytest.approx(0, abs=0.05)
    assert (weights * fakes**2).sum().item() == pytest.approx(4.36, abs=0.1)


def test_the_step_that_was_found_freezes_where_the_text_says(lesson):
    generator, discriminator, losses = lesson.play(lesson.found_step, 300)
    with torch.no_grad():
        fakes = generator(torch.randn(500, 1))
        answer = discriminator(fakes).sigmoid().mean().item()
    assert abs(answer - 0.5) < 0.05 and abs(losses[-1][1] - math.log(2)) < 0.05
    assert abs(fakes.mean().item() - 3) > 1


# ---- the film


def test_the_film_is_drawn_by_the_lessons_own_code():
    with Image.open(gan_film.PATH) as film:
        assert film.n_frames >= 30 and gan_film.PATH.stat().st_size < 2**20
        assert film.info["comment"].decode() == gan_film.digest(), "python -m measuring.gan_film"


# ---- the whole lesson
