"""The scores that lesson 06 adds: against torchmetrics, scikit-learn, closed forms; and what they are measured on."""

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from course_utils import results
from course_utils.datasets import corruptions
from course_utils.datasets.images import load_images
from course_utils.errors import CourseError
from course_utils.evaluation import metrics
from course_utils.evaluation.distances import (
    feature_moments,
    frechet_distance,
    inception_score,
    kernel_distance,
)
from course_utils.evaluation.manifolds import copied, nearest_distance, precision_recall
from course_utils.evaluation.scores import (
    NAMES,
    Score,
    bootstrap_interval,
    measure_pair,
    wilson_interval,
)
from course_utils.models.features import FeatureNetwork, load_feature_network
from course_utils.models.other_features import PixelFeatures, UntrainedFeatures
from measuring import measure_generators


@pytest.fixture(scope="module")
def drawings():
    return load_images("standin", "test", limit=320)


class Look(torch.nn.Module):
    """The shipped features (or logits) as torchmetrics asks for them: uint8 images in, vectors out."""

    num_features = 128

    def __init__(self, logits=False):
        super().__init__()
        self.network, self.logits = load_feature_network(), logits

    def forward(self, images):
        x = images.float() / 127.5 - 1
        return self.network(x) if self.logits else self.network.features(x)


# ---- against a well-kept library, on the same features


def test_fd_equals_torchmetrics(drawings):
    one, two = drawings.images[:160], corruptions.blurred(drawings.images[160:])
    theirs = FrechetInceptionDistance(feature=Look())
    theirs.update(one, real=True)
    theirs.update(two, real=False)
    look = Look()
    ours = frechet_distance(*feature_moments(look(one)), *feature_moments(look(two)))
    assert ours == pytest.approx(theirs.compute().item(), rel=2e-3)


def test_kd_equals_torchmetrics(drawings):
    one, two = drawings.images[:160], corruptions.blurred(drawings.images[160:])
    theirs = KernelInceptionDistance(
        feature=Look(), subsets=1, subset_size=160, degree=3, gamma=None, coef=1.0
    )
    theirs.update(one, real=True)
    theirs.update(two, real=False)
    ours = kernel_distance(Look()(two), Look()(one))
    assert ours == pytest.approx(theirs.compute()[0].item(), rel=1e-3, abs=1e-5)


def test_the_classifier_score_equals_torchmetrics(drawings):
    theirs = InceptionScore(feature=Look(logits=True), splits=1)
    theirs.update(drawings.images)
    ours = inception_score(Look(logits=True)(drawings.images).softmax(1))
    assert ours == pytest.approx(theirs.compute()[0].item(), rel=1e-4)


def shares_by_sklearn(real, fake, k):
    def share(points, centres):
        search = NearestNeighbors(algorithm="brute").fit(centres)
        radii = search.kneighbors(n_neighbors=k)[0][:, -1]
        distance, index = search.kneighbors(points, n_neighbors=len(centres))
        return (distance <= radii[index] + 1e-7).any(1).mean()

    return share(fake, real), share(real, fake)


@pytest.mark.parametrize(("n", "m", "k"), [(160, 160, 3), (100, 160, 1), (160, 90, 5)])
def test_precision_and_recall_equal_scikit_learn(drawings, n, m, k):
    look = Look()
    real, fake = (
        look(drawings.images[:n]).double(),
        look(corruptions.blurred(drawings.images[-m:])).double(),
    )
    assert precision_recall(real, fake, k) == pytest.approx(
        shares_by_sklearn(real.numpy(), fake.numpy(), k)
    )


# ---- precision, recall, copies


def test_precision_and_recall_by_hand():
    real = torch.tensor([[0.0], [1.0], [10.0]])  # with k = 1 the balls reach 1, 1 and 9 far
    fake = torch.tensor([[1.5], [0.5], [-3.0], [30.0]])  # 1, 1, 3.5 and 28.5
    assert precision_recall(real, fake, 1) == (2 / 4, 3 / 3)
    assert precision_recall(fake, real, 1) == (3 / 3, 2 / 4)


