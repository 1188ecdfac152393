"""One side of a benchmark in a process of its own: it trains for as long as it is told to, then waits.

    worker.py LESSON textbook|course SETTINGS_AS_JSON

Commands on stdin: ``run SECONDS``, ``steps COUNT``, ``save FILE [NETWORK]``, ``flops``; each answer is one line of JSON
on stdout. What the course's side runs is ``course_utils.train`` itself, stopped where it logs a step.
"""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils import runtime, train
from course_utils.datasets import texts
from course_utils.training.run import TrainingRun

NETWORKS = {"dcgan": "generator", "vae": "vae", "gpt": "gpt", "bert": "model", "flow": "network"}
FOREVER = 1_000_000_000


class Gate:
    """Where a training loop waits between two commands.

    Args:
        network: the name in ``state`` of what ``save`` writes.
        state: the networks, filled by the loop.
    """

    def __init__(self, network: str, state: dict[str, Any]) -> None:
        self.network, self.state, self.out = network, state, sys.stdout
        self.steps = self.examples = 0
        self.seconds, self.counter = 0.0, None

    def wait(self) -> None:
        """The loop is about to start: say so, and wait for the first command."""
        self._tell(ready=True)
        self._read()

    def passed(self, loss: float, examples: int) -> None:
        """The loop has done one step; returns when it may do the next."""
        now = time.perf_counter()
        self.steps, self.examples = self.steps + 1, self.examples + examples
        self.losses.append(loss)
        if self.counter is not None:
            self.counter.__exit__(None, None, None)
            self._tell(flops=self.counter.get_total_flops() / examples)
            self.counter = None
        elif self.steps >= self.last_step or now >= self.until:
            self.seconds += now - self.started
            steps, seen = self.before
            self._tell(
                steps=self.steps - steps,
                examples=self.examples - seen,
                seconds=now - self.started,
                all_steps=self.steps,
                all_examples=self.examples,
                all_seconds=self.seconds,
                loss=sum(self.losses) / len(self.losses),
                peak_mib=_peak_mib(),
            )
        else:
            return
        self._read()

    def _read(self) -> None:
        for line in sys.stdin:
            command, *values = line.split()
            if command == "save":
                network: nn.Module = self.state[values[1] if len(values) > 1 else self.network]
                torch.save(network.state_dict(), values[0])
                self._tell(saved=values[0])
                continue
            self.before, self.losses = (self.steps, self.examples), []
            self.until, self.last_step = float("inf"), FOREVER
            if command == "flops":
                self.counter = FlopCounterMode(display=False)
                self.counter.__enter__()
            elif command == "steps":
                self.last_step = self.steps + int(values[0])
            self.started = time.perf_counter()
            if command == "run":
                self.until = self.started + float(values[0])
            return
        raise SystemExit

    def _tell(self, **answer: Any) -> None:
        print(json.dumps(answer), file=self.out, flush=True)


def main(lesson: str, side: str, settings: dict[str, Any]) -> None:
    """Load the data, then train between commands until stdin ends."""
    gate = Gate(NETWORKS[lesson], {})
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:
        run = runtime.setup(settings["seed"])
        data = train.LESSONS[lesson].load(settings.get("data"), settings)
        if side == "course":
            _course(lesson, gate, run, data, Path(folder), settings)
            return
        torch.set_flush_denormal(False)  # the course's setting, which tutorials do not know of
        steps = _textbook(lesson, gate, data, settings)
        gate.wait()
        for step in steps:
            gate.passed(step["loss"], step["examples"])


def _course(
    lesson: str, gate: Gate, run: runtime.Runtime, data: Any, folder: Path, settings: dict[str, Any]
) -> None:
    log = TrainingRun.log

    def log_and_wait(self: TrainingRun, **values: float) -> None:
        log(self, **values)
        gate.state.update(self.state)
        loss = (
            values["nll"] + values["kl"]
            if lesson == "vae"
            else values["d_loss" if lesson == "dcgan" else "loss"]
        )
        start = self.step % -(-self.examples // self.batch_size) * self.batch_size
        gate.passed(loss, min(self.batch_size, self.examples - start))

    TrainingRun.log = log_and_wait
    gate.wait()
    train.LESSONS[lesson].train(run, data, folder, settings)


def _textbook(
    lesson: str, gate: Gate, data: Any, settings: dict[str, Any]
) -> Iterator[dict[str, float]]:
    if lesson == "dcgan":
        from measuring.benchmarks import textbook_dcgan

        return textbook_dcgan.train(data.images, settings, gate.state)
    if lesson == "vae":
        from measuring.benchmarks import textbook_vae

        return textbook_vae.train(data.images, settings, gate.state)
    if lesson == "flow":
        from measuring.benchmarks import textbook_flow

        return textbook_flow.train(data, settings, gate.state)
    if lesson == "gpt":
        from measuring.benchmarks import textbook_gpt

        return textbook_gpt.train(_stream(data, settings), settings, gate.state)
    from course_utils.models.pretrained import load_encoder
    from measuring.benchmarks import textbook_bert

    encoder = load_encoder(None, tier=runtime.tier(), texts=data.texts, seed=settings["seed"])
    return textbook_bert.train(encoder, data, settings, gate.state)


def _stream(corpus: texts.Corpus, settings: dict[str, Any]) -> Tensor:
    """The tokens of the course's side, as one text."""
    from course_utils.models.gpt_training import TOKENIZER_TEXTS

    tokenizer = texts.train_tokenizer(corpus.train[:TOKENIZER_TEXTS], settings["vocab"])
    return torch.tensor([token for ids in texts.encode(tokenizer, corpus.train) for token in ids])


def _peak_mib() -> int | None:
    """The most memory that this process has held; workers of a DataLoader are not counted."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
