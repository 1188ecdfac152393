"""Rules of `course_utils.evaluation.diagnose` for runs that are not GANs.

A VAE logs ``nll`` and ``kl``, a classifier of two classes ``loss`` and ``accuracy``; flow matching, which logs ``loss``
and ``t``, has its rules in `course_utils.evaluation.diagnose_flow`.

Two of the four here are no rules of thumb but theorems: a divergence has no negative values, and in cross-entropy each
wrong answer costs at least log 2. They were tried on recorded runs (``data/results/clinic_traces.json``).
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from course_utils.evaluation import diagnose_flow as flow

Series = Mapping[str, np.ndarray]
Span = tuple[int, int] | None
LASTS = 0.2
"""A state counts when it holds for this share of the rows."""
ROWS_FOR_A_TREND = 60
"""With fewer rows a KL that is still near its start may look constant."""

REQUIRED = {"vae": ("nll", "kl"), "classifier": ("loss", "accuracy"), "flow": flow.REQUIRED}
OPTIONAL = {"vae": (), "classifier": ("positive",), "flow": ()}


def family(history: Mapping[str, object]) -> str:
    """Which rules fit: ``"vae"``, ``"classifier"``, ``"flow"``, or ``"gan"`` for anything else."""
    fits = (
        name
        for name, names in REQUIRED.items()
        if "d_loss" not in history and set(names) <= set(history)
    )
    return next(fits, "gan")


def _below_zero(s: Series) -> Span:
    return _span(s["kl"] < -0.01)


def _constant_term(s: Series) -> Span:
    # A KL that is trained pays for the likelihood: one rises as the other falls. Sampling noise alone does not.
    if len(s["kl"]) < ROWS_FOR_A_TREND:
        return None
    fifth = len(s["kl"]) // 5
    nll_start, nll_end = s["nll"][:fifth], s["nll"][-fifth:]
    drift = abs(s["kl"][-fifth:].mean() - s["kl"][:fifth].mean())
    improved = nll_start.mean() - nll_end.mean() > 5 * nll_end.std()
    if not improved or drift > 0.1 * abs(s["kl"].mean()):
        return None
    related = s["kl"].std() > 0 and abs(np.corrcoef(s["kl"], s["nll"])[0, 1]) > 0.3
    return None if related else (0, len(s["kl"]) - 1)


def _not_cross_entropy(s: Series) -> Span:
    # Two classes: a wrong answer gives the truth at most 1/2, so it costs at least log 2; right ones cost more than 0.
    return _span(s["loss"] < 0.95 * (1 - s["accuracy"]) * math.log(2) - 1e-3)


def _sorted_labels(s: Series) -> Span:
    if "positive" not in s:
        return None
    share = s["positive"]
    extreme = (share < 0.05) | (share > 0.95)
    changes = (np.diff(share > 0.5)).sum()
    both = 0.2 < share.mean() < 0.8
    return (
        (0, len(share) - 1)
        if both and extreme.mean() > 0.8 and changes <= 0.1 * len(share)
        else None
    )


RULES: Mapping[str, Mapping[str, Callable[[Series], Span]]] = {
    "vae": {"divergence below zero": _below_zero, "constant second term": _constant_term},
    "classifier": {
        "loss is not cross-entropy": _not_cross_entropy,
        "labels come sorted": _sorted_labels,
    },
    "flow": flow.RULES,
}
"""Family -> name of the failure -> its rule."""

CONDITIONS = {
    "divergence below zero": "KL < 0 (a theorem; here < −0.01, for rounding)",
    "constant second term": "nll falls, KL moves by less than 10 % and not along with nll; 60 rows or more",
    "loss is not cross-entropy": "loss < log 2 · share of wrong answers (a theorem; here with 5 % to spare)",
    "labels come sorted": "four of five batches hold one label, both labels occur, and they hardly alternate",
    **flow.CONDITIONS,
}
"""Name of the failure -> its rule in words."""

TEXTS = {
    "divergence below zero": (
        "A KL divergence is never negative: the expectation runs over the wrong distribution, or the sign is turned.",
        "evaluate the term on two distributions whose KL is known, in both directions.",
    ),
    "constant second term": (
        "The likelihood improves and the other term does not move: it depends on nothing that is trained.",
        "ask for the gradient of that term in the encoder's weights; it should not be None or 0.",
    ),
    "loss is not cross-entropy": (
        "With two classes each wrong answer costs at least log 2 = 0.693 nats; "
        "this loss is smaller than its errors allow.",
        "looking at the shape of the logits: with one output, libraries train a regression.",
    ),
    "labels come sorted": (
        "Whole stretches of batches carry a single label: the model learns what the last label was.",
        "one permutation of texts and labels together, drawn anew for each epoch.",
    ),
    **flow.TEXTS,
}
"""Name -> what it means, what to try."""

HEALTHY = {
    "vae": (
        "No rule of this list applies.",
        "looking at samples from the prior, not only at reconstructions.",
    ),
    "classifier": (
        "No rule of this list applies.",
        "a score on examples that were not trained on, beside a baseline.",
    ),
    "flow": flow.HEALTHY,
}


def _span(condition: np.ndarray) -> Span:
    """First and last row of a condition that holds for long enough in total."""
    rows = np.flatnonzero(condition)
    return (int(rows[0]), int(rows[-1])) if len(rows) >= max(5, LASTS * len(condition)) else None
