"""The house: no import runs back up the spine, no two modules import each other, and each folder says what it holds.

Imports inside functions count too: a lazy import back up is a breach as well, it only hides better.
"""

import ast
import functools
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPINE = (
    ("errors", "progress_bars", "tiers"),
    ("paths", "runtime"),
    ("results", "fetching"),
    ("assets",),
    ("datasets",),
    ("models",),
    ("evaluation",),
    ("display",),
    ("learner",),
    ("checks", "machine"),
    ("training",),
    ("authoring", "colab", "train"),
    ("measuring",),
)
"""The rooms from the ground up. A room uses those below it, and itself; what shares a storey is apart."""
ABOVE_NOTHING = ("authoring", "colab", "train")
"""Rooms that nothing of `course_utils` imports: they are not in the wheel, or are doors for people."""
HEIGHT = {room: height for height, storey in enumerate(SPINE) for room in storey}


class Import(NamedTuple):
    """One import: where it stands, the module that it stands in, and the module that it takes."""

    place: str
    taker: str
    taken: str


def modules(root: Path) -> dict[str, Path]:
    """Every module of the two packages by its dotted name; a package by its ``__init__``."""
    files = [path for top in ("course_utils", "measuring") for path in (root / top).rglob("*.py")]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in files]
    return {name.removesuffix(".__init__"): path for name, path in zip(names, files, strict=True)}


@functools.cache
def imports(root: Path) -> list[Import]:
    """All imports among the modules, wherever they stand in a file."""
    known, found = modules(root), []
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for taken in _taken(node, package, known):
                place = f"{path.relative_to(root).as_posix()}:{node.lineno}"
                found.append(Import(place, name, taken))
    return found


def _taken(node: ast.AST, package: str, known: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        whole = [f"{base}.{alias.name}" for alias in node.names]
        names = [name if name in known else base for name in whole]
    else:
        names = []
    yield from (name for name in names if name in known)


def room(module: str) -> str:
    """The room of a module: a folder or a file of `course_utils`, or `measuring`; '' is `course_utils` itself."""
    return module.split(".")[1] if module.startswith("course_utils.") else module.split(".")[0]


def breaches(root: Path) -> list[str]:
    """The imports that run back up the spine, or across a storey, each with its file and line."""
    found = []
    for place, taker, taken in imports(root):
        above, below = room(taker), room(taken)
        if below in (above, "course_utils"):  # `course_utils` itself holds the version only
            continue
        unknown = [name for name in (above, below) if name not in HEIGHT]
        if unknown:
            found.append(f"{place}: {unknown[0]} has no place on the spine")
        elif HEIGHT[below] >= HEIGHT[above]:
            found.append(f"{place}: {above} may not import {below} ({taken})")
        elif below in ABOVE_NOTHING and above != "measuring":
            found.append(f"{place}: nothing in the package may import {below}")
    return found


def test_no_import_runs_back_up_the_spine() -> None:
    assert len(imports(ROOT)) > 300  # it did read
    assert not breaches(ROOT), "\n" + "\n".join(breaches(ROOT))


def test_no_two_modules_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for _, taker, taken in imports(ROOT):
        if not taker.startswith(f"{taken}."):  # a package's `__init__` is loaded before its modules
            graph.setdefault(taker, set()).add(taken)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("models/bad.py", "from course_utils.training import run", ":1: models may not import"),
        (
            "models/bad.py",
            "x = 1\ndef f():\n    import course_utils.training.run",
            ":3: models may",
        ),
        ("models/bad.py", "from ..training.run import a", ":1: models may not import training"),
        ("models/bad.py", "from .. import training", ":1: models may not import training"),
        ("paths.py", "import course_utils.runtime", ":1: paths may not import runtime"),
        ("training/bad.py", "import course_utils.authoring", ":1: training may not import auth"),
        ("authoring/bad.py", "from course_utils import train", ":1: authoring may not import tr"),
        ("training/bad.py", "import measuring.bench", ":1: training may not import measuring"),
        ("cellar/__init__.py", "import course_utils.errors", ":1: cellar has no place on the"),
        ("models/good.py", "from course_utils import __version__, errors", ""),
        ("models/good.py", "import torch\nimport course_utils.nothing", ""),
        ("training/good.py", "from . import run\nfrom ..models import dcgan", ""),
    ],
)
def test_the_test_sees_a_breach(tmp_path: Path, file: str, text: str, said: str) -> None:
    house = ["errors.py", "paths.py", "runtime.py", "train.py", "__init__.py"]
    house += ["models/dcgan.py", "training/run.py", "authoring/__init__.py", "training/__init__.py"]
    for path in [
        *(tmp_path / "course_utils" / name for name in house),
        tmp_path / "measuring/bench.py",
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    bad = tmp_path / "course_utils" / file
    bad.parent.mkdir(exist_ok=True)
    bad.write_text(text)
    found = breaches(tmp_path)
    assert len(found) == bool(said)
    assert not said or found[0].startswith(f"course_utils/{file}{said}")


def folders() -> list[str]:
    """Every folder of modules, as the tree names it."""
    return [
        path.parent.relative_to(ROOT).as_posix()
        for name, path in sorted(modules(ROOT).items())
        if path.name == "__init__.py" and name != "course_utils"
    ]


@pytest.mark.parametrize("folder", folders())
def test_a_folder_says_what_belongs_in_it(folder: str) -> None:
    told = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))
    first = (told or "").partition("\n")[0]
    assert re.fullmatch(r"[A-Z].{20,}[.:;].*", first), f"{folder}/__init__.py begins with {first!r}"


def test_every_room_of_the_spine_is_there() -> None:
    there = {room(name) for name in modules(ROOT)} - {"course_utils"}
    assert there == set(HEIGHT)
