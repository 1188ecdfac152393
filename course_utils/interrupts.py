"""The stop button, taken politely: a loop finishes its step and saves before it ends."""

import signal
import threading


class Interrupt:
    """Within this block the first interrupt only sets ``asked``; the second one raises KeyboardInterrupt."""

    def __enter__(self) -> "Interrupt":
        self.asked = False
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._main:
            # None: the earlier handler was not Python's; it cannot be put back from here.
            signal.signal(signal.SIGINT, self._before or signal.SIG_DFL)

    def _note(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
