"""Rows A7 and A8: what comes from outside is never unpacked and never executed. More in test_images, test_reviews."""

import ast
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
from course_utils.errors import CourseError
from course_utils.training.checkpoints import newest_generation, save_generation

PACKAGE = Path(__file__).parents[2] / "course_utils"


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, sign):
        self.sign = str(sign)

    def __reduce__(self):
        return os.mkdir, (self.sign,)


@pytest.fixture
def bomb(tmp_path):
    """Bytes that go off when they are unpickled (which is proved), and the sign that they leave."""
    sign = tmp_path / "went off"
    content = pickle.dumps(Bomb(sign))
    pickle.loads(content)
    assert sign.is_dir()  # it is a real one
    sign.rmdir()
    return content, sign


def numpys(content, path, sign):
    np.save(path, np.array([Bomb(sign)], dtype=object), allow_pickle=True)
    np.load(path, allow_pickle=True)


def torchs(content, path, sign):
    torch.save(Bomb(sign), path)
    torch.load(path, weights_only=False)


@pytest.mark.fault("A8")
@pytest.mark.parametrize(
    ("name", "make"), [("batch.npy", numpys), ("weights.pt", torchs), ("a.pkl", None)]
)
def test_a_bomb_of_any_name_is_refused_and_does_not_go_off(bomb, name, make, tmp_path):
    content, sign = bomb
    path = tmp_path / name
    path.write_bytes(content)
    if make:
        make(content, path, sign)
        assert sign.is_dir()  # it would go off
        sign.rmdir()
    for load in (load_images, load_reviews):
        with pytest.raises(CourseError):
            load(path)
    folder = tmp_path / "folder"
    folder.mkdir()
    path.rename(folder / "picture.png")
    with pytest.raises(CourseError, match="not an image"):
        load_images(folder)
    assert not sign.exists()


@pytest.mark.fault("A8")
def test_a_bomb_in_a_checkpoint_is_damage(bomb, tmp_path, capsys):
    content, sign = bomb
    for step in (1, 2):
        newest = save_generation(tmp_path / "run", step, {"a": torch.ones(2)}, {})
    for name in ("tensors.safetensors", "record.json", "manifest.json"):
        whole = (newest / name).read_bytes()
        (newest / name).write_bytes(content)
        assert newest_generation(tmp_path / "run").step == 1
        (newest / name).write_bytes(whole)
    assert not sign.exists()


@pytest.mark.fault("A7")
@pytest.mark.fault("A8")
def test_the_package_never_unpacks_and_never_unpickles():
    """On a Python whose own filter for archives has holes nothing changes: there is nothing to filter."""
    forbidden = {
        "extractall",
        "unpack_archive",
        "pickle",
        "cPickle",
        "dill",
        "joblib",
        "marshal",
        "shelve",
    }
    calls = {("torch", "load"), ("np", "load"), ("numpy", "load")}
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = {node.attr} if isinstance(node, ast.Attribute) else set()
            if isinstance(node, ast.Import | ast.ImportFrom):
                names |= {alias.name.split(".")[0] for alias in node.names} | {
                    getattr(node, "module", "") or ""
                }
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                own = (
                    path.parent.name == "authoring"
                )  # reads what it wrote itself, and with weights_only
                names |= {"a load"} if (node.value.id, node.attr) in calls and not own else set()
                # tarfile's and zipfile's `extract`; `extractfile` reads from the stream
                names |= (
                    {"extract"}
                    if node.attr == "extract" and node.value.id in ("archive", "tar", "zip")
                    else set()
                )
            if names & (forbidden | {"a load", "extract"}):
                found.append(f"{path.name}:{getattr(node, 'lineno', 0)} {names}")
    assert found == []


@pytest.mark.fault("A7")
def test_nothing_is_written_beside_an_archive(tmp_path, monkeypatch):
    """Every way of tarfile to write a member is closed: a good archive is read all the same."""
    path = tmp_path / "reviews.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for part in ("train", "test"):
            for kind in ("pos", "neg"):
                for number in range(10):
                    info = tarfile.TarInfo(f"aclImdb/{part}/{kind}/{number}_8.txt")
                    info.size = 6
                    tar.addfile(info, io.BytesIO(b"a film"))
        info = tarfile.TarInfo("../../outside.txt")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    for name in ("extract", "extractall", "_extract_member", "makefile", "makedir", "makelink"):
        monkeypatch.setattr(tarfile.TarFile, name, lambda *_, **__: pytest.fail("unpacked"))
    assert len(load_reviews(path, split="test")) == 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["reviews.tar.gz"]
