"""One file by https: goes on by Range after a cut, and keeps what came whatever happens then."""

import contextlib
import os
import re
import ssl
import time
import urllib.request
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from tqdm import tqdm

from course_utils.fetching.stall import watched

if TYPE_CHECKING:
    import httpx  # loaded only when something is fetched

TRIES = 3  # attempts in a row that bring nothing new, before an address is given up
PAUSE = 0.5  # seconds before an attempt is repeated; doubled each time

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_AGAIN = {408, 416, 425, 429, 500, 502, 503, 504}  # answers that may be another in a moment


class CannotKeep(Exception):
    """The disk does not take what came; ``args`` are the error's number and its words."""


class CertificateRefused(OSError):
    """Who answers cannot prove that it is the host; often something between us and it reads along."""


class NoSocks(OSError):
    """The proxy speaks SOCKS, and the package that could is not installed."""


class _Passing(OSError):
    """Another attempt may succeed."""


class _NoConnection(_Passing):
    """No answer was even begun."""


class _Head(NamedTuple):
    """What the head of an answer says: where its bytes begin, how long the whole file is (None: unknown), more.

    ``end_is_told``: a cut can be told from the end without the length. ``validator``: names this version of the file
    (RFC 9110, section 13.1.5).
    """

    start: int
    total: int | None
    end_is_told: bool
    validator: str | None


@dataclass
class _Download:
    """One file on its way; ``validator`` names the version that ``part`` holds, where that is known."""

    url: str
    part: Path
    total: int
    bar: tqdm
    timeout: float
    validator: str | None = None

    @property
    def have(self) -> int:
        return _size(self.part)

    @property
    def host(self) -> str:
        return str(urlsplit(self.url).hostname)


