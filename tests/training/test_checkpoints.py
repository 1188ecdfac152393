"""Checkpoints: parts first, the manifest last; nothing damaged is used; a kill or a full disk loses one interval."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.training import checkpoints
from course_utils.training.checkpoints import newest_generation, save_generation, weights_digest

PARTS = ("tensors.safetensors", "record.json", "manifest.json")


def save(folder, step, value=None):
    value = float(step if value is None else value)
    tensors = {
        "net.weight": torch.full((7, 3), value),
        "rng.cpu": torch.arange(50, dtype=torch.uint8),
    }
    return save_generation(folder, step, tensors, {"config": {"width": 3}, "value": value})


def names(folder):
    return sorted(path.name for path in folder.glob("step-*"))


@contextmanager
def tiny_disk(folder, options):
    """A real file system that can be filled, or a skip."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a disk that can be filled is mounted here, which needs Linux and root")
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_state_comes_back_as_it_was(tmp_path):
    tensors = {
        "a": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "b": torch.tensor(3.5),
        "c": torch.randn(4).to(torch.bfloat16),
        "d": torch.arange(6).reshape(2, 3).t(),
        "e": torch.empty(0),
    }
    record = {"history": {"loss": [0.1, 1e-300, 0.1 + 0.2]}, "text": 'ü " \\ \n', "none": None}
    save_generation(tmp_path, 12, tensors, record)
    found = newest_generation(tmp_path)
    assert (found.step, found.record, found.skipped) == (12, record, [])
    assert found.made_with == {"torch": torch.__version__, "threads": torch.get_num_threads()}
    assert all(
        torch.equal(found.tensors[k], v) and found.tensors[k].dtype == v.dtype
        for k, v in tensors.items()
    )


def test_nothing_there_is_none(tmp_path, capsys):
    (tmp_path / "step-12").mkdir()  # not a name of ours
    assert newest_generation(tmp_path) is None
    assert newest_generation(tmp_path / "missing") is None
    assert capsys.readouterr().out == ""


def test_tied_weights_can_be_saved(tmp_path):
    embedding = torch.nn.Embedding(5, 4)
    head = torch.nn.Linear(4, 5, bias=False)
    head.weight = embedding.weight
    save_generation(tmp_path, 1, {"in": embedding.weight, "out": head.weight}, {})
    found = newest_generation(tmp_path)
    assert torch.equal(found.tensors["in"], found.tensors["out"])


