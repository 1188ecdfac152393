"""Measure lesson 02 and ship its long run.

``python -m measuring.measure_dcgan laptop --data FOLDER --run-dir DIR`` trains the lesson's ``laptop`` run
for three seeds and scores it beside its baselines (``data/results/dcgan_laptop.json``).
``... ship --data FOLDER --run-dir DIR`` takes the newest checkpoint of a long run of ``course_utils.train dcgan``,
writes the generator to ``data/checkpoints/dcgan_cifar10.safetensors`` and its scores to
``data/results/dcgan_cifar10.json``.
"""

import argparse
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import results, runtime
from course_utils.datasets.images import ImageSet, load_images
from course_utils.errors import CourseError
from course_utils.evaluation.metrics import RealReference, mean_image_plus_noise
from course_utils.models import dcgan, shipped
from course_utils.training.checkpoints import newest_generation
from course_utils.training.recipes.dcgan import train_dcgan
from course_utils.training.settings import SETTINGS
from measuring.whole_runs import whole
from measuring.with_intervals import numbers, over_seeds

N = 1_000
SEEDS = (0, 1, 2)
SHIPPED = "dcgan_cifar10"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_dcgan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("laptop", "ship"))
    parser.add_argument(
        "--data", required=True, help="CIFAR-10 as an archive or a folder of class folders"
    )
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of the checkpoints")
    options = parser.parse_args(argv)
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    reference = RealReference.from_images(train, test, n=N)
    {"laptop": _measure_laptop, "ship": _ship}[options.what](train, reference, options.run_dir)
    return 0


def _measure_laptop(train: ImageSet, reference: RealReference, folder: Path) -> None:
    settings = SETTINGS["dcgan"]["laptop"]
    untrained = dcgan.make_generator(settings["latent_dim"], settings["width"]).apply(
        dcgan.init_dcgan_weights
    )
    result = {
        "data": train.name,
        "n": N,
        "draws": len(reference.blocks),
        "features": reference.network.description,
        "settings": settings,
        "floor": numbers(reference.floor),
        "untrained": numbers(reference.score(fixed_sampler(untrained))),
        "pixels": numbers(reference.score(mean_image_plus_noise(train))),
        "seeds": [],
    }
    for seed in SEEDS:
        run = runtime.setup(seed)
        training, last = whole(train_dcgan(run, train, folder / f"seed-{seed}", settings))
        networks = {name: training.state[name] for name in ("averaged", "generator")}
        scores = {
            name: numbers(reference.score(fixed_sampler(network)))
            for name, network in networks.items()
        }
        result["seeds"].append({"seed": seed, **scores, "last": last})
    for key, network in (("laptop", "averaged"), ("last_step", "generator")):
        values = {
            name: [row[network][name]["value"] for row in result["seeds"]] for name in ("FD", "KD")
        }
        result[key] = {name: over_seeds(found) for name, found in values.items()}
    print(results.write("dcgan_laptop.json", result))


def _ship(train: ImageSet, reference: RealReference, folder: Path) -> None:
    found = newest_generation(folder)
    if found is None:
        raise CourseError(
            "measure-no-run",
            f"{folder} holds no checkpoint.",
            "Nothing can be shipped.",
            "Train first.",
        )
    config = found.record["config"]
    prefix = "averaged.module."
    weights = {k.removeprefix(prefix): v for k, v in found.tensors.items() if k.startswith(prefix)}
    epochs = found.step * config["batch_size"] / config["examples"]
    facts = {
        "data": config["data"],
        "steps": found.step,
        "epochs": round(epochs),
        "seed": config["seed"],
        "latent_dim": config["latent_dim"],
        "width": config["width"],
    }
    made_with = results.provenance()  # before weights are written that are not committed
    content = shipped.write(SHIPPED, weights, facts).read_bytes()
    generator, _ = dcgan.load_shipped_generator()
    result = {
        **facts,
        "seconds": round(found.record["seconds"]),
        "n": N,
        "draws": len(reference.blocks),
        "features": reference.network.description,
        "real_set": reference.real_set,
        "floor": numbers(reference.floor),
        "score": numbers(reference.score(fixed_sampler(generator))),
        "file_sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    print(results.write(f"{SHIPPED}.json", result, made_with))


def fixed_sampler(generator: nn.Module) -> Callable[[int], Tensor]:
    """New images from fixed noise: the scores of one generator do not depend on what was drawn before."""
    first = next(module for module in generator.modules() if isinstance(module, nn.ConvTranspose2d))
    noise, latent_dim = torch.Generator().manual_seed(99), first.in_channels
    return lambda count: dcgan.sample(
        generator, torch.randn(count, latent_dim, 1, 1, generator=noise)
    )


if __name__ == "__main__":
    raise SystemExit(main())
