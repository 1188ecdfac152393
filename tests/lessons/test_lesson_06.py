"""The code of lesson 06, taken from its source, against the package and against independent oracles."""

import math
from types import SimpleNamespace

import pytest
import torch

from course_utils import results
from course_utils.authoring.lessons import load_definitions
from course_utils.display import score_plots
from course_utils.evaluation import metrics, text_sets


@pytest.fixture(scope="module")
def lesson():
    return load_definitions("06_measuring_generators")


@pytest.fixture(scope="module")
def clouds():
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(12, 12, generator=generator)
    return torch.randn(150, 12, generator=generator).relu() @ mix, 0.8 * torch.randn(
        120, 12, generator=generator
    ) @ mix


def test_the_lessons_scores_and_the_packages_agree(lesson, clouds):
    x, y = clouds
    moments = (*lesson.moments(x), *lesson.moments(y))
    assert lesson.frechet_distance(*moments) == pytest.approx(
        metrics.frechet_distance(*moments), rel=1e-9
    )
    assert lesson.kernel_distance(x.double(), y.double()) == pytest.approx(
        metrics.kernel_distance(x, y), rel=1e-9
    )
    p = (x[:, :5] / 5).softmax(1)
    assert lesson.inception_score(p) == pytest.approx(metrics.inception_score(p), rel=1e-5)
    for k in (1, 3, 6):
        assert lesson.precision_recall(x, y, k) == pytest.approx(metrics.precision_recall(x, y, k))


def test_the_lessons_bootstrap_is_the_packages(lesson, clouds):
    values = clouds[0][:, :2]
    ours, package = (
        function(
            values, lambda rows: rows[:, 0].mean().item(), 200, torch.Generator().manual_seed(5)
        )
        for function in (lesson.bootstrap_interval, metrics.bootstrap_interval)
    )
    assert ours == pytest.approx(package, rel=1e-6)


def test_moments_are_those_of_the_package_also_for_one_feature(lesson, clouds):
    for points in (clouds[0], clouds[0][:, :1]):
        for ours, theirs in zip(
            lesson.moments(points), metrics.feature_moments(points), strict=True
        ):
            assert torch.allclose(ours, theirs)


def test_the_toys_have_the_moments_that_the_text_says(lesson):
    torch.manual_seed(0)
    points = lesson.ring(200_000)
    assert points.dtype == torch.float64 and points.shape == (200_000, 2)
    assert torch.allclose(
        torch.cov(points.T), (2**2 / 2 + 0.15**2) * torch.eye(2).double(), atol=0.02
    )
    assert points.mean(0).abs().max() < 0.02
    upper = lesson.ring(1000, blobs=4)
    assert (upper[:, 1] > -1).all() and upper.mean(0).norm() > 1


def test_a_single_gaussian_fools_both_distances_and_not_the_regions(lesson):
    torch.manual_seed(1)
    truth, blob = lesson.ring(500), (2**2 / 2 + 0.15**2) ** 0.5 * torch.randn(500, 2).double()
    half = lesson.ring(500, blobs=4)
    fd = [
        lesson.frechet_distance(*lesson.moments(truth), *lesson.moments(other))
        for other in (blob, half)
    ]
    assert fd[0] < 0.1 < 1 < fd[1]
    assert lesson.precision_recall(truth, blob, 3)[0] < 0.4
    assert lesson.precision_recall(truth, half, 3)[1] == pytest.approx(0.5, abs=0.08)


def test_the_bootstrap_of_pairs_is_an_fd(lesson, clouds):
    pairs = torch.cat([clouds[0][:100], clouds[1][:100]], dim=1)
    lesson.run = SimpleNamespace()
    expected = metrics.frechet_distance(
        *lesson.moments(clouds[0][:100]), *lesson.moments(clouds[1][:100])
    )
    assert lesson.fd_of_pairs(pairs) == pytest.approx(expected, rel=1e-6)


def test_the_first_order_bias_is_right_to_first_order(lesson):
    torch.manual_seed(2)
    dim, n = 6, 1500
    drawn = [
        lesson.frechet_distance(*lesson.moments(x), *lesson.moments(y))
        for x, y in torch.randn(150, 2, n, dim).double()
    ]
    mean, low, high = metrics.mean_interval(drawn)
    assert abs(mean - (dim**2 + 5 * dim) / (2 * n)) < 2 * (high - low)
    assert math.isclose(mean, (dim**2 + 5 * dim) / (2 * n), rel_tol=0.1)


