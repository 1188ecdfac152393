"""Progress bars come with an estimate, only where a loop is long; and the record of waits sees what a learner sees."""

import ast
import io
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from course_utils import progress_bars
from measuring import measure_waiting

ROOT = Path(__file__).parents[1]
BAR = "ring:  40%|####      | 400/1000 [00:02<00:03, 190.00it/s]"


@pytest.fixture
def told(monkeypatch):
    told = io.StringIO()
    monkeypatch.setattr(progress_bars, "stream", lambda: told)
    return told


def test_a_short_loop_leaves_no_trace(told):
    assert list(progress_bars.progress(range(100), "ring")) == list(range(100))
    assert told.getvalue() == ""


def test_a_long_loop_tells_how_long(told, monkeypatch):
    monkeypatch.setattr(progress_bars, "PATIENCE", 0.05)
    for _ in progress_bars.progress(range(30), "ring"):
        time.sleep(0.03)
    cell = nbformat.v4.new_code_cell(
        outputs=[nbformat.v4.new_output("stream", text=told.getvalue())]
    )
    assert told.getvalue().strip().startswith("ring:") and measure_waiting.has_estimate(cell)


def test_a_bar_that_is_moved_on_counts_what_was_done_before(told):
    with progress_bars.bar("a file", 3 * 2**20, done=2**20, unit="B", at_once=True) as shown:
        assert "a file:  33%" in told.getvalue()
        shown.update(2 * 2**20)
    assert "3.00M/3.00M" in told.getvalue()


def test_a_bar_with_patience_leaves_no_trace_of_a_short_block(told):
    with progress_bars.bar("images", 10) as shown:
        shown.update(10)
    assert told.getvalue() == ""


def test_all_bars_are_made_in_one_place():
    made = []
    for folder in ("course_utils", "measuring", "notebooks/source"):
        for path in (ROOT / folder).rglob("*.py"):
            calls = [
                node
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Call) and "tqdm" in ast.unparse(node.func).split(".")[-1]
            ]
            made += [path.name] * bool(calls)
    assert made == ["progress_bars.py"]


@pytest.mark.parametrize("output", [
    nbformat.v4.new_output("stream", text=BAR),
    nbformat.v4.new_output("display_data", {"text/plain": BAR, "application/vnd.jupyter.widget-view+json": {}}),
])  # fmt: skip
def test_bars_of_both_kinds_are_seen(output):
    assert measure_waiting.has_estimate(nbformat.v4.new_code_cell(outputs=[output]))


@pytest.mark.parametrize("text", ["", "40% of 400", "[0, 1] < [2, 3]", "step 400/1000"])
def test_other_words_are_no_bar(text):
    output = nbformat.v4.new_output("stream", text=text)
    assert not measure_waiting.has_estimate(nbformat.v4.new_code_cell(outputs=[output]))


def test_the_stopwatch_keeps_long_cells_and_the_first_figure():
    watch = measure_waiting.Stopwatch()
    picture = nbformat.v4.new_output("display_data", {"image/png": "x"})
    bar = nbformat.v4.new_output("stream", text=BAR)
    watch(nbformat.v4.new_code_cell("import torch", id="a"), 2.5)
    watch(nbformat.v4.new_code_cell("plot()", id="b", outputs=[picture]), 3.0)
    watch(nbformat.v4.new_code_cell("\ntrain()", id="c", outputs=[bar, picture]), 9.0)
    assert watch.first_figure == 3.0
    assert watch.waits == [
        {"cell": "a", "starts_with": "import torch", "seconds": 2.5, "bar": False, "imports": True},
        {"cell": "c", "starts_with": "train()", "seconds": 6.0, "bar": True, "imports": False},
    ]


@pytest.mark.parametrize("module", measure_waiting._LIGHT)
def test_light_modules_load_nothing_heavy(module):
    code = f"import sys, {module}; print([m for m in ('torch', 'matplotlib', 'transformers') if m in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == "[]"
