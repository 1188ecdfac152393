"""The figures' common ground: image grids, curves, live figures, and a sentence under every picture.

Functions take and return Axes; `show` ends a figure and demands the sentence that says what it shows.
"""

import base64
import html
import io
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.animation import Animation
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from torch import Tensor

from course_utils.display.palette import COLOURS
from course_utils.errors import CourseError
from course_utils.paths import atomic_write
from course_utils.progress_bars import progress

_STYLE: dict[Any, Any] = {
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "figure.constrained_layout.use": True,
}
_SHARP = 1.5
"""Pixels drawn for each pixel shown, so that pictures stay sharp on fine screens."""


class _Figure(Figure):
    """A figure whose titles are text: they name data sets, and a folder's name may hold dollar signs."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw the figure; formulas stand in labels and legends only."""
        titles = {ax.get_title(loc) for ax in self.axes for loc in ("left", "center", "right")}
        titles.add(self.get_suptitle())
        titles.discard("")  # tick labels are empty until they are drawn, and some are formulas
        for text in self.findobj(Text):
            if text.get_text() in titles:
                text.set_parse_math(False)
        super().draw(renderer)


def style() -> AbstractContextManager[None]:
    """The course's settings of matplotlib, for a ``with``; a personal matplotlibrc or a dark style does not show."""
    return plt.style.context(["default", _STYLE])


_until_shown = ExitStack()
"""Holds the course's settings from `subplots` to `show`: what a lesson draws in between reads them too."""


def subplots(
    rows: int = 1, columns: int = 1, width: float = 8.0, height: float = 3.0
) -> tuple[Figure, np.ndarray]:
    """A figure in the course's style; width and height in inches. Returns it with a flat array of its Axes.

    The style holds until the figure is shown or put away; then the user's own settings are back.
    """
    _until_shown.close()
    _until_shown.enter_context(style())
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, FigureClass=_Figure
    )
    return figure, axes.ravel()


def put_away(figure: Figure) -> None:
    """Close a figure; whoever holds it may go on drawing on it."""
    plt.close(figure)
    _until_shown.close()


def show(figure: Figure, alt: str) -> None:
    """Display a finished figure with the sentence that tells what it shows, and close it.

    Args:
        figure: the figure.
        alt: what is to be seen, in one or two sentences; printed under the picture and attached as alt text.

    Raises:
        CourseError: the sentence is missing.
    """
    _demand_alt(alt)
    data, metadata = _bundle(figure, alt)
    display(data, metadata=metadata, raw=True)
    display(_caption(alt), raw=True)
    put_away(figure)


def image_grid(ax: Axes, images: Tensor, columns: int, title: str = "", gap: int = 2) -> Axes:
    """Draw images side by side, pixel by pixel, row by row.

    Args:
        ax: where to draw.
        images: uint8 (N, 3, H, W), or (N, 1, H, W) for grey images.
        columns: images a row.
        title: what they are; for a stand-in use `ImageSet.title`, which says so.
        gap: white pixels between images.

    Raises:
        CourseError: the images are not bytes of that shape.
    """
    ax.imshow(tile(images, columns, gap), interpolation="nearest")
    ax.set_title(
        title, loc="left", fontsize=10, parse_math=False
    )  # a data set's name may hold dollar signs
    ax.axis("off")
    return ax


def named_grid(
    ax: Axes,
    images: Tensor,
    columns: int,
    title: str,
    rows: Sequence[str],
    below: Sequence[str] = (),
) -> Axes:
    """`image_grid` with the names of its rows at its left, and of its columns below, if they have any."""
    image_grid(ax, images, columns, title, gap := 2)
    height, width = (side + gap for side in images.shape[-2:])
    ax.axis("on")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    at_left, below_them = (
        [side * (k + 0.5) for k in range(len(names))]
        for side, names in ((height, rows), (width, below))
    )
    ax.set_yticks(at_left, rows, fontsize=9, parse_math=False)
    ax.set_xticks(below_them, below, fontsize=8, parse_math=False)
    return ax


