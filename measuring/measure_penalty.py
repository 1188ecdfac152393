"""Measure what the penalty on the discriminator's slope should be, for lesson 02: six ways at equal time.

``python -m measuring.measure_penalty --data FOLDER --work DIR`` trains each way for three seeds and writes
``data/results/dcgan_penalty.json``. First the cost of a step is measured, all ways in turn; a way that costs twice as
much then gets half the steps. The networks are half as wide as the lesson's, and the runs a little shorter, so that
all of them fit into an hour. Finished runs are kept in DIR and cut ones go on; several programs may share one DIR.
With ``--only WAY`` other ways are left out; ``--so-far`` trains nothing and writes what is finished, with the seeds
that each way has.
With ``--whole`` the networks and the runs are the lesson's own, and three ways with BatchNorm get equal steps
(``dcgan_penalty_whole.json``; two hours of one core).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from course_utils import results, runtime
from course_utils.datasets.images import ImageSet, load_images
from course_utils.evaluation.metrics import RealReference
from course_utils.models import dcgan, gan_steady
from course_utils.training.recipes.dcgan import train_dcgan
from course_utils.training.settings import SETTINGS
from measuring.measure_dcgan import fixed_sampler
from measuring.whole_runs import whole
from measuring.with_intervals import numbers, over_seeds

N = 1_000
SEEDS = (0, 1, 2)
ROUNDS = 40
LESSONS = SETTINGS["dcgan"]["laptop"]
GROUPS = 8


@dataclass(frozen=True)
class Way:
    """A discriminator and what its penalty measures; None: no penalty."""

    words: str
    discriminator: Callable[[int], nn.Module]
    slope: Callable[[nn.Module, Tensor], Tensor] | None
    gamma: float = LESSONS["gamma"]
    costs_as: str = ""
    """The way whose steps cost as much, where it is not measured itself."""


def grouped(width: int) -> nn.Module:
    """The lesson's discriminator with GroupNorm in the place of BatchNorm."""
    network = dcgan.make_discriminator(width)
    layers = [
        nn.GroupNorm(GROUPS, layer.num_features) if isinstance(layer, nn.BatchNorm2d) else layer
        for layer in network
    ]
    return nn.Sequential(*layers).apply(dcgan.init_dcgan_weights)


def spectral(width: int) -> nn.Module:
    """The lesson's discriminator without BatchNorm, the spectral norm of each convolution's weights held at 1."""
    network = dcgan.make_discriminator(width).apply(dcgan.init_dcgan_weights)
    layers = [
        spectral_norm(layer) if isinstance(layer, nn.Conv2d) else layer
        for layer in network
        if not isinstance(layer, nn.BatchNorm2d)
    ]
    return nn.Sequential(*layers)


def lessons(width: int) -> nn.Module:
    """The lesson's discriminator, with BatchNorm."""
    return dcgan.make_discriminator(width).apply(dcgan.init_dcgan_weights)


WAYS = {
    "sum": Way("BatchNorm, gradient of the sum of logits", lessons, gan_steady.slope_of_the_sum),
    "evaluation": Way("BatchNorm, penalty in evaluation mode", lessons, gan_steady.slope),
    "group": Way("GroupNorm", grouped, gan_steady.slope),
    "spectral": Way("spectral norm, no BatchNorm", spectral, gan_steady.slope),
    "none": Way("BatchNorm, no penalty", lessons, None, gamma=0.0),
    "stronger": Way(
        "BatchNorm, penalty in evaluation mode, three times as strong",
        lessons,
        gan_steady.slope,
        gamma=0.3,
        costs_as="evaluation",
    ),
}


@dataclass(frozen=True)
class Comparison:
    """Ways at one size.

    Attributes:
        file: of the result.
        settings: of the training; its steps are those of the first way.
        ways: by name.
        by_time: whether a way whose steps cost more takes fewer of them.
    """

    file: str
    settings: dict[str, Any]
    ways: dict[str, Way]
    by_time: bool


