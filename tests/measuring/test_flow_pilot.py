"""The pilot of lesson 09's flow: its variants differ in one thing, train for equal time, and a cut pilot goes on."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch

from course_utils import results, runtime
from course_utils.datasets.images import load_images
from course_utils.evaluation.scores import Score
from measuring import measure_flow, speeds

FLOAT32 = runtime.Runtime("smoke", torch.device("cpu"), 0, 1, None, "")
BF16 = replace(FLOAT32, autocast_dtype=torch.bfloat16)


@pytest.fixture
def pilot(tmp_path, monkeypatch):
    """Starts the pilot at tiny sizes and returns its record; ``trained`` lists the steps of each training."""
    tiny = {name: replace(v, width=v.width // 8) for name, v in measure_flow.VARIANTS.items()}
    one = Score("FD", 5, 4, 7, 100, 5, "features", "real", 0.4)
    reference = SimpleNamespace(
        blocks=[0],
        network=SimpleNamespace(description="features"),
        real_set="real",
        floor={"FD": one},
        score=lambda draw: {"FD": one} if draw(2).shape == (2, 3, 32, 32) else {},
    )
    monkeypatch.setattr(measure_flow, "VARIANTS", tiny)
    monkeypatch.setattr(measure_flow, "MINUTES", 0.3 / 60)
    monkeypatch.setattr(measure_flow, "STEPS_OF_A_TURN", 2)
    monkeypatch.setattr(measure_flow, "TURNS", 2)
    monkeypatch.setattr(measure_flow, "PROBE", 20)
    images = load_images("standin", limit=64)
    monkeypatch.setattr(measure_flow, "_sets", lambda options, draws: (images, reference))
    monkeypatch.setitem(measure_flow.SETTINGS["flow"]["laptop"], "batch_size", 8)
    threads, written, trained = torch.get_num_threads(), {}, []
    train = measure_flow._train_variant

    def noted(variant, steps, *rest):
        trained.append(steps)
        return train(variant, steps, *rest)

    monkeypatch.setattr(measure_flow, "_train_variant", noted)
    monkeypatch.setattr(
        results, "write", lambda name, content, made: written.update({name: content})
    )

    def start(machine=BF16):
        monkeypatch.setattr(runtime, "setup", lambda seed, **how: machine)
        trained.clear()
        assert measure_flow.main(["pilot", "--data", "standin", "--work", str(tmp_path)]) == 0
        return written["flow_pilot.json"]

    yield SimpleNamespace(start=start, trained=trained, folder=tmp_path, variants=tiny)
    torch.set_num_threads(threads)


def test_every_variant_has_as_many_steps_as_its_speed_allows(pilot):
    record = pilot.start()
    assert list(record["variants"]) == list(record["seconds_per_step"]) == list(pilot.variants)
    for name, row in record["variants"].items():
        pace = record["seconds_per_step"][name]["value"]
        assert row["steps"] == max(1, round(60 * record["minutes"] / pace))
        assert row["FD"]["low"] <= row["FD"]["value"] <= row["FD"]["high"] and row["loss"] > 0
        variant = pilot.variants[name]
        assert (row["width"], row["fold"]) == (variant.width, variant.fold)
        assert row["channels_last"] == variant.channels_last
        assert row["number_format"] == ("bfloat16" if variant.bf16 else "float32")
    assert torch.get_num_threads() == 1


def test_a_cut_pilot_trains_what_is_missing(pilot):
    first = pilot.start()
    assert pilot.start() == first and pilot.trained == []
    (pilot.folder / "pilot-single-pixels.json").unlink()
    again = pilot.start()
    assert pilot.trained == [first["variants"]["single pixels"]["steps"]]
    assert again["seconds_per_step"] == first["seconds_per_step"]
    assert list(again["variants"]) == list(first["variants"])
    kept = [name for name in first["variants"] if name != "single pixels"]
    assert all(again["variants"][name] == first["variants"][name] for name in kept)


def test_a_variant_differs_from_the_lessons_in_one_thing():
    first, *others = map(asdict, measure_flow.VARIANTS.values())
    for other in others:
        assert sum(first[key] != other[key] for key in first) == 1
    machine = replace(FLOAT32, autocast_dtype=torch.bfloat16)
    kept = {name: v.on(machine).autocast_dtype for name, v in measure_flow.VARIANTS.items()}
    assert [name for name, dtype in kept.items() if dtype is None] == ["float32"]
    made = {name: v.make(32, 8, 10) for name, v in measure_flow.VARIANTS.items()}
    assert [n for n, net in made.items() if net.first.in_channels == 3] == ["single pixels"]
    contiguous = [n for n, net in made.items() if net.layout == torch.contiguous_format]
    assert contiguous == ["channels first"]


def test_speeds_are_found_in_turns_and_kept(tmp_path):
    asked, seconds = [], iter((1.0, 3.0, 2.0, 5.0))

    def ask(name):
        asked.append(name)
        return next(seconds)

    timed = {name: lambda name=name: ask(name) for name in "ab"}
    found = speeds.in_turns(timed, 2, tmp_path / "speeds.json")
    assert asked == ["a", "b", "a", "b"]
    assert (found["a"]["value"], found["b"]["value"]) == (1.5, 4.0)
    assert speeds.in_turns(timed, 2, tmp_path / "speeds.json") == found and len(asked) == 4
    assert json.loads((tmp_path / "speeds.json").read_text()) == found


def test_without_bf16_no_variant_is_trained_twice(pilot):
    record = pilot.start(FLOAT32)
    assert list(record["variants"]) == [name for name, v in pilot.variants.items() if v.bf16]
    assert {row["number_format"] for row in record["variants"].values()} == {"float32"}
