"""Minutes that are true here: the arithmetic on known machines, what is recorded, and where a learner reads it."""

import ast
import json
import re

import pytest
import torch
from test_run import ROOT

from course_utils import paths, runtime
from course_utils.authoring import execute, probe
from course_utils.authoring.source import find_sources, read_source
from course_utils.machine import lesson_costs, minutes_here, overview, speed
from course_utils.machine.speed import Speed
from course_utils.training.run import TrainingRun

THERE = Speed(images=400.0, products=80.0)
LESSON = "02_dcgan_cifar10"


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COURSE_TIER", "laptop")


@pytest.fixture
def run():
    return runtime.setup(quiet=True)


@pytest.fixture
def recorded(monkeypatch):
    """All lessons as recorded: 200 s, of which training took 150 s with 2,000 steps or reviews."""
    entry = {"seconds": 200.0, "peak_mib": 1, "speed": vars(THERE)}
    entry["machine"] = {"cpu": "a chip", "cores": 2, "gpu": None}
    entry["training"] = {"seconds": 150.0, "steps": 2_000, "n_train": 2_000}
    entries = {path.stem: {"laptop": dict(entry)} for path in find_sources(ROOT)}
    monkeypatch.setattr(lesson_costs, "_entries", lambda: entries)
    return entries


def this_machine(monkeypatch, images=1.0, products=1.0):
    """A machine so many times as slow as the recorded one."""
    here = Speed(THERE.images / images, THERE.products / products)
    monkeypatch.setattr(speed, "here", lambda run, again=False: here)


def told(run, lesson, knob=None, **more):
    return list(minutes_here.sentences(run, lesson, knob, **more))


# ---- the sentence


def test_a_like_machine_takes_as_long_and_is_offered_nothing(run, recorded, monkeypatch):
    this_machine(monkeypatch)
    assert told(run, LESSON, 2_000) == [
        "This lesson takes about 3.3 min on this machine (3.3 min on the one that measured it)."
    ]


def test_images_go_by_convolutions_text_by_products_and_the_rest_by_both(
    run, recorded, monkeypatch
):
    this_machine(monkeypatch, images=4, products=9)
    assert minutes_here.seconds(run, LESSON) == pytest.approx(4 * 200)
    assert minutes_here.seconds(run, "05_attention_text") == pytest.approx(9 * 200)
    assert minutes_here.seconds(run, "01_gan_theory") == pytest.approx(6 * 200)


@pytest.mark.parametrize("lesson", lesson_costs.KNOBS)
@pytest.mark.parametrize("slower", [3.5, 4.2, 5.5])
def test_what_is_offered_fits_and_is_told_as_fitting(lesson, slower, run, recorded, monkeypatch):
    this_machine(monkeypatch, slower, slower)
    first, offer, lost = told(run, lesson, 2_000)
    assert f"about {lesson_costs.duration(slower * 200)} on this machine" in first
    name, value = re.search(r"set (\w+) = ([\d_]+) in this cell", offer).groups()
    assert name == lesson_costs.KNOBS[lesson] and lost.startswith("Measured: ")
    (again,) = told(run, lesson, int(value))  # no second offer
    assert 240 < minutes_here.seconds(run, lesson, int(value)) <= 300 and "min on this" in again


def test_a_machine_that_takes_twice_its_minutes_is_offered_nothing(run, recorded, monkeypatch):
    this_machine(monkeypatch, 2.9)
    assert len(told(run, LESSON, 2_000)) == 1
    this_machine(monkeypatch, 3.1)
    assert len(told(run, LESSON, 2_000)) == 3
    assert len(told(run, LESSON, 2_000, minutes=9)) == 1


def test_where_nothing_fits_it_says_why(run, recorded, monkeypatch):
    this_machine(monkeypatch, 12)
    assert told(run, LESSON, 2_000)[1:] == [
        "Without its training it would still take about 10.0 min."
    ]
    this_machine(monkeypatch, 12, 12)
    recorded["01_gan_theory"]["laptop"]["training"] = {}
    assert len(told(run, "01_gan_theory")) == 1  # it has no such setting


def test_without_a_recorded_speed_nobody_guesses(run, recorded, monkeypatch):
    monkeypatch.setattr(speed, "here", lambda *_: pytest.fail("measured for nothing"))
    del recorded[LESSON]["laptop"]["speed"]
    (sentence,) = told(run, LESSON, 2_000)
    assert "took 3.3 min on 2 cores of a chip" in sentence and "not known" in sentence
    del recorded[LESSON]["laptop"]
    assert told(run, LESSON) == ["How long this lesson takes at tier laptop was not measured."]


