"""One pinned file: what it must be, what a wrong one looks like, and where wrong ones go."""

import hashlib
import os
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path


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


def fault(asset: Asset, path: Path) -> str | None:
    """None where the file is the asset, else what it looks like.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return _fault(asset, file)


def in_place(asset: Asset, path: Path) -> bool:
    """Whether the asset is at ``path``, where other programs may put it at the same time.

    A wrong file is moved away, and a printed line says so.
    """
    try:
        with open(path, "rb") as file:
            found = _fault(asset, file)
            if found is None:
                return True
            # Another program may have put the right file here since it was opened.
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return in_place(asset, path)
        kept = quarantine(asset, path)
    except FileNotFoundError:
        return False
    print(f"{asset.file} in the cache is damaged: {found}. It was moved to {kept}.", flush=True)
    return False


def quarantine(asset: Asset, path: Path) -> Path:
    """Move a wrong file into ``quarantine`` beside it; the newest one of each asset is kept, for people to look at."""
    place = path.parent / "quarantine" / asset.file
    place.parent.mkdir(exist_ok=True)
    os.replace(path, place)
    return place


def size_text(count: int) -> str:
    """A number of bytes as MiB."""
    return f"{count / 2**20:,.0f} MiB"


def _fault(asset: Asset, file: BufferedReader) -> str | None:
    size = os.fstat(file.fileno()).st_size
    if size == asset.bytes and hashlib.file_digest(file, "sha256").hexdigest() == asset.sha256:
        return None
    file.seek(0)
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
