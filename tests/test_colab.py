"""Google Colab: every notebook alone in a bare folder, on a Python that has torch and not the course."""

import contextlib
import importlib.metadata
import io
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
import torch
from colab_runtime import ROOT, Runtime, inventory, make_wheel, preinstall
from IPython.core.inputtransformer2 import TransformerManager
from sharing import once

from course_utils import assets, colab, paths
from course_utils.authoring import bootstrap
from course_utils.authoring import notebook as nb
from course_utils.authoring.source import find_sources
from course_utils.errors import CourseError

pytestmark = pytest.mark.slow

SOURCES = find_sources(ROOT)
RELEASE = bootstrap.Release("a-course", "1.2.3", "https://github.com/someone/a-course")


def assembled(path: Path) -> nbformat.NotebookNode:
    return nb.assemble(path, ROOT)[0]


def cell_of(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and bootstrap.is_bootstrap(c)]
    return cell


def book(*cells: str) -> nbformat.NotebookNode:
    """A notebook of Markdown (a text that starts with #) and code."""
    kinds = {True: nbformat.v4.new_markdown_cell, False: nbformat.v4.new_code_cell}
    return nbformat.v4.new_notebook(cells=[kinds[text.startswith("#")](text) for text in cells])


# --- the cell -------------------------------------------------------------------------------------------------------


def test_every_notebook_has_the_same_cell_and_no_other_installs() -> None:
    cells = set()
    for path in SOURCES:
        for notebook in nb.assemble(path, ROOT):
            cells.add(cell_of(notebook).source)
            assert sum("%pip" in cell.source for cell in notebook.cells) == 1, path.stem
            assert cell_of(notebook).source not in [cell.source for cell in nb.code_cells(notebook)]
    assert len(cells) == 1
    assert len(cells.pop().splitlines()) <= 12


@pytest.mark.parametrize(
    "release", [RELEASE, bootstrap.Release("a-course", "1.2.3", "")], ids=["address", "none"]
)
def test_elsewhere_it_does_nothing(release: bootstrap.Release) -> None:
    notebook = book("# 1. T", "x = 1")
    bootstrap.add(notebook, release)
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        exec(TransformerManager().transform_cell(cell_of(notebook).source), names)
    assert said.getvalue() == "" and set(names) == {"__builtins__", "sys"}


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        (("# 1. T", "# card", "## Set-up", "x = 1", "y = 2"), 2),
        (("# 1. T", "x = 1", "## Later", "y = 2"), 1),
    ],
    ids=["above the first section", "below the title"],
)
def test_it_stands_above_all_code(cells: tuple[str, ...], place: int) -> None:
    notebook = book(*cells)
    bootstrap.add(notebook, RELEASE)
    assert [cell.id for cell in notebook.cells[place : place + 2]] == ["colab-text", "colab-code"]
    assert [cell.source for cell in notebook.cells if not bootstrap.is_bootstrap(cell)] == list(
        cells
    )
    assert cell_of(notebook).source.count("git+https://github.com/someone/a-course@v1.2.3") == 1


def test_outputs_stay_when_the_cell_changes() -> None:
    old, new = book("# T", "x = 1"), book("# T", "x = 1")
    bootstrap.add(old, RELEASE)
    bootstrap.add(new, bootstrap.Release("a-course", "1.2.4", "https://example.org/a/b"))
    assert nb.code_digest(old) == nb.code_digest(new) == nb.code_digest(book("# T", "x = 1"))
    nb.code_cells(old)[0].execution_count = 1
    old.metadata["course"] = {"outputs": {"code_sha256": nb.code_digest(old)}}
    new.metadata["course"] = {}
    nb.keep_outputs(new, old)
    assert not nb.stale_outputs(new) and nb.code_cells(new)[0].execution_count == 1


def make_root(folder: Path, address: str) -> Path:
    version = '[project]\nname = "a-course"\nversion = "1.2.3"\n'
    (folder / "pyproject.toml").write_text(f'{version}[tool.course]\nrepository = "{address}"\n')
    return folder


@pytest.mark.parametrize(
    "address", ["https://github.com/someone/a-course", "https://github.com/someone/a-course.git"]
)
def test_a_badge_is_made_from_the_one_address(tmp_path: Path, address: str) -> None:
    release = bootstrap.read_release(make_root(tmp_path, address))
    assert release == RELEASE
    notebook = book("# 1. T\n\nText", "x = 1")
    bootstrap.add(notebook, release, "notebooks/01_t.ipynb")
    target = (
        "https://colab.research.google.com/github/someone/a-course/blob/v1.2.3/notebooks/01_t.ipynb"
    )
    picture = f"[![{bootstrap.BADGE_ALT}]({bootstrap.BADGE})]"
    assert notebook.cells[0].source == f"# 1. T\n\n{picture}({target})\n\nText"
    assert (ROOT / "notebooks" / bootstrap.BADGE).is_file()