def test_what_the_text_says_without_a_number_was_measured():
    networks = results.read("scores_networks.json")["networks"]
    fd = {
        key: {name: row["FD"] for name, row in network["rows"].items()}
        for key, network in networks.items()
    }
    assert fd["trained"]["gan"]["high"] < fd["trained"]["half"]["low"]
    for seed in (0, 1, 2):
        rows = fd[f"untrained_{seed}"]
        assert rows["gan"]["value"] > 20 * rows["half"]["value"], "a factor of more than twenty"
        assert rows["half"]["value"] < 4 * rows["held_out"]["value"] < 0.2 * rows["gan"]["value"]
    gan = [fd[f"untrained_{seed}"]["gan"] for seed in (0, 1)]
    assert 1.9 * gan[0]["value"] < gan[1]["value"] and gan[0]["high"] < gan[1]["low"], "doubles"
    assert fd["pixels"]["noise"]["low"] < fd["pixels"]["held_out"]["high"], (
        "pixels do not see the noise"
    )


def test_what_the_text_says_of_the_table_was_measured():
    rows = results.read("scores_table.json")["rows"]
    floor, scores = (
        rows.pop("held_out"),
        ("FD", "KD", "CS", "precision", "recall", "copied", "copied_pixels"),
    )
    marks = {
        name: {s: score_plots.verdict(s, row[s], floor[s]) for s in scores}
        for name, row in rows.items()
    }
    for name, mark in marks.items():
        assert mark["FD"] == mark["KD"] == mark["recall"] == (name != "training")
        assert mark["precision"] == (name == "noise")
        assert mark["copied"] == (name in ("training", "copies", "half"))
        assert mark["copied_pixels"] == (name in ("training", "copies", "half", "blur"))
    assert marks["training"]["CS"] == -1 and marks["copies"]["CS"] == 0
    for score in ("FD", "KD"):
        assert rows["copies"][score]["high"] < rows["gan"][score]["low"]
    assert (
        rows["noise"]["FD"]["high"] > rows["gan"]["FD"]["low"]
        and rows["noise"]["KD"]["low"] > rows["gan"]["KD"]["high"]
    )


def test_the_fault_of_the_first_try_is_the_one_that_its_text_says(lesson):
    torch.manual_seed(0)
    x, y = torch.randn(2, 200, 50, 8).double()
    tries = [lesson.first_try(a, b) for a, b in zip(x, y, strict=True)]
    mended = [lesson.kernel_distance(a, b) for a, b in zip(x, y, strict=True)]
    assert min(tries) > 0, "none is negative"
    assert metrics.mean_interval(mended)[1] < 0 < metrics.mean_interval(mended)[2]


def test_carrying_by_the_map_of_the_derivation_costs_the_fd(lesson):
    torch.manual_seed(0)
    one, two = (x @ x.T for x in torch.randn(2, 4, 4).double())
    root = lesson.matrix_root(one)
    plan = root.inverse() @ lesson.matrix_root(root @ two @ root) @ root.inverse()
    assert torch.allclose(plan @ one @ plan, two) and torch.allclose(plan, plan.T)
    cost = (one + two - 2 * plan @ one).trace().item()
    zero = torch.zeros(4).double()
    assert cost == pytest.approx(lesson.frechet_distance(zero, one, zero, two))


def test_the_bias_of_unequal_variances_is_that_of_the_folded_formula(lesson):
    torch.manual_seed(0)
    values, n = torch.tensor([1.0, 0.3, 0.05]).double(), 1000
    drawn = [
        lesson.frechet_distance(*lesson.moments(x), *lesson.moments(y))
        for x, y in torch.randn(400, 2, n, 3).double() * values.sqrt()
    ]
    pairs = torch.outer(values, values) / (values[:, None] + values)
    slope = (2 * values.sum() + pairs.sum() + pairs.trace()).item()
    _, low, high = metrics.mean_interval(drawn)
    assert low < slope / n < high


def test_the_classifier_score_is_a_difference_of_entropies(lesson, clouds):
    p = clouds[0][:, :5].softmax(1)
    parts = lesson.entropy(p.mean(0)) - lesson.entropy(p).mean()
    assert lesson.inception_score(p) == pytest.approx(parts.exp().item(), rel=1e-5)


def test_the_cheat_beats_what_its_card_says_it_beats(lesson, clouds):
    points, goal = clouds[0], lesson.moments(clouds[0])

    def fd(rows):
        return lesson.frechet_distance(*lesson.moments(rows.repeat(50, 1)), *goal)

    assert fd(points[lesson.cheat(points, 20, fd)]) < 0.5 * fd(points[:20])


def test_distinct_pairs_are_the_packages(lesson):
    texts = [[1, 2, 3, 1, 2], [1, 2, 4, 4, 4]]
    for length in (1, 2, 3):
        assert lesson.distinct(texts, length) == text_sets.distinct_share(texts, length)


def test_what_the_text_says_of_label_smoothing_was_so():
    assert results.read("features_cifar10.json")["settings"]["label_smoothing"] == 0.1
    rows = results.read("scores_table.json")["rows"]
    assert rows["copies"]["FD"]["high"] < rows["gan"]["FD"]["low"], "a hundred beat the GAN"
