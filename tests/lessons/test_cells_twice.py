"""Each cell of each lesson runs twice in a row, as learners do who go back: no error, and no other result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils.learner import catalogue

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("rerun.py")


def ran(lesson: str, how: str, folder: Path) -> list[dict]:
    environment = {
        **os.environ,
        "COURSE_TIER": "smoke",
        "COURSE_PROGRESS": "0",
        "COURSE_STRICT": "1",
        "COURSE_RUNS": str(folder),
    }
    command = [sys.executable, str(PROGRAM), lesson, how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])["cells"]


@pytest.mark.parametrize("lesson", [known.name for known in catalogue.lessons()])
def test_each_cell_runs_twice_with_the_same_result(lesson: str, tmp_path: Path) -> None:
    cells = ran(lesson, "twice", tmp_path)
    assert len(cells) > 5
    failed = [(cell["source"], cell["failed"]) for cell in cells if cell["failed"]]
    assert not failed
    changed = [(cell["source"], cell["changed"]) for cell in cells if cell["changed"]]
    assert not changed
