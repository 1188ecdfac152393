"""Measure lesson 03 and ship its weights.

``python -m measuring.measure_vae laptop --data FOLDER --run-dir DIR`` trains the lesson's run with the
learned sigma and with two fixed ones, three seeds each, and scores them (``data/results/vae_laptop.json``);
``--sigma learned`` does one of the three and leaves the others as they are.
``... lines`` trains the lesson's published loss lines on the stand-in, three seeds each (``vae_lines.json``).
``... collapse`` trains the line that collapses, its cures and what does not cure it, five seeds each
(``vae_collapse.json``).
``... plane`` trains the two-dimensional latent planes on the stand-in, ships them and writes ``vae_plane.json``.
``... ship --data FOLDER --run-dir DIR`` takes the newest checkpoint of a long run of ``course_utils.train vae``, ships
its decoder and scores it (``vae_cifar10.json``).
"""

import argparse
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_utils import results, runtime
from course_utils.authoring.lessons import load_definitions
from course_utils.datasets.images import ImageSet, load_images
from course_utils.errors import CourseError
from course_utils.evaluation.distances import sharpness
from course_utils.evaluation.elbo import Loss
from course_utils.evaluation.metrics import RealReference
from course_utils.models import shipped, vae
from course_utils.training.checkpoints import newest_generation
from course_utils.training.recipes import vae_laboratory
from course_utils.training.recipes.vae import train_vae
from course_utils.training.settings import SETTINGS
from measuring.whole_runs import whole
from measuring.with_intervals import numbers, over_seeds