def test_no_pickle_anywhere(tmp_path):
    folder = save(tmp_path, 1)
    assert sorted(path.name for path in folder.iterdir()) == sorted(PARTS)
    for name in ("record.json", "manifest.json"):
        json.loads((folder / name).read_text())
    content = (folder / "tensors.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    ends = [entry["data_offsets"][1] for entry in header.values()]
    assert 8 + int.from_bytes(content[:8], "little") + max(ends) == len(
        content
    )  # raw numbers and nothing else


def test_two_generations_are_kept(tmp_path):
    for step in (3, 10, 100):
        save(tmp_path, step)
    assert names(tmp_path) == ["step-000000010", "step-000000100"]


def test_order_is_by_step_and_not_by_file_time(tmp_path):
    save(tmp_path, 9)
    old = save(tmp_path, 20)
    for path in (*old.iterdir(), old):
        os.utime(path, (1, 1))
    assert newest_generation(tmp_path).step == 20


@pytest.mark.fault("C5")
def test_every_flipped_bit_is_found(tmp_path):
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    rng, tried = random.Random(0), 0
    for name in PARTS:
        good = (newest / name).read_bytes()
        places = {0, len(good) - 1, *(rng.randrange(len(good)) for _ in range(30))}
        for place in sorted(places):
            bad = bytearray(good)
            bad[place] ^= 1 << rng.randrange(8)
            (newest / name).write_bytes(bad)
            found = newest_generation(tmp_path)
            assert (
                found.step,
                found.record["value"],
                float(found.tensors["net.weight"][0, 0]),
            ) == (1, 1.0, 1.0)
            assert len(found.skipped) == 1
            assert "step-000000002 is damaged" in found.skipped[0]
            tried += 1
        (newest / name).write_bytes(good)
    assert tried >= 60
    assert newest_generation(tmp_path).step == 2


@pytest.mark.fault("C5")
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("harm", ["missing", "empty", "cut", "json of another kind", "a folder"])
def test_other_damage_is_found_too(part, harm, tmp_path):
    save(tmp_path, 1)
    path = save(tmp_path, 2) / part
    content = path.read_bytes()
    path.unlink()
    if harm == "a folder":
        path.mkdir()
    elif harm != "missing":
        other = b'{"body": 3, "sha256": []}'
        path.write_bytes({"empty": b"", "cut": content[:-1], "json of another kind": other}[harm])
    found = newest_generation(tmp_path)
    assert found.step == 1
    assert "step-000000002" in found.skipped[0]


def test_a_generation_under_another_steps_name_is_refused(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2).rename(tmp_path / "step-000000003")
    found = newest_generation(tmp_path)
    assert found.step == 1
    assert "it holds step 2" in found.skipped[0]


def test_when_nothing_is_readable_it_says_so(tmp_path, capsys):
    (save(tmp_path, 5) / "manifest.json").unlink()
    assert newest_generation(tmp_path) is None
    said = capsys.readouterr().out
    assert "step-000000005 was cut off while it was being saved" in said
    assert "step 0" in said


def test_damaged_ones_of_a_higher_step_do_not_push_out_the_new_one(tmp_path):
    """After a fall back the run saves at lower steps than the damaged generations have."""
    for step in (20, 30):
        (save(tmp_path, step) / "record.json").write_bytes(b"{}")
    save(tmp_path, 10)
    assert newest_generation(tmp_path).step == 10
    save(tmp_path, 12)
    assert names(tmp_path) == ["step-000000010", "step-000000012"]


def test_saving_a_step_again_never_overwrites_what_is_intact(tmp_path):
    first = save(tmp_path, 5, value=1.0)
    second = save(tmp_path, 5, value=2.0)
    assert newest_generation(tmp_path).record["value"] == 2.0
    (second / "tensors.safetensors").unlink()
    assert newest_generation(tmp_path).record["value"] == 1.0
    assert first.is_dir()
    (first / "manifest.json").unlink()
    assert save(tmp_path, 5, value=3.0) == first  # what a cut save left behind is replaced
    assert newest_generation(tmp_path).record["value"] == 3.0


@pytest.mark.fault("C6")
def test_another_schema_is_refused_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SCHEMA", 99)
    newer = save(tmp_path, 8)
    monkeypatch.undo()
    with pytest.raises(CourseError, match="schema 99") as caught:
        newest_generation(tmp_path)
    assert caught.value.code == "checkpoint-other-schema"
    save(tmp_path, 3)
    assert newer.is_dir()


def test_a_disk_that_does_not_keep_what_it_was_given(tmp_path, monkeypatch):
    save(tmp_path, 1)
    real = checkpoints.atomic_write

    def lose_a_bit(path, content):
        real(path, content if path.name != "record.json" else content.replace(b"3", b"2"))

    monkeypatch.setattr(checkpoints, "atomic_write", lose_a_bit)
    with pytest.raises(CourseError, match="gave back something else") as caught:
        save(tmp_path, 2)
    assert caught.value.code == "checkpoint-not-kept"
    assert newest_generation(tmp_path).step == 1


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    for action in (
        lambda: save(tmp_path / "file" / "run", 1),
        lambda: checkpoints.require_writable(tmp_path / "file"),
    ):
        with pytest.raises(CourseError, match="could not be written") as caught:
            action()
        assert caught.value.code == "checkpoint-cannot-write"


@pytest.mark.fault("C4")
def test_full_disk_before_a_save(tmp_path):
    with tiny_disk(tmp_path / "disk", "size=1m") as disk:
        save(disk / "run", 1)
        save(disk / "run", 2)
        with (
            pytest.raises(OSError, match="No space"),
            open(disk / "filler", "wb", buffering=0) as file,
        ):
            while True:
                file.write(bytes(4096))
        assert shutil.disk_usage(disk).free == 0
        with pytest.raises(CourseError) as caught:
            save(disk / "run", 3)
        error = caught.value
        assert error.code == "checkpoint-disk-full"
        assert "needs 0.1 MiB and the disk has 0.0 MiB" in error.what
        assert str(disk / "run") in error.why
        assert str(disk) in error.fix
        assert "Delete" in error.fix
        assert names(disk / "run") == ["step-000000001", "step-000000002"]
        assert newest_generation(disk / "run").skipped == []
        (disk / "filler").unlink()
        save(disk / "run", 3)
        assert newest_generation(disk / "run").step == 3


@pytest.mark.fault("C4")
def test_disk_that_gets_full_in_the_middle_of_a_save(tmp_path):
    """Free bytes, but no free inode: the error comes from a write and not from the check before."""
    with tiny_disk(tmp_path / "disk", "size=4m,nr_inodes=10") as disk:
        save(disk, 1)
        for number in range(3):  # leaves one for the folder and one for its three files
            (disk / f"filler-{number}").touch()
        inodes = os.statvfs(disk).f_ffree
        with pytest.raises(CourseError) as caught:
            save(disk, 2)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.code == "checkpoint-disk-full"
        assert (inodes, os.statvfs(disk).f_ffree) == (2, 2)  # nothing is left behind
        assert names(disk) == ["step-000000001"]
        assert newest_generation(disk).step == 1


def test_digest_of_weights_sees_names_and_values_but_not_the_layout():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    first = weights_digest({"net": network})
    assert weights_digest({"net": network.to(memory_format=torch.channels_last)}) == first
    assert weights_digest({"other": network}) != first
    network[1].running_mean[2] += 1e-7
    assert weights_digest({"net": network}) != first


# Kills. The functions below run in one child process that has imported PyTorch once and forks a process for each trial.

WATCHED = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}


