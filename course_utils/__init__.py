"""Helpers of the course: what the lessons need and do not teach. Importing this package loads nothing heavy."""

import os

__version__ = "0.1.0"

# PyTorch's threads spin while they wait for one another, and a browser beside them makes a training several times
# slower. Told to sleep after a moment they leave the processor to it; told to sleep at once they would also be slower
# alone. Read when torch is loaded; what the user has set stays.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
