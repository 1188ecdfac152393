"""What the interactive figures are made of: controls for keys and screen readers, and pictures that are quick to draw.

In JupyterLab, arrow keys on a drop-down list or on radio buttons move to the next cell, and a slider has no name for
a screen reader. So choices are buttons here, and a slider comes with a box for its number, whose label is read.
Only the part of ipywidgets that versions 7.7 and 8.1 share is used.
"""

import asyncio
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor

from course_utils import plots

_FAST = 1
"""PNG compression of what lives for a moment: at matplotlib's own 6, packing takes longer than drawing."""


@dataclass(frozen=True)
class Number:
    """A number to set: type it, step it with the arrow keys, or drag it.

    Attributes:
        row: what to show.
        box: has the value; the slider beside it follows, in the browser.
    """

    row: ipywidgets.Widget
    box: ipywidgets.Widget


def number(name: str, low: float, high: float, step: float, value: float) -> Number:
    """A labelled box for a number and a slider that moves with it; whole numbers where ``step`` is one."""
    whole = isinstance(step, int)
    text = ipywidgets.BoundedIntText if whole else ipywidgets.BoundedFloatText
    slide = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    limits = {"min": low, "max": high, "step": step, "value": value}
    box = text(description=name, style={"description_width": "100px"}, layout={"width": "180px"}, **limits)
    slider = slide(readout=False, layout={"width": "190px"}, **limits)
    ipywidgets.jslink((slider, "value"), (box, "value"))
    return Number(ipywidgets.HBox([box, slider]), box)


def choice(name: str, options: Sequence[tuple[str, object]], value: object, width: str = "auto") -> ipywidgets.Widget:
    """One button for each option; Tab goes from one to the next, Space chooses.

    Args:
        name: what is chosen.
        options: (words on the button, value).
        value: chosen at first.
        width: of a button, for CSS.
    """
    style = {"description_width": "100px", "button_width": width}
    return ipywidgets.ToggleButtons(options=list(options), value=value, description=name, style=style)


class Picture:
    """A picture and the sentence under it, which is its alt text as well.

    Args:
        width: on the page, in pixels.
        height: the same; by default as the picture has it.

    Attributes:
        image: has the bytes of the PNG file.
        sentence: says what is to be seen.
        box: both, to show.
    """

    def __init__(self, width: int, height: int | None = None) -> None:
        size = {"width": width} if height is None else {"width": width, "height": height}
        self.image, self.sentence = ipywidgets.Image(format="png", **size), ipywidgets.HTML()
        self.box = ipywidgets.VBox([self.image, self.sentence])

    def show(self, png: bytes, sentence: str) -> None:
        """Show a picture with its sentence, which may hold any sign."""
        self.image.value, self.sentence.value = png, html.escape(sentence, quote=False)
        if self.image.has_trait("tooltip"):  # ipywidgets 8: becomes the picture's name
            self.image.tooltip = sentence


class Sketch:
    """A small figure that is drawn again and again on the same axes, with margins that are fitted once, by hand.

    Args:
        width: inches.
        height: inches.
        margins: left, bottom, width and height of the axes, as parts of the figure.
        dpi: pixels an inch.
    """

    def __init__(self, width: float, height: float, margins: tuple[float, float, float, float], dpi: int = 96) -> None:
        self.figure, (self.ax,) = plots.subplots(width=width, height=height)
        plt.close(self.figure)  # it stays ours, and no longer pyplot's
        self.figure.set_layout_engine("none")
        self.ax.set_position(margins)
        self._dpi = dpi

    def png(self, draw: Callable[[Axes], object]) -> bytes:
        """Clear the axes, draw on them, and return the figure as a PNG file."""
        with plots.style():
            self.ax.clear()
            draw(self.ax)
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=self._dpi, pil_kwargs={"compress_level": _FAST})
        return buffer.getvalue()


def after_pause(seconds: float, do: Callable[[], None]) -> Callable[[], None]:
    """A function that calls ``do`` once, when it has not been called again for so long; without a kernel at once."""
    waiting: list[asyncio.TimerHandle] = []

    def ask() -> None:
        while waiting:
            waiting.pop().cancel()
        try:
            waiting.append(asyncio.get_running_loop().call_later(seconds, do))
        except RuntimeError:  # no event loop runs
            do()

    return ask


def enlarged(images: Tensor, scale: int) -> bytes:
    """Images side by side as a PNG file, every pixel ``scale`` times as wide and high: uint8 (N, C, H, W)."""
    pixels = Image.fromarray(plots.tile(images, columns=len(images)))
    buffer = io.BytesIO()
    size = pixels.width * scale, pixels.height * scale
    pixels.resize(size, Image.Resampling.NEAREST).save(buffer, "PNG", compress_level=_FAST)
    return buffer.getvalue()
