"""A second place for checkpoints: what travels there, what comes back, and that a bad place stops nothing."""

import os
import shutil

import pytest
import torch

from course_utils.training import run_copies
from course_utils.training.checkpoints import newest_generation
from course_utils.training.run import TrainingRun


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The second place, empty and named by the environment."""
    folder = tmp_path / "drive" / "runs"
    monkeypatch.setenv("COURSE_RUNS_COPY", str(folder))
    return folder


def start(folder, **options):
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    state = {"network": network, "optimizer": optimizer}
    options = {"steps": 12, "examples": 8, "batch_size": 4, "save_every": 4, **options}
    return TrainingRun(folder, state=state, config={}, **options)


def train(training, until=None):
    data = torch.linspace(-1, 1, 24).reshape(8, 3)
    network, optimizer = training.state["network"], training.state["optimizer"]
    batches = training.batches()
    for index in batches:
        optimizer.zero_grad()
        loss = network(data[index]).square().mean()
        loss.backward()
        optimizer.step()
        training.log(loss=loss.item())
        if training.step == until:
            break
    return training


def names(folder):
    return sorted(path.name for path in folder.glob("step-*"))


def test_without_a_second_place_nothing_happens(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_RUNS_COPY", raising=False)
    train(start(tmp_path / "run"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_last_generation_is_copied_and_two_are_kept(tmp_path, place, monkeypatch):
    monkeypatch.setattr(run_copies, "_SHARE", 0)  # each one is due
    train(start(tmp_path / "run"))
    assert names(place / "run") == names(tmp_path / "run") == ["step-000000008", "step-000000012"]
    assert newest_generation(place / "run").step == 12


def test_copies_on_the_way_are_spaced_and_the_last_one_is_always_made(tmp_path, place, monkeypatch):
    monkeypatch.setattr(run_copies, "_SHARE", 1e9)
    train(start(tmp_path / "run"))
    assert names(place / "run") == ["step-000000004", "step-000000012"]


def test_a_lost_machine_goes_on_to_the_same_weights(tmp_path, place, monkeypatch, capsys):
    monkeypatch.setattr(run_copies, "_SHARE", 0)
    train(start(tmp_path / "run"), until=10)  # cut between two checkpoints
    shutil.rmtree(tmp_path / "run")
    again = start(tmp_path / "run")
    assert again.resumed_at == 8 and "Brought back step-000000008 of run" in capsys.readouterr().out
    monkeypatch.delenv("COURSE_RUNS_COPY")
    whole = train(start(tmp_path / "whole"))
    assert train(again).weights_sha256 == whole.weights_sha256


def test_what_is_here_and_newer_stays(tmp_path, place, monkeypatch, capsys):
    train(start(tmp_path / "run", steps=8))
    monkeypatch.delenv("COURSE_RUNS_COPY")
    train(start(tmp_path / "run", steps=12))
    monkeypatch.setenv("COURSE_RUNS_COPY", str(place))
    capsys.readouterr()
    assert (
        start(tmp_path / "run").resumed_at == 12 and "Brought back" not in capsys.readouterr().out
    )


def test_a_damaged_copy_is_skipped_and_an_older_one_comes_back(
    tmp_path, place, monkeypatch, capsys
):
    monkeypatch.setattr(run_copies, "_SHARE", 0)
    train(start(tmp_path / "run"))
    newest = place / "run" / "step-000000012" / "tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    shutil.rmtree(tmp_path / "run")
    assert start(tmp_path / "run").resumed_at == 8
    said = capsys.readouterr().out
    assert (
        "step-000000012 in the second place: it is damaged" in said
        and "Brought back step-000000008" in said
    )
    assert names(tmp_path / "run") == ["step-000000008"]


def test_a_copy_without_its_manifest_is_no_copy(tmp_path, place, capsys):
    train(start(tmp_path / "run"))
    for manifest in (place / "run").glob("*/manifest.json"):
        manifest.unlink()
    shutil.rmtree(tmp_path / "run")
    assert start(tmp_path / "run").resumed_at is None


def test_a_place_that_cannot_be_written_is_told_and_stops_nothing(tmp_path, place, capsys):
    place.parent.mkdir()
    place.write_text("a file")
    training = train(start(tmp_path / "run"))
    assert training.finished and newest_generation(tmp_path / "run").step == 12
    assert "step-000000012 was not copied to" in capsys.readouterr().out


def test_a_place_that_loses_bytes_is_told(tmp_path, place, monkeypatch, capsys):
    real = run_copies.atomic_write
    monkeypatch.setattr(run_copies, "atomic_write", lambda path, content: real(path, content[:-1]))
    assert train(start(tmp_path / "run")).finished
    assert "it gave back something else" in capsys.readouterr().out and names(place / "run") == []


def test_a_fresh_start_forgets_the_copies_but_the_last(tmp_path, place):
    train(start(tmp_path / "run"))
    shutil.rmtree(tmp_path / "run")
    fresh = start(tmp_path / "run", fresh=True)
    assert fresh.resumed_at is None and names(place / "run") == []
    assert names(place / "run" / "previous") == ["step-000000012"]


def test_the_runs_own_folder_is_no_second_place(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RUNS_COPY", str(tmp_path))
    train(start(tmp_path / "run"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert names(tmp_path / "run") and os.environ["COURSE_RUNS_COPY"]


def test_the_order_is_that_of_steps_and_repeats():
    order = run_copies._order
    assert (
        order("step-000000009") < order("step-000000009-1") < order("step-000000010")
        and order("step-000000000") > ()
    )
