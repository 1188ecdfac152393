"""Measure lesson 06: what each score says of generators and of real images spoiled on purpose.

``python -m measuring.measure_generators table --data FOLDER`` scores eight sets of images by every score
(``data/results/scores_table.json``). ``... networks --data FOLDER`` scores them under other features
(``scores_networks.json``). ``... bias --data FOLDER`` measures FD and KD at rising numbers of images
(``scores_bias.json``). ``... modes`` compares recall with the exact count of modes on the stand-in
(``scores_modes.json``). FOLDER holds CIFAR-10 as ``course_utils.datasets.images`` reads it.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils import results, runtime
from course_utils.datasets import corruptions, standin_images
from course_utils.datasets.images import ImageSet, load_images
from course_utils.evaluation.metrics import (
    NAMES,
    FeatureNetwork,
    RealReference,
    copied,
    extract_features,
    load_feature_network,
    measure_pair,
)
from course_utils.models import dcgan, vae
from course_utils.models.other_features import PixelFeatures, UntrainedFeatures
from measuring.with_intervals import numbers, over_seeds, share

N, DRAWS = 2_000, 5
COUNTS = (100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000)
NOISE, BLUR, CLASSES, COPIES = 25.0, 1.0, 5, 100
MODES_N = 1_000
METHOD = "Student's t over the draws, 95 %"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_generators",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("table", "networks", "bias", "modes"))
    parser.add_argument(
        "--data", help="CIFAR-10 as an archive or a folder of class folders (all but modes)"
    )
    options = parser.parse_args(argv)
    runtime.setup(0)
    if options.what == "modes":
        result = modes()
    else:
        train, test = load_images(options.data, "train"), load_images(options.data, "test")
        measure = {"table": table, "networks": networks, "bias": bias}[options.what]
        result = {"data": train.name, **measure(train, test)}
    print(results.write(f"scores_{options.what}.json", {**result, "interval_method": METHOD}))
    return 0


def candidates(other: ImageSet, count: int) -> dict[str, Tensor]:
    """The sets that are scored: two generators, and training images that the reference does not hold, spoiled.

    Args:
        other: training images that are not compared with.
        count: how many of each at least.
    """
    return {
        "training": other.images,
        "copies": corruptions.repeated(other.images, COPIES, count),
        "half": corruptions.some_classes(other, CLASSES),
        "noise": corruptions.noisy(other.images, NOISE),
        "blur": corruptions.blurred(other.images, BLUR),
        **generators(count),
    }


def generators(count: int, seed: int = 1) -> dict[str, Tensor]:
    """Images of the shipped GAN and VAE from fixed noise."""
    random = torch.Generator().manual_seed(seed)
    gan, facts = dcgan.load_shipped_generator()
    network, _ = vae.load_shipped("vae_cifar10")
    latent = torch.randn(count, int(facts["latent_dim"]), 1, 1, generator=random)
    return {
        "gan": dcgan.sample(gan, latent),
        "vae": vae.decode_bytes(network, torch.randn(count, network.latent_dim, generator=random)),
    }


def halves(train: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Training images to compare with, and the others, which are spoiled."""
    half = len(train) // 2
    return train.subset(slice(0, half)), train.subset(slice(half, None))