def die_at(number):
    """Kill this process just before it opens, renames, makes or removes something for the ``number``-th time."""
    count = 0

    def hook(event, arguments):
        nonlocal count
        if event in WATCHED and (
            event != "open" or arguments[2] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR)
        ):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return lambda: count


def forked(action):
    """Run ``action`` in a forked process; its wait status and what it wrote to the pipe."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        code = 1
        try:
            os.write(writing, str(action()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    said = b"".join(iter(lambda: os.read(reading, 4096), b""))
    os.close(reading)
    return os.waitpid(pid, 0)[1], said.decode()


def big_save(folder, step):
    save_generation(folder, step, {"w": torch.full((30_000,), float(step))}, {"step": step})


def save_counted(folder, number):
    count = die_at(number)
    big_save(folder, 3)
    return count()


def state_after(folder):
    found = newest_generation(folder)
    assert bool((found.tensors["w"] == found.step).all())
    assert found.record == {"step": found.step}
    return found.step


def new_run(folder):
    big_save(folder, 1)
    big_save(folder, 2)
    return folder


def kill_trials(root):
    """Kill saves at each of their operations, then some at random times; print what was found as JSON."""
    status, said = forked(lambda: save_counted(new_run(root / "whole"), 0))
    assert status == 0, said
    trials = []
    moments = int(said)
    for number in sorted({1 + i * (moments - 1) // 15 for i in range(16)}):
        folder = new_run(root / f"kill-{number}")
        status, _ = forked(lambda folder=folder, number=number: save_counted(folder, number))
        after = state_after(folder)
        big_save(folder, 4)
        left = sum(1 for _ in folder.rglob("*.part"))
        trials.append(
            [os.WIFSIGNALED(status) and os.WTERMSIG(status), after, state_after(folder), left]
        )
    timed = []
    for number in range(3):
        folder = new_run(root / f"timed-{number}")
        pid = os.fork()
        if pid == 0:
            for step in range(3, 1_000_000):
                big_save(folder, step)
        time.sleep(0.11 + 0.037 * number)
        os.kill(pid, signal.SIGKILL)
        killed = os.WTERMSIG(os.waitpid(pid, 0)[1])
        timed.append([killed, state_after(folder), len(names(folder))])
    print(json.dumps({"moments": moments, "trials": trials, "timed": timed}))


@pytest.mark.fault("C1")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each trial is a forked process")
def test_killed_saves_leave_the_newest_valid_generation(tmp_path):
    program = "import pathlib, sys; import test_checkpoints as t; t.kill_trials(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (
        found["moments"] >= 10
    )  # three files made and renamed, folders, the old generation removed
    assert all(trial[0] == signal.SIGKILL for trial in found["trials"])  # the fault did happen
    after = [trial[1] for trial in found["trials"]]
    assert set(after) == {2, 3}
    assert after == sorted(after)  # from one moment on, that of the manifest, it is the new one
    assert all(
        trial[2:] == [4, 0] for trial in found["trials"]
    )  # the next save works and clears up
    assert all(
        killed == signal.SIGKILL and step >= 2 and kept >= 2
        for killed, step, kept in found["timed"]
    )


def test_the_manifest_is_the_last_file_and_names_every_part(tmp_path, monkeypatch):
    order, real = [], checkpoints.atomic_write
    monkeypatch.setattr(
        checkpoints, "atomic_write", lambda path, data: order.append(path.name) or real(path, data)
    )
    folder = save(tmp_path, 1)
    assert order[-1] == "manifest.json"
    assert sorted(order) == sorted(PARTS)
    body = json.loads(json.loads((folder / "manifest.json").read_text())["body"])
    for name in PARTS[:2]:
        content = (folder / name).read_bytes()
        assert body["parts"][name] == {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
