"""The measured results: what is missing or damaged is said, what is written is read, and each has its origin."""

import subprocess
import sys

import pytest

from course_utils import paths, results
from course_utils.errors import CourseError

FILES = sorted(path.name for path in paths.results_dir().glob("*.json"))
DIRTY = {
    "bench.json",
    "bert_laptop.json",
    "dcgan_cifar10.json",
    "features_cifar10.json",
    "metric_floor.json",
    "scores_networks.json",
    "vae_cifar10.json",
    "vae_laptop.json",
    "vae_plane.json",
    "waiting.json",
}
"""Files with a record whose code or data were not committed when it was measured. The list only gets shorter."""


def origins(value, outer=None):
    """Commit, machine and versions of each record that names a commit; what it leaves out, it has from around it."""
    if isinstance(value, list):
        return [found for entry in value for found in origins(entry, outer)]
    if not isinstance(value, dict):
        return []
    own = {key: value[key] for key in ("commit", "machine", "versions") if key in value}
    inner = [
        found for entry in value.values() for found in origins(entry, {**(outer or {}), **own})
    ]
    return [{**(outer or {}), **own}] * ("commit" in own) + inner


@pytest.mark.parametrize("name", FILES)
def test_every_result_says_where_it_comes_from(name):
    found = origins(results.read(name))
    assert found
    for origin in found:
        assert set(origin) == {"commit", "machine", "versions"}
        assert int(origin["commit"].removesuffix("-dirty"), 16)
        assert set(origin["machine"]) <= {"cpu", "cores", "threads", "gpu"}
        assert origin["machine"]["cpu"] and {"python", "torch"} <= set(origin["versions"])


def test_what_was_measured_on_uncommitted_code_is_listed_and_no_more():
    dirty = {
        name
        for name in FILES
        if any(origin["commit"].endswith("-dirty") for origin in origins(results.read(name)))
    }
    assert dirty - DIRTY == set(), "Measure these again from a commit."
    assert DIRTY - dirty == set(), "These are clean now: take them off the list."


def test_what_is_written_is_read_with_its_provenance(tmp_path):
    content = {
        "seed": 0,
        "text": "a [b,\n c] 0.5 ± 0.1",
        "values": [1, 2.5, None],
        "rows": [{"n": [1]}],
    }
    path = results.write("new.json", content, folder=tmp_path)
    found = results.read("new.json", tmp_path)
    assert found == {**content, **results.provenance()} and path == tmp_path / "new.json"
    assert '"values": [1, 2.5, null],\n' in path.read_text(encoding="utf-8")
    results.write("new.json", content, made_with={"commit": "abc"}, folder=tmp_path)
    assert results.read("new.json", tmp_path) == {**content, "commit": "abc"}


def test_what_is_missing_is_an_error_or_nothing_as_one_asks(tmp_path):
    with pytest.raises(CourseError, match=r"no data/results/none\.json") as caught:
        results.read("none.json", tmp_path)
    assert caught.value.code == "results-unreadable"
    assert results.earlier("none.json", tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe{}", b"[1, 2]"])
def test_a_damaged_file_is_one_error_for_either_reader(content, tmp_path):
    (tmp_path / "bad.json").write_bytes(content)
    for read in (results.read, results.earlier):
        with pytest.raises(CourseError, match=r"data/results/bad\.json") as caught:
            read("bad.json", tmp_path)
        assert caught.value.code == "results-unreadable"


def test_a_commit_is_dirty_by_code_and_data_but_not_by_what_runs_write(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True
        )

    monkeypatch.setattr(results, "_ROOT", tmp_path)
    assert results.commit() == "unknown"
    for name in ("code.py", "data/results/a.json", "data/manifest.toml", "notebooks/a.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    clean = results.commit()
    assert int(clean, 16) and len(clean) == 12
    for name in ("data/results/a.json", "notebooks/a.ipynb"):
        (tmp_path / name).write_text("2")
    assert results.commit() == clean
    for name in ("code.py", "data/manifest.toml"):
        (tmp_path / name).write_text("2")
        assert results.commit() == f"{clean}-dirty"
        git("checkout", name)


def test_a_machine_in_words():
    assert results.in_words({"cpu": "AMD EPYC", "cores": 2}) == "2 cores of AMD EPYC"
    assert results.in_words({"cpu": "X", "cores": 8, "gpu": "Y"}) == "Y, 8 cores of X"


def test_reading_results_needs_no_torch():
    code = "import sys; from course_utils import results; results.read('bench.json'); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_nothing_else_opens_the_folder_of_results():
    root = paths.data_dir().parent
    sources = [
        p
        for folder in ("course_utils", "measuring", "notebooks/source")
        for p in (root / folder).rglob("*.py")
    ]
    found = [p.name for p in sources if "results_dir" in p.read_text(encoding="utf-8")]
    assert sorted(found) == ["paths.py", "results.py"]
