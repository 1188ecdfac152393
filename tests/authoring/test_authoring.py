"""Source to notebooks: what the build refuses, what it writes, what it keeps, and that nbval runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course_utils.authoring import fill_results, readme, rules, scrub, solutions
from course_utils.authoring.build import build, main
from course_utils.authoring.execute import execute
from course_utils.authoring.lessons import load_definitions
from course_utils.authoring.notebook import code_cells, keep_outputs, read_notebook, stale_outputs
from course_utils.authoring.source import BadSource, notebook_cells
from course_utils.errors import CourseError

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))

TINY = '''# ---
# jupyter:
#   kernelspec:
#     name: python3
# ---

# %% [markdown]
# # 9. Tiny
#
# Measured: {{result:tiny.json:runs.0.seconds:.1f}} s. ![A red dot](figures/dot.svg)
#
# {{tiers}}

# %% [markdown]
# ## Doubling

# %%
import os
from types import SimpleNamespace

from course_utils import checks
from course_utils.checks import core

SIZE = 3
SHAPE = (SIZE, 2 * SIZE)
measured = SIZE + 1


def reference(x):
    return x + x


def doubled(answer):
    core.require(core.call(answer, 3) == 6, "6", "another number", "Twice three is six.")


doubled.__module__ = "course_utils.checks.tiny.doubled"
checks.tiny = SimpleNamespace(doubled=core.exercise(reference)(doubled))

# %% [markdown]
# ### Exercise: twice
#
# *Easy, 2 minutes.* Double a number, in {{exercise:doubled}} as in {{exercise:tiny.doubled}}.
# <details><summary>Hint</summary>Add it to itself.</details>

# %%
def doubled(x):
    """Twice x."""
    ### BEGIN SOLUTION
    secret_sum = x * 2
    return secret_sum
    ### END SOLUTION


doubled = checks.tiny.doubled(doubled)

# %% tags=["nbval-check-output"]
print(doubled(21))

# %%
print(os.environ.get("COURSE_TIER"), os.environ.get("COURSE_STRICT"), os.environ.get("HF_HUB_OFFLINE"))
assert os.path.isdir(os.environ["COURSE_RUNS"]), os.environ["COURSE_RUNS"]
'''

CARD = """
# %% [markdown]
# ## A section
#
# ### Exercise: f
#
# *Easy, 5 minutes.* Do it.

"""
STUB = """# %%
def doubled(x):
    ### BEGIN SOLUTION
    return x * 2
    ### END SOLUTION


doubled = checks.tiny.doubled(doubled)
"""


def make_root(folder: Path, text: str = TINY, name: str = "09_tiny") -> Path:
    """A small repository with one lesson."""
    for part in ("notebooks/source", "notebooks/figures", "notebooks/solutions", "data/results"):
        (folder / part).mkdir(parents=True)
    (folder / "notebooks/figures/dot.svg").write_text("<svg/>")
    (folder / "data/results/tiny.json").write_text('{"runs": [{"seconds": 1.25, "by": null}]}')
    (folder / f"notebooks/source/{name}.py").write_text(text, encoding="utf-8", newline="\n")
    return folder


def rewrite(root: Path, old: str, new: str) -> None:
    """Edit the tiny lesson's source."""
    path = root / "notebooks/source/09_tiny.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def learner(root: Path) -> nbformat.NotebookNode:
    return nbformat.read(root / "notebooks/09_tiny.ipynb", as_version=4)


def solved(root: Path) -> nbformat.NotebookNode:
    return nbformat.read(root / "notebooks/solutions/09_tiny.ipynb", as_version=4)


def pretend_executed(root: Path) -> None:
    """Give every code cell of the learner's notebook an output, as an execution would."""
    from course_utils.authoring.notebook import code_digest, to_bytes

    notebook = learner(root)
    for count, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", text=f"output {count}\n")]
    notebook.metadata.course["outputs"] = {"tier": "laptop", "code_sha256": code_digest(notebook)}
    (root / "notebooks/09_tiny.ipynb").write_bytes(to_bytes(notebook))


# --- refused sources: the line to mend is marked with § -------------------------------------------------------------

