"""From the addresses of an asset to a verified file: in turn, going on where a cut or a killed program stopped.

Programs that want the same file at the same time take turns (`locks`), which saves bandwidth and nothing else: each
verifies what it has before the file gets its name, and whoever has no turn works in a file of its own.
"""

import errno
import os
import shutil
import tempfile
import time
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.fetching import downloads
from course_utils.fetching.locks import turn
from course_utils.fetching.pinned_file import Asset, fault, in_place, quarantine, size_text
from course_utils.paths import fsync_folder

_SPARE = 64 << 20  # bytes that are left free on the disk
_STALE = 86_400.0  # seconds after which what killed programs left behind is removed


def fetch(asset: Asset, path: Path) -> None:
    """Bring the asset to ``path``, which is in the cache folder.

    Raises:
        CourseError: not enough disk, no address reached, or none gave the right file.
    """
    part = path.parent / f".{asset.file}.part"

    def progress() -> int | None:
        return None if path.exists() else _size(part)

    def waiting() -> None:
        so_far = f"{size_text(_size(part))} of {size_text(asset.bytes)} so far"
        print(f"Another program is fetching {asset.file} ({so_far}); waiting for it.", flush=True)

    with turn(path.parent / f".{asset.file}.lock", progress, waiting) as alone:
        if in_place(asset, path) is None:
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


def _from_mirrors(asset: Asset, part: Path, path: Path) -> None:
    """Round after round, as long as a round brings at least a hundredth of the file."""
    failures: dict[str, str] = {}
    while True:
        before = _size(part)
        for url in asset.urls:
            failure = _try(asset, url, part, path)
            if failure is None:
                return
            failures[url] = f"{downloads.host(url)}: {failure}"
            print(f"{failures[url]}.", flush=True)
        if _size(part) < before + max(1, asset.bytes // 100):
            raise _no_mirror(asset, list(failures.values()), part)


def _try(asset: Asset, url: str, part: Path, path: Path) -> str | None:
    """Download from one address. None when the right file is at ``path``, else what went wrong."""
    if not downloads.allowed(url):
        return "the address is not https"
    for _ in range(2):
        try:
            file, joined = downloads.download(url, part, asset.bytes)
        except downloads.FAILURES as error:
            return downloads.explain(error)
        except downloads.CannotKeep as error:
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
    return f"{found}; kept in {kept}"


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


def _no_mirror(asset: Asset, failures: list[str], part: Path) -> CourseError:
    kept = ""
    if _size(part) * 100 >= asset.bytes:
        kept = f" What came so far ({size_text(_size(part))}) is kept, and the next try goes on from it."
    else:
        part.unlink(missing_ok=True)
    return CourseError(
        "asset-not-fetched",
        f"{asset.file} could not be fetched. {'; '.join(failures)}.",
        f"There is no network, the hosts are down, or something between you and them changes the file.{kept}",
        f'When you are online: from course_utils import assets; assets.fetch("{asset.name}"). Or put {asset.file}, '
        f"got in any other way, into {part.parent}; it is checked there. {asset.instead}".strip(),
    )
