"""Lesson 01's figures: the best discriminator, both losses, games on a line and on a ring, and the smallest game.

Each function returns a finished figure for `plots.show`. The same thing has the same colour in all of them: on a line
the data are blue and the fakes vermilion; on the ring a setting has the colour of its place among the settings.
"""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.display import plots
from course_utils.display.palette import BLACK, BLUE, COLOURS, FRAME, PURPLE, VERMILION

_LOSSES = ((BLUE, "-"), (VERMILION, "--"))
_SETTINGS = ((PURPLE, "-"), (BLUE, "--"), (VERMILION, "-."))
"""Colour and line of the first, second and third setting."""


def optimum(x: Tensor, p_data: Tensor, p_g: Tensor, trained: Tensor, formula: Tensor) -> Figure:
    """Two densities, a trained discriminator and the best one, all (N,) at the points ``x`` (N,)."""
    figure, (ax,) = plots.subplots(width=8, height=3.2)
    ax.fill_between(x, p_data, alpha=0.25, color=BLUE, label="density $p_{data}$")
    ax.fill_between(x, p_g, alpha=0.25, color=VERMILION, label="density $p_g$")
    ax.plot(x, trained, color=BLACK, alpha=0.45, linewidth=3, label="trained D")
    ax.plot(x, formula, "--", color=BLACK, label="formula $D^*$")
    for place in (-5.2, 5.2):
        ax.text(place, 0.5, "hardly a sample\nfalls here", ha="center", va="center", fontsize=8)
    ax.set(xlabel="x", ylabel="density, or probability", ylim=(0, 1.05))
    plots.legend_above(ax)
    return figure


def weighted(x: Tensor, p_data: Tensor, fakes: Tensor, weights: Tensor) -> Figure:
    """Histograms of fakes (M,), plain and with their weights (M,), behind the data's density (N,) at ``x`` (N,)."""
    figure, axes = plots.subplots(1, 2, width=9, height=2.6)
    titles = ("fakes", "the same fakes, weighted by D")
    for ax, weight, title in zip(axes, (None, weights), titles, strict=True):
        _histogram(ax, fakes, (-6, 6), weight)
        ax.plot(x, p_data, color=BLUE, label="$p_{data}$")
        ax.set(xlabel="x", ylim=(0, 0.42), title=title)
    axes[0].set_ylabel("density")
    axes[0].legend(frameon=False)
    return figure


def value(shifts: Tensor, values: Tensor) -> Figure:
    """V(D*, G) in nats (N,) by the distance (N,) between the means of two normal densities, and its two ends."""
    figure, (ax,) = plots.subplots(width=8, height=2.8)
    for end in (0, -math.log(4)):
        ax.axhline(end, color="grey", linewidth=0.8)
    ax.plot(shifts, values, color=BLUE, linewidth=2.5)
    right = float(shifts[-1])
    ax.annotate("0: no overlap, the worst generator", (right, -0.06), ha="right", va="top")
    ax.annotate("−log 4: equality, the best", (right, -1.33), ha="right", va="bottom")
    ax.set(xlabel="distance between the means, in standard deviations", ylabel="V(D*, G) (nats)")
    return figure


def pushes(logits: Tensor, slopes: Mapping[str, Tensor]) -> Figure:
    """How hard each generator loss pushes a fake's logit up: loss -> derivative (N,) at ``logits`` (N,)."""
    figure, (ax,) = plots.subplots(width=8, height=2.8)
    for (name, slope), (colour, line) in zip(slopes.items(), _LOSSES, strict=True):
        ax.plot(logits, -slope, line, color=colour, label=name)
    ax.axvspan(float(logits[0]), -4, color="grey", alpha=0.15)
    ax.annotate("D is sure: fake", (-7.8, 0.5))
    ax.set(xlabel="logit of a fake", ylabel="push (minus the derivative)")
    ax.legend(loc="center right", frameon=False)
    return figure


