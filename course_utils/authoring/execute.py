"""Run a learner's notebook in a fresh kernel: keep what it shows, record how long it took and what it needed."""

import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from course_utils import paths, results, runtime
from course_utils.authoring import notebook as nb
from course_utils.authoring.bootstrap import is_bootstrap
from course_utils.authoring.scrub import scrub_outputs
from course_utils.authoring.source import find_source
from course_utils.errors import CourseError
from course_utils.tiers import TIERS

_PROBE = "from course_utils.authoring.probe import report as _report; print(_report(globals()))"


class _ThisPython(AsyncKernelManager):
    """Kernels of the Python that runs the build, whatever kernels this user has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How to start the kernel."""
        return KernelSpec(**get_kernel_dict())


Told = Callable[[NotebookNode, float], None]
"""Called after each cell with the cell and the seconds since the first one began."""


def execute(root: Path, lesson: str, keep: bool = True, told: Told = lambda *_: None) -> str:
    """Run a lesson's learner notebook at the environment's tier, with an empty folder for its runs.

    Time and peak memory go to ``data/results/lessons.json``; with ``keep`` the outputs go to the notebook.

    Args:
        root: the repository.
        lesson: the lesson's number or name, for example ``"02"``.
        keep: write the outputs; otherwise only the measurement is kept.
        told: called after each cell.

    Returns:
        One line about the run.

    Raises:
        CourseError: no such lesson, a cell failed, or an output must not be published; the old notebook stays then.
    """
    source = find_source(root, lesson)
    learner, _ = nb.assemble(source, root)
    with tempfile.TemporaryDirectory(prefix="course-runs-") as runs:
        speed = _speed(Path(runs)) if TIERS[runtime.tier()].learns else {}
        facts = run(learner, root, Path(runs), told) | speed
        left = scrub_outputs(learner, _folders(root, Path(runs)))
    if left and keep:
        raise CourseError(
            "authoring-private-output",
            f"The outputs of {source.stem} cannot be published:\n  " + "\n  ".join(left),
            "Notebooks with outputs are public; paths and secrets of one machine do not belong there.",
            "Print names instead of paths in these cells, or silence the warning's cause; then execute again.",
        )
    facts |= {
        "code_sha256": nb.code_digest(learner),
        "date": str(datetime.date.today()),
    }
    _record(root / "data" / "results", source.stem, facts)
    if keep:
        learner.metadata.course["outputs"] = {
            **{k: facts[k] for k in ("tier", "code_sha256", "data")},
            **facts["versions"],
        }
        paths.atomic_write(root / "notebooks" / f"{source.stem}.ipynb", nb.to_bytes(learner))
    took = f"{facts['seconds']} s, {facts['peak_mib']} MiB"
    return f"{source.stem}: tier {facts['tier']}, {took}, on {results.in_words(facts['machine'])}"


def run(
    notebook: NotebookNode, root: Path, runs: Path, told: Told = lambda *_: None
) -> dict[str, Any]:
    """Execute all cells in place; returns what the kernel tells about itself, with ``seconds``.

    Args:
        notebook: an assembled lesson.
        root: the repository.
        runs: an empty folder for its training runs.
        told: called after each cell.
    """
    client = NotebookClient(
        notebook,
        kernel_manager_class=_ThisPython,
        timeout=None,
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(root / "notebooks")}},
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("COURSE_STRICT", "MPLBACKEND")}
    with client.setup_kernel(
        env=environment | {"COURSE_RUNS": str(runs)}, cwd=str(root / "notebooks")
    ):
        started = time.perf_counter()
        for index, cell in enumerate(notebook.cells):
            if not is_bootstrap(
                cell
            ):  # without a count, so that a kept notebook looks the same however it was made
                _run_cell(client, cell, index)
                told(cell, time.perf_counter() - started)
        seconds = round(time.perf_counter() - started, 1)
        notebook.cells.append(nbformat.v4.new_code_cell(_PROBE))
        client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
    facts = json.loads(
        "".join(o.get("text", "") for o in notebook.cells.pop().outputs).splitlines()[-1]
    )
    return facts | {"seconds": seconds}


def _speed(runs: Path) -> dict[str, dict[str, float]]:
    """How fast this machine is, asked before the lesson, which finds the answer beside its runs."""
    said = subprocess.run(
        [sys.executable, "-m", "course_utils.machine.speed"],
        env=os.environ | {"COURSE_RUNS": str(runs)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {"speed": {name: round(value, 2) for name, value in json.loads(said).items()}}


def _run_cell(client: NotebookClient, cell: NotebookNode, index: int) -> None:
    try:
        client.execute_cell(cell, index)
    except (CellExecutionError, DeadKernelError) as error:
        reason = (
            f"{error.ename}: {error.evalue}"
            if isinstance(error, CellExecutionError)
            else "the kernel died"
        )
        start = "\n    ".join(cell.source.splitlines()[:3])
        raise CourseError(
            "authoring-cell-failed",
            f"Cell {index + 1} ({cell.id}) failed: {reason}\n    {start}",
            "A notebook is kept only when all its cells run; the old one is as it was.",
            "Mend this cell in the source, then execute again.",
        ) from None


def _folders(root: Path, runs: Path) -> dict[Path, str]:
    images = paths.resolve(os.environ.get("COURSE_IMAGES") or ".")
    return {
        images: images.name,
        Path.home(): "~",
        Path(sys.prefix): "python",
        paths.cache_dir(): "data/cache",
        runs: "data/runs",
        root: "course",
    }


def _record(folder: Path, lesson: str, facts: dict[str, Any]) -> None:
    entries = results.earlier("lessons.json", folder)
    entries.setdefault(lesson, {})[facts["tier"]] = {k: v for k, v in facts.items() if k != "tier"}
    results.write("lessons.json", dict(sorted(entries.items())), made_with={}, folder=folder)
