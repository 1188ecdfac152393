"""A training takes the cores that nobody else works on, and takes back those that others leave."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from course_utils.training import threads

ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """A pretended machine: its clock, this process's share and that of others, in cores."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
        self.cores, self.own, self.others = cores, 1.0, 0.0
        self.clock = self.mine = self.all = 0.0
        self.set = cores
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(threads, "_cores", lambda: list(range(cores)))
        monkeypatch.setattr(threads.time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(threads.time, "process_time", lambda: self.mine)
        monkeypatch.setattr(threads.psutil, "cpu_times", lambda percpu: self._times())
        monkeypatch.setattr(threads.torch, "get_num_threads", lambda: self.set)
        monkeypatch.setattr(threads.torch, "set_num_threads", self._take)

    def _times(self) -> list[SimpleNamespace]:
        each = self.all / self.cores
        return [SimpleNamespace(user=0.75 * each, system=0.25 * each)] * self.cores

    def _take(self, count: int) -> None:
        self.set = count

    def work(self, seconds: float = 3.0) -> None:
        self.clock += seconds
        self.mine += self.own * seconds
        self.all += (self.own + self.others) * seconds


@pytest.mark.parametrize(
    ("cores", "others", "wanted"),
    [(2, 0.0, 2), (2, 0.3, 2), (2, 0.9, 1), (2, 2.0, 1), (8, 1.1, 7), (8, 0.4, 8), (4, 9.0, 1)],
)
def test_there_is_a_thread_for_each_core_that_is_free(monkeypatch, cores, others, wanted) -> None:
    machine = Machine(monkeypatch, cores)
    machine.others = others
    with threads.FreeCores() as free:
        machine.work()
        free.look()
        assert machine.set == wanted
        machine.others = 0.0  # the call is over
        machine.work()
        free.look()
        assert machine.set == cores
        machine.others = others
        machine.work()
        free.look()
    assert machine.set == cores  # whatever was last


def test_one_look_every_two_seconds(monkeypatch) -> None:
    machine = Machine(monkeypatch, 2)
    machine.others = 1.0
    with threads.FreeCores() as free:
        machine.work(1.9)
        free.look()
        assert machine.set == 2
        machine.work(0.2)
        free.look()
        assert machine.set == 1


def test_a_training_that_stood_still_learns_nothing_from_it(monkeypatch) -> None:
    machine = Machine(monkeypatch, 2)
    machine.own, machine.others = 0.0, 1.9
    with threads.FreeCores() as free:
        machine.work(600)
        free.look()
        assert machine.set == 2


def test_fewer_cores_than_processors_stay_fewer(monkeypatch) -> None:
    machine = Machine(monkeypatch, 8)
    machine.set = 4  # PyTorch takes one thread for two processors that share a core
    machine.others = 1.0
    with threads.FreeCores() as free:
        machine.work()
        free.look()
        assert machine.set == 4


def test_a_number_that_the_user_has_set_stays(monkeypatch) -> None:
    machine = Machine(monkeypatch, 2)
    machine.others = 1.0
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with threads.FreeCores() as free:
        machine.work()
        free.look()
        assert machine.set == 2


def test_a_cell_cut_by_an_error_does_not_leave_the_next_training_slow(monkeypatch) -> None:
    machine = Machine(monkeypatch, 2)
    machine.others = 1.0
    cut = threads.FreeCores().__enter__()
    machine.work()
    cut.look()
    assert machine.set == 1  # and its block was never left
    machine.others = 0.0
    with threads.FreeCores() as free:
        machine.work()
        free.look()
        assert machine.set == 2
    assert threads._before == 0


WITH_COMPANY = """
import os, subprocess, sys, time
cores = sorted(os.sched_getaffinity(0))[:2]
os.sched_setaffinity(0, cores)
import course_utils, torch
from course_utils.training.threads import FreeCores
torch.set_num_threads(2)
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
os.sched_setaffinity(other.pid, cores[:1])
try:
    with FreeCores() as free:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            sum(range(10_000))
            free.look()
        print(torch.get_num_threads())
    print(torch.get_num_threads())
finally:
    other.kill()
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores and Linux's way to choose them",
)
def test_beside_a_real_program_that_takes_a_core() -> None:
    own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    said = subprocess.run(
        [sys.executable, "-c", WITH_COMPANY],
        env=own,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["1", "2"]


def test_the_loop_of_a_training_looks(monkeypatch, tmp_path) -> None:
    from course_utils.training.run import TrainingRun

    looks = []
    monkeypatch.setattr(threads.FreeCores, "look", lambda self: looks.append(self.most))
    training = TrainingRun(tmp_path, state={}, config={}, steps=5, examples=8, batch_size=4)
    for _ in training.batches():
        training.log(loss=1.0)
    assert looks == [torch.get_num_threads()] * 5
