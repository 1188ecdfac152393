"""``python -m course_utils.train``: one JSON line, exact resume, errors and interrupts with their exit codes."""

import ast
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from course_utils import train
from course_utils.datasets import standin_images
from course_utils.tiers import TIERS

pytestmark = pytest.mark.slow

LESSON = Path(__file__).parents[2] / "notebooks" / "source" / "02_dcgan_cifar10.py"
KEYS = [
    "lesson",
    "steps",
    "examples",
    "seconds",
    "examples_per_second",
    "weights_sha256",
    "metrics",
]
STEPS = 24
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}


def arguments(folder, steps=STEPS, data="standin"):
    return [
        "dcgan",
        "--tier",
        "smoke",
        "--data",
        data,
        "--run-dir",
        str(folder),
        "--steps",
        str(steps),
    ]


def started(folder, name, *options, **changes):
    """This lesson's command in a forked process."""
    return forked(folder, name, [*arguments(folder, **changes), *options])


def forked(folder, name, command):
    """A command of `train` in a forked process; its output goes to files."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with (
                open(folder.parent / f"{name}.out", "w") as out,
                open(folder.parent / f"{name}.err", "w") as err,
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                code = train.main(command)
        finally:
            os._exit(code)
    return pid


def finished(pid):
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def wait_for(folder, pattern):
    for _ in range(30_000):  # five minutes: only a hang takes longer
        if any(folder.glob(f"{pattern}/manifest.json")):
            return
        time.sleep(0.01)
    raise AssertionError(f"{pattern} did not appear in {folder}")


def trials(root):
    """All that needs the command more than once, in forks of one process that has imported PyTorch."""
    with contextlib.redirect_stdout(sys.stderr):
        # First steps are slow; the forked processes inherit what they prepare.
        train.main(arguments(root / "warm-up", 3))
    codes = {"whole": finished(started(root / "whole", "whole"))}

    pid = started(root / "cut", "cut-1")
    wait_for(root / "cut", "step-00000000[4-9]")
    os.kill(pid, signal.SIGKILL)
    codes["cut-1"] = finished(pid)
    codes["cut-2"] = finished(started(root / "cut", "cut-2"))

    pid = started(root / "stop", "stop-1", steps=400)
    wait_for(root / "stop", "step-000000040")
    os.kill(pid, signal.SIGINT)
    codes["stop-1"] = finished(pid)

    codes["more-1"] = finished(started(root / "more", "more-1", steps=5))
    codes["more-2"] = finished(started(root / "more", "more-2"))
    codes["seed"] = finished(started(root / "more", "seed", "--seed", "1"))
    codes["fresh"] = finished(started(root / "more", "fresh", "--seed", "1", "--fresh"))
    codes["bad data"] = finished(
        started(root / "bad", "bad data", data=str(root / "no such folder"))
    )
    print(json.dumps(codes))


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Exit code, stdout and stderr of each command of `trials`, and the folder."""
    if not hasattr(os, "fork"):
        pytest.skip("each run is a forked process")
    root = tmp_path_factory.mktemp("trials")
    program = "import pathlib, sys; import test_train as t; t.trials(pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout)
    texts = {
        name: [(root / f"{name}.{kind}").read_text() for kind in ("out", "err")] for name in codes
    }
    return {name: (code, *texts[name]) for name, code in codes.items()} | {"root": root}


def result(report):
    code, out, err = report
    assert code == 0, err
    assert out.count("\n") == 1  # stdout holds the result and nothing else
    return json.loads(out)


