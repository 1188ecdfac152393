"""Run a lesson as a learner does who runs cells again: ``rerun.py LESSON twice|once [K]``, at the environment's tier.

With ``twice`` every code cell runs twice in a row, each time from the same random numbers, and what it left behind is
compared. ``once`` is the same lesson after a restart of the kernel. With a number K, each exercise is answered by the
K-th right answer of `tests/checks/answers` that there is, in the place of the lesson's own. Prints one JSON object:
``{"cells": [{"cell", "source", "failed", "changed", "said"}], "answers": how many were not the lesson's own}``.
"""

import contextlib
import hashlib
import importlib
import io
import json
import os
import random
import re
import sys
from collections.abc import Callable
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
CHECKED = re.compile(r"^(\w+ = checks\.(?=(\w+\.\w+)\(\w+\)$)[\w.]+)\((\w+)\)$", re.MULTILINE)


def main(lesson: str, times: int, chosen: int | None) -> None:
    """Run the lesson's solved notebook in a shell like a notebook's."""
    _, solved = nb.assemble(find_source(ROOT, lesson), ROOT)
    os.chdir(ROOT / "notebooks")
    shell = InteractiveShell.instance()
    cells = [c for c in solved.cells if c.cell_type == "code" and not is_bootstrap(c)]
    taken: list[str] = []
    shell.user_ns["_answer"] = answering(chosen, taken)
    told = []
    for number, cell in enumerate(cells):
        source = CHECKED.sub(r'\1(_answer("\2", \3))', cell.source)
        runs = [run(shell, source, number) for _ in range(times)]
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
    print(json.dumps({"cells": told, "answers": len(set(taken))}))


def answering(chosen: int | None, taken: list[str]) -> Callable[[str, Any], Any]:
    """What a check is asked about: the chosen right answer where there is one, else the lesson's own."""
    sys.path.insert(0, str(ROOT / "tests" / "checks"))

    def answer(name: str, own: Any) -> Any:
        if chosen is None:
            return own
        lesson, function = name.split(".")
        others = importlib.import_module(f"answers.{lesson}").RIGHT.get(function, [])
        if chosen >= len(others):
            return own
        taken.append(name)
        return others[chosen]

    return answer


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
    which = int(sys.argv[3]) if len(sys.argv) > 3 else None
    main(sys.argv[1], {"once": 1, "twice": 2}[sys.argv[2]], which)
