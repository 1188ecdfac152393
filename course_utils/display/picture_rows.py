"""Generated pictures in rows with names, grids beside each other, and pictures beside the losses of a running training.

Each function makes a figure, which the lesson shows with its sentence.
"""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.display import plots


def named_rows(rows: Mapping[str, Tensor], title: str = "", columns: Sequence[str] = ()) -> Figure:
    """A row of pictures for each name, which stands at its left.

    Args:
        rows: name -> uint8 (N, 3, H, W), as many in each.
        title: what they are; for a stand-in use `ImageSet.title`, which says so.
        columns: N names for below the columns, if they have any.
    """
    pictures = torch.cat(list(rows.values()))
    across = len(pictures) // len(rows)
    figure, (ax,) = plots.subplots(width=9.2, height=0.7 + 8 * len(rows) / across)
    plots.named_grid(ax, pictures, across, title, list(rows), columns)
    return figure


def class_grids(grids: Mapping[str, tuple[Tensor, Sequence[str]]]) -> Figure:
    """A grid for each generator, side by side: a row for each class, whose name stands at its left.

    Args:
        grids: title -> pictures uint8 (classes * N, 3, H, W), N of the first class first, and the classes' names. Names
            that are those of the grid before are not repeated.
    """
    down = max(len(names) for _, names in grids.values())
    figure, axes = plots.subplots(1, len(grids), width=9.6, height=0.5 + 0.58 * down)
    before: Sequence[str] = ()
    for ax, (title, (pictures, names)) in zip(axes, grids.items(), strict=True):
        told = [""] * len(names) if list(names) == list(before) else names
        plots.named_grid(ax, pictures, len(pictures) // len(names), title, told)
        before = names
    return figure


def panels(grids: Mapping[str, Tensor], columns: int, title: str = "") -> Figure:
    """Small grids side by side, each with its name above.

    Args:
        grids: name -> uint8 (N, 3, H, W), as many in each.
        columns: pictures in a row of each grid.
        title: above all of them.
    """
    down = -(-len(next(iter(grids.values()))) // columns)
    wide = 9.6 / len(grids)
    figure, axes = plots.subplots(1, len(grids), width=9.6, height=0.8 + wide * down / columns)
    figure.set_layout_engine("constrained", wspace=0.15)  # so that each grid is seen as one
    for ax, (name, pictures) in zip(axes, grids.items(), strict=True):
        plots.image_grid(ax, pictures, columns, name)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def losses_and_pictures(
    history: Mapping[str, Sequence[float]],
    losses: Mapping[str, str],
    unit: str,
    pictures: Tensor,
    columns: int,
    title: str,
    names: Sequence[str] = (),
) -> Figure:
    """A training while it runs: its losses by step at the left, what it makes now at the right.

    Args:
        history: lists by name, ``step`` among them.
        losses: name of a curve -> its list in ``history``.
        unit: of the losses, such as ``loss (nats)``.
        pictures: uint8 (N, 3, H, W).
        columns: pictures in a row.
        title: what they are.
        names: of the rows of pictures, if they have any; the figure is high enough for them then.
    """
    rows = -(-len(pictures) // columns)
    width, height = 9.6, 3.6 if not names else 0.4 + 0.5 * rows
    figure, axes = plots.subplots(1, 2, width=width, height=height)
    taken = min(width / 2, height * columns / rows)
    axes[0].get_gridspec().set_width_ratios([width - taken, taken])
    drawn = {name: history[key] for name, key in losses.items()}
    plots.curves(axes[0], history["step"], drawn, "step", unit, smooth=25)
    axes[0].set_ylim(min(0.0, axes[0].get_ylim()[0]))
    if len(losses) > 1:
        plots.legend_above(axes[0])
    if names:
        plots.named_grid(axes[1], pictures, columns, title, names)
    else:
        plots.image_grid(axes[1], pictures, columns, title)
    return figure
