"""Where things are kept, and files that are never half written."""

import dataclasses
import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from course_utils import assets, paths
from course_utils.datasets import images, reviews, texts
from course_utils.errors import CourseError
from course_utils.fetching.pinned_file import Asset
from course_utils.learner import progress
from course_utils.training.run_copies import RunCopies


@pytest.fixture(autouse=True)
def said_nothing_yet():
    paths.say_once.cache_clear()


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import sys, course_utils, course_utils.errors, course_utils.paths\n"
        "print(sorted({'torch', 'numpy', 'matplotlib', 'PIL', 'IPython'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.fault("D1")
@pytest.mark.parametrize(
    ("variable", "function"), [("COURSE_CACHE", paths.cache_dir), ("COURSE_RUNS", paths.runs_dir)]
)
def test_variable_moves_the_folder(variable, function, tmp_path, monkeypatch):
    wanted = tmp_path / "a folder with spaces and ü"
    monkeypatch.setenv(variable, str(wanted))
    assert function() == wanted.resolve()
    assert wanted.is_dir()
    assert list(wanted.iterdir()) == []  # the trial file is gone


def test_variable_knows_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("COURSE_RUNS", "~/runs")
    assert paths.runs_dir() == (tmp_path / "runs").resolve()


# Places that the user names

VARIABLES = ("COURSE_RUNS", "COURSE_RUNS_COPY", "COURSE_CACHE", "COURSE_IMAGES", "COURSE_REVIEWS")


def place_of(variable):
    """Where the course looks for what a variable names, by the functions that lessons use."""
    if variable == "COURSE_RUNS":
        return paths.runs_dir()
    if variable == "COURSE_RUNS_COPY":
        copies = RunCopies(Path("away", "run")).there.parent
        assert progress.path().parent == copies  # checkpoints and progress go to one place
        return copies
    if variable == "COURSE_CACHE":
        return paths.cache_dir()
    load = images.load_images if variable == "COURSE_IMAGES" else reviews.load_reviews
    with pytest.raises(
        CourseError
    ) as caught:  # nothing is there; the error says where it was sought
        load()
    return next(Path(word) for word in re.findall(r"/\S*pics", str(caught.value)))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The course in a folder of its own, a home beside it, and a notebook's working directory."""
    for name in ("course/notebooks", "home"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(paths, "course_dir", lambda: tmp_path / "course")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path / "course" / "notebooks")
    progress._folder.cache_clear()
    yield tmp_path
    progress._folder.cache_clear()


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    ("named", "is_at"),
    [
        ("pics", "course/pics"),
        ("~/pics", "home/pics"),
        ("../pics", "pics"),
        ("./pics", "course/pics"),
    ],
)
def test_every_place_is_read_alike(variable, named, is_at, course, monkeypatch):
    monkeypatch.setenv(variable, named)
    assert place_of(variable) == course / is_at
    monkeypatch.chdir(course)  # a program beside the course finds the same as a notebook in it
    assert place_of(variable) == course / is_at
    absolute = course / "somewhere" / "pics"
    monkeypatch.setenv(variable, str(absolute))
    assert place_of(variable) == absolute


@pytest.mark.parametrize(
    "load", [images.load_images, reviews.load_reviews], ids=lambda load: load.__name__
)
@pytest.mark.parametrize(("named", "is_at"), [("pics", "course/pics"), ("~/pics", "home/pics")])
def test_a_lessons_own_source_is_read_as_the_variables_are(load, named, is_at, course):
    with pytest.raises(CourseError) as caught:
        load(named)
    assert str(course / is_at) in str(caught.value)
    with pytest.raises(CourseError) as caught:
        load(Path(named))
    assert str(course / is_at) in str(caught.value)


@pytest.mark.parametrize(
    ("named", "is_at"), [("book.txt", "course/book.txt"), ("~/book.txt", "home/book.txt")]
)
def test_a_book_is_found_where_pictures_would_be(named, is_at, course):
    (course / is_at).write_text("Once upon a time there was a house.\n\n" * 2_000)
    assert texts.load_texts(named).train
    with pytest.raises(CourseError, match="No text"):
        texts.load_texts("other.txt")


def test_an_installed_package_reads_places_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "site-packages" / "course_utils")
    monkeypatch.chdir(tmp_path)
    assert paths.resolve("runs") == tmp_path / "runs"
    assert paths.data_dir() == tmp_path / "site-packages" / "course_utils" / "_data"


def test_no_place_is_read_past_the_resolver():
    """``expanduser`` stands where places are resolved, and where a command line's paths are read."""
    root = Path(paths.__file__).parents[1]
    found = {
        path.relative_to(root).as_posix()
        for path in (root / "course_utils").rglob("*.py")
        if re.search(r"(?<!\w)[\w).]+\.expanduser\(", _without_strings(path))
    }
    assert found == {
        "course_utils/paths.py",
        "course_utils/learner/progress.py",
        "course_utils/train.py",
    }


def _without_strings(path):
    """A source without its string literals: fixes hold code as well."""
    return re.sub(r'"[^"\n]*"|\'[^\'\n]*\'', '""', path.read_text(encoding="utf-8"))


def test_default_is_the_repositorys_data_folder():
    assert (paths.data_dir() / "manifest.toml").is_file()
    assert paths.results_dir() == paths.data_dir() / "results"
    assert paths.checkpoints_dir() == paths.data_dir() / "checkpoints"


