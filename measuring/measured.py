"""What the measuring programs share: numbers with their intervals, and the files of ``data/results``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from course_utils.evaluation.intervals import wilson_interval
from course_utils.evaluation.scores import Score, mean_interval
from course_utils.paths import atomic_write, results_dir


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


def earlier(name: str) -> dict[str, Any]:
    """What a file of results holds already, {} where there is none."""
    path = results_dir() / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_result(name: str, content: Mapping[str, Any]) -> Path:
    """Write a file of results; a reader sees the old one or the new one. Returns its path."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    return atomic_write(results_dir() / name, text.encode())
