"""Helpers of the course: what the lessons need and do not teach. Importing this package loads nothing heavy."""

import os

__version__ = "0.1.0"

# PyTorch's threads spin while they wait for one another, and a browser beside them makes a training several times
# slower. Told to sleep they leave the processor to it. Read when torch is loaded; what the user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
