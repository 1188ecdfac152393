"""Colours and backgrounds of the stand-in's pictures. All arrays are float32; colours are RGB in [0, 1]."""

from collections.abc import Callable

import numpy as np

BACKGROUNDS = ("gradient", "stripes", "meadow", "blobs", "tiles", "hills")

_WHEEL = np.array(
    [
        (222, 52, 60), (236, 96, 48), (246, 146, 44), (250, 198, 58), (160, 198, 62), (70, 166, 84),
        (34, 156, 138), (46, 172, 206), (52, 118, 214), (88, 84, 200), (146, 80, 190), (224, 84, 150),
    ],
    dtype=np.float32,
) / np.float32(255.0)  # fmt: skip


def rgb(*levels: int) -> np.ndarray:
    """A colour from its levels 0 to 255: float32 (1, 3, 1, 1), in [0, 1]."""
    return (np.array(levels, dtype=np.float32) / np.float32(255.0)).reshape(1, 3, 1, 1)


CREAM, NIGHT = rgb(252, 244, 226), rgb(30, 36, 66)


def colour_wheel(hue: np.ndarray) -> np.ndarray:
    """Colours at places on a wheel of twelve: hue (n,), any real number, period 1 -> (n, 3, 1, 1)."""
    place = (hue - np.floor(hue)) * np.float32(12.0)
    index = np.minimum(place.astype(np.int64), 11)
    share = (place - index.astype(np.float32))[:, None]
    colour = _WHEEL[index] + share * (_WHEEL[(index + 1) % 12] - _WHEEL[index])
    return colour[:, :, None, None]


def draw_background(kind: int, axis: np.ndarray, hue: np.ndarray, detail: np.ndarray) -> np.ndarray:
    """Draw backgrounds of one kind.

    Args:
        kind: index into ``BACKGROUNDS``.
        axis: (S,), coordinates of the pixels' centres in [-1, 1].
        hue: (n,), place on the colour wheel.
        detail: (n,) int64, 24 random bits.

    Returns:
        (n, 3, S, S), RGB in [0, 1].
    """
    a, b, c = (
        (detail >> shift & 255).astype(np.float32)[:, None, None] / np.float32(255.0)
        for shift in (0, 8, 16)
    )
    x, y = axis[None, None, :], axis[None, :, None]
    pattern = _PATTERNS[kind](x, y, a, b)  # (n, S, S) in [0, 1]
    dark = (c[:, None] > np.float32(0.62)).astype(np.float32)
    base, amount = CREAM + dark * (NIGHT - CREAM), np.float32(0.52) + dark * np.float32(0.06)
    first, second = colour_wheel(hue), colour_wheel(hue + np.float32(0.14))
    first = first + amount * (base - first)
    second = (second + (amount - np.float32(0.3)) * (base - second)) * (
        np.float32(1.0) - np.float32(0.12) * dark
    )
    return first + pattern[:, None] * (second - first)


def _wave(t: np.ndarray) -> np.ndarray:
    """A soft wave of period 1 made of parabola pieces, in [0, 1]."""
    t = t - np.floor(t)
    return np.float32(4.0) * t * (np.float32(1.0) - t)


def _gradient(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    slant = (a - np.float32(0.5)) * np.float32(2.0)
    return np.clip((y + x * slant) * np.float32(0.4) + np.float32(0.5), 0.0, 1.0, dtype=np.float32)


def _stripes(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    slant = (a - np.float32(0.5)) * np.float32(4.0)
    return _wave((x + y * slant) * (np.float32(0.8) + b) + a + b) * np.float32(0.8)


def _meadow(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    horizon = np.float32(0.1) + a * np.float32(0.5)
    du, dv = x - (b - np.float32(0.5)) * np.float32(1.5), y + np.float32(0.66)
    sun = np.clip(
        (np.float32(0.24) - np.sqrt(du * du + dv * dv)) * np.float32(12.0),
        0.0,
        1.0,
        dtype=np.float32,
    )
    ground = np.clip((y - horizon) * np.float32(12.0), 0.0, 1.0, dtype=np.float32)
    return np.maximum(
        np.maximum((y + np.float32(1.0)) * np.float32(0.18), sun * np.float32(0.8)), ground
    )


def _blobs(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total = np.zeros((), np.float32)
    for k in range(3):
        cx = (_wave(a * np.float32(1.7 + k) + b) - np.float32(0.5)) * np.float32(2.0)
        cy = (_wave(b * np.float32(2.3 + k) + a) - np.float32(0.5)) * np.float32(2.0)
        du, dv = x - cx, y - cy
        total = np.maximum(total, np.float32(1.0) - (du * du + dv * dv) * np.float32(1.6 + k))
    return total


def _tiles(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    scale = np.float32(1.1) + b * np.float32(0.8)
    across, down = _wave(x * scale + a) - np.float32(0.5), _wave(y * scale + b) - np.float32(0.5)
    return np.clip(
        across * down * np.float32(10.0) + np.float32(0.5), 0.0, 1.0, dtype=np.float32
    ) * np.float32(0.7)


def _hills(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    far = np.float32(0.25) - _wave(x * np.float32(0.6) + a) * np.float32(0.7)
    near = np.float32(0.75) - _wave(x * np.float32(0.45) + b) * np.float32(0.6)
    level = np.clip((y - far) * np.float32(14.0), 0.0, 1.0, dtype=np.float32) * np.float32(0.5)
    return level + np.clip((y - near) * np.float32(14.0), 0.0, 1.0, dtype=np.float32) * np.float32(
        0.5
    )


_PATTERNS: tuple[Callable[..., np.ndarray], ...] = (
    _gradient,
    _stripes,
    _meadow,
    _blobs,
    _tiles,
    _hills,
)
