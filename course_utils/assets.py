"""Data sets and weights that the course fetches: a file is used only when its size and SHA-256 are the pinned ones.

``fetch`` is one chain: what is in the cache and right is returned; otherwise `mirrors` brings it. Only a verified file
gets the final name.
"""

import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.fetching import mirrors
from course_utils.fetching.pinned_file import Asset, fault, in_place
from course_utils.paths import cache_dir, cache_places, data_dir, say_once


def manifest() -> dict[str, Asset]:
    """The assets of ``data/manifest.toml`` by name."""
    with open(data_dir() / "manifest.toml", "rb") as file:
        entries = tomllib.load(file)
    return {name: Asset(name=name, **_tuples(entry)) for name, entry in entries.items()}


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(value) if isinstance(value, list) else value for k, value in entry.items()}


def fetch(name: str) -> Path:
    """The path of an asset in the cache; downloaded first where it is missing or damaged.

    Every call reads the file and compares its digest (170 MB take about a quarter of a second).

    Args:
        name: a name of ``data/manifest.toml``, for example ``"cifar10"``.

    Returns:
        A file of the pinned size and digest, in one of ``cache_places()``.

    Raises:
        CourseError: unknown name, not enough disk, no address reached, or none gave the right file.
    """
    asset = _lookup(name)
    path = cached(name)
    if path is not None:
        return path
    path = cache_dir() / asset.file
    mirrors.fetch(asset, path)
    return path


def cached(name: str) -> Path | None:
    """The path of an asset that is in the cache and right, else None. Nothing is downloaded.

    A damaged file is moved to the folder ``quarantine`` beside it, and a printed line says so; in a read-only cache it
    stays, and counts as missing.

    Raises:
        CourseError: unknown name.
    """
    asset = _lookup(name)
    own, *shared = (place / asset.file for place in cache_places())
    if own.is_file() and in_place(asset, own):
        return own
    return next((path for path in shared if path.is_file() and not fault(asset, path)), None)


def at_hand(name: str) -> Path | None:
    """The path of an asset that belongs to the environment, else None.

    Usually set-up has fetched it, and nothing is downloaded here. On Colab there is no set-up (``COURSE_FETCH_SETUP``
    is set), so that it is fetched when it is first asked for; without a network a printed line says so, once.

    Raises:
        CourseError: unknown name.
    """
    path = cached(name)
    if path is None and os.environ.get("COURSE_FETCH_SETUP") == "1" and _lookup(name).setup:
        try:
            path = fetch(name)
        except CourseError as error:
            say_once(str(error))
    return path


def verify(name: str, path: Path) -> None:
    """Prove that the file at ``path``, wherever it lies, is the asset ``name``.

    Raises:
        CourseError: unknown name, or another size or digest; the message says what the file looks like.
    """
    asset = _lookup(name)
    found = fault(asset, path)
    if found is not None:
        raise CourseError(
            "asset-wrong-file",
            f"{path} is not {asset.file}: {found}.",
            f"Only the file with SHA-256 {asset.sha256[:16]}... and {asset.bytes:,} bytes is read.",
            f'Fetch the right one into the cache: from course_utils import assets; assets.fetch("{name}")',
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


# The command ``python -m course_utils.assets``


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch the named assets, or with ``--setup`` all that belong to the environment; returns the exit code.

    What is there already and right is not fetched again.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    known = manifest()
    if not arguments or set(arguments) - {*known, "--setup"}:
        print(
            f"usage: python -m course_utils.assets --setup | NAME ...\n  names: {', '.join(known)}"
        )
        return 0 if arguments in (["-h"], ["--help"]) else 2
    wanted = [
        name
        for name, asset in known.items()
        if name in arguments or ("--setup" in arguments and asset.setup)
    ]
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
