"""The shipped feature network: what its file holds, what it computes, and the accuracy that is claimed for it."""

import hashlib
from dataclasses import asdict

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional

from course_utils import results
from course_utils.errors import CourseError
from course_utils.evaluation.intervals import wilson_interval
from course_utils.models import shipped
from course_utils.models.features import (
    SHIPPED,
    FeatureFacts,
    FeatureNetwork,
    load_feature_network,
)
from course_utils.paths import checkpoints_dir
from measuring import train_features

WEIGHTS = checkpoints_dir() / f"{SHIPPED}.safetensors"
RESULT = results.read("features_cifar10.json")


@pytest.fixture(scope="module")
def network():
    return load_feature_network()


def pictures(count, size=32, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_results_file_belongs_to_the_weights_file(network):
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == RESULT["weights_sha256"]
    assert WEIGHTS.stat().st_size == RESULT["bytes"] <= 1_500_000
    assert network.facts.accuracy == RESULT["accuracy"]
    assert network.facts.seed == RESULT["seed"]
    assert network.facts.data == RESULT["data"] == "CIFAR-10 (JPEG copy)"
    assert RESULT["parameters"] == sum(value.numel() for value in network.parameters())
    low, high = RESULT["interval"]
    assert low < RESULT["accuracy"] < high
    assert RESULT["accuracy"] >= 0.85


def test_weights_are_stored_as_float16_and_computed_as_float32(network):
    with safe_open(WEIGHTS, framework="pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert not network.training
    assert not any(value.requires_grad for value in network.parameters())
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())


def test_features_are_pooled_after_the_relu_and_feed_the_head(network):
    images = pictures(6)
    features = network.features(images)
    assert features.shape == (6, network.dim)
    assert features.min() >= 0
    assert network(images).shape == (6, 10)
    torch.testing.assert_close(network(images), network.head(features))


def test_an_image_is_judged_alone(network):
    images = pictures(6)
    torch.testing.assert_close(
        network.features(images)[2:3], network.features(images[2:3]), atol=1e-5, rtol=1e-4
    )


def test_64_pixel_images_are_averaged_over_squares(network):
    images = pictures(3, 64)
    halved = (
        images[..., ::2, ::2]
        + images[..., 1::2, ::2]
        + images[..., ::2, 1::2]
        + images[..., 1::2, 1::2]
    ) / 4
    torch.testing.assert_close(
        network.features(images), network.features(halved), atol=1e-5, rtol=1e-4
    )
    grown = functional.interpolate(pictures(3), scale_factor=2, mode="nearest")
    torch.testing.assert_close(
        network.features(grown), network.features(pictures(3)), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(
    "shape", [(3, 32, 32), (2, 1, 32, 32), (2, 3, 28, 28), (2, 3, 32, 64), (2, 3, 48, 48)]
)
def test_other_shapes_are_refused_with_a_fix(network, shape):
    with pytest.raises(CourseError, match="interpolate") as error:
        network.features(torch.zeros(shape))
    assert error.value.code == "features-shape"


def test_folding_batchnorm_changes_nothing_that_eval_mode_computes():
    torch.manual_seed(0)
    network = FeatureNetwork()
    for _ in range(3):  # running means and variances that are not 0 and 1
        network(pictures(16) * 0.5 + 0.2)
    network.eval()
    before = network(pictures(4))
    folded = network.fold()
    torch.testing.assert_close(folded(pictures(4)), before, atol=1e-4, rtol=1e-4)
    assert folded.state_dict().keys() == FeatureNetwork(folded=True).state_dict().keys()


def test_a_stored_network_comes_back_with_its_facts(own_data):
    torch.manual_seed(0)
    network = FeatureNetwork().fold()
    facts = FeatureFacts("other", "some data", 3, 0.5, "abc")
    shipped.write(SHIPPED, network.state_dict(), asdict(facts))
    loaded = load_feature_network()
    assert loaded.facts == facts
    assert "some data" in loaded.description
    torch.testing.assert_close(loaded(pictures(2)), network(pictures(2)), atol=1e-2, rtol=1e-2)


def test_augmentation_crops_and_flips_without_inventing_colours():
    ramp = torch.arange(32, dtype=torch.uint8).expand(64, 3, 32, 32) * 8
    out = train_features.augment(ramp, 2, torch.Generator().manual_seed(0))
    assert out.shape == ramp.shape
    assert out.dtype == torch.uint8
    steps = out[:, 0, 0].int().diff(dim=1)[:, 4:-4]
    flipped = (steps == -8).all(1)
    assert ((steps == 8).all(1) | flipped).all(), (
        "each image is the ramp or its mirror image, moved"
    )
    assert 16 < flipped.sum() < 48
    assert len(out[:, 0, 0, 16].unique()) > 4
    assert torch.equal(out[:, 0], out[:, 2])


def test_training_learns_repeats_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_BF16", "0")
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(48) % 2
    images = (
        torch.rand(48, 3, 32, 32, generator=generator) * 100 + 100 * labels[:, None, None, None]
    ).to(torch.uint8)
    settings = train_features.Settings(cycles=((2, 0.05), (1, 0.02)), batch_size=16)
    whole, _ = train_features.train(images, labels, settings, tmp_path / "whole.pt")
    assert train_features.accuracy(whole, images, labels) > 0.9

    save, calls = train_features._save, []

    def save_and_stop(path, state):
        save(path, state)
        calls.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(train_features, "_save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train_features.train(images, labels, settings, tmp_path / "cut.pt")
    monkeypatch.setattr(train_features, "_save", save)
    resumed, _ = train_features.train(images, labels, settings, tmp_path / "cut.pt")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_one_cycle_is_pytorchs():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=37, pct_start=0.25)
    for rate in train_features.one_cycle(37, 0.2):
        group = optimizer.param_groups[0]
        assert rate == pytest.approx({"lr": group["lr"], "momentum": group["momentum"]}, rel=1e-12)
        optimizer.step()
        schedule.step() if schedule.last_epoch < 36 else None


def test_wilson_interval_solves_its_equation():
    low, high = wilson_interval(880, 1000, 1.959964)
    for share in (low, high):
        assert abs(0.88 - share) == pytest.approx(
            1.959964 * (share * (1 - share) / 1000) ** 0.5, rel=1e-9
        )


@pytest.mark.slow
def test_the_stated_accuracy_is_reproduced(network, real_cifar10):
    from course_utils.datasets.images import load_images

    test = load_images(real_cifar10, "test", limit=2000)
    share = train_features.accuracy(network, test.images, test.labels)
    # 2,000 of the 10,000 images that the statement is about: the interval of a part drawn from them.
    stated = RESULT["accuracy"]
    assert (
        abs(share - stated)
        < 4 * (stated * (1 - stated) / 2000 * (1 - 2000 / RESULT["n_test"])) ** 0.5
    )


def test_the_measured_floor_belongs_to_these_weights_and_falls_with_n():
    measured = results.read("metric_floor.json")
    assert measured["weights_sha256"] == RESULT["weights_sha256"]
    rows = measured["rows"]
    floor = [rows["real_held_out"][f"n{n}"]["FD"] for n in (1000, 2000, 5000, 10_000)]
    assert [entry["value"] for entry in floor] == sorted(
        (entry["value"] for entry in floor), reverse=True
    )
    for row in ("mean_image_plus_noise", "uniform_noise"):
        for n, entry in rows[row].items():
            for name in ("FD", "KD"):
                assert entry[name]["low"] > 10 * rows["real_held_out"][n][name]["high"]
