"""Memory that is free for programs on this machine. Standard library only."""

import os
from pathlib import Path


def on_machine() -> int | None:
    """Bytes that are free for a new program, with regard to a container's limit; None where nothing tells."""
    return min(
        (number for number in (_available(), _left_in_container()) if number is not None),
        default=None,
    )


def here() -> int | None:
    """Bytes that a program in the place of this one could have: what is free, and what this one holds."""
    free = on_machine()
    return None if free is None else free + _own()


def _own() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:  # a Mac tells only how much there is in all
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return _on_windows()


def _left_in_container() -> int | None:
    """What a container's own limit leaves (control groups, version 2); None without one."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = (
            (folder / f"memory.{name}").read_text(encoding="ascii").strip()
            for name in ("max", "current")
        )
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))


def _on_windows() -> int | None:
    try:
        import psutil  # ipykernel brings it
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)
