"""Lessons as learners run them who go back: each cell twice in a row, with right answers that are not the lesson's own.

After "correct" nothing in the lesson may fail, whoever wrote the answer and however often a cell runs.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils.learner import catalogue

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("rerun.py")


def ran(lesson: str, folder: Path, *how: str) -> dict:
    environment = {
        **os.environ,
        "COURSE_TIER": "smoke",
        "COURSE_PROGRESS": "0",
        "COURSE_STRICT": "1",
        "COURSE_RUNS": str(folder),
    }
    command = [sys.executable, str(PROGRAM), lesson, *how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(known.name, marks=pytest.mark.xdist_group(f"twice {known.name}"))
        for known in catalogue.lessons()
    ],
)
def test_each_cell_runs_twice_with_other_right_answers(lesson: str, tmp_path: Path) -> None:
    told = ran(lesson, tmp_path, "twice", "0")
    assert len(told["cells"]) > 5 and told["answers"] > 0
    failed = [(cell["source"], cell["failed"]) for cell in told["cells"] if cell["failed"]]
    assert not failed
