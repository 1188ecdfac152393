"""What surrounds a training loop: exact resume, order of the data, interrupts, guards."""

import contextlib
import hashlib
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from test_checkpoints import forked, tiny_disk

from course_utils.errors import CourseError
from course_utils.models import dcgan
from course_utils.training import run as training_module
from course_utils.training.checkpoints import newest_generation
from course_utils.training.run import TrainingRun, permutation, run_folder

EXAMPLES, BATCH, STEPS = 20, 8, 11  # batches of 8, 8 and 4: the last step is in the fourth epoch
PARTS = ("generator", "discriminator", "g_optimizer", "d_optimizer")
STATE_SETTINGS = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}


def players(width=4, **changes):
    """A tiny DCGAN as the lesson makes it: channels last, fused Adam."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    networks = dcgan.make_generator(8, width), dcgan.make_discriminator(width)
    for network in networks:
        network.apply(dcgan.init_dcgan_weights).to(memory_format=torch.channels_last)
    optimizers = [
        torch.optim.Adam(n.parameters(), **{**STATE_SETTINGS, **changes}) for n in networks
    ]
    return dict(zip(PARTS, (*networks, *optimizers), strict=True))


def images():
    return torch.rand(EXAMPLES, 3, 32, 32, generator=torch.Generator().manual_seed(7)) * 2 - 1


def open_run(folder, state=None, steps=STEPS, config=None, **options):
    options = {"examples": EXAMPLES, "batch_size": BATCH, "save_every": 3, **options}
    return TrainingRun(
        folder, state=state or players(), config=config or {"width": 4}, steps=steps, **options
    )


def loop(run, before_step=None):
    """The lesson's loop; noise comes from the global generator."""
    pixels = images()
    for index in run.batches():
        if before_step:
            before_step(run.step)
        real = pixels[index].contiguous(memory_format=torch.channels_last)
        noise = torch.randn(len(index), 8, 1, 1)
        run.log(
            **dcgan.dcgan_step(*run.state.values(), real, noise),
            draw=random.random() + np.random.rand(),
        )
    return run


def trained(folder, before_step=None, steps=STEPS, **options):
    return loop(open_run(folder, steps=steps, **options), before_step)


def summary(run):
    """All that must be equal: weights, optimisers, history, random generators."""
    moments = hashlib.sha256()
    for name in ("g_optimizer", "d_optimizer"):
        for _, values in sorted(run.state[name].state_dict()["state"].items()):
            for key in sorted(values):
                moments.update(values[key].contiguous().numpy().tobytes())
    generators = (
        hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
        random.random(),
        np.random.rand(),
    )
    return json.dumps([run.step, run.weights_sha256, moments.hexdigest(), run.history, generators])


def plain(folder, steps=STEPS, **options):
    """A run with no model, for what does not need one."""
    return open_run(folder, state={}, steps=steps, **options)


def walk(run):
    seen = []
    for index in run.batches():
        seen.append(index.tolist())
        run.log(loss=float(run.step))
    return seen


# The order of the data


def test_permutation_is_a_function_of_seed_and_epoch():
    orders = [permutation(seed, epoch, 50).tolist() for seed in (0, 1) for epoch in (0, 1, 2)]
    torch.manual_seed(123)
    assert orders == [
        permutation(seed, epoch, 50).tolist() for seed in (0, 1) for epoch in (0, 1, 2)
    ]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 6


def test_every_epoch_sees_every_example_once_and_the_last_batch_is_smaller(tmp_path):
    seen = walk(plain(tmp_path, steps=6))
    assert [len(batch) for batch in seen] == [8, 8, 4, 8, 8, 4]
    for epoch in (0, 1):
        batches = seen[3 * epoch : 3 * epoch + 3]
        assert [*batches[0], *batches[1], *batches[2]] == permutation(0, epoch, EXAMPLES).tolist()


