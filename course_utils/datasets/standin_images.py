"""The offline stand-in for CIFAR-10: ten kinds of small drawn objects whose factors are all known.

Pictures are equal byte for byte on every machine. Random numbers come from an integer hash, and a picture uses only
operations that IEEE 754 rounds in one way (``+ - * /``, square root, comparisons), one NumPy call at a time.
Sines come from a polynomial of our own, because the mathematical libraries of two systems differ in the last bit.
"""

import numpy as np

from course_utils.datasets.standin_backgrounds import BACKGROUNDS, draw_background
from course_utils.datasets.standin_objects import CLASSES, draw_object
from course_utils.errors import CourseError

NAME = "drawn stand-in (not CIFAR-10)"
SEEDS = {"train": 1, "test": 2}
COUNTS = {"train": 10_000, "test": 2_000}

# Ranges from which factors are drawn, evenly and independently of each other.
RANGES = {
    "hue": (0.0, 1.0),  # place on the colour wheel: 0 red, 1/3 green, 2/3 blue
    "size": (0.58, 0.9),  # radius of the object, in half sides of the picture
    "x": (-0.28, 0.28),  # centre of the object, in half sides, to the right
    "y": (-0.24, 0.24),  # the same, downwards
    "angle": (-30.0, 30.0),  # degrees, clockwise
    "background_hue": (0.0, 1.0),
}
_CHUNK = 64  # pictures drawn together: their arrays fit in a processor's cache


def render(count: int, seed: int, size: int = 32) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw ``count`` pictures with factors chosen at random.

    Picture ``i`` of a seed is the same however many are drawn.

    Args:
        count: how many, at least 1.
        seed: any whole number from 0; another seed gives other pictures.
        size: height and width in pixels, 8 to 256.

    Returns:
        images: uint8, shape (count, 3, size, size), RGB.
        factors: see :func:`make_factors`.

    Raises:
        CourseError: a count, seed or size out of range.
    """
    factors = make_factors(count, seed)
    return draw(factors, size), factors


def make_factors(count: int, seed: int) -> dict[str, np.ndarray]:
    """Choose the factors of ``count`` pictures; every ten pictures in a row hold each class once.

    Args:
        count: how many, at least 1.
        seed: any whole number from 0.

    Returns:
        Arrays of shape (count,): ``class`` (int64, 0 to 9, see ``CLASSES``), ``hue``, ``size``, ``x``, ``y``,
        ``angle``, ``background_hue`` (float64, see ``RANGES``), ``background`` (int64, see ``BACKGROUNDS``) and
        ``detail`` (int64, 0 to 2**24 - 1: chooses phase, direction and lightness of the background).

    Raises:
        CourseError: a count or seed out of range.
    """
    _check_whole("count", count, 1, 10_000_000)
    _check_whole("seed", seed, 0, 2**63 - 1)
    blocks = -(-count // 10)
    keys = random_bits(seed, 0, 10 * blocks).reshape(blocks, 10)
    factors: dict[str, np.ndarray] = {
        "class": np.argsort(keys, axis=1, kind="stable").reshape(-1)[:count].astype(np.int64)
    }
    for stream, (name, (low, high)) in enumerate(RANGES.items(), start=1):
        uniform = (random_bits(seed, stream, count) >> np.uint64(40)).astype(np.float64) / 2.0**24
        factors[name] = low + (high - low) * uniform
    factors["background"] = (random_bits(seed, 7, count) % np.uint64(len(BACKGROUNDS))).astype(
        np.int64
    )
    factors["detail"] = (random_bits(seed, 8, count) >> np.uint64(40)).astype(np.int64)
    return factors


def draw(factors: dict[str, np.ndarray], size: int = 32) -> np.ndarray:
    """Draw the pictures that ``factors`` describe; the same factors always give the same pictures.

    Change one array of a set of factors to see that factor alone change.

    Args:
        factors: arrays of shape (N,), as :func:`make_factors` returns them.
        size: height and width in pixels, 8 to 256; a larger picture shows the same scene more finely.

    Returns:
        uint8, shape (N, 3, size, size), RGB.

    Raises:
        CourseError: a factor is missing, of another length, not finite, or not a known class or background.
    """
    _check_whole("size", size, 8, 256)
    factors = _checked(factors)
    out = np.empty((len(factors["class"]), 3, size, size), dtype=np.uint8)
    for label in range(len(CLASSES)):
        for kind in range(len(BACKGROUNDS)):
            rows = np.flatnonzero((factors["class"] == label) & (factors["background"] == kind))
            for start in range(0, len(rows), _CHUNK):
                part = rows[start : start + _CHUNK]
                out[part] = _draw_chunk(
                    label, kind, {name: value[part] for name, value in factors.items()}, size
                )
    return out


def random_bits(seed: int, stream: int, count: int) -> np.ndarray:
    """Random 64-bit numbers that depend on (seed, stream, position) alone.

    Args:
        seed: whole number from 0.
        stream: whole number from 0; numbers of two streams have nothing in common.
        count: how many.

    Returns:
        uint64, shape (count,).

    Source: the finaliser of SplitMix64; Steele, Lea and Flood (2014), "Fast splittable pseudorandom number
    generators", OOPSLA, figure 16.
    """
    key = _mix(_mix(np.array([seed], dtype=np.uint64)) + np.array([stream], dtype=np.uint64))
    return _mix(key + np.arange(count, dtype=np.uint64))


def permutation(count: int, seed: int) -> np.ndarray:
    """A fixed shuffle of ``range(count)``: int64, shape (count,), the same on every machine and in every version."""
    return np.argsort(random_bits(seed, 9, count), kind="stable").astype(np.int64)


def _mix(z: np.ndarray) -> np.ndarray:
    z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(
        0x9E3779B97F4A7C15
    )  # wraps at 2**64, as it should
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _draw_chunk(label: int, kind: int, factors: dict[str, np.ndarray], size: int) -> np.ndarray:
    """Pictures of one class on one kind of background: uint8 (n, 3, size, size)."""
    axis = ((np.arange(size, dtype=np.float64) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
    canvas = draw_background(
        kind, axis, factors["background_hue"].astype(np.float32), factors["detail"]
    )
    sine, cosine = (_column(value) for value in sine_cosine(factors["angle"]))
    radius = _column(factors["size"])
    dx, dy = (
        axis[None, None, :] - _column(factors["x"]),
        axis[None, :, None] - _column(factors["y"]),
    )
    u = dx * (cosine / radius) + dy * (sine / radius)
    v = dy * (cosine / radius) - dx * (sine / radius)
    pixel = np.float32(2.0 / size) / radius
    draw_object(label, canvas, u, v, pixel, factors["hue"].astype(np.float32))
    canvas *= np.float32(255.0)
    canvas += np.float32(0.5)
    return np.clip(canvas, 0.0, 255.0, out=canvas).astype(np.uint8)


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[:, None, None]


def sine_cosine(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of angles in [-180, 180] degrees, float64, within 1e-6, equal on every machine.

    Source: the Taylor series about 0, to the terms of order 19 and 20.
    """
    x = degrees * (3.141592653589793 / 180.0)
    square = x * x
    sine, cosine = np.ones_like(x), np.ones_like(x)
    for k in range(18, 0, -2):
        sine = 1.0 - sine * square / (k * (k + 1))
    for k in range(20, 0, -2):
        cosine = 1.0 - cosine * square / (k * (k - 1))
    return x * sine, cosine


