"""Train and ship the feature network of FD and KD.

``python -m measuring.train_features --data FOLDER --seed N`` writes ``data/checkpoints/features_cifar10.safetensors``
and ``data/results/features_cifar10.json``. FOLDER holds CIFAR-10 as ``course_utils.datasets.images`` reads it. The same
command again goes on after the last finished epoch.
"""

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from course_utils import results
from course_utils.evaluation.intervals import wilson_interval
from course_utils.evaluation.metrics import extract_features
from course_utils.models import features as features_module
from course_utils.models import shipped
from course_utils.models.features import (
    SHIPPED,
    FeatureFacts,
    FeatureNetwork,
    load_feature_network,
)
from course_utils.paths import runs_dir
from course_utils.progress_bars import progress
from course_utils.runtime import setup


@dataclass(frozen=True)
class Settings:
    """What a training run depends on; the defaults made the shipped file.

    ``cycles`` holds (epochs, largest learning rate) of one-cycle schedules that follow one another.
    """

    seed: int = 0
    cycles: tuple[tuple[int, float], ...] = ((8, 0.2), (6, 0.1))
    batch_size: int = 256
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    crop_padding: int = 2

    @property
    def epochs(self) -> int:
        """Epochs of all cycles together."""
        return sum(epochs for epochs, _ in self.cycles)


