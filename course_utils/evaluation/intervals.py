"""How sure a share is that was counted: the Wilson interval."""

import math

from course_utils.errors import CourseError


def wilson_interval(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of Wilson for a proportion.

    Args:
        correct: successes, from 0 to ``total``.
        total: trials, at least 1.
        z: standard deviations of the normal distribution; 1.96 gives 95 %.

    Returns:
        Low and high end, within [0, 1].

    Raises:
        CourseError: no trials, or successes that are not among them.

    Source: E. B. Wilson (1927), Probable inference, Journal of the American Statistical Association 22, p. 209-212.
    """
    if not 0 <= correct <= total or total < 1:
        raise CourseError(
            "proportions-counts",
            f"The share of {correct} of {total} was asked for.",
            "A share needs at least one trial, and successes are some of the trials.",
            "low, high = wilson_interval(correct=870, total=1000)",
        )
    share, spread = correct / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, min(share, centre - half)), min(
        1.0, max(share, centre + half)
    )  # rounding must not leave share out
