"""Scores by class: a swap of two labels moves what it must and nothing else, and the reader reads."""

import pytest
import torch

from course_utils.datasets.images import load_images
from course_utils.errors import CourseError
from course_utils.evaluation import class_scores, metrics


@pytest.fixture(scope="module")
def sets():
    return load_images("standin", "train", limit=600), load_images("standin", "test", limit=600)


@pytest.fixture(scope="module")
def reference(sets):
    return class_scores.ClassReference.from_images(*sets, n=6)


def drawer(images):
    """labels of one class -> images of that class, always the same."""
    return lambda labels: images.images[images.labels == labels[0]][: len(labels)]


def test_total_and_classes_are_those_of_plain_references(sets, reference):
    train, test = sets
    scores = reference.score(drawer(test))
    assert scores.total["FD"].n == 60 and scores.of_class[0]["FD"].n == 6
    rows = [train.images[train.labels == 3][:30], test.images[test.labels == 3][:30]]
    real, other = (metrics.extract_features(x, reference.total.network) for x in rows)
    by_hand = [
        metrics.frechet_distance(*metrics.feature_moments(a), *metrics.feature_moments(b))
        for a, b in zip(other.split(6), real.split(6), strict=True)
    ]
    assert scores.of_class[3]["FD"].value == pytest.approx(sum(by_hand) / 5, rel=1e-4)
    assert scores.total["FD"].value == pytest.approx(reference.real.total["FD"].value)


def test_a_swap_is_seen_by_the_classes_alone(sets, reference):
    _, test = sets
    order = torch.arange(10)
    order[[2, 7]] = order[[7, 2]]
    right = reference.score(drawer(test))
    swapped = reference.score(lambda labels: drawer(test)(order[labels]))
    assert swapped.total["FD"].value == pytest.approx(right.total["FD"].value, rel=1e-4)
    rise = [
        b["FD"].value - a["FD"].value for a, b in zip(right.of_class, swapped.of_class, strict=True)
    ]
    assert sorted(torch.tensor(rise).topk(2).indices.tolist()) == [2, 7]
    assert torch.equal(swapped.seen[2], right.seen[7]) and torch.equal(
        swapped.seen[0], right.seen[0]
    )
    assert swapped.accuracy[0] < right.accuracy[0]


def test_the_reader_knows_real_images(reference):
    value, low, high = reference.real.accuracy
    assert low <= value <= high and value > 0.5
    assert reference.real.seen.sum() == 300 and len(reference.real.accuracies) == 10


def test_too_few_of_a_class_are_refused_with_what_fits(sets):
    assert class_scores.fitting_n(100, *sets) == 12
    with pytest.raises(CourseError, match="draws of 100"):
        class_scores.ClassReference.from_images(*sets, n=100)
