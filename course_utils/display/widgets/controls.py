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
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor

from course_utils.display import plots

_LABEL = "110px"
_FAST = 1
"""PNG compression of what lives for a moment: at matplotlib's own 6, packing takes longer than drawing."""


@dataclass(frozen=True)
class Control:
    """Something to set.

    Attributes:
        row: what to show, with its label.
        box: has the value.
    """

    row: ipywidgets.Widget
    box: ipywidgets.Widget


def number(name: str, low: float, high: float, step: float, value: float) -> Control:
    """A number to type, to step with the arrow keys or to drag; a whole one where ``step`` is one.

    The box has the value and the name; the slider moves with it, in the browser.
    """
    whole = isinstance(step, int)
    text = ipywidgets.BoundedIntText if whole else ipywidgets.BoundedFloatText
    slide = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    limits = {"min": low, "max": high, "step": step, "value": value}
    box = text(
        description=name, style={"description_width": _LABEL}, layout={"width": "190px"}, **limits
    )
    slider = slide(readout=False, layout={"width": "190px"}, **limits)
    ipywidgets.jslink((slider, "value"), (box, "value"))
    return Control(ipywidgets.HBox([box, slider]), box)


def choice(name: str, options: Sequence[tuple[str, object]], value: object) -> Control:
    """One button for each option, (words on it, value); Tab goes from one to the next, Space chooses."""
    layout = {"width": _LABEL, "display": "flex", "justify_content": "flex-end"}
    box = ipywidgets.ToggleButtons(
        options=list(options), value=value, style={"button_width": "auto"}
    )
    return Control(ipywidgets.HBox([ipywidgets.Label(name, layout=layout), box]), box)


class Picture:
    """A picture and the sentence under it, for those who do not see it: ipywidgets has no alt text for pictures.

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


class Sketch:
    """A small figure that is drawn again and again on the same axes, with margins that are fitted once, by hand.

    Args:
        width: inches.
        height: inches.
        margins: left, bottom, width and height of the axes, as parts of the figure.
        dpi: pixels an inch.
    """

    def __init__(
        self, width: float, height: float, margins: tuple[float, float, float, float], dpi: int = 96
    ) -> None:
        self.figure, (self.ax,) = plots.subplots(width=width, height=height)
        plots.put_away(self.figure)  # it stays ours, and no longer pyplot's
        self.figure.set_layout_engine("none")
        self.ax.set_position(margins)
        self._dpi = dpi

    def png(self, draw: Callable[[Axes], object]) -> bytes:
        """Clear the axes, draw on them, and return the figure as a PNG file."""
        with plots.style():
            self.ax.clear()
            draw(self.ax)
            buffer = io.BytesIO()
            self.figure.savefig(
                buffer, format="png", dpi=self._dpi, pil_kwargs={"compress_level": _FAST}
            )
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
