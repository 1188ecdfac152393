"""Fine-tuning without a notebook: the command's contract, exact resume, refusals and guards."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_train import KEYS, finished, forked, result, wait_for

from course_utils import assets, runtime, train
from course_utils.datasets.length_batches import length_order
from course_utils.datasets.reviews import load_reviews
from course_utils.errors import CourseError
from course_utils.models import bert
from course_utils.models.pretrained import load_encoder
from course_utils.training.checkpoints import newest_generation
from course_utils.training.recipes import bert as train_bert
from course_utils.training.recipes.bert import WARM_UP, fine_tune

pytestmark = pytest.mark.slow

STEPS = 200  # of a few milliseconds each; saved every fifty
SETTINGS = {"steps": 12, "max_tokens": 16, "keep": "head", "batch_size": 8, "learning_rate": 1e-3}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def arguments(folder, steps=STEPS):
    return [
        "bert",
        "--tier",
        "smoke",
        "--data",
        "standin",
        "--run-dir",
        str(folder),
        "--steps",
        str(steps),
    ]


def started(folder, name, *options, **changes):
    """This lesson's command in a forked process."""
    return forked(folder, name, [*arguments(folder, **changes), *options])


def trials(root):
    """All that needs the command more than once, in forks of one process that has imported the libraries."""
    with contextlib.redirect_stdout(sys.stderr):
        train.main(arguments(root / "warm-up", 2))
    codes = {"whole": finished(started(root / "whole", "whole"))}
    pid = started(root / "cut", "cut-1")
    wait_for(root / "cut", "step-000000[015][05]0")
    os.kill(pid, signal.SIGKILL)
    codes["cut-1"] = finished(pid)
    codes["cut-2"] = finished(started(root / "cut", "cut-2"))
    pid = started(root / "stop", "stop-1")
    wait_for(root / "stop", "step-000000[015][05]0")
    os.kill(pid, signal.SIGINT)
    codes["stop-1"] = finished(pid)
    codes["stop-2"] = finished(started(root / "stop", "stop-2"))
    codes["fewer"] = finished(started(root / "whole", "fewer", steps=150))
    print(json.dumps(codes))


@pytest.fixture(scope="module")
def empty_cache(tmp_path_factory):
    """Neither the encoder nor the sentences: everything is made here, and small."""
    return {
        **ENVIRONMENT,
        "COURSE_CACHE": str(tmp_path_factory.mktemp("cache")),
        "COURSE_BF16": "0",
    }