N = 1_000
SEEDS = (0, 1, 2)
DRAWS = 16
"""Of the latent for each image, where a bound is taken."""
SIGMAS = {"learned": None, "one": 1.0, "small": 0.05}
LINES = (
    "pytorch_examples",
    "keras_blog",
    "pytorch_vae",
    "lightning_bolts",
    "my_line",
    "repaired_line",
)
"""The lesson's functions, taken from its source."""
LINES_AT = {"steps": 400, "images": 4_000, "latent_dim": 16, "width": 8, "batch_size": 64}
COLLAPSE = {"steps": 600, "images": 4_000, "latent_dim": 16, "width": 8, "batch_size": 64}
BETAS = (1, 10, 100, 400, 1_000)
PLANE = {
    "steps": 1_500,
    "images": 4_000,
    "latent_dim": 2,
    "width": 8,
    "hidden": 32,
    "batch_size": 64,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_vae",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("laptop", "lines", "collapse", "plane", "ship"))
    parser.add_argument(
        "--data", help="CIFAR-10 as an archive or a folder of class folders (laptop, ship)"
    )
    parser.add_argument("--run-dir", type=Path, help="folder of the checkpoints (laptop, ship)")
    parser.add_argument(
        "--sigma", choices=sorted(SIGMAS), action="append", help="only this likelihood (laptop)"
    )
    parser.add_argument("--only", action="append", help="only this one of them (lines, collapse)")
    parser.add_argument("--seed", type=int, help="only this seed (lines, collapse)")
    options = parser.parse_args(argv)
    {"laptop": _laptop, "lines": _lines, "collapse": _collapse, "plane": _plane, "ship": _ship}[
        options.what
    ](options)
    return 0


def _laptop(options: argparse.Namespace) -> None:
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    reference, settings = RealReference.from_images(train, test, n=N), SETTINGS["vae"]["laptop"]
    common = {
        "data": train.name,
        "n": N,
        "draws": len(reference.blocks),
        "features": reference.network.description,
        "settings": settings,
        "floor": numbers(reference.floor),
        "sharpness_real": sharpness(test.images),
    }
    for name in options.sigma or SIGMAS:
        rows = []
        for seed in SEEDS:
            run = runtime.setup(seed)
            chosen = {**settings, "sigma": SIGMAS[name]}
            training, _ = whole(train_vae(run, train, options.run_dir / f"{name}-{seed}", chosen))
            row = {"seed": seed, "seconds": round(training.seconds, 1)}
            rows.append(
                row
                | held_out(training.state["vae"], test)
                | generated(training.state["vae"], reference)
            )
            print(name, rows[-1], flush=True)
        keys = [key for key in rows[0] if key not in ("seed", "seconds")]
        measured = {
            name: {"seeds": rows, **{key: over_seeds([row[key] for row in rows]) for key in keys}}
        }
        print(
            results.write(
                "vae_laptop.json",
                {**results.earlier("vae_laptop.json"), **common, **measured},
            )
        )


def held_out(network: vae.VAE, test: ImageSet) -> dict[str, float]:
    """What a VAE does with the first 1,000 held-out images: bits, KL, active units, errors and sharpness."""
    bytes_, random = test.images[:1_000], torch.Generator().manual_seed(0)
    weights = [
        vae.log_weights(network, vae.dequantise(part, random), DRAWS, random)
        for part in bytes_.split(250)
    ]
    log_weights, dims = torch.cat(weights, dim=1), bytes_[0].numel()
    mean, log_var = vae.encode_means(network, bytes_)
    rebuilt = vae.decode_bytes(network, mean)
    return {
        "bits": vae.bits_per_dim(-log_weights.mean(), dims).item(),
        "bits_iwae": vae.bits_per_dim(-vae.iwae_bound(log_weights), dims).item(),
        "kl": vae.gaussian_kl(mean, log_var).mean().item(),
        "active": float(vae.active_units(mean)),
        "sigma": torch.exp(0.5 * network.log_var.detach()).item(),
        "error": (rebuilt.float() - bytes_.float()).square().mean().sqrt().item(),
        "sharpness_rebuilt": sharpness(rebuilt),
    }


def generated(network: vae.VAE, reference: RealReference) -> dict[str, float]:
    """FD and KD of new images (the decoder's means), of means with the likelihood's noise, and their sharpness."""
    scores, noisy = reference.score(sampler(network)), reference.score(sampler(network, noise=True))
    return {
        "FD": scores["FD"].value,
        "KD": scores["KD"].value,
        "FD_noisy": noisy["FD"].value,
        "sharpness": sharpness(sampler(network)(1_000)),
    }


def sampler(network: vae.VAE, noise: bool = False) -> Callable[[int], Tensor]:
    """New images from fixed noise; with ``noise`` draws of p(x | z), otherwise its means."""
    random = torch.Generator().manual_seed(99)

    def draw(count: int) -> Tensor:
        images = vae.decode_bytes(network, torch.randn(count, network.latent_dim, generator=random))
        if not noise:
            return images
        grain = (
            torch.exp(0.5 * network.log_var.detach())
            * 127.5
            * torch.randn(images.shape, generator=random)
        )
        return (images + grain).round().clamp(0, 255).to(torch.uint8)

    return draw


def _lines(options: argparse.Namespace) -> None:
    lesson = load_definitions("03_vae_elbo")
    trained = {name: _by_line(lambda _, name=name: getattr(lesson, name)) for name in LINES}
    _over_seeds("vae_lines.json", LINES_AT, trained, 3, options)


def _collapse(options: argparse.Namespace) -> None:
    lesson = load_definitions("03_vae_elbo")
    trained = {
        "mean": _by_line(lambda _: lesson.my_line),
        "annealed": _by_line(lambda steps: _annealed(lesson, steps)),
        "free_bits": _by_line(lambda _: lesson.free_bits),
        "repaired": _by_line(lambda _: lesson.repaired_line),
        "learned": _learned,
    }
    _over_seeds("vae_collapse.json", COLLAPSE, trained, 5, options)


def _annealed(lesson: Any, steps: int) -> Loss:
    """``my_line`` whose KL counts nothing at first and fully from half of the steps on."""
    done = itertools.count()

    def line(x_hat: Tensor, x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
        weight = min(1.0, next(done) / (steps / 2))
        return lesson.mse(x_hat, x) + weight * lesson.per_dim(mean, log_var).sum(1).mean()

    return line


Trained = Callable[[Tensor, int, Mapping[str, int]], vae.VAE]
"""(images, seed, sizes of the network and of the training) -> a network."""


def _by_line(make: Callable[[int], Loss]) -> Trained:
    """Train by a loss line, made anew for each training from its number of steps."""
    return lambda images, seed, sizes: vae_laboratory.train_line(
        make(sizes["steps"]), images, seed, **sizes
    )


def _learned(images: Tensor, seed: int, sizes: Mapping[str, int]) -> vae.VAE:
    return vae_laboratory.train_recipe(vae_laboratory.Recipe(), images, seed, **sizes)


def _over_seeds(
    file: str,
    settings: Mapping[str, int],
    trained: Mapping[str, Trained],
    seeds: int,
    options: argparse.Namespace,
) -> None:
    """Train each network with each seed and write the file after each; what was asked for alone is added to it."""
    train = load_images("standin", "train", limit=settings["images"])
    test = load_images("standin", "test", limit=1_000)
    common, measured = {"data": train.name, "settings": settings}, False
    for name in options.only or trained:
        for seed in range(seeds) if options.seed is None else (options.seed,):
            network = trained[name](train.images, seed, _sizes(settings))
            row = {"seed": seed} | vae_laboratory.examine(network, test.images)
            print(name, row, flush=True)
            before = results.earlier(file) if measured or options.only else {}
            measured = True
            others = before.get(name, {}).get("seeds", [])
            rows = sorted(
                [row, *(one for one in others if one["seed"] != seed)], key=lambda one: one["seed"]
            )
            print(
                results.write(file, {**before, **common, name: {"seeds": rows, **_summary(rows)}})
            )


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Means over the seeds with their intervals, where there is more than one."""
    keys = ("active", "kl", "error", "bits") if len(rows) > 1 else ()
    return {key: over_seeds([float(row[key]) for row in rows]) for key in keys}


def _plane(options: argparse.Namespace) -> None:
    train, test = (
        vae_laboratory.moving_hearts(PLANE["images"]),
        vae_laboratory.moving_hearts(1_000, "test"),
    )
    run, result = runtime.setup(0), {"data": train.name, "settings": PLANE, "betas": {}}
    made_with = results.provenance()  # before weights are written that are not committed
    for beta in BETAS:
        recipe = vae_laboratory.Recipe(beta=float(beta))
        network = vae_laboratory.train_recipe(
            recipe, train.images, 0, **_sizes(PLANE), autocast=run.autocast
        )
        facts = {"data": train.name, "beta": beta, "steps": PLANE["steps"], "seed": 0}
        content = shipped.write(f"vae_plane_{beta}", *vae.contents(network, facts)).read_bytes()
        stored, _ = vae.load_shipped(f"vae_plane_{beta}")
        spread = vae.encode_means(stored, test.images)[0].std(0).tolist()
        row = {
            **vae_laboratory.examine(stored, test.images),
            "spread": spread,
            "bytes": len(content),
        }
        result["betas"][str(beta)] = row | {"file_sha256": hashlib.sha256(content).hexdigest()}
        print(beta, row, flush=True)
    print(results.write("vae_plane.json", result, made_with))


def _ship(options: argparse.Namespace) -> None:
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    reference, found = (
        RealReference.from_images(train, test, n=N),
        newest_generation(options.run_dir),
    )
    if found is None:
        raise CourseError(
            "measure-no-run",
            f"{options.run_dir} holds no checkpoint.",
            "Nothing can be shipped.",
            "Train first.",
        )
    config = found.record["config"]
    network = vae.VAE(config["latent_dim"], config["width"], config["sigma"], config["size"])
    network.load_state_dict(
        {k.removeprefix("vae."): v for k, v in found.tensors.items() if k.startswith("vae.")}
    )
    epochs = round(found.step * config["batch_size"] / config["examples"])
    facts = {"data": config["data"], "steps": found.step, "epochs": epochs, "seed": config["seed"]}
    made_with = results.provenance()  # before weights are written that are not committed
    contents = vae.contents(network, {**facts, "parts": "decoder"}, decoder_only=True)
    content = shipped.write("vae_cifar10", *contents).read_bytes()
    stored, _ = vae.load_shipped("vae_cifar10")
    result = {
        **facts,
        "seconds": round(found.record["seconds"]),
        "n": N,
        "draws": len(reference.blocks),
        "features": reference.network.description,
        "real_set": reference.real_set,
        "floor": numbers(reference.floor),
        "score": numbers(reference.score(sampler(stored))),
        "score_with_noise": numbers(reference.score(sampler(stored, noise=True))),
        "held_out": held_out(network.eval(), test),
        "sharpness": {
            "real": sharpness(test.images),
            "samples": sharpness(sampler(stored)(1_000)),
        },
        "file_sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    print(results.write("vae_cifar10.json", result, made_with))


def _sizes(settings: Mapping[str, int]) -> dict[str, int]:
    return {name: value for name, value in settings.items() if name != "images"}


if __name__ == "__main__":
    raise SystemExit(main())
