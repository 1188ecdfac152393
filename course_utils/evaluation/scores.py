"""The numbers of one comparison; scores that cannot be shown without what they depend on; intervals; tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.evaluation.distances import (
    feature_moments,
    frechet_distance,
    inception_score,
    kernel_distance,
)
from course_utils.evaluation.intervals import wilson_interval
from course_utils.evaluation.manifolds import precision_recall
from course_utils.models.features import FeatureNetwork

__all__ = [
    "NAMES",
    "Score",
    "bootstrap_interval",
    "mean_interval",
    "measure_pair",
    "table",
    "wilson_interval",
]

NAMES = {
    "FD": "Fréchet distance",
    "KD": "kernel distance",
    "CS": "classifier score (Inception-style)",
    "precision": "precision",
    "recall": "recall",
}
"""The scores, by the names under which they are shown."""


@dataclass(frozen=True)
class Score:
    """A score with everything that it depends on; printing shows all of it.

    Attributes:
        name: one of ``NAMES``.
        value: mean over the draws.
        low: lower end of the 95 % interval of the expected value at this n (Student's t over the draws).
        high: its upper end.
        n: images on each side of one comparison.
        draws: independent comparisons, each with other generated and other real images.
        features: the feature network and what it was trained on.
        real_set: the images that were compared with.
        floor: what other real images score in place of the generated ones, at the same n.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    draws: int
    features: str
    real_set: str
    floor: float

    def __post_init__(self) -> None:
        if (
            self.name not in NAMES
            or self.n < 2
            or self.draws < 2
            or not (self.features and self.real_set)
        ):
            raise CourseError(
                "metrics-score",
                f"A score {self.name!r} cannot be made with n={self.n}, draws={self.draws}, "
                f"features={self.features!r}, real_set={self.real_set!r}.",
                f"It is one of {', '.join(NAMES)}, and is never shown without n, draws, feature network and real set.",
                "score = RealReference.from_images(train_images, test_images).score(images)",
            )

    def __str__(self) -> str:
        return (
            f"{self.name} {self.value:.3g} (95 % interval {self.low:.3g} to {self.high:.3g}, n = {self.n:,} × "
            f"{self.draws} draws; real against real: {self.floor:.3g}; features: {self.features}; "
            f"real set: {self.real_set})"
        )

    __repr__ = __str__


def table(rows: Mapping[str, Mapping[str, Score]]) -> str:
    """Markdown table of scores, with the line that says what they depend on.

    Args:
        rows: what was scored -> ``RealReference.score(...)`` or ``RealReference.floor``.

    Raises:
        CourseError: ``metrics-not-comparable`` when rows differ in n, draws, features or real set.
    """
    scores = [score for row in rows.values() for score in row.values()]
    if len({(s.n, s.draws, s.features, s.real_set) for s in scores}) != 1:
        raise CourseError(
            "metrics-not-comparable",
            "The rows of this table do not belong together.",
            "They were measured with another n, number of draws, feature network or real set.",
            "rows = {name: reference.score(images) for name, images in sets.items()}   # one reference for all",
        )
    names = list(dict.fromkeys(score.name for score in scores))
    header = "".join(f" {name} (95 % interval) |" for name in names)
    lines = [f"| images |{header}", "| --- " * (len(names) + 1) + "|"]
    for label, row in rows.items():
        cells = [
            f"{row[name].value:.3g} ({row[name].low:.3g} to {row[name].high:.3g})" for name in names
        ]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    real_set = scores[0].real_set.replace("$", r"\$")  # a folder's name is no formula
    one, floors = scores[0], {score.name: score.floor for score in scores}
    floor = ", ".join(f"{name} {floors[name]:.3g}" for name in names)
    return "\n".join(lines) + (
        f"\n\nEach row: n = {one.n:,} images × {one.draws} draws. Features: {one.features}. Real set: {real_set}. "
        f"Floor (other real images of the same number): {floor}."
    )


def measure_pair(
    generated: Tensor, real: Tensor, network: FeatureNetwork, names: Sequence[str] = ("FD", "KD")
) -> dict[str, float]:
    """The plain numbers of one comparison.

    Args:
        generated: (N, D) features.
        real: (M, D) features of the same network.
        network: whose features they are; CS asks its last layer for classes.
        names: which of ``NAMES``.
    """
    values = {}
    if "FD" in names:
        values["FD"] = frechet_distance(*feature_moments(generated), *feature_moments(real))
    if "KD" in names:
        values["KD"] = kernel_distance(generated, real)
    if "CS" in names:
        with torch.no_grad():
            values["CS"] = inception_score(
                network.head(generated.to(network.head.weight)).softmax(1).cpu()
            )
    if {"precision", "recall"} & set(names):
        values["precision"], values["recall"] = precision_recall(real, generated)
    return {name: values[name] for name in names}


def mean_interval(values: list[float]) -> tuple[float, float, float]:
    """Mean of independent values and its 95 % interval by Student's t (at least 2 values)."""
    from scipy.special import stdtrit  # here: it takes half a second to load

    drawn = torch.tensor(values, dtype=torch.float64)
    quantile = float(stdtrit(len(values) - 1, 0.975))
    mean, half = drawn.mean().item(), quantile * drawn.std().item() / len(values) ** 0.5
    return mean, mean - half, mean + half


def bootstrap_interval(
    values: Tensor,
    statistic: Callable[[Tensor], float | Tensor],
    repeats: int,
    generator: torch.Generator,
) -> tuple[float, float]:
    """The 2.5 and 97.5 % points of a statistic over resampled data (percentile bootstrap).

    Right where the statistic of a sample estimates the same thing whatever the sample's size is. It fails for FD and
    for nearest neighbours: a resample holds doubles, and fewer different images than the sample.

    Args:
        values: (N, ...) measurements; whole rows are drawn, with replacement, N each time.
        statistic: takes (N, ...) and returns one number.
        repeats: how many times, some hundreds or more.
        generator: source of the random numbers.

    Returns:
        Both ends of the 95 % interval.

    Source: Efron and Tibshirani 1993, *An Introduction to the Bootstrap*, section 13.3.
    """
    rows = (torch.randint(len(values), (len(values),), generator=generator) for _ in range(repeats))
    drawn = torch.tensor([float(statistic(values[index])) for index in rows], dtype=torch.float64)
    low, high = drawn.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