def tile(images: Tensor, columns: int, gap: int = 2) -> np.ndarray:
    """One picture of many: uint8 (N, C, H, W) -> uint8 (rows*(H+gap)-gap, columns*(W+gap)-gap, 3), gaps white.

    Raises:
        CourseError: the images are not bytes of that shape.
    """
    if (
        images.ndim != 4
        or images.shape[1] not in (1, 3)
        or str(images.dtype) != "torch.uint8"
        or not len(images)
    ):
        raise CourseError(
            "plots-not-images",
            f"Expected uint8 images of shape (N, 3, H, W), got {images.dtype} of shape {tuple(images.shape)}.",
            "Floats are refused because nobody could tell whether they lie in [0, 1] or in [-1, 1].",
            "images = dcgan.to_bytes(images)   # from [-1, 1]",
        )
    pixels = images.cpu().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, image in enumerate(pixels):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def image_rows(rows: Mapping[str, Tensor], title: str, columns: int = 12) -> Figure:
    """Sets of images as one row each, with its name on the left.

    Args:
        rows: name -> uint8 (N, C, H, W) of one size, of which the first ``columns`` are shown.
        title: of all rows; for a stand-in use `ImageSet.title`, which says so.
        columns: images a row.

    Raises:
        CourseError: the images are not bytes of that shape.
    """
    figure, axes = subplots(len(rows), 1, width=9, height=7.4 / columns * len(rows) + 0.3)
    for ax, (name, images) in zip(axes, rows.items(), strict=True):
        named_grid(ax, images[:columns], columns, title if ax is axes[0] else "", [name])
    return figure


def save_tile(path: Path, images: Tensor, columns: int) -> Path:
    """Write many images as one PNG file, pixel by pixel; a reader never sees half of it. Returns the path."""
    buffer = io.BytesIO()
    Image.fromarray(tile(images, columns)).save(buffer, "PNG")
    return atomic_write(path, buffer.getvalue())


_BUTTONS = {
    "minus": "−",
    "fast-backward": "|◂◂",
    "step-backward": "|◂",
    "play fa-flip-horizontal": "◂",
    "pause": "❚❚",
    "play": "▸",
    "step-forward": "▸|",
    "fast-forward": "▸▸|",
    "plus": "+",
}


def film_html(
    film: Animation, alt: str = "An animation; the sentence below says what it shows."
) -> str:
    """An animation as HTML with buttons that need no network: matplotlib takes their icons from a web host.

    Args:
        film: the animation.
        alt: what is to be seen; matplotlib leaves the picture without a description and the slider without a name.
    """
    frames = iter(progress(list(film.new_saved_frame_seq()), "drawing"))
    # to_jshtml saves each picture
    vars(film)["save"] = partial(film.save, progress_callback=lambda *_: next(frames, None))
    with style():
        html_text = re.sub(r"<link[^>]*>", "", film.to_jshtml(default_mode="once"))
    html_text = html_text.replace("<img id=", f'<img alt="{html.escape(alt)}" id=')
    html_text = html_text.replace('type="range"', 'type="range" aria-label="frame"')
    for icon, sign in _BUTTONS.items():
        html_text = html_text.replace(f'<i class="fa fa-{icon}"></i>', sign)
    return html_text