def test_precision_and_recall_of_copies_and_large_features():
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(60, 128, generator=generator) + 100
    same = precision_recall(real, real[:7].repeat(10, 1), 3)
    assert same == (
        1.0,
        7 / 60,
    )  # ten copies of each: balls of radius 0 hold their own centre and nothing else
    assert precision_recall(real, real.clone(), 3) == (1.0, 1.0)
    assert precision_recall(real, real + 1000, 3) == (0.0, 0.0)


def test_regions_do_not_depend_on_how_the_work_is_cut(monkeypatch):
    real, fake = torch.randn(2, 90, 5, generator=torch.Generator().manual_seed(1))
    whole = precision_recall(real, fake, 2)
    monkeypatch.setattr("course_utils.evaluation.manifolds._ROWS", 7)
    assert precision_recall(real, fake, 2) == whole


@pytest.mark.parametrize(
    ("shapes", "k", "code"),
    [
        (((5, 3), (5, 4)), 1, "metrics-shape"),
        (((5,), (5,)), 1, "metrics-shape"),
        (((5, 3), (5, 3)), 5, "metrics-neighbours"),
        (((5, 3), (5, 3)), 0, "metrics-neighbours"),
    ],
)
def test_regions_that_cannot_be_made_are_refused(shapes, k, code):
    with pytest.raises(CourseError) as error:
        precision_recall(*(torch.zeros(shape) for shape in shapes), k)
    assert error.value.code == code


def test_copies_are_found_and_others_are_not():
    generator = torch.Generator().manual_seed(2)
    training, held_out, new = (torch.randn(n, 8, generator=generator) for n in (500, 400, 300))
    found = copied(torch.cat([training[:50] + 1e-4, new]), training, held_out, level=0.02)
    assert found[:50].all() and found[50:].double().mean() < 0.08
    distance, index = nearest_distance(training[100:120], training)
    assert index.tolist() == list(range(100, 120)) and distance.max() < 1e-2


# ---- the classifier score


def test_the_classifier_score_at_its_ends():
    assert inception_score(torch.eye(7).repeat(3, 1)) == pytest.approx(7)
    assert inception_score(torch.full((5, 4), 0.25)) == pytest.approx(1)
    for bad in (
        torch.randn(5, 4),
        torch.full((5, 4), 0.3),
        torch.full((5, 4), float("nan")),
        torch.ones(4),
    ):
        with pytest.raises(CourseError) as error:
            inception_score(bad)
        assert error.value.code == "metrics-probabilities"


# ---- intervals


def test_the_bootstrap_covers_a_mean_about_as_often_as_it_says():
    generator = torch.Generator().manual_seed(3)
    hits = 0
    for _ in range(200):
        values = torch.randn(60, generator=generator)
        low, high = bootstrap_interval(values, lambda v: v.mean(), 150, generator)
        hits += low <= 0 <= high
    assert 0.87 <= hits / 200 <= 0.99


def test_the_bootstrap_of_fd_lies_above_its_value():
    generator = torch.Generator().manual_seed(4)
    pairs = torch.randn(80, 20, generator=generator)

    def fd(rows):
        x, y = rows.chunk(2, dim=1)
        return frechet_distance(*feature_moments(x), *feature_moments(y))

    assert bootstrap_interval(pairs, fd, 50, generator)[0] > fd(pairs)


@pytest.mark.parametrize(("correct", "total"), [(0, 20), (14, 20), (20, 20), (500, 1000)])
def test_wilson_solves_its_equation(correct, total):
    z, share = 1.96, correct / total
    for end in wilson_interval(correct, total):
        assert (share - end) ** 2 == pytest.approx(z * z * end * (1 - end) / total, abs=1e-9)


# ---- a score cannot be shown without its facts


