"""Training loops of flow matching that go wrong, each in one known way: ``python -m measuring.flow_faults``.

They learn eight Gaussians on a ring, in four classes of two neighbours each. Every loop trains several copies side by
side; each copy gives one history with what it makes, as `course_utils.evaluation.diagnose.diagnose` reads it. How
often each fault is named, and how often a healthy run alarms, goes to ``data/results/flow_faults.json``. About a
minute on one core.
"""

import argparse
import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import results
from course_utils.evaluation.diagnose import diagnose
from course_utils.models.stacked import stacked_mlp

CLASSES = 4
BATCH, STEPS, EVERY, KEPT = 256, 1_000, 20, 16
LEFT_OUT = 0.1
"""Share of the labels that are hidden in training."""
HEALTHY, SEEDS = 10, 5


@dataclass(frozen=True)
class Loop:
    """A training and a walk: what is wrong with it.

    Attributes:
        backwards: the path has the data at t = 0; the walk begins at t = 0 with noise all the same.
        sign: of the target.
        scale: of the data; 127.5 and a shift make bytes of [-1, 1].
        one_time: one t for the whole batch.
        short: steps that the walk leaves out at its end.
        guidance: of the walk, in the convention where 1 is the class alone; None for the conditional network.
        rate: of Adam.
        blind: the label is always left out.
        heun: the walk asks twice in each step.
        calls: of the walk.
    """

    backwards: bool = False
    sign: float = 1.0
    scale: float = 1.0
    one_time: bool = False
    short: int = 0
    guidance: float | None = None
    rate: float = 3e-3
    blind: bool = False
    heun: bool = False
    calls: int = 16


FAULTS: Mapping[str, Loop] = {
    "time reversed": Loop(backwards=True),
    "velocity turned round": Loop(sign=-1.0),
    "data not in [-1, 1]": Loop(scale=127.5),
    "last step missing": Loop(short=1),
    "guided past the class": Loop(guidance=2.0),  # scale 1 in the formula that counts from 0
    "one time for the batch": Loop(one_time=True),
    "label without effect": Loop(blind=True),
    "nothing learned": Loop(rate=0.0),
}
"""Name of what `diagnose` must find -> the loop that makes it."""

WELL: Mapping[str, Loop] = {
    "euler": Loop(),
    "heun": Loop(heun=True),
    "guided at scale 1": Loop(guidance=1.0),
    "few calls": Loop(calls=8),
    "slow": Loop(rate=5e-4),
}
"""Healthy loops."""


