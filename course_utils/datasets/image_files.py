"""One image file, of any kind that Pillow reads, as RGB pixels of the size that was asked for."""

import io
import os
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 64_000_000  # of one file; more is a mistake or a decompression bomb
NO_PICTURE = "no picture"
HEIC = "HEIC, which needs: pip install pillow-heif, then a new start of the kernel"
FOREIGN = "a kind of picture that Pillow cannot read, to be saved as JPEG or PNG"
ARCHIVE = "archive, to be unpacked"
SEVERAL = "hold several pictures, an animation or pages; the first of each is used"

_MAX_BYTES = 256_000_000
_USUAL = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # asked first, since each is asked in turn
_NEVER = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}  # start other programs, or are only named
_HEIC_SUFFIXES = {".heic", ".heif", ".hif"}
_FOREIGN_SUFFIXES = {
    *(".avif", ".webp", ".jp2", ".jxl", ".svg", ".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef"),
    *(".nrw", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
}
_ARCHIVE_SUFFIXES = {".zip", ".tar", ".tgz", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar"}
_FILE_TYPE = re.compile(r"\.[a-z][a-z0-9]{0,7}")  # "IMG.1", "a.jpg_large", "3.05.2021" have none
_ZEROS = bytes(64)  # in a row: what a broken copy leaves, and no compressed picture has


class Decoded(NamedTuple):
    """One picture: uint8 (3, size, size) in RGB; the file's kind and own size; what a reader should know, or ""."""

    pixels: np.ndarray
    kind: str
    note: str = ""


class Kinds(NamedTuple):
    """What this machine's Pillow reads: suffix -> format, and the formats that are known by a file's first bytes."""

    by_suffix: dict[str, str]
    by_content: tuple[str, ...]


@cache
def kinds() -> Kinds:
    """The kinds of picture that can be read here; HEIC where `pillow_heif` is installed."""
    try:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    except ImportError:
        pass
    Image.init()
    read = [name for name in Image.OPEN if name not in _NEVER]
    by_suffix = {s: f for s, f in Image.registered_extensions().items() if f in {*read, "MPO"}}
    signed = [name for name in read if Image.OPEN[name][1] is not None]
    return Kinds(by_suffix, tuple(sorted(signed, key=lambda name: (name not in _USUAL, name))))


def why_not(path: str) -> str | None:
    """Why a file is not meant as a picture, or None: the suffix tells, or where there is none the content."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in kinds().by_suffix:
        return None
    if suffix in _HEIC_SUFFIXES:
        return HEIC
    if suffix in _FOREIGN_SUFFIXES:
        return FOREIGN
    if suffix in _ARCHIVE_SUFFIXES:
        return ARCHIVE
    if _FILE_TYPE.fullmatch(suffix):
        return NO_PICTURE
    try:
        with Image.open(path, formats=kinds().by_content):
            return None
    except Exception:  # whatever a decoder says of something else
        return HEIC if _is_heic(_head(path)) else NO_PICTURE


def decode(file: str | Path, size: int) -> Decoded:
    """Read one image file.

    Grey, palette, CMYK and 16-bit pictures become RGB, transparency becomes white, EXIF orientation is followed, and of
    an animation the first picture is taken. Colour profiles are not applied.

    Args:
        file: the file.
        size: height and width of the result; the shorter side is resized, then the centre is cut out.

    Raises:
        ValueError: too many pixels, too few, or a kind of pixel that has no plain meaning as a colour.
        OSError: not an image, or cut short.
    """
    with open(file, "rb") as handle:
        # At once: Pillow reads a header in dozens of small pieces.
        content = handle.read(_MAX_BYTES)
    by_suffix, formats = kinds()
    named = by_suffix.get(os.path.splitext(file)[1].lower())
    if named in Image.OPEN and named not in formats:
        formats = (*formats, named)
    with Image.open(io.BytesIO(content), formats=formats) as opened:
        image: Image.Image = opened
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(
                f"{width} x {height} pixels are more than {MAX_PIXELS // 1_000_000} million"
            )
        if min(width, height) < size // 2:
            raise ValueError(f"{width} x {height} pixels are too few for {size} x {size}")
        kind, note = f"{image.format} {width}x{height}", _note(image)
        if cut := _cut_short(content, image.format):
            raise OSError(cut)
        bits = _bits(image)
        # A copy of every image is dear where 50,000 are small.
        if image.format != "JPEG" or {"exif", "xmp"} & image.info.keys():
            image = ImageOps.exif_transpose(image)
        rgb = _to_rgb(image, bits)
    if rgb.size != (size, size):
        rgb = ImageOps.fit(rgb, (size, size), method=Image.Resampling.LANCZOS)
    return Decoded(np.asarray(rgb).transpose(2, 0, 1), kind, note)


def reason(file: str, error: Exception) -> str:
    """Why ``file`` could not be read, in a reader's words, from the error that :func:`decode` raised."""
    if isinstance(error, FileNotFoundError):
        return "a link to a file that does not exist"
    if isinstance(error, PermissionError):
        return "a file that may not be read"
    if isinstance(error, Image.UnidentifiedImageError):
        return _unidentified(_head(file))
    if isinstance(error, OSError | SyntaxError):
        return f"damaged or cut short ({error})"
    return str(error)


def _note(image: Image.Image) -> str:
    """Layers, and the previews that cameras put into MPO files, are no animation."""
    several = image.format not in ("MPO", "PSD") and getattr(image, "is_animated", False)
    return SEVERAL if several else ""


def _bits(image: Image.Image) -> int:
    """How many bits a grey level has; 12 only where a TIFF file says so, since Pillow leaves those unscaled."""
    bits = getattr(image, "tag_v2", {}).get(258, (16,))
    return 12 if bits == (12,) or bits == 12 else 16


def _to_rgb(image: Image.Image, bits: int = 16) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        image.load()
        return image
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known")
    if image.mode.startswith("I"):  # keep the upper eight bits
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("32-bit pixels, whose range is not known")
        if bits == 16 and 0 < levels.max() < 4096:
            raise ValueError(
                f"16-bit pixels that end at {levels.max():,} of 65,535, as 12-bit ones do: nearly black as they are; "
                "save it with 8 bits"
            )
        return Image.fromarray((levels >> (bits - 8)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _head(file: str) -> bytes:
    try:
        with open(file, "rb") as handle:
            return handle.read(32)
    except OSError:
        return b""


def _is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in (
        b"heic",
        b"heix",
        b"hevc",
        b"heim",
        b"mif1",
        b"msf1",
    )


def _unidentified(head: bytes) -> str:
    if not head:
        return "an empty file"
    if _is_heic(head) and "HEIF" not in Image.OPEN:
        return "a HEIC picture, whatever its name says; to read it: pip install pillow-heif, then start the kernel anew"
    for name in _USUAL:
        accept = Image.OPEN[name][1]
        if accept and accept(head) is True:
            return f"begins like {name}, but is damaged or of a kind that Pillow cannot read"
    return "not an image that can be read, whatever its name says"


# What Pillow shows as a picture with a grey half


def _cut_short(content: bytes, kind: str | None) -> str:
    """What is missing in a file that a decoder takes for whole; an empty text where nothing is."""
    if kind in ("JPEG", "MPO"):
        return _cut_jpeg(content)
    if kind in ("WEBP", "AVIF", "JPEG2000") and content.endswith(_ZEROS):
        return "its end is zeros"
    return ""


def _cut_jpeg(content: bytes) -> str:
    """A decoder fills up with grey where data end early, and reads zeros as data."""
    whole = content.endswith(b"\xff\xd9")
    if whole and _ZEROS not in content:
        return ""
    start, zeros_are_data = _jpeg_data(content)
    end = content.find(b"\xff\xd9", start)
    if end < 0:
        return "its end is missing"
    if _ZEROS in content[start:end] and not zeros_are_data:
        return "a part of it is zeros"
    return ""


def _jpeg_data(content: bytes) -> tuple[int, bool]:
    """Where the compressed pixels begin, and whether zero bits may fill them.

    They may in a flat area, where the shortest code of every table means "as before"; in a progressive file always.
    """
    at, plain, shortest = 2, False, []
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        segment = content[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDA:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            plain = marker in (0xC0, 0xC1)
        while marker == 0xC4 and len(segment) > 17:
            shortest.append(segment[17])
            segment = segment[17 + sum(segment[1:17]) :]
    return at, not plain or not any(shortest)
