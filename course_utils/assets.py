"""Data sets and weights that the course fetches: a file is used only when its size and SHA-256 are the pinned ones.

``fetch`` is one chain: what is in the cache and right is returned; otherwise the addresses are tried in turn, each into
a file of its own beside the destination; only a verified file gets the final name. Correctness needs no lock.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course_utils import downloads
from course_utils.errors import CourseError
from course_utils.paths import cache_dir, data_dir

_SPARE = 64 << 20  # bytes that are left free on the disk


@dataclass(frozen=True)
class Asset:
    """One file of ``data/manifest.toml``.

    Attributes:
        name: what ``fetch`` calls it.
        file: its name in the cache folder.
        urls: addresses, tried in turn.
        bytes: its size.
        sha256: its digest, 64 hexadecimal digits.
        licence: its terms, in words.
        citation: whom to cite.
        md5: the sum that its authors publish, where they do; for people to compare, not used by the program.
        note: what a reader should know before fetching it.
        lessons: the lessons that fetch it at tier ``gpu``.
        setup: whether the installation fetches it with the environment, so that no lesson has to.
        instead: what a lesson does without it, for the message when it cannot be had.
    """

    name: str
    file: str
    urls: tuple[str, ...]
    bytes: int
    sha256: str
    licence: str
    citation: str
    md5: str = ""
    note: str = ""
    lessons: tuple[str, ...] = ()
    setup: bool = False
    instead: str = ""


def manifest() -> dict[str, Asset]:
    """The assets of ``data/manifest.toml`` by name."""
    with open(data_dir() / "manifest.toml", "rb") as file:
        entries = tomllib.load(file)
    lists = ("urls", "lessons")
    return {
        name: Asset(name=name, **{key: tuple(value) if key in lists else value for key, value in entry.items()})
        for name, entry in entries.items()
    }


def fetch(name: str) -> Path:
    """The path of an asset in the cache; downloaded first where it is missing or damaged.

    Every call reads the file and compares its digest (170 MB take about a quarter of a second).

    Args:
        name: a name of ``data/manifest.toml``, for example ``"cifar10"``.

    Returns:
        A file of the pinned size and digest, in ``cache_dir()``.

    Raises:
        CourseError: unknown name, not enough disk, no address reached, or none gave the right file.
    """
    asset = _lookup(name)
    path = cached(name)
    if path is not None:
        return path
    path = cache_dir() / asset.file
    _check_disk(asset, path.parent)
    print(f"Fetching {asset.file}, {_size(asset.bytes)}{f' ({asset.note})' if asset.note else ''}.", flush=True)
    failures = []
    for url in asset.urls:
        failure = _try(asset, url, path)
        if failure is None:
            return path
        failures.append(f"{downloads.host(url)}: {failure}")
        print(f"{failures[-1]}.", flush=True)
    raise _no_mirror(asset, failures)


def cached(name: str) -> Path | None:
    """The path of an asset that is in the cache and right, else None. Nothing is downloaded.

    A damaged file is moved to the folder ``quarantine`` beside it, and a printed line says so.

    Raises:
        CourseError: unknown name.
    """
    asset = _lookup(name)
    path = cache_dir() / asset.file
    if not path.is_file():
        return None
    fault = _fault(asset, path)
    if fault is None:
        return path
    print(f"{asset.file} in the cache is damaged: {fault}. It was moved to {_quarantine(asset, path)}.", flush=True)
    return None


def verify(name: str, path: Path) -> None:
    """Prove that the file at ``path``, wherever it lies, is the asset ``name``.

    Raises:
        CourseError: unknown name, or another size or digest; the message says what the file looks like.
    """
    asset = _lookup(name)
    fault = _fault(asset, path)
    if fault is not None:
        raise CourseError(
            "asset-wrong-file",
            f"{path} is not {asset.file}: {fault}.",
            f"Only the file with SHA-256 {asset.sha256[:16]}... and {asset.bytes:,} bytes is read.",
            f'Remove it, then: from course_utils import assets; assets.fetch("{name}")',
        )


# Download


def _try(asset: Asset, url: str, path: Path) -> str | None:
    """Download from one address. None when the right file is at ``path``, else what went wrong."""
    if not downloads.allowed(url):
        return "the address is not https"
    handle, name = tempfile.mkstemp(prefix=f".{asset.file}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        downloads.download(url, part, asset.bytes)
        fault = _fault(asset, part)
        if fault is not None:
            return f"{fault}; kept in {_quarantine(asset, part)}"
        os.chmod(part, 0o644)
        os.replace(part, path)
        return None
    except downloads.FAILURES as error:
        return downloads.explain(error)
    finally:
        part.unlink(missing_ok=True)


# Checks


def _fault(asset: Asset, path: Path) -> str | None:
    """None where the file is the asset, else what it looks like."""
    size = path.stat().st_size
    if size == asset.bytes and _sha256(path) == asset.sha256:
        return None
    with open(path, "rb") as file:
        head = file.read(512).lstrip().lower()
    if not size:
        return "an empty file"
    if head.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page instead of the file, perhaps the login page of a network"
    if size < asset.bytes:
        return f"only {size:,} of {asset.bytes:,} bytes, so it was cut short or is another file"
    if size > asset.bytes:
        return f"more than {asset.bytes:,} bytes, so it is another file"
    return f"{size:,} bytes as expected, but with another content (SHA-256 does not match)"


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _quarantine(asset: Asset, path: Path) -> Path:
    """Move a wrong file out of the way; the newest one of each asset is kept, for people to look at."""
    place = cache_dir() / "quarantine" / asset.file
    place.parent.mkdir(exist_ok=True)
    os.replace(path, place)
    return place


def _check_disk(asset: Asset, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < asset.bytes + _SPARE:
        raise CourseError(
            "asset-disk-full",
            f"{asset.file} needs {_size(asset.bytes + _SPARE)} and {_size(free)} are free in {folder}.",
            "A download that fills the disk would stop half-way and take your own work's room.",
            f"Free some space, or use another disk: import os; os.environ['COURSE_CACHE'] = '/path/on/another/disk' "
            f'before you run: from course_utils import assets; assets.fetch("{asset.name}")',
        )


def _lookup(name: str) -> Asset:
    assets = manifest()
    if name not in assets:
        raise CourseError(
            "asset-unknown",
            f"The course has no asset {name!r}.",
            f"data/manifest.toml lists: {', '.join(assets)}.",
            f'from course_utils import assets; assets.fetch("{next(iter(assets))}")',
        )
    return assets[name]


def _no_mirror(asset: Asset, failures: list[str]) -> CourseError:
    return CourseError(
        "asset-not-fetched",
        f"{asset.file} could not be fetched. {'; '.join(failures)}.",
        "There is no network, the hosts are down, or something between you and them changes the file.",
        f'When you are online: from course_utils import assets; assets.fetch("{asset.name}"). Or put {asset.file}, '
        f"got in any other way, into {cache_dir()}; it is checked there. {asset.instead}".strip(),
    )


def _size(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


# The command ``python -m course_utils.assets``


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch the named assets, or with ``--setup`` all that belong to the environment; returns the exit code.

    What is there already and right is not fetched again.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    known = manifest()
    if not arguments or set(arguments) - {*known, "--setup"}:
        print(f"usage: python -m course_utils.assets --setup | NAME ...\n  names: {', '.join(known)}")
        return 2
    wanted = [name for name, asset in known.items() if name in arguments or ("--setup" in arguments and asset.setup)]
    failed = 0
    for name in wanted:
        try:
            print(f"{name}: {fetch(name).name} is in the cache.", flush=True)
        except CourseError as error:
            print(error, file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
