"""The ten objects of the stand-in's pictures, as signed distances and colours.

All arrays are float32. Distances and coordinates are in object radii: an object fills about [-1, 1] x [-1, 1], ``u`` to
the right and ``v`` downwards; a distance is negative inside. Colours are RGB in [0, 1].
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from course_utils.datasets.standin_backgrounds import CREAM, colour_wheel, rgb

CLASSES = ("ball", "boat", "car", "fish", "flower", "heart", "house", "mushroom", "star", "tree")

Layer = tuple[np.ndarray, np.ndarray]  # distance (n, S, S), colour (n or 1, 3, 1, 1)

_WHITE, _INK = rgb(255, 255, 255), rgb(38, 36, 48)
_BARK, _LEAF, _GLASS = rgb(122, 82, 52), rgb(62, 140, 70), rgb(186, 224, 242)
_GOLD, _SILVER = rgb(255, 208, 70), rgb(206, 210, 216)


def _disc(u: np.ndarray, v: np.ndarray, x: float, y: float, r: float) -> np.ndarray:
    du, dv = u - np.float32(x), v - np.float32(y)
    return np.sqrt(du * du + dv * dv) - np.float32(r)


def _oval(u: np.ndarray, v: np.ndarray, x: float, y: float, a: float, b: float) -> np.ndarray:
    """About the distance to an ellipse with half axes a and b: exact on the edge, scaled near it."""
    du, dv = (u - np.float32(x)) * np.float32(1 / a), (v - np.float32(y)) * np.float32(1 / b)
    return (np.sqrt(du * du + dv * dv) - np.float32(1.0)) * np.float32(min(a, b))


def _box(u: np.ndarray, v: np.ndarray, x: float, y: float, a: float, b: float) -> np.ndarray:
    return np.maximum(
        np.abs(u - np.float32(x)) - np.float32(a), np.abs(v - np.float32(y)) - np.float32(b)
    )


def _polygon(u: np.ndarray, v: np.ndarray, *corners: tuple[float, float]) -> np.ndarray:
    """Convex polygon, corners in clockwise order as seen on the screen (v points down)."""

    def side(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
        (x0, y0), (x1, y1) = start, end
        length = math.sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0))
        nx, ny = (y1 - y0) / length, -(x1 - x0) / length
        return u * np.float32(nx) + v * np.float32(ny) - np.float32(nx * x0 + ny * y0)

    distance = side(corners[-1], corners[0])
    for start, end in pairwise(corners):
        np.maximum(distance, side(start, end), out=distance)
    return distance


def _union(*distances: np.ndarray) -> np.ndarray:
    result = distances[0]
    for distance in distances[1:]:
        result = np.minimum(result, distance)
    return result


def _fold(u: np.ndarray, v: np.ndarray, nx: float, ny: float) -> tuple[np.ndarray, np.ndarray]:
    """Mirror the half plane in front of the line with normal (nx, ny) onto the one behind it."""
    ahead = np.maximum(u * np.float32(nx) + v * np.float32(ny), np.float32(0.0)) * np.float32(2.0)
    return u - ahead * np.float32(nx), v - ahead * np.float32(ny)


def _five_fold(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fold the plane onto the wedge of 36 degrees to the right of straight up; five mirrors meet in the centre."""
    u, v = _fold(np.abs(u), v, 0.8090169943749475, 0.5877852522924731)
    u, v = _fold(u, v, -0.8090169943749475, 0.5877852522924731)
    return np.abs(u), v


# Each object returns its layers from the back to the front.