@pytest.mark.parametrize("address", ["", "https://gitlab.com/someone/a-course"])
def test_there_is_no_badge_without_an_address_that_colab_opens(
    tmp_path: Path, address: str
) -> None:
    notebook = book("# 1. T\n\nText", "x = 1")
    bootstrap.add(
        notebook, bootstrap.read_release(make_root(tmp_path, address)), "notebooks/01_t.ipynb"
    )
    assert notebook.cells[0].source == "# 1. T\n\nText"
    assert f'course = "{address and f"git+{address}@v1.2.3"}"' in cell_of(notebook).source


def test_what_is_no_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no address") as refused:
        bootstrap.read_release(make_root(tmp_path, "github.com/someone/a-course"))
    assert refused.value.code == "authoring-repository"


def test_the_package_knows_its_version() -> None:
    from course_utils import __version__

    assert bootstrap.read_release(ROOT).version == __version__


# --- what it calls --------------------------------------------------------------------------------------------------


@pytest.fixture
def on_colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An empty working folder and a Drive that can be mounted; returns the module that stands for Colab's."""
    monkeypatch.chdir(tmp_path)
    for name in ("COURSE_RUNS", "COURSE_CACHE", "COURSE_RUNS_COPY", "COURSE_FETCH_SETUP"):
        monkeypatch.setenv(name, "")  # so that what `start` sets is taken back
        monkeypatch.delenv(name)
    drive = ModuleType("google.colab.drive")
    drive.mount = lambda place: (Path(place) / "MyDrive").mkdir(parents=True, exist_ok=True)
    package = ModuleType("google.colab")
    package.drive = drive
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setitem(sys.modules, "google.colab.drive", drive)
    return drive


def test_without_a_gpu_it_says_so_and_how_to_switch(on_colab, monkeypatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    colab.start()
    said = capsys.readouterr().out
    assert "No GPU" in said and "Change runtime type" in said and "tier laptop" in said
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    colab.start()
    assert "No GPU" not in capsys.readouterr().out


def test_without_drive_nothing_is_mounted(on_colab, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(on_colab, "mount", lambda place: pytest.fail("mounted without being asked"))
    colab.start()
    assert "use_drive = True" in capsys.readouterr().out and "COURSE_RUNS_COPY" not in os.environ
    assert paths.runs_dir() == tmp_path / colab.FOLDER / "runs"
    assert paths.cache_dir() == tmp_path / colab.FOLDER / "cache"


def test_with_drive_runs_have_a_second_place(on_colab, tmp_path, capsys) -> None:
    place = tmp_path / "drive" / "MyDrive" / colab.FOLDER / "runs"
    (place / "dcgan-1").mkdir(parents=True)
    colab.start(use_drive=True)
    assert os.environ["COURSE_RUNS_COPY"] == str(place)
    assert "(runs there now: 1)" in capsys.readouterr().out


def test_a_refused_drive_stops_nothing(on_colab, monkeypatch, capsys) -> None:
    def refuse(place: str) -> None:
        raise ValueError("mount failed")

    colab.start(use_drive=True)
    monkeypatch.setattr(on_colab, "mount", refuse)
    colab.start(use_drive=True)
    assert (
        "ValueError: mount failed" in capsys.readouterr().out
        and "COURSE_RUNS_COPY" not in os.environ
    )


def test_what_belongs_to_the_environment_is_fetched_when_needed(
    on_colab, monkeypatch, capsys, tmp_path
) -> None:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))  # set-up has filled the usual one
    asked = []

    def no_network(asset: object, path: Path) -> None:
        asked.append(path.name)
        raise CourseError("asset-not-fetched", "No network.", "why", "fix")

    monkeypatch.setattr("course_utils.fetching.mirrors.fetch", no_network)
    paths.say_once.cache_clear()
    assert assets.at_hand("encoder") is None and asked == []  # elsewhere set-up has fetched it
    colab.start()
    assert assets.at_hand("encoder") is None and assets.at_hand("encoder") is None
    assert len(asked) == 2 and capsys.readouterr().out.count("No network.") == 1
    assert assets.at_hand("cifar10") is None and len(asked) == 2  # not part of the environment


