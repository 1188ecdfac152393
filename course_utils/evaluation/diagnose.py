"""Name the usual failures of training, above all of GANs, from what was logged while it ran.

The rules are statements about losses and probabilities that a healthy game does not make for long. They were set on
recorded runs (``data/results/gan_traces.json``): each failure made on purpose, and healthy runs that must not alarm.
A rule of thumb is not a proof: look at the samples before you believe it. The rules for VAEs and classifiers are in
`course_utils.evaluation.diagnose_families`, those for flow matching in `course_utils.evaluation.diagnose_flow`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_utils.errors import CourseError
from course_utils.evaluation import diagnose_families as families

REQUIRED = ("d_loss", "g_loss", "d_real", "d_fake")
OPTIONAL = ("step", "diversity", "real_diversity")
FEWEST_ROWS = 25
"""Shorter histories are not judged (but for NaN)."""
SHARE_OF_RUN = 0.2
"""A state counts when it lasts for this share of the history."""

Series = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Finding:
    """What was seen, where, what it means and what to try.

    Attributes:
        name: ``"not a number"``, ``"generator trained to be caught"``, ``"false equilibrium"``,
            ``"discriminator wins"``, ``"generator ahead"``, ``"oscillation"``, ``"collapse"``, a name of
            `diagnose_families.RULES` or `diagnose_flow.RULES`, or else ``"healthy"`` or ``"too short"``.
        first: step at which it starts.
        last: step at which it ends.
        meaning: what these numbers say.
        advice: what to try first.
    """

    name: str
    first: int
    last: int
    meaning: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name} (steps {self.first} to {self.last}): {self.meaning} Try: {self.advice}"


def diagnose(history: Mapping[str, Any]) -> list[Finding]:
    """Name the known failures in a history of training.

    Args:
        history: lists of equal length: ``d_loss`` and ``g_loss`` in nats (``d_loss`` is the sum of the means over real
            and fake, as in lesson 01), ``d_real`` and ``d_fake``, the mean probabilities D(x) and D(G(z)). Optional:
            ``step`` (default 1, 2, ...), ``diversity`` of the samples in any unit, and ``real_diversity``, the same of
            real examples; collapse can be found only with ``diversity``. Other names are ignored. A history with
            ``nll`` and ``kl`` instead is judged as a VAE's; one with ``loss`` (nats), ``accuracy`` and perhaps
            ``positive`` (share of label 1 in each batch) as that of a classifier of two classes; one with ``loss`` and
            ``t`` as that of flow matching, where a row may hold lists of a batch's own losses and times, and ``data``,
            ``samples``, ``data_labels``, ``labels`` and ``asked`` may be handed over (`diagnose_flow.HANDED_OVER`).

    Returns:
        The findings, the most certain first; one named ``"healthy"`` when no rule applies, one named ``"too short"``
        when there are too few rows to tell. Never empty.

    Raises:
        CourseError: a series is missing, or lengths differ.
    """
    kind = families.family(history)
    beside = families.flow.handed_over(history) if kind == "flow" else {}
    series = _read(families.flow.rows(history) if kind == "flow" else history, kind)
    findings = []
    bad = ~np.all([np.isfinite(series[name]) for name in series if name != "step"], axis=0)
    if bad.any():
        findings.append(_finding("not a number", series["step"], int(bad.argmax()), len(bad) - 1))
        series = {name: values[: bad.argmax()] for name, values in series.items()}
    if len(series["step"]) < FEWEST_ROWS:
        rows = series["step"]
        return findings or [_finding("too short", rows, 0, len(rows) - 1)]
    smooth = {
        name: v if name == "step" else _moving_mean(v, len(v) // 50) for name, v in series.items()
    }
    for name, rule in families.RULES.get(kind, RULES).items():
        span = rule({**smooth, **beside})
        hidden = name == "discriminator wins" and any(
            f.name == "generator trained to be caught" for f in findings
        )
        if span and not hidden:
            findings.append(_finding(name, smooth["step"], *span))
    healthy = families.HEALTHY.get(kind, _TEXTS["healthy"])
    return findings or [_finding("healthy", series["step"], 0, len(series["step"]) - 1, healthy)]


# ---- rules: smoothed series -> first and last row, or None


def _caught(s: Series) -> tuple[int, int] | None:
    # -log D(G(z)) is at least -log of the mean D(G(z)) (Jensen). A far smaller positive loss is another loss.
    fooled = -np.log(np.clip(s["d_fake"], 1e-6, 1.0))
    return _lasting((s["d_fake"] < 0.3) & (s["g_loss"] >= 0) & (s["g_loss"] < 0.5 * fooled))


def _false_equilibrium(s: Series) -> tuple[int, int] | None:
    undecided = (np.abs(s["d_fake"] - 0.5) < 0.1) & (np.abs(s["g_loss"] - math.log(2)) < 0.15)
    return _lasting((s["d_real"] > 0.9) & undecided)


def _discriminator_wins(s: Series) -> tuple[int, int] | None:
    return _lasting((s["d_real"] > 0.97) & (s["d_fake"] < 0.03))


def _generator_ahead(s: Series) -> tuple[int, int] | None:
    return _lasting((s["d_fake"] > 0.6) & (s["d_fake"] > s["d_real"] + 0.1))


def _oscillation(s: Series) -> tuple[int, int] | None:
    # Swings beyond the middle by more than 0.12, up and down in turn, at least five of them in the last two thirds.
    start = len(s["step"]) // 3
    spans = [span for name in ("d_fake", "d_real") if (span := _swings(s[name][start:]))]
    return (start + min(a for a, _ in spans), start + max(b for _, b in spans)) if spans else None


def _swings(values: np.ndarray) -> tuple[int, int] | None:
    """Where values begin and end to swing: four turns or more, by 0.12 to either side of their middle."""
    middle = np.median(values)
    sides = [(i, np.sign(v - middle)) for i, v in enumerate(values) if abs(v - middle) > 0.12]
    turns = [sides[k][0] for k in range(1, len(sides)) if sides[k][1] != sides[k - 1][1]]
    return (sides[0][0], sides[-1][0]) if len(turns) >= 4 else None


def _collapse(s: Series) -> tuple[int, int] | None:
    if "diversity" not in s:
        return None
    wide = max(
        2, len(s["step"]) // 10
    )  # samples that are chased around spread out for a moment now and then
    spread = _moving_mean(s["diversity"], wide)
    full = (
        _moving_mean(s["real_diversity"], wide) / 3 if "real_diversity" in s else 0.2 * spread.max()
    )
    low = spread < full
    high = np.flatnonzero(~low)
    first = (
        int(high[-1]) + 1 if len(high) else 0
    )  # samples start out alike: only what lasts to the end counts
    return (first, len(low) - 1) if len(low) - first >= SHARE_OF_RUN * len(low) else None


RULES: Mapping[str, Callable[[Series], tuple[int, int] | None]] = {
    "generator trained to be caught": _caught,
    "false equilibrium": _false_equilibrium,
    "discriminator wins": _discriminator_wins,
    "generator ahead": _generator_ahead,
    "oscillation": _oscillation,
    "collapse": _collapse,
}
"""Name of the failure -> its rule, the most certain first."""

CONDITIONS = {
    "generator trained to be caught": "D(G(z)) < 0.3, and 0 ≤ generator's loss < ½ · (−log D(G(z)))",
    "false equilibrium": "D(x) > 0.9, D(G(z)) within 0.1 of ½, generator's loss within 0.15 of log 2",
    "discriminator wins": "D(x) > 0.97 and D(G(z)) < 0.03",
    "generator ahead": "D(G(z)) > 0.6, and above D(x) by 0.1",
    "oscillation": "D(x) or D(G(z)) swings by 0.12 to either side of its median, four turns or more",
    "collapse": "to the end, spread of the samples < ⅓ of the data's (or ⅕ of its own largest)",
    **families.CONDITIONS,
}
"""Name of a failure -> its rule in words."""


def rules(*kinds: str) -> str:
    """The rules as a table in Markdown: what they read, what they call it, and when.

    Args:
        kinds: of histories, ``"GAN"``, ``"VAE"``, ``"classifier"`` or ``"flow"``; all of them without any.

    Raises:
        KeyError: another word.
    """
    of = {
        "GAN": RULES,
        "VAE": families.RULES["vae"],
        "classifier": families.RULES["classifier"],
        "flow": families.RULES["flow"],
    }
    rows = [
        f"| {kind} | {name} | {CONDITIONS[name]} |" for kind in kinds or of for name in of[kind]
    ]
    head = ["| history of a | finding | when |", "| --- | --- | --- |"]
    return "\n".join([*head, "| any | not a number | a value is NaN or infinite |", *rows])


_TEXTS = {
    **families.TEXTS,
    "not a number": (
        "A logged value is NaN or infinite; all weights after it are lost.",
        "compute log D from logits (F.logsigmoid), go back to the last good checkpoint, lower the learning rate.",
    ),
    "generator trained to be caught": (
        "The generator's loss is small although D recognises its samples, which -log D(G(z)) cannot be.",
        "give the fakes the label 1 (real) in the generator's half of the step.",
    ),
    "false equilibrium": (
        "D answers 1/2 to fakes but 1 to real examples; at equilibrium it answers 1/2 to both and D's loss is 1.386.",
        "detach the fakes in D's half, and call zero_grad before each backward: both losses reach the same weights.",
    ),
    "discriminator wins": (
        "D is sure about everything, so the generator gets little that it can use.",
        "the same range for real and generated data, a lower rate for D, label smoothing, or a gradient penalty.",
    ),
    "generator ahead": (
        "D finds fakes more real than real examples: it lags behind, and the generator exploits its errors.",
        "a higher rate or more steps for D; check that its optimiser holds its parameters.",
    ),
    "oscillation": (
        "D's belief swings widely, up and down in turn: the players circle around each other.",
        "lower learning rates, Adam with beta1 = 0.5 or 0, an average of the generator's weights.",
    ),
    "collapse": (
        "The samples vary far less than they should; losses need not show it.",
        "equal learning rates, or a D that sees the spread of a batch; then look at many samples, or count modes.",
    ),
    "healthy": (
        "No rule of this list applies.",
        "looking at the samples; losses cannot tell how good they are.",
    ),
    "too short": (
        "Too few rows to tell a failure from a start.",
        "more steps, or logging more often.",
    ),
}


def _finding(
    name: str, step: np.ndarray, first: int, last: int, texts: tuple[str, str] | None = None
) -> Finding:
    place = (int(step[first]), int(step[last])) if len(step) else (0, 0)
    return Finding(name, *place, *(texts or _TEXTS[name]))


def _lasting(condition: np.ndarray) -> tuple[int, int] | None:
    """The longest unbroken stretch of rows, if it is long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], condition.astype(int), [0]])))
    spans = [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    longest = max(spans, key=lambda span: span[1] - span[0], default=(0, -1))
    return longest if longest[1] - longest[0] + 1 >= max(5, SHARE_OF_RUN * len(condition)) else None


def _moving_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over ``width`` rows around each row, over fewer at the ends."""
    if width < 2:
        return values
    kernel = np.ones(width)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def _read(history: Mapping[str, Sequence[float]], kind: str) -> dict[str, np.ndarray]:
    missing = [name for name in families.REQUIRED.get(kind, REQUIRED) if name not in history]
    if missing:
        raise CourseError(
            "diagnose-missing-series",
            f"The history has no {', '.join(missing)}.",
            f"The rules are about {', '.join(REQUIRED)}.",
            'diagnose({"d_loss": [...], "g_loss": [...], "d_real": [...], "d_fake": [...]})',
        )
    known = (*families.REQUIRED.get(kind, REQUIRED), *families.OPTIONAL.get(kind, ()), *OPTIONAL)
    names = [name for name in known if name in history]
    series = {
        name: np.array([np.nan if v is None else v for v in history[name]], float) for name in names
    }
    series.setdefault("step", np.arange(1, len(series[known[0]]) + 1))
    lengths = {name: len(values) for name, values in series.items()}
    if len(set(lengths.values())) > 1:
        raise CourseError(
            "diagnose-unequal-series",
            f"The series have different lengths: {lengths}.",
            "Row k of each series must describe the same step.",
            "Log all values of a step at once, for example with training.log(**values).",
        )
    return series
