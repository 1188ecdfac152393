"""Each recipe trains as its lesson's loop does: the lesson's own lines are run, and the weights are equal."""

import ast
import copy
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from course_utils import assets, runtime
from course_utils.authoring.lessons import load_definitions
from course_utils.datasets import texts
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
from course_utils.display import plots
from course_utils.models import cgan as package_cgan
from course_utils.models import gan_steady, vae_formulas
from course_utils.models.flow import Velocity
from course_utils.models.gpt_training import SIZES, TOKENIZER_TEXTS
from course_utils.models.pretrained import load_encoder
from course_utils.training.recipes.bert import WARM_UP, train_bert
from course_utils.training.recipes.cgan import train_cgan
from course_utils.training.recipes.dcgan import train_dcgan
from course_utils.training.recipes.flow import train_flow
from course_utils.training.recipes.gpt import train_gpt
from course_utils.training.recipes.vae import train_vae
from course_utils.training.run import TrainingRun
from course_utils.training.settings import STEADY

SOURCES = Path(__file__).parents[2] / "notebooks" / "source"
STEPS = gan_steady.PENALTY_EVERY + 2  # lesson 02's penalty comes twice


class Still:
    """A live figure that draws nothing."""

    def __init__(self, draw, alt, seconds=5.0):
        assert callable(draw) and alt and seconds

    def update(self):
        pass

    def close(self):
        pass


def loop_of(lesson, first):
    """The lesson's lines from the last assignment of ``first`` before the loop over the batches to the loop's end."""
    path = SOURCES / f"{lesson}.py"
    body = ast.parse(path.read_text(encoding="utf-8")).body
    end = next(
        i
        for i, node in enumerate(body)
        if isinstance(node, ast.For) and ast.unparse(node.iter) == "training.batches()"
    )
    names = [ast.unparse(n.targets[0]) if isinstance(n, ast.Assign) else "" for n in body[:end]]
    start = max(i for i, name in enumerate(names) if name == first)
    return compile(ast.Module(body[start : end + 1], []), str(path), "exec")


def dcgan(lesson, run, settings):
    networks = {
        "generator": lesson.make_generator(settings["latent_dim"], settings["width"], 3),
        "discriminator": lesson.make_discriminator(settings["width"], 3),
    }
    for network in networks.values():
        network.to(memory_format=torch.channels_last)
    return {**networks, **settings, "size": 32}


def cgan(lesson, run, settings):
    classes = len(settings["train"].classes)
    lesson.projection_logit = package_cgan.projection_logit
    lesson.zero_centred_penalty = gan_steady.slope
    networks = {
        "generator": package_cgan.Generator(settings["latent_dim"], settings["width"], 32, classes),
        "discriminator": lesson.Discriminator(settings["width"], 32, classes),
    }
    for network in networks.values():
        network.to(memory_format=torch.channels_last)
    return {**networks, **settings, "n_classes": classes}


def vae(lesson, run, settings):
    lesson.latent_dim, lesson.size = settings["latent_dim"], 32
    # Two exercises, which learners solve in other orders of rounding (tests/lessons holds them to the package's).
    lesson.gaussian_nll, lesson.gaussian_kl = vae_formulas.gaussian_nll, vae_formulas.gaussian_kl
    model = lesson.VAE(settings["latent_dim"], settings["width"])
    test = load_images("standin", "test", limit=8)
    return {**settings, "model": model.to(memory_format=torch.channels_last), "test": test}


def bert(lesson, run, settings):
    encoder = load_encoder("standin", tier="smoke", texts=settings["train"].texts)
    steps = settings["epochs"] * math.ceil(len(settings["train"]) / settings["batch_size"])
    return {
        **settings,
        "model": encoder.model,
        "encoder": encoder,
        "tokenizer": encoder.tokenizer,
        "sequences": {
            "train": encoder.encode(
                settings["train"].texts, settings["max_tokens"], settings["keep"]
            )
        },
        "peak_rate": settings["learning_rate"],
        "steps": steps,
        "warmup_steps": round(WARM_UP * steps),
    }


def gpt(lesson, run, settings):
    corpus = settings["train"]
    tokenizer = texts.train_tokenizer(corpus.train[:TOKENIZER_TEXTS], settings["vocab"])
    windows = texts.windows(texts.encode(tokenizer, corpus.train), settings["context"])
    sizes = {name: settings[name] for name in SIZES}
    found = {"corpus": corpus, "tokenizer": tokenizer, "windows": windows}
    counted = SimpleNamespace(nats_per_token=1.0)  # of the figure, which is not drawn
    found |= {"alone": counted, "bigram": counted}
    return {**settings, **found, "model": lesson.GPT(**sizes)}