@pytest.mark.parametrize(("examples", "sizes"), [(5, [5, 5, 5]), (1, [1, 1, 1]), (9, [8, 1, 8])])
def test_fewer_examples_than_a_batch_still_take_steps(examples, sizes, tmp_path):
    assert [len(batch) for batch in walk(plain(tmp_path, steps=3, examples=examples))] == sizes


def test_iterating_draws_nothing_from_the_global_generators(tmp_path):
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    walk(plain(tmp_path))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]


# Exact resume: each function runs in a forked process, so that every resume is a new one


def cut_and_resume(root):
    def cut(folder, step):
        trained(folder, lambda now: now == step and os.kill(os.getpid(), signal.SIGKILL))

    def go_on(folder):
        run = open_run(folder)
        if run.resumed_at:
            (
                torch.randn(5),
                random.random(),
                np.random.rand(),
            )  # a learner runs other cells before the loop
        return f"{run.resumed_at} {summary(loop(run))}"

    trained(
        root / "warm-up"
    )  # first steps are slow; the forked processes inherit what they prepare
    report = {"whole": forked(lambda: summary(trained(root / "whole")))[1], "cuts": []}
    for step in range(1, STEPS):
        status, _ = forked(lambda step=step: cut(root / f"cut-{step}", step))
        _, said = forked(lambda step=step: go_on(root / f"cut-{step}"))
        report["cuts"].append([os.WIFSIGNALED(status) and os.WTERMSIG(status), *said.split(" ", 1)])
    print(json.dumps(report))


@pytest.mark.fault("C1")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each run is a forked process")
def test_run_killed_at_any_step_ends_bit_equal(tmp_path):
    report = in_child("cut_and_resume", tmp_path)
    assert json.loads(report["whole"])[0] == STEPS
    assert [cut[0] for cut in report["cuts"]] == [signal.SIGKILL] * (STEPS - 1)
    # Saved every three steps: a kill during step k goes on at the last multiple of three.
    assert [cut[1] for cut in report["cuts"]] == [
        str(k // 3 * 3) if k >= 3 else "None" for k in range(1, STEPS)
    ]
    assert all(cut[2] == report["whole"] for cut in report["cuts"])


def in_child(function, *arguments):
    program = (
        f"import pathlib, sys; import test_run as t; t.{function}(*map(pathlib.Path, sys.argv[1:]))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_resume_in_the_same_process_ignores_what_was_drawn_in_between(tmp_path):
    whole = summary(trained(tmp_path / "whole"))
    run = open_run(tmp_path / "cut")
    loop(run, lambda step: step == 4 and os.kill(os.getpid(), signal.SIGINT))
    assert run.step == 5
    torch.randn(3), random.random()
    assert summary(loop(run)) == whole


def test_raised_steps_go_on(tmp_path, capsys):
    whole = summary(trained(tmp_path / "whole"))
    trained(tmp_path / "two", steps=4)
    capsys.readouterr()
    run = open_run(tmp_path / "two")
    assert "goes on at step 4 of 11" in capsys.readouterr().out
    assert summary(loop(run)) == whole


def test_finished_run_is_shown_and_takes_no_step(tmp_path, capsys):
    first = trained(tmp_path)
    digest, history, files = first.weights_sha256, first.history, sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    again = open_run(tmp_path)
    assert again.finished
    assert "finished: its result is shown" in capsys.readouterr().out
    assert walk(again) == []
    assert (again.weights_sha256, again.history, sorted(tmp_path.rglob("*"))) == (
        digest,
        history,
        files,
    )


def test_damaged_newest_checkpoint_is_said_and_one_interval_is_redone(tmp_path, capsys):
    whole = summary(trained(tmp_path))
    part = tmp_path / f"step-{STEPS:09d}" / "tensors.safetensors"
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    run = open_run(tmp_path)
    assert "Skipped a checkpoint: step-000000011 is damaged" in capsys.readouterr().out
    assert run.step == 9
    assert summary(loop(run)) == whole


@pytest.mark.fault("C6")
def test_another_number_of_threads_is_said(tmp_path, capsys):
    walk(plain(tmp_path, steps=3))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        plain(tmp_path)
    finally:
        torch.set_num_threads(threads)
    said = capsys.readouterr().out
    assert "not bit for bit" in said
    assert f"threads: {threads} -> {threads + 1}" in said


# Settings


@pytest.mark.fault("C6")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": {"width": 5}}, "width: 4 -> 5"),
        ({"config": {"width": 4, "data": "stand-in"}}, "data: None -> 'stand-in'"),
        ({"batch_size": 7}, "batch_size: 8 -> 7"),
        ({"examples": 21}, "examples: 20 -> 21"),
        ({"seed": 1}, "seed: 0 -> 1"),
        ({"data_sha256": "b" * 64}, "data: content with digest aaaa"),
        ({"lr": 1e-4}, "g_optimizer lr: 0.0002 -> 0.0001"),
        ({"betas": (0.9, 0.999)}, r"d_optimizer betas: \[0.5, 0.999\] -> \[0.9, 0.999\]"),
        ({"width": 6}, "size mismatch"),
        ({"without": "d_optimizer"}, "only one of the two has d_optimizer"),
        ({"without": "discriminator"}, "only one of the two has discriminator"),
        ({"with": "average"}, "Missing key"),
    ],
)
def test_other_settings_are_refused_by_name(change, named, tmp_path):
    data = {"data_sha256": "a" * 64}
    open_run(tmp_path, **data).save()
    state = players(**{k: change[k] for k in change.keys() & {"lr", "betas", "width"}})
    state.pop(change.get("without"), None)
    if "with" in change:
        state[change["with"]] = dcgan.make_generator(8, 4)
    options = {
        k: v
        for k, v in change.items()
        if k in ("config", "batch_size", "examples", "seed", "data_sha256")
    }
    with pytest.raises(CourseError, match=named) as caught:
        open_run(tmp_path, state=state, **{**data, **options})
    assert caught.value.code == "training-other-settings"
    assert "fresh=True" in caught.value.fix
    assert newest_generation(tmp_path) is not None