def snapshots(x: Tensor, target: Tensor, pictures: Mapping[int, tuple[Tensor, Tensor]]) -> Figure:
    """A game of numbers after some steps: step -> fakes (M,) and D's answers (N,) at the points ``x`` (N,).

    Args:
        x: positions.
        target: the data's density (N,) there.
        pictures: one panel each, in this order.
    """
    figure, axes = plots.subplots(1, len(pictures), width=2 * len(pictures), height=2.5)
    ends = float(x[0]), float(x[-1])
    for ax, (step, (fakes, answers)) in zip(axes, pictures.items(), strict=True):
        ax.plot(x, target, color=BLUE, label="density of the data")
        _histogram(ax, fakes, ends, label="fakes")
        ax.plot(x, answers, "--", color=BLACK, label="D")
        ax.set(xlabel="x", title=f"step {step:,}", xticks=range(0, math.ceil(ends[1]) + 1, 3))
        ax.tick_params(labelleft=ax is axes[0])
    top = max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(0, top)
    axes[0].set_ylabel("density, or D(x)")
    plots.shared_legend(figure, axes[0])
    return figure


def race(means: Mapping[str, Tensor], target: float, title: str) -> Figure:
    """Both losses' mean of the fakes by step: name -> (steps, copies); the median, and the range of the copies."""
    figure, (ax,) = plots.subplots(width=8, height=2.6)
    ax.axhline(target, color="grey", linewidth=0.8)
    for (name, mean), (colour, line) in zip(means.items(), _LOSSES, strict=True):
        low, high = mean.amin(dim=1), mean.amax(dim=1)
        ax.fill_between(range(len(mean)), low, high, color=colour, alpha=0.2, linewidth=0)
        ax.plot(mean.median(dim=1).values, line, color=colour, label=name)
    ax.set(xlabel="step of the generator", ylabel="mean of the fakes")
    ax.set_title(title, loc="left", fontsize=11)
    plots.legend_above(ax, "right")
    return figure


def rings(games: Mapping[str, Tensor], data: Tensor, columns: int = 5) -> Figure:
    """A row for each setting and a panel for each run: 500 samples in colour on the data in grey.

    Args:
        games: setting -> samples (copies, M, 2).
        data: (N, 2).
        columns: runs at most; all panels have one frame, which holds every sample.
    """
    shown = min(columns, *(len(samples) for samples in games.values()))
    drawn = {name: samples[:shown, :500] for name, samples in games.items()}
    side = max(2.5, *(1.05 * float(samples.abs().max()) for samples in drawn.values()))
    figure, axes = plots.subplots(len(games), shown, width=1.8 * shown, height=1.85 * len(games))
    for row, (name, samples) in enumerate(drawn.items()):
        colour, _ = _setting(games, name)
        for ax, points in zip(axes[row * shown :], samples, strict=False):
            ax.scatter(*data.T, s=4, color="grey", alpha=0.35, linewidths=0)
            ax.scatter(*points.T, s=4, color=colour, alpha=0.6, linewidths=0)
            ax.set(xlim=(-side, side), ylim=(-side, side), xticks=[], yticks=[], aspect="equal")
            ax.spines[:].set(visible=True, color=FRAME)
        axes[row * shown].set_ylabel(name, color=colour)
    for column in range(shown):
        axes[column].set_title(f"run {column + 1}", fontsize=10)
    return figure


def around(games: Mapping[str, Tensor], name: str, turn: Tensor, answers: Tensor) -> Figure:
    """D's answers (N,) at the angles ``turn`` (N,) of the ring, and where the fakes of a setting's first run are.

    Args:
        games: setting -> samples (copies, M, 2).
        name: the setting.
        turn: angles in radians, from 0 to 2π.
        answers: probabilities.
    """
    figure, (ax,) = plots.subplots(width=8, height=2.6)
    first, (colour, _) = games[name][0], _setting(games, name)
    angles = (first[:, 1].atan2(first[:, 0]) % (2 * math.pi)).rad2deg()
    label = "fakes (density per degree)"
    ax.hist(angles, bins=180, range=(0, 360), density=True, color=colour, alpha=0.5, label=label)
    ax.plot(turn.rad2deg(), answers, color=BLACK, label="D")
    ax.set(xlabel="angle on the ring (degrees); data at every tick", xticks=range(0, 361, 45))
    ax.set(ylabel="density, or D(x)", ylim=(0, 1.05))
    ax.legend(loc="center right", frameon=False)
    return figure


