"""Progress bars: whoever waits for more than two seconds is told how long it will still take."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds before a bar shows itself, so that short loops leave no trace."""


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """The same items, with a bar and an estimate under the cell where they take longer than a second.

    Args:
        items: what a loop runs over.
        what: the name of the bar, such as ``"training"``.
        total: how many they are, where ``items`` has no length.
    """
    return tqdm(items, desc=what, total=total, file=stream(), delay=PATIENCE, mininterval=0.5)


def stream() -> Any:
    """Where bars go: to stdout in a notebook, which shows stderr in red; a program keeps stdout for its result."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return sys.stdout if hasattr(shell, "kernel") else sys.stderr
