"""Rules of `course_utils.evaluation.diagnose` for flow matching, lesson 09: histories with ``loss`` and ``t``.

A row's loss and time are numbers, or lists of the batch's own; what a network makes may be handed over beside them.
Three facts carry the rules. At t = 0 the network sees noise alone, so that no loss is below the variance of the data
there, and a trained one is not far above it. Velocities that point the right way lead to the spread of the data. And
Euler's method asks for the last time one step before the end.

They were tried on a ring of Gaussians (``data/results/flow_faults.json``). A network that follows its labels weakly, as
one of few minutes on photographs does, can hide a doubled guidance: its classes then stand as far apart as the data's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Series = Mapping[str, np.ndarray]
Span = tuple[int, int] | None

REQUIRED = ("loss", "t")
HANDED_OVER = ("data", "samples", "data_labels", "labels", "asked")
"""What may stand beside the rows: arrays (M, ...) and (N, ...) in the network's range with their classes, samples
drawn in 8 steps or more and where the class alone is meant (scale 1), and the times at which one walk asked for a
velocity, in order."""
FEWEST = 20
"""Of examples at one end of time, or of one class, fewer are not judged."""
END = 0.15
"""An end of time: t below this, or above one minus this."""


def rows(history: Mapping[str, Any]) -> dict[str, list[float]]:
    """The history with one number a row: lists of a batch become their mean, what is handed over is left out."""
    kept = {name: values for name, values in history.items() if name not in HANDED_OVER}
    for name in REQUIRED:
        kept[name] = [
            np.nan if row is None else float(np.mean(np.asarray(row, float))) for row in kept[name]
        ]
    return kept


def handed_over(history: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What the rules read beside the rows.

    ``times`` and ``losses`` of single examples from the last half of a run, where rows tell of those; the spread of
    the times in each row of a batch; what the network answered at the start; and the arrays of `HANDED_OVER`.
    """
    found = {name: np.asarray(history[name], float) for name in HANDED_OVER if name in history}
    loss, t = (history[name] for name in REQUIRED)
    if len(loss) and all(np.ndim(row) == 1 and len(row) > 1 for row in t):
        half = len(loss) // 2
        found["times"], found["losses"] = (_joined(rows[half:]) for rows in (t, loss))
        found["spread"] = np.array([np.ptp(np.asarray(row, float)) for row in t])
        found["start"] = np.array(float(np.mean(loss[0])))
    elif len(t) and all(np.ndim(row) == 0 for row in t) and np.std(np.asarray(t, float)) > 0.1:
        found["times"], found["losses"] = np.asarray(t, float), np.asarray(loss, float)
    return found


def _joined(parts: Sequence[Sequence[float]]) -> np.ndarray:
    return np.concatenate([np.asarray(part, float).ravel() for part in parts])


# ---- rules: rows and what is handed over -> first and last row, or None


def _not_scaled(s: Series) -> Span:
    large = np.abs(s["data"]).max() > 10 if "data" in s else np.median(s["loss"]) > 20
    return _all(s) if large else None


