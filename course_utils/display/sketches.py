"""Diagrams that lesson 02 draws: the stamps of a transposed convolution, and a GAN's two pyramids with their sizes."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle

from course_utils.display.palette import BLACK, BLUE, COLOURS, NEITHER, VERMILION


def stamps(
    ax: Axes, numbers: Sequence[float], kernel: Sequence[float], stride: int, padding: int = 0
) -> Axes:
    """Each number's copy of the kernel in a row of its own, where it lands; below them the sum.

    Args:
        ax: where to draw.
        numbers: the input, one colour each.
        kernel: what is stamped.
        stride: cells from one stamp to the next.
        padding: cells of the sum that are cut off each end; they are grey and dotted.
    """
    cells = (len(numbers) - 1) * stride + len(kernel)
    sums, bottom = [0.0] * cells, -1.35 - len(numbers)
    for row, number in enumerate(numbers):
        colour, top = COLOURS[row % len(COLOURS)], -1.0 - row
        _words(ax, -1.6, top + 0.5, f"{number:g} × kernel", colour)
        for place, value in enumerate(kernel):
            _cell(ax, row * stride + place, top, f"{number * value:g}", colour)
            sums[row * stride + place] += number * value
    _words(ax, -1.6, bottom + 0.5, "their sum", BLACK)
    for place, value in enumerate(sums):
        cut = place < padding or place >= cells - padding
        _cell(ax, place, bottom, f"{value:g}", BLACK, cut)
    ax.set_xlim(-3.0, cells + 0.1)
    ax.set_ylim(bottom - 0.1, 0.1)
    ax.axis("off")
    return ax


def pyramids(ax: Axes, latent_dim: int, width: int, channels: int, size: int = 32) -> Axes:
    """The generator's maps from noise to a picture, and the discriminator's from a picture to a logit.

    A map is as high as its sides are long, and as wide as it has channels, both drawn by their square roots.

    Args:
        ax: where to draw.
        latent_dim: length of the noise.
        width: channels of the largest hidden map.
        channels: of the pictures.
        size: 32 or 64 pixels.
    """
    sides = [4]
    while sides[-1] < size:
        sides.append(2 * sides[-1])
    hidden = [(side, width * size // 2 // side) for side in sides[:-1]]
    up = [(1, latent_dim), *hidden, (size, channels)]
    down = [(size, channels), *hidden[::-1], (1, 1)]
    middle = _road(ax, 0.0, up, BLUE)
    end = _road(ax, middle + 1.5, down, VERMILION)
    for left, right, name, colour in (
        (0.0, middle, "generator", BLUE),
        (middle + 1.5, end, "discriminator", VERMILION),
    ):
        ax.text(
            (left + right) / 2,
            _height(size) + 0.5,
            name,
            ha="center",
            color=colour,
            fontsize=11,
            weight="bold",
        )
    _words(ax, 0.0, 1.1, "noise", BLACK)
    _words(ax, middle + 0.75, _height(size) + 0.35, "picture", BLACK)
    _words(ax, end, 1.1, "logit", BLACK)
    ax.set_xlim(-0.7, end + 0.7)
    ax.set_ylim(-_height(size) - 0.95, _height(size) + 1.0)
    ax.axis("off")
    return ax


def _road(ax: Axes, x: float, maps: Sequence[tuple[int, int]], colour: str) -> float:
    """Maps (side, channels) from left to right; returns the x of the last."""
    before: tuple[float, float] | None = None
    for number, (side, count) in enumerate(maps):
        high, wide = _height(side), 0.12 + 0.035 * count**0.5
        if before is not None:
            corners = [
                (before[0], before[1]),
                (x - wide / 2, high),
                (x - wide / 2, -high),
                (before[0], -before[1]),
            ]
            ax.add_patch(Polygon(corners, color=NEITHER, zorder=1))
        face = "white" if number in (0, len(maps) - 1) else colour
        ax.add_patch(
            Rectangle((x - wide / 2, -high), wide, 2 * high, fc=face, ec=colour, lw=1.2, zorder=2)
        )
        label = f"{side}×{side}\n×{count}"
        ax.text(x, -high - 0.12, label, ha="center", va="top", fontsize=8, linespacing=1.1)
        before, last = (x + wide / 2, high), x
        x += 1.45
    return last


def _height(side: int) -> float:
    """Half the height of a map."""
    return 0.35 + 0.38 * float(side) ** 0.5


def _cell(ax: Axes, x: float, y: float, text: str, colour: str, cut: bool = False) -> None:
    """A number in its frame; grey and dotted where padding cuts it off."""
    fill, line = (NEITHER, ":") if cut else ("white", "-")
    ax.add_patch(
        Rectangle((x + 0.04, y + 0.08), 0.92, 0.84, fc=fill, ec=colour, lw=1.5, linestyle=line)
    )
    ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=10, color=BLACK)


def _words(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    ax.text(x, y, text, ha="center", va="center", fontsize=10, color=colour)
