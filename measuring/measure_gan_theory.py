"""Measure what lesson 01 quotes: ``python -m measuring.measure_gan_theory [NAME ...] [--data FOLDER]``.

NAME is one of optimum, losses, collapse, traces and dcgan; each fills ``data/results/gan_NAME.json``. The experiments
are the lesson's own functions, loaded from its source with the solutions, with ten repetitions. The failures of
``gan_traces.json`` are those of `measuring.gan_faults`. ``dcgan`` records a healthy run of lesson 02's
network on the images that ``--data`` names. About six minutes on two cores, and five more for ``dcgan``.
"""

import argparse
import datetime
import math
import time
from collections.abc import Callable, Sequence
from statistics import fmean, median
from types import ModuleType
from typing import Any

import torch

from course_utils import results, runtime
from course_utils.authoring.lessons import load_definitions
from course_utils.datasets.images import load_images
from course_utils.evaluation.scores import mean_interval
from course_utils.models import dcgan
from course_utils.models.stacked import stacked_mlp
from measuring.gan_faults import Loop, record

COPIES = 10


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_gan_theory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        nargs="*",
        help=f"some of {', '.join(MEASUREMENTS)}; default all that need no images",
    )
    parser.add_argument(
        "--data", help="folder of images for dcgan, as course_utils.datasets.images reads it"
    )
    options = parser.parse_args(argv)
    if unknown := set(options.what) - set(MEASUREMENTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)  # matrices this small are computed faster by one thread
    for what in options.what or [name for name in MEASUREMENTS if name != "dcgan" or options.data]:
        runtime.setup(seed=0, quiet=True)
        started = time.perf_counter()
        measured = MEASUREMENTS[what](load_definitions("01_gan_theory"), options.data)
        facts = {
            "seed": 0,
            "date": str(datetime.date.today()),
            "seconds": round(time.perf_counter() - started, 1),
        }
        results.write(f"gan_{what}.json", measured | facts)
        print(f"gan_{what}.json: {facts['seconds']} s", flush=True)


def measure_optimum(lesson: ModuleType, _: str | None) -> dict[str, Any]:
    """How far discriminators trained on samples end up from D*: mean |D - D*| under the mixture."""
    steps = 1_500
    discriminator = stacked_mlp([1, 64, 64, 1], COPIES, activation=lesson.leaky)
    lesson.train_discriminator(discriminator, steps, COPIES, 512, 1)
    grid = torch.linspace(-6, 6, 1201)
    with torch.no_grad():
        trained = discriminator(grid.view(1, -1, 1).expand(COPIES, -1, 1)).sigmoid().squeeze(-1)
    p, q = lesson.p_data(grid), lesson.p_g(grid)
    error = ((trained - lesson.optimal_discriminator(p, q)).abs() * (p + q) / 2).sum(1) * 0.01
    values = error.tolist()
    return {
        "steps": steps,
        "copies": COPIES,
        "error": {"mean": fmean(values), "max": max(values), "values": values},
    }


