"""The code of lesson 06, taken from its source, against the package and against independent oracles."""

import math
from types import SimpleNamespace

import pytest
import torch

from course_utils import results
from course_utils.authoring.lessons import load_definitions
from course_utils.display import score_plots
from course_utils.evaluation import metrics


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
    assert networks["untrained_0"]["order_by_FD"] != networks["untrained_2"]["order_by_FD"]
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
