"""Numbers with their 95 % intervals, in the form in which the files of ``data/results`` hold them."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from course_utils.evaluation.class_scores import ClassScores
from course_utils.evaluation.intervals import wilson_interval
from course_utils.evaluation.scores import Score, mean_interval


def over_seeds(values: Sequence[float]) -> dict[str, float]:
    """Mean of the values of several seeds with its 95 % interval: ``value``, ``low``, ``high``."""
    value, low, high = mean_interval(list(values))
    return {"value": value, "low": low, "high": high}


def numbers(scores: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    """Value and interval of each score, by name."""
    return {name: {"value": s.value, "low": s.low, "high": s.high} for name, s in scores.items()}


def share(right: Tensor) -> dict[str, float]:
    """Share of true values among (N,) with its 95 % Wilson interval: ``value``, ``low``, ``high``, ``n``."""
    count, total = int(right.sum()), len(right)
    low, high = wilson_interval(count, total)
    return {"value": count / total, "low": low, "high": high, "n": total}


def by_class(scores: ClassScores) -> dict[str, Any]:
    """Scores of all classes together (``total``), FD of each, and how many were read as the class asked for."""
    value, low, high = scores.accuracy
    return {
        "total": numbers(scores.total),
        "FD_of_class": [one["FD"].value for one in scores.of_class],
        "accuracy": {"value": value, "low": low, "high": high},
        "accuracy_of_class": [one[0] for one in scores.accuracies],
    }
