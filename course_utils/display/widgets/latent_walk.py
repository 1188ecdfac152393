"""The interactive figures. Each has a static twin that draws the same with the same function, for readers without
a kernel; callbacks are plain functions. Only the part of ipywidgets that versions 7.7 and 8.1 share is used.
"""

from collections.abc import Callable, Mapping

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from torch import Tensor, cat

from course_utils.display import plots
from course_utils.display.widgets import controls

Path = Callable[[Tensor, Tensor, float], Tensor]
"""Two latent vectors (1, D) and t in [0, 1] -> the latent vector (1, D) between them."""
Decode = Callable[[Tensor], Tensor]
"""Latent vectors (N, D) -> images uint8 (N, C, H, W)."""


def walk_point(
    decode: Decode, latents: Tensor, start: int, end: int, t: float, path: Path
) -> Tensor:
    """The image (1, C, H, W) at t on the path from ``latents[start]`` to ``latents[end]``."""
    return decode(path(latents[start : start + 1], latents[end : end + 1], t))


def latent_walk(decode: Decode, latents: Tensor, paths: Mapping[str, Path]) -> ipywidgets.Widget:
    """Walk between two latent vectors: choose both ends and the path, drag t, see the image.

    Args:
        decode: latent vectors (N, D) -> images uint8 (N, C, H, W).
        latents: (N, D), the ends to choose from.
        paths: name -> path, such as slerp and lerp.
    """
    last = len(latents) - 1
    start, end = (
        controls.number("from sample", 0, last, 1, 0),
        controls.number("to sample", 0, last, 1, min(1, last)),
    )
    path = controls.choice("path", [(name, name) for name in paths], next(iter(paths)))
    t = controls.number("t", 0.0, 1.0, 0.05, 0.5)
    picture = controls.Picture(256, 256)

    def draw(*_: object) -> None:
        point = walk_point(
            decode, latents, start.box.value, end.box.value, t.box.value, paths[path.box.value]
        )
        sentence = f"{path.box.value} from sample {start.box.value} to sample {end.box.value}, t = {t.box.value:.2f}"
        picture.show(controls.enlarged(point, 8), sentence)

    for control in (start, end, path, t):
        control.box.observe(draw, names="value")
    draw()
    return ipywidgets.HBox([ipywidgets.VBox([start.row, end.row, path.row, t.row]), picture.box])


def latent_walk_static(
    ax: Axes,
    decode: Decode,
    latents: Tensor,
    start: int,
    end: int,
    path: Path,
    title: str,
    stops: int = 11,
) -> Axes:
    """The same walk as one strip of ``stops`` images, for readers without a kernel."""
    images = cat(
        [walk_point(decode, latents, start, end, float(t), path) for t in np.linspace(0, 1, stops)]
    )
    return plots.image_grid(ax, images, columns=stops, title=title)
