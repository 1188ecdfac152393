"""A walk between two classes of a conditional generator, from one and the same latent point (lesson 08)."""

from collections.abc import Callable, Sequence

import ipywidgets
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from course_utils.display import plots
from course_utils.display.widgets import controls

Decode = Callable[[Tensor, Tensor], Tensor]
"""Shares of the classes (N, classes) and latent vectors (N, D) -> images uint8 (N, C, H, W)."""


def shares(classes: int, start: int, end: int, t: Tensor) -> Tensor:
    """How much of each class there is on the way from one to another: t (N,) in [0, 1] -> (N, classes).

    Each row adds up to 1; at t = 0 all is ``start``, at t = 1 all is ``end``.
    """
    found = torch.zeros(len(t), classes)
    found[:, start] += 1 - t
    found[:, end] += t
    return found


def walk_images(
    decode: Decode, classes: int, latent: Tensor, start: int, end: int, times: Sequence[float]
) -> Tensor:
    """The images (N, C, H, W) at N times on the way, all from one latent vector (D,)."""
    t = torch.tensor(list(times), dtype=torch.float32)
    return decode(shares(classes, start, end, t), latent.expand(len(t), -1))


def class_walk(decode: Decode, classes: Sequence[str], latents: Tensor) -> ipywidgets.Widget:
    """Walk between two classes: choose both and the latent point, drag t, see the picture and the whole way.

    Args:
        decode: shares of the classes (N, classes) and latent vectors (N, D) -> images uint8 (N, C, H, W).
        classes: their names.
        latents: (M, D), the points to choose from.
    """
    names = [(name, place) for place, name in enumerate(classes)]
    start = controls.choice("from class", names, 0)
    end = controls.choice("to class", names, min(1, len(classes) - 1))
    point = controls.number("latent point", 0, len(latents) - 1, 1, 0)
    t = controls.number("t", 0.0, 1.0, 0.05, 0.5)
    picture, strip = controls.Picture(256, 256), controls.Picture(576, 66)
    stops = np.linspace(0, 1, 9).tolist()

    def walk(times: Sequence[float]) -> Tensor:
        latent = latents[point.box.value]
        return walk_images(decode, len(classes), latent, start.box.value, end.box.value, times)

    def told() -> str:
        ends = classes[start.box.value], classes[end.box.value]
        return f"from {ends[0]} to {ends[1]}, latent point {point.box.value}"

    def draw(*_: object) -> None:
        sentence = f"{told()}, t = {t.box.value:.2f}"
        picture.show(controls.enlarged(walk([t.box.value]), 8), sentence)

    def draw_all(*_: object) -> None:
        strip.show(controls.enlarged(walk(stops), 2), f"The whole way {told()}")
        draw()

    t.box.observe(draw, names="value")
    for control in (start, end, point):
        control.box.observe(draw_all, names="value")
    draw_all()
    settings = ipywidgets.VBox([start.row, end.row, point.row, t.row])
    return ipywidgets.VBox([settings, ipywidgets.HBox([picture.box, strip.box])])


def class_walk_static(
    ax: Axes,
    decode: Decode,
    classes: Sequence[str],
    latent: Tensor,
    start: int,
    end: int,
    title: str = "",
    stops: int = 11,
) -> Axes:
    """The same walk as one strip of ``stops`` images, for readers without a kernel.

    Args:
        ax: where it is drawn.
        decode: as in `class_walk`.
        classes: their names.
        latent: one latent vector (D,).
        start: the class on the left, a place in ``classes``.
        end: the class on the right.
        title: above it; by default the names of both classes.
        stops: number of images.
    """
    times = np.linspace(0, 1, stops).tolist()
    images = walk_images(decode, len(classes), latent, start, end, times)
    title = title or f"{classes[start]} → {classes[end]}"
    return plots.image_grid(ax, images, columns=stops, title=title)
