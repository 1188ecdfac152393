"""Nothing waits for ever, and nobody waits without a word."""

import time

from tqdm import tqdm

QUIET = 8.0  # seconds without news until a word is said
_LEAST = 4096  # bytes that count as news


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
            raise TimeoutError(f"nothing came for {self.timeout:.0f} s")
        if silence > min(QUIET, self.timeout / 2) and not self._said:
            self._said = True
            tqdm.write(f"Nothing comes from {self.who}; waiting up to {self.timeout:.0f} s in all.")
