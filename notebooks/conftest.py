"""Make ``pytest --nbval-lax notebooks`` do the right thing: each notebook gets the environment it is meant for.

A kernel inherits the environment when it starts, which is inside the protocol of a notebook's first cell. Learners'
notebooks run as they are; solved ones with COURSE_STRICT=1. Both run at tier ``smoke`` unless COURSE_TIER says
otherwise, without the hub, and with a new folder for their training runs.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parent
RUNS = pytest.StashKey[Path]()
NBVAL_TIMEOUT, TIMEOUT = 2000, 300  # seconds: nbval's default for one cell, and ours


def pytest_configure(config: pytest.Config) -> None:
    """Use the kernel of this Python and a sensible time-out, unless the command line says otherwise."""
    if not (getattr(config.option, "nbval", False) or getattr(config.option, "nbval_lax", False)):
        return
    if config.option.nbval_cell_timeout == NBVAL_TIMEOUT:
        config.option.nbval_cell_timeout = TIMEOUT
    if not config.option.nbval_kernel_name:
        config.option.nbval_current_env = True
    folder = Path(tempfile.mkdtemp(prefix="course-nbval-"))
    config.stash[RUNS] = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Set the environment of the notebook that this cell belongs to, and put the old one back."""
    if item.path.suffix != ".ipynb" or not item.path.resolve().is_relative_to(NOTEBOOKS):
        return (yield)
    before = dict(os.environ)
    try:
        _set_environment(item.path.resolve(), item.config.stash[RUNS])
        return (yield)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _set_environment(notebook: Path, runs: Path) -> None:
    solved = notebook.parent.name == "solutions"
    for name in ("COURSE_STRICT", "MPLBACKEND"):  # without MPLBACKEND the kernel draws inline
        os.environ.pop(name, None)
    if solved:
        os.environ["COURSE_STRICT"] = "1"
    os.environ["COURSE_TIER"] = os.environ.get("COURSE_TIER") or "smoke"
    folder = runs / ("solved" if solved else "learner") / notebook.stem
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["COURSE_RUNS"] = str(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "PYTEST_XDIST_WORKER" in os.environ:  # other notebooks run beside this one: a core for each
        os.environ.setdefault("OMP_NUM_THREADS", "1")