def table(train: ImageSet, test: ImageSet) -> dict[str, Any]:
    """Every score of every set, and the share of copies."""
    real, other = halves(train)
    reference = RealReference.from_images(real, test, n=N, draws=DRAWS, names=tuple(NAMES))
    sets, network = candidates(other, N * DRAWS), reference.network
    rows = {name: numbers(reference.score(images)) for name, images in sets.items()}
    rows = {"held_out": numbers(reference.floor), **rows}
    looks = {
        "copied": (lambda images: extract_features(images, network), N),
        "copied_pixels": (lambda images: images.flatten(1).float() / 255, N // 2),
    }
    for column, (look, count) in looks.items():
        learned, others = look(train.images), look(test.images[count : 3 * count])
        for name, images in {"held_out": test.images, **sets}.items():
            rows[name][column] = share(copied(look(images[:count]), learned, others))
    return {**_facts(reference), "rows": rows}


def networks(train: ImageSet, test: ImageSet) -> dict[str, Any]:
    """FD, KD, precision and recall of the same sets under five kinds of features."""
    real, other = halves(train)
    sets, names = candidates(other, N * DRAWS), ("FD", "KD", "precision", "recall")
    found: dict[str, Any] = {
        "trained": load_feature_network(),
        **{f"untrained_{seed}": UntrainedFeatures(seed) for seed in (0, 1, 2)},
        "pixels": PixelFeatures(real.images[:20_000], real.name),
    }
    result: dict[str, Any] = {"networks": {}}
    for label, network in found.items():
        reference = RealReference.from_images(
            real, test, n=N, draws=DRAWS, network=network, names=names
        )
        rows = {"held_out": numbers(reference.floor)}
        rows |= {name: numbers(reference.score(images)) for name, images in sets.items()}
        order = sorted(sets, key=lambda name: rows[name]["FD"]["value"])
        facts = _facts(reference)
        result["networks"][label] = {
            "features": facts.pop("features"),
            "order_by_FD": order,
            "rows": rows,
        }
        print(label, order, flush=True)
    return {**facts, **result}


def bias(train: ImageSet, test: ImageSet) -> dict[str, Any]:
    """FD and KD against the number of images, on disjoint blocks, and the line a + b / n through FD from 500 on."""
    real, other = halves(train)
    network = load_feature_network()
    ones = extract_features(real.images, network)
    sets = {"real": other.images, **generators(DRAWS * max(COUNTS), seed=2)}
    result: dict[str, Any] = {
        "features": network.description,
        "real_set": f"{train.name}, train",
        "draws": DRAWS,
    }
    result |= {"counts": list(COUNTS), "rows": {}}
    for name, images in sets.items():
        features = extract_features(images, network)
        rows = {
            str(n): _compare(_blocks(features, n), _blocks(ones, n), network, ("FD", "KD"))
            for n in COUNTS
        }
        result["rows"][name] = {
            **rows,
            **_line({n: rows[str(n)]["FD"]["values"] for n in COUNTS if n >= 500}),
        }
    return result


def modes() -> dict[str, Any]:
    """Generators of the stand-in that leave something out: exact coverage of class and background, and the scores."""
    network = load_feature_network()
    real = load_images("standin", "train", limit=MODES_N * DRAWS)
    ones, rows = _blocks(extract_features(real.images, network), MODES_N), {}
    for name, change in _narrowings().items():
        fakes, coverage = [], []
        for draw in range(DRAWS):
            factors = change(standin_images.make_factors(MODES_N, seed=1_000 + draw))
            coverage.append(
                len(set(zip(factors["class"], factors["background"], strict=True))) / 60
            )
            fakes.append(extract_features(torch.from_numpy(standin_images.draw(factors)), network))
        rows[name] = _compare(fakes, ones, network, tuple(NAMES)) | {
            "coverage": float(np.mean(coverage))
        }
        print(
            name,
            {
                key: value if key == "coverage" else value["value"]
                for key, value in rows[name].items()
            },
            flush=True,
        )
    facts = {"data": real.name, "real_set": f"{real.name}, train", "features": network.description}
    return {
        **facts,
        "n": MODES_N,
        "draws": DRAWS,
        "modes": "10 classes × 6 backgrounds",
        "rows": rows,
    }


def _narrowings() -> dict[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]]:
    """What each imagined generator does to the factors that it should draw evenly."""
    made: dict[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]] = {
        f"classes_{kept}": lambda f, kept=kept: {**f, "class": f["class"] % kept}
        for kept in (1, 2, 4, 6, 8, 10)
    }
    made["one_background"] = lambda f: {**f, "background": 0 * f["background"]}
    made["third_of_hues"] = lambda f: {**f, "hue": f["hue"] / 3}
    made["hundred_pictures"] = lambda f: {
        key: np.resize(value[:100], len(value)) for key, value in f.items()
    }
    return made


def _line(values: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    """``limit`` + ``slope`` / n through the means at each n, weighted by their standard errors; with 95 % intervals."""
    means = [np.mean(drawn) for drawn in values.values()]
    errors = [np.std(drawn, ddof=1) / len(drawn) ** 0.5 for drawn in values.values()]
    line, covariance = np.polyfit(
        [1 / n for n in values], means, 1, w=1 / np.array(errors), cov="unscaled"
    )
    halves = 1.96 * np.sqrt(np.diag(covariance))
    return {
        name: {"value": float(v), "low": float(v - half), "high": float(v + half)}
        for name, v, half in zip(("slope", "limit"), line, halves, strict=True)
    }


def _blocks(features: Tensor, n: int) -> list[Tensor]:
    return list(features[: n * DRAWS].split(n))


def _compare(
    fakes: Sequence[Tensor], reals: Sequence[Tensor], network: FeatureNetwork, names: Sequence[str]
) -> dict[str, Any]:
    pairs = [measure_pair(x, y, network, names) for x, y in zip(fakes, reals, strict=True)]
    result = {}
    for name in names:
        values = [pair[name] for pair in pairs]
        result[name] = over_seeds(values) | {"values": values}
    return result


def _facts(reference: RealReference) -> dict[str, Any]:
    draws, n, _ = reference.blocks.shape
    return {
        "n": n,
        "draws": draws,
        "features": reference.network.description,
        "real_set": reference.real_set,
    }


if __name__ == "__main__":
    raise SystemExit(main())
