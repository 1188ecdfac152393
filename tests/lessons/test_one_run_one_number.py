"""What a lesson's stored run scored lies where the recorded runs of the same training lead one to expect it.

A record can grow old without a word: the code changes, the lesson is executed again, and its text still quotes what the
old code gave. Three seeds say how far a fourth may lie from their mean; a run that lies farther needs a new record.
"""

import math
import re
from pathlib import Path

import nbformat
import pytest

from course_utils import results

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SEEDS = 3
RECORDS = (
    ("02_dcgan_cifar10", "your generator, averaged", "dcgan_laptop.json", "laptop"),
    ("02_dcgan_cifar10", "your generator, last step", "dcgan_laptop.json", "last_step"),
    ("03_vae_elbo", "your VAE", "vae_laptop.json", "learned"),
    ("09_diffusion_flow", "your network, averaged", "flow_laptop.json", "laptop"),
)
"""Lesson, row of its table of scores, and where the same score of several seeds is recorded."""


def printed(lesson: str, row: str) -> float:
    """FD in that row of a table that the stored notebook shows."""
    notebook = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", 4)
    shown = [
        output.get("data", {}).get("text/markdown", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    ]
    found = re.findall(rf"\| {re.escape(row)} \| ([\d.]+) ", "\n".join(shown))
    assert len(found) == 1, f"{lesson} shows {len(found)} rows of {row!r}"
    return float(found[0])


def expected(name: str, key: str) -> tuple[float, float]:
    """Where one more seed lies in 95 of 100 cases, by those recorded."""
    recorded = results.read(name)
    fd = recorded[key]["FD"]
    # The interval of a mean of n seeds is t s / sqrt(n) to each side; that of one more is t s sqrt(1 + 1/n).
    reach = (fd["high"] - fd["low"]) / 2 * math.sqrt(SEEDS + 1)
    return fd["value"] - reach, fd["value"] + reach


@pytest.mark.parametrize(("lesson", "row", "name", "key"), RECORDS)
def test_the_stored_run_is_one_of_the_recorded_kind(lesson, row, name, key):
    low, high = expected(name, key)
    assert low <= printed(lesson, row) <= high, f"measure {name} again, by the code as it is now"
    assert len(results.read(name).get("seeds", range(SEEDS))) == SEEDS
