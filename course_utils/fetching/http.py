"""One file by https: goes on by Range after a cut, and keeps what came whatever happens then."""

import contextlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from course_utils.fetching.http_stream import answer_in_pieces

TRIES = 3  # attempts in a row that bring nothing new, before an address is given up
PAUSE = 0.5  # seconds before an attempt is repeated; doubled each time
FAILURES = (OSError, http.client.HTTPException)

_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # answers that may be another in a moment


class CannotKeep(Exception):
    """The disk does not take what came; ``args`` are the error's number and its words."""


class _Head(NamedTuple):
    """What the head of an answer says: where its bytes begin, how long the whole file is (None: unknown), more.

    ``end_is_told``: a cut can be told from the end without the length. ``validator``: names this version of the file
    (RFC 9110, section 13.1.5).
    """

    start: int
    total: int | None
    end_is_told: bool
    validator: str | None


def get(url: str, part: Path, total: int, bar: tqdm, timeout: float) -> tuple[Path, bool]:
    """Bring ``part`` to its full size; what it holds already is kept where the server allows it.

    As long as attempts bring at least a hundredth of the file, any number of cuts is survived.

    Args:
        url: an address that `http_stream.allowed` allows.
        part: the file so far; missing or empty at the beginning.
        total: bytes that the whole file has.
        bar: shows how far it is.
        timeout: seconds of silence after which the address is given up.

    Returns:
        The file to be proved: ``part`` with its full size, or, where the server has something else under this
        address, a file beside it with that (``part`` is then as it was). And whether it was joined from pieces.

    Raises:
        OSError, HTTPException: the address does not work, or not any more; ``part`` holds what came.
        CannotKeep: the disk does not take what came.
    """
    first = furthest = _size(part)
    validator, tries, joined = None, 0, bool(first)
    while True:
        try:
            other, validator = _attempt(url, part, total, bar, timeout, validator)
            if other is not None:
                return other, False
            if _size(part) >= total:
                return part, joined
            error: Exception = OSError(
                f"only {_size(part):,} of {total:,} bytes came before it was cut off"
            )
        except urllib.error.HTTPError as answer:
            if answer.code == 416:  # what we have is longer than the server's file
                part.unlink(missing_ok=True)
            elif answer.code not in _AGAIN:
                raise
            error = answer
        except TimeoutError:
            raise
        except FAILURES as failure:
            unreachable = isinstance(failure, urllib.error.URLError) and furthest == first
            if unreachable or isinstance(getattr(failure, "reason", None), TimeoutError):
                raise
            error = failure
        tries = 0 if _size(part) >= furthest + max(1, total // 100) else tries + 1
        furthest, joined = max(furthest, _size(part)), joined or bool(_size(part))
        if tries >= TRIES:
            raise error
        time.sleep(PAUSE * 2**tries)


def _attempt(
    url: str, part: Path, total: int, bar: tqdm, timeout: float, validator: str | None
) -> tuple[Path | None, str | None]:
    """One request. The other file that came instead, or None; and what names this version of the file."""
    have, fresh = _size(part), part.with_name(part.name + ".new")
    with contextlib.closing(answer_in_pieces(_request(url, have, validator), timeout)) as stream:
        head = _head(next(stream), have)
        fits = head.total in (None, total)
        if head.start and not fits:
            raise OSError(f"the server's file has {head.total:,} bytes, not {total:,}")
        # From the beginning, though we hold a part: the longer one is kept, and a login page never replaces a part.
        target = part if fits and head.start == have else fresh
        bar.update(head.start - bar.n)
        try:
            _keep(stream, target, head.start, total, bar)
        except FAILURES:
            _promote(fresh, part, total, fits)
            raise
    ended_short = head.total is None and _size(target) < total
    if not fits or (ended_short and (head.end_is_told or _is_page(target))):
        return target, None
    _promote(fresh, part, total, fits)
    return None, head.validator


def _keep(stream: Iterator[bytes], target: Path, start: int, total: int, bar: tqdm) -> None:
    """Write what comes. One byte more than ``total`` is kept at most: enough to know that the file is wrong."""
    left = total + 1 - start
    with contextlib.ExitStack() as stack:
        with _disk():
            out = stack.enter_context(open(target, "ab" if start else "wb"))
        while left and (piece := next(stream, b"")):
            with _disk():
                out.write(piece[:left])
            bar.update(len(piece[:left]))
            left -= len(piece[:left])
        with _disk():
            out.flush()
            os.fsync(out.fileno())


def _promote(fresh: Path, part: Path, total: int, fits: bool) -> None:
    """What came from the beginning takes the part's place where it is longer."""
    if fits and _size(fresh) > _size(part) and not _is_page(fresh):
        os.replace(fresh, part)
    fresh.unlink(missing_ok=True)


# The network's side


def _request(url: str, have: int, validator: str | None) -> urllib.request.Request:
    headers = {"User-Agent": "generative-ai-course", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:  # another version of the file then comes whole
            headers["If-Range"] = validator
    return urllib.request.Request(url, headers=headers)


def _head(answer: http.client.HTTPResponse, have: int) -> _Head:
    headers = answer.headers
    etag, modified = headers.get("ETag"), headers.get("Last-Modified")
    validator = etag if etag and not etag.startswith("W/") else modified
    chunked = (headers.get("Transfer-Encoding") or "").lower() == "chunked"
    if answer.status != 206:
        length = headers.get("Content-Length")
        return _Head(0, int(length) if length else None, chunked, validator)
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range") or "")
    if not found or int(found[1]) != have:
        raise OSError(
            f"the server sent another piece ({headers.get('Content-Range')}) than was asked for"
        )
    return _Head(have, None if found[2] == "*" else int(found[2]), chunked, validator)


# The disk's side


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    """An error of the disk is none of the network's: another mirror would not help."""
    try:
        yield
    except OSError as error:
        raise CannotKeep(error.errno, error.strerror or str(error)) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_page(path: Path) -> bool:
    """Whether a file begins as a web page does."""
    with open(path, "rb") as file:
        return file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html", b"<head"))