TITLE = "# %% [markdown]\n# # 9. Tiny\n"
CHECK = "\n\nf = checks.tiny.f(f)\n"
REFUSED = {
    "nested": "# %%\ndef f():\n    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION§\n    return 1\n    ### END SOLUTION"
    + CHECK,
    "unclosed": "# %%\ndef f():\n    ### BEGIN SOLUTION§\n    return 1" + CHECK,
    "stray end": "# %%\ndef f():\n    return 1\n    ### END SOLUTION§" + CHECK,
    "in Markdown": "# %% [markdown]\n# ### BEGIN SOLUTION§",
    "in a string": '# %%\nx = """\n### BEGIN SOLUTION§\n"""',
    "behind code": "# %%\nx = 1  ### BEGIN SOLUTION§",
    "no space": "# %%\ndef f():\n    ###BEGIN SOLUTION§\n    return 1" + CHECK,
    "lower case": "# %%\ndef f():\n    ### begin solution§\n    return 1" + CHECK,
    "one sign": "# %%\ndef f():\n    # BEGIN SOLUTION§\n    return 1" + CHECK,
    "outside a function": "# %%\n### BEGIN SOLUTION§\nx = 1\n### END SOLUTION",
    "behind a function": "# %%\ndef f():\n    return 1\n\n\n### BEGIN SOLUTION§\nx = 1\n### END SOLUTION",
    "in a class": "# %%\nclass A:\n  def f():\n    ### BEGIN SOLUTION§\n    return 1\n    ### END SOLUTION",
    "covers the def": "# %%\n### BEGIN SOLUTION§\ndef f():\n    return 1\n### END SOLUTION" + CHECK,
    "empty": "# %%\ndef f():\n    ### BEGIN SOLUTION§\n    ### END SOLUTION\n    return 1" + CHECK,
    "indented differently": "# %%\ndef f():\n    ### BEGIN SOLUTION\n    return 1\n  ### END SOLUTION§"
    + CHECK,
    "not at the statement": "# %%\ndef f():\n  ### BEGIN SOLUTION§\n    return 1\n  ### END SOLUTION"
    + CHECK,
    "cuts a block": (
        "# %%\ndef f(x):\n    if x:\n        ### BEGIN SOLUTION§\n        y = 1\n    else:\n        y = 2\n"
        "        ### END SOLUTION\n    return y" + CHECK
    ),
    "cuts a statement": (
        "# %%\ndef f():\n    ### BEGIN SOLUTION§\n    return (\n        1\n    ### END SOLUTION\n    )"
        + CHECK
    ),
    "two cells": "# %%\ndef f():\n    ### BEGIN SOLUTION§\n    return 1\n\n# %%\n    ### END SOLUTION\nx = 1",
    "no check": "# %%\ndef f():\n    ### BEGIN SOLUTION§\n    return 1\n    ### END SOLUTION",
    "check of another": (
        "# %%\ndef f():\n    ### BEGIN SOLUTION§\n    return 1\n    ### END SOLUTION\n\n\ng = checks.tiny.g(g)"
    ),
    "check too far": (
        "# %%\ndef f():\n    ### BEGIN SOLUTION§\n    return 1\n    ### END SOLUTION\n\n# %%\nx = 1\n\n# %%"
        + CHECK
    ),
    "!pip": "# %%\n# !pip install x§",
    "%pip": "# %%\n# %pip install x§",
    "bare !pip": "# %%\n!pip install x§",
    "%pip for Colab": '# %%\nimport sys\nif "google.colab" in sys.modules:\n    # %pip install -q x§\n    pass',
    "a tag of the build": '# %% tags=["colab"]§\nx = 1',
    "comment read as command": "# %%\n# ls of the parts§\nx = 1",
    "import *": "# %%\nfrom math import *§",
    "os.chdir": '# %%\nimport os\nos.chdir("x")§',
    "from os import chdir": "# %%\nfrom os import chdir§",
    "sys.path": '# %%\nimport sys\nsys.path.append("x")§',
    "all warnings": '# %%\nimport warnings\nwarnings.filterwarnings("ignore")§',
    "all warnings, simply": '# %%\nimport warnings\nwarnings.simplefilter("ignore")§',
    "absolute path": '# %%\nx = "/home/me/data"§',
    "absolute path in f-string": '# %%\ny = 1\nx = f"/data/set/{y}"§',
    "absolute path of Windows": '# %%\nx = "C:\\\\data"§',
    "home": '# %%\nx = "~/data"§',
    "nbval comment": "# %%\n# NBVAL_SKIP§\nx = 1",
    "unknown tag": '# %% tags=["nbval-check-outputs"]§\nprint(1)',
    "no alt text": "# %% [markdown]\n# A dot.\n#\n# ![](figures/dot.svg)§",
    "no alt text in HTML": '# %% [markdown]\n# <img src="figures/dot.svg">§',
    "picture of the web": "# %% [markdown]\n# ![dot](https://example.org/dot.svg)§",
    "missing picture": "# %% [markdown]\n# ![dot](figures/dott.svg)§",
    "picture by reference": "# %% [markdown]\n# ![dot][1]§",
    "picture outside": "# %% [markdown]\n# ![dot](../../dot.svg)§",
    "no alt text but spaces": "# %% [markdown]\n# ![ ](figures/dot.svg)§",
    "a drawing without alt text": '# %% [markdown]\n# <svg viewBox="0 0 1 1">§<path d="M0 0"/></svg>',
    "a drawing with an empty title": "# %% [markdown]\n# A dot.\n# <svg><title> </title></svg>§",
    "figure without alt text": "# %%\nplots.show(figure)§",
    "figure with an empty alt text": '# %%\nplots.show(figure, alt=" ")§',
    "figure with no alt text": "# %%\nplots.show(figure, None)§",
    "live figure without alt text": "# %%\nlive = plots.LiveFigure(draw, seconds=1)§",
    "figure of pyplot": "# %%\nplt.show()§",
    "picture in a string": "# %%\nx = '<img src=\"dot.png\">'§",
    "drawing in a string": "# %%\ny = 1\nx = f'<svg>{y}</svg>'§",
    "table without a name": "# %% [markdown]\n# Measured:\n#\n# | | loss |§\n# | --- | --- |\n# | a | 1 |",
    "table of HTML without headers": "# %% [markdown]\n# <table>§<tr><td>1</td></tr></table>",
    "header without scope": "# %% [markdown]\n# <table>§<tr><th>a</th></tr></table>",
    "table in a string": "# %%\nx = '<table><tr><td>1</td></tr></table>'§",
    "link that says nothing": "# %% [markdown]\n# Read it [here](https://example.org/paper).§",
    "link without words": "# %% [markdown]\n# [](09_tiny.ipynb)§",
    "heading of HTML": "# %% [markdown]\n# <h4>Deep</h4>§",
    "skipped heading": "# %% [markdown]\n# ### Deep§",
    "unknown placeholder": "# %% [markdown]\n# {{card:minutes}}§",
    "an exercise that there is not": "# %% [markdown]\n# See {{exercise:tiny.halved}}.§",
    "the exercise of no name": "# %% [markdown]\n# See {{exercise:}}.§",
    "missing results": "# %% [markdown]\n# {{result:none.json:a}}§",
    "missing key": "# %% [markdown]\n# {{result:tiny.json:runs.1.seconds}}§",
    "not a number": "# %% [markdown]\n# {{result:tiny.json:runs}}§",
    "null": "# %% [markdown]\n# {{result:tiny.json:runs.0.by}}§",
    "wrong format": "# %% [markdown]\n# {{result:tiny.json:runs.0.seconds:,d}}§",
    "indented cell": "# %%\nif 1:\n    # %% inner§\n    pass",
    "Markdown without signs": '# %% [markdown]\n"""§\ntext§\n"""§',
    "raw cell": "# %% [raw]§\n# raw",
    "not Python": "# %%\nx = = 1§",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_bad_source_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    marked = f"{TITLE}{CARD if 'checks.tiny' in text else ''}{text}\n"
    root = make_root(tmp_path, marked.replace("§", ""))
    with pytest.raises(BadSource) as refused:
        build(root)
    lines = [number for number, line in enumerate(marked.splitlines(), start=1) if "§" in line]
    assert sorted({p.line for p in refused.value.problems["notebooks/source/09_tiny.py"]}) == lines
    assert all(f"notebooks/source/09_tiny.py:{line}: " in str(refused.value) for line in lines)
    assert not list((root / "notebooks").rglob("*.ipynb"))


def test_text_above_the_first_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSource) as refused:
        build(make_root(tmp_path, "x = 1\n" + TITLE))
    assert [p.line for p in refused.value.problems["notebooks/source/09_tiny.py"]] == [1]


