"""Lesson 06's diagrams: clouds in the plane, carrying sand from heap to heap, the regions of precision and recall."""

from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from course_utils.display import palette, plots


def clouds(truth: Tensor, sets: Mapping[str, Tensor]) -> Figure:
    """The true points, then every other set of points over them in grey, side by side with its name.

    Args:
        truth: (N, 2) within ±4.
        sets: name -> (M, 2).
    """
    shown = {"truth": truth, **sets}
    figure, axes = plots.subplots(-(-len(shown) // 3), 3, width=8, height=5)
    for ax in axes:
        ax.axis("off")
    for ax, (name, points) in zip(axes, shown.items(), strict=False):
        ax.scatter(*truth.T, s=6, color="grey", alpha=0.4, linewidths=0)
        ax.scatter(*points.T, s=6, color=palette.BLUE, alpha=0.55, linewidths=0)
        ax.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
        ax.set_title(name, fontsize=11)
    return figure


def plans(grains: Tensor, places: Mapping[str, Tensor]) -> Figure:
    """Several plans that carry the same grains, one below the other, as `carrying` draws each.

    Args:
        grains: (N,) where the grains lie.
        places: the plan's name -> (N,) where it carries each of them.
    """
    figure, axes = plots.subplots(len(places), 1, width=7, height=1.9 * len(places))
    for ax, (name, ends) in zip(axes, places.items(), strict=True):
        carrying(ax, grains, ends, name)
        ax.label_outer()
    return figure


def regions(real: Tensor, made: Tensor, k: int) -> Figure:
    """Precision and recall in the plane: made points in the real region, and real points in the made one.

    Args:
        real: (N, 2).
        made: (M, 2).
        k: a ball reaches to the k-th nearest other point of its set.
    """
    figure, axes = plots.subplots(1, 2, width=9, height=4.6)
    region(axes[0], real, made, k, ("real", "made"))
    region(axes[1], made, real, k, ("made", "real"))
    balls = torch.tensor([(*ball.center, ball.radius) for ax in axes for ball in ax.patches])
    low = (balls[:, :2] - balls[:, 2:]).amin(0).tolist()
    high = (balls[:, :2] + balls[:, 2:]).amax(0).tolist()
    for ax, name in zip(axes, ("precision", "recall"), strict=True):
        ax.set(xlim=(low[0] - 0.1, high[0] + 0.1), ylim=(low[1] - 0.1, high[1] + 0.1))
        ax.set_title(f"{name}: the share of circles", fontsize=11)
        ax.legend(
            frameon=False, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 0),
            handletextpad=0.1, columnspacing=1,
        )  # fmt: skip
    return figure


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
    ax.set_title(f"{title}: mean cost {cost:.2f}", loc="left", fontsize=10)
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
    ax.plot(*centres.T, ".", color=palette.BLUE, markersize=5, label=f"{names[0]}, a ball")
    ax.plot(*points[inside].T, "o", color=palette.GREEN, markersize=5, label=f"{names[1]}, inside")
    ax.plot(
        *points[~inside].T, "X", color=palette.VERMILION, markersize=6, label=f"{names[1]}, outside"
    )
    ax.set_aspect("equal")
    ax.axis("off")
    return ax
