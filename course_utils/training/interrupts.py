"""The stop button, taken politely: a loop finishes its step and saves before it ends."""

import signal
import threading


class Interrupt:
    """Within this block the first interrupt only sets ``asked``; the second one raises KeyboardInterrupt.

    Args:
        signals: what counts as an interrupt.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self._signals = signals or (signal.SIGINT,)

    def __enter__(self) -> "Interrupt":
        self.asked = False
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = {number: signal.signal(number, self._note) for number in self._signals}
        return self

    def __exit__(self, *_: object) -> None:
        if self._main:
            for number, before in self._before.items():
                # None: the earlier handler was not Python's; it cannot be put back from here.
                signal.signal(number, before or signal.SIG_DFL)

    def _note(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
