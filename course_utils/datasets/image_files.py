"""One image file, of any usual kind, as RGB pixels of the size that was asked for."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MAX_PIXELS = 64_000_000  # of one file; more is a mistake or a decompression bomb
_MAX_BYTES = 256_000_000


def decode(file: str | Path, size: int) -> tuple[np.ndarray, str]:
    """Read one image file.

    Args:
        file: the file.
        size: height and width of the result; the shorter side is resized, then the centre is cut out.

    Returns:
        uint8 (3, size, size) in RGB, and the file's kind and own size, for example ``"JPEG 32x32"``.

    Raises:
        ValueError: too many pixels, too few, or a kind of pixel that has no plain meaning as a colour.
        OSError: not an image, or cut short.
    """
    with open(file, "rb") as handle:
        content = io.BytesIO(
            handle.read(_MAX_BYTES)
        )  # at once: Pillow reads a header in dozens of small pieces
    with Image.open(content, formats=FORMATS) as opened:
        image: Image.Image = opened
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(
                f"{width} x {height} pixels are more than {MAX_PIXELS // 1_000_000} million"
            )
        if min(width, height) < size // 2:
            raise ValueError(f"{width} x {height} pixels are too few for {size} x {size}")
        kind = f"{image.format} {width}x{height}"
        if (
            image.format != "JPEG" or "exif" in image.info
        ):  # a copy of every image is dear where 50,000 are small
            image = ImageOps.exif_transpose(image)
        rgb = _to_rgb(image)
    if rgb.size != (size, size):
        rgb = ImageOps.fit(rgb, (size, size), method=Image.Resampling.LANCZOS)
    return np.asarray(rgb).transpose(2, 0, 1), kind


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known")
    if image.mode.startswith("I"):  # 16 bits: keep the upper eight
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("32-bit pixels, whose range is not known")
        return Image.fromarray((levels >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def reason(file: str, error: Exception) -> str:
    """Why ``file`` could not be read, in a reader's words, from the error that :func:`decode` raised."""
    if isinstance(error, FileNotFoundError):
        return "a link to a file that does not exist"
    if os.path.getsize(file) == 0:
        return "an empty file"
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image that can be read, whatever its name says"
    return (
        f"damaged or cut short ({error})"
        if isinstance(error, OSError | SyntaxError)
        else str(error)
    )