def test_all_problems_of_all_sources_are_shown_together(tmp_path: Path) -> None:
    root = make_root(tmp_path, TITLE + "# %%\nfrom math import *\n### END SOLUTION\n")
    (root / "notebooks/source/08_other.py").write_text("# %%\nimport os\nos.chdir('x')\n")
    (root / "notebooks/source/07_good.py").write_text(TITLE)
    with pytest.raises(BadSource, match=r"^3 place") as refused:
        build(root)
    for place in ("09_tiny.py:4:", "09_tiny.py:5:", "08_other.py:3:"):
        assert place in str(refused.value)
    assert not list((root / "notebooks").rglob("*.ipynb"))


ALLOWED = {
    "math with braces": "# %% [markdown]\n# $\\frac{{1}}{2}$ and $\\mathcal{N}(0, {{\\sigma}}^2)$",
    "code in Markdown": "# %% [markdown]\n# ```python\n# # A comment\n# ### Deep\n# ![](x)\n# ```\n# `![](x)`",
    "one warning": '# %%\nimport warnings\nwarnings.filterwarnings("ignore", message="known")',
    "marker-like prose": "# %% [markdown]\n# In the end, solution and proof meet.",
    "string with cells": '# %%\nx = """\n# %% not a cell\n"""',
    "magic": "# %%\n# %matplotlib inline\nx = 1",
    "check in the next cell": STUB.replace(
        "\n\n\ndoubled =", "\n\n# %% [markdown]\n# Now check it.\n\n# %%\ndoubled ="
    ),
    "drawing with a title": "# %% [markdown]\n# <svg><title>A dot</title></svg> <svg aria-hidden='true'/>",
    "table with headers": "# %% [markdown]\n# | a | b |\n# | - | :-: |\n# | 1 | |",
    "table of HTML with headers": "# %% [markdown]\n# <table><tr><th scope='col'>a</th></tr></table>",
    "link with words": "# %% [markdown]\n# [paper 3](x.html), [![A dot](figures/dot.svg)](09_tiny.ipynb), `[here](x)`",
    "link with code": "# %% [markdown]\n# [`f`](x.html)",
    "figures with sentences": '# %%\nplots.show(figure, alt=f"{x} dots")\nplots.show(figure, text)',
    "picture with alt text in a string": "# %%\nx = '<img alt=\"A dot\">'",
    "division in text": '# %%\nx = "a/b and nats/pixel", "/", "https://example.org/x"',
}


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED)
def test_what_merely_looks_bad_is_allowed(tmp_path: Path, text: str) -> None:
    text = f"{TITLE}{CARD if 'checks.tiny' in text else ''}{text}\n"
    assert len(build(make_root(tmp_path, text)).changed) == 2


