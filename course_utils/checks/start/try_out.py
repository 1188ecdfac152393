"""A way to see what a check says without being recorded."""

from course_utils.checks.core import Answer, CheckFailed
from course_utils.checks.start.to_unit_range import to_unit_range
from course_utils.learner import progress


def try_out(answer: Answer) -> None:
    """Print what the check of `to_unit_range` says about an answer; nothing stops, and nothing is recorded."""
    with progress.paused():
        try:
            to_unit_range(answer)
        except CheckFailed as failure:
            print(failure)