def flow(lesson, run, settings):
    def flow_loss(
        network, data, noise, t
    ):  # an exercise, which learners solve in other orders of rounding
        at = t[:, None, None, None]
        velocity = network((1 - at) * noise + at * data, t)
        return torch.nn.functional.mse_loss(velocity.float(), data - noise)

    network = Velocity(32, settings["width"], 10).to(memory_format=torch.channels_last)
    averaged = gan_steady.make_average(network, settings["average"])
    found = {"network": network, "averaged": averaged, "flow_loss": flow_loss}
    return {**settings, **found, "classes": 10, "size": 32}


IMAGES = {"steps": STEPS, "batch_size": 8, "width": 4}
REVIEWS = {"epochs": 2, "batch_size": 8, "max_tokens": 16, "keep": "ends", "learning_rate": 1e-3}
TEXTS = {"vocab": 300, "dim": 16, "layers": 2, "heads": 2, "context": 32, "batch_size": 4}
CASES = {
    "dcgan": (
        *("02_dcgan_cifar10", "adam", train_dcgan, dcgan, lambda: load_images("standin", limit=20)),
        {**IMAGES, **STEADY, "latent_dim": 8, "average": 0.9},
    ),
    "cgan": (
        *("08_steady_conditional_gans", "averaged", train_cgan, cgan),
        lambda: load_images("standin", limit=20),
        {**IMAGES, **STEADY, "latent_dim": 8, "average": 0.9},
    ),
    "vae": (
        *("03_vae_elbo", "optimizer", train_vae, vae, lambda: load_images("standin", limit=20)),
        {**IMAGES, "latent_dim": 6},
    ),
    "flow": (
        *("09_diffusion_flow", "optimizer", train_flow, flow),
        *(lambda: load_images("standin", limit=20), {**IMAGES, "average": 0.9}),
    ),
    "bert": (
        *("04_bert_imdb", "before", train_bert, bert, lambda: load_reviews("standin", limit=50)),
        {**REVIEWS, "encoder": "standin"},
    ),
    "gpt": (
        *("05_attention_text", "optimizer", train_gpt, gpt, lambda: texts.load_texts("manual", 5)),
        {**TEXTS, "steps": STEPS},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_recipe_and_the_lessons_loop_end_with_the_same_weights(name, tmp_path, monkeypatch):
    for variable, value in {
        "COURSE_RUNS": str(tmp_path / "runs"),
        "COURSE_CACHE": str(tmp_path / "cache"),
        "COURSE_TIER": "smoke",
        "COURSE_BF16": "0",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("COURSE_RUNS_COPY", raising=False)
    monkeypatch.setattr(assets, "cached", lambda name: None)
    monkeypatch.setattr(plots, "LiveFigure", Still)
    begun: list[dict] = []
    batches = TrainingRun.batches

    def from_the_same_start(training):
        """Both begin with the networks that the first one made, and with the same random numbers."""
        networks = {k: v for k, v in training.state.items() if isinstance(v, torch.nn.Module)}
        begun.append({k: copy.deepcopy(v.state_dict()) for k, v in networks.items()})
        assert set(begun[0]) == set(networks)
        for key, network in networks.items():
            network.load_state_dict(begun[0][key])
        torch.manual_seed(11)
        yield from batches(training)

    monkeypatch.setattr(TrainingRun, "batches", from_the_same_start)
    lesson_name, first, recipe, prepare, load, settings = CASES[name]
    run, data = runtime.setup(0, quiet=True), load()
    by_recipe, _ = recipe(run, data, tmp_path / "recipe", settings)

    lesson = load_definitions(lesson_name)
    lesson.run = run
    values = prepare(lesson, run, {**settings, "train": data})
    vars(lesson).update(values, fresh=False)
    exec(loop_of(lesson_name, first), vars(lesson))
    by_lesson = lesson.training
    assert by_lesson.step == by_recipe.step >= 14 and len(begun) == 2
    assert by_lesson.history == by_recipe.history
    assert by_lesson.weights_sha256 == by_recipe.weights_sha256
    for network, start in begun[0].items():
        end = by_recipe.state[network].state_dict()
        assert any(not torch.equal(end[key], value) for key, value in start.items())
