"""The surroundings of a plain training loop: order of the data, history, progress, checkpoints, exact resume, guards.

The loop itself stays in the lesson:

    training = TrainingRun(folder, state={...}, config={...}, steps=1000, examples=len(images), batch_size=128)
    for index in training.batches():              # (B,) int64; goes on where a cut run stopped
        losses = dcgan_step(..., images[index], ...)
        training.log(**losses)
"""

import hashlib
import json
import math
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from course_utils.checkpoints import newest_generation, save_generation, weights_digest
from course_utils.errors import CourseError
from course_utils.paths import runs_dir

State = Mapping[str, nn.Module | torch.optim.Optimizer]


def run_folder(name: str, config: Mapping[str, Any], state: State) -> Path:
    """The folder of a run, one for each set of settings and network shapes: changed settings start a new run."""
    shapes = {
        key: [[n, list(t.shape)] for n, t in part.state_dict().items()]
        for key, part in state.items()
        if isinstance(part, nn.Module)
    }
    text = json.dumps([config, shapes], sort_keys=True)
    return runs_dir() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def permutation(seed: int, epoch: int, examples: int) -> Tensor:
    """The order of the examples in one epoch: (examples,) int64, a function of seed and epoch alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(examples, generator=generator)


class TrainingRun:
    """One training run in one folder. Interrupt it, kill it, run the cell again: it goes on where it was saved.

    Args:
        folder: where its checkpoints live.
        state: the networks and optimisers that training changes.
        config: the settings that define this run; a run is never resumed under other settings.
        steps: optimisation steps in all. A larger number than last time goes on from there.
        examples: number of training examples.
        batch_size: examples a step; the last batch of an epoch may be smaller.
        seed: order of the data.
        save_every: steps between checkpoints; default a tenth of the run.
        fresh: start again; the old checkpoints are moved to ``folder/previous``.

    Attributes:
        step: steps taken so far.
        history: one list for each logged name, and ``step``.

    Raises:
        CourseError: the folder holds a run with other settings.
    """

    def __init__(
        self,
        folder: Path,
        *,
        state: State,
        config: Mapping[str, Any],
        steps: int,
        examples: int,
        batch_size: int,
        seed: int = 0,
        save_every: int | None = None,
        fresh: bool = False,
    ) -> None:
        self.folder, self.state, self.steps = Path(folder), state, steps
        self.config = json.loads(json.dumps({**config, "examples": examples, "batch_size": batch_size, "seed": seed}))
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.save_every = save_every or max(1, steps // 10)
        self.step, self.seconds, self.history = 0, 0.0, {"step": []}
        self.resumed_at: int | None = None
        if fresh:
            _set_aside(self.folder)
        self._resume()

    @property
    def finished(self) -> bool:
        """Whether all steps have been taken."""
        return self.step >= self.steps

    @property
    def weights_sha256(self) -> str:
        """Digest of all networks' parameters and buffers."""
        return weights_digest({k: v for k, v in self.state.items() if isinstance(v, nn.Module)})

    def batches(self) -> Iterator[Tensor]:
        """Yield the indices (B,) of each step's examples, with a progress bar; save on the way and at the end.

        The first interrupt (the stop button, Ctrl-C) saves and ends the loop; a second one stops at once.
        """
        start, taken, saved_at = time.monotonic() - self.seconds, self.step, self.step
        bar = tqdm(total=self.steps, initial=self.step, desc="training", unit="step", file=_stream(), mininterval=0.5)
        with bar, _Interrupt() as interrupt:
            while self.step < self.steps and not interrupt.asked:
                yield self._indices()
                self.step += 1
                self.seconds = time.monotonic() - start
                bar.update()
                if self.step - saved_at >= self.save_every and self.step < self.steps and self._try_to_save():
                    saved_at = self.step
        if self.step > taken:
            self.save()
        if interrupt.asked:
            print(f"Interrupted and saved at step {self.step} of {self.steps}. Run the cell again to go on.")

    def log(self, **values: float) -> None:
        """Add one row to the history.

        Raises:
            CourseError: a value is NaN or infinite (``training-not-finite``); the row is kept in the history.
        """
        self.history["step"].append(self.step)
        for name, value in values.items():
            self.history.setdefault(name, []).append(float(value))
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise CourseError(
                "training-not-finite",
                f"{' and '.join(bad)} became {values[bad[0]]} at step {self.step} (epoch {self._epoch()}).",
                "A loss that is not a finite number destroys every weight it reaches. "
                f"The last checkpoint in {self.folder} is from before and is intact.",
                "Lower the learning rate, or set COURSE_BF16=0, and start again with fresh=True.",
            )

    def save(self) -> None:
        """Save the whole state now.

        Raises:
            CourseError: the disk is full or the folder cannot be written to; older checkpoints are intact.
        """
        tensors, optimizers = _pack(self.state)
        record = {
            "config": self.config,
            "history": self.history,
            "seconds": self.seconds,
            "optimizers": optimizers,
            "python_rng": random.getstate(),
            "numpy_rng": [x.tolist() if isinstance(x, np.ndarray) else x for x in np.random.get_state()],
        }
        save_generation(self.folder, self.step, tensors, record)

    def _try_to_save(self) -> bool:
        try:
            self.save()
        except CourseError as error:
            print(f"\nNot saved at step {self.step}; training goes on. {error}")
            return False
        return True

    def _resume(self) -> None:
        found = newest_generation(self.folder)
        if found is None:
            return
        for reason in found.skipped:
            print(f"Skipped a checkpoint: {reason}.")
        if found.record["config"] != self.config:
            raise _other_settings(self.folder, found.record["config"], self.config)
        _unpack(self.state, found.tensors, found.record["optimizers"])
        version, numbers, gauss = found.record["python_rng"]
        random.setstate((version, tuple(numbers), gauss))
        np.random.set_state(tuple(found.record["numpy_rng"]))
        self.step, self.seconds, self.history = found.step, found.record["seconds"], found.record["history"]
        self.resumed_at = found.step
        told = "finished: its result is shown" if self.finished else f"goes on at step {self.step} of {self.steps}"
        print(f"Found a run with these settings in {self.folder.name}: {told}. To start again: fresh=True.")

    def _epoch(self) -> int:
        return self.step // math.ceil(self.examples / self.batch_size)

    def _indices(self) -> Tensor:
        per_epoch = math.ceil(self.examples / self.batch_size)
        epoch, batch = divmod(self.step, per_epoch)
        if getattr(self, "_order_of", None) != epoch:
            self._order, self._order_of = permutation(self.seed, epoch, self.examples), epoch
        return self._order[batch * self.batch_size : (batch + 1) * self.batch_size]


