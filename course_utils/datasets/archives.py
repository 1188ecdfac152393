"""Members of a tar archive that may be damaged or hostile: read as a stream, nothing unpacked to disk, nothing run."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

FAILURES = (
    OSError,
    EOFError,
    ValueError,
    RecursionError,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
)
"""What `read_members` raises for an archive that is not whole, not an archive, or too large."""

_NOTE = 1 << 16  # bytes of a header's extension (a long name, for example)
_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


@dataclass(frozen=True)
class Limits:
    """What an archive of a data set may have at most.

    Attributes:
        members: files, folders and all else.
        wanted: bytes of one wanted member.
        unpacked: bytes of all members with their headers.
    """

    members: int
    wanted: int
    unpacked: int


def read_members(path: Path, wanted: Callable[[str], bool], limits: Limits) -> dict[str, bytes]:
    """The regular files of an archive whose names are wanted: name -> content.

    Links, devices, absolute names and names with ``..`` are passed over. Where a name comes twice the last one counts,
    as if the archive had been unpacked.

    Args:
        path: a tar archive, plain or compressed by gzip, bzip2 or xz.
        wanted: tells whether a name is wanted.
        limits: what the archive may have at most.

    Raises:
        FAILURES: the archive is damaged, cut short, or larger in any way than the limits.
    """
    found = {}
    with _open(path) as file:
        stream: Any = _Stream(file, limits.unpacked)  # tarfile asks it for nothing but `read`
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
            for count, member in enumerate(archive):
                if count >= limits.members:
                    raise tarfile.ReadError(f"more than {limits.members:,} members")
                asked = member.isreg() and _harmless(member.name) and wanted(member.name)
                # What is passed over is unpacked, too.
                limit = limits.wanted if asked else limits.unpacked
                if not 0 <= member.size <= limit:
                    raise tarfile.ReadError(
                        f"{member.name[:100]} claims {member.size:,} bytes; at most {limit:,}"
                    )
                if asked and (content := archive.extractfile(member)):
                    found[member.name] = content.read()
        if stream.last[-tarfile.BLOCKSIZE :].strip(
            b"\0"
        ):  # tarfile takes an end without a mark for a good end
            raise tarfile.ReadError("it was cut short")
        while stream.read(1 << 16):  # to the end, where gzip, bzip2 and xz keep their check sums
            pass
    return found


class _Header(tarfile.TarInfo):
    """A header whose extension is not read where it claims to be long: tarfile would hold all of it in memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The header in a block of 512 bytes."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENSIONS and not 0 <= header.size <= _NOTE:
            raise tarfile.ReadError(f"a header claims {header.size:,} bytes")
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("it holds files with holes")
        return header


class _Stream:
    """The unpacked bytes of an archive; more than the limit is an error."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self.file, self.limit, self.count, self.last = file, limit, 0, b""

    def read(self, size: int) -> bytes:
        """The next bytes, at most ``size``."""
        piece = self.file.read(size)
        self.count += len(piece)
        if self.count > self.limit:
            raise tarfile.ReadError(f"it has more than {self.limit:,} bytes unpacked")
        self.last = piece or self.last
        return piece


def _open(path: Path) -> BinaryIO:
    with open(path, "rb") as file:
        head = file.read(6)
    return next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), _plain)(
        path
    )


def _plain(path: Path) -> BinaryIO:
    return open(path, "rb")


def _harmless(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")
