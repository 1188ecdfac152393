"""Free memory: what is available, not what there is in all, and no more than a container may have."""

from types import SimpleNamespace

import psutil
import pytest

from course_utils.machine import free_memory

GIB = 1 << 30


@pytest.fixture
def sixteen(monkeypatch, tmp_path):
    """A machine with 16 GiB of which 3 are available, in no container."""
    told = SimpleNamespace(total=16 * GIB, available=3 * GIB, free=GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: told)
    monkeypatch.setattr(free_memory, "_CONTAINER", tmp_path)
    return tmp_path


def test_what_others_hold_does_not_count_as_free(sixteen):
    """On a Mac all memory there is did once."""
    assert free_memory.on_machine() == 3 * GIB


def test_the_kernels_own_memory_counts_as_free_for_a_kernel_in_its_place(sixteen):
    own = free_memory.here() - free_memory.on_machine()
    assert 10 << 20 < own < 20 * GIB  # this Python holds at least some megabytes


@pytest.mark.parametrize(
    ("limit", "used", "left"),
    [(4, 2, 2), (4, 5, 0), (64, 1, 3), ("max", 1, 3)],
    ids=["less than the machine", "used up", "more than the machine", "no limit"],
)
def test_a_containers_limit_is_heeded(sixteen, limit, used, left):
    text = limit if limit == "max" else str(limit * GIB)
    (sixteen / "memory.max").write_text(f"{text}\n")
    (sixteen / "memory.current").write_text(f"{used * GIB}\n")
    assert free_memory.on_machine() == left * GIB


def test_where_nothing_tells_nothing_is_claimed(sixteen, monkeypatch):
    def hidden():
        raise PermissionError("/proc/meminfo")

    monkeypatch.setattr(psutil, "virtual_memory", hidden)
    assert free_memory.on_machine() is None and free_memory.here() is None