def train(
    images: Tensor, labels: Tensor, settings: Settings, checkpoint: Path
) -> tuple[FeatureNetwork, float]:
    """Train with random crops and flips, SGD with momentum, and one-cycle learning rates.

    Args:
        images: (N, 3, 32, 32) uint8.
        labels: (N,) int64 in 0..9.
        settings: see ``Settings``.
        checkpoint: file that holds the state after each epoch; a run that finds it goes on from there.

    Returns:
        The network with BatchNorm folded, in eval mode, and the seconds that training took in all.
    """
    runtime = setup(settings.seed, quiet=True)
    network = FeatureNetwork().to(runtime.device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=0.1,
        momentum=0.9,
        nesterov=True,
        weight_decay=settings.weight_decay,
    )
    steps = len(images) // settings.batch_size
    rates = [
        rate for epochs, max_lr in settings.cycles for rate in one_cycle(epochs * steps, max_lr)
    ]
    state = {"network": network, "optimizer": optimizer}
    done, seconds = _resume(state, checkpoint, settings)
    for epoch in range(done, settings.epochs):
        started = time.perf_counter()
        generator = torch.Generator().manual_seed(1_000_003 * settings.seed + epoch)
        order = torch.randperm(len(images), generator=generator)[: steps * settings.batch_size]
        network.train()
        total = 0.0
        batches = progress(order.split(settings.batch_size), f"epoch {epoch + 1}/{settings.epochs}")
        for step, rows in enumerate(batches, start=epoch * steps):
            optimizer.param_groups[0].update(rates[step])
            batch = to_unit_range(augment(images[rows], settings.crop_padding, generator)).to(
                runtime.device
            )
            with runtime.autocast():
                logits = network(batch.contiguous(memory_format=torch.channels_last))
            target = labels[rows].to(runtime.device)
            loss = functional.cross_entropy(
                logits.float(), target, label_smoothing=settings.label_smoothing
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item()
        seconds += time.perf_counter() - started
        print(
            f"epoch {epoch + 1}: mean loss {total / steps:.4f}, {seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        saved = {name: part.state_dict() for name, part in state.items()}
        _save(
            checkpoint,
            saved | {"epochs": epoch + 1, "seconds": seconds, "settings": asdict(settings)},
        )
    return network.fold().cpu(), seconds


def one_cycle(steps: int, max_lr: float) -> list[dict[str, float]]:
    """Learning rate and momentum of each step: up to ``max_lr`` in the first quarter, then down, along cosines.

    Momentum goes the other way, from 0.95 to 0.85 and back.

    Source: Smith and Topin 2018, arXiv 1708.07120; as ``torch.optim.lr_scheduler.OneCycleLR`` with pct_start 0.25.
    """
    peak, last = 0.25 * steps - 1, steps - 1
    rates = []
    for step in range(steps):
        up = step <= peak
        share = step / peak if up else (step - peak) / (last - peak)
        low, weight = max_lr / 25 if up else max_lr / 25e4, (1 - math.cos(math.pi * share)) / 2
        height = weight if up else 1 - weight  # 0 at the ends, 1 at the peak
        rates.append({"lr": low + (max_lr - low) * height, "momentum": 0.95 - 0.1 * height})
    return rates


def augment(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """A random crop out of each mirrored-at-the-border image, and a left-right flip of every other one.

    Args:
        images: (B, C, H, W) uint8.
        padding: pixels by which a crop may move.
        generator: source of the random numbers.

    Returns:
        (B, C, H, W) uint8.
    """
    count, channels, height, width = images.shape
    padded = functional.pad(images.float(), (padding,) * 4, mode="reflect").to(torch.uint8)
    top, left = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=generator)
    columns = torch.arange(width).expand(count, width)
    flip = torch.rand(count, 1, generator=generator) < 0.5
    columns = torch.where(flip, width - 1 - columns, columns) + left  # (B, W)
    rows = torch.arange(height) + top  # (B, H)
    index = torch.arange(count)[:, None, None, None], torch.arange(channels)[:, None, None]
    return padded[(*index, rows[:, None, :, None], columns[:, None, None, :])]


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1]."""
    return images.float() / 127.5 - 1.0


def accuracy(network: FeatureNetwork, images: Tensor, labels: Tensor) -> float:
    """Share of uint8 images (N, 3, 32, 32) whose largest logit is that of the label, computed in float32."""
    with torch.no_grad():
        logits = network.head(extract_features(images, network, exact=True))
    return (logits.argmax(1) == labels).double().mean().item()


def finish(
    network: FeatureNetwork,
    test: tuple[Tensor, Tensor],
    data: str,
    settings: Settings,
    seconds: float,
) -> dict:
    """Write weights and results; the accuracy is that of the weights as stored (float16), read back from the file."""
    images, labels = test
    made_with = results.provenance()  # before weights are written that are not committed
    facts = FeatureFacts(SHIPPED, data, settings.seed, 0.0, made_with["commit"])
    shipped.write(SHIPPED, network.state_dict(), asdict(facts))
    share = accuracy(load_feature_network(), images, labels)
    facts = replace(facts, accuracy=round(share, 4))
    content = shipped.write(SHIPPED, network.state_dict(), asdict(facts)).read_bytes()
    low, high = wilson_interval(round(share * len(labels)), len(labels), 1.959964)
    code = Path(__file__).read_bytes() + Path(features_module.__file__).read_bytes()
    result = {
        "accuracy": round(share, 4),
        "interval": [round(low, 4), round(high, 4)],
        "interval_method": "Wilson, 95 %",
        "n_test": len(labels),
        "data": data,
        "settings": asdict(settings),
        "seed": settings.seed,
        "epochs": settings.epochs,
        "seconds": round(seconds),
        "threads": torch.get_num_threads(),
        "parameters": sum(value.numel() for value in network.parameters()),
        "bytes": len(content),
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "code_sha256": hashlib.sha256(code).hexdigest(),
    }
    results.write(f"{SHIPPED}.json", result, made_with)
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the images, train, write the two files, and print the results as one line of JSON."""
    from course_utils.datasets.images import load_images

    parser = argparse.ArgumentParser(
        prog="python -m measuring.train_features",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder or archive with CIFAR-10")
    parser.add_argument(
        "--data-name", default="CIFAR-10 (JPEG copy)", help="what the results call the data"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and order")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: all")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    settings = Settings(seed=options.seed)
    train_set, test_set = load_images(options.data, "train"), load_images(options.data, "test")
    checkpoint = runs_dir() / f"{SHIPPED}-seed{options.seed}.pt"
    network, seconds = train(train_set.images, train_set.labels, settings, checkpoint)
    print(
        json.dumps(
            finish(
                network, (test_set.images, test_set.labels), options.data_name, settings, seconds
            )
        )
    )


def _resume(state: dict[str, Any], checkpoint: Path, settings: Settings) -> tuple[int, float]:
    if not checkpoint.is_file():
        return 0, 0.0
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if saved["settings"] != asdict(settings):  # another run's state
        return 0, 0.0
    for name, part in state.items():
        part.load_state_dict(saved[name])
    return saved["epochs"], saved["seconds"]


def _save(checkpoint: Path, state: dict[str, Any]) -> None:
    part = checkpoint.with_suffix(".part")
    torch.save(state, part)
    part.replace(checkpoint)


if __name__ == "__main__":
    main()
