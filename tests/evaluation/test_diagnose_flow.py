"""`diagnose` on flow matching: faults made on purpose are named, healthy runs are left in peace."""

import json

import numpy as np
import pytest

from course_utils import results
from course_utils.evaluation import diagnose_flow
from course_utils.evaluation.diagnose import diagnose, rules
from measuring import flow_faults
from measuring.flow_faults import FAULTS, WELL, Loop

VARIANCE = 0.25


def names(history):
    return [finding.name for finding in diagnose(history)]


def floor(t):
    """The loss of the exact velocity of Gaussian data, in closed form."""
    return VARIANCE / (t**2 * VARIANCE + (1 - t) ** 2)


def history(rows=60, batch=24, path=lambda t: t, **changed):
    """A made-up healthy history: Gaussian data, exact velocities, four classes, Euler's times."""
    random = np.random.default_rng(0)
    t = random.uniform(size=(rows, batch))
    loss = floor(path(t)) * random.chisquare(48, (rows, batch)) / 48
    labels = random.integers(4, size=400)
    centres = random.normal(size=(4, 12)) * 0.3
    draw = np.sqrt(VARIANCE - centres.var()) * random.normal(size=(2, 400, 12)) + centres[labels]
    made = {
        "loss": loss.tolist(),
        "t": t.tolist(),
        "data": draw[0],
        "samples": draw[1],
        "data_labels": labels,
        "labels": labels,
        "asked": [i / 10 for i in range(10)],
    }
    return {**made, **changed}


# ---- what was measured, and a part of it again


def test_the_record_has_no_false_alarm_and_hardly_a_miss():
    found = results.read("flow_faults.json")
    assert set(found["healthy"]) == set(WELL) and set(found["faults"]) == set(FAULTS)
    assert found["alarms"] == 0 and found["healthy_runs"] >= 10
    assert all(row["runs"] >= 5 for row in found["faults"].values())
    assert found["named"] >= 0.9 * found["fault_runs"]


@pytest.mark.parametrize("name", list(WELL))
def test_healthy_runs_do_not_alarm(name):
    for run in flow_faults.record(WELL[name], 2, seed=1, steps=500):
        assert names(run) == ["healthy"]


@pytest.mark.parametrize("name", list(FAULTS))
def test_faults_are_named(name):
    for run in flow_faults.record(FAULTS[name], 2, seed=1, steps=500):
        assert name in names(run)


def test_without_what_is_handed_over_a_run_is_healthy_and_says_what_its_floor_is():
    (run,) = flow_faults.record(Loop(), 1, seed=2, steps=500)
    bare = {name: run[name] for name in ("step", "loss", "t")}
    (finding,) = diagnose(bare)
    assert finding.name == "healthy" and "the floor of this loss is the variance" in finding.meaning
    assert (finding.first, finding.last) == (1, 500)
    means = {name: [np.mean(row) for row in run[name]] for name in ("loss", "t")}
    assert names(means) == ["healthy"]  # batch means, as the recipe logs them


# ---- one rule at a time


def test_a_made_up_healthy_history_is_healthy():
    assert names(history()) == ["healthy"]


def test_time_reversed_is_seen_by_noise_level():
    backwards = history(path=lambda t: 1 - t)
    assert names(backwards) == ["time reversed"]
    without_labels = {k: v for k, v in backwards.items() if k not in ("data_labels", "labels")}
    assert names(without_labels) == ["time reversed"]


def test_time_reversed_is_seen_on_a_probe_of_single_examples():
    t = np.random.default_rng(1).uniform(size=800)
    data = history()["data"]
    assert names({"loss": floor(t), "t": t, "data": data}) == ["healthy"]
    assert names({"loss": floor(1 - t), "t": t, "data": data}) == ["time reversed"]
    assert names({"loss": floor(1 - t), "t": t}) == ["healthy"]  # nothing to compare with


def test_a_network_that_is_still_bad_at_both_ends_is_not_called_reversed():
    start = history(loss=(1.1 * np.ones((60, 24))).tolist())
    assert "time reversed" not in names(start)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ([0, 0.2, 0.4, 0.6, 0.8], "healthy"),
        ([0, 0.2, 0.4, 0.6], "last step missing"),
        ([0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1], "healthy"),  # Heun
        ([0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75], "healthy"),  # Heun with a last step by Euler
        ([0, 0.25, 0.25, 0.5, 0.5, 0.75], "last step missing"),
        ([1, 0.75, 0.5, 0.25], "time reversed"),
        ([0], "healthy"),
    ],
)
def test_the_times_of_a_walk(asked, name):
    assert names(history(asked=asked)) == [name]


def test_samples_that_leave_the_data():
    assert names(history(samples=2 * history()["data"] / VARIANCE)) == ["velocity turned round"]
    noise = np.full((400, 12), np.nan)
    assert names(history(samples=noise)) == ["velocity turned round"]  # it ran away altogether


def test_classes_further_apart_or_not_apart():
    made = history()
    centres = np.stack([made["samples"][made["labels"] == k].mean(0) for k in range(4)])
    moved = made["samples"] + 0.6 * (centres - centres.mean(0))[made["labels"]]
    narrow = centres[made["labels"]] + 0.5 * (made["samples"] - centres[made["labels"]])
    mixed = np.random.default_rng(3).permutation(made["samples"])
    assert names(history(samples=moved)) == ["guided past the class"]
    assert names(history(samples=narrow)) == ["guided past the class"]
    assert names(history(samples=mixed)) == ["label without effect"]


def test_bytes_are_seen_with_and_without_the_data():
    large = (5_000 * np.ones((60, 24))).tolist()
    assert names(history(data=127.5 * (history()["data"] + 1))) == ["data not in [-1, 1]"]
    assert names({"loss": large, "t": history()["t"]}) == ["data not in [-1, 1]"]


def test_one_time_for_the_batch():
    t = history()["t"]
    assert "one time for the batch" in names(history(t=[[row[0]] * len(row) for row in t]))


def test_a_network_that_answers_nothing():
    data = history()["data"]
    loss = np.full(60, 1 + (data**2).mean())
    assert names({"loss": loss, "t": [0.5] * 60, "data": data}) == ["nothing learned"]


# ---- odd input


def test_not_a_number_is_found_in_a_row_of_a_batch():
    loss = history()["loss"]
    loss[40][3] = float("nan")
    first = diagnose(history(loss=loss))[0]
    assert (first.name, first.first) == ("not a number", 41)


def test_short_histories_are_not_judged():
    made = history(rows=10)
    assert names(made) == ["too short"]
    assert names({"loss": [], "t": []}) == ["too short"]


def test_nothing_that_was_given_is_changed():
    given = {k: np.asarray(v).tolist() for k, v in history().items()}
    copy = json.loads(json.dumps(given))
    assert names(given) == ["healthy"] and given == copy


def test_every_rule_has_its_words():
    assert set(diagnose_flow.RULES) == set(diagnose_flow.CONDITIONS) == set(diagnose_flow.TEXTS)
    assert rules().count("| flow |") == len(diagnose_flow.RULES)
