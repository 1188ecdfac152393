"""Predictions are recorded, shown beside what came out, and never wrong."""

import pytest

from course_utils.checks import CheckFailed
from course_utils.checks.prediction import prediction
from course_utils.learner import progress

OFF = (
    "CI",
    "PYTEST_VERSION",
    "NBGRADER_EXECUTION",
    "COURSE_STRICT",
    "COURSE_PROGRESS",
    "COURSE_RUNS_COPY",
)
guess = prediction("dcgan.guess")
side = prediction("dcgan.side", choices=("minimax", "non-saturating"))


@pytest.fixture
def recording(tmp_path, monkeypatch):
    for name in OFF:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    progress._folder.cache_clear()


def test_a_number_stands_beside_what_was_measured(capsys):
    guess(4).beside(1.6, ".1f")
    assert capsys.readouterr().out.endswith("predicted 4.0, measured 1.6\n")


def test_the_first_prediction_is_what_is_kept(recording):
    guess(4.0)
    guess(1.6)
    side("minimax")
    kept = [(one.exercise, one.outcome, one.value) for one in progress.read()]
    assert kept == [("dcgan.guess", "predicted", "4"), ("dcgan.side", "predicted", "minimax")]


@pytest.mark.parametrize("nothing", [None, ...])
def test_nothing_written_is_said_also_where_all_must_be_solved(
    nothing, recording, monkeypatch, capsys
):
    monkeypatch.setenv("COURSE_STRICT", "1")
    guess(nothing).beside(1.6)
    assert "no prediction yet" in (told := capsys.readouterr().out)
    assert told.endswith("no prediction, measured 1.6\n")
    assert progress.read() == []


@pytest.mark.parametrize("answer", ["4", float("nan"), True, [4, 5], object()])
def test_what_is_no_number_is_asked_for_again(answer, recording):
    with pytest.raises(CheckFailed, match="a number"):
        guess(answer)
    assert progress.read() == []


def test_a_choice_is_one_of_those_offered():
    assert side("minimax").value == "minimax"
    with pytest.raises(CheckFailed, match="'minimax', 'non-saturating'"):
        side("both")
