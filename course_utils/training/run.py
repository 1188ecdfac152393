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
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.paths import runs_dir
from course_utils.progress_bars import TrainingBar
from course_utils.training import processes
from course_utils.training import state as states
from course_utils.training.checkpoints import (
    Generation,
    newest_generation,
    require_writable,
    save_generation,
    weights_digest,
)
from course_utils.training.interrupts import Interrupt
from course_utils.training.run_copies import RunCopies
from course_utils.training.state import State
from course_utils.training.threads import FreeCores


def run_folder(name: str, config: Mapping[str, Any], state: State) -> Path:
    """The folder of a run, one for each set of settings, network shapes and learning rates."""
    shapes = {
        key: [[n, list(t.shape)] for n, t in part.state_dict().items()]
        for key, part in states.networks(state).items()
    }
    text = json.dumps([config, shapes, states.optimizer_settings(state)], sort_keys=True)
    return runs_dir() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def permutation(seed: int, epoch: int, examples: int) -> Tensor:
    """The order of the examples in one epoch: (examples,) int64, a function of seed and epoch alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(examples, generator=generator)


def last_means(history: Mapping[str, list[float]]) -> dict[str, float]:
    """The mean of the last 100 values of each name in a run's history."""
    ends = {name: values[-100:] for name, values in history.items() if name != "step" and values}
    return {name: sum(values) / len(values) for name, values in ends.items()}


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
        save_every: steps between checkpoints; default a tenth of the run, at most 500.
        fresh: start again; an earlier run in the folder is moved to ``folder/previous``.
        data_sha256: digest of the data where the caller has one; a run never goes on with other data.
        order: (seed, epoch, examples) -> the order of that epoch's examples, which depends on nothing else.

    Attributes:
        step: steps taken so far.
        history: one list for each logged name, and ``step``.

    Raises:
        CourseError: the folder holds a run with other settings, networks or data, or cannot be written to.
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
        data_sha256: str | None = None,
        order: Callable[[int, int, int], Tensor] = permutation,
    ) -> None:
        self.folder, self.state, self.steps = Path(folder), state, steps
        self.config = json.loads(
            json.dumps({**config, "examples": examples, "batch_size": batch_size, "seed": seed})
        )
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.save_every = save_every or max(1, min(500, steps // 10))
        self.data_sha256, self._settings = data_sha256, states.optimizer_settings(state)
        self.step, self.seconds = 0, 0.0
        self.history: dict[str, list[float]] = {"step": []}
        self.resumed_at: int | None = None
        self._saved_at = 0
        self._rng: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self._permutation, self._order, self._order_of = order, torch.empty(0), -1
        self._copies = RunCopies(self.folder)
        self._team = processes.team()
        settings = {**self.config, **self._settings, "steps": steps, "data": data_sha256}
        self._team.join(states.networks(state).values(), settings)
        found = self._team.first(lambda: _open(self.folder, fresh, self._copies))
        if found is not None:
            self._resume(found)

    @property
    def finished(self) -> bool:
        """Whether all steps have been taken."""
        return self.step >= self.steps

    @property
    def weights_sha256(self) -> str:
        """Digest of all networks' parameters and buffers."""
        return weights_digest(states.networks(self.state))

    def batches(self) -> Iterator[Tensor]:
        """Yield the indices (B,) of each step's examples, with a progress bar; save on the way and at the end.

        The first interrupt (the stop button, Ctrl-C) saves and ends the loop; a second one stops at once.
        The global random generators are set to where the last step left them, whatever has drawn from them since.
        Of several processes that train together (see `scale`) each gets its part of every step's examples.

        Raises:
            CourseError: the last save failed (run the cell again to repeat it), or the weights are not finite.
        """
        if self._rng is not None:
            states.unpack_rng(*self._rng)
            self._rng = None
        start, tried_at = time.monotonic() - self.seconds, self.step
        bar, stopped = TrainingBar(self.steps, self.step), False
        with bar, FreeCores() as cores, Interrupt(*self._team.interrupts) as interrupt:
            while self.step < self.steps and not (stopped := self._team.any(interrupt.asked)):
                with self._team.step(self._indices(), self.seed, self.step) as part:
                    yield part
                self.step += 1
                self.seconds = time.monotonic() - start
                bar.update()
                cores.look()
                if self.step - tried_at >= self.save_every and self.step < self.steps:
                    tried_at = self.step
                    self._try_to_save()
            self._rng = states.pack_rng()
            if self.step > self._saved_at:
                self.save()
        if stopped:
            print(
                f"Interrupted and saved at step {self.step} of {self.steps}. Run the cell again to go on."
            )

    def draw(self, make: Callable[..., Tensor], *shape: int) -> Tensor:
        """Random numbers (B, *shape) for the examples of this step.

        Args:
            make: ``torch.randn`` or the like. Several processes draw for the whole batch and keep their part, so that
                an example gets the same numbers however many there are.
            shape: of one example's numbers.
        """
        return self._team.draw(make, *shape)

    def log(self, **values: float) -> None:
        """Add one row to the history.

        Raises:
            CourseError: a value is NaN or infinite (``training-not-finite``); the row is kept in the history.
        """
        self.history["step"].append(self.step)
        numbers = self._team.means({name: float(value) for name, value in values.items()})
        for name, number in numbers.items():
            self.history.setdefault(name, []).append(number)
        bad = [name for name, number in numbers.items() if not math.isfinite(number)]
        if bad:
            raise self._not_finite(f"{' and '.join(bad)} became {numbers[bad[0]]}")

    def save(self) -> None:
        """Save the whole state as it is after ``step`` steps; call it between loops, since a loop saves by itself.

        Raises:
            CourseError: the disk is full or the folder cannot be written to, or a weight is NaN or infinite; older
                checkpoints are intact.
        """
        self._save(self._copies.add)

    def _save(self, copy: Callable[[Path], None]) -> None:
        if bad := states.not_finite(self.state):
            raise self._not_finite(f"{bad[0]} has become NaN or infinite")
        self._team.first(lambda: copy(self._write()))
        self._saved_at = self.step

    def _write(self) -> Path:
        rng = states.pack_rng()
        tensors, optimizers = states.pack(self.state)
        record = {
            "config": self.config,
            "history": self.history,
            "seconds": self.seconds,
            "optimizers": optimizers,
            "optimizer_settings": self._settings,
            "data_sha256": self.data_sha256,
            "processes": self._team.count,
            **rng[1],
        }
        path = save_generation(self.folder, self.step, tensors | rng[0], record)
        self._saved_at = self.step
        return path

    def _try_to_save(self) -> None:
        try:
            self._save(self._copies.add_when_due)
        except CourseError as error:
            if error.code == "training-not-finite":
                raise
            print(f"\nNot saved at step {self.step}; training goes on. {error}")

    def _resume(self, found: Generation) -> None:
        for reason in found.skipped:
            print(f"Skipped a checkpoint: {reason}.")
        record = found.record
        if differences := states.differences(record, self.config, self._settings, self.data_sha256):
            raise _other_settings(self.folder, differences)
        try:
            states.unpack(self.state, found.tensors, record["optimizers"])
        except (ValueError, RuntimeError) as error:
            raise _other_settings(self.folder, [f"networks or optimisers: {error}"]) from error
        rng = {k: v for k, v in found.tensors.items() if k.startswith("rng.")}
        self._rng = rng, record
        states.unpack_rng(rng, record)
        self.step, self.seconds, self.history = found.step, record["seconds"], record["history"]
        self.resumed_at = self._saved_at = found.step
        told = (
            "finished: its result is shown"
            if self.finished
            else f"goes on at step {self.step} of {self.steps}"
        )
        print(
            f"Found a run with these settings in {self.folder.name}: {told}. To start again: fresh=True."
        )
        made_with = found.made_with | {"processes": record.get("processes", 1)}
        if not self.finished and (
            changed := states.machine_differences(made_with, self._team.count)
        ):
            print(
                f"Saved with other software or threads ({'; '.join(changed)}): not bit for bit as without the cut."
            )

    def _not_finite(self, what: str) -> CourseError:
        epoch, batch = divmod(self.step, math.ceil(self.examples / self.batch_size))
        kept = f"The checkpoint of step {self._saved_at} in {self.folder} is from before and is intact."
        return CourseError(
            "training-not-finite",
            f"{what} at step {self.step} (epoch {epoch}, batch {batch}).",
            f"A number that is not finite destroys every weight it reaches. {kept if self._saved_at else ''}".strip(),
            "Lower the learning rate, or set COURSE_BF16=0, and start again with fresh=True.",
        )

    def _indices(self) -> Tensor:
        epoch, batch = divmod(self.step, math.ceil(self.examples / self.batch_size))
        if self._order_of != epoch:
            self._order, self._order_of = self._permutation(self.seed, epoch, self.examples), epoch
        return self._order[batch * self.batch_size : (batch + 1) * self.batch_size]


def _open(folder: Path, fresh: bool, copies: RunCopies) -> Generation | None:
    if fresh:
        _set_aside(folder)
        copies.clear()
    require_writable(folder)
    copies.bring_back()
    return newest_generation(folder)


def _set_aside(folder: Path) -> None:
    """Move an earlier run away. A folder without a checkpoint holds no run, and perhaps somebody's other files."""
    if not any(folder.glob("step-*/manifest.json")):
        return
    previous = folder / "previous"
    shutil.rmtree(previous, ignore_errors=True)
    previous.mkdir()
    for path in folder.glob("*"):
        if path != previous:
            path.rename(previous / path.name)


def _other_settings(folder: Path, differences: list[str]) -> CourseError:
    return CourseError(
        "training-other-settings",
        f"{folder} holds a run with other settings ({'; '.join(differences)}).",
        "Going on with it would mix two experiments.",
        "Use another folder (--run-dir), restore the settings, or start again with fresh=True (--fresh).",
    )
