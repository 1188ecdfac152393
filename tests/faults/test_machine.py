"""Group D of the table: homes, users, folders and memory that are not as expected."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from course_utils import runtime, train
from course_utils.errors import CourseError
from course_utils.training import batch_memory

pytestmark = pytest.mark.slow

PROGRAM = """
import os, pathlib, sys, contextlib, io
import torch, matplotlib.font_manager
from course_utils import assets, paths, runtime, train
from course_utils.datasets.images import load_images
if sys.argv[1] == "other-user":
    assert os.getuid() == 54321
    try:
        import pwd; pwd.getpwuid(54321); raise SystemExit("this user is known")
    except KeyError:
        pass
os.environ["COURSE_TIER"] = "smoke"
machine = runtime.setup(quiet=True)
images = load_images("standin", limit=8)
settings = {"steps": 2, "batch_size": 4, "latent_dim": 4, "width": 4}
run, _ = train.train_dcgan(machine, images, paths.runs_dir() / "a run", settings)
(paths.cache_dir() / "probe").write_text("x")
assert (paths.runs_dir() / "a run" / "step-000000002" / "manifest.json").is_file()
print("CACHE", paths.cache_dir())
print("RUNS", paths.runs_dir())
"""


def course(environment, folder, who="me", **changes):
    """Train a little in a process of its own; its output."""
    wanted = {**environment, "TMPDIR": str(folder / "tmp"), **changes}
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / "tmp").chmod(0o777)
    values = {name: value for name, value in wanted.items() if value is not None}
    command = [sys.executable, "-c", PROGRAM, who]
    if (
        who == "other-user"
    ):  # may read everything, in case this Python lies in root's home, and write nothing
        user = "--reuid=54321 --regid=54321 --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search"
        command = ["setpriv", *user.split(), *command]
    done = subprocess.run(
        command, env=values, capture_output=True, text=True, cwd=folder, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.fault("D1")
@pytest.mark.skipif(sys.platform == "win32", reason="a Windows user always has a profile folder")
def test_without_a_home(tmp_path, environment):
    cache, runs = tmp_path / "my cache", tmp_path / "my runs"
    said = course(environment, tmp_path, HOME=None, COURSE_CACHE=str(cache), COURSE_RUNS=str(runs))
    assert f"CACHE {cache}" in said and f"RUNS {runs}" in said


@pytest.mark.fault("D1")
def test_an_unknown_user_who_may_not_write_is_told_where_things_went(tmp_path, environment):
    if not shutil.which("setpriv") or os.geteuid() != 0:
        pytest.skip("the program runs as another user here, which needs root and setpriv")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o755)  # root's: the other user may look and not write
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    said = course(
        environment,
        tmp_path,
        "other-user",
        **dict.fromkeys(("HOME", "USER", "LOGNAME", "LNAME", "USERNAME")),
        COURSE_CACHE=str(locked / "cache"),
        COURSE_RUNS=str(locked / "r"),
    )
    place = tmp_path / "tmp" / "generative-ai-course-54321"
    assert f"{locked / 'cache'} cannot be written to; using {place / 'cache'}" in said
    assert f"CACHE {place / 'cache'}" in said
    assert f"RUNS {place / 'runs'}" in said
    assert list(locked.iterdir()) == []


@pytest.mark.fault("D1")
def test_a_file_system_that_is_read_only(tmp_path, environment):
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a read-only file system is mounted here, which needs Linux and root")
    disk = tmp_path / "read-only"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", disk], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        with pytest.raises(OSError, match="Read-only"):
            (disk / "x").touch()
        said = course(
            environment, tmp_path, COURSE_CACHE=str(disk / "cache"), COURSE_RUNS=str(disk / "runs")
        )
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert f"{disk / 'cache'} cannot be written to; using {tmp_path / 'tmp'}" in said
    assert "COURSE_CACHE to choose another" in said


@pytest.mark.fault("D1")
def test_a_path_with_spaces_and_letters_of_other_languages(tmp_path, environment):
    folder = tmp_path / "Übungen für 深層学習 'KI' $HOME"
    folder.mkdir()
    said = course(
        environment,
        folder,
        COURSE_CACHE=str(folder / "cache é"),
        COURSE_RUNS=str(folder / "runs ñ"),
    )
    assert f"CACHE {folder / 'cache é'}" in said
    assert f"RUNS {folder / 'runs ñ'}" in said


@pytest.mark.fault("D2")
@pytest.mark.parametrize("name", ["dcgan", "vae", "cgan", "gpt", "bert"])
def test_a_batch_that_is_far_too_large_is_refused_with_one_that_fits(name, tmp_path, monkeypatch):
    if name not in train.LESSONS:
        pytest.skip(f"course_utils.train does not know the lesson {name} yet")
    monkeypatch.setenv("COURSE_TIER", "smoke")
    machine = replace(runtime.setup(quiet=True), autocast_dtype=None)
    lesson, settings = train.LESSONS[name], dict(train.SETTINGS[name]["smoke"]) | {"steps": 1}
    data = lesson.load("standin", settings)
    settings |= {"batch_size": 64 if name in ("bert", "gpt") else 512, "encoder": "standin"}
    monkeypatch.setattr(
        batch_memory, "free_bytes", lambda device: 8 << 20
    )  # a machine with 8 MiB left
    with pytest.raises(CourseError, match="GiB are free") as caught:
        lesson.train(machine, data, tmp_path / "run", settings)
    assert caught.value.code == "memory-batch-too-large"
    assert not (tmp_path / "run").exists()  # before anything was made
    pasted = {}
    exec(caught.value.fix, pasted)
    assert 1 <= pasted["batch_size"] < settings["batch_size"]
    run, _ = lesson.train(machine, data, tmp_path / "run", settings | pasted)
    assert run.finished


@pytest.mark.fault("D2")
def test_the_estimate_holds_against_what_a_step_really_takes():
    """In a process of its own, since what a process once had never shrinks."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the most memory that a process had is read from /proc")
    program = """
import torch
from course_utils.training import batch_memory as memory
from course_utils.models import dcgan
d = dcgan.make_discriminator(32)
light = memory.without_memory(d)
assert all(p.is_meta for p in light.parameters()) and not any(p.is_meta for p in d.parameters())
forward = lambda n: light(torch.empty(n, 3, 32, 32, device="meta"))
def most():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024
d(torch.rand(8, 3, 32, 32)).sum().backward()
before = most()
d(torch.rand(2048, 3, 32, 32)).sum().backward()
print((most() - before) / 2048, (memory.saved_bytes(forward, 4) - memory.saved_bytes(forward, 2)) / 2)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    real, saved = map(float, done.stdout.split())
    assert 0.5 * real < batch_memory.GRADIENTS * saved < 4 * real
    device = torch.device("cpu")
    assert batch_memory.free_bytes(device) is None or batch_memory.free_bytes(device) > 1 << 20


def test_memory_that_nobody_tells_is_no_reason_to_refuse(monkeypatch):
    monkeypatch.setattr(batch_memory, "free_bytes", lambda device: None)
    forward = lambda n: torch.ones(n, 10**6, device="meta", requires_grad=True).exp()  # noqa: E731
    batch_memory.require_batch(10**9, forward, torch.device("cpu"))
    monkeypatch.setattr(batch_memory, "free_bytes", lambda device: 1 << 30)
    with pytest.raises(CourseError, match="memory-batch-too-large"):
        batch_memory.require_batch(10**9, forward, torch.device("cpu"))
