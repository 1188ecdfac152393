"""Do the fast loop and the textbook loop learn equally well? Both sides, equally many steps, three seeds."""

import math
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.datasets import texts
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
from course_utils.evaluation.metrics import RealReference
from course_utils.models import bert, dcgan, flow, vae
from course_utils.models.attention import GPT
from course_utils.models.gpt_training import TOKENIZER_TEXTS
from course_utils.models.pretrained import load_encoder
from measuring.benchmarks import textbook_gpt, textbook_vae
from measuring.benchmarks.sides import LAPTOP, Side
from measuring.measure_dcgan import fixed_sampler
from measuring.with_intervals import over_seeds

SEEDS = (0, 1, 2)
STEPS = {"dcgan": 800, "vae": 1_000, "gpt": 1_500, "bert": 125, "flow": 800}
METRICS = {
    "dcgan": "Fréchet distance (FD, n = 1,000)",
    "vae": "bits per dimension of test images (ELBO, one draw)",
    "gpt": "bits per byte of held-out text",
    "bert": "accuracy on test texts",
    "flow": "Fréchet distance (FD, n = 1,000) of the averaged network, 8 steps",
}
NETWORKS = {"flow": "averaged"}
"""What is scored where it isn't the network that is trained."""
SHORTER = {"bert": {"max_tokens": 64}}  # 125 steps are one epoch of 2,000 texts


def compare(lesson: str, settings: dict[str, Any]) -> dict[str, Any]:
    """One lesson's scores for each seed and side, and the mean difference (course - textbook), with intervals."""
    settings = {**settings, **SHORTER.get(lesson, {}), "steps": STEPS[lesson]}
    found: dict[str, list[float]] = {"textbook": [], "course": []}
    losses: dict[str, list[float]] = {"textbook": [], "course": []}
    for seed in SEEDS:
        for name in found:
            side = Side(lesson, name, {**settings, "seed": seed})
            side.steps(STEPS[lesson] - 50)
            losses[name].append(side.steps(50)["loss"])
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "network.pt"
                side.save(path, NETWORKS.get(lesson, ""))
                found[name].append(
                    _SCORES[lesson](torch.load(path, weights_only=True), name, settings)
                )
            side.close()
        print(
            f"  {lesson} seed {seed}: { ({k: round(v[-1], 4) for k, v in found.items()}) }",
            flush=True,
        )
    differences = [c - t for c, t in zip(found["course"], found["textbook"], strict=True)]
    return {
        "lesson": lesson,
        "metric": METRICS[lesson],
        "steps": STEPS[lesson],
        **{
            side: {**over_seeds(values), "seeds": values, "loss": losses[side]}
            for side, values in found.items()
        },
        "difference": over_seeds(differences),
    }


def generator_fd(reference: RealReference, tensors: dict[str, Tensor]) -> float:
    """FD of a generator's snapshot, of either side or averaged: its tensors have the lesson's order, not its names."""
    generator = dcgan.make_generator(LAPTOP["dcgan"]["latent_dim"], LAPTOP["dcgan"]["width"])
    values = [value for name, value in tensors.items() if name != "n_averaged"]
    generator.load_state_dict(dict(zip(generator.state_dict(), values, strict=True)))
    return reference.score(fixed_sampler(generator))["FD"].value


def _fd(tensors: dict[str, Tensor], side: str, settings: dict[str, Any]) -> float:
    return generator_fd(_reference(settings["data"]), tensors)


@cache
def _reference(data: str | None) -> RealReference:
    return RealReference.from_images(load_images(data, "train"), load_images(data, "test"), n=1_000)


def _flow_fd(tensors: dict[str, Tensor], side: str, settings: dict[str, Any]) -> float:
    network = flow.Velocity(width=LAPTOP["flow"]["width"])
    values = [value for name, value in tensors.items() if name != "n_averaged"]
    pairs = zip(network.state_dict().items(), values, strict=True)
    network.load_state_dict({name: value.reshape(own.shape) for (name, own), value in pairs})
    random = torch.Generator().manual_seed(0)

    def sampler(count: int) -> Tensor:
        return flow.sample(network, torch.arange(count) % network.classes, 8, generator=random)

    return _reference(settings["data"]).score(sampler)["FD"].value


@torch.no_grad()
def _bits_per_dim(tensors: dict[str, Tensor], side: str, settings: dict[str, Any]) -> float:
    sizes = LAPTOP["vae"]["latent_dim"], LAPTOP["vae"]["width"]
    random = torch.Generator().manual_seed(99)
    images = vae.dequantise(load_images(settings["data"], "test", limit=2_000).images, random)
    noise = torch.randn(len(images), sizes[0], generator=random)
    if side == "course":
        network = vae.VAE(*sizes).eval()
        network.load_state_dict(tensors)
        parts = vae.losses(network, images, noise)
        nats = parts.nll + parts.kl_per_dim.sum(dim=1)
    else:
        model = textbook_vae.VAE(*sizes).eval()
        model.load_state_dict(tensors)
        h = model.encoder(images)
        mean, log_var = model.fc_mu(h), model.fc_logvar(h)
        x_mean = model.decoder(vae.reparameterise(mean, log_var, noise)[:, :, None, None])
        nats = vae.gaussian_nll(images, x_mean, model.log_var) + vae.gaussian_kl(mean, log_var)
    return vae.bits_per_dim(nats.mean(), images[0].numel()).item()


@torch.no_grad()
def _bits_per_byte(tensors: dict[str, Tensor], side: str, settings: dict[str, Any]) -> float:
    sizes = {name: LAPTOP["gpt"][name] for name in ("vocab", "dim", "layers", "heads", "context")}
    corpus = texts.load_texts(settings["data"], LAPTOP["gpt"]["documents"])
    tokenizer = texts.train_tokenizer(corpus.train[:TOKENIZER_TEXTS], sizes["vocab"])
    held_out = corpus.held_out[:300]
    windows = texts.windows(texts.encode(tokenizer, held_out), sizes["context"])
    model: nn.Module = (
        GPT(**sizes) if side == "course" else textbook_gpt.GPTLanguageModel(*sizes.values())
    )
    model.load_state_dict(tensors)
    model.eval()
    total = 0.0
    for part in windows.split(64):
        logits = model(part) if side == "course" else model(part)[0]
        loss = nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), part[:, 1:].flatten(), reduction="sum"
        )
        total += loss.item()
    tokens = windows.shape[0] * (windows.shape[1] - 1)
    per_byte = windows.numel() / sum(
        len(text.encode()) for text in held_out
    )  # tokens for each byte
    return total / tokens * per_byte / math.log(2)


def _accuracy(tensors: dict[str, Tensor], side: str, settings: dict[str, Any]) -> float:
    train, test = (
        load_reviews(settings["data"], "train", 2_000),
        load_reviews(settings["data"], "test", 1_000),
    )
    encoder = load_encoder(None, tier="laptop", texts=train.texts)
    encoder.model.load_state_dict(tensors)
    sequences = encoder.encode(test.texts, settings["max_tokens"])
    logits = bert.predict(encoder.model, sequences, encoder.tokenizer.pad_token_id)
    return (logits.argmax(1) == test.labels).float().mean().item()


_SCORES: dict[str, Callable[[dict[str, Tensor], str, dict[str, Any]], float]] = {
    "dcgan": _fd,
    "vae": _bits_per_dim,
    "gpt": _bits_per_byte,
    "bert": _accuracy,
    "flow": _flow_fd,
}
