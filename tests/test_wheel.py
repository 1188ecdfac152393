"""The wheel: what learners install has the rooms that lessons import, and nothing that only authors need."""

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(built) as wheel:
        return set(wheel.namelist())


def test_every_module_of_the_course_is_in_it_but_the_authors(names: set[str]) -> None:
    modules = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "course_utils").rglob("*.py")
        if "authoring" not in path.parts
    }
    assert {name for name in names if name.endswith(".py")} == modules


def test_the_data_that_ship_are_in_it(names: set[str]) -> None:
    for folder in ("results", "checkpoints"):
        shipped = {
            f"course_utils/_data/{folder}/{path.name}"
            for path in (ROOT / "data" / folder).iterdir()
            if not path.name.startswith(".")
        }
        assert len(shipped) > 5 and shipped <= names
    assert {f"course_utils/_data/{name}" for name in ("manifest.toml", "catalogue.json")} <= names


def test_nothing_else_is_in_it(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    (info,) = tops - {"course_utils"}
    assert info.endswith(".dist-info")
    assert not [name for name in names if name.endswith((".ipynb", ".pyc", ".j2"))]
