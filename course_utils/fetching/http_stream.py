"""The bytes of one https answer. It says a word when nothing comes, and never waits for ever.

A thread reads from the network, so that no wait of the network's (a name service that hangs, a server that sends a
byte a minute) keeps the caller.
"""

import contextlib
import queue
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from course_utils.fetching.stall import Watch

_PIECE = 1 << 16
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def allowed(url: str) -> bool:
    """Whether the address is https, or http on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def answer_in_pieces(request: urllib.request.Request, timeout: float) -> Iterator[Any]:
    """First the answer with its head, then its bytes in pieces, as a thread of its own reads them.

    Raises:
        OSError, HTTPException: what the thread met; TimeoutError when nothing came for ``timeout`` seconds.
    """
    pipe: queue.Queue = queue.Queue(maxsize=8)
    left_alone = threading.Event()

    def put(item: Any) -> None:
        while not left_alone.is_set():
            with contextlib.suppress(queue.Full):
                return pipe.put(item, timeout=0.2)
        raise InterruptedError

    def read() -> None:
        opener = urllib.request.build_opener(
            _Redirects, urllib.request.HTTPSHandler(context=_certificates())
        )
        try:
            with opener.open(request, timeout=timeout) as answer:
                put(answer)
                while piece := answer.read1(_PIECE):
                    put(piece)
            put(None)
        except InterruptedError:
            pass
        except BaseException as error:
            with contextlib.suppress(InterruptedError):
                put(error)

    threading.Thread(target=read, daemon=True).start()
    watch = Watch(str(urlsplit(request.full_url).hostname), timeout)
    try:
        while True:
            watch.check()
            try:
                item = pipe.get(timeout=min(0.2, timeout / 4))
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            watch.heard(len(item) if isinstance(item, bytes) else None)
            yield item
    finally:
        left_alone.set()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where we would have gone in the first place."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        local = urlsplit(req.full_url).hostname in _LOOPBACK
        if not allowed(newurl) or (urlsplit(newurl).hostname in _LOOPBACK and not local):
            fp.close()
            raise urllib.error.URLError(f"redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _certificates() -> ssl.SSLContext:
    """The system's certificates, and certifi's where it is installed (Python from python.org on macOS has none)."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context
