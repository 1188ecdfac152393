"""Memory that is free for programs on this machine.

psutil is loaded when it is asked: lesson 0's report must start, and say so, where it is not installed.
"""

from pathlib import Path

_CONTAINER = Path("/sys/fs/cgroup")


def on_machine() -> int | None:
    """Bytes that are free for a new program, with regard to a container's limit; None where nothing tells."""
    return min(
        (number for number in (_available(), _left_in_container()) if number is not None),
        default=None,
    )


def here() -> int | None:
    """Bytes that a program in the place of this one could have: what is free, and what this one holds."""
    import psutil

    free = on_machine()
    return None if free is None else free + psutil.Process().memory_info().rss


def _available() -> int | None:
    import psutil

    try:
        return int(psutil.virtual_memory().available)
    except (OSError, RuntimeError):  # a system that hides its /proc
        return None


def _left_in_container() -> int | None:
    """What a container's own limit leaves (control groups, version 2), which psutil does not ask; None without one."""
    try:
        limit, used = (
            (_CONTAINER / f"memory.{name}").read_text(encoding="ascii").strip()
            for name in ("max", "current")
        )
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))
