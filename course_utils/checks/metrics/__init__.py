"""Checks of lesson 06: measuring generators. Each returns the function that the lesson goes on with."""

from course_utils.checks.metrics.bootstrap_interval import bootstrap_interval
from course_utils.checks.metrics.cheat import cheat
from course_utils.checks.metrics.distinct import distinct
from course_utils.checks.metrics.frechet_distance import frechet_distance
from course_utils.checks.metrics.inception_score import inception_score
from course_utils.checks.metrics.kernel_distance import kernel_distance
from course_utils.checks.metrics.near_copies import near_copies
from course_utils.checks.metrics.precision_recall import precision_recall
from course_utils.checks.metrics.repetition import repetition
from course_utils.checks.prediction import prediction

real_score = prediction("metrics.real_score")

__all__ = [
    "bootstrap_interval",
    "cheat",
    "distinct",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "near_copies",
    "precision_recall",
    "real_score",
    "repetition",
]