# --- whole notebooks ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def colab_image(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What all runtimes share: the preinstalled packages as they were, and a wheel in the place of the address."""

    def make(folder: Path) -> None:
        packages = preinstall(folder / "dist-packages")
        make_wheel(folder)
        listed = Runtime(folder / "bare", packages).pip_freeze()
        before = {"listed": listed, "inventory": inventory(packages)}
        (folder / "before.json").write_text(json.dumps(before))

    folder = once(tmp_path_factory, "colab", make)
    (wheel,) = folder.glob("*.whl")
    before = json.loads((folder / "before.json").read_text())
    return SimpleNamespace(packages=folder / "dist-packages", wheel=wheel, **before)


def from_wheel(
    notebook: nbformat.NotebookNode, wheel: Path, use_drive: bool = False
) -> nbformat.NotebookNode:
    """The notebook as its reader would edit it: the cell's two settings, and nothing else."""
    cell = cell_of(notebook)
    cell.source, found = re.subn(r'course = ".*?"', f'course = "{wheel.as_posix()}"', cell.source)
    assert found == 1 and "use_drive = False" in cell.source
    cell.source = cell.source.replace("use_drive = False", f"use_drive = {use_drive}")
    return notebook


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, id=p.stem, marks=pytest.mark.xdist_group(f"colab-{p.stem}")) for p in SOURCES],
)
def test_a_notebook_runs_alone_and_leaves_everything_preinstalled_as_it_was(
    path: Path, colab_image: SimpleNamespace, tmp_path: Path
) -> None:
    cache = str(paths.cache_dir())  # what set-up fetched; with it no network is needed
    runtime = Runtime(tmp_path, colab_image.packages)
    notebook = runtime.run(from_wheel(assembled(path), colab_image.wheel), COURSE_CACHE=cache)
    assert runtime.pip_freeze() == colab_image.listed
    assert inventory(colab_image.packages) == colab_image.inventory
    installed = {path.name for path in runtime.packages.iterdir()}
    assert installed - {"course_utils", "google", "colab.pth", "__pycache__"} == {
        f"generative_ai_course-{importlib.metadata.version('generative-ai-course')}.dist-info"
    }
    said = "".join(output.get("text", "") for output in cell_of(notebook).outputs)
    assert "use_drive = True" in said and "rror" not in said
    assert {path.name for path in runtime.content.iterdir()} <= {colab.FOLDER}


CUT = """
import os

import torch
from course_utils.paths import runs_dir
from course_utils.training.run import TrainingRun

torch.manual_seed(0)
network = torch.nn.Linear(4, 1)
optimizer = torch.optim.Adam(network.parameters())
data = torch.randn(64, 4)
state = {"network": network, "optimizer": optimizer}
training = TrainingRun(
    runs_dir() / "cut", state=state, config={}, steps=40, examples=64, batch_size=8, save_every=10
)
for index in training.batches():
    loss = network(data[index]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    training.log(loss=loss.item())
    if training.step == 25 and os.environ.get("CUT_HERE"):
        os._exit(9)
print(training.resumed_at, training.weights_sha256)
"""


def test_training_goes_on_after_a_disconnect(colab_image: SimpleNamespace, tmp_path: Path) -> None:
    def lesson() -> nbformat.NotebookNode:
        notebook = book("# 1. T", CUT)
        bootstrap.add(notebook, bootstrap.read_release(ROOT))
        return from_wheel(notebook, colab_image.wheel, use_drive=True)

    def told(notebook: nbformat.NotebookNode) -> list[str]:
        return notebook.cells[-1].outputs[-1].text.splitlines()[-1].split()

    first, second, other = (
        Runtime(tmp_path / name, colab_image.packages) for name in ("cut", "next", "whole")
    )
    with pytest.raises(Exception, match=r"(?i)kernel died"):
        first.run(lesson(), CUT_HERE="1")
    (first.content / "drive").rename(second.content / "drive")  # all that outlives a runtime
    resumed, digest = told(second.run(lesson()))
    assert resumed in ("10", "20")
    assert told(other.run(lesson())) == ["None", digest]


def test_the_inventory_sees_a_change(colab_image: SimpleNamespace, tmp_path: Path) -> None:
    runtime = Runtime(tmp_path, colab_image.packages)
    assert any(line.startswith("torch==") for line in colab_image.listed)
    assert runtime.pip_freeze() == colab_image.listed
    newer = runtime.packages / "torch-99.0.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n")
    assert runtime.pip_freeze() != colab_image.listed
    before = inventory(tmp_path)
    os.utime(newer / "METADATA", (1, 1))
    assert inventory(tmp_path) != before