def histories(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """What a training shows while it runs: setting -> history with step, d_loss, d_fake, diversity, real_diversity."""
    figure, axes = plots.subplots(1, 3, width=10, height=2.9)
    panels = {"d_loss": "D's loss (nats)", "d_fake": "D(G(z))", "diversity": "spread of samples"}
    for ax, (key, label) in zip(axes, panels.items(), strict=True):
        for name, run in runs.items():
            colour, line = _setting(runs, name)
            ax.plot(run["step"], run[key], line, color=colour, linewidth=1.2, label=name)
        ax.set(xlabel="step", ylabel=label)
    for ax, height, name in ((axes[0], math.log(4), "log 4"), (axes[1], 0.5, "½")):
        ax.axhline(height, color="grey", linewidth=0.8)
        plots.at_the_end(ax, name, height)
    any_run = next(iter(runs.values()))
    axes[2].plot(any_run["step"], any_run["real_diversity"], ":", color=BLACK, label="data")
    plots.shared_legend(figure, axes[2])
    return figure


def distances(shifts: Tensor, jsd: Tensor, w1: Tensor) -> Figure:
    """Jensen-Shannon divergence (nats) and Wasserstein-1 distance of two boxes by their shift, each (N,)."""
    figure, axes = plots.subplots(1, 2, width=8, height=2.5)
    axes[0].axhline(math.log(2), color="grey", linewidth=0.8)
    axes[0].plot(shifts, jsd, color=BLUE)
    axes[0].annotate("log 2", (0.1, math.log(2)), va="bottom")
    axes[0].set(xlabel="shift of the second box", ylabel="JSD (nats)", ylim=(0, 0.8))
    axes[1].plot(shifts, w1, color=VERMILION)
    axes[1].set(xlabel="shift of the second box", ylabel="Wasserstein-1 (units of x)")
    return figure


def paths(games: Mapping[str, Tensor], side: float = 4.0) -> Figure:
    """The ways of both players of the smallest game (in lesson 08, too), each from its dot on; a cross is the solution.

    Args:
        games: name -> path (steps, 2).
        side: the frames reach from ``-side`` to ``side``.
    """
    figure, axes = plots.subplots(1, len(games), width=2.5 * len(games), height=3.0)
    for ax, (name, path), colour in zip(axes, games.items(), COLOURS, strict=False):
        ax.plot(*path.T.numpy(), color=colour, linewidth=1.2)
        ax.plot(*path[0].tolist(), "o", color=colour)
        ax.plot(0, 0, "+", color=BLACK, markersize=12, markeredgewidth=2)
        ax.set(xlim=(-side, side), ylim=(-side, side), xlabel="a (G's point)", aspect="equal")
        ax.set_title(name, fontsize=10)
    axes[0].set_ylabel("b (D's slope)")
    return figure


def _setting(settings: Mapping[str, object], name: str) -> tuple[str, str]:
    """Colour and line of a setting, by its place among them."""
    return _SETTINGS[list(settings).index(name) % len(_SETTINGS)]


def _histogram(
    ax: Axes,
    samples: Tensor,
    ends: tuple[float, float],
    weights: Tensor | None = None,
    label: str | None = None,
) -> None:
    ax.hist(
        samples,
        bins=80,
        range=ends,
        density=True,
        weights=weights,
        color=VERMILION,
        alpha=0.5,
        label=label,
    )