# --- what is written ------------------------------------------------------------------------------------------------


def test_learners_get_the_stub_and_never_the_solution(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    build(root)
    text = (root / "notebooks/09_tiny.ipynb").read_text(encoding="utf-8")
    assert "secret_sum" not in text and "SOLUTION" not in text
    stub = next(c.source for c in code_cells(learner(root)) if "def doubled(x)" in c.source)
    body = '    """Twice x."""\n    raise NotImplementedError("Exercise 9.1")\n'
    assert stub == f"def doubled(x):\n{body}\n\ndoubled = checks.tiny.doubled(doubled)"
    answer = next(c.source for c in code_cells(solved(root)) if "def doubled(x)" in c.source)
    assert (
        answer.count(solutions.BEGIN)
        == answer.count(solutions.END)
        == answer.count("return secret_sum")
        == 1
    )


def test_notebooks_are_valid_and_have_fixed_metadata(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    build(root)
    for notebook in (learner(root), solved(root)):
        nbformat.validate(notebook)
        assert (
            notebook.metadata.kernelspec.name == "python3"
            and notebook.metadata.language_info == {"name": "python"}
        )
        assert notebook.metadata.course == {"source": "notebooks/source/09_tiny.py"}
        assert set(notebook.metadata) == {"kernelspec", "language_info", "course"}
        assert not any(cell.outputs or cell.execution_count for cell in code_cells(notebook))
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert [c.metadata.tags for c in learner(root).cells if c.metadata] == [["nbval-check-output"]]
    assert not [c for c in solved(root).cells if c.metadata]
    raw = (root / "notebooks/09_tiny.ipynb").read_bytes()
    assert raw.endswith(b"}\n") and not raw.endswith(b"\n\n") and b"\r" not in raw


def test_a_folded_cell_is_closed_in_both_notebooks(tmp_path: Path) -> None:
    root = make_root(tmp_path, TINY + '\n# %% tags=["folded"]\nprint("a long way")\n')
    build(root)
    for notebook in (learner(root), solved(root)):
        cell = notebook.cells[-1]
        assert cell.metadata.jupyter == {"source_hidden": True} and cell.metadata.tags == ["folded"]


def test_markdown_is_what_jupytext_reads(tmp_path: Path) -> None:
    text = (
        TITLE
        + "# %% [markdown]\n#\n# A list:\n#\n# - one\n#   two\n#\n# %% [markdown]\n# #hash\n#    indented\n"
    )
    root = make_root(tmp_path, text)
    build(root)
    assert [c.source for c in learner(root).cells] == [
        source.strip("\n") for _, source, _ in notebook_cells(text)
    ]


def test_building_again_writes_nothing(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    first = build(root)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.changed}
    assert len(before) == 2 and build(root).changed == ()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.changed} == before
    other = make_root(tmp_path / "elsewhere")
    build(other)
    assert [p.read_bytes() for p in build(other).changed or first.changed] == [
        content for content, _ in before.values()
    ]
    assert (other / "notebooks/09_tiny.ipynb").read_bytes() == (
        root / "notebooks/09_tiny.ipynb"
    ).read_bytes()


EDITS = {
    "code": ("SIZE = 3", "SIZE = 4"),
    "a new line of code": ("measured = SIZE + 1", "measured = SIZE + 1\nextra = 2"),
    "text": ("Double a number,", "Double it,"),
    "a heading": ("## Doubling", "## Twice as much"),
}


@pytest.mark.parametrize(("old", "new"), EDITS.values(), ids=EDITS)
def test_a_one_line_edit_changes_one_cell(tmp_path: Path, old: str, new: str) -> None:
    root = make_root(tmp_path)
    build(root)
    pretend_executed(root)
    before = learner(root)
    rewrite(root, old, new)
    build(root)
    after = learner(root)
    assert [c.id for c in after.cells] == [c.id for c in before.cells]
    assert sum(a != b for a, b in zip(after.cells, before.cells, strict=True)) == 1
    assert after.metadata == before.metadata


def test_a_new_cell_renames_no_cell_of_another_section(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    build(root)
    before = learner(root)
    rewrite(root, "# %% [markdown]\n# ## Doubling", "# %%\nx = 1\n\n# %% [markdown]\n# ## Doubling")
    build(root)
    assert [c.id for c in learner(root).cells][2:] == [c.id for c in before.cells][1:]


# --- outputs --------------------------------------------------------------------------------------------------------


def test_outputs_stay_where_the_code_is_the_same_and_go_where_it_changed(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    build(root)
    pretend_executed(root)
    assert build(root).changed == () and not stale_outputs(learner(root))
    rewrite(root, "Double a number,", "Double it,")
    build(root)
    assert not stale_outputs(learner(root))
    rewrite(root, "print(doubled(21))", "print(doubled(22))")
    build(root)
    kept = [[o.text for o in cell.outputs] for cell in code_cells(learner(root))]
    assert kept == [["output 1\n"], ["output 2\n"], [], ["output 4\n"]]
    assert [cell.execution_count for cell in code_cells(learner(root))] == [1, 2, None, 4]
    assert stale_outputs(learner(root))


def test_equal_cells_keep_their_outputs_in_order() -> None:
    def notebook(*sources: str) -> nbformat.NotebookNode:
        cells = [
            nbformat.v4.new_code_cell(s, execution_count=n) for n, s in enumerate(sources, start=1)
        ]
        return nbformat.v4.new_notebook(cells=cells, metadata={"course": {}})

    new = notebook("a", "show()", "b", "show()", "c")
    for cell in new.cells:
        cell.execution_count = None
    keep_outputs(new, notebook("a", "show()", "show()", "c"))
    assert [cell.execution_count for cell in new.cells] == [1, 2, None, 3, 4]


def test_outputs_without_a_digest_are_stale(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    build(root)
    assert not stale_outputs(learner(root))
    pretend_executed(root)
    notebook = learner(root)
    del notebook.metadata.course["outputs"]
    assert stale_outputs(notebook)


def test_a_notebook_with_a_merge_conflict_is_named(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    (root / "notebooks/09_tiny.ipynb").write_text("<<<<<<< HEAD\n{}")
    with pytest.raises(CourseError, match=r"09_tiny\.ipynb cannot be read"):
        build(root)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_outputs_of_the_course_are_as_new_as_their_code(path: Path) -> None:
    notebook = read_notebook(path)
    assert notebook is not None
    fix = f"Run: python -m course_utils.authoring.build --execute {path.stem[:2]}"
    assert notebook.metadata.course.get("outputs"), f"{path.name} has no outputs. {fix}"
    assert not stale_outputs(notebook), f"The outputs of {path.name} are older than its code. {fix}"
    for cell in code_cells(notebook):
        if "nbval-check-output" in cell.metadata.get("tags", []):
            assert cell.execution_count and cell.outputs, (
                f"{cell.id} is marked, but nbval has nothing to compare. {fix}"
            )


# --- drift: the command, which `run.py test` calls --------------------------------------------------------------------


def test_check_names_what_differs_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_root(tmp_path)
    arguments = ["--root", str(root)]
    assert main([*arguments, "--check"]) == 1 and not (root / "notebooks/09_tiny.ipynb").exists()
    assert main(arguments) == 0 and main([*arguments, "--check"]) == 0
    path = root / "notebooks/09_tiny.ipynb"
    path.write_bytes(path.read_bytes().replace(b"Double a number", b"Halve a number"))
    edited = path.read_bytes()
    capsys.readouterr()
    assert main([*arguments, "--check"]) == 1 and path.read_bytes() == edited
    said = "notebooks/09_tiny.ipynb does not match its source. Edit notebooks/source/09_tiny.py"
    assert capsys.readouterr().out.strip() == f"{said} and run: python3 run.py build"


def test_a_notebook_without_a_source_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_root(tmp_path)
    build(root)
    shutil.copy(root / "notebooks/09_tiny.ipynb", root / "notebooks/08_lost.ipynb")
    assert main(["--root", str(root), "--check"]) == 1
    assert "notebooks/08_lost.ipynb has no source" in capsys.readouterr().out


def test_the_command_shows_problems_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--root", str(make_root(tmp_path, TITLE + "# %%\nfrom math import *\n"))]) == 1
    assert "notebooks/source/09_tiny.py:4: " in capsys.readouterr().err
    assert main(["--root", str(tmp_path / "none")]) == 1
    assert "authoring-no-sources" in capsys.readouterr().err


# --- numbers and links ----------------------------------------------------------------------------------------------


def test_numbers_and_tiers_are_filled_from_the_results(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    entry = {"seconds": 31.4, "peak_mib": 1234, "machine": {"cpu": "a CPU", "cores": 2}}
    gpu = {
        "seconds": 600,
        "peak_mib": 3000,
        "machine": {"cpu": "a CPU", "cores": 4, "gpu": "a GPU"},
    }
    (root / "data/results/lessons.json").write_text(
        json.dumps({"09_tiny": {"smoke": entry, "gpu": gpu}})
    )
    build(root)
    text = learner(root).cells[0].source
    assert "Measured: 1.2 s." in text and "{{" not in text
    assert "| smoke | 31 s | 1,234 MiB | none | 2 cores of a CPU |" in text
    assert "| laptop |" not in text, "a tier that was never measured has no row"
    assert "| gpu | 10.0 min | 3,000 MiB | none | a GPU, 4 cores of a CPU |" in text


def test_links_work_from_the_folder_of_solutions(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    build(root)
    assert "![A red dot](figures/dot.svg)" in learner(root).cells[0].source
    assert "![A red dot](../figures/dot.svg)" in solved(root).cells[0].source
    text = "[a](../data/README.md) [b](02_dcgan.ipynb#x) [c](https://x.org) [d](#top)\n```\n[e](f)\n```"
    moved = "[a](../../data/README.md) [b](02_dcgan.ipynb#x) [c](https://x.org) [d](#top)\n```\n[e](f)\n```"
    assert rules.links_one_folder_down(text) == moved


def test_downloads_come_from_the_manifest_and_only_tier_gpu_has_one() -> None:
    entry = {"seconds": 31.4, "peak_mib": 1234, "machine": {"cpu": "a CPU", "cores": 2}}
    measured = dict.fromkeys(("smoke", "laptop", "gpu"), entry)
    smoke, laptop, gpu = fill_results.tier_table("02_dcgan_cifar10", measured).splitlines()[2:]
    assert "| none |" in smoke and "| none |" in laptop and "| 162 MiB |" in gpu
    assert "| none |" in fill_results.tier_table("09_tiny", measured).splitlines()[4]


def test_what_an_unmeasured_tier_downloads_is_said_below_the_table() -> None:
    entry = {"seconds": 31.4, "peak_mib": 1234, "machine": {"cpu": "a CPU", "cores": 2}}
    *table, empty, note = fill_results.tier_table("02_dcgan_cifar10", {"smoke": entry}).splitlines()
    assert table[-1].startswith("| smoke | 31 s |") and empty == ""
    assert note == "Tier `gpu` downloads 162 MiB on first use."
    assert fill_results.tier_table("09_tiny", {}) == ""


def test_the_readme_gets_its_table_of_lessons(tmp_path: Path) -> None:
    root = make_root(tmp_path, TITLE + "# **Time** about {{minutes}} minutes\n")
    page = root / "README.md"
    page.write_text("Before\n<!-- lessons: x -->\nold\n<!-- end of lessons -->\nafter\n")
    entry = {"seconds": 31.4, "peak_mib": 1536, "machine": {"cpu": "a CPU", "cores": 2}}
    (root / "data/results/lessons.json").write_text(json.dumps({"09_tiny": {"smoke": entry}}))
    assert page in build(root, check=True).changed
    build(root)
    text = page.read_text()
    assert text.startswith("Before\n<!-- lessons: x -->\n| no. |") and text.endswith(
        "<!-- end of lessons -->\nafter\n"
    )
    assert "| no. | lesson | to read and solve | `smoke` |\n| --- | --- | --- | --- |\n" in text
    assert "(notebooks/09_tiny.ipynb) | 5 min | 31 s, 1.5 GiB |\n" in text
    assert "on 2 cores of a CPU." in text and "old" not in text
    assert build(root, check=True).changed == ()


def test_a_tier_has_a_column_where_one_lesson_was_measured_at_it(tmp_path: Path) -> None:
    root = make_root(tmp_path, TITLE + "# **Time** about {{minutes}} minutes\n")
    other = (root / "notebooks/source/09_tiny.py").read_text().replace("# # 9.", "# # 2.")
    (root / "notebooks/source/02_dcgan_cifar10.py").write_text(other)
    entry = {"seconds": 31.4, "peak_mib": 1536, "machine": {"cpu": "a CPU", "cores": 2}}
    (root / "data/results/lessons.json").write_text(
        json.dumps({"09_tiny": {"smoke": entry}, "02_dcgan_cifar10": {"gpu": entry}})
    )
    table = readme.fill(
        "<!-- lessons -->\n<!-- end of lessons -->",
        sorted((root / "notebooks/source").glob("*.py")),
        root / "data/results",
    )
    assert "| `smoke` | `gpu` |" in table and "`laptop`" not in table
    assert "02_dcgan_cifar10.ipynb) | 5 min |  | 31 s, 1.5 GiB, 162 MiB download |" in table
    assert "09_tiny.ipynb) | 5 min | 31 s, 1.5 GiB |  |" in table


def test_the_numbers_of_every_page_are_filled(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    (root / "data/results/a.json").write_text('{"b": 0.5}')
    places = [root / "TEACHING.md", root / "docs" / "speed.md", root / "data" / "README.md"]
    for page in places:
        page.parent.mkdir(exist_ok=True)
        page.write_text("It is x<!-- a.json:b:.0% -->.\n")
    assert set(places) <= set(build(root, check=True).changed)
    build(root)
    assert {page.read_text() for page in places} == {"It is 50%<!-- a.json:b:.0% -->.\n"}


# --- outputs fit to be published ------------------------------------------------------------------------------------


def one_output(data: dict[str, object]) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(
        "x", outputs=[nbformat.v4.new_output("display_data", data=data)]
    )
    return nbformat.v4.new_notebook(cells=[cell])


def test_folders_are_replaced_and_pictures_left_alone(tmp_path: Path) -> None:
    folder = str(tmp_path / "course")
    notebook = one_output({"text/plain": f"saved {folder}/data/x.pt", "image/png": folder})
    assert scrub.scrub_outputs(notebook, {tmp_path: "~", tmp_path / "course": "course"}) == []
    assert notebook.cells[0].outputs[0].data == {
        "text/plain": "saved course/data/x.pt",
        "image/png": folder,
    }


UNFIT = [
    "/home/somebody/x",
    "saved to '/tmp/abc'",
    "C:\\Users\\me\\x",
    "hf_" + "a" * 30,
    "https://me:secret@example.org/",
    "ghp_" + "b" * 36,
]


@pytest.mark.parametrize("text", UNFIT)
def test_paths_and_secrets_that_remain_are_refused(text: str) -> None:
    assert scrub.scrub_outputs(one_output({"text/plain": text}), {})
    assert scrub.scrub_outputs(one_output({"text/html": f"<b>{text}</b> {text}"}), {})


@pytest.mark.parametrize(
    "text", ["<td>1</td></tr>", "https://example.org/home/x", "3/4 nats/pixel", "a / b", "(1)/2/3"]
)
def test_other_slashes_are_fine(text: str) -> None:
    assert scrub.scrub_outputs(one_output({"text/html": text}), {}) == []


def test_warnings_of_a_cell_lose_the_name_of_its_file() -> None:
    notebook = one_output({"text/plain": "/tmp/ipykernel_123/456.py:2: UserWarning: careful"})
    assert scrub.scrub_outputs(notebook, {}) == []
    assert notebook.cells[0].outputs[0].data == {"text/plain": "cell:2: UserWarning: careful"}


def test_widget_views_and_state_are_dropped() -> None:
    notebook = one_output(
        {
            "application/vnd.jupyter.widget-view+json": {"model_id": "1"},
            "text/plain": "interactive()",
        }
    )
    notebook.metadata["widgets"] = {}
    assert scrub.scrub_outputs(notebook, {}) == []
    assert "widgets" not in notebook.metadata and notebook.cells[0].outputs == []


def test_bars_escape_codes_and_minutes_on_this_machine_are_dropped() -> None:
    text = (
        "This lesson takes about 3.5 min on this machine (3.2 min on the one that measured it).\n"
        "training:  42%|████▏     | 42/100 [00:01<00:01, 33.0it/s]\x1b[A\n"
        "\n\x1b[A"
        "training: 100%|██████████| 100/100 [00:03<00:00, 33.8it/s]\n"
        "with the mask: 2.525 [held-out text], 100% of it | all\n"
    )
    printed = [nbformat.v4.new_output("stream", text=text)]
    bars = [nbformat.v4.new_output("stream", text=text.splitlines()[1] + "\n")]
    cells = [nbformat.v4.new_code_cell("x", outputs=outputs) for outputs in (printed, bars)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert scrub.scrub_outputs(notebook, {}) == []
    assert cells[0].outputs[0].text.strip() == text.splitlines()[-1] and cells[1].outputs == []


# --- lessons' definitions -------------------------------------------------------------------------------------------


def test_definitions_are_loaded_without_running_the_lesson(tmp_path: Path) -> None:
    root = make_root(tmp_path, TINY + '\n\nraise SystemExit("the lesson ran")\n')
    lesson = load_definitions("09_tiny", root=root)
    assert lesson.doubled(4) == 8 and lesson.SHAPE == (3, 6) and lesson.os is os
    assert not hasattr(lesson, "measured")
    with pytest.raises(NotImplementedError, match=r"^Exercise 9\.1$"):
        load_definitions("09_tiny", solved=False, root=root).doubled(4)


@pytest.mark.parametrize("solved_variant", [True, False])
def test_failures_show_the_line_of_the_source(tmp_path: Path, solved_variant: bool) -> None:
    text = TINY + "\n\n# %%\ndef broken(x):\n    return undefined_name\n"
    lesson = load_definitions("09_tiny", solved=solved_variant, root=make_root(tmp_path, text))
    with pytest.raises(NameError) as failure:
        lesson.broken(1)
    entry = failure.traceback[-1]
    assert (
        entry.path.name == "09_tiny.py" and str(entry.statement).strip() == "return undefined_name"
    )
    assert entry.lineno + 1 == text.splitlines().index("    return undefined_name") + 1
    lesson.undefined_name = 5
    assert lesson.broken(1) == 5


def test_an_unknown_lesson_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="09_tiny"):
        load_definitions("08_none", root=make_root(tmp_path))


# --- the real thing: kernels and nbval ------------------------------------------------------------------------------


def executed(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "course_utils.authoring.build",
        "--root",
        str(root),
        *arguments,
    ]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("COURSE_")}
    settings = clean | {
        "COURSE_TIER": "laptop",
        "COURSE_CACHE": str(root / "data/cache"),
        "MPLBACKEND": "agg",
    }
    return subprocess.run(
        command, env=settings | environment, capture_output=True, text=True, timeout=600
    )


def nbval(root: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    shutil.copy(REPOSITORY / "notebooks/conftest.py", root / "notebooks/conftest.py")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "-p",
        "no:cacheprovider",
        "-q",
        str(root / "notebooks"),
    ]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COURSE_", "PYTEST_"))}
    noise = {
        "COURSE_STRICT": "1",
        "COURSE_RUNS": str(root / "not this"),
    }  # of the caller, not for the notebooks
    return subprocess.run(
        [*command, "-rA"], cwd=cwd, env=clean | noise, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def executed_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course of one lesson whose learner's notebook has been executed at tier laptop."""
    text = TINY + "print(os.getcwd())\n"
    root = make_root(tmp_path_factory.mktemp("course with a space"), text)
    run = executed(root, "--execute", "09")
    assert run.returncode == 0, run.stdout + run.stderr
    return root


@pytest.mark.slow
def test_execution_keeps_outputs_digest_and_measurement(executed_root: Path) -> None:
    notebook = learner(executed_root)
    outputs = ["".join(o.text for o in cell.outputs) for cell in code_cells(notebook)]
    assert "Exercise tiny.doubled: not attempted yet" in outputs[1] and outputs[2] == "42\n"
    assert outputs[3].splitlines() == ["laptop None None", "course/notebooks"]
    facts = notebook.metadata.course.outputs
    assert facts.tier == "laptop" and facts.data == [] and not stale_outputs(notebook)
    assert set(facts) == {"tier", "code_sha256", "data", "python", "torch"}
    entry = json.loads((executed_root / "data/results/lessons.json").read_text())["09_tiny"][
        "laptop"
    ]
    assert entry["seconds"] > 0 and 20 < entry["peak_mib"] < 5000
    assert {"machine", "versions", "commit", "date", "code_sha256"} <= set(entry)
    assert set(entry["speed"]) == {"images", "products"} and min(entry["speed"].values()) > 0
    assert "training" not in entry  # nothing is trained in it
    assert f"{entry['peak_mib']:,.0f} MiB" in notebook.cells[0].source
    assert build(executed_root, check=True).changed == ()


@pytest.mark.slow
def test_nbval_runs_both_notebooks_from_any_folder(executed_root: Path, tmp_path: Path) -> None:
    run = nbval(executed_root, cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    assert "8 passed" in run.stdout
    assert not (executed_root / "not this").exists()


@pytest.mark.slow
def test_nbval_fails_on_a_changed_output_and_on_a_missing_solution(
    executed_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "course"
    shutil.copytree(executed_root, root)
    stub = code_cells(learner(root))[1].source
    notebook = solved(root)
    code_cells(notebook)[1].source = stub
    code_cells(notebook)[2].source = "pass"
    code_cells(notebook)[3].source = (
        'import os\nassert os.environ["COURSE_STRICT"] == os.environ["HF_HUB_OFFLINE"] == "1"\n'
        'assert os.environ["COURSE_TIER"] == "smoke" and "course-nbval-" in os.environ["COURSE_RUNS"]'
    )
    nbformat.write(notebook, root / "notebooks/solutions/09_tiny.ipynb")
    path = root / "notebooks/09_tiny.ipynb"
    text = path.read_text(encoding="utf-8")
    assert '"42\\n"' in text
    path.write_text(text.replace('"42\\n"', '"43\\n"'), encoding="utf-8")
    run = nbval(root, cwd=root)
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 2, run.stdout
    assert any("solutions" not in line and "Cell 2" in line for line in failed), failed
    assert any("solutions" in line and "Cell 1" in line for line in failed), failed
    assert "asks for every exercise to be solved" in run.stdout


@pytest.mark.slow
def test_a_failing_cell_leaves_the_old_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    root = make_root(tmp_path / "course", TITLE + "# %%\nx = 1\n\n# %%\nx / 0\n")
    build(root)
    pretend_executed(root)
    before = (root / "notebooks/09_tiny.ipynb").read_bytes()
    with pytest.raises(CourseError, match=r"Cell 3 \(s01-c03\) failed: ZeroDivisionError"):
        execute(root, "09_tiny")
    assert (root / "notebooks/09_tiny.ipynb").read_bytes() == before
    assert not (root / "data/results/lessons.json").exists()
    with pytest.raises(CourseError, match="known: 09_tiny"):
        execute(root, "08")


@pytest.mark.slow
def test_measuring_another_tier_keeps_the_outputs(executed_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "course"
    shutil.copytree(executed_root, root)
    outputs = [cell.outputs for cell in code_cells(learner(root))]
    run = executed(root, "--measure", "09", COURSE_TIER="smoke")
    assert run.returncode == 0, run.stderr
    assert set(json.loads((root / "data/results/lessons.json").read_text())["09_tiny"]) == {
        "laptop",
        "smoke",
    }
    assert [cell.outputs for cell in code_cells(learner(root))] == outputs
    assert learner(root).metadata.course.outputs.tier == "laptop" and not stale_outputs(
        learner(root)
    )
