"""The drawn stand-in: equal everywhere, known factors, rich enough to need more than a linear classifier."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.datasets import standin_images
from course_utils.errors import CourseError


def digest(images):
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()


def test_pictures_are_equal_on_every_machine():
    images, factors = standin_images.render(600, seed=7)
    assert images.shape == (600, 3, 32, 32) and images.dtype == np.uint8
    assert (
        len(set(zip(factors["class"], factors["background"], strict=True))) == 60
    )  # each object on each background
    assert digest(images) == "f8853d7d0f7ee53ce9fc6558972a417cfdf89b3090181c34ba264dc461b81403"
    assert (
        digest(standin_images.render(120, seed=7, size=64)[0])
        == "1452f61e5a3925fe961d5b4820dc28a24932e42e73d961d8c2e2897eee493955"
    )


def test_pictures_do_not_change_when_denormal_numbers_are_flushed_to_zero():
    before = standin_images.render(300, seed=2)[0]
    if not torch.set_flush_denormal(True):  # what the set-up of every lesson does
        pytest.skip("this processor cannot flush denormal numbers")
    try:
        assert np.float32(1e-40) * np.float32(1.0) == 0
        assert np.array_equal(standin_images.render(300, seed=2)[0], before)
    finally:
        torch.set_flush_denormal(False)


def test_random_bits_are_splitmix64():
    # A plain-integer version of the finaliser; NumPy's wrapping arithmetic must agree with it.
    mask = 2**64 - 1

    def mix(z):
        z = (z * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    expected = [mix(mix(mix(5) + 3 & mask) + i & mask) for i in range(50)]
    assert standin_images.random_bits(5, 3, 50).tolist() == expected


def test_permutation_is_one_and_is_fixed():
    order = standin_images.permutation(1000, seed=3)
    assert sorted(order.tolist()) == list(range(1000))
    assert (
        order.tolist()
        == standin_images.permutation(1000, seed=3).tolist()
        != standin_images.permutation(1000, seed=4).tolist()
    )


def test_a_picture_does_not_depend_on_how_many_are_drawn():
    few, many = standin_images.render(37, seed=3), standin_images.render(230, seed=3)
    assert np.array_equal(few[0], many[0][:37])
    assert all(np.array_equal(few[1][name], many[1][name][:37]) for name in few[1])


def test_another_seed_gives_other_pictures():
    first, second = standin_images.render(50, seed=1)[0], standin_images.render(50, seed=2)[0]
    assert not {digest(image) for image in first} & {digest(image) for image in second}


def test_classes_are_balanced_and_factors_even_and_independent():
    factors = standin_images.make_factors(20_000, seed=1)
    assert np.bincount(factors["class"]).tolist() == [2000] * 10
    for name, (low, high) in standin_images.RANGES.items():
        values = factors[name]
        assert low <= values.min() and values.max() <= high
        assert abs((values.mean() - low) / (high - low) - 0.5) < 0.01
    table = np.stack([values.astype(float) for values in factors.values()])
    correlation = np.corrcoef(table) - np.eye(len(table))
    assert np.abs(correlation).max() < 0.03


def test_same_factors_same_pictures_and_size_64_is_the_same_scene():
    images, factors = standin_images.render(60, seed=4)
    assert np.array_equal(standin_images.draw(factors), images)
    order = np.arange(60)[::-1]
    assert np.array_equal(
        standin_images.draw({name: value[order] for name, value in factors.items()}), images[order]
    )
    large = (
        standin_images.draw(factors, size=64)
        .reshape(60, 3, 32, 2, 32, 2)
        .astype(float)
        .mean((3, 5))
    )
    assert np.abs(large - images).mean() < 4  # of 255


@pytest.mark.parametrize(
    "name", ["hue", "size", "x", "y", "angle", "background_hue", "background", "detail", "class"]
)
def test_each_factor_changes_the_picture(name):
    _, factors = standin_images.render(200, seed=6)
    changed = dict(factors)
    changed[name] = np.roll(factors[name], 1)
    moved = changed[name] != factors[name]
    different = (standin_images.draw(changed) != standin_images.draw(factors)).any((1, 2, 3))
    assert not different[~moved].any()
    assert different[moved].mean() > 0.95


def test_place_and_colour_are_where_the_factors_say():
    factors = standin_images.make_factors(400, seed=8)
    factors["class"][:] = standin_images.CLASSES.index("ball")
    factors["background"][:] = standin_images.BACKGROUNDS.index("gradient")
    red, green = (
        standin_images.draw({**factors, "hue": np.full(400, hue)}).astype(int)
        for hue in (0.0, 5 / 12)
    )
    painted = (np.abs(red - green).sum(1) > 60).astype(
        float
    )  # (N, 32, 32): the pixels that the hue colours
    axis = (np.arange(32) + 0.5) / 16 - 1
    weight = painted.sum((1, 2))
    inside = weight > 40
    across, down = (painted.sum(1) * axis).sum(1) / weight, (painted.sum(2) * axis).sum(1) / weight
    assert np.corrcoef(across[inside], factors["x"][inside])[0, 1] > 0.95
    assert np.corrcoef(down[inside], factors["y"][inside])[0, 1] > 0.95
    mask = painted[:, None].astype(bool)
    assert red[:, :1][mask].mean() > red[:, 1:2][mask].mean() + 40


def test_sine_and_cosine():
    degrees = np.linspace(-180, 180, 7201)
    sine, cosine = standin_images.sine_cosine(degrees)
    assert np.abs(sine - np.sin(np.radians(degrees))).max() < 1e-6
    assert np.abs(cosine - np.cos(np.radians(degrees))).max() < 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hue": None}, "lack hue"),
        ({"hue": np.zeros(3)}, "different lengths"),
        ({"class": np.full(5, 10)}, "'class' is 10"),
        ({"x": np.full(5, np.nan)}, "'x' is nan at index 0"),
        ({"size": np.zeros(5)}, "'size' is 0.0"),
    ],
)
def test_wrong_factors_are_named(change, message):
    factors = {**standin_images.make_factors(5, seed=1), **change}
    with pytest.raises(CourseError, match=message) as caught:
        standin_images.draw({name: value for name, value in factors.items() if value is not None})
    assert caught.value.code == "standin-factors"


@pytest.mark.parametrize(
    "arguments", [(0, 1, 32), (10, -1, 32), (10, 1, 7), (2.5, 1, 32), (True, 1, 32)]
)
def test_wrong_numbers_are_named(arguments):
    with pytest.raises(CourseError, match="whole number"):
        standin_images.render(*arguments)


def test_a_linear_classifier_does_clearly_worse_than_a_small_cnn():
    def load(count, seed):
        images, factors = standin_images.render(count, seed)
        return torch.from_numpy(images).float() / 127.5 - 1, torch.from_numpy(factors["class"])

    train, test = (
        load(4000, standin_images.SEEDS["train"]),
        load(1000, standin_images.SEEDS["test"]),
    )
    linear = accuracy(
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)), train, test, epochs=12, rate=1e-3
    )
    cnn = accuracy(small_cnn(), train, test, epochs=3, rate=5e-3)
    assert 0.3 < linear < cnn - 0.15


def small_cnn():
    layers = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [
            nn.Conv2d(before, after, 3, stride=2, padding=1),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 10))


def accuracy(network, train, test, epochs, rate):
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network.apply(
            lambda module: (
                module.reset_parameters() if hasattr(module, "reset_parameters") else None
            )
        )
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - epoch / epochs)
        for rows in torch.randperm(len(train[0]), generator=generator).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(train[0][rows]), train[1][rows]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        return (network(test[0]).argmax(1) == test[1]).float().mean().item()
