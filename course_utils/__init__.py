"""Helpers of the course: what the lessons need and do not teach. Importing this package loads nothing heavy."""

__version__ = "0.1.0"
