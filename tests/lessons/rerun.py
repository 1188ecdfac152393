"""Run a lesson as a learner does who runs cells again: ``rerun.py LESSON twice|once``, at the environment's tier.

With ``twice`` every code cell runs twice in a row, each time from the same random numbers, and what it left behind is
compared. ``once`` is the same lesson after a restart of the kernel. Prints one JSON object:
``{"cells": [{"cell", "failed", "changed", "said"}]}``.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from IPython.core.interactiveshell import InteractiveShell

from course_utils.authoring import notebook as nb
from course_utils.authoring.bootstrap import is_bootstrap
from course_utils.authoring.source import find_source
from course_utils.checks import surroundings

ROOT = Path(__file__).resolve().parents[2]


def main(lesson: str, times: int) -> None:
    """Run the lesson's solved notebook in a shell like a notebook's."""
    _, solved = nb.assemble(find_source(ROOT, lesson), ROOT)
    os.chdir(ROOT / "notebooks")
    shell = InteractiveShell.instance()
    cells = [c for c in solved.cells if c.cell_type == "code" and not is_bootstrap(c)]
    told = []
    for number, cell in enumerate(cells):
        runs = [run(shell, cell.source, number) for _ in range(times)]
        first, last = runs[0], runs[-1]
        told.append(
            {
                "cell": cell.id,
                "source": cell.source,
                "failed": next((r["failed"] for r in runs if r["failed"]), ""),
                "changed": sorted(
                    n for n in last["state"] if first["state"].get(n) != last["state"][n]
                ),
                "said": last["said"],
            }
        )
        if told[-1]["failed"]:
            break
    print(json.dumps({"cells": told}))


def run(shell: InteractiveShell, source: str, seed: int) -> dict[str, Any]:
    """One run of a cell from known random numbers: its error, what it printed, and what every variable then is."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        result = shell.run_cell(source)
    error = result.error_before_exec or result.error_in_exec
    state = {n: digest(v) for n, v in shell.user_ns.items() if not n.startswith("_")}
    return {"failed": repr(error) if error else "", "said": said.getvalue(), "state": state}


_SEEN: dict[tuple, tuple[torch.Tensor, int, str]] = {}


def tensor_digest(value: torch.Tensor) -> str:
    """The digest of a tensor; not computed again while nothing has been written to its memory.

    What was seen is kept alive, so that no other tensor takes its place in memory.
    """
    key = (value.data_ptr(), value.shape, value.stride(), value.dtype)
    if key not in _SEEN or _SEEN[key][1] != value._version:
        _SEEN[key] = (value.detach(), value._version, surroundings.fingerprint(value))
    return _SEEN[key][2]


def digest(value: Any, depth: int = 0) -> str:
    """What a variable holds, as far as it can be told: tensors, networks, optimisers, generators, plain objects."""
    if isinstance(value, torch.Tensor) and value.layout == torch.strided:
        return tensor_digest(value)
    if isinstance(value, torch.nn.Module):
        return digest([[m.training for m in value.modules()], value.state_dict()], depth)
    if isinstance(value, torch.Generator):
        return surroundings.fingerprint(value.get_state())
    if isinstance(value, torch.optim.Optimizer):
        return digest(value.state_dict(), depth)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(
                f"{key}:{digest(item, depth)}"
                for key, item in sorted(value.items(), key=lambda entry: str(entry[0]))
            )
            + "}"
        )
    if isinstance(value, list | tuple):
        return "(" + ",".join(digest(item, depth) for item in value) + ")"
    if isinstance(value, set | frozenset):
        return repr(sorted(map(str, value)))
    if (
        type(value).__module__.startswith("course_utils")
        and hasattr(value, "__dict__")
        and depth < 2
    ):
        public = {n: v for n, v in vars(value).items() if not n.startswith("_")}
        return digest(public, depth + 1)
    if isinstance(value, np.ndarray) and value.dtype == object:  # Axes
        return ""
    return hashlib.sha256(surroundings.fingerprint(value).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main(sys.argv[1], {"once": 1, "twice": 2}[sys.argv[2]])