@pytest.mark.fault("D1")
def test_unwritable_folder_falls_back_and_says_so_once(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder can be made below this")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "file" / "runs"))
    found = paths.runs_dir()
    assert found.is_dir()
    assert found.is_relative_to(tmp_path)
    assert found == paths.runs_dir()
    said = capsys.readouterr().out
    assert said.count("cannot be written to") == 1
    assert str(found) in said
    assert "COURSE_RUNS" in said


def test_nothing_writable_is_an_error_that_names_both(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CourseError, match="file/cache") as caught:
        paths.cache_dir()
    assert caught.value.code == "paths-not-writable"
    assert "COURSE_CACHE" in caught.value.fix


def test_atomic_write_writes_and_leaves_no_part(tmp_path):
    target = tmp_path / "new folder" / "a.json"
    assert paths.atomic_write(target, b"one") == target
    paths.atomic_write(target, b"two")
    assert target.read_bytes() == b"two"
    assert os.listdir(target.parent) == ["a.json"]


@pytest.mark.parametrize("fault", ["os.replace", "os.fsync", "os.chmod"])
def test_atomic_write_that_fails_leaves_the_old_file(fault, tmp_path, monkeypatch):
    target = paths.atomic_write(tmp_path / "a.json", b"old")

    def fail(*_):
        raise OSError(5, "the disk failed")

    monkeypatch.setattr(fault, fail)
    with pytest.raises(OSError, match="the disk failed"):
        paths.atomic_write(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_atomic_write_on_a_folder_is_an_error_and_cleans_up(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        paths.atomic_write(tmp_path / "taken", b"new")
    assert os.listdir(tmp_path) == ["taken"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no handle on a folder to flush")
def test_folder_that_cannot_be_flushed_is_no_error(tmp_path, monkeypatch):
    """Cloud drives answer EINVAL to fsync of a folder; the file itself is on disk by then."""
    real = os.fsync

    def fsync(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(22, "Invalid argument")
        real(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell a folder's handle from a file's")
    monkeypatch.setattr("os.fsync", fsync)
    assert paths.atomic_write(tmp_path / "a", b"x").read_bytes() == b"x"


@pytest.fixture
def read_only(tmp_path):
    """A function that makes a folder read-only; for root, whom no mode holds back, by a mount."""
    mounted = []

    def protect(folder):
        folder.chmod(0o555)
        if paths.can_write(folder):
            copy = tmp_path / "read only"
            shutil.copytree(folder, copy / "cache")
            bind = subprocess.run(["mount", "--bind", copy, copy], capture_output=True).returncode
            if (
                bind
                or subprocess.run(
                    ["mount", "-o", "remount,bind,ro", copy], capture_output=True
                ).returncode
            ):
                pytest.skip("this user can write everywhere and mount nothing")
            mounted.append(copy)
            folder = copy / "cache"
        assert not paths.can_write(folder)
        return folder

    yield protect
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.skipif(os.name == "nt", reason="modes and mounts of POSIX")
def test_a_class_shares_one_read_only_cache(tmp_path, monkeypatch, read_only, capsys):
    shared, own = tmp_path / "shared", tmp_path / "own"
    content = b"what everybody needs"
    thing = Asset(
        "thing", "thing.bin", (), len(content), hashlib.sha256(content).hexdigest(), "", ""
    )
    other = dataclasses.replace(thing, name="other", file="other.bin")
    monkeypatch.setattr(assets, "manifest", lambda: {"thing": thing, "other": other})
    shared.mkdir()
    (shared / "thing.bin").write_bytes(content)
    (shared / "other.bin").write_bytes(b"not what everybody needs")
    (shared / "aclImdb").mkdir()
    shared = read_only(shared)
    monkeypatch.setenv("COURSE_CACHE", str(shared))
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    own.mkdir()
    assert assets.fetch("thing") == shared / "thing.bin"  # without a network: it has no address
    assert (
        assets.cached("other") is None and (shared / "other.bin").is_file()
    )  # damaged: not used, not moved
    assert reviews._imdb_path() == shared / "aclImdb"
    folder = paths.cache_dir()
    assert folder.is_relative_to(own) and paths.cache_places() == (folder, shared)
    (folder / "other.bin").write_bytes(content)  # what is missing there goes to the learner's own
    assert assets.fetch("other") == folder / "other.bin"
    assert capsys.readouterr().out.count("cannot be written to") == 1


def test_a_cache_that_can_be_written_to_is_the_only_place(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    assert paths.cache_places() == (tmp_path,)


# Locks


HOLDER = """
import sys, time
from pathlib import Path
from course_utils.paths import held_lock
with held_lock(Path(sys.argv[1]), lambda: False) as held:
    print(held, flush=True)
    time.sleep(100)
"""


def test_a_lock_is_held_once_and_gone_afterwards(tmp_path):
    path, asked = tmp_path / "a.lock", []
    with paths.held_lock(path, lambda: False) as held:
        assert held
        with paths.held_lock(path, lambda: bool(asked.append(0)) or len(asked) < 3) as second:
            assert not second and len(asked) == 3  # it waited as long as it was told to
        with paths.held_lock(path, lambda: False) as third:
            assert not third  # whoever went on without has not freed it
    assert list(tmp_path.iterdir()) == []
    with paths.held_lock(path, lambda: False) as held:
        assert held


def test_the_lock_of_a_killed_program_is_free(tmp_path):
    path = tmp_path / "a.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "True\n"
    with paths.held_lock(path, lambda: False) as held:
        assert not held
    holder.kill()
    holder.wait()
    with paths.held_lock(path, lambda: True) as held:
        assert held


@pytest.mark.skipif(sys.platform == "win32", reason="flock is POSIX")
@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS])
def test_where_the_file_system_knows_no_locks_everybody_goes_on(tmp_path, monkeypatch, number):
    import fcntl

    def unknown(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", unknown)
    with paths.held_lock(tmp_path / "a.lock", lambda: pytest.fail("waited")) as held:
        assert not held
    assert list(tmp_path.iterdir()) == []
