"""Two sides of a benchmark as processes that train in turn, A B A B: what disturbs one disturbs the other."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.evaluation.scores import mean_interval
from course_utils.training.settings import SETTINGS

ROOT = Path(__file__).parents[2]
LAPTOP = {
    "dcgan": {"batch_size": 128, "latent_dim": 100, "width": 64, "images": 50_000, "workers": 2}
    | {"d_lr": 2e-4, "gamma": 0, "average": SETTINGS["dcgan"]["laptop"]["average"]},
    "vae": {"batch_size": 128, "latent_dim": 64, "width": 32, "images": 50_000, "workers": 2},
    "gpt": {
        "batch_size": 16,
        "vocab": 1_024,
        "dim": 128,
        "layers": 4,
        "heads": 4,
        "context": 64,
        "documents": 10_000,
    },
    "bert": {
        "batch_size": 16,
        "max_tokens": 256,
        "keep": "head",
        "learning_rate": 1e-4,
        "reviews": 2_000,
    },
    "flow": {"batch_size": 64, "width": SETTINGS["flow"]["laptop"]["width"], "images": 50_000}
    | {"average": SETTINGS["flow"]["laptop"]["average"], "workers": 2},
}
"""What both sides train with: lesson 02's as the paper has it, without what steadies it; lesson 04's with longer texts;
else the lessons' tier ``laptop``."""


_START = ("-m", "measuring.benchmarks.worker")
_TORCH_FIRST = ("-c", f"import runpy, torch; runpy.run_module({_START[1]!r}, run_name='__main__')")
"""With torch loaded first what the course sets comes too late, so that the environment alone decides."""


class Side:
    """A process that trains when it is told to (see ``worker.py``).

    Args:
        lesson: ``dcgan``, ``vae``, ``gpt``, ``bert`` or ``flow``.
        side: ``textbook`` or ``course``.
        settings: changes to `LAPTOP`; ``data``, ``seed`` and ``steps`` among them.
        bf16: whether the course's side may use bf16 where the machine has it.
        waiting: how threads wait, as variables of the environment; None for what this program has.
    """

    def __init__(
        self,
        lesson: str,
        side: str,
        settings: dict[str, Any],
        bf16: bool = True,
        waiting: Mapping[str, str] | None = None,
    ) -> None:
        chosen = {"seed": 0, "steps": 1_000_000, **LAPTOP[lesson], **settings}
        environment = {**os.environ, "COURSE_TIER": "laptop", "TQDM_DISABLE": "1"}
        if not bf16:
            environment["COURSE_BF16"] = "0"
        if waiting is not None:
            for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"):
                environment.pop(name, None)
            environment |= waiting
        start = _START if waiting is None else _TORCH_FIRST
        command = [sys.executable, *start, lesson, side, json.dumps(chosen)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        self.name = f"{lesson}, {side}"
        self._answer()

    def run(self, seconds: float) -> dict[str, float]:
        """Train for so long; the step that passes the limit is finished. Returns what these steps were."""
        return self._ask(f"run {seconds}")

    def steps(self, count: int) -> dict[str, float]:
        """Train so many steps."""
        return self._ask(f"steps {count}")

    def save(self, path: Path, network: str = "") -> None:
        """Write a network's tensors, by default the trained one."""
        self._ask(f"save {path} {network}".strip())

    def flops(self) -> float:
        """Floating point operations of matrix products and convolutions in the next step, for each example."""
        return self._ask("flops")["flops"]

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait()

    def _ask(self, command: str) -> dict[str, Any]:
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended:\n{self.process.stderr.read()[-2_000:]}")
        return json.loads(line)


def geometric_interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean of the rounds' ratios with its 95 % interval (Student's t on the logarithms)."""
    value, low, high = mean_interval([math.log(r) for r in ratios])
    return math.exp(value), math.exp(low), math.exp(high)