def allowed(url: str) -> bool:
    """Whether the address is https, or http on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def get(url: str, part: Path, total: int, bar: tqdm, timeout: float) -> tuple[Path, bool]:
    """Bring ``part`` to its full size; what it holds already is kept where the server allows it.

    As long as attempts bring at least a hundredth of the file, any number of cuts is survived.

    Args:
        url: an address that `allowed` allows.
        part: the file so far; missing or empty at the beginning.
        total: bytes that the whole file has.
        bar: shows how far it is.
        timeout: seconds of silence after which the address is given up.

    Returns:
        The file to be proved: ``part`` with its full size, or, where the server has something else under this
        address, a file beside it with that (``part`` is then as it was). And whether it was joined from pieces.

    Raises:
        OSError: the address does not work, or not any more; its words say why, and ``part`` holds what came.
        CannotKeep: the disk does not take what came.
    """
    download = _Download(url, part, total, bar, timeout)
    first = furthest = download.have
    tries, joined = 0, bool(first)
    while True:
        try:
            other = _attempt(download)
            if other is not None:
                return other, False
            if download.have >= total:
                return part, joined
            error: OSError = _cut_off(download, "it ended early")
        except _Passing as passing:
            if isinstance(passing, _NoConnection) and furthest == first:
                raise
            error = passing
        tries = 0 if download.have >= furthest + max(1, total // 100) else tries + 1
        furthest, joined = max(furthest, download.have), joined or bool(download.have)
        if tries >= TRIES:
            raise error
        time.sleep(PAUSE * 2**tries)


def _attempt(download: _Download) -> Path | None:
    """One request; the other file that came instead of the rest, or None."""
    part, total, have = download.part, download.total, download.have
    fresh = part.with_name(part.name + ".new")
    answer = watched(_answer(download), download.host, download.timeout)
    with _told_apart(download), contextlib.closing(answer) as stream:
        head = _head(next(stream), download)
        fits = head.total in (None, total)
        if head.start and not fits:
            raise _Passing(f"the server's file has {head.total:,} bytes, not {total:,}")
        # From the beginning, though we hold a part: the longer one is kept, and a login page never replaces a part.
        target = part if fits and head.start == have else fresh
        if target == part:
            download.validator = head.validator
        download.bar.update(head.start - download.bar.n)
        try:
            _keep(stream, target, head.start, download)
        except Exception:
            _promote(fresh, download, head, fits)
            raise
    ended_short = head.total is None and _size(target) < total
    if not fits or (ended_short and (head.end_is_told or _is_page(target))):
        return target
    _promote(fresh, download, head, fits)
    return None


# The network's side


def _answer(download: _Download) -> Generator[Any, None, None]:
    """The answer with its head, then its bytes in pieces."""
    headers = {"User-Agent": "generative-ai-course", "Accept-Encoding": "identity"}
    if download.have:
        headers["Range"] = f"bytes={download.have}-"
        if download.validator:  # another version of the file then comes whole
            headers["If-Range"] = download.validator
    url = download.url
    with (
        _client(url, download.timeout) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        yield answer
        yield from answer.iter_raw()


def _client(url: str, timeout: float) -> "httpx.Client":
    import httpx

    local = urlsplit(url).hostname in _LOOPBACK

    def check(request: httpx.Request) -> None:
        """A redirect is followed only to where we would have gone in the first place."""
        if not allowed(str(request.url)):
            raise OSError(f"redirected to {request.url}, which is not https")
        if request.url.host in _LOOPBACK and not local:
            raise OSError(f"redirected to {request.url}, which is this machine")

    try:
        return httpx.Client(
            verify=_certificates(),
            proxy=_proxy(url),
            trust_env=False,  # what it says is in the two lines above
            timeout=timeout,
            follow_redirects=True,
            event_hooks={"request": [check]},
        )
    except (httpx.InvalidURL, ValueError) as error:
        raise OSError(f"the proxy's address is none ({error})") from error


def _certificates() -> ssl.SSLContext:
    """The system's certificates (SSL_CERT_FILE is heeded), and certifi's: Python from python.org on macOS has none."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _proxy(url: str) -> str | None:
    """The proxy that the environment or the system's settings want for an address, None for none.

    httpx's own search stops at ``socks://``, which some desktops set beside an HTTPS_PROXY that would do, and does not
    ask Windows and macOS which hosts go without a proxy.

    Raises:
        NoSocks: it speaks SOCKS, which needs a package that is not installed.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(str(parts.hostname)):
        return None
    kind, _, place = proxy.rpartition("://")
    if not kind.startswith("socks"):
        return f"{kind or 'http'}://{place}"
    try:
        import socksio  # noqa: F401
    except ImportError:
        raise NoSocks(f"the proxy {place.rpartition('@')[2]} speaks SOCKS") from None
    return f"{'socks5h' if kind == 'socks5h' else 'socks5'}://{place}"


def _head(answer: "httpx.Response", download: _Download) -> _Head:
    """What the head of an answer says.

    Raises:
        OSError: no bytes of the file follow.
    """
    headers, status = answer.headers, answer.status_code
    if status not in (200, 206):
        if status == 416:  # what we have is longer than the server's file
            download.part.unlink(missing_ok=True)
        words = f"the server answered {status} {answer.reason_phrase}"
        raise _Passing(words) if status in _AGAIN else OSError(words)
    etag, modified = headers.get("ETag"), headers.get("Last-Modified")
    validator = etag if etag and not etag.startswith("W/") else modified
    chunked = headers.get("Transfer-Encoding", "").lower() == "chunked"
    if status == 200:
        length = headers.get("Content-Length")
        return _Head(0, int(length) if length else None, chunked, validator)
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
    if not found or int(found[1]) != download.have:
        piece = headers.get("Content-Range")
        raise _Passing(f"the server sent another piece ({piece}) than was asked for")
    whole = None if found[2] == "*" else int(found[2])
    return _Head(download.have, whole, chunked, validator)


@contextlib.contextmanager
def _told_apart(download: _Download) -> Iterator[None]:
    """Make httpx's errors ours."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise TimeoutError(f"no answer within {download.timeout:.0f} s") from error
    except (httpx.ConnectError, httpx.ProxyError) as error:
        refused = _refused_certificate(error)
        if refused is not None:
            raise CertificateRefused(f"its certificate was refused ({refused})") from error
        raise _NoConnection(f"no connection ({error})") from error
    except httpx.HTTPError as error:
        raise _cut_off(download, str(error)) from error


def _refused_certificate(error: BaseException | None) -> str | None:
    """Why a certificate was refused, where that is the reason of an error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def _cut_off(download: _Download, reason: str) -> _Passing:
    came = f"only {download.have:,} of {download.total:,} bytes came"
    return _Passing(f"interrupted, {came} ({reason})")


# The disk's side


def _keep(stream: Iterator[bytes], target: Path, start: int, download: _Download) -> None:
    """Write what comes. One byte more than expected is kept at most: enough to know that the file is wrong."""
    left = download.total + 1 - start
    with contextlib.ExitStack() as stack:
        with _disk():
            out = stack.enter_context(open(target, "ab" if start else "wb"))
        while left and (piece := next(stream, b"")[:left]):
            with _disk():
                out.write(piece)
            download.bar.update(len(piece))
            left -= len(piece)
        with _disk():
            out.flush()
            os.fsync(out.fileno())


def _promote(fresh: Path, download: _Download, head: _Head, fits: bool) -> None:
    """What came from the beginning takes the part's place where it is longer."""
    if fits and _size(fresh) > download.have and not _is_page(fresh):
        os.replace(fresh, download.part)
        download.validator = head.validator
    fresh.unlink(missing_ok=True)


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
