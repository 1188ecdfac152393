"""As many threads as there are cores that no other program works on, looked at again every two seconds of a training.

The threads of one operation wait for the slowest of them. Beside a program that takes one of two cores, two threads are
several times slower than one, so a training makes room for a browser with a call in it, and takes the core back after.
"""

import os
import time

import psutil
import torch

EVERY = 2.0
"""Seconds between two looks."""

LONG = 15.0
"""Seconds that no step takes: the training was paused, or its machine slept, and what others did then says nothing."""

_before = 0
"""Threads before the first block that is still open: a cell cut by an error leaves its block open, with fewer."""


class FreeCores:
    """Within this block PyTorch has a thread for each core that other programs leave free; afterwards all of its own.

    Whoever has set ``OMP_NUM_THREADS`` has decided: nothing is changed then. On another number of threads the last
    bits of a sum may differ.

    Attributes:
        most: threads that PyTorch had before, and has where nothing else works.
    """

    def __init__(self) -> None:
        self.most = _before or torch.get_num_threads()
        self._chosen = self.most == 1 or "OMP_NUM_THREADS" in os.environ

    def __enter__(self) -> "FreeCores":
        global _before
        _before = self.most
        self._seen = self._times()
        return self

    def __exit__(self, *_: object) -> None:
        global _before
        _before = 0
        torch.set_num_threads(self.most)

    def look(self) -> None:
        """Called after each step; every two seconds it counts the cores that are free, and sets the threads."""
        passed = time.monotonic() - self._seen[0]
        if self._chosen or passed < EVERY:
            return
        before, self._seen = self._seen, self._times()
        if passed > LONG:
            return
        seconds, own, everybody = (new - old for new, old in zip(self._seen, before, strict=True))
        others = max(0.0, everybody - own) / seconds
        torch.set_num_threads(max(1, min(self.most, len(_cores()) - round(others))))

    def _times(self) -> tuple[float, float, float]:
        """The clock, this process's seconds on processors, and those of all programs on the cores that it may use."""
        usage = psutil.cpu_times(percpu=True)
        everybody = sum(_busy(usage[core]) for core in _cores() if core < len(usage))
        return time.monotonic(), time.process_time(), everybody


def _cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _busy(times: object) -> float:
    """Seconds of one core that programs took; those that a virtual machine's host took do not count."""
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))
