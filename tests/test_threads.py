"""PyTorch's threads sleep while they wait, wherever the course runs; whoever sets something else gets that."""

import ast
import os
import re
import subprocess
import sys

import pytest
from test_run import ROOT, load_run

from course_utils.authoring.source import find_sources, read_source

UNSET = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
USED = "import torch; torch.ones(2**20).sum()"
"""The library of threads tells its settings when it starts, which some do with the first work that is shared out."""


SPIN = re.compile(r"(?:GOMP_SPINCOUNT|KMP_BLOCKTIME)\s*=\s*'(\d+)")
"""How long a thread spins before it sleeps, as GNU's library tells it (in rounds) and LLVM's and Intel's (in ms)."""


def spins(code: str, **environment: str) -> set[int]:
    """What the libraries of threads say about how long they spin, after this code has loaded torch."""
    env = {k: v for k, v in os.environ.items() if k not in UNSET}
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=env | {"OMP_DISPLAY_ENV": "verbose", "OMP_NUM_THREADS": "2"} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {int(number) for number in SPIN.findall(said.stdout + said.stderr)}


@pytest.mark.parametrize("package", ["course_utils", "measuring", "course_utils.train"])
def test_whoever_imports_the_course_first_gets_threads_that_sleep(package: str) -> None:
    assert max(spins(f"import {package}; {USED}")) <= 10_000


def test_after_torch_it_is_too_late() -> None:
    assert min(spins(f"{USED}; import course_utils")) > 10_000


def test_what_the_user_has_set_stays() -> None:
    assert min(spins(f"import course_utils; {USED}", OMP_WAIT_POLICY="active")) > 10_000


@pytest.mark.parametrize("path", find_sources(ROOT), ids=lambda path: path.stem)
def test_a_lesson_imports_the_course_before_torch(path) -> None:
    source, _ = read_source(path, ROOT)
    names = []
    for cell in source.cells:
        if cell.kind == "code":
            for node in ast.walk(ast.parse(cell.text)):
                if isinstance(node, ast.Import):
                    names += [alias.name.partition(".")[0] for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names.append(node.module.partition(".")[0])
    assert names.index("course_utils") < names.index("torch")


def test_run_py_hands_it_to_what_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run()
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    assert run.environment()["OMP_WAIT_POLICY"] == "passive"
    assert run.environment()["GOMP_SPINCOUNT"] == "10000"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert run.environment()["OMP_WAIT_POLICY"] == "active"
