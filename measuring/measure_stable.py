"""Measure what lesson 08 compares.

``python -m measuring.measure_stable plane --work DIR`` trains all methods in the plane, five seeds each, on both data
sets and at two learning rates, and writes ``data/results/stable_plane.json``.
``... pictures --data FOLDER --work DIR`` trains the three class-conditional ways with pictures, three seeds each and
the same time on one core (as many steps as each way's measured speed allows), and writes
``data/results/stable_pictures.json``: distances, recall, the distance of each class and how often the class that was
asked for is read.
``... ship --data FOLDER --work DIR`` takes the newest checkpoint of a long run of ``course_utils.train cgan`` in DIR,
writes its averaged generator to ``data/checkpoints/cgan_cifar10.safetensors`` and the same scores to
``data/results/cgan_cifar10.json``.
``... truncation --data FOLDER --work DIR`` draws the shipped generator's latent vectors nearer to the middle (all of
their numbers scaled, or, as BigGAN does it, those beyond a threshold drawn again; and scaled with BatchNorm's averages
measured anew for each scale) and writes the same scores of each to ``data/results/stable_truncation.json``; 10 minutes.

All work on one thread. Finished parts are kept in DIR and cut ones go on;
several programs may share one DIR. ``--so-far`` trains nothing and writes what is finished.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from course_utils import results, runtime
from course_utils.datasets.images import ImageSet, load_images
from course_utils.errors import CourseError
from course_utils.evaluation.class_scores import ClassReference
from course_utils.models import cgan, plane_gan, shipped
from course_utils.training.checkpoints import newest_generation
from course_utils.training.recipes.cgan import train_cgan
from course_utils.training.settings import SETTINGS
from measuring.speeds import in_turns
from measuring.whole_runs import whole
from measuring.with_intervals import by_class, over_seeds

PLANE_SEEDS, PLANE_STEPS, RATES = 5, 2_000, (1e-3, 3e-3)
SEEDS = (0, 1, 2)
PICTURES = {k: v for k, v in SETTINGS["cgan"]["laptop"].items() if k != "steps"}
"""The lesson's, but for the number of steps."""
MINUTES, TURNS, STEPS_OF_A_TURN = 10, 3, 32
"""What a training may take of one core, about five minutes of two; and how a way's speed is found beforehand."""
N = 100
"""Images of a class in one draw; ten times as many in a draw of all."""
NAMES = ("FD", "KD", "precision", "recall")
SCALES, THRESHOLDS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.2), (2.0, 1.0, 0.5)
"""By what latent vectors are multiplied, and how far out their numbers may lie where they are drawn again."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_stable",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("plane", "pictures", "ship", "truncation"))
    parser.add_argument("--data", help="CIFAR-10 as an archive or a folder of class folders")
    parser.add_argument("--work", type=Path, required=True, help="folder of runs and records")
    parser.add_argument("--only", action="append", help="train these methods (or data sets)")
    parser.add_argument("--so-far", action="store_true", help="train nothing, write what there is")
    options = parser.parse_args(argv)
    if options.what != "plane" and not options.data:
        parser.error(f"{options.what} needs --data")
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    programs = {"plane": _plane, "pictures": _pictures, "ship": _ship, "truncation": _truncation}
    programs[options.what](options)
    return 0


def _plane(options: argparse.Namespace) -> None:
    made_with = results.provenance()
    games: dict[str, dict[str, dict[str, Any]]] = {}
    for data, make in plane_gan.DATA.items():
        games[data] = {}
        for rate in RATES:
            rows = games[data][f"{rate:g}"] = {}
            for name, method in plane_gan.METHODS.items():
                record = options.work / f"{data}-{rate:g}-{name}.json".replace(" ", "_")
                wanted = not options.only or data in options.only
                if not record.is_file() and wanted and not options.so_far:
                    points, _ = plane_gan.play(method, make(), PLANE_SEEDS, PLANE_STEPS, rate)
                    modes, good = plane_gan.score(points, make())
                    found = {"modes": modes.tolist(), "good": [round(x, 4) for x in good.tolist()]}
                    record.write_text(json.dumps(found), encoding="utf-8")
                    print(data, rate, name, found, flush=True)
                if record.is_file():
                    found = json.loads(record.read_text(encoding="utf-8"))
                    rows[name] = {k: _seeds(v, *_RANGES[k](make())) for k, v in found.items()}
    whole = all(
        len(r) == len(plane_gan.METHODS) for rates in games.values() for r in rates.values()
    )
    if whole or options.so_far:
        facts = {"seeds": PLANE_SEEDS, "steps": PLANE_STEPS, "rates": RATES, "games": games}
        truth = {data: _truth(make()) for data, make in plane_gan.DATA.items()}
        print(results.write("stable_plane.json", {**facts, "data": truth}, made_with))


_RANGES = {"modes": lambda centres: (0, len(centres)), "good": lambda _: (0, 1)}


def _truth(centres: torch.Tensor) -> dict[str, float]:
    """What points of the data themselves score."""
    points = plane_gan.draw(centres, 1, 100_000, torch.Generator().manual_seed(1))
    modes, good = plane_gan.score(points, centres)
    return {"modes": modes.item(), "good": good.item()}


def _seeds(values: list[float], low: float, high: float) -> dict[str, Any]:
    """Mean and 95 % interval over seeds, cut to what is possible, and the seeds."""
    found = over_seeds(values)
    cut = {"low": max(found["low"], low), "high": min(found["high"], high)}
    return {**found, **cut, "seeds": values}


def _pictures(options: argparse.Namespace) -> None:
    made_with = results.provenance()
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    reference = ClassReference.from_images(
        train, test, N, names=("FD", "KD", "precision", "recall")
    )
    speeds = _speeds(train, options.work)
    steps = {name: round(60 * MINUTES / speed["value"]) for name, speed in speeds.items()}
    found: dict[str, dict[int, Any]] = {name: {} for name in cgan.METHODS}
    for seed in SEEDS:
        for name in cgan.METHODS:
            record = options.work / f"{name}-{seed}.json".replace(" ", "_")
            if (not options.only or name in options.only) and not options.so_far:
                try:
                    with FileLock(record.with_suffix(".lock"), timeout=0):
                        _train(name, seed, steps[name], train, reference, record)
                except Timeout:
                    print(f"{name}, seed {seed}: another program is at it", flush=True)
            if record.is_file():
                found[name][seed] = json.loads(record.read_text(encoding="utf-8"))
    if options.so_far or all(len(rows) == len(SEEDS) for rows in found.values()):
        result = {
            **_measured_with(train, reference),
            "settings": PICTURES,
            "minutes": MINUTES,
            "seconds_per_step": speeds,
            "steps": steps,
            "ways": {name: _over(list(rows.values())) for name, rows in found.items() if rows},
        }
        print(results.write("stable_pictures.json", result, made_with))


def _speeds(train: ImageSet, work: Path) -> dict[str, Any]:
    """Seconds of one step of each way on one core, in turns, kept in the folder: later parts train as many steps."""

    def seconds(name: str) -> float:
        run = runtime.setup(0)
        torch.set_num_threads(1)
        settings = {**PICTURES, "method": name, "steps": STEPS_OF_A_TURN}
        training, _ = whole(train_cgan(run, train, work / "speed", settings, fresh=True))
        return training.seconds / STEPS_OF_A_TURN

    timed = {name: partial(seconds, name) for name in cgan.METHODS}
    return in_turns(timed, TURNS, work / "speeds.json")


def _train(
    name: str, seed: int, steps: int, train: ImageSet, reference: ClassReference, record: Path
) -> None:
    if record.is_file():
        return
    run = runtime.setup(seed)
    torch.set_num_threads(1)
    settings = {**PICTURES, "method": name, "steps": steps}
    training, _ = whole(train_cgan(run, train, record.with_suffix(""), settings))
    averaged, noise = training.state["averaged"], torch.Generator().manual_seed(99)
    assert isinstance(averaged, torch.nn.Module)
    scores = reference.score(lambda labels: cgan.sample(averaged, labels, generator=noise))
    record.write_text(json.dumps(by_class(scores)), encoding="utf-8")
    print(name, seed, by_class(scores), flush=True)


def _ship(options: argparse.Namespace) -> None:
    found = newest_generation(options.work)
    if found is None:
        raise CourseError(
            "measure-no-run",
            f"{options.work} holds no checkpoint.",
            "Nothing can be shipped.",
            "Train first: python -m course_utils.train cgan --run-dir DIR",
        )
    config, prefix = found.record["config"], "averaged.module."
    weights = {k.removeprefix(prefix): v for k, v in found.tensors.items() if k.startswith(prefix)}
    facts = {
        **{
            k: config[k]
            for k in ("data", "classes", "size", "latent_dim", "width", "method", "seed")
        },
        "steps": found.step,
        "epochs": round(found.step * config["batch_size"] / config["examples"]),
    }
    made_with = results.provenance()  # before weights are written that are not committed
    content = shipped.write(cgan.SHIPPED, weights, facts).read_bytes()
    network, _ = cgan.load_shipped()
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    reference = ClassReference.from_images(train, test, N, names=NAMES)
    noise = torch.Generator().manual_seed(99)
    result = {
        **facts,
        **_measured_with(train, reference),
        **by_class(reference.score(lambda labels: cgan.sample(network, labels, generator=noise))),
        "file_sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    print(results.write(f"{cgan.SHIPPED}.json", result, made_with))


def _truncation(options: argparse.Namespace) -> None:
    made_with = results.provenance()
    network, facts = cgan.load_shipped()
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    reference = ClassReference.from_images(train, test, N, names=NAMES)

    def scored(network: cgan.Generator, **nearer: float) -> dict[str, Any]:
        drawn = torch.Generator().manual_seed(99)  # as in `_ship`: each row moves the same noise

        def sample(labels: torch.Tensor) -> torch.Tensor:
            noise = torch.randn(len(labels), network.latent_dim, generator=drawn)
            return cgan.sample(network, labels, drawn_nearer(noise, **nearer))

        row = {**nearer, **by_class(reference.score(sample))}
        print(row, flush=True)
        return row

    result = {
        **{k: facts[k] for k in ("steps", "width", "latent_dim", "method")},
        **_measured_with(train, reference),
        "scaled": [scored(network, scale=scale) for scale in SCALES],
        "redrawn": [scored(network, threshold=threshold) for threshold in THRESHOLDS],
        "anew": [{"scale": scale, **scored(cgan.nearer(network, scale))} for scale in SCALES],
    }
    print(results.write("stable_truncation.json", result, made_with))


def drawn_nearer(
    noise: torch.Tensor, scale: float = 1.0, threshold: float = math.inf
) -> torch.Tensor:
    """Standard normal numbers, multiplied; and as if those beyond ± the threshold had been drawn again.

    The second by quantiles, so that each number keeps its place among the others: one that had been drawn again would
    have nothing to do with the one before. Source: Brock et al. 2019, arXiv 1809.11096, section 3.1.
    """
    if math.isfinite(threshold):
        outside = torch.special.ndtr(torch.tensor(-threshold, dtype=torch.float64))
        shares = outside + (1 - 2 * outside) * torch.special.ndtr(noise.double())
        noise = torch.special.ndtri(shares).clamp(-threshold, threshold).to(noise.dtype)
    return scale * noise


def _measured_with(train: ImageSet, reference: ClassReference) -> dict[str, Any]:
    """What all scores of a file depend on, and what real images score."""
    return {
        "data": train.name,
        "classes": train.classes,
        "n": 10 * N,
        "n_of_class": N,
        "draws": len(reference.total.blocks),
        "features": reference.total.network.description,
        "real": by_class(reference.real),
    }


def _over(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and intervals over seeds of what `_record` wrote; of a single seed there is no interval."""

    def of(values: list[float]) -> dict[str, Any]:
        return {
            **(over_seeds(values) if len(values) > 1 else {"value": values[0]}),
            "seeds": values,
        }

    return {
        **{k: of([row["total"][k]["value"] for row in rows]) for k in rows[0]["total"]},
        "accuracy": of([row["accuracy"]["value"] for row in rows]),
        **{
            key: [of(list(values)) for values in zip(*(row[key] for row in rows), strict=True)]
            for key in ("FD_of_class", "accuracy_of_class")
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
