"""Lesson 04's interactive figure: write a review and watch the classifier's answer, and its static twin.

Only what ipywidgets 7.7 and 8.1 share is used. What the reader types is escaped before it is shown.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace

import ipywidgets
from matplotlib.axes import Axes

from course_utils.display import palette, plots, text_plots
from course_utils.display.widgets import controls
from course_utils.evaluation.occlusion import Margin, occlusion

LONGEST = 60
"""Words of the text that are scored: leaving out each one of more would take too long for a live answer."""
PAUSE = 0.4
"""Seconds without a key before the words are weighed: one pass of the network for each would hold up the typing."""


@dataclass(frozen=True)
class Verdict:
    """What the classifier makes of a text: its probability of positive, and the words that move it most."""

    text: str
    positive: float
    raises: tuple[str, ...]
    lowers: tuple[str, ...]

    def sentence(self) -> str:
        """The verdict in words, for readers who see no bar."""
        if not self.text.strip():
            return "Write a review."
        parts = [f"{self.positive:.0%} positive"]
        parts += [f"raised by {', '.join(self.raises)}"] if self.raises else []
        parts += [f"lowered by {', '.join(self.lowers)}"] if self.lowers else []
        return "; ".join(parts) + "."


def judge(margin: Margin, text: str) -> Verdict:
    """Score a text (its first 60 words) and find the three words that raise and lower its margin most.

    Args:
        margin: texts -> positive logit minus negative logit, (N,).
        text: a review.
    """
    quick = glance(margin, text)
    words, effects = occlusion(margin, quick.text)
    order = effects.argsort().tolist()
    raises = tuple(words[i] for i in reversed(order[-3:]) if effects[i] > 0.05)
    lowers = tuple(words[i] for i in order[:3] if effects[i] < -0.05)
    return replace(quick, raises=raises, lowers=lowers)


def glance(margin: Margin, text: str) -> Verdict:
    """The score alone, which takes one pass of the network instead of one for each word."""
    shown = " ".join(text.split()[:LONGEST])
    return Verdict(shown, margin([shown]).sigmoid().item() if shown else 0.5, (), ())


def verdict_html(verdict: Verdict) -> str:
    """The verdict as HTML: a bar, and the sentence under it; every word of the text is escaped."""
    width = round(100 * verdict.positive)
    bar = (
        f'<div style="background:{palette.NEGATIVE};width:320px;height:18px"><div style="background:{palette.POSITIVE};'
        f'width:{width}%;height:18px"></div></div>'
    )
    scale = '<div style="width:320px;font-size:11px">negative 0 % <span style="float:right">100 % positive</span></div>'
    return f"{bar}{scale}<p>{html.escape(verdict.sentence())}</p>"


def review_meter(margin: Margin, start: str) -> ipywidgets.Widget:
    """A text field; under it the classifier's answer, new as you type, and after a pause the words that move it.

    Args:
        margin: texts -> positive logit minus negative logit, (N,).
        start: the text to begin with.
    """
    layout = ipywidgets.Layout(width="560px", height="90px")
    field = ipywidgets.Textarea(
        value=start, description="review", layout=layout, placeholder="Write a review."
    )
    answer = ipywidgets.HTML()

    def explain() -> None:
        answer.value = verdict_html(judge(margin, field.value))

    ask = controls.after_pause(PAUSE, explain)

    def redraw(*_: object) -> None:
        answer.value = verdict_html(glance(margin, field.value))
        ask()

    field.observe(redraw, names="value")
    explain()
    return ipywidgets.VBox([field, answer])


def review_meter_static(
    ax: Axes,
    margin: Margin,
    texts: Sequence[str],
    title: str,
    beside: tuple[str, Sequence[float]] | None = None,
) -> Axes:
    """The same answers for several texts at once, one bar each, for readers without a kernel.

    Args:
        ax: where to draw.
        margin: texts -> positive logit minus negative logit, (N,).
        texts: N texts.
        title: of the figure.
        beside: another classifier's name and its N probabilities of positive, drawn as diamonds.
    """
    verdicts = [judge(margin, text) for text in texts]
    places = range(len(verdicts))
    ax.barh(places, [1.0] * len(verdicts), color=palette.NEGATIVE, height=0.6)
    ax.barh(places, [v.positive for v in verdicts], color=palette.POSITIVE, height=0.6)
    for place, verdict in zip(places, verdicts, strict=True):
        ax.text(1.02, place, f"{verdict.positive:.0%}", va="center", fontsize=9)
    if beside:
        name, probabilities = beside
        ax.plot(probabilities, places, "D", color="white", mec="black", label=name)
        plots.legend_above(ax, "right")
    ax.set_yticks(
        places, [text_plots.shorten(v.text, 70).replace("$", r"\$") for v in verdicts], fontsize=8
    )
    ax.invert_yaxis()
    ax.set(xlabel="probability of positive (blue)", xlim=(0, 1.12))
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    return ax