def test_a_learning_rate_that_the_loop_lowers_is_no_other_setting(tmp_path):
    run = open_run(tmp_path)
    run.state["g_optimizer"].param_groups[0]["lr"] *= 0.1
    run.save()
    again = open_run(tmp_path)
    assert again.state["g_optimizer"].param_groups[0]["lr"] == pytest.approx(2e-5)


def test_fresh_moves_the_old_run_aside(tmp_path):
    old = trained(tmp_path, steps=3)
    (tmp_path / "samples-000003.png").write_bytes(b"picture")
    run = open_run(tmp_path, fresh=True)
    assert (run.step, run.resumed_at, run.history) == (0, None, {"step": []})
    assert not list(tmp_path.glob("*.png"))
    assert (tmp_path / "previous" / "samples-000003.png").read_bytes() == b"picture"
    kept = newest_generation(tmp_path / "previous")
    assert (kept.step, kept.record["history"]) == (3, old.history)
    open_run(tmp_path, fresh=True)  # nothing was saved since: the old run is still there
    assert newest_generation(tmp_path / "previous").step == 3
    loop(run)
    open_run(tmp_path, fresh=True)
    assert newest_generation(tmp_path / "previous").step == STEPS


def test_fresh_leaves_a_folder_of_other_files_alone(tmp_path):
    (tmp_path / "previous").mkdir()
    (tmp_path / "previous" / "thesis.txt").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    plain(tmp_path, fresh=True)
    assert (tmp_path / "previous" / "thesis.txt").read_text() + (
        tmp_path / "notes.txt"
    ).read_text() == "minemine"


def test_folder_depends_on_everything_that_defines_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    base = run_folder("02", {"data": "x"}, players())
    assert base == run_folder("02", {"data": "x"}, players())
    assert base.parent == tmp_path.resolve()
    others = [
        run_folder("02", {"data": "y"}, players()),
        run_folder("02", {"data": "x"}, players(width=5)),
        run_folder("02", {"data": "x"}, players(lr=1e-4)),
    ]
    assert len({base, *others}) == 4