def test_the_command_itself_agrees_and_again_changes_nothing(reports):
    """The real command line, in the folder of a finished run."""
    folder = reports["root"] / "whole"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    command = [sys.executable, "-m", "course_utils.train", *arguments(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == result(reports["whole"])
    assert "finished: its result is shown" in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_result_is_the_contracts_json(reports):
    found = result(reports["whole"])
    assert list(found) == KEYS
    assert (found["lesson"], found["steps"], found["examples"]) == ("dcgan", STEPS, STEPS * 32)
    assert re.fullmatch("[0-9a-f]{64}", found["weights_sha256"])
    assert set(found["metrics"]) == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert found["seconds"] > 0
    assert found["examples_per_second"] == pytest.approx(
        found["examples"] / found["seconds"], rel=0.01
    )


def test_progress_and_machine_are_on_stderr(reports):
    error = reports["whole"][2]
    assert f"{STEPS}/{STEPS}" in error
    assert "tier smoke" in error


def test_killed_and_started_again_ends_with_the_same_weights(reports):
    assert reports["cut-1"][0] == -signal.SIGKILL
    assert reports["cut-1"][1] == ""
    assert "goes on at step" in reports["cut-2"][2]
    whole, again = result(reports["whole"]), result(reports["cut-2"])
    assert again["weights_sha256"] == whole["weights_sha256"]
    assert again["metrics"] == whole["metrics"]


def test_more_steps_go_on_to_the_same_weights(reports):
    assert result(reports["more-1"])["steps"] == 5
    assert result(reports["more-2"])["weights_sha256"] == result(reports["whole"])["weights_sha256"]


def test_interrupt_saves_reports_and_has_its_own_exit_code(reports):
    code, out, err = reports["stop-1"]
    assert code == 130
    found = json.loads(out)
    assert 40 <= found["steps"] < 400
    assert f"Interrupted and saved at step {found['steps']}" in err
    assert (reports["root"] / "stop" / f"step-{found['steps']:09d}" / "manifest.json").is_file()


def test_another_seed_is_refused_and_fresh_starts_again(reports):
    code, out, err = reports["seed"]
    assert (code, out) == (1, "")
    assert "CourseError" in err
    assert "seed: 0 -> 1" in err
    assert result(reports["fresh"])["weights_sha256"] != result(reports["whole"])["weights_sha256"]
    assert (reports["root"] / "more" / "previous").is_dir()


def test_missing_data_is_an_error_of_the_course(reports):
    code, out, err = reports["bad data"]
    assert (code, out) == (1, "")
    assert "CourseError" in err
    assert "no such folder" in err
    assert "Traceback" not in err
    assert not (reports["root"] / "bad").exists()


@pytest.mark.parametrize(
    "options", [[], ["unknown", "--run-dir", "x"], ["dcgan"], ["dcgan", "--tier", "huge"]]
)
def test_wrong_usage(options, capsys):
    with pytest.raises(SystemExit) as caught:
        train.main(options)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_examples_seen_counts_smaller_last_batches():
    class Run:
        examples, batch_size, step = 20, 8, 0

    sizes = [8, 8, 4] * 3
    for Run.step in range(9):
        assert train._examples_seen(Run) == sum(sizes[: Run.step])


def calls_of_training_run(path):
    """The keywords of every call of `TrainingRun` in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "TrainingRun":
            yield {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}


def test_every_run_of_a_lesson_and_a_recipe_names_its_data_by_a_digest():
    root = LESSON.parents[2]
    recipes = sorted((root / "course_utils" / "training" / "recipes").glob("*.py"))
    lessons = sorted((root / "notebooks" / "source").glob("*.py"))
    calls = [call for path in (*recipes, *lessons) for call in calls_of_training_run(path)]
    assert len(calls) >= 8
    for call in calls:
        assert call.get("data_sha256", "None") != "None", call


@pytest.mark.parametrize("lesson", ["dcgan", "vae"])
def test_a_run_does_not_go_on_with_changed_pictures(tmp_path, lesson, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    images = standin_images.render(12, 1)[0].transpose(0, 2, 3, 1)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    command = [lesson, "--tier", "smoke", "--data", str(folder), "--run-dir", str(tmp_path / "run")]
    assert train.main([*command, "--steps", "1"]) == 0
    assert train.main([*command, "--steps", "2"]) == 0
    Image.fromarray(255 - images[0]).save(folder / "0.png")
    Image.fromarray(255 - images[1]).save(folder / "1.png")
    assert train.main([*command, "--steps", "3"]) == 1
    assert "data: content with digest" in capsys.readouterr().err


def settings_of_the_lesson():
    """The values of the lesson's settings cell, for each tier."""
    cell = next(
        c for c in LESSON.read_text().split("# %%") if "run.pick(" in c and "batch_size" in c
    )
    found = {}
    for statement in ast.parse(cell).body:
        name, value = statement.targets[0].id, statement.value
        picked = isinstance(value, ast.Call)
        found[name] = (
            [ast.literal_eval(v) for v in value.args]
            if picked
            else [ast.literal_eval(value)] * len(TIERS)
        )
    return {
        tier: {name: values[i] for name, values in found.items()} for i, tier in enumerate(TIERS)
    }


@pytest.mark.parametrize("tier", TIERS)
def test_settings_agree_with_the_lesson(tier):
    lesson, program = settings_of_the_lesson()[tier], dict(train.SETTINGS["dcgan"][tier])
    assert program.pop("images") == lesson["n_images"]
    assert set(program) == {
        "steps",
        "batch_size",
        "latent_dim",
        "width",
        "d_lr",
        "gamma",
        "average",
    }
    assert program == {name: lesson[name] for name in program}