@pytest.mark.parametrize("name", NAMES)
def test_every_score_prints_all_its_facts_and_needs_them(name):
    score = Score(name, 0.5, 0.4, 0.6, 100, 3, "features F", "set S", 0.9)
    for part in (name, "0.4 to 0.6", "n = 100", "3 draws", "0.9", "features F", "set S"):
        assert part in str(score) and part in repr(score) and part in f"{[score]}"
    for missing in ({"n": 0}, {"draws": 1}, {"features": ""}, {"real_set": ""}, {"name": "FID"}):
        with pytest.raises(CourseError):
            Score(**{**vars(score), **missing})


@pytest.fixture(scope="module")
def reference(drawings):
    return metrics.RealReference.from_images(
        drawings.subset(slice(0, 160)),
        drawings.subset(slice(160, 320)),
        n=50,
        draws=3,
        names=tuple(NAMES),
    )


def test_a_reference_computes_all_five_alike_for_tensor_set_and_sampler(reference, drawings):
    images = drawings.images[160:310]
    queue = iter(images[torch.randperm(150, generator=torch.Generator().manual_seed(1))].split(1))
    scores = [
        reference.score(images),
        reference.score(lambda count: torch.cat([next(queue) for _ in range(count)])),
    ]
    for name in NAMES:
        assert scores[0][name].value == pytest.approx(scores[1][name].value, rel=1e-3, abs=1e-3)
        assert scores[0][name].floor == reference.floor[name].value
        assert (scores[0][name].n, scores[0][name].draws) == (50, 3)
    text = metrics.table({"same kind": scores[0], "floor": reference.floor})
    assert all(f" {name} (95 % interval)" in text for name in NAMES)


def test_scores_notice_what_they_should(reference, drawings):
    floor, images = reference.floor, drawings.images[:150]
    noise, few = (
        reference.score(corruptions.noisy(images, 60)),
        reference.score(corruptions.repeated(images, 5, 150)),
    )
    assert noise["precision"].high < floor["precision"].low and noise["FD"].low > floor["FD"].high
    assert few["recall"].high < floor["recall"].low
    assert few["precision"].value > noise["precision"].value + 0.2


def test_a_pair_gives_the_numbers_asked_for_in_that_order(drawings):
    network = load_feature_network()
    x, y = metrics.extract_features(drawings.images[:100], network).split(50)
    found = measure_pair(x, y, network, ("recall", "FD"))
    assert list(found) == ["recall", "FD"]
    assert found["recall"] == precision_recall(y, x)[1]
    assert measure_pair(x, y, network, ("CS",))["CS"] == pytest.approx(
        inception_score(network.head(x).softmax(1)), rel=1e-5
    )


# ---- spoiled sets and other features


def test_spoiled_sets_are_spoiled_in_the_way_they_say(drawings):
    images = drawings.images
    noisy = corruptions.noisy(torch.full((20, 3, 32, 32), 128, dtype=torch.uint8), 12)
    assert noisy.float().std().item() == pytest.approx(
        12, rel=0.03
    ) and noisy.float().mean() == pytest.approx(128, abs=0.3)
    assert (
        torch.equal(corruptions.noisy(images[:5]), corruptions.noisy(images[:5]))
        and noisy.dtype == torch.uint8
    )
    step = lambda x: (x[..., 1:].float() - x[..., :-1].float()).abs().mean()  # noqa: E731
    assert step(corruptions.blurred(images, 1.0)) < 0.8 * step(images)
    kept = corruptions.some_classes(drawings, 3)
    assert len(kept) == int((drawings.labels < 3).sum())
    again = corruptions.repeated(images, 4, 100)
    assert len(again) == 100 and len(again.unique(dim=0)) == 4
    for wrong in (0, 11):
        with pytest.raises(CourseError):
            corruptions.some_classes(drawings, wrong)


def test_untrained_features_are_the_same_network_and_repeat(drawings):
    x = drawings.images[:4].float() / 127.5 - 1
    state = torch.get_rng_state()
    one, again, other = UntrainedFeatures(0), UntrainedFeatures(0), UntrainedFeatures(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.features(x), again.features(x)) and not torch.equal(
        one.features(x), other.features(x)
    )
    assert isinstance(one, FeatureNetwork) and one.features(x).shape == (4, 128)
    assert "seed 0" in one.description and "seed 1" in other.description
    assert not any(p.requires_grad for p in one.parameters())


