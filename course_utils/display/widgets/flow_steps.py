"""Lesson 09's interactive figure: choose class, steps and guidance, and see what a flow makes of the same noise.

The widget and its static twin ask with the same function. Only what ipywidgets 7.7 and 8.1 share is used.
"""

from collections.abc import Callable, Sequence

import ipywidgets
import torch
from matplotlib.axes import Axes
from torch import Tensor

from course_utils.display import plots
from course_utils.display.widgets import controls

Sample = Callable[[Tensor, int, float, int], Tensor]
"""Classes (N,) int64, steps, guidance and the number of the noise -> pictures uint8 (N, 3, H, W)."""
STEPS = (1, 2, 4, 8, 16)
"""How many steps can be chosen."""
SHOWN = 4
"""Pictures at a time."""
_STRONGEST, _LAST_NOISE = 6.0, 99
_PAUSE = 0.15
"""Seconds without a change before a walk begins: a slider that is dragged passes many values."""


def pictures(
    sample: Sample, label: int, steps: int, guidance: float, noise: int, count: int = SHOWN
) -> Tensor:
    """``count`` pictures of one class, all walked at once and without gradients: uint8 (count, 3, H, W)."""
    with torch.no_grad():
        return sample(torch.full((count,), label, dtype=torch.int64), steps, guidance, noise)


def flow_steps(sample: Sample, names: Sequence[str]) -> ipywidgets.Widget:
    """Choose class, number of steps, guidance and noise; see the pictures.

    Args:
        sample: classes (N,), steps, guidance, number of the noise -> uint8 (N, 3, H, W); the same noise for one number.
        names: of the classes, in the order of their numbers.
    """
    label = controls.choice("class", [(name, k) for k, name in enumerate(names)], 0)
    steps = controls.choice("steps", [(str(n), n) for n in STEPS], STEPS[-2])
    guidance = controls.number("guidance", 0.0, _STRONGEST, 0.5, 1.0)
    noise = controls.number("noise no.", 0, _LAST_NOISE, 1, 0)
    picture = controls.Picture(SHOWN * 128)

    def draw() -> None:
        chosen = (label.box.value, steps.box.value, guidance.box.value, noise.box.value)
        sentence = (
            f"{SHOWN} pictures of class {names[chosen[0]]}: {chosen[1]} {'step' if chosen[1] == 1 else 'steps'}, "
            f"guidance {chosen[2]:.1f}, noise no. {chosen[3]}"
        )
        picture.show(controls.enlarged(pictures(sample, *chosen), 4), sentence)

    ask = controls.after_pause(_PAUSE, draw)
    for control in (label, steps, guidance, noise):
        control.box.observe(lambda _: ask(), names="value")
    draw()
    return ipywidgets.VBox([label.row, steps.row, guidance.row, noise.row, picture.box])


def flow_steps_static(
    ax: Axes, sample: Sample, label: int, title: str, guidance: float = 1.0, noise: int = 0
) -> Axes:
    """The same noise at each number of steps, a column for each, for readers without a kernel.

    Args:
        ax: where to draw.
        sample: as for the widget.
        label: the class.
        title: what they are.
        guidance: for all of them.
        noise: number of the noise.
    """
    columns = [pictures(sample, label, steps, guidance, noise) for steps in STEPS]
    rows = torch.stack(columns, dim=1).flatten(0, 1)  # (SHOWN * steps, 3, H, W)
    plots.image_grid(ax, rows, columns=len(STEPS), title=title)
    side = rows.shape[-1] + 2  # and the gap
    for place, steps in enumerate(STEPS):
        middle = place * side + side / 2 - 1
        words = "1 step" if steps == 1 else f"{steps} steps"
        ax.text(middle, SHOWN * side, words, ha="center", va="top", fontsize=9)
    return ax
