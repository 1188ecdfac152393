"""Lesson 06's interactive figure: slide the number of images, watch a score's bias and interval; its static twin."""

import ipywidgets
from matplotlib.axes import Axes

from course_utils.display import palette
from course_utils.display.score_plots import Bias
from course_utils.display.widgets import controls

LABELS = {"real": "real against real", "gan": "GAN against real", "vae": "VAE against real"}


def draw_bias(ax: Axes, bias: Bias, row: str, score: str, n: int) -> Axes:
    """A score against the number of images, every single comparison as a dot, and the chosen number marked.

    Args:
        ax: where to draw.
        bias: what was measured.
        row: what was scored.
        score: ``"FD"`` or ``"KD"``.
        n: the number of images to mark, one of ``bias.counts``.
    """
    found = bias.rows[row][score]
    x = [count for count in bias.counts for _ in found[count]["values"]]
    y = [value for count in bias.counts for value in found[count]["values"]]
    ax.plot(x, y, "o", markersize=3, alpha=0.35, color=palette.BLUE)
    ax.plot(
        [n] * len(found[n]["values"]),
        found[n]["values"],
        "o",
        markersize=6,
        color=palette.VERMILION,
    )
    ax.plot(
        bias.counts,
        [found[count]["value"] for count in bias.counts],
        color=palette.BLUE,
        label="mean",
    )
    box = [n / 1.12, n * 1.12]
    ax.fill_between(
        box,
        found[n]["low"],
        found[n]["high"],
        color=palette.VERMILION,
        alpha=0.3,
        label="95 % interval of the mean",
    )
    ax.axhline(
        found[bias.counts[-1]]["value"],
        color="black",
        linestyle=":",
        linewidth=0.8,
        label="at the largest n",
    )
    ax.set(xscale="log", xlabel="images on each side, n", ylabel=score)
    ax.set_xticks([100, 1_000], ["100", "1,000"])
    ax.set_title(f"{LABELS.get(row, row)}, n = {n:,}", loc="left", fontsize=10)
    return ax


def describe_bias(bias: Bias, row: str, score: str, n: int) -> str:
    """The same in a sentence that leaves nothing out: value, interval, n, draws, features, real set."""
    found, last = bias.rows[row][score][n], bias.counts[-1]
    most = bias.rows[row][score][last]["value"]
    single = found["values"]
    return (
        f"{LABELS.get(row, row)}: {score} {found['value']:.3g} (95 % interval {found['low']:.3g} to "
        f"{found['high']:.3g}) at n = {n:,} × {bias.draws} draws; single comparisons from {min(single):.3g} to "
        f"{max(single):.3g}; at n = {last:,} the mean is {most:.3g}. "
        f"Features: {bias.features}. Real set: {bias.real_set}."
    )


def bias_slider(bias: Bias) -> ipywidgets.Widget:
    """Choose what is scored and by which score, and slide n; the figure and the sentence follow."""
    names = [(LABELS.get(row, row), row) for row in bias.rows]
    row = controls.choice("images", names, "gan")
    score = controls.choice("score", [("FD", "FD"), ("KD", "KD")], "FD")
    style = {"description_width": "110px"}
    n = ipywidgets.SelectionSlider(
        options=list(bias.counts), value=bias.counts[0], description="n", style=style
    )
    fewer, more = (
        ipywidgets.Button(description="fewer images"),
        ipywidgets.Button(description="more images"),
    )
    picture, paper = controls.Picture(620), sketch()

    def redraw(*_: object) -> None:
        chosen = row.box.value, score.box.value, n.value
        picture.show(picture_of(bias, *chosen, paper), describe_bias(bias, *chosen))

    def step(by: int) -> None:
        n.index = min(max(n.index + by, 0), len(bias.counts) - 1)

    for control in (row.box, score.box, n):
        control.observe(redraw, names="value")
    fewer.on_click(lambda _: step(-1))
    more.on_click(lambda _: step(1))
    redraw()
    return ipywidgets.VBox([row.row, score.row, ipywidgets.HBox([n, more, fewer]), picture.box])


def bias_static(axes: list[Axes], bias: Bias, row: str, score: str) -> None:
    """The widget's static twin: a small n, a middle one and the largest, on three Axes of one scale."""
    counts = (bias.counts[0], bias.counts[len(bias.counts) // 2], bias.counts[-1])
    for ax, n in zip(axes, counts, strict=True):
        draw_bias(ax, bias, row, score, n)
        ax.label_outer()
    axes[0].legend(frameon=False, fontsize=8)


def sketch() -> controls.Sketch:
    """Axes to draw a score on, again and again."""
    return controls.Sketch(6.5, 2.8, (0.13, 0.19, 0.84, 0.7))


def picture_of(bias: Bias, row: str, score: str, n: int, paper: controls.Sketch) -> bytes:
    """The drawing as a PNG file."""
    return paper.png(
        lambda ax: draw_bias(ax, bias, row, score, n).legend(frameon=False, fontsize=8)
    )
