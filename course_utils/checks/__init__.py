"""Exercise checks, one folder per lesson and in it one file per exercise: feedback for a learner, not grading.

``slerp = checks.dcgan.slerp(slerp)`` under an exercise checks the answer; `course_utils.checks.core` says how.
"""

import importlib
import importlib.util
from types import ModuleType

from course_utils.checks.core import CheckFailed

__all__ = ["CheckFailed"]


def __getattr__(lesson: str) -> ModuleType:
    """Load a lesson's checks when they are asked for: ``from course_utils import checks; checks.dcgan``."""
    full_name = f"{__name__}.{lesson}"
    if lesson.startswith("_") or importlib.util.find_spec(full_name) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {lesson!r}")
    return importlib.import_module(full_name)