def test_folder_that_cannot_be_written_to_is_named_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError) as caught:
        plain(tmp_path / "file" / "run")
    assert caught.value.code == "checkpoint-cannot-write"


# Numbers that are not finite


@pytest.mark.fault("B4")
@pytest.mark.parametrize("bad", [math.nan, math.inf, torch.tensor(-math.inf)])
def test_loss_that_is_not_finite_stops_the_run(bad, tmp_path):
    run = plain(tmp_path, save_every=2)
    with pytest.raises(CourseError) as caught:
        for _ in run.batches():
            run.log(fine=1.0, loss=bad if run.step == 4 else 0.5)
    error = caught.value
    assert error.code == "training-not-finite"
    assert f"loss became {float(bad)} at step 4 (epoch 1, batch 1)" in error.what
    assert "step 4" in error.why
    assert run.step == 4
    assert run.history["step"] == [0, 1, 2, 3, 4]
    assert str(run.history["loss"]) == str([0.5, 0.5, 0.5, 0.5, float(bad)])
    found = newest_generation(tmp_path)
    assert found.step == 4
    assert found.record["history"]["loss"] == [0.5] * 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.fault("B4")
def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    """A loss is of the weights before its step: the weights can be lost while the last loss was fine."""
    run = open_run(tmp_path, save_every=1)
    with pytest.raises(CourseError, match=r"generator\.0\.weight has become NaN") as caught:
        for _ in run.batches():
            run.log(loss=0.5)
            if run.step == 4:
                with torch.no_grad():
                    run.state["generator"][0].weight[0, 0, 0, 0] = math.nan
    assert caught.value.code == "training-not-finite"
    assert run.step == 5  # at once, and not at the end of the run
    found = newest_generation(tmp_path)
    assert found.step == 4
    assert all(bool(t.isfinite().all()) for t in found.tensors.values() if t.is_floating_point())


# Interrupts: real signals to a real process


def interrupted(root):
    """A loop that says each step and takes its time; it is interrupted from outside."""

    def child():
        run = plain(root / "polite", steps=10_000, save_every=10_000)
        for _ in run.batches():
            os.write(said, b"s")
            time.sleep(0.01)
            run.log(loss=0.5)
        return f"{run.step} {newest_generation(root / 'polite').step} {len(run.history['loss'])}"

    def stubborn():
        run = plain(root / "stubborn", steps=10_000, save_every=1)
        try:
            for _ in run.batches():
                if run.step == 2:
                    os.write(said, b"s")
                    while not signal.getsignal(signal.SIGINT).__self__.asked:
                        time.sleep(0.01)
                    os.write(said, b"s")  # the first one was noticed
                    while True:
                        time.sleep(0.01)
        except KeyboardInterrupt:
            default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            return f"stopped {newest_generation(root / 'stubborn').step} {default}"

    def in_save():
        sent = []

        def hook(event, arguments):  # the first interrupt arrives in the middle of the last save
            if event == "os.rename" and not sent and "step-000000003" in str(arguments[1]):
                sent.append(os.kill(os.getpid(), signal.SIGINT))

        run = plain(root / "in-save", steps=3, save_every=100)
        sys.addaudithook(hook)
        walk(run)
        return f"{len(sent)} {newest_generation(root / 'in-save').step}"

    report = {}
    for action, signals in ((child, 1), (stubborn, 2), (in_save, 0)):
        told, said = os.pipe()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            with contextlib.redirect_stdout(sys.stderr):
                os.write(writing, str(action()).encode())
            os._exit(0)
        os.close(writing)
        os.close(said)
        for _ in range(signals):
            os.read(told, 1)
            os.kill(pid, signal.SIGINT)
        report[action.__name__] = os.read(reading, 1000).decode(), os.waitpid(pid, 0)[1]
        os.close(told)
        os.close(reading)
    print(json.dumps(report))