def draw(copies: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Data (copies, count, 2) in [-1, 1] and their classes (copies, count)."""
    cluster = torch.randint(8, (copies, count), generator=generator)
    angle = cluster * (math.pi / 4)
    centre = 0.9 * torch.stack([angle.cos(), angle.sin()], -1)
    return centre + 0.1 * torch.randn(copies, count, 2, generator=generator), cluster // 2


def ask(network: nn.Module, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
    """Velocities (copies, B, 2) at points (copies, B, 2), times and classes (copies, B); ``CLASSES`` is no label."""
    waves = [f(k * math.pi / 2 * t)[..., None] for k in (1, 2, 4) for f in (torch.sin, torch.cos)]
    return network(torch.cat([x, *waves, F.one_hot(label, CLASSES + 1).to(x)], -1))


def record(loop: Loop, copies: int, seed: int = 0, steps: int = STEPS) -> list[dict[str, Any]]:
    """Train, walk, and return a history for each copy.

    Rows every ``EVERY`` steps and at the first hold ``step`` and lists of ``KEPT`` examples' ``loss`` and ``t``.
    """
    generator = torch.Generator().manual_seed(seed)
    network = stacked_mlp([2 + 6 + CLASSES + 1, 64, 64, 64, 2], copies, seed + 1, nn.SiLU)
    optimizer = torch.optim.Adam(network.parameters(), lr=loop.rate)
    rows: list[tuple[int, Tensor, Tensor]] = []
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = loop.rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        data, label = draw(copies, BATCH, generator)
        data = loop.scale * data + (loop.scale if loop.scale != 1 else 0)
        noise = torch.randn(data.shape, generator=generator)
        t = torch.rand(label.shape, generator=generator)
        t = t[:, :1].expand_as(t) if loop.one_time else t
        hidden = torch.rand(label.shape, generator=generator) < (1 if loop.blind else LEFT_OUT)
        at = 1 - t[..., None] if loop.backwards else t[..., None]
        came = ask(network, (1 - at) * noise + at * data, t, label.masked_fill(hidden, CLASSES))
        each = (came - loop.sign * (data - noise)).square().mean(-1)  # (copies, BATCH)
        optimizer.zero_grad()
        each.mean().backward()
        optimizer.step()
        if step == 1 or step % EVERY == 0:
            rows.append((step, each.detach()[:, :KEPT], t[:, :KEPT]))
    return _histories(loop, network, rows, copies, generator)


def _histories(
    loop: Loop,
    network: nn.Module,
    rows: Sequence[tuple[int, Tensor, Tensor]],
    copies: int,
    generator: torch.Generator,
) -> list[dict[str, Any]]:
    data, data_labels = draw(copies, 400, generator)
    data = loop.scale * data + (loop.scale if loop.scale != 1 else 0)
    labels = torch.arange(400).remainder(CLASSES).expand(copies, -1)
    samples, asked = walk(loop, network, torch.randn(data.shape, generator=generator), labels)
    return [
        {
            "step": [step for step, _, _ in rows],
            "loss": [loss[k].tolist() for _, loss, _ in rows],
            "t": [t[k].tolist() for _, _, t in rows],
            "data": data[k].numpy(),
            "data_labels": data_labels[k].numpy(),
            "samples": samples[k].numpy(),
            "labels": labels[k].numpy(),
            "asked": asked,
        }
        for k in range(copies)
    ]


@torch.no_grad()
def walk(loop: Loop, network: nn.Module, x: Tensor, label: Tensor) -> tuple[Tensor, list[float]]:
    """From noise (copies, B, 2) to samples, and the times at which velocities were asked for."""
    asked: list[float] = []

    def velocity(x: Tensor, time: float) -> Tensor:
        asked.append(time)
        t = torch.full(label.shape, time)
        came = ask(network, x, t, label)
        if loop.guidance is None:
            return came
        without = ask(network, x, t, torch.full_like(label, CLASSES))
        return without + loop.guidance * (came - without)

    steps = loop.calls // 2 if loop.heun else loop.calls
    for i in range(steps - loop.short):
        slope = velocity(x, i / steps)
        if loop.heun:
            slope = (slope + velocity(x + slope / steps, (i + 1) / steps)) / 2
        x = x + slope / steps
    return x, asked


def measure(healthy: int = HEALTHY, seeds: int = SEEDS) -> dict[str, Any]:
    """How often each fault is named by its own name, and by which others; and the alarms of healthy runs."""
    found: dict[str, Any] = {"healthy": {}, "faults": {}}
    for kind, loops, copies in (("healthy", WELL, healthy), ("faults", FAULTS, seeds)):
        for number, (name, loop) in enumerate(loops.items()):
            names = [[f.name for f in diagnose(h)] for h in record(loop, copies, 100 * number)]
            own = "healthy" if kind == "healthy" else name
            others = sorted({other for each in names for other in each} - {own})
            named = sum(own in each for each in names)
            found[kind][name] = {"named": named, "runs": copies, "others": others}
            print(f"{kind}: {name}: {named} of {copies} {others}", flush=True)
    found["alarms"] = sum(row["runs"] - row["named"] for row in found["healthy"].values())
    found["healthy_runs"] = sum(row["runs"] for row in found["healthy"].values())
    found["named"] = sum(row["named"] for row in found["faults"].values())
    found["fault_runs"] = sum(row["runs"] for row in found["faults"].values())
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.flow_faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(argv)
    torch.set_num_threads(1)
    made_with = results.provenance()
    facts = {"steps": STEPS, "seed": 0, "date": str(datetime.date.today())}
    results.write("flow_faults.json", measure() | facts, made_with)


if __name__ == "__main__":
    main()
