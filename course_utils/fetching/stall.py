"""Nothing waits for ever, and nobody waits without a word."""

import contextlib
import queue
import threading
import time
from collections.abc import Generator
from typing import Any, TypeVar

from tqdm import tqdm

QUIET = 8.0  # seconds without news until a word is said
TIMEOUT = 20.0  # seconds to wait for a connection, and for news from a server
_LEAST = 4096  # bytes that count as news
T = TypeVar("T")


class Watch:
    """Notices that a source has gone quiet: says so after 8 s and raises TimeoutError after ``timeout`` seconds.

    Args:
        who: who should send something.
        timeout: seconds; a source that sends less than 4 KiB in this time counts as quiet.
    """

    def __init__(self, who: str, timeout: float) -> None:
        self.who, self.timeout = who, timeout
        self._since, self._count, self._said = time.monotonic(), 0, False

    def heard(self, count: int | None = None) -> None:
        """Note that so many bytes came (None: something that always counts)."""
        self._count += _LEAST if count is None else count
        if self._count >= _LEAST:
            self._since, self._count, self._said = time.monotonic(), 0, False

    def check(self) -> None:
        """Say a word or raise, where it is time to.

        Raises:
            TimeoutError: nothing came for ``timeout`` seconds.
        """
        silence = time.monotonic() - self._since
        if silence > self.timeout:
            raise TimeoutError(f"no answer within {self.timeout:.0f} s")
        if silence > min(QUIET, self.timeout / 2) and not self._said:
            self._said = True
            tqdm.write(f"Nothing comes from {self.who}; waiting up to {self.timeout:.0f} s in all.")


def watched(items: Generator[T, None, None], who: str, timeout: float) -> Generator[T, None, None]:
    """The items, taken by a thread of its own under a `Watch`: no wait of the thread's keeps the caller.

    A library's time-outs are not enough: none covers a name service that hangs, or a server that sends a byte per
    second; and while it waits, nobody could say a word.

    Args:
        items: where a wait may be long. Pieces of bytes count by their length, anything else as news.
        who: who should send something.
        timeout: seconds, as for `Watch`.

    Raises:
        TimeoutError: nothing came for ``timeout`` seconds; or what the thread met.
    """
    pipe: queue.Queue = queue.Queue(maxsize=8)
    left_alone = threading.Event()
    threading.Thread(target=_take, args=(items, pipe, left_alone), daemon=True).start()
    watch = Watch(who, timeout)
    try:
        while True:
            watch.check()
            try:
                item, error = pipe.get(timeout=min(0.2, timeout / 4))
            except queue.Empty:
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            watch.heard(len(item) if isinstance(item, bytes) else None)
            yield item
    finally:
        left_alone.set()


def _take(
    items: Generator[Any, None, None], pipe: queue.Queue, left_alone: threading.Event
) -> None:
    """Put each item with None into the pipe, then None with how it ended; stop where nobody reads any more."""
    with contextlib.closing(items):
        while not left_alone.is_set():
            entry: tuple[Any, BaseException | None]
            try:
                entry = (next(items), None)
            except BaseException as error:
                entry = (None, error)
            while not left_alone.is_set():
                with contextlib.suppress(queue.Full):
                    pipe.put(entry, timeout=0.2)
                    break
            if entry[1] is not None:
                return