HALF = Comparison("dcgan_penalty.json", LESSONS | {"width": 32, "steps": 1_600}, WAYS, by_time=True)
WHOLE = Comparison(
    "dcgan_penalty_whole.json",
    LESSONS,
    {name: WAYS[name] for name in ("evaluation", "sum", "none")},
    by_time=False,
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_penalty",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", required=True, help="CIFAR-10 as an archive or a folder of class folders"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of runs and records")
    parser.add_argument("--only", choices=tuple(WAYS), action="append", help="train these ways")
    parser.add_argument("--so-far", action="store_true", help="train nothing, write what there is")
    parser.add_argument("--whole", action="store_true", help="at the lesson's own size")
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    comparison = WHOLE if options.whole else HALF
    made_with = results.provenance()
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    reference = RealReference.from_images(train, test, n=N)
    with FileLock(options.work / "costs.lock"):
        costs = _costs(comparison, options.work / "costs.json")
    for seed in SEEDS:
        for name in () if options.so_far else options.only or comparison.ways:
            try:
                with FileLock(options.work / f"{name}-{seed}.lock", timeout=0):
                    _run(comparison, name, seed, costs, train, reference, options.work)
            except Timeout:
                print(f"{name}, seed {seed}: another program is at it", flush=True)
    done = all(
        _record(options.work, name, seed).is_file() for name in comparison.ways for seed in SEEDS
    )
    if done or options.so_far:
        result = _result(comparison, costs, options.work, train, reference)
        print(results.write(comparison.file, result, made_with))
    return 0


def _costs(comparison: Comparison, path: Path) -> dict[str, float]:
    """Seconds of a step, its share of the penalty included, beside those of the first way: the median of many turns.

    Where all take equal steps, nothing is measured and there are none.
    """
    if not comparison.by_time:
        return {}
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    run = runtime.setup(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    steps = {
        name: _stepper(way, run, comparison.settings)
        for name, way in comparison.ways.items()
        if not way.costs_as
    }
    rounds: list[dict[str, float]] = []
    for _ in range(ROUNDS + 1):
        rounds.append({name: step() for name, step in steps.items()})
    first = next(iter(comparison.ways))
    found = {name: statistics.median(r[name] / r[first] for r in rounds[1:]) for name in steps}
    path.write_text(json.dumps(found), encoding="utf-8")
    torch.set_num_threads(threads)
    print(f"costs: {found}", flush=True)
    return found


def _stepper(way: Way, run: runtime.Runtime, settings: dict[str, Any]) -> Callable[[], float]:
    """A function that takes one step, and the penalty apart: seconds of a step with a sixteenth of a penalty."""
    width, batch, dims = (settings[k] for k in ("width", "batch_size", "latent_dim"))
    players = (
        dcgan.make_generator(dims, width).apply(dcgan.init_dcgan_weights),
        way.discriminator(width),
    )
    optimizers = [
        torch.optim.Adam(p.to(memory_format=torch.channels_last).parameters(), 1e-4, fused=True)
        for p in players
    ]
    real = (torch.rand(batch, 3, 32, 32) * 2 - 1).contiguous(memory_format=torch.channels_last)

    def step() -> float:
        start = time.perf_counter()
        dcgan.dcgan_step(*players, *optimizers, real, torch.randn(batch, dims, 1, 1), run.autocast)
        between = time.perf_counter()
        if way.slope is not None:
            gan_steady.penalty_step(players[1], optimizers[1], real, way.gamma, way.slope)
        end = time.perf_counter()
        return between - start + (end - between) / gan_steady.PENALTY_EVERY

    return step


def _run(
    comparison: Comparison,
    name: str,
    seed: int,
    costs: dict[str, float],
    train: ImageSet,
    reference: RealReference,
    work: Path,
) -> None:
    if _record(work, name, seed).is_file():
        return
    way, run = WAYS[name], runtime.setup(seed)
    settings = comparison.settings | {"gamma": way.gamma}
    if costs:
        settings["steps"] = int(round(settings["steps"] / costs[way.costs_as or name], -1))
    discriminator = way.discriminator(settings["width"])
    training, last = whole(
        train_dcgan(
            run,
            train,
            work / f"{name}-{seed}",
            settings,
            discriminator=discriminator,
            slope=way.slope or gan_steady.slope,
        )
    )
    record = {
        "steps": training.step,
        **{
            network: numbers(reference.score(fixed_sampler(training.state[network])))
            for network in ("averaged", "generator")
        },
        "slopes": _slopes(discriminator, dcgan.to_tanh_range(train.images[:64])),
        "last": last,
    }
    _record(work, name, seed).write_text(json.dumps(record), encoding="utf-8")
    print(f"{name}, seed {seed}: {record}", flush=True)


def _slopes(discriminator: nn.Module, real: Tensor) -> dict[str, float]:
    """The same discriminator's slope at the same photographs, measured in three ways (mean squared lengths)."""
    discriminator.train()
    real = real.clone().requires_grad_(True)
    logits = discriminator(real)  # (B,), each of the whole batch under BatchNorm
    own = [
        torch.autograd.grad(logit, real, retain_graph=True)[0][i].square().sum().item()
        for i, logit in enumerate(logits)
    ]
    return {
        "sum": gan_steady.slope_of_the_sum(discriminator, real).item(),
        "own": statistics.mean(own),
        "evaluation": gan_steady.slope(discriminator, real).item(),
    }


def _result(
    comparison: Comparison,
    costs: dict[str, float],
    work: Path,
    train: ImageSet,
    reference: RealReference,
) -> dict[str, Any]:
    records: dict[str, dict[int, Any]] = {
        name: {
            seed: json.loads(_record(work, name, seed).read_text(encoding="utf-8"))
            for seed in SEEDS
            if _record(work, name, seed).is_file()
        }
        for name in comparison.ways
    }
    records = {name: found for name, found in records.items() if found}
    ways: dict[str, Any] = {}
    for name, found in records.items():
        way = WAYS[name]
        row: dict[str, Any] = {
            "words": way.words,
            "gamma": way.gamma,
            **({"cost": costs[way.costs_as or name]} if costs else {}),
            "steps": next(iter(found.values()))["steps"],
        }
        for network in ("averaged", "generator"):
            row[network] = _of_seeds([one[network]["FD"]["value"] for one in found.values()])
        for kind in ("sum", "own", "evaluation"):
            row[f"slope_{kind}"] = _of_seeds([one["slopes"][kind] for one in found.values()])
        ways[name] = row
    return {
        "data": train.name,
        "n": N,
        "draws": len(reference.blocks),
        "features": reference.network.description,
        "floor": reference.floor["FD"].value,
        "settings": comparison.settings,
        **({"groups": GROUPS} if "group" in comparison.ways else {}),
        "ways": ways,
        "differences": {
            f"{a}_above_{b}": _of_seeds(
                [
                    records[a][seed]["averaged"]["FD"]["value"]
                    - records[b][seed]["averaged"]["FD"]["value"]
                    for seed in sorted({*records[a]} & {*records[b]})
                ]
            )
            for a, b in (("evaluation", "sum"), ("none", "evaluation"), ("stronger", "sum"))
            if a in records and b in records
        },
    }


def _of_seeds(values: list[float]) -> dict[str, Any]:
    """Mean and 95 % interval over seeds, and the seeds; of one seed alone there is no interval."""
    if len(values) == 1:
        return {"value": values[0], "seeds": values}
    return {**over_seeds(values), "seeds": values}


def _record(folder: Path, name: str, seed: int) -> Path:
    return folder / f"{name}-{seed}.json"


if __name__ == "__main__":
    raise SystemExit(main())
