"""Helpers of the course: what the lessons need and do not teach. Importing this package loads nothing heavy."""

import importlib.util
import os
import sys

__version__ = "0.1.0"

# PyTorch's threads spin while they wait for one another, and a browser beside them makes a training several times
# slower. Told to sleep after a moment they leave the processor to it; told to sleep at once they would also be slower
# alone. Read when torch is loaded; what the user has set stays.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# Transformers takes any folder called `peft` beside a notebook for the library of that name, and its Trainer then
# cannot be imported. None in the place of a module says that there is no such library.
if "peft" not in sys.modules:
    _found = importlib.util.find_spec("peft")
    if _found is not None and _found.origin is None:
        sys.modules["peft"] = None  # type: ignore[assignment]
