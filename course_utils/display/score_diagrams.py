"""Lesson 06's diagrams: carrying sand from heap to heap, and the regions of precision and recall."""

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from course_utils.display import palette


def carrying(ax: Axes, grains: Tensor, places: Tensor, title: str) -> Axes:
    """A plan that carries grain i to place i, as arrows from one line to another, and its mean squared way.

    Args:
        ax: where to draw.
        grains: (N,) where the grains lie.
        places: (N,) where each of them goes.
        title: the plan's name.
    """
    cost = (grains - places).square().mean().item()
    for start, end in zip(grains.tolist(), places.tolist(), strict=True):
        arrow = {"arrowstyle": "->", "color": palette.BLACK, "alpha": 0.5, "linewidth": 1}
        ax.annotate("", (end, 0.06), (start, 0.94), arrowprops=arrow)
    ax.plot(grains, torch.ones(len(grains)), "o", color=palette.BLUE, markersize=6)
    ax.plot(places, torch.zeros(len(places)), "s", color=palette.VERMILION, markersize=5)
    ax.set(yticks=(0, 1), yticklabels=("goes to", "lies at"), ylim=(-0.2, 1.2), xlabel="position")
    ax.grid(False)
    ax.set_title(f"{title}: {cost:.2f}", loc="left", fontsize=10)
    return ax


def region(ax: Axes, centres: Tensor, points: Tensor, k: int, names: tuple[str, str]) -> Axes:
    """The region of some centres in the plane, and which of some points lie in it.

    Args:
        ax: where to draw.
        centres: (N, 2), whose balls reach to their k-th nearest other centre.
        points: (M, 2), the points that are asked about.
        k: of the neighbours.
        names: what centres and points are called.
    """
    radii = torch.cdist(centres, centres).sort(dim=1).values[:, k]
    inside = (torch.cdist(points, centres) <= radii).any(dim=1)
    for (x, y), radius in zip(centres.tolist(), radii.tolist(), strict=True):
        ax.add_patch(
            Circle((x, y), radius, facecolor=palette.BETTER, edgecolor=palette.BLUE, alpha=0.2)
        )
    ax.plot(*centres.T, ".", color=palette.BLUE, markersize=5, label=f"{names[0]}, with its ball")
    ax.plot(*points[inside].T, "o", color=palette.GREEN, markersize=5, label=f"{names[1]}, inside")
    ax.plot(
        *points[~inside].T, "X", color=palette.VERMILION, markersize=6, label=f"{names[1]}, outside"
    )
    ax.set(aspect="equal", xticks=(), yticks=(), xlim=(-3.6, 3.6), ylim=(-3.6, 3.6))
    ax.grid(False)
    return ax
