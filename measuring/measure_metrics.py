"""Measure what FD and KD say of real images and of noise at several numbers of images.

``python -m measuring.measure_metrics --data FOLDER`` writes ``data/results/metric_floor.json``.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils import results
from course_utils.datasets.images import ImageSet, load_images
from course_utils.evaluation.metrics import (
    extract_features,
    feature_moments,
    frechet_distance,
    kernel_distance,
    load_feature_network,
    mean_image_plus_noise,
    mean_interval,
)
from course_utils.models import shipped
from course_utils.models.features import SHIPPED, FeatureNetwork
from course_utils.runtime import setup

COUNTS = (1000, 2000, 5000, 10_000)
DRAWS = 5
NOTE = (
    "Draw d compares block d of the training images (disjoint blocks) with n other images: held-out test images, or "
    "the row's noise drawn anew. Test blocks are disjoint up to n = 2,000; above, they overlap (at n = 10,000 each is "
    "the whole test set), so those intervals cover the choice of training images only. real_train compares disjoint "
    "blocks of the training set with each other; it has 2 draws at n = 10,000."
)


def blocks(features: Tensor, n: int, draws: int, seed: int) -> list[Tensor]:
    """``draws`` random sets of ``n`` rows each: disjoint where there are enough rows, else each drawn by itself."""
    generator = torch.Generator().manual_seed(seed)
    if n * draws <= len(features):
        order = torch.randperm(len(features), generator=generator)
        return [features[order[draw * n : (draw + 1) * n]] for draw in range(draws)]
    return [features[torch.randperm(len(features), generator=generator)[:n]] for _ in range(draws)]


def compare(ones: Sequence[Tensor], others: Sequence[Tensor]) -> dict[str, Any]:
    """FD and KD of pairs of feature blocks, each with its mean, 95 % interval and single values."""
    pairs = list(zip(ones, others, strict=True))
    values = {
        "FD": [frechet_distance(*feature_moments(x), *feature_moments(y)) for x, y in pairs],
        "KD": [kernel_distance(x, y) for x, y in pairs],
    }
    result: dict[str, Any] = {"draws": len(pairs)}
    for name, drawn in values.items():
        mean, low, high = mean_interval(drawn)
        result[name] = {"value": mean, "low": low, "high": high, "values": drawn}
    return result


def measure(
    train: ImageSet, test: ImageSet, network: FeatureNetwork, counts: Sequence[int]
) -> dict[str, Any]:
    """All rows at all numbers of images: ``{row: {"n1000": {"FD": ..., "KD": ...}}}``."""
    real, held_out = extract_features(train.images, network), extract_features(test.images, network)
    noise = mean_image_plus_noise(train, seed=1)
    generator = torch.Generator().manual_seed(2)
    total = min(DRAWS * max(counts), len(real))
    samplers = {
        "mean_image_plus_noise": noise,
        "uniform_noise": lambda count: (
            torch.rand(count, *train.images.shape[1:], generator=generator) * 2 - 1
        ),
    }
    others = {"real_held_out": held_out}
    for name, sampler in samplers.items():
        others[name] = torch.cat(
            [extract_features(sampler(500), network) for _ in range(total // 500)]
        )
    rows: dict[str, Any] = {name: {} for name in ("real_train", *others)}
    for n in counts:
        halves = blocks(real, n, 2 * min(DRAWS, len(real) // (2 * n)), seed=10)
        rows["real_train"][f"n{n}"] = compare(halves[::2], halves[1::2])
        for name, features in others.items():
            rows[name][f"n{n}"] = compare(
                blocks(real, n, DRAWS, seed=11), blocks(features, n, DRAWS, seed=12)
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write the results file, print where it is."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_metrics",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder or archive with CIFAR-10")
    parser.add_argument(
        "--data-name", default="CIFAR-10 (JPEG copy)", help="what the results call the data"
    )
    options = parser.parse_args(arguments)
    runtime = setup(0, quiet=True)
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    started = time.perf_counter()
    network = load_feature_network(runtime.device)
    result = {
        "data": options.data_name,
        "real_set": f"train, {len(train):,} images; held out: test, {len(test):,} images",
        "features": network.description,
        "weights_sha256": shipped.digests()[SHIPPED],
        "interval_method": "Student's t over the draws, 95 %",
        "note": NOTE,
        "rows": measure(train, test, network, COUNTS),
        "seconds": round(time.perf_counter() - started),
        "threads": torch.get_num_threads(),
    }
    print(results.write("metric_floor.json", result))


if __name__ == "__main__":
    main()
