"""Lesson 08's recipe: the loop that it stands for, the same weights again, and a cut that leaves no trace."""

import ast
import copy
from pathlib import Path

import pytest
import torch

from course_utils import runtime
from course_utils.datasets.images import load_images
from course_utils.errors import CourseError
from course_utils.models import cgan, dcgan, gan_steady
from course_utils.tiers import TIERS
from course_utils.training.checkpoints import newest_generation
from course_utils.training.recipes.cgan import train_cgan
from course_utils.training.run import TrainingRun, permutation
from course_utils.training.settings import SETTINGS

EXAMPLES, STEPS = 20, gan_steady.PENALTY_EVERY + 2  # the penalty comes twice
SMALL = {"latent_dim": 6, "width": 4, "batch_size": 8, "steps": STEPS, "average": 0.9}


@pytest.fixture
def run(monkeypatch):
    """The machine's settings, in float32."""
    monkeypatch.setenv("COURSE_TIER", "smoke")
    monkeypatch.setenv("COURSE_BF16", "0")
    monkeypatch.delenv("COURSE_RUNS_COPY", raising=False)
    return runtime.setup(3, quiet=True)


@pytest.fixture(scope="module")
def images():
    return load_images("standin", limit=EXAMPLES)


def trained(run, images, folder, **changes):
    torch.manual_seed(3)
    return train_cgan(run, images, folder, {**SMALL, **changes})


def state_of(training):
    networks = {k: v for k, v in training.state.items() if isinstance(v, torch.nn.Module)}
    return {f"{k}.{n}": t for k, net in networks.items() for n, t in net.state_dict().items()}


@pytest.mark.parametrize("method", cgan.METHODS)
def test_the_recipe_is_the_loop_in_plain_lines(method, run, images, tmp_path, monkeypatch):
    begun = []
    batches = TrainingRun.batches

    def noted(training):
        begun.append(copy.deepcopy(training.state))
        torch.manual_seed(11)
        yield from batches(training)

    monkeypatch.setattr(TrainingRun, "batches", noted)
    by_recipe, means = trained(run, images, tmp_path, method=method)
    (start,) = begun
    g, d, averaged = (start[name] for name in ("generator", "discriminator", "averaged"))
    g_optimizer, d_optimizer = cgan.make_optimizers(g, d, 4e-4)
    torch.manual_seed(11)
    history = []
    for step in range(STEPS):
        epoch, number = divmod(step, 3)  # 8, 8 and 4 of the 20
        index = permutation(3, epoch, EXAMPLES)[8 * number : 8 * number + 8]
        real, label = dcgan.to_tanh_range(images.images[index]), images.labels[index]
        real = real.contiguous(memory_format=torch.channels_last)
        noise = torch.randn(len(index), 6, 1, 1)
        players = g, d, g_optimizer, d_optimizer
        history.append(cgan.cgan_step(*players, real, label, noise, method))
        if step in (0, 16):
            fake = g(noise, label).detach() if "R2" in method else None
            cgan.cgan_penalty_step(d, d_optimizer, real, fake, label, 0.1, method)
        averaged.update_parameters(g)
    assert by_recipe.history["d_loss"] == [row["d_loss"] for row in history]
    assert by_recipe.history["g_loss"] == [row["g_loss"] for row in history]
    assert means["d_real"] == pytest.approx(sum(row["d_real"] for row in history) / STEPS)
    expected = state_of(by_recipe)
    for name, network in (("generator", g), ("discriminator", d), ("averaged", averaged)):
        for key, value in network.state_dict().items():
            assert torch.equal(value, expected[f"{name}.{key}"]), f"{name}.{key}"


def test_methods_make_different_runs_and_the_same_method_the_same(run, images, tmp_path):
    digests = [
        trained(run, images, tmp_path / str(place), method=method, steps=3)[0].weights_sha256
        for place, method in enumerate([*cgan.METHODS, cgan.DEFAULT])
    ]
    assert len(set(digests)) == len(cgan.METHODS) and digests[0] == digests[-1]


@pytest.mark.parametrize("method", cgan.METHODS)
def test_a_cut_run_ends_with_the_weights_of_an_uncut_one(method, run, images, tmp_path):
    whole, _ = trained(run, images, tmp_path / "whole", method=method)
    cut, _ = trained(run, images, tmp_path / "cut", method=method, steps=STEPS - 5)
    torch.rand(7)
    more, _ = trained(run, images, tmp_path / "cut", method=method)
    assert (cut.step, more.step, more.resumed_at) == (STEPS - 5, STEPS, STEPS - 5)
    assert more.history == whole.history
    states = [newest_generation(tmp_path / name).tensors for name in ("whole", "cut")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_another_method_does_not_go_on_with_a_run(run, images, tmp_path):
    trained(run, images, tmp_path, steps=2)
    with pytest.raises(CourseError, match="method"):
        trained(run, images, tmp_path, method="hinge + spectral")


def test_a_checkpoint_has_what_ships(run, images, tmp_path):
    """The averaged generator by its prefix, and what is needed to build it again."""
    training, _ = trained(run, images, tmp_path, steps=2)
    found = newest_generation(tmp_path)
    config, prefix = found.record["config"], "averaged.module."
    weights = {k.removeprefix(prefix): v for k, v in found.tensors.items() if k.startswith(prefix)}
    network = cgan.Generator(
        config["latent_dim"], config["width"], config["size"], len(config["classes"])
    )
    network.load_state_dict(weights)
    label, noise = torch.arange(10), torch.randn(10, 6)
    made = cgan.sample(network, label, noise)
    assert torch.equal(made, cgan.sample(training.state["averaged"], label, noise))
    assert config["classes"] == list(images.classes)


def settings_cell():
    """The names of the lesson's settings cell, each with its three values."""
    root = Path(__file__).parents[2]
    source = root / "notebooks" / "source" / "08_steady_conditional_gans.py"
    cell = next(c for c in source.read_text("utf-8").split("# %%") if "# fmt: off" in c)
    found = {}
    for line in ast.parse(cell).body:
        if isinstance(line, ast.Assign):
            value = line.value
            values = value.args if isinstance(value, ast.Call) else [value] * len(TIERS)
            found[line.targets[0].id] = [ast.literal_eval(v) for v in values]
    return found


def test_the_settings_are_the_lessons():
    found = settings_cell() | {"images": settings_cell()["n_images"]}
    for place, settings in enumerate(SETTINGS["cgan"].values()):
        assert set(settings) == {*SMALL, "images", "d_lr", "gamma"}
        assert settings == {name: found[name][place] for name in settings}