@pytest.mark.parametrize("count", [150, 320])
def test_pixel_features_are_principal_components(drawings, count):
    pixels = PixelFeatures(drawings.images[:count], "drawings", dim=20)
    directions = pixels.directions
    assert torch.allclose(directions.T @ directions, torch.eye(20), atol=1e-4)
    x = drawings.images[:count].float() / 127.5 - 1
    spread = pixels.features(x).var(0)
    exact = torch.from_numpy(
        np.linalg.svd((x.flatten(1) - x.flatten(1).mean(0)).numpy(), compute_uv=False)[:20] ** 2
    )
    assert torch.allclose(spread, exact / (count - 1), rtol=1e-3)
    assert "20 principal components of the pixels of drawings" in pixels.description
    with pytest.raises(CourseError):
        pixels.features(torch.zeros(2, 1, 32, 32))


def test_few_images_have_as_many_pixel_features_as_images(drawings):
    pixels = PixelFeatures(drawings.images[:9], "drawings")
    assert pixels.features(drawings.images[:4] / 127.5 - 1).shape == (4, 9) and pixels.dim == 9
    assert "first 9 principal" in pixels.description


# ---- the measured files


@pytest.mark.parametrize("what", ["table", "networks", "bias", "modes"])
def test_measured_files_say_where_they_come_from(what):
    found = results.read(f"scores_{what}.json")
    for key in (
        "data",
        "features" if what != "networks" else "networks",
        "real_set",
        "draws",
        "commit",
        "machine",
        "versions",
    ):
        assert found[key], key
    assert found["draws"] >= 3 and "95 %" in found["interval_method"]
    numbers = [v for v in walk(found) if isinstance(v, float)]
    assert len(numbers) > 30 and all(map(math.isfinite, numbers))


def walk(value):
    children = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    for child in children:
        yield child
        yield from walk(child)


def test_the_measurement_of_modes_counts_exactly(monkeypatch):
    monkeypatch.setattr(measure_generators, "MODES_N", 60)
    monkeypatch.setattr(measure_generators, "DRAWS", 2)
    rows = measure_generators.modes()["rows"]
    assert rows["classes_2"]["coverage"] <= 0.2 and rows["one_background"]["coverage"] <= 1 / 6
    assert (
        rows["hundred_pictures"]["coverage"] == rows["classes_10"]["coverage"]
    )  # 60 pictures are fewer than 100
    assert rows["classes_1"]["recall"]["value"] < rows["classes_10"]["recall"]["value"]


def test_the_table_is_measured_as_the_lesson_does(drawings, monkeypatch):
    monkeypatch.setattr(measure_generators, "N", 20)
    monkeypatch.setattr(measure_generators, "DRAWS", 2)
    monkeypatch.setattr(measure_generators, "COPIES", 5)
    train, test = drawings.subset(slice(0, 240)), drawings.subset(slice(240, 320))
    found = measure_generators.table(train, test)
    assert list(found["rows"]) == [
        "held_out",
        "training",
        "copies",
        "half",
        "noise",
        "blur",
        "gan",
        "vae",
    ]
    assert (
        found["rows"]["training"]["copied"]["value"]
        == found["rows"]["training"]["copied_pixels"]["value"]
        == 1.0
    )
    assert found["rows"]["held_out"]["copied"]["value"] < 0.3
    for row in found["rows"].values():
        for name in (*NAMES, "copied", "copied_pixels"):
            assert row[name]["low"] <= row[name]["value"] <= row[name]["high"] + 1e-12


def test_the_line_through_fd_finds_slope_and_limit():
    generator = np.random.default_rng(0)
    values = {
        n: (2 + 70 / n + generator.normal(0, 0.01, 5)).tolist() for n in (500, 1000, 2000, 5000)
    }
    line = measure_generators._line(values)
    assert (
        line["slope"]["low"] < 70 < line["slope"]["high"]
        and line["limit"]["low"] < 2 < line["limit"]["high"]
    )
    assert line["slope"]["high"] - line["slope"]["low"] < 40
