"""The queue of long trainings: goes on where it was cut, trains committed code only, and not beside other work."""

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from course_utils import results
from course_utils.errors import CourseError
from measuring import long_runs

TINY = {"steps": 12, "batch_size": 8, "width": 4, "latent_dim": 8}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setattr(long_runs.paths, "runs_dir", lambda: tmp_path)
    shipped = []
    ship = SimpleNamespace(main=shipped.append)
    plan = replace(long_runs.PLANS[0], name="tiny", settings=TINY, ship=ship)
    return plan, shipped


def test_a_cut_run_goes_on_and_ships_once_it_is_finished(plan):
    plan, shipped = plan
    assert plan.done == 0
    assert not long_runs.run(plan, "standin", ends=time.monotonic() + 0.05)  # before the loop
    assert not shipped and plan.done == 0
    longer = replace(plan, settings={**TINY, "steps": 100_000})
    assert not long_runs.run(longer, "standin", ends=time.monotonic() + 15)
    assert not shipped and plan.done > 0
    plan = replace(plan, settings={**TINY, "steps": plan.done + 12})
    assert long_runs.run(plan, "standin")
    assert plan.done == plan.settings["steps"]
    assert shipped == [["ship", "--data", "standin", "--run-dir", str(plan.folder)]]
    parts = json.loads((plan.folder / "parts.json").read_text())
    assert [part["step"] for part in parts] == sorted(part["step"] for part in parts)
    assert parts[-1]["step"] == plan.done and all(part["commit"] for part in parts)


def test_a_plan_may_name_its_own_images_and_their_size(plan):
    plan, shipped = plan
    settings = {"steps": 2, "batch_size": 4, "width": 4}
    plan = replace(
        long_runs.PLANS[-1],
        name="tiny",
        settings=settings,
        ship=plan.ship,
        source="standin",
        size=64,
    )
    assert long_runs.run(plan, "no such folder")
    folder = str(plan.folder)
    assert shipped == [["ship", "--data", "standin", "--work", folder, "--run-dir", folder]]
    found = long_runs.newest_generation(plan.folder)
    assert found.record["config"]["size"] == 64


def test_refuses_code_that_is_not_committed(monkeypatch):
    monkeypatch.setattr(results, "commit", lambda: "0123456789ab-dirty")
    with pytest.raises(CourseError, match="0123456789ab-dirty"):
        long_runs.require_quiet()


def test_refuses_to_begin_beside_other_work(monkeypatch):
    monkeypatch.setattr(results, "commit", lambda: "0123456789ab")
    monkeypatch.setattr(long_runs, "others", lambda: 0.7)
    with pytest.raises(CourseError, match=r"0\.7 of the cores"):
        long_runs.require_quiet()
    monkeypatch.setattr(long_runs, "others", lambda: 0.02)
    long_runs.require_quiet()


def test_says_when_other_work_begins(monkeypatch, capsys):
    shares = iter((0.0, 0.9, 0.0, 0.0))
    monkeypatch.setattr(long_runs, "others", lambda: next(shares, 0.0))
    with long_runs.Company(seconds=0.01) as company:
        while len(company.shares) < 4:
            time.sleep(0.01)
    assert "Other programs take 0.9" in capsys.readouterr().out
    assert 0.5 < company.quiet < 1


def test_sees_a_busy_program():
    import subprocess
    import sys

    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert long_runs.others(1.0) > long_runs.OTHERS
    finally:
        busy.kill()
        busy.wait()
