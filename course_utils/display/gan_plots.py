"""Lesson 02's figures: a game as it goes on, pictures through time, what ways of training reach, and copies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from course_utils.display import plots
from course_utils.display.palette import BLACK, BLUE, VERMILION


def progress(history: Mapping[str, Sequence[float]], pictures: Tensor, title: str) -> Figure:
    """Both losses, what D believes of photographs and of fakes, and the pictures of now.

    Args:
        history: ``step``, ``d_loss`` and ``g_loss`` in nats, ``d_real`` and ``d_fake`` as probabilities.
        pictures: uint8 (N, 3, H, W), five in a row.
        title: of the pictures.
    """
    figure, axes = plots.subplots(1, 3, width=9.4, height=3.4)
    losses = {"$L_D$": history["d_loss"], "$L_G$": history["g_loss"]}
    beliefs = {"D(x)": history["d_real"], "D(G(z))": history["d_fake"]}
    plots.curves(axes[0], history["step"], losses, "step", "loss (nats)", smooth=25)
    plots.curves(axes[1], history["step"], beliefs, "step", "probability", smooth=25)
    axes[1].set_ylim(0, 1)
    for ax in axes[:2]:
        plots.legend_above(ax)
        ax.locator_params(axis="x", nbins=5)
    plots.image_grid(axes[2], pictures, 5, title)
    return figure


def through_time(tiles: Sequence[Path], title: str) -> Figure:
    """Rows of pictures, one for each file ``…-STEP.png``, in the order given.

    Args:
        tiles: what `plots.save_tile` wrote.
        title: what they are.
    """
    figure, axes = plots.subplots(len(tiles), 1, width=8, height=0.62 * len(tiles) + 0.2)
    for ax, path in zip(axes, tiles, strict=True):
        ax.imshow(Image.open(path), interpolation="nearest")
        step = f"step {int(path.stem.rpartition('-')[2]):,}"
        ax.set_title(f"{title}, {step}" if ax is axes[0] else step, fontsize=9, loc="left")
        ax.axis("off")
    return figure


def neighbours(
    axes: Sequence[Axes], pictures: Tensor, nearest: Tensor, distances: Tensor, title: str
) -> None:
    """Pictures in a row, and below each its nearest image with their distance.

    Args:
        axes: two, one above the other.
        pictures: uint8 (N, 3, H, W).
        nearest: uint8 (N, 3, H, W).
        distances: (N,).
        title: what the pictures are.
    """
    size, gap = pictures.shape[-1], 2
    plots.image_grid(axes[0], pictures, len(pictures), title, gap)
    below = "nearest training image, and the distance"
    plots.image_grid(axes[1], nearest, len(pictures), below, gap)
    for k, distance in enumerate(distances.tolist()):
        centre = (size + gap) * k + size / 2
        axes[1].text(centre, 1.22 * size, f"{distance:.1f}", ha="center", fontsize=8)


def equal_time(ax: Axes, recorded: Mapping[str, Any]) -> Axes:
    """FD by minutes of training: the mean over seeds, and a band from the best to the worst of them.

    Args:
        ax: where to draw.
        recorded: ``dcgan_equal_time.json``.
    """
    points = recorded["curves"]
    ways = {
        "textbook's loop": "textbook_generator",
        "this lesson, last step": "course_generator",
        "this lesson, averaged": "course_averaged",
    }
    minutes = [p["minutes"] for p in points]
    means = {name: [p[key]["value"] for p in points] for name, key in ways.items()}
    plots.curves(ax, minutes, means, "minutes of training", "FD")
    for line, key in zip(list(ax.lines), ways.values(), strict=True):
        seeds = [p[key]["seeds"] for p in points]
        low, high = [min(s) for s in seeds], [max(s) for s in seeds]
        ax.fill_between(minutes, low, high, color=line.get_color(), alpha=0.15)
    ax.axhline(recorded["floor"], color=BLACK, linewidth=0.8)
    ax.text(minutes[0], recorded["floor"] + 0.15, "floor: real photographs", fontsize=9)
    ax.set_title(f"equal time, three seeds [{recorded['data']}]", fontsize=10, loc="left")
    ax.set_ylim(0)
    return ax


def penalties(ax: Axes, record: Mapping[str, Any], yours: str) -> Axes:
    """FD after equal training: a row for each way, a dot for each seed and a bar for their mean, the best on top.

    Args:
        ax: where to draw.
        record: ``dcgan_penalty.json`` or ``dcgan_penalty_whole.json``.
        yours: key of the way that stands out by its colour.
    """
    ways = record["ways"]
    order = sorted(ways, key=lambda key: ways[key]["averaged"]["value"], reverse=True)
    for place, key in enumerate(order):
        found, colour = ways[key]["averaged"], VERMILION if key == yours else BLUE
        ax.plot(found["seeds"], [place] * len(found["seeds"]), "o", color=colour, alpha=0.6)
        ax.plot(found["value"], place, "|", color=BLACK, markersize=20)
    words = [ways[key]["words"].replace(", three", ",\nthree") for key in order]
    labels = [
        f"{w}{' (yours)' if key == yours else ''}, {ways[key]['steps']:,} steps"
        for w, key in zip(words, order, strict=True)
    ]
    ax.set_yticks(range(len(order)), labels)
    farthest = max(max(way["averaged"]["seeds"]) for way in ways.values())
    ax.set(xlim=(0, 1.04 * farthest), ylim=(-0.6, len(order) - 0.4))
    width = record["settings"]["width"]
    ax.set_xlabel(f"FD of the averaged generator, width {width} [{record['data']}]")
    return ax