def _ball(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    whole = _disc(u, v, 0, 0, 0.9)
    bulge = np.sqrt(np.maximum(np.float32(0.81) - v * v, np.float32(0.0)))
    panel = np.maximum(whole, np.abs(u) - bulge * np.float32(0.36))
    outer = np.maximum(whole, bulge * np.float32(0.76) - np.abs(u))
    return [
        (whole, CREAM),
        (panel, main),
        (outer, accent),
        (_oval(u, v, 0, -0.78, 0.24, 0.13), _WHITE),
    ]


def _boat(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    hull = _polygon(u, v, (-0.95, 0.36), (0.95, 0.36), (0.6, 0.84), (-0.66, 0.84))
    stripe = np.maximum(hull, np.abs(v - np.float32(0.47)) - np.float32(0.05))
    big = _polygon(u, v, (0.02, -0.95), (0.82, 0.24), (0.02, 0.24))
    small = _polygon(u, v, (-0.12, -0.7), (-0.12, 0.24), (-0.7, 0.24))
    mast = _box(u, v, -0.05, -0.3, 0.055, 0.68)
    return [(mast, _BARK), (big, _WHITE), (small, accent), (hull, main), (stripe, _WHITE)]


def _car(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    cabin = _polygon(u, v, (-0.42, -0.5), (0.3, -0.5), (0.62, 0.06), (-0.66, 0.06))
    window = np.maximum(cabin + np.float32(0.1), np.float32(0.05) - np.abs(u + np.float32(0.04)))
    body = _union(_box(u, v, 0, 0.26, 0.88, 0.2) - np.float32(0.07), cabin)
    wheel = _disc(np.abs(u), v, 0.52, 0.5, 0.25)
    lamp = _disc(u, v, 0.85, 0.2, 0.1)
    return [
        (body, main),
        (window, _GLASS),
        (lamp, _GOLD),
        (wheel, _INK),
        (wheel + np.float32(0.14), _SILVER),
    ]


def _fish(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    body = _oval(u, v, 0.18, 0, 0.74, 0.5)
    tail = _polygon(u, np.abs(v), (-0.42, 0.0), (-0.95, 0.56), (-0.95, 0.0))
    fin = _polygon(u, v, (-0.16, -0.7), (0.42, -0.36), (-0.1, -0.3))
    bands = np.maximum(
        body, np.abs(np.abs(u + np.float32(0.02)) - np.float32(0.2)) - np.float32(0.08)
    )
    eye = _disc(u, v, 0.58, -0.12, 0.15)
    return [
        (_union(tail, fin), accent),
        (body, main),
        (bands, accent),
        (eye, _WHITE),
        (eye + np.float32(0.07), _INK),
    ]


def _flower(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    stem = _box(u, v, 0, 0.5, 0.06, 0.48)
    leaf = _oval(u + v * np.float32(0.6), v, 0.72, 0.66, 0.22, 0.13)
    leaves = _union(stem, leaf, _oval(u - v * np.float32(0.6), v, -0.72, 0.66, 0.22, 0.13))
    pu, pv = _five_fold(u, v + np.float32(0.3))
    petals = _oval(pu, pv, 0, -0.4, 0.25, 0.3)
    return [(leaves, _LEAF), (petals, main), (_disc(u, v, 0, -0.3, 0.22), _GOLD)]


def _heart(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    side = np.abs(u)
    square = (side + np.abs(v - np.float32(0.08)) - np.float32(0.8)) * np.float32(0.70710678)
    heart = _union(square, _disc(side, v, 0.4, -0.32, 0.5656854))
    return [(heart, main)]


def _house(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    wall = _box(u, v, 0, 0.4, 0.66, 0.46)
    roof = _polygon(u, v, (0, -0.86), (0.92, 0.02), (-0.92, 0.02))
    chimney = _box(u, v, 0.48, -0.58, 0.12, 0.3)
    door = _box(u, v, -0.26, 0.56, 0.17, 0.3)
    window = _box(u, v, 0.28, 0.36, 0.19, 0.17)
    return [(chimney, _BARK), (wall, CREAM), (roof, main), (door, accent), (window, _GLASS)]


def _mushroom(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    stem = _union(_oval(u, v, 0, 0.62, 0.36, 0.28), _box(u, v, 0, 0.35, 0.24, 0.35))
    cap = np.maximum(_oval(u, v, 0, 0.08, 0.95, 0.92), v - np.float32(0.14))
    spots = _union(_oval(u, v, -0.1, -0.5, 0.2, 0.17), _oval(u, v, 0.46, -0.2, 0.16, 0.17),
                   _oval(u, v, -0.55, -0.14, 0.15, 0.16))  # fmt: skip
    return [(stem, CREAM), (cap, main), (np.maximum(spots, cap), _WHITE)]


def _star(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    fu, fv = _five_fold(u, v)
    # The edge runs from the tip (0, -0.98) to the notch at 36 degrees and radius 0.46; this is its normal.
    edge = fu * np.float32(0.9136) + (fv + np.float32(0.98)) * np.float32(-0.4065)
    return [(edge, main), (edge + np.float32(0.15), main + np.float32(0.42) * (_WHITE - main))]


def _tree(u: np.ndarray, v: np.ndarray, main: np.ndarray, accent: np.ndarray) -> list[Layer]:
    low = _polygon(u, v, (0, -0.25), (0.78, 0.62), (-0.78, 0.62))
    middle = _polygon(u, v, (0, -0.65), (0.62, 0.18), (-0.62, 0.18))
    top = _polygon(u, v, (0, -0.98), (0.44, -0.26), (-0.44, -0.26))
    light = main + np.float32(0.2) * (_WHITE - main)
    return [
        (_box(u, v, 0, 0.75, 0.13, 0.22), _BARK),
        (low, main * np.float32(0.8)),
        (middle, main),
        (top, light),
    ]


_OBJECTS: tuple[Callable[..., list[Layer]], ...] = (
    _ball, _boat, _car, _fish, _flower, _heart, _house, _mushroom, _star, _tree,
)  # fmt: skip


def draw_object(
    label: int, canvas: np.ndarray, u: np.ndarray, v: np.ndarray, pixel: np.ndarray, hue: np.ndarray
) -> None:
    """Paint an object of class ``label`` with its shadow and light onto ``canvas``, in place.

    Args:
        label: index into ``CLASSES``.
        canvas: (n, 3, S, S), RGB in [0, 1].
        u: (n, S, S), object coordinates of each pixel's centre, to the right.
        v: the same, downwards.
        pixel: (n, 1, 1), width of a pixel in object radii.
        hue: (n,), the object's place on the colour wheel.
    """
    main, accent = colour_wheel(hue), colour_wheel(hue + np.float32(0.4))
    accent = accent + np.float32(0.25) * (CREAM - accent)
    layers = [(_coverage(d, pixel), colour) for d, colour in _OBJECTS[label](u, v, main, accent)]
    silhouette = layers[0][0]
    for coverage, _ in layers[1:]:
        silhouette = np.maximum(silhouette, coverage)
    _shadow(canvas, silhouette)
    for coverage, paint in layers:
        _paint(canvas, coverage, paint)
    light = (
        np.clip(u * np.float32(-0.16) + v * np.float32(-0.2), -0.3, 0.2, dtype=np.float32)
        * silhouette
    )
    canvas += canvas * light[:, None]
    glow = np.clip(np.float32(1.0) - _disc(u, v, -0.34, -0.36, 0.0) * np.float32(2.6), 0.0, 1.0)
    _paint(canvas, glow * glow * silhouette * np.float32(0.45), _WHITE)


def _coverage(distance: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Share of each pixel inside: 1 where the distance is below minus half a pixel, 0 above plus half."""
    share = distance * (np.float32(-1.0) / pixel)
    share += np.float32(0.5)
    return np.clip(share, 0.0, 1.0, out=share)


def _paint(canvas: np.ndarray, coverage: np.ndarray, colour: np.ndarray) -> None:
    change = colour - canvas
    change *= coverage[:, None]
    canvas += change


def _shadow(canvas: np.ndarray, silhouette: np.ndarray) -> None:
    """Darken the canvas below and to the right of the object, with a soft edge."""
    step = max(1, canvas.shape[-1] // 32)
    dark = np.zeros_like(silhouette)
    for k, weight in ((1, 0.14), (2, 0.14), (3, 0.1)):
        dark[:, k * step :, k * step :] += silhouette[:, : -k * step, : -k * step] * np.float32(
            weight
        )
    canvas *= np.float32(1.0) - dark[:, None]
