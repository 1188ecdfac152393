"""A walk between two classes of a conditional generator, from one and the same latent point (lesson 08)."""

from collections.abc import Callable, Sequence

import ipywidgets
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.display import picture_rows
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
    decode: Decode,
    classes: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    latents: Tensor,
    title: str,
    stops: int = 11,
) -> Figure:
    """The same walks as strips of pictures, one below the other, for readers without a kernel.

    Args:
        decode: as in `class_walk`.
        classes: their names.
        pairs: for each strip the classes on the left and on the right, places in ``classes``.
        latents: (M, D); the first strip goes from the first of them, and so on.
        title: above all strips; names the data.
        stops: pictures in a strip.
    """
    times = np.linspace(0, 1, stops).tolist()
    rows = {
        f"{classes[start]}\nto {classes[end]}": walk_images(
            decode, len(classes), latent, start, end, times
        )
        for (start, end), latent in zip(pairs, latents, strict=False)
    }
    return picture_rows.named_rows(rows, title, [f"{time:.0%}" for time in times])
