"""FD and KD against closed forms and independent oracles, their wrong variants, and scores that cannot hide facts."""

from dataclasses import FrozenInstanceError, dataclass, replace

import numpy as np
import pytest
import torch

from course_utils.errors import CourseError
from course_utils.evaluation.metrics import (
    RealReference,
    Score,
    extract_features,
    feature_moments,
    fitting_n,
    frechet_distance,
    kernel_distance,
    load_feature_network,
    mean_image_plus_noise,
    mean_interval,
    sharpness,
    table,
)


def gaussian(dim, seed, samples=None):
    """A mean (D,) and a covariance (D, D); of rank samples - 1 when ``samples`` is given."""
    generator = torch.Generator().manual_seed(seed)
    data = torch.randn(samples or 3 * dim, dim, generator=generator, dtype=torch.float64)
    mix = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    return feature_moments(data @ mix + torch.randn(dim, generator=generator, dtype=torch.float64))


def oracle(mean1, cov1, mean2, cov2):
    """By the eigenvalues of the plain product C1 C2 (not symmetric), in NumPy: another route to the same trace."""
    mean1, cov1, mean2, cov2 = (np.asarray(part) for part in (mean1, cov1, mean2, cov2))
    roots = np.sqrt(np.clip(np.linalg.eigvals(cov1 @ cov2).real, 0, None))
    return ((mean1 - mean2) ** 2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * roots.sum()


WRONG = {
    "element-wise square root": lambda m1, c1, m2, c2: (
        (m1 - m2).square().sum() + (c1 + c2 - 2 * (c1 @ c2).abs().sqrt()).trace()
    ),
    "diagonal only": lambda m1, c1, m2, c2: (
        (m1 - m2).square().sum() + (c1.diag().sqrt() - c2.diag().sqrt()).square().sum()
    ),
    "missing 2": lambda m1, c1, m2, c2: (
        (m1 - m2).square().sum()
        + 0.5 * (oracle(m1, c1, m2, c2) - (m1 - m2).square().sum() + (c1 + c2).trace())
    ),
    "mean difference not squared": lambda m1, c1, m2, c2: (
        (m1 - m2).norm() + oracle(m1, c1, m2, c2) - (m1 - m2).square().sum()
    ),
}


def test_fd_in_one_dimension():
    value = frechet_distance([1.0], [[4.0]], [-2.0], [[0.25]])
    assert value == pytest.approx((1 + 2) ** 2 + (2 - 0.5) ** 2, rel=1e-14)


def test_fd_of_diagonal_covariances():
    mean1, mean2, spread1, spread2 = torch.rand(
        4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    expected = ((mean1 - mean2) ** 2 + (spread1 - spread2) ** 2).sum().item()
    value = frechet_distance(mean1, torch.diag(spread1**2), mean2, torch.diag(spread2**2))
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 7, 40])
def test_fd_equals_the_oracle(dim):
    one, two = gaussian(dim, 1), gaussian(dim, 2)
    assert frechet_distance(*one, *two) == pytest.approx(oracle(*one, *two), rel=1e-9)


@pytest.mark.parametrize("name", WRONG)
def test_fd_differs_from_wrong_variants(name):
    one, two = gaussian(7, 1), gaussian(7, 2)
    assert abs(float(WRONG[name](*one, *two)) / frechet_distance(*one, *two) - 1) > 0.01


def test_fd_is_zero_for_equals_symmetric_and_positive():
    one, two = gaussian(20, 3), gaussian(20, 4)
    assert frechet_distance(*one, *one) < 1e-10 * one[1].trace()
    assert frechet_distance(*one, *two) == pytest.approx(frechet_distance(*two, *one), rel=1e-12)
    assert frechet_distance(*one, *two) > 0