def test_tier_smoke_is_told_nothing_and_measures_nothing(recorded, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_TIER", "smoke")
    monkeypatch.setattr(speed, "here", lambda *_: pytest.fail("measured for nothing"))
    run = runtime.setup(quiet=True)
    minutes_here.tell(run, LESSON, 30)
    assert capsys.readouterr().out == ""
    assert all(row[2] == "not measured" for row in overview.lessons(run))


def test_lesson_0_says_it_for_every_lesson(run, recorded, monkeypatch):
    this_machine(monkeypatch, images=4, products=2)
    rows = {row[0].split(".")[0]: row[2] for row in overview.lessons(run)}
    assert rows["2"] == "about 13.3 min here, 3.3 min where measured"
    assert rows["5"] == "about 6.7 min here, 3.3 min where measured"
    del recorded[LESSON]["laptop"]["speed"]
    rows = {row[0].split(".")[0]: row[2] for row in overview.lessons(run)}
    assert rows["2"] == "3.3 min where measured"


# ---- what is lost, from the records


@pytest.mark.parametrize("lesson", lesson_costs.KNOBS)
def test_what_is_lost_is_said_from_records(lesson):
    said = minutes_here.what_is_lost(lesson, 600, 2_000)
    known = dict(minutes_here._RECORDS[lesson][1]())
    few, less, many, more = re.search(
        r" ([\d.]+) with ([\d,]+) .*, ([\d.]+) with ([\d,]+)\.", said
    ).groups()
    less, more = (int(number.replace(",", "")) for number in (less, more))
    assert less < more
    assert known[less] == pytest.approx(float(few), rel=1e-2)
    assert known[more] == pytest.approx(float(many), rel=1e-2)


def test_the_dcgans_record_is_its_curve():
    curves = json.loads((paths.results_dir() / "dcgan_equal_time.json").read_text())["curves"]
    known = dict(minutes_here._RECORDS[LESSON][1]())
    assert sorted(known.values(), reverse=True)[0] == curves[0]["course_generator"]["value"]
    assert len(known) == len(curves) and min(known) == round(sum(curves[0]["course_steps"]) / 3)


# ---- the measurement


def test_a_machine_is_measured_once_and_again_on_demand(run, monkeypatch):
    asked = []
    monkeypatch.setattr(speed, "measure", lambda run: asked.append(1) or Speed(len(asked), 2.0))
    assert speed.here(run) == speed.here(run) == Speed(1, 2.0)
    assert speed.here(run, again=True) == speed.here(run) == Speed(2, 2.0)
    assert len(asked) == 2


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"other machine": {"images": 1, "products": 2}}']
)
def test_a_damaged_record_or_one_of_another_machine_is_not_believed(content, run, monkeypatch):
    monkeypatch.setattr(speed, "measure", lambda run: Speed(7.0, 7.0))
    (paths.runs_dir() / speed.FILE).write_text(content)
    assert speed.here(run) == Speed(7.0, 7.0)
    assert json.loads((paths.runs_dir() / speed.FILE).read_text())


def test_measuring_leaves_the_notebook_as_it_was(run):
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    torch.set_default_dtype(torch.float64)
    try:
        found = speed.measure(run, seconds=0.01)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.images > 0 and found.products > 0
    assert torch.equal(torch.rand(3), expected) and torch.get_num_threads() == threads


def test_the_build_asks_the_kernel_what_training_took(tmp_path):
    network = torch.nn.Linear(2, 1)
    state = {"network": network, "optimizer": torch.optim.SGD(network.parameters(), lr=0.1)}
    size = {"config": {}, "steps": 3, "examples": 8, "batch_size": 4}
    for expected in ({"seconds", "steps", "n_train"}, set()):  # a run that went on tells nothing
        training = TrainingRun(tmp_path, state=state, **size)
        for _ in training.batches():
            pass
        facts = probe.training({"training": training, "steps": 3, "n_train": 8, "other": 1})
        assert set(facts.get("training", ())) == expected
    assert probe.training({"training": "another thing"}) == {}


def test_the_build_asks_this_machine_before_the_lesson_which_finds_the_answer(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    found = execute._speed(tmp_path)["speed"]
    monkeypatch.setattr(speed, "measure", lambda run: pytest.fail("measured twice"))
    here = vars(speed.here(runtime.setup(quiet=True)))
    assert here == {name: pytest.approx(value, abs=0.01) for name, value in found.items()}


# ---- where a learner reads it


@pytest.mark.parametrize("path", find_sources(ROOT)[1:], ids=lambda path: path.stem)
def test_every_lesson_tells_it_under_its_settings(path):
    source, _ = read_source(path, ROOT)
    cells = [
        cell for cell in source.cells if cell.kind == "code" and "minutes_here.tell(" in cell.text
    ]
    (cell,) = cells
    (call,) = [
        node
        for node in ast.walk(ast.parse(cell.text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "minutes_here.tell"
    ]
    knob = lesson_costs.KNOBS.get(path.stem)
    assert [ast.unparse(arg) for arg in call.args] == [
        "run",
        repr(path.stem),
        *([knob] if knob else []),
    ]
    assert "run.pick(" in cell.text.partition("minutes_here.tell(")[0]
    assert not knob or re.search(rf"^{knob}\s*=", cell.text, re.MULTILINE)
