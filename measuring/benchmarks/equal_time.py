"""Quality at equal time: lesson 02's DCGAN and the textbook loop, each so many minutes on the same cores, in turn.

``python -m measuring.benchmarks.equal_time --data FOLDER --work DIR`` writes ``dcgan_equal_time.json``: the
Fréchet distance against minutes for three seeds of both. Both sides train in slices of a few seconds, A B A B, and a
side's clock runs only while it trains. Their snapshots are scored afterwards; a finished seed is kept in DIR.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from course_utils import results
from course_utils.datasets.images import load_images
from course_utils.evaluation.metrics import RealReference
from course_utils.training.settings import SETTINGS
from measuring.benchmarks.quality import generator_fd
from measuring.benchmarks.sides import LAPTOP, Side
from measuring.with_intervals import over_seeds

SEEDS = (0, 1, 2)
MINUTES = (0.5, 1, 2, 3, 4, 5, 6, 7, 8)
N = 1_000
COURSE = SETTINGS["dcgan"]["laptop"] | {"average": 0.998}
"""The lesson's settings, with a memory for a run three times as long."""
SIDES = {"textbook": ("generator",), "course": ("averaged", "generator")}
"""The networks of each side that are scored; the first is what that side shows."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.benchmarks.equal_time",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", required=True, help="CIFAR-10 as an archive or a folder of class folders"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for snapshots")
    parser.add_argument("--slice", type=float, default=10, help="seconds of one turn")
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        if not _record(options.work, seed).is_file():
            _train(seed, options)
    _write(options)
    return 0


def _train(seed: int, options: argparse.Namespace) -> None:
    own = {"textbook": LAPTOP["dcgan"], "course": COURSE | {"steps": 1_000_000}}
    sides = {
        name: Side("dcgan", name, {**own[name], "data": options.data, "seed": seed})
        for name in SIDES
    }
    clock: dict[str, float] = dict.fromkeys(sides, 0.0)
    rows: list[dict[str, Any]] = []
    made_with = results.provenance()
    for minute in MINUTES:
        row: dict[str, Any] = {"minutes": minute}
        while any(60 * minute - seconds > 0.5 for seconds in clock.values()):
            for name, side in sides.items():
                left = 60 * minute - clock[name]
                if left > 0.5:
                    done = side.run(min(left, options.slice))
                    clock[name], row[name] = done["all_seconds"], done["all_steps"]
        for name, side in sides.items():
            for network in SIDES[name]:
                side.save(_snapshot(options.work, seed, minute, name, network), network)
        rows.append(row)
        print(f"seed {seed}: {row}", flush=True)
    for side in sides.values():
        side.close()
    _record(options.work, seed).write_text(
        json.dumps({"rows": rows, **made_with}), encoding="utf-8"
    )


def _write(options: argparse.Namespace) -> None:
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    reference = RealReference.from_images(train, test, n=N)
    records = {
        seed: json.loads(_record(options.work, seed).read_text(encoding="utf-8")) for seed in SEEDS
    }
    curves = []
    for number, minute in enumerate(MINUTES):
        point: dict[str, Any] = {"minutes": minute}
        for side, networks in SIDES.items():
            point[f"{side}_steps"] = [records[seed]["rows"][number][side] for seed in SEEDS]
            for network in networks:
                found = [
                    _fd(reference, _snapshot(options.work, seed, minute, side, network))
                    for seed in SEEDS
                ]
                point[f"{side}_{network}"] = {**over_seeds(found), "seeds": found}
        curves.append(point)
        print(point, flush=True)
    last = curves[-1]
    pairs = zip(last["course_averaged"]["seeds"], last["textbook_generator"]["seeds"], strict=True)
    result = {
        "data": train.name,
        "n": N,
        "draws": len(reference.blocks),
        "features": reference.network.description,
        "floor": reference.floor["FD"].value,
        "settings": {"textbook": LAPTOP["dcgan"], "course": COURSE},
        "curves": curves,
        "ratio": over_seeds([course / textbook for course, textbook in pairs]),
    }
    made_with = {name: records[SEEDS[0]][name] for name in ("commit", "machine", "versions")}
    print(results.write("dcgan_equal_time.json", result, made_with))


def _fd(reference: RealReference, path: Path) -> float:
    return generator_fd(reference, torch.load(path, weights_only=True))


def _record(folder: Path, seed: int) -> Path:
    return folder / f"seed-{seed}.json"


def _snapshot(folder: Path, seed: int, minute: float, side: str, network: str) -> Path:
    return folder / f"seed-{seed}-{minute}-{side}-{network}.pt"


if __name__ == "__main__":
    raise SystemExit(main())