def test_fd_is_unchanged_by_rotation_and_scales_with_the_square():
    (m1, c1), (m2, c2) = gaussian(12, 5), gaussian(12, 6)
    q = torch.linalg.qr(
        torch.randn(12, 12, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    ).Q
    value = frechet_distance(m1, c1, m2, c2)
    assert frechet_distance(q @ m1, q @ c1 @ q.T, q @ m2, q @ c2 @ q.T) == pytest.approx(
        value, rel=1e-10
    )
    assert frechet_distance(3 * m1, 9 * c1, 3 * m2, 9 * c2) == pytest.approx(9 * value, rel=1e-10)


def test_fd_of_singular_covariances():
    low_rank = gaussian(30, 8, samples=5)
    assert frechet_distance(*low_rank, *low_rank) < 1e-10 * low_rank[1].trace()
    other = gaussian(30, 9, samples=4)
    assert frechet_distance(*low_rank, *other) == pytest.approx(oracle(*low_rank, *other), rel=1e-6)
    # Two rank-1 Gaussians at a right angle: no overlap at all.
    across, up = torch.diag(torch.tensor([4.0, 0.0])), torch.diag(torch.tensor([0.0, 9.0]))
    assert frechet_distance(torch.zeros(2), across, torch.zeros(2), up) == pytest.approx(13)
    assert frechet_distance(
        [0.0, 0.0], torch.zeros(2, 2), [3.0, 4.0], torch.zeros(2, 2)
    ) == pytest.approx(25)


def test_fd_takes_float32_rounding_but_no_matrix_that_is_no_covariance():
    mean, cov = gaussian(30, 8, samples=5)
    single = torch.linalg.eigvalsh(cov.float())
    assert single.min() < 0, "the test needs a covariance that rounding made indefinite"
    assert frechet_distance(mean, cov.float(), mean, cov) < 1e-3 * cov.trace()
    for bad, word in (
        (-torch.eye(2), "negative"),
        (torch.tensor([[1.0, 0.5], [0.0, 1.0]]), "symmetric"),
    ):
        with pytest.raises(CourseError, match=word):
            frechet_distance(torch.zeros(2), bad, torch.zeros(2), torch.eye(2))
    with pytest.raises(CourseError, match="not finite"):
        frechet_distance(torch.zeros(2), torch.eye(2) * float("nan"), torch.zeros(2), torch.eye(2))
    for mean2, cov2 in ((torch.zeros(3), torch.eye(3)), (torch.zeros(2), torch.eye(3))):
        with pytest.raises(CourseError) as error:
            frechet_distance(torch.zeros(2), torch.eye(2), mean2, cov2)
        assert error.value.code == "metrics-shape"


def kernel_by_loops(x, y, biased=False):
    """MMD² pair by pair, as the formula is written."""

    def kernel(a, b):
        return float((a @ b / len(a) + 1) ** 3)

    def mean(pairs):
        values = [kernel(a, b) for a, b in pairs]
        return sum(values) / len(values)

    def within(z):
        return mean(
            [(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if biased or i != j]
        )

    return within(x) + within(y) - 2 * mean([(a, b) for a in x for b in y])


def test_kd_equals_the_formula_and_not_the_biased_one():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(9, 4, generator=generator), torch.randn(7, 4, generator=generator) + 0.5
    assert kernel_distance(x, y) == pytest.approx(
        kernel_by_loops(x.double(), y.double()), rel=1e-10
    )
    assert abs(kernel_distance(x, y) - kernel_by_loops(x.double(), y.double(), biased=True)) > 0.1


def test_kd_in_chunks_equals_kd_at_once():
    x, y = torch.randn(2, 2500, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cross, within_x, within_y = ((a @ b.T / 3 + 1) ** 3 for a, b in ((x, y), (x, x), (y, y)))
    off = sum((k.sum() - k.trace()) / (2500 * 2499) for k in (within_x, within_y))
    assert kernel_distance(x, y) == pytest.approx(
        float(off - 2 * cross.mean()), rel=1e-8, abs=1e-12
    )


def test_kd_is_unbiased_where_the_biased_estimate_is_not():
    generator = torch.Generator().manual_seed(2)
    draws = torch.randn(400, 2, 10, 3, generator=generator, dtype=torch.float64)
    values = torch.tensor([kernel_distance(x, y) for x, y in draws], dtype=torch.float64)
    error = values.std() / len(values) ** 0.5
    assert values.mean().abs() < 4 * error
    assert values.min() < 0
    biased = torch.tensor(
        [kernel_by_loops(x, y, biased=True) for x, y in draws[:100]], dtype=torch.float64
    )
    assert biased.mean() > 4 * biased.std() / 10


def test_kd_refuses_one_image_and_unlike_features():
    for shapes in (((1, 4), (5, 4)), ((5, 4), (5, 3)), ((5,), (5,))):
        with pytest.raises(CourseError) as error:
            kernel_distance(*(torch.zeros(shape) for shape in shapes))
        assert error.value.code == "metrics-shape"


def test_mean_interval_covers_as_often_as_it_says():
    values = torch.randn(4000, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    covered = sum(low <= 0 <= high for _, low, high in map(mean_interval, values.tolist()))
    assert abs(covered / 4000 - 0.95) < 4 * (0.95 * 0.05 / 4000) ** 0.5


@pytest.mark.parametrize(
    ("count", "quantile"), [(2, 12.706), (5, 2.776), (10, 2.262), (31, 2.042), (1001, 1.962)]
)
def test_mean_interval_takes_the_quantile_of_printed_tables(count, quantile):
    values = torch.arange(count, dtype=torch.float64)
    mean, low, high = mean_interval(values.tolist())
    half = quantile * values.std().item() / count**0.5
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=3e-4)


SCORE = Score("FD", 12.345, 11.0, 13.5, 2000, 5, "network N", "set S, train", 1.234)


@pytest.mark.parametrize("text", [str(SCORE), repr(SCORE), f"{SCORE}", f"{[SCORE]}"])
def test_a_score_is_never_printed_without_its_facts(text):
    for part in (
        "FD 12.3",
        "11 to 13.5",
        "n = 2,000",
        "5 draws",
        "1.23",
        "network N",
        "set S, train",
    ):
        assert part in text
    assert "FID" not in text


@pytest.mark.parametrize(
    "change", [{"name": "FID"}, {"n": 0}, {"draws": 1}, {"features": ""}, {"real_set": ""}]
)
def test_a_score_without_its_facts_cannot_be_made(change):
    with pytest.raises(CourseError):
        Score(**{**vars(SCORE), **change})
    with pytest.raises(FrozenInstanceError):
        SCORE.n = 1


@dataclass
class Pictures:
    """The least that an image set must have."""

    images: torch.Tensor
    name: str = "some photographs"
    is_standin: bool = False
    split: str = "train"


def blobs(count, seed, size=32):
    """Smooth coloured uint8 images, so that noise is far from them."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 3, 4, 4, generator=generator)
    return Pictures(
        (torch.nn.functional.interpolate(small, size=size, mode="bilinear") * 255).to(torch.uint8)
    )


@pytest.fixture(scope="module")
def reference():
    return RealReference.from_images(blobs(120, 0), blobs(120, 1), n=40, draws=3)


def test_scores_order_real_noised_and_noise(reference):
    clean = blobs(120, 2).images / 127.5 - 1
    noised = (
        clean + 0.2 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    ).clamp(-1, 1)
    sets = [clean, noised, mean_image_plus_noise(blobs(120, 0))]
    for name in ("FD", "KD"):
        same, mild, noise = (reference.score(images)[name].value for images in sets)
        assert same < mild < noise
        assert same < 3 * abs(reference.floor[name].value) + 0.05 * noise


def test_score_is_the_mean_over_draws_of_the_plain_metric(reference):
    generated = blobs(120, 3).images
    chosen = generated[torch.randperm(120, generator=torch.Generator().manual_seed(1))]
    features = extract_features(chosen, reference.network).unflatten(0, (3, 40))
    pairs = list(zip(features, reference.blocks, strict=True))
    fd = [frechet_distance(*feature_moments(x), *feature_moments(y)) for x, y in pairs]
    score = reference.score(generated)
    assert score["FD"].value == pytest.approx(sum(fd) / 3, rel=1e-6)
    assert score["FD"].low <= score["FD"].value <= score["FD"].high
    assert (score["FD"].n, score["FD"].draws) == (40, 3)
    assert score["FD"].floor == reference.floor["FD"].value
    assert score["KD"].value == pytest.approx(
        sum(kernel_distance(x, y) for x, y in pairs) / 3, rel=1e-6
    )


def test_a_sampler_a_tensor_and_a_set_score_alike(reference):
    images = blobs(120, 4)
    shuffled = images.images[torch.randperm(120, generator=torch.Generator().manual_seed(1))]
    queue = iter(shuffled.split(1))
    scores = [
        reference.score(images),
        reference.score(images.images / 127.5 - 1),
        reference.score(lambda count: torch.cat([next(queue) for _ in range(count)])),
    ]
    assert len({round(score["FD"].value, 4) for score in scores}) == 1


def test_the_blocks_are_disjoint_and_halves_are_taken_without_held_out_images():
    images = Pictures(blobs(80, 5).images, is_standin=True)
    whole = RealReference.from_images(images, n=20, draws=2)
    rows = {tuple(row) for row in whole.blocks.flatten(0, 1).tolist()}
    assert len(rows) == 40
    assert whole.real_set == "drawn stand-in (not CIFAR-10), train"
    assert "trained on CIFAR-10" in str(whole.floor["FD"])
    assert "stand-in (not CIFAR-10)" in str(whole.floor["FD"])
    assert whole.floor["FD"].value > 0.01 * whole.blocks.var(1).sum(), (
        "an image would have been compared with itself"
    )


def test_training_images_given_as_generated_meet_other_training_images(reference):
    # In the same order on both sides each image would meet itself, and copies would look perfect.
    assert reference.score(blobs(120, 0))["FD"].value > 0.2 * reference.floor["FD"].value


def test_too_few_images_name_the_n_that_would_do(reference):
    with pytest.raises(CourseError, match="n=25"):
        RealReference.from_images(blobs(100, 0), n=40, draws=2)
    RealReference.from_images(blobs(100, 0), n=25, draws=2)
    with pytest.raises(CourseError) as error:
        reference.score(blobs(119, 0))
    assert error.value.code == "metrics-too-few"


@pytest.mark.parametrize(
    ("images", "code"),
    [
        (torch.zeros(120, 1, 32, 32), "features-shape"),
        (torch.zeros(120, 3, 32, 16), "features-shape"),
        (torch.zeros(120, 3, 48, 48), "features-shape"),
        (torch.full((120, 3, 32, 32), 255.0), "metrics-range"),
        (torch.full((120, 3, 32, 32), float("nan")), "metrics-range"),
        (torch.zeros(120, 3, 32, 32, dtype=torch.int64), "metrics-range"),
        (lambda count: torch.zeros(count + 1, 3, 32, 32), "metrics-shape"),
        (torch.nn.Identity(), "metrics-sampler"),
    ],
)
def test_images_that_cannot_be_scored_are_refused(reference, images, code):
    with pytest.raises(CourseError) as error:
        reference.score(images)
    assert error.value.code == code


@pytest.mark.parametrize("given", ["tensor", "half precision", "sampler", "features"])
def test_floats_without_a_negative_value_are_questioned(reference, given):
    in_bytes = blobs(120, 2).images
    unit = in_bytes / 255  # what ToTensor gives, read as [-1, 1] a set of pale pictures
    ask = {
        "tensor": lambda: reference.score(unit),
        "half precision": lambda: reference.score(unit.half()),
        "sampler": lambda: reference.score(lambda count: unit[:count]),
        "features": lambda: extract_features(unit, reference.network),
    }[given]
    with pytest.raises(CourseError, match=r"floats from 0\.?\d* to \d") as caught:
        ask()
    assert caught.value.code == "metrics-unit-range"
    known = {"images": unit}
    exec(caught.value.fix[caught.value.fix.index("images = ") :], known)
    assert reference.score(known["images"])["FD"].value == pytest.approx(
        reference.score(in_bytes)["FD"].value, rel=1e-4
    )


def test_pale_pictures_are_scored_where_their_range_is_plain(reference, monkeypatch):
    pale = blobs(120, 2).images // 4 + 190
    expected = reference.score(pale)["FD"].value
    monkeypatch.setattr("course_utils.evaluation.metrics.BATCH", 119)
    first = torch.cat([pale[:118], torch.zeros_like(pale[:1])]) / 127.5 - 1
    batches = iter([first, pale[119:] / 127.5 - 1])  # the second one has no negative value
    assert reference.score(lambda count: next(batches))["FD"].value != expected


def test_few_pictures_are_answered_with_how_many_are_needed_and_why():
    train, test = blobs(100, 0), replace(blobs(13, 1), split="test")
    assert fitting_n(1000, train, test) == 2 and fitting_n(1000, train) == 20
    assert fitting_n(7, train) == 7 and fitting_n(1000, test, draws=3, least=4) == 4
    with pytest.raises(CourseError, match="13 test pictures are too few") as caught:
        fitting_n(1000, train, test, least=4)
    assert caught.value.code == "metrics-few-pictures"
    assert "5 comparisons" in caught.value.why and "20 in every part" in caught.value.why
    assert "115 in all" in caught.value.fix and -(-115 // 6) == 20 and -(-114 // 6) == 19


def test_dollar_signs_in_a_folders_name_are_no_formula_in_a_table():
    images = replace(blobs(40, 0), name="my $5 and $6")
    reference = RealReference.from_images(images, n=10, draws=2)
    assert r"Real set: my \$5 and \$6, train." in table({"real": reference.floor})


def test_the_table_says_what_it_depends_on_and_refuses_unlike_rows(reference):
    text = table({"real, held out": reference.floor, "smooth": reference.score(blobs(120, 6))})
    lines = text.splitlines()
    assert lines[0] == "| images | FD (95 % interval) | KD (95 % interval) |"
    assert {line.count("|") for line in lines[:4]} == {4}
    for part in ("n = 40", "3 draws", "features_cifar10", "some photographs, train", "Floor"):
        assert part in lines[-1]
    other = RealReference.from_images(blobs(120, 0), blobs(120, 1), n=30, draws=3)
    with pytest.raises(CourseError, match="do not belong together"):
        table({"a": reference.floor, "b": other.floor})


def test_mean_image_plus_noise_has_the_images_mean_and_spread():
    pictures = blobs(400, 7)
    drawn = mean_image_plus_noise(pictures, seed=1)(2000)
    real = pictures.images / 127.5 - 1
    assert drawn.shape == (2000, 3, 32, 32)
    assert drawn.abs().max() <= 1
    assert (drawn.mean(0) - real.mean(0)).abs().mean() < 0.03
    assert abs(drawn.std(0).mean() / real.std(0).mean() - 1) < 0.05
    assert torch.equal(drawn, mean_image_plus_noise(pictures, seed=1)(2000))


@pytest.mark.slow
def test_real_photographs_score_below_noised_ones_and_noise(real_cifar10):
    from course_utils.datasets.images import load_images

    train, test = (load_images(real_cifar10, split, limit=1200) for split in ("train", "test"))
    reference = RealReference.from_images(
        train, test.take(600), n=200, draws=3, network=load_feature_network()
    )
    rest = test.images[600:] / 127.5 - 1
    noised = (
        rest + 0.2 * torch.randn(rest.shape, generator=torch.Generator().manual_seed(0))
    ).clamp(-1, 1)
    real, noised, noise = (
        reference.score(images) for images in (rest, noised, mean_image_plus_noise(train))
    )
    for name in ("FD", "KD"):
        assert real[name].value < noised[name].value < noise[name].value
        assert real[name].high < noised[name].low


def test_sharpness_is_the_step_from_pixel_to_neighbour():
    flat = torch.full((40, 3, 32, 32), 120, dtype=torch.uint8)
    assert sharpness(flat) == 0
    rows = torch.tensor([[0, 3], [4, 7]], dtype=torch.uint8).expand(1, 1, 2, 2)
    assert sharpness(rows) == pytest.approx(((2 * 3**2 + 2 * 4**2) / 4) ** 0.5)
    noise = 12.75 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    noisy = (flat + noise).round().to(torch.uint8)
    assert sharpness(noisy) == pytest.approx(12.75 * 2**0.5, rel=0.03)