def measure_losses(lesson: ModuleType, _: str | None) -> dict[str, Any]:
    """Steps until the mean of the fakes is near the target, for both losses and both optimisers."""
    steps = 3_000

    def sgd(network: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(network.parameters(), lr=0.005 * COPIES)

    measured: dict[str, Any] = {"steps": steps, "copies": COPIES}
    for name, make in (("sgd", sgd), ("adam", lesson.adam)):
        measured[name] = {}
        for loss in ("minimax", "non-saturating"):
            steps_taken = lesson.arrival(
                lesson.race(loss == "minimax", COPIES, steps, make)
            ).tolist()
            measured[name][loss] = {
                "median": median(steps_taken),
                "low": min(steps_taken),
                "high": max(steps_taken),
                "values": steps_taken,
            }
    return measured


def measure_collapse(lesson: ModuleType, _: str | None) -> dict[str, Any]:
    """Modes, high-quality samples and reverse KL on the ring, with 95 % intervals of the mean over the repetitions."""
    steps = 2_000
    rates = {name.split()[-1]: rate for name, rate in lesson.G_RATES.items()}
    settings: dict[str, tuple[Callable[[int], torch.nn.Module], float]] = {
        "faster": (lesson.make_judge, rates["faster"]),
        "equal": (lesson.make_judge, rates["rates"]),
        "slower": (lesson.make_judge, rates["slower"]),
        "spread": (lesson.make_spread_judge, rates["slower"]),
        "spread_faster": (lesson.make_spread_judge, rates["faster"]),
    }
    measured: dict[str, Any] = {"steps": steps, "copies": COPIES, "d_lr": lesson.D_RATE}
    for name, (make_judge, g_lr) in settings.items():
        samples, history = lesson.play_ring(make_judge(COPIES), g_lr, steps, COPIES)
        measured[name] = {
            "g_lr": g_lr,
            **_scores(lesson, samples),
            "d_loss_of_the_first": fmean(history["d_loss"][-25:]),
        }
        print(name, measured[name]["modes"]["text"], measured[name]["good"]["text"], flush=True)
    torch.manual_seed(0)
    measured["data"] = _scores(lesson, lesson.draw_ring(COPIES, 2_500))
    return measured


def _scores(lesson: ModuleType, samples: torch.Tensor) -> dict[str, Any]:
    names, formats = ("modes", "good", "reverse_kl"), (".1f", ".2f", ".2f")
    scores = lesson.score_ring(samples)
    return {n: interval(s.tolist(), f) for n, s, f in zip(names, scores, formats, strict=True)}


def interval(values: Sequence[float], spec: str) -> dict[str, Any]:
    """Mean and 95 % interval of the mean (Student's t), as numbers and as text."""
    mean, low, _ = mean_interval(list(values))
    half = mean - low
    return {
        "mean": mean,
        "half_width": half,
        "values": [round(v, 5) for v in values],
        "text": f"{mean:{spec}} ± {half:{spec}}",
    }


def measure_traces(lesson: ModuleType, _: str | None) -> dict[str, Any]:
    """Histories of every failure and of healthy runs, and the table of the 1-D toy."""
    toy, traces = {"steps": 1_500}, {}
    for name, loop in TRACES.items():
        copies = 10 if name.startswith("healthy") else 5
        histories = record(loop, copies, 1_500, every=20)
        traces[name] = [_compact(h) for h in histories]
        if name in TOY:
            toy[TOY[name]] = {k: fmean(fmean(h[k][-20:]) for h in histories) for k in TOY_COLUMNS}
    return {"toy": toy, "every": 20, "traces": traces}


def measure_dcgan(lesson: ModuleType, data: str | None) -> dict[str, Any]:
    """The history of a small DCGAN on images: healthy, with a discriminator that is well ahead."""
    images = load_images(data, split="train", limit=8_000)
    players = dcgan.make_generator(width=16), dcgan.make_discriminator(width=16)
    optimizers = [
        torch.optim.Adam(p.apply(dcgan.init_dcgan_weights).parameters(), 2e-4, (0.5, 0.999))
        for p in players
    ]
    rows = []
    for step in range(1, 801):
        real = dcgan.to_tanh_range(images.images[torch.randint(len(images), (64,))])
        rows.append(
            {
                "step": step,
                **dcgan.dcgan_step(*players, *optimizers, real, torch.randn(64, 100, 1, 1)),
            }
        )
    history = _compact({name: [float(row[name]) for row in rows] for name in rows[0]})
    return {"data": images.name, "width": 16, "batch_size": 64, "history": history}


def _compact(history: dict[str, list[float]]) -> dict[str, list[float | None]]:
    """Three decimals, whole steps, None for what is not finite; without the coordinates, which only the table needs."""
    kept = {k: v for k, v in history.items() if k not in ("mean", "std")}
    return {
        k: [int(x) if k == "step" else round(x, 3) if math.isfinite(x) else None for x in v]
        for k, v in kept.items()
    }


TRACES = {
    "healthy line": Loop(),
    "healthy ring": Loop("ring", d_lr=2e-3),
    "healthy saturating": Loop(step="saturating"),
    "generator trained to be caught": Loop(step="caught"),
    "false equilibrium: no detach": Loop(step="no_detach"),
    "false equilibrium: stale gradients": Loop(step="stale"),
    "false equilibrium: joint loss": Loop(step="joint"),
    "discriminator wins": Loop("ring", g_lr=1e-6, d_lr=2e-3),
    "generator ahead": Loop("ring", d_lr=1e-7),
    "oscillation": Loop(beta1=0.97, g_lr=3e-3, d_lr=3e-3),
    "not a number": Loop(step="unstable", g_lr=1e-6, d_lr=0.3),
    "collapse": Loop("ring", d_lr=1e-4),
}
"""Name of what `diagnose` must find -> the loop that makes it."""
TOY = {
    "healthy line": "right",
    "generator trained to be caught": "caught",
    "false equilibrium: no detach": "no_detach",
    "false equilibrium: stale gradients": "stale",
    "false equilibrium: joint loss": "joint",
}
"""Loops that the lesson's table shows."""
TOY_COLUMNS = ("mean", "std", "d_real", "d_fake", "d_loss", "g_loss")


MEASUREMENTS: dict[str, Callable[[ModuleType, str | None], dict[str, Any]]] = {
    "optimum": measure_optimum,
    "losses": measure_losses,
    "collapse": measure_collapse,
    "traces": measure_traces,
    "dcgan": measure_dcgan,
}
"""Name of the results file (gan_NAME.json) -> what fills it."""


if __name__ == "__main__":
    main()
