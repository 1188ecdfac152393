"""`diagnose` on recorded histories: each failure is named, healthy runs are left in peace, and odd input is refused."""

import json
import math

import numpy as np
import pytest

from course_utils import results
from course_utils.errors import CourseError
from course_utils.evaluation.diagnose import diagnose

TRACES = results.read("gan_traces.json")["traces"]
DCGAN = results.read("gan_dcgan.json")["history"]
HEALTHY = [
    (name, i) for name in TRACES if name.startswith("healthy") for i in range(len(TRACES[name]))
]
FAILED = [
    (name, i) for name in TRACES if not name.startswith("healthy") for i in range(len(TRACES[name]))
]


def names(history):
    return [finding.name for finding in diagnose(history)]


def history(rows=200, **changed):
    """A made-up healthy history with some series replaced."""
    random = np.random.default_rng(0)
    wobble = random.normal(0, 0.02, (4, rows))
    healthy = {"d_loss": 1.2, "g_loss": 1.0, "d_real": 0.6, "d_fake": 0.4}
    series = {
        name: (mean + w).tolist() for (name, mean), w in zip(healthy.items(), wobble, strict=True)
    }
    return {**series, **{name: list(values) for name, values in changed.items()}}


# ---- recorded runs


@pytest.mark.parametrize(("name", "copy"), HEALTHY)
def test_healthy_runs_do_not_alarm(name, copy):
    assert names(TRACES[name][copy]) == ["healthy"]


def test_at_least_ten_healthy_runs_of_each_kind():
    kinds = {name: len(runs) for name, runs in TRACES.items() if name.startswith("healthy")}
    assert len(kinds) >= 3 and min(kinds.values()) >= 10


@pytest.mark.parametrize("rows", [25, 50, 100, 200, 400, 800])
def test_a_dcgan_on_images_does_not_alarm_at_any_length(rows):
    assert names({name: values[:rows] for name, values in DCGAN.items()}) == ["healthy"]


@pytest.mark.parametrize("name", sorted({name for name, _ in FAILED}))
def test_failures_are_named(name):
    found = [names(trace) for trace in TRACES[name]]
    expected = name.split(":")[0]
    assert all(f != ["healthy"] for f in found)
    # With a frozen D one generator in five finds no slope to climb: it collapses instead of running ahead.
    assert sum(expected in f for f in found) >= (4 if expected == "generator ahead" else len(found))


@pytest.mark.parametrize(
    "name", ["generator trained to be caught", "false equilibrium: no detach", "collapse"]
)
def test_no_failure_is_called_by_a_contrary_name(name):
    contrary = {"discriminator wins", "generator ahead", "not a number"}
    assert not contrary & {found for trace in TRACES[name] for found in names(trace)}


@pytest.mark.parametrize(("name", "copy"), HEALTHY + FAILED)
def test_findings_stand_inside_the_run(name, copy):
    trace = TRACES[name][copy]
    for finding in diagnose(trace):
        assert trace["step"][0] <= finding.first <= finding.last <= trace["step"][-1]
        assert finding.name in str(finding) and finding.advice in str(finding)


def test_without_diversity_collapse_cannot_be_seen():
    bare = {k: v for k, v in TRACES["collapse"][0].items() if "diversity" not in k}
    assert names(bare) == ["healthy"]


def test_collapse_is_seen_without_the_real_diversity():
    trace = {
        k: v for k, v in TRACES["false equilibrium: no detach"][0].items() if k != "real_diversity"
    }
    assert "collapse" in names(trace)


# ---- boundaries


def test_a_dcgan_whose_discriminator_is_ahead_is_healthy():
    assert names(
        history(d_real=[0.8] * 200, d_fake=[0.2] * 200, d_loss=[0.6] * 200, g_loss=[2.5] * 200)
    ) == ["healthy"]


def test_the_step_range_of_a_failure_in_the_middle():
    d_real, d_fake = (
        [0.6] * 100 + [0.999] * 80 + [0.6] * 20,
        [0.4] * 100 + [0.001] * 80 + [0.4] * 20,
    )
    g_loss = [1.0] * 100 + [8.0] * 80 + [1.0] * 20
    (finding,) = diagnose(
        history(d_real=d_real, d_fake=d_fake, g_loss=g_loss, step=range(10, 2010, 10))
    )
    assert finding.name == "discriminator wins"
    assert abs(finding.first - 1010) <= 40 and abs(finding.last - 1800) <= 40


def test_a_short_excess_is_no_finding():
    d_real, d_fake = [0.999] * 20 + [0.6] * 180, [0.001] * 20 + [0.4] * 180
    assert names(history(d_real=d_real, d_fake=d_fake)) == ["healthy"]


def test_a_saturating_generator_is_not_called_caught():
    # log(1 - D) is small as well when D recognises the fakes, but it is negative.
    losing = history(d_real=[0.9] * 200, d_fake=[0.1] * 200, g_loss=[math.log(0.9)] * 200)
    assert names(losing) == ["healthy"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_not_a_number_is_found_at_its_step(bad):
    losses = [1.2] * 150 + [bad] + [1.2] * 49
    (finding,) = diagnose(history(d_loss=losses))
    assert (finding.name, finding.first, finding.last) == ("not a number", 151, 200)


def test_what_happened_before_the_nan_is_judged_too():
    d_loss = [0.0] * 150 + [float("nan")] * 50
    found = names(
        history(d_loss=d_loss, d_real=[1.0] * 200, d_fake=[0.0] * 200, g_loss=[9.0] * 200)
    )
    assert found == ["not a number", "discriminator wins"]


@pytest.mark.parametrize("rows", [0, 1, 24])
def test_short_histories_are_not_judged(rows):
    assert names(history(rows=rows)) == ["too short"]


def test_a_nan_in_a_short_history_is_told():
    assert names(history(rows=3, d_loss=[1.0, float("nan"), 1.0])) == ["not a number"]


def test_missing_series_are_named():
    with pytest.raises(CourseError, match="d_fake") as caught:
        diagnose({"d_loss": [1.0], "g_loss": [1.0], "d_real": [0.5]})
    assert caught.value.code == "diagnose-missing-series"


def test_unequal_lengths_are_refused():
    with pytest.raises(CourseError) as caught:
        diagnose(history(d_fake=[0.5] * 7))
    assert caught.value.code == "diagnose-unequal-series"


def test_other_names_are_ignored_and_nothing_is_changed():
    given = history(learning_rate=[0.1] * 3)
    copy = json.loads(json.dumps(given))
    assert names(given) == ["healthy"] and given == copy