class _Interrupt:
    """Within this block the first interrupt only sets ``asked``; the second one raises KeyboardInterrupt."""

    def __enter__(self) -> "_Interrupt":
        self.asked = False
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def _pack(state: State) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors under flat names, and what remains of the optimisers as JSON."""
    tensors = {"rng.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"rng.cuda.{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    optimizers: dict[str, Any] = {}
    for name, part in state.items():
        content = part.state_dict()
        if isinstance(part, nn.Module):
            tensors |= {f"{name}.{key}": value for key, value in content.items()}
            continue
        scalars: dict[str, dict[str, Any]] = {}
        for number, values in content["state"].items():
            for key, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"{name}.{number}.{key}"] = value
                else:
                    scalars.setdefault(str(number), {})[key] = value
        optimizers[name] = {"groups": content["param_groups"], "scalars": scalars}
    return tensors, optimizers


def _unpack(state: State, tensors: Mapping[str, Tensor], optimizers: Mapping[str, Any]) -> None:
    """Put a packed state back. Missing or surplus names are errors of the networks' own ``load_state_dict``."""
    for name, part in state.items():
        own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        if isinstance(part, nn.Module):
            part.load_state_dict(own)
            continue
        saved = optimizers[name]
        values: dict[int, dict[str, Any]] = {int(n): dict(v) for n, v in saved["scalars"].items()}
        for key, value in own.items():
            number, field = key.split(".", 1)
            values.setdefault(int(number), {})[field] = value
        part.load_state_dict({"state": values, "param_groups": saved["groups"]})
        _keep_layout(part)
    torch.set_rng_state(tensors["rng.cpu"])
    if torch.cuda.is_available() and "rng.cuda.0" in tensors:
        torch.cuda.set_rng_state_all([tensors[f"rng.cuda.{i}"] for i in range(torch.cuda.device_count())])


def _keep_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give moments their parameter's memory layout: the same sums in another order would end in other last bits."""
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _set_aside(folder: Path) -> None:
    generations = list(folder.glob("step-*"))
    if generations:
        shutil.rmtree(folder / "previous", ignore_errors=True)
        (folder / "previous").mkdir()
        for path in generations:
            path.rename(folder / "previous" / path.name)


def _other_settings(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> CourseError:
    changed = [f"{k}: {old.get(k)!r} -> {new.get(k)!r}" for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
    return CourseError(
        "training-other-settings",
        f"{folder} holds a run with other settings ({'; '.join(changed)}).",
        "Going on with it would mix two experiments.",
        "Use another folder (--run-dir), restore the settings, or start again with fresh=True (--fresh).",
    )


def _stream() -> Any:
    """A notebook shows stderr in red, so the bar goes to stdout there; a program keeps stdout for its result."""
    return sys.stdout if "ipykernel" in sys.modules else sys.stderr