@pytest.mark.fault("C3")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each run is a forked process")
def test_first_interrupt_saves_and_returns_second_one_stops(tmp_path):
    report = in_child("interrupted", tmp_path)
    step, saved, rows = map(int, report["child"][0].split())
    assert 1 <= step < 10_000
    assert step == saved == rows
    assert report["stubborn"] == ["stopped 2 True", 0]
    assert report["in_save"] == ["1 3", 0]


def test_interrupt_is_said_with_the_step(tmp_path, capsys):
    run = plain(tmp_path)
    for _ in run.batches():
        run.log(loss=1.0)
        if run.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
    assert "Interrupted and saved at step 2 of 11" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# A disk that gets full


def fill(disk):
    with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.fault("C4")
def test_full_disk_during_a_scheduled_save_lets_training_go_on(tmp_path, capsys):
    with tiny_disk(tmp_path / "disk", "size=1m") as disk:
        run = plain(disk / "run", save_every=3)
        for _ in run.batches():
            run.log(loss=0.5)
            if run.step == 4:
                fill(disk)
                assert shutil.disk_usage(disk).free == 0
            if run.step == 9:
                (disk / "filler").unlink()
        said = capsys.readouterr().out
        assert "Not saved at step 6; training goes on" in said
        assert said.count("Not saved") == 2  # at 6 and 9: once an interval, not at every step
        assert run.finished
        assert newest_generation(disk / "run").step == STEPS


@pytest.mark.fault("C4")
def test_full_disk_at_the_end_is_an_error_and_the_cell_can_be_run_again(tmp_path):
    with tiny_disk(tmp_path / "disk", "size=1m") as disk:
        run = plain(disk / "run", save_every=3)
        with pytest.raises(CourseError, match="Earlier checkpoints") as caught:
            for _ in run.batches():
                run.log(loss=0.5)
                if run.step == 10:
                    fill(disk)
        assert caught.value.code == "checkpoint-disk-full"
        assert newest_generation(disk / "run").step == 9
        (disk / "filler").unlink()
        assert walk(run) == []  # no step is left, only the save
        assert newest_generation(disk / "run").step == STEPS


# Smaller things


def test_nothing_is_saved_twice_at_one_step(tmp_path, monkeypatch):
    saved, real = [], training_module.save_generation
    monkeypatch.setattr(
        training_module,
        "save_generation",
        lambda folder, step, *rest: saved.append(step) or real(folder, step, *rest),
    )
    run = plain(tmp_path, save_every=3)
    for _ in run.batches():
        run.log(loss=1.0)
        if run.step == 5:  # the interrupt ends the loop at step 6, which is saved by the schedule
            os.kill(os.getpid(), signal.SIGINT)
    assert saved == [3, 6]


@pytest.mark.parametrize(("steps", "every"), [(5, 1), (1_200, 120), (40_000, 500)])
def test_default_interval(steps, every, tmp_path):
    assert plain(tmp_path, steps=steps, save_every=None).save_every == every


def test_progress_goes_to_stderr_in_a_program(tmp_path, capsys):
    walk(plain(tmp_path, steps=3))
    said = capsys.readouterr()
    assert said.out == ""
    assert "3/3" in said.err


def test_scalars_of_an_optimiser_come_back(tmp_path):
    def state():
        torch.manual_seed(1)
        network = torch.nn.Linear(2, 1)
        return {
            "net": network,
            "opt": torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True),
        }

    run = open_run(tmp_path, state=state(), steps=2)
    for _ in run.batches():
        run.state["opt"].zero_grad()
        run.state["net"](torch.ones(1, 2)).sum().backward()
        run.state["opt"].step()
    again = open_run(tmp_path, state=state(), steps=2)
    assert again.weights_sha256 == run.weights_sha256
    for old, new in zip(
        run.state["opt"].state.values(), again.state["opt"].state.values(), strict=True
    ):
        assert torch.equal(old["momentum_buffer"], new["momentum_buffer"])