@pytest.fixture(scope="module")
def reports(tmp_path_factory, empty_cache):
    if not hasattr(os, "fork"):
        pytest.skip("each run is a forked process")
    root = tmp_path_factory.mktemp("trials")
    program = (
        "import pathlib, sys; import test_train_bert as t; t.trials(pathlib.Path(sys.argv[1]))"
    )
    environment = {
        **empty_cache,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    texts = {
        name: [(root / f"{name}.{kind}").read_text() for kind in ("out", "err")] for name in codes
    }
    return {name: (code, *texts[name]) for name, code in codes.items()} | {"root": root}


# ---- the command


def test_the_command_writes_one_line_and_again_shows_it(tmp_path, empty_cache, monkeypatch, capsys):
    options = ["bert", "--tier", "smoke", "--run-dir", str(tmp_path / "run")]
    command = [sys.executable, "-m", "course_utils.train", *options]
    environment = {**empty_cache, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("COURSE_REVIEWS", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    assert list(found) == KEYS
    assert (found["lesson"], found["steps"], found["examples"]) == ("bert", 4, 64)
    assert set(found["metrics"]) == {"loss", "accuracy"} and 0 < found["metrics"]["loss"] < 2
    assert (
        "STAND-IN: the pre-trained encoder" in done.stderr
        and "STAND-IN: neither IMDB" in done.stderr
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name in ("COURSE_CACHE", "COURSE_BF16"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.delenv("COURSE_REVIEWS", raising=False)
    monkeypatch.setenv(
        "COURSE_TIER", "laptop"
    )  # which the option replaces, and monkeypatch puts back
    assert train.main(options) == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == found and "finished: its result is shown" in again.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_killed_and_started_again_ends_with_the_same_weights(reports):
    assert reports["cut-1"][0] == -signal.SIGKILL and reports["cut-1"][1] == ""
    assert "goes on at step" in reports["cut-2"][2]
    whole, again = result(reports["whole"]), result(reports["cut-2"])
    assert (
        again["weights_sha256"] == whole["weights_sha256"] and again["metrics"] == whole["metrics"]
    )
    assert (whole["steps"], whole["examples"]) == (STEPS, STEPS * 16)


def test_interrupted_in_the_middle_of_an_epoch_and_going_on_is_exact(reports):
    code, out, _ = reports["stop-1"]
    assert code == 130 and 50 <= json.loads(out)["steps"] < STEPS
    assert result(reports["stop-2"])["weights_sha256"] == result(reports["whole"])["weights_sha256"]


def test_another_number_of_steps_is_another_run(reports):
    """The learning rate falls to 0 at the last step, so a longer run is not a shorter one that goes on."""
    code, out, err = reports["fewer"]
    assert (code, out) == (1, "") and "total_steps: 200 -> 150" in err and "Traceback" not in err


# ---- fine_tune


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A quiet machine of tier smoke with an empty cache."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_TIER", "smoke")
    monkeypatch.setenv("COURSE_BF16", "0")
    monkeypatch.setattr(assets, "cached", lambda name: None)
    return lambda seed=0: runtime.setup(seed, quiet=True)


def tuned(machine, folder, reviews=None, encoder=None, fresh=False, seed=0, **changes):
    reviews = reviews or load_reviews("standin", limit=50)
    run = machine(seed)
    encoder = encoder or load_encoder("standin", tier="smoke", texts=reviews.texts, seed=seed)
    return fine_tune(run, encoder, reviews, folder, {**SETTINGS, **changes}, fresh)


def test_it_is_the_loop_written_out(machine, tmp_path):
    """No TrainingRun: the order of the data, padding, warm-up and steps by hand."""
    reviews = load_reviews("standin", limit=50)
    training, means = tuned(machine, tmp_path, reviews, epochs=2, steps=None)
    assert training.step == training.steps == 14  # seven batches an epoch, the last of two
    machine()
    encoder = load_encoder("standin", tier="smoke", texts=reviews.texts)
    model, pad = encoder.model, encoder.tokenizer.pad_token_id
    optimizer = bert.make_optimizer(model, SETTINGS["learning_rate"])
    sequences = [encoder.encode([text], 16)[0] for text in reviews.texts]
    lengths, losses, step = torch.tensor([len(s) for s in sequences]), [], 0
    for epoch in (0, 1):
        for index in length_order(lengths, 8, 0, epoch).split(8):
            step += 1
            batch = bert.pad_batch([sequences[i] for i in index], pad)
            factor = bert.warmup_linear(step, round(WARM_UP * 14), 14)
            losses.append(
                bert.bert_step(model, optimizer, *batch, reviews.labels[index], factor)["loss"]
            )
    assert training.history["loss"] == losses and means["loss"] == pytest.approx(sum(losses) / 14)
    for key, value in training.state["model"].state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key


def test_it_learns(machine, tmp_path):
    reviews = load_reviews("standin", limit=400)
    encoder = load_encoder("standin", tier="smoke", texts=reviews.texts)
    training, means = tuned(
        machine, tmp_path, reviews, encoder, epochs=8, steps=None, batch_size=16, max_tokens=32
    )
    assert means["accuracy"] > 0.7 and training.history["loss"][0] > 0.6
    logits = bert.predict(
        training.state["model"], encoder.encode(reviews.texts, 32), encoder.tokenizer.pad_token_id
    )
    assert (logits.argmax(1) == reviews.labels).float().mean() > 0.8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 4}, "batch_size: 8 -> 4"),
        ({"max_tokens": 12}, "max_tokens: 16 -> 12"),
        ({"keep": "ends"}, "keep: 'head' -> 'ends'"),
        ({"steps": 13}, "total_steps: 12 -> 13"),
        ({"learning_rate": 2e-3}, "optimizer lr: 0.001 -> 0.002"),
        ({"frozen": True}, "frozen: False -> True"),
        ({"seed": 1}, "seed: 0 -> 1"),
    ],
)
def test_other_settings_are_refused_and_fresh_starts_again(machine, tmp_path, changes, message):
    first, _ = tuned(machine, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(CourseError, match=message) as caught:
        tuned(machine, tmp_path, **changes)
    assert caught.value.code == "training-other-settings"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    again, _ = tuned(machine, tmp_path, fresh=True, **changes)
    assert again.finished and again.weights_sha256 != first.weights_sha256


def test_other_reviews_and_another_encoder_are_refused(machine, tmp_path):
    reviews = load_reviews("standin", limit=50)
    tuned(machine, tmp_path, reviews)
    flipped = reviews.subset([1, 0, *range(2, 50)])
    with pytest.raises(CourseError, match="data: content with digest"):
        tuned(
            machine, tmp_path, flipped, load_encoder("standin", tier="smoke", texts=reviews.texts)
        )
    with pytest.raises(CourseError, match="examples: 50 -> 49"):
        tuned(
            machine,
            tmp_path,
            reviews.take(49),
            load_encoder("standin", tier="smoke", texts=reviews.texts),
        )
    with pytest.raises(CourseError, match="networks or optimisers"):  # a vocabulary of another size
        tuned(
            machine,
            tmp_path,
            reviews,
            load_encoder("standin", tier="smoke", texts=reviews.texts[:10]),
        )


def test_only_pooling_and_head_move_when_the_rest_is_frozen(machine, tmp_path):
    encoder = load_encoder("standin", tier="smoke", texts=load_reviews("standin", limit=50).texts)
    before = {key: value.clone() for key, value in encoder.model.state_dict().items()}
    tuned(machine, tmp_path, encoder=encoder, frozen=True)
    moved = {
        key
        for key, value in encoder.model.state_dict().items()
        if not torch.equal(value, before[key])
    }
    names = ("bert.pooler.dense", "classifier")
    assert moved == {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}


def test_the_learning_rate_rises_falls_and_ends_at_zero(machine, tmp_path, monkeypatch):
    seen, real = [], bert.bert_step
    monkeypatch.setattr(
        bert, "bert_step", lambda *args: seen.append((args[5], len(args[2]))) or real(*args)
    )
    tuned(machine, tmp_path, steps=20)
    factors, sizes = [factor for factor, _ in seen], [size for _, size in seen]
    assert (
        factors[:3] == [0.5, 1, pytest.approx(17 / 18)] and factors[-1] == 0 and max(factors) == 1
    )
    assert sizes == [8, 8, 8, 8, 8, 8, 2] * 2 + [8] * 6


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_its_step(machine, tmp_path, monkeypatch, poison):
    real, calls = bert.bert_step, []

    def step(model, *rest):
        calls.append(None)
        if len(calls) == 30:
            model.classifier.weight.data.fill_(poison)
        return real(model, *rest)

    monkeypatch.setattr(bert, "bert_step", step)
    with pytest.raises(
        CourseError, match=r"loss became nan at step 29 \(epoch 4, batch 1\)"
    ) as caught:
        tuned(machine, tmp_path, steps=40)
    assert caught.value.code == "training-not-finite" and "step 25" in caught.value.why
    monkeypatch.setattr(bert, "bert_step", real)
    training, _ = tuned(machine, tmp_path, steps=40)
    assert training.finished and training.resumed_at == 25
    whole, _ = tuned(machine, tmp_path / "whole", steps=40)
    assert training.weights_sha256 == whole.weights_sha256


def test_a_short_run_is_saved_once(machine, tmp_path):
    """A checkpoint of the real encoder has 260 MiB: a run of four steps must not write four of them."""
    training, _ = tuned(machine, tmp_path, steps=4)
    assert training.finished and [path.name for path in tmp_path.glob("step-*")] == [
        "step-000000004"
    ]


def test_no_steps_means_no_steps(machine, tmp_path):
    training, means = tuned(machine, tmp_path, steps=0, epochs=3)
    assert training.step == 0 and training.finished and means == {}


def test_the_real_encoder_goes_through_the_same_command(
    encoder_wheel, sentences, tmp_path, monkeypatch, capsys
):
    """Two steps at the settings of tier smoke."""
    monkeypatch.setenv("COURSE_CACHE", str(encoder_wheel.parent))
    monkeypatch.setenv("COURSE_TIER", "smoke")
    loaded = []

    def load(*arguments, **options):
        loaded.append(load_encoder(*arguments, **options))
        return loaded[0]

    monkeypatch.setattr(train_bert, "load_encoder", load)
    options = [
        "bert",
        "--tier",
        "smoke",
        "--data",
        "sentences",
        "--run-dir",
        str(tmp_path),
        "--steps",
        "2",
    ]
    assert train.main(options) == 0
    found = json.loads(capsys.readouterr().out)
    assert loaded[0].pretrained and found["steps"] == 2 and math.isfinite(found["metrics"]["loss"])
    assert (
        newest_generation(tmp_path).record["config"]["encoder"]
        == loaded[0].name
        == "MiniLM, 6 layers"
    )


def test_settings_of_every_tier_are_complete():
    for settings in train.SETTINGS["bert"].values():
        assert set(settings) == {
            "reviews",
            "test",
            "max_tokens",
            "keep",
            "batch_size",
            "epochs",
            "learning_rate",
        }
        assert 8 <= settings["max_tokens"] <= 512
