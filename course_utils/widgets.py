"""The interactive figures. Each has a static twin that draws the same with the same function, for readers without
a kernel; callbacks are plain functions. Only the part of ipywidgets that versions 7.7 and 8.1 share is used.
"""

import io
from collections.abc import Callable, Mapping

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor, cat

from course_utils import plots

Path = Callable[[Tensor, Tensor, float], Tensor]
"""Two latent vectors (1, D) and t in [0, 1] -> the latent vector (1, D) between them."""
Decode = Callable[[Tensor], Tensor]
"""Latent vectors (N, D) -> images uint8 (N, C, H, W)."""


def walk_point(decode: Decode, latents: Tensor, start: int, end: int, t: float, path: Path) -> Tensor:
    """The image (1, C, H, W) at t on the path from ``latents[start]`` to ``latents[end]``."""
    return decode(path(latents[start : start + 1], latents[end : end + 1], t))


def latent_walk(decode: Decode, latents: Tensor, paths: Mapping[str, Path]) -> ipywidgets.Widget:
    """Walk between two latent vectors: choose both ends and the path, drag t, see the image.

    Args:
        decode: latent vectors (N, D) -> images uint8 (N, C, H, W).
        latents: (N, D), the ends to choose from.
        paths: name -> path, such as slerp and lerp.
    """
    numbers = [(f"sample {i}", i) for i in range(len(latents))]
    style = {"description_width": "60px"}
    start = ipywidgets.Dropdown(options=numbers, value=0, description="from", style=style)
    end = ipywidgets.Dropdown(options=numbers, value=1, description="to", style=style)
    path = ipywidgets.RadioButtons(options=list(paths), description="path", style=style)
    t = ipywidgets.FloatSlider(min=0, max=1, step=0.05, value=0.5, description="t", style=style)
    picture = ipywidgets.Image(format="png", width=256, height=256)

    def draw(*_: object) -> None:
        picture.value = _png(walk_point(decode, latents, start.value, end.value, t.value, paths[path.value]), 8)

    for control in (start, end, path, t):
        control.observe(draw, names="value")
    draw()
    return ipywidgets.HBox([ipywidgets.VBox([start, end, path, t]), picture])


def latent_walk_static(
    ax: Axes, decode: Decode, latents: Tensor, start: int, end: int, path: Path, title: str, stops: int = 11
) -> Axes:
    """The same walk as one strip of ``stops`` images, for readers without a kernel."""
    images = cat([walk_point(decode, latents, start, end, float(t), path) for t in np.linspace(0, 1, stops)])
    return plots.image_grid(ax, images, columns=stops, title=title)


def _png(images: Tensor, scale: int) -> bytes:
    pixels = Image.fromarray(plots.tile(images, columns=len(images)))
    buffer = io.BytesIO()
    pixels.resize((pixels.width * scale, pixels.height * scale), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()
