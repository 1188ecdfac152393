"""Checks of lesson 00: its only exercise, and a way to see what a check says without being recorded."""

from course_utils.checks.start.to_unit_range import to_unit_range
from course_utils.checks.start.try_out import try_out

__all__ = ["to_unit_range", "try_out"]
