"""Several processes: really started by ``torchrun`` with gloo, compared with one process, killed and interrupted."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes_runs
import psutil
import pytest
import torch
from accelerate import PartialState
from processes_runs import CASES, SMALL, WHOLE

from course_utils import runtime, train
from course_utils.errors import CourseError
from course_utils.training import processes
from course_utils.training.checkpoints import newest_generation

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals, and a launcher that passes them on"),
]
HERE = Path(__file__).parent
STEPS = WHOLE["steps"]
LIMIT = 300  # seconds; whoever waits longer for a process that is gone waits for ever


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Of all processes here: this very course, one thread, no downloaded data, exact float32."""
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    chosen = {
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "COURSE_BF16": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }
    chosen |= {"COURSE_CACHE": str(tmp_path_factory.mktemp("cache")), "COURSE_TIER": "smoke"}
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in chosen.items():
            patch.setenv(name, value)
        torch.set_num_threads(1)
        yield {**os.environ}
    torch.set_num_threads(before)


def torchrun(environment, *arguments, options=()):
    """A command with two processes; it is over when its own output is."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    return subprocess.Popen([*command, *options, *map(str, arguments)], **pipes)


def command(folder, steps=STEPS):
    options = ["--tier", "smoke", "--run-dir", str(folder), "--steps", str(steps)]
    return [WHOLE["lesson"], *options]


def ended(process):
    """Exit code, stdout and stderr; nobody is left behind."""
    workers = psutil.Process(process.pid).children(recursive=True)
    try:
        out, err = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
    return process.returncode, out, err


def wait_for_step(folder, least):
    """Until a checkpoint of that step or a later one is there."""
    for _ in range(LIMIT * 100):
        if any(
            int(path.parent.name[5:14]) >= least for path in folder.glob("step-*/manifest.json")
        ):
            return
        time.sleep(0.01)
    raise AssertionError(f"step {least} did not appear in {folder}")


def worker(process, rank):
    return next(
        p for p in psutil.Process(process.pid).children() if p.environ().get("RANK") == str(rank)
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory, environment):
    """All small runs with two processes and with one: their folders, and what each process reports."""
    two, one = tmp_path_factory.mktemp("two"), tmp_path_factory.mktemp("one")
    process = torchrun(environment, HERE / "processes_runs.py", two)
    processes_runs.main(one)
    assert not PartialState._shared_state  # one process never asks accelerate
    code, _, err = ended(process)
    assert code == 0, err
    reports = {number: json.loads((two / f"{number}.json").read_text()) for number in (0, 1)}
    return {
        "two": two,
        "one": one,
        "reports": reports,
        "alone": json.loads((one / "0.json").read_text()),
    }


def squeezed(text):
    return re.sub(r"[ \t]+:", ":", text)


def joined(tensors, choose):
    return torch.cat(
        [value.double().flatten() for name, value in sorted(tensors.items()) if choose(name)]
    )


def distance(one, two, choose):
    """Between the chosen tensors of two states, relative to their size."""
    a, b = joined(one, choose), joined(two, choose)
    return float((a - b).norm() / a.norm())


def weights(folder):
    return joined(
        newest_generation(folder).tensors,
        lambda name: name.startswith("vae.") and "running" not in name,
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("lesson", SMALL)
def test_two_processes_reach_what_one_reaches(runs, lesson, case):
    """Gradients (Adam's moments), weights, BatchNorm's statistics, losses and the state of the random numbers."""
    one, two = (newest_generation(runs[kind] / lesson / case) for kind in ("one", "two"))
    assert one.step == two.step == CASES[case][0] and one.tensors.keys() == two.tensors.keys()
    assert torch.equal(one.tensors["rng.cpu"], two.tensors["rng.cpu"])
    for kind in ("exp_avg", "exp_avg_sq"):
        assert (
            distance(one.tensors, two.tensors, lambda name, kind=kind: name.endswith(kind)) < 1e-4
        ), kind
    assert (
        distance(
            one.tensors, two.tensors, lambda name: "optimizer" not in name and "rng" not in name
        )
        < 1e-4
    )
    if lesson in ("dcgan", "vae", "cgan"):
        assert distance(one.tensors, two.tensors, lambda name: "running" in name) < 1e-5
    for name, values in one.record["history"].items():
        assert two.record["history"][name] == pytest.approx(values, rel=1e-5, abs=1e-6), name
    assert (one.record["processes"], two.record["processes"]) == (1, 2)


def test_both_processes_hold_the_same_weights_and_only_the_first_writes(runs):
    first, second = (
        runs["reports"][0],
        runs["reports"][1],
    )  # the second one's save would have raised
    for name in (f"{lesson}, {case}" for lesson in SMALL for case in CASES):
        assert first[name] == second[name], name
    assert first["whole"] == second["whole"]


def test_numbers_of_the_examples_are_those_of_one_process_and_others_differ(runs):
    """Noise must not depend on the number of processes; dropout must not be the same in all of them."""
    first, second, alone = (
        report["draws"] for report in (*runs["reports"].values(), runs["alone"])
    )
    for step in (0, 1):
        assert (
            first[step][0] + second[step][0] == alone[step][0] or step == 1
        )  # the indices; their draws came before
        assert first[step][2] != second[step][2]
    assert first[0][1] + second[0][1] == alone[0][1]
    assert first[2] == second[2]  # after the run both are where the examples' stream is


def test_processes_with_other_settings_refuse_to_train_together(runs):
    for report in runs["reports"].values():
        code, message = report["other settings"]
        assert code == "scale-processes-differ" and "width: 4 and 5" in message


def test_a_killed_process_ends_all_and_the_restarted_run_is_bit_equal(runs, environment, tmp_path):
    process = torchrun(
        environment, "-m", "course_utils.train", *command(tmp_path), options=["--max-restarts", "1"]
    )
    wait_for_step(tmp_path, 8)
    worker(process, 1).send_signal(signal.SIGKILL)
    code, out, err = ended(process)
    assert code == 0, err
    assert "goes on at step" in err, err
    assert out.count("\n") == 1  # the second process prints no result
    found = json.loads(out)
    assert found["steps"] == STEPS and found["examples"] == 32 * STEPS
    assert found["weights_sha256"] == runs["reports"][0]["whole"]


def test_a_run_goes_on_from_one_process_to_two_and_back(runs, environment, tmp_path, capsys):
    """On the way one of two processes dies for good, and the next two are asked to stop."""
    folder = tmp_path / "run"
    assert train.main(command(folder, 6)) == 0  # one process
    start = weights(folder)

    process = torchrun(environment, "-m", "course_utils.train", *command(folder))
    wait_for_step(folder, 12)
    worker(process, 1).send_signal(signal.SIGKILL)
    code, out, err = ended(process)
    assert code != 0 and out == "" and "exitcode: -9" in squeezed(err)
    found = newest_generation(folder)
    assert 12 <= found.step < STEPS and found.skipped == []

    process = torchrun(environment, "-m", "course_utils.train", *command(folder))
    wait_for_step(folder, found.step + 4)
    process.send_signal(signal.SIGTERM)
    _, out, err = ended(process)
    stopped = json.loads(out)["steps"]
    assert found.step + 4 <= stopped < STEPS
    assert err.count(f"Interrupted and saved at step {stopped}") == 1
    assert newest_generation(folder).step == stopped

    capsys.readouterr()
    assert train.main(command(folder)) == 0  # one process
    told = capsys.readouterr()
    assert "processes: 2 -> 1" in told.err and json.loads(told.out)["steps"] == STEPS
    alone = weights(runs["one"] / "whole")
    assert (weights(folder) - alone).norm() < 0.01 * (start - alone).norm()


def test_without_accelerate_the_error_names_the_command(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with (
        pytest.raises(CourseError, match="pip install") as caught,
        processes.joined(runtime.default_device()),
    ):
        pass
    assert caught.value.code == "scale-no-accelerate"