def curves(
    ax: Axes,
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    smooth: int = 1,
) -> Axes:
    """Draw named curves over a common x, each directly labelled in the legend and with its own line style.

    Args:
        ax: where to draw.
        x: positions, such as steps.
        series: name -> values, as long as ``x``.
        xlabel: name and unit of x.
        ylabel: name and unit of the values.
        smooth: width of the moving average in points; the raw values then stay visible behind it.
    """
    styles = ("-", "--", "-.", ":")
    for number, (name, values) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = np.asarray(values, float)
        if smooth > 1 and len(line) > smooth:
            ax.plot(x, line, color=colour, alpha=0.2, linewidth=0.8)
            line = np.convolve(line, np.ones(smooth) / smooth, mode="valid")
        ax.plot(x[-len(line) :], line, styles[number % 4], color=colour, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if len(series) > 1:
        ax.legend(frameon=False)
    return ax


def at_the_end(ax: Axes, text: str, height: float, colour: str = "black") -> None:
    """A label to the right of a horizontal line, outside of the axes, where no curve runs.

    Args:
        ax: where the line is.
        text: its name.
        height: of the line, in data units.
        colour: of the label.
    """
    ax.annotate(text, (1, height), (3, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", fontsize=9, color=colour)  # fmt: skip


def level(ax: Axes, name: str, height: float, **style: Any) -> None:
    """A horizontal line to compare with, and its name at the end in the same colour.

    Args:
        ax: where.
        name: of what the line stands for.
        height: in data units.
        style: of the line, with its ``color``.
    """
    ax.axhline(height, **style)
    at_the_end(ax, name, height, style["color"])


_ABOVE: dict[str, tuple[float, Literal["lower left", "lower center", "lower right"]]] = {
    "left": (0.0, "lower left"),
    "center": (0.5, "lower center"),
    "right": (1.0, "lower right"),
}
"""Where along the frame a legend stands, and which of its own corners."""


def legend_above(ax: Axes, side: Literal["left", "center", "right"] = "center") -> None:
    """A legend in one row above the frame, where no data lie; a title, if there is one, stands at another side."""
    place, corner = _ABOVE[side]
    columns = len(ax.get_legend_handles_labels()[1])
    ax.legend(
        frameon=False,
        fontsize=9,
        ncols=columns,
        loc=corner,
        bbox_to_anchor=(place, 1),
        borderaxespad=0.2,
    )


def with_band(
    ax: Axes,
    x: Sequence[float],
    rows: Sequence[Mapping[str, float]],
    marks: str,
    colour: str,
    name: str | None = None,
    **style: Any,
) -> None:
    """Values with the band of their intervals.

    Args:
        ax: where.
        x: one for each row.
        rows: ``value``, ``low`` and ``high``.
        marks: Matplotlib's format, such as ``"o-"``.
        colour: of line and band.
        name: for the legend.
        style: more for the line.
    """
    ax.plot(x, [row["value"] for row in rows], marks, color=colour, label=name, **style)
    low, high = ([row[end] for row in rows] for end in ("low", "high"))
    ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def shared_legend(figure: Figure, ax: Axes) -> None:
    """One legend in one row above a figure of several Axes: that of ``ax``, which holds for all of them."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=len(labels),
        fontsize=9,
        frameon=False,
    )


class LiveFigure:
    """A figure that is redrawn in place while a loop runs.

    Args:
        draw: makes a new figure of the present state.
        alt: what it shows, in one or two sentences.
        seconds: shortest time between two drawings.

    Raises:
        CourseError: the sentence is missing.
    """

    def __init__(self, draw: Callable[[], Figure], alt: str, seconds: float = 5.0) -> None:
        _demand_alt(alt)
        self._draw, self._alt, self._seconds = draw, alt, seconds
        self._handle, self._last = None, time.monotonic()

    def update(self, force: bool = False) -> None:
        """Redraw if the last drawing is old enough, or if forced (at the end of the loop)."""
        if not force and time.monotonic() - self._last < self._seconds:
            return
        figure = self._draw()
        data, metadata = _bundle(figure, self._alt)
        put_away(figure)
        if self._handle is None:
            self._handle = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            self._handle.update(data, metadata=metadata, raw=True)
        self._last = time.monotonic()

    def close(self) -> None:
        """Draw the last state and print the sentence under it."""
        self.update(force=True)
        display(_caption(self._alt), raw=True)


def _demand_alt(alt: str) -> None:
    if not alt.strip():
        raise CourseError(
            "plots-no-alt",
            "A figure was shown without a sentence that describes it.",
            "Readers who cannot see the picture, and everyone who is new to it, need that sentence.",
            'plots.show(figure, alt="Two curves that ...")',
        )


def _bundle(figure: Figure, alt: str) -> tuple[dict[str, str], dict[str, dict[str, object]]]:
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=96 * _SHARP, bbox_inches="tight", pad_inches=0.05)
    size = {"width": round(Image.open(buffer).width / _SHARP), "alt": alt}
    picture = base64.b64encode(buffer.getvalue()).decode()
    return {"image/png": picture, "text/plain": f"<Figure: {alt}>"}, {"image/png": size}


def _caption(alt: str) -> dict[str, str]:
    return {
        "text/html": f"<p><em>Figure. {html.escape(alt)}</em></p>",
        "text/plain": f"Figure. {alt}",
    }