def _nothing_learned(s: Series) -> Span:
    # A network that always answers 0 has E|data - noise|², which is 1 plus the mean square of the data.
    if "data" not in s:
        return None
    fifth = max(1, len(s["loss"]) // 5)
    return _all(s) if s["loss"][-fifth:].mean() > 0.85 * (1 + (s["data"] ** 2).mean()) else None


def _one_time(s: Series) -> Span:
    return _all(s) if "spread" in s and (s["spread"] < 1e-6).mean() > 0.8 else None


def _time_reversed(s: Series) -> Span:
    if "asked" in s and len(s["asked"]) > 1 and s["asked"][0] > s["asked"][-1]:
        return _all(s)
    variance = _variance(s)
    if variance is None or "times" not in s or _nothing_learned(s):
        return None
    noise, data = s["times"] < END, s["times"] > 1 - END
    if min(noise.sum(), data.sum()) < FEWEST:
        return None
    starts, ends = (
        s["losses"][there].mean() / _of_the_best_line(variance, time[there])
        for there, time in ((noise, s["times"]), (data, 1 - s["times"]))
    )
    # With a label the data vary as in their class, without one by all of their variance.
    least = _within(s, variance) / variance
    impossible = starts > 1.5 or starts < 0.65 * least
    return _all(s) if impossible and 0.7 * least < ends < 1.4 else None


def _of_the_best_line(variance: float, t: np.ndarray) -> float:
    """The mean loss near the noise, at t, of the best velocity that is a line through x: the variance at t = 0."""
    return float((variance / (t**2 * variance + (1 - t) ** 2)).mean())


def _variance(s: Series) -> float | None:
    """Of the data, a mean over the coordinates; of a run's first row where no data are handed over."""
    if "data" in s:
        return float(s["data"].reshape(len(s["data"]), -1).var(0).mean())
    if "start" in s and s["start"] - 1 > 0.05:  # a new network answers about 0
        return float(s["start"] - 1)
    return None


def _within(s: Series, variance: float) -> float:
    """The variance around the mean of a class, where classes are known."""
    if "data_labels" not in s or "data" not in s:
        return variance
    data, labels = s["data"].reshape(len(s["data"]), -1), s["data_labels"]
    shares = [(data[labels == label], (labels == label).mean()) for label in np.unique(labels)]
    return float(sum(rows.var(0).mean() * share for rows, share in shares))


def _turned_round(s: Series) -> Span:
    if "samples" not in s or "data" not in s or _not_scaled(s) or _time_reversed(s):
        return None
    spread, real = (s[name].reshape(len(s[name]), -1).var(0).mean() for name in ("samples", "data"))
    # The walk begins with variance 1 and should end with the data's.
    return _all(s) if not spread < 1.5 * max(1.0, real) else None


def _last_step_missing(s: Series) -> Span:
    if "asked" not in s:
        return None
    times = np.unique(np.round(s["asked"], 6))
    if len(times) < 2 or s["asked"][0] > s["asked"][-1]:
        return None
    step, left = float(np.median(np.diff(times))), 1 - times[-1]
    # Heun asks at both ends of each step: a last time that is asked for once is an end, not a beginning.
    pairs = len(s["asked"]) >= 1.4 * len(times)
    ended = pairs and np.isclose(s["asked"], s["asked"][-1]).sum() == 1
    return _all(s) if left > (0.5 if ended else 1.5) * step else None


def _past_the_class(s: Series) -> Span:
    found = _classes(s)
    if found is None:
        return None
    apart, wide = found
    return _all(s) if apart > 1.25 or (apart > 0.8 and wide < 0.5) else None


def _without_effect(s: Series) -> Span:
    found = _classes(s)
    return _all(s) if found is not None and found[0] < 0.35 else None


def _classes(s: Series) -> tuple[float, float] | None:
    """Of the samples where the data have 1: how far classes' means stand apart, and the variance within a class."""
    if not {"samples", "data", "labels", "data_labels"} <= set(s) or any(
        rule(s) for rule in (_not_scaled, _nothing_learned, _time_reversed, _turned_round)
    ):
        return None
    data, samples = (s[name].reshape(len(s[name]), -1) for name in ("data", "samples"))
    centre, along, across, within = data.mean(0), 0.0, 0.0, np.zeros(2)
    for label in np.unique(s["data_labels"]):
        real, made = data[s["data_labels"] == label], samples[s["labels"] == label]
        if min(len(real), len(made)) < FEWEST:
            continue
        away = real.mean(0) - centre
        along += float(away @ (made.mean(0) - centre))
        across += float(away @ away)
        within += made.var(0).mean(), real.var(0).mean()
    known = across > 0.02 * data.var(0).sum()
    return (along / across, float(within[0] / within[1])) if known else None


def _all(s: Series) -> Span:
    return 0, len(s["loss"]) - 1


RULES = {
    "data not in [-1, 1]": _not_scaled,
    "nothing learned": _nothing_learned,
    "one time for the batch": _one_time,
    "time reversed": _time_reversed,
    "velocity turned round": _turned_round,
    "last step missing": _last_step_missing,
    "guided past the class": _past_the_class,
    "label without effect": _without_effect,
}
"""Name of the failure -> its rule, the most certain first."""

CONDITIONS = {
    "data not in [-1, 1]": "a number of the data beyond ±10; without data: median loss > 20",
    "nothing learned": "at the end, loss > 85 % of 1 + the data's mean square, the loss of the answer 0",
    "one time for the batch": "in four of five rows all examples have the same t",
    "time reversed": "the loss near t = 1 is the data's variance, near t = 0 another number; or a walk from 1 to 0",
    "velocity turned round": "the samples' variance is over 1.5 times that of the data and of the noise",
    "last step missing": "more than 1.5 steps from the last call of a walk to t = 1; after pairs of calls, half a step",
    "guided past the class": "at scale 1, classes are over 1.25 times as far apart as in the data, or half as wide",
    "label without effect": "at scale 1, classes are under 0.35 times as far apart as in the data",
}
"""Name of the failure -> its rule in words."""

TEXTS = {
    "data not in [-1, 1]": (
        "The data are far larger than the noise: until the very end of the walk x_t is the picture alone.",
        "pictures as floats in [-1, 1], and [-1, 1] back to bytes after sampling.",
    ),
    "nothing learned": (
        "The loss is that of a network which always answers 0.",
        "one batch again and again: its loss must fall; else look for a cut graph or an optimiser of other weights.",
    ),
    "one time for the batch": (
        "All examples of a batch are asked at one time, so that a step learns one noise level and unlearns others.",
        "t = torch.rand(len(data)), a time for each example.",
    ),
    "time reversed": (
        "The loss behaves at the data's end as it must at the noise's: path and walk count time in two directions.",
        "one convention for path, network and walk; at t = 0 the path is the noise, exactly.",
    ),
    "velocity turned round": (
        "The samples are spread wider than data and noise: the walk leads away from the data.",
        "the sign of the target; on the straight path from noise it is data - noise.",
    ),
    "last step missing": (
        "The walk stops before t = 1: some of the noise stays in every sample.",
        "count: n steps of 1/n each begin at 0, 1/n, ..., 1 - 1/n.",
    ),
    "guided past the class": (
        "At scale 1, which means the class alone, classes stand further apart or vary less than in the data.",
        "the formula at scale 0 and 1; in the other convention, 1 + w, the class alone is w = 0.",
    ),
    "label without effect": (
        "Samples of all classes look alike.",
        "the label in training (how often is it left out?) and the order of the two velocities in the guidance.",
    ),
}
"""Name -> what it means, what to try."""

HEALTHY = (
    "No rule of this list applies. A loss that no longer falls is no fault: many pairs of noise and data pass the same "
    "point, and the floor of this loss is the variance of their velocities.",
    "looking at the samples, or at a score of them: they get better while the loss is flat.",
)
"""What the finding "healthy" means here, and what to try."""
