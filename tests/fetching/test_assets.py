"""The door to fetched files: what is in the cache and right is returned, what is damaged is mended."""

import re
import subprocess
import sys
import tomllib

import pytest
from faulty_server import CONTENT, LOGIN_PAGE, names_in, nobody_listens

from course_utils import assets
from course_utils.errors import CourseError


def test_without_a_download_the_door_loads_no_library_for_it():
    program = "import sys\nfrom course_utils import assets\nassets.manifest()\n"
    program += "print(sorted({'httpx', 'torch', 'numpy', 'scipy', 'filelock'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_fetch_downloads_once_with_size_and_note(server, cache, offer, capsys):
    offer(server.url("good"))
    path = assets.fetch("thing")
    assert path.read_bytes() == CONTENT and path.parent == cache
    printed = capsys.readouterr()
    assert "Fetching thing.bin, 1 MiB (a small test)" in printed.out and "100%" in printed.err
    assert assets.fetch("thing") == path
    assert server.asked == ["good"] and names_in(cache) == ["thing.bin"]
    assert capsys.readouterr().out == ""


@pytest.mark.fault("A9")
@pytest.mark.parametrize("damage", ["flipped", "emptied", "cut", "removed"])
def test_damage_in_the_cache_is_found_and_mended(server, cache, offer, damage, capsys):
    offer(server.url("good"))
    path = assets.fetch("thing")
    if damage == "removed":
        path.unlink()
    else:
        flipped = CONTENT[:5000] + bytes([CONTENT[5000] ^ 1]) + CONTENT[5001:]
        path.write_bytes({"flipped": flipped, "emptied": b"", "cut": CONTENT[:-1]}[damage])
    capsys.readouterr()
    assert assets.cached("thing") is None
    assert ("damaged" in capsys.readouterr().out) == (damage != "removed")
    assert assets.fetch("thing").read_bytes() == CONTENT
    assert server.asked == ["good", "good"]


def test_a_file_put_into_the_cache_by_hand_needs_no_network(cache, offer):
    offer(nobody_listens())
    cache.mkdir()
    (cache / "thing.bin").write_bytes(CONTENT)
    assert assets.fetch("thing") == cache / "thing.bin"


def test_verify_says_what_a_wrong_file_looks_like(cache, offer, tmp_path):
    offer(nobody_listens())
    file = tmp_path / "elsewhere.bin"
    file.write_bytes(CONTENT)
    assets.verify("thing", file)
    file.write_bytes(LOGIN_PAGE)
    with pytest.raises(CourseError, match="a web page"):
        assets.verify("thing", file)
    assert file.read_bytes() == LOGIN_PAGE  # another's file is refused, not moved


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(CourseError, match="lists: cifar10"):
        assets.fetch("cifar11")


def test_the_manifest_is_complete_and_agrees_with_its_readme():
    known = assets.manifest()
    assert known["cifar10"].bytes == 170_052_171
    assert known["cifar10"].md5 == "c32a1d4ab5d03f1284b67883e8d87530"
    readme = (assets.data_dir() / "README.md").read_text(encoding="utf-8")
    for asset in known.values():
        assert asset.urls and all(
            re.match(r"https://|pip:[\w-]+==[\d.]+$", url) for url in asset.urls
        )
        assert re.fullmatch("[0-9a-f]{64}", asset.sha256) and asset.bytes > 0
        assert asset.licence and asset.citation
        assert asset.file == asset.file.split("/")[-1] and not asset.file.startswith(".")
        for fact in (asset.file, asset.sha256, f"{asset.bytes:,}"):
            assert fact in readme
    tomllib.loads((assets.data_dir() / "manifest.toml").read_text(encoding="utf-8"))
