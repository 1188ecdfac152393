"""Run a lesson as a learner does who runs cells again: ``rerun.py LESSON twice|once [K]``, at the environment's tier.

With ``twice`` every code cell runs twice in a row, each time from the same random numbers. ``once`` is the same lesson
after a restart of the kernel. With a number K, each exercise is answered by the K-th right answer of
`tests/checks/answers` that there is, in the place of the lesson's own. Prints one JSON object:
``{"cells": [{"cell", "source", "failed", "said"}], "answers": how many were not the lesson's own}``.
"""

import contextlib
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
        told.append(
            {
                "cell": cell.id,
                "source": cell.source,
                "failed": next((r["failed"] for r in runs if r["failed"]), ""),
                "said": runs[-1]["said"],
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


def run(shell: InteractiveShell, source: str, seed: int) -> dict[str, str]:
    """One run of a cell from known random numbers: its error, and what it printed."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        result = shell.run_cell(source)
    error = result.error_before_exec or result.error_in_exec
    return {"failed": repr(error) if error else "", "said": said.getvalue()}


if __name__ == "__main__":
    which = int(sys.argv[3]) if len(sys.argv) > 3 else None
    main(sys.argv[1], {"once": 1, "twice": 2}[sys.argv[2]], which)
