"""How fast this machine computes: two small pieces of the lessons' work, timed once and kept beside the runs.

``python -m course_utils.machine.speed`` prints them as JSON; the build records them with each lesson that it measures.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from course_utils import paths, results, runtime
from course_utils.models.dcgan import make_discriminator
from course_utils.runtime import Runtime

FILE = "machine_speed.json"
_BATCH = 32


@dataclass(frozen=True)
class Speed:
    """What a machine does per second.

    Attributes:
        images: pictures of 32x32 pixels through a training step of lesson 2's discriminator (convolutions).
        products: matrix products (2048, 384) by (384, 1536), those of lesson 4's network.
    """

    images: float
    products: float


def here(run: Runtime, again: bool = False) -> Speed:
    """This machine's speed; measured in 2 to 3 seconds where it was not before, or ``again``.

    Args:
        run: the machine's settings; another tier has the same speed, another device or number format another one.
        again: measure once more, since the machine was busy.
    """
    path, name = paths.runs_dir() / FILE, _name(run)
    known = _read(path)
    if again or name not in known:
        known[name] = asdict(measure(run))
        paths.atomic_write(path, (json.dumps(known, indent=1) + "\n").encode())
    return Speed(**known[name])


def measure(run: Runtime, seconds: float = 0.6) -> Speed:
    """Time both pieces of work, each for about ``seconds``; random generators and threads stay as they are."""
    with torch.random.fork_rng(devices=[]):
        network = make_discriminator(64).float().to(run.device)
        network.to(memory_format=torch.channels_last)
        images = torch.rand(_BATCH, 3, 32, 32, dtype=torch.float32).to(run.device)
        a, b = (torch.rand(shape, dtype=torch.float32).to(run.device) for shape in _PRODUCT)

    def train() -> None:
        with run.autocast():
            loss = F.softplus(network(images)).mean()
        network.zero_grad()
        loss.backward()

    def multiply() -> None:
        with run.autocast(), torch.no_grad():
            a @ b

    threads = torch.get_num_threads()
    torch.set_num_threads(run.threads)  # lesson 1 takes fewer for itself
    try:
        rates = [_per_second(work, seconds, run.device) for work in (train, multiply)]
    finally:
        torch.set_num_threads(threads)
    return Speed(images=_BATCH * rates[0], products=rates[1])


_PRODUCT = ((2048, 384), (384, 1536))


def _per_second(work: Callable[[], None], seconds: float, device: torch.device) -> float:
    """Calls per second, by their median; the first two, in which libraries make themselves ready, do not count."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    taken: list[float] = []
    while len(taken) < 5 or sum(taken[2:]) < seconds:
        start = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - start)
    return 1 / statistics.median(taken[2:])


def _name(run: Runtime) -> str:
    """What the speed depends on, in words; never the machine's own name."""
    machine = f"{os.cpu_count()} cores of {results.processor()}, {runtime.device_name(run.device)}"
    dtype = str(run.autocast_dtype or torch.float32).removeprefix("torch.")
    return f"{machine}, {run.threads} threads, {dtype}, torch {torch.__version__}"


def _read(path: Path) -> dict[str, dict[str, float]]:
    """The speeds that were measured before; what is damaged is measured again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: asdict(Speed(**entry)) for name, entry in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.machine.speed", description=str(__doc__).splitlines()[0]
    )
    parser.parse_args(argv)
    print(json.dumps(asdict(here(runtime.setup(quiet=True)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
