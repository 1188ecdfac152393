"""Lessons 02, 03 and 06 on a small folder of somebody's own: to the end, or told at once how many are needed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SOURCES = Path(__file__).parents[2] / "notebooks" / "source"
ENOUGH = {"02_dcgan_cifar10": 55, "03_vae_elbo": 55, "06_measuring_generators": 115}
"""Pictures in one folder that a lesson needs: a sixth is held out, of which five comparisons take two or four each."""
RUN = """
import sys, matplotlib
matplotlib.use("agg")
from course_utils.errors import CourseError
text = open(sys.argv[1], encoding="utf-8").read()
try:
    exec(compile(text, sys.argv[1], "exec"), {"__name__": "__main__"})
    print("TO THE END")
except CourseError as error:
    print(error.code, error.fix)
"""


def folder_of(root, count):
    """Pictures of 48 x 40 in two classes, with dollar signs in the folder's name."""
    random = np.random.default_rng(0)
    for number in range(count):
        small = random.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        path = root / "my $5 and $6" / ("day", "night")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((48, 40), Image.Resampling.BICUBIC).save(path)
    return root / "my $5 and $6"


def run(tmp_path, lesson, count, until=None):
    """What a lesson says at last on such a folder, and its runs; it ends behind the line that holds ``until``."""
    text = (SOURCES / f"{lesson}.py").read_text(encoding="utf-8")
    text, found = re.subn(
        r"(?m)^source *= None", f"source = {str(folder_of(tmp_path, count))!r}", text
    )
    assert found == 1
    if until:
        lines = text.splitlines()
        text = "\n".join(lines[: next(k for k, line in enumerate(lines) if until in line) + 1])
    script = tmp_path / "lesson.py"
    script.write_text(text, encoding="utf-8")
    settings = {"COURSE_TIER": "smoke", "COURSE_RUNS": str(tmp_path / "runs")}
    settings |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCES.parents[1])}
    command = [sys.executable, "-c", RUN, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings})
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1], list((tmp_path / "runs").glob("0*"))


@pytest.mark.slow
@pytest.mark.parametrize("lesson", ENOUGH)
def test_a_small_folder_carries_the_lesson_to_the_end(tmp_path, lesson):
    last, _ = run(tmp_path, lesson, ENOUGH[lesson])
    assert last == "TO THE END"


@pytest.mark.parametrize(
    ("lesson", "count"),
    [("02_dcgan_cifar10", 4), ("03_vae_elbo", 54), ("06_measuring_generators", 75)],
)
def test_too_few_pictures_are_told_before_the_lesson_begins(tmp_path, lesson, count):
    last, runs = run(tmp_path, lesson, count, until="n_each = ")
    assert last.startswith("metrics-few-pictures") and f"{ENOUGH[lesson]} in all" in last
    assert runs == []
    text = (SOURCES / f"{lesson}.py").read_text(encoding="utf-8")
    before = text[: text.index("n_each = ")]
    assert "BEGIN SOLUTION" not in before  # nobody has worked for nothing
