"""Checks of lesson 06: measuring generators. Each returns the function that the lesson goes on with."""

from course_utils.checks.metrics.bootstrap_interval import bootstrap_interval
from course_utils.checks.metrics.frechet_distance import frechet_distance
from course_utils.checks.metrics.inception_score import inception_score
from course_utils.checks.metrics.kernel_distance import kernel_distance
from course_utils.checks.metrics.precision_recall import precision_recall

__all__ = [
    "bootstrap_interval",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "precision_recall",
]
