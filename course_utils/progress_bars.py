"""Progress bars, all made here: whoever waits for more than two seconds is told how long it will still take."""

import sys
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds before a bar shows itself, so that short loops leave no trace."""


WINDOW = 15.0
"""Seconds that the estimate of a training goes by."""


def progress(items: Iterable[T], what: str, leave: bool = True) -> Iterable[T]:
    """The same items, with a bar and an estimate under the cell where they take longer than a second.

    Args:
        items: what a loop runs over.
        what: the name of the bar, such as ``"training"``.
        leave: keep the bar when the loop has ended; False for a loop inside another.
    """
    return tqdm(items, what, leave=leave, file=stream(), delay=PATIENCE, mininterval=0.5)


def bar(
    what: str,
    total: int,
    done: int = 0,
    unit: str = "it",
    leave: bool = True,
    at_once: bool = False,
) -> tqdm:
    """A bar for a ``with``, moved on by ``bar.update(count)``.

    Args:
        what: its name, such as ``"training"``.
        total: what is to be done in all.
        done: what was done before.
        unit: what is counted; ``"B"`` for bytes, which are shown as KiB, MiB and so on.
        leave: keep the bar when the block has ended; False inside another.
        at_once: show it from the beginning, where the wait is known to be long, and not after a second only.
    """
    return tqdm(
        desc=what,
        total=total,
        initial=done,
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        leave=leave,
        file=stream(),
        delay=0.0 if at_once else PATIENCE,
        mininterval=0.5,
    )


class TrainingBar(tqdm):
    """The bar of a training. Its estimate goes by the last 15 seconds: by time, where tqdm's own mean goes by drawings.

    The first steps say little about the others, since libraries make themselves ready in them. So it is the later half
    of a shorter time that counts.

    Args:
        steps: in all.
        done: steps that an earlier run has taken.
    """

    def __init__(self, steps: int, done: int = 0) -> None:
        self._taken: deque[tuple[float, int]] = deque()  # (when, steps)
        # miniters: a bar that learns how often it need not look stands still when steps become slow
        super().__init__(total=steps, initial=done, desc="training", unit="step", file=stream(),
                         mininterval=0.5, miniters=1)  # fmt: skip

    def update(self, n: float | None = 1) -> bool | None:
        """A step, or ``n``, has been taken."""
        if not self.disable:
            now = self._time()
            recent = now - min(WINDOW, (now - self.start_t) / 2)
            self._taken.append((now, self.n + n))
            while len(self._taken) > 2 and self._taken[1][0] <= recent:
                self._taken.popleft()
        return super().update(n)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What tqdm writes, with the steps per second of the window."""
        told = super().format_dict
        if len(self._taken) > 1:
            (began, first), (now, last) = self._taken[0], self._taken[-1]
            told["rate"] = (last - first) / (now - began) if now > began else None
        return told


def stream() -> Any:
    """Where bars go: to stdout in a notebook, which shows stderr in red; a program keeps stdout for its result."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return sys.stdout if hasattr(shell, "kernel") else sys.stderr
