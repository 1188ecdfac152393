"""A lock between programs on one machine that saves bandwidth and nothing more: whoever cannot have it may go on.

The operating system holds it, so that it ends with its holder, however that ended.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

FIRST_WORD, WORD_EVERY = 2.0, 15.0  # seconds of waiting until the first word, and between words
PATIENCE = 40.0  # seconds without any progress of the holder, until we go on without the lock
_POLL = 0.2


@contextlib.contextmanager
def turn(
    path: Path, progress: Callable[[], int | None], say: Callable[[], object]
) -> Iterator[bool]:
    """Wait for the lock at ``path``; hold it within the block.

    Args:
        path: the lock's file; it is gone afterwards.
        progress: how far the holder has come, or None when there is nothing left to wait for.
        say: called while waiting, at the latest every 15 s.

    Yields:
        True when the lock is held. False when there is nothing left to wait for, when the holder does not come on, or
        when the file system knows no locks.
    """
    handle = _wait(path, progress, say)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            _release(path, handle)


def _wait(path: Path, progress: Callable[[], int | None], say: Callable[[], object]) -> int | None:
    moved = time.monotonic()
    last, word_at = progress(), moved + FIRST_WORD
    while True:
        try:
            handle = _try_lock(path)
        except (OSError, ImportError):  # a network or cloud drive without locks
            return None
        if handle is not None:
            return handle
        now, seen = time.monotonic(), progress()
        if seen is None:
            return None
        if seen != last:
            last, moved = seen, now
        if now - moved > PATIENCE:
            return None
        if now >= word_at:
            say()
            word_at = now + WORD_EVERY
        time.sleep(_POLL)


def _try_lock(path: Path) -> int | None:
    """A handle on the locked file; None while another program holds it.

    Raises:
        OSError: the file cannot be made, or the file system knows no locks.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if _lock(handle) and _is_still(path, handle):
            return handle
    except BaseException:
        _release(path, handle)
        raise
    os.close(handle)
    return None


def _lock(handle: int) -> bool:
    """Whether the lock could be had at once."""
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, handle: int) -> bool:
    """Whether ``path`` is the file that was locked: its last holder removed it, and another may have been made."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _release(path: Path, handle: int) -> None:
    with contextlib.suppress(
        OSError
    ):  # Windows removes no file that others have open; it then stays, empty
        os.unlink(path)
    os.close(handle)