def _checked(factors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = ["class", *RANGES, "background", "detail"]
    missing = [name for name in names if name not in factors]
    if missing:
        raise _bad_factor(f"The factors lack {', '.join(missing)}.")
    arrays = {name: np.atleast_1d(np.asarray(factors[name], dtype=np.float64)) for name in names}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise _bad_factor(f"The factors have different lengths: {lengths}.")
    limits = {"class": len(CLASSES) - 1, "background": len(BACKGROUNDS) - 1, "detail": 2**24 - 1}
    for name, array in arrays.items():
        low, high = (0, limits[name]) if name in limits else (-180.0, 180.0)
        bad = np.flatnonzero(
            ~((array >= low) & (array <= high)) | ((name == "size") & (array <= 0))
        )
        if len(bad):
            raise _bad_factor(
                f"Factor {name!r} is {array[bad[0]]} at index {bad[0]}; {low} to {high} can be drawn."
            )
    return {
        name: array.astype(np.int64) if name in limits else array for name, array in arrays.items()
    }


def _bad_factor(what: str) -> CourseError:
    return CourseError(
        "standin-factors",
        what,
        "A picture is drawn from all of its factors, and each has a range.",
        "Start from factors = standin_images.make_factors(count=16, seed=1) and change one array of it.",
    )


def _check_whole(name: str, value: int, low: int, high: int) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or not low <= value <= high
    ):
        raise CourseError(
            f"standin-{name}",
            f"{name} is {value!r}.",
            f"The stand-in needs a whole number from {low} to {high}.",
            "For example: images, factors = standin_images.render(count=100, seed=1, size=32)",
        )
