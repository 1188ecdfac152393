"""What stands around the cases of lesson 07: complaints, recorded runs, the checklist; and `diagnose` on those runs."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from course_utils import results
from course_utils.authoring.lessons import load_definitions
from course_utils.checks import clinic as checks
from course_utils.errors import CourseError
from course_utils.evaluation import diagnose as diagnosing
from course_utils.evaluation.diagnose import diagnose
from course_utils.learner import catalogue, clinic
from measuring import measure_clinic

ROOT = Path(__file__).resolve().parents[2]
FILES = ("clinic_traces.json", "clinic_imdb.json")
NEW = [name for file in FILES for name in results.read(file)["traces"]]
SOUND = [name for name in NEW if name.startswith(("healthy", "decoy"))]
ILL = [name for name in NEW if name not in SOUND]


def names(history):
    return [finding.name for finding in diagnose(history)]


# ---- diagnose on recorded runs


@pytest.mark.parametrize("name", SOUND)
def test_healthy_runs_and_decoys_do_not_alarm(name):
    assert all(names(history) == ["healthy"] for history in clinic.recorded_all(name))


def test_three_decoys_and_ten_healthy_runs_of_each_kind():
    assert sum(name.startswith("decoy") for name in SOUND) == 3
    healthy = [name for name in SOUND if name.startswith("healthy")]
    assert len(healthy) == 2 and all(len(clinic.recorded_all(name)) >= 10 for name in healthy)


@pytest.mark.parametrize("name", ILL)
def test_failures_are_named(name):
    assert all(names(history) == [name] for history in clinic.recorded_all(name))


@pytest.mark.parametrize("rows", [30, 60, 120])
def test_a_healthy_vae_does_not_alarm_at_any_length(rows):
    for history in clinic.recorded_all("healthy vae"):
        assert names({key: values[:rows] for key, values in history.items()}) == ["healthy"]


@pytest.mark.parametrize("rows", [30, 80, 150])
def test_a_healthy_classifier_does_not_alarm_at_any_length(rows):
    for history in clinic.recorded_all("healthy classifier"):
        assert names({key: values[:rows] for key, values in history.items()}) == ["healthy"]


def test_a_classifier_with_rare_positives_is_not_called_sorted():
    rng = np.random.default_rng(0)
    history = {
        "loss": [0.1] * 100,
        "accuracy": [0.97] * 100,
        "positive": rng.binomial(16, 0.02, 100) / 16,
    }
    assert names({k: list(v) for k, v in history.items()}) == ["healthy"]


def test_batches_of_one_are_not_called_sorted():
    positive = np.random.default_rng(0).integers(2, size=200).tolist()
    assert names({"loss": [0.6] * 200, "accuracy": [0.6] * 200, "positive": positive}) == [
        "healthy"
    ]


def test_the_bound_of_cross_entropy_is_a_theorem():
    rng = torch.Generator().manual_seed(0)
    for scale in (0.1, 1.0, 10.0):
        logits, y = (
            scale * torch.randn(500, 2, generator=rng),
            torch.randint(2, (500,), generator=rng),
        )
        loss = torch.nn.functional.cross_entropy(logits, y)
        assert loss >= (logits.argmax(1) != y).float().mean() * math.log(2)


def test_a_nan_in_a_vae_is_found_first():
    found = names({"nll": [3.0] * 40 + [math.nan], "kl": [1.0] * 41})
    assert found[0] == "not a number"


def test_unequal_series_of_a_vae_are_refused():
    with pytest.raises(CourseError) as caught:
        diagnose({"nll": [1.0] * 30, "kl": [1.0] * 29})
    assert caught.value.code == "diagnose-unequal-series"


# ---- complaints


def test_a_complaint_names_the_error_and_its_line(capsys):
    def program(x):
        return x / 0

    clinic.complaint(program, 1)
    out = capsys.readouterr().out
    assert out.startswith("ZeroDivisionError: division by zero") and "at: return x / 0" in out


def test_a_sound_program_has_no_complaint(capsys):
    clinic.complaint(torch.zeros, 2, 3)
    clinic.complaint(lambda: torch.tensor(0.5))
    assert capsys.readouterr().out == "no error; result: shape (2, 3)\nno error; result: 0.5000\n"


def test_a_scan_has_one_empty_page_and_leaves_its_pictures_alone():
    pictures = torch.rand(5, 64)
    before, delivered = pictures.clone(), clinic.scanned(pictures, page=3)
    assert torch.equal(pictures, before)
    assert (delivered.std(1) == 0).tolist() == [False, False, False, True, False]
    assert torch.equal(delivered[[0, 1, 2, 4]], before[[0, 1, 2, 4]])


def test_a_budget_counts_tells_and_never_refuses(capsys):
    runs = clinic.Budget(2)
    assert [runs(lambda x: {"test": x}, 0.5) for _ in range(3)] == [{"test": 0.5}] * 3
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "run 1 of 2: test 0.500",
        "run 2 of 2: test 0.500",
        "run 3 (the budget was 2): test 0.500",
    ]
    assert runs.spent == 3


def test_a_run_that_stops_is_counted():
    runs = clinic.Budget(2)
    with pytest.raises(ZeroDivisionError):
        runs(lambda: 1 / 0)
    assert runs.spent == 1


def test_the_ward_lists_every_case_and_tells_no_diagnosis():
    page = clinic.ward()
    assert all(f"| {case.number} | {case.sign} |" in page for case in clinic.CASES)
    assert not any(case.diagnosis[:20] in page or case.habit[:20] in page for case in clinic.CASES)


def test_every_rule_of_diagnose_is_told_in_words():
    families = diagnosing.families.RULES.values()
    rules = {*diagnosing.RULES, *(name for rules in families for name in rules)}
    assert set(diagnosing.CONDITIONS) == rules
    assert all(
        f"| {name} | {diagnosing.CONDITIONS[name]} |" in diagnosing.rules() for name in rules
    )


def test_rules_are_told_of_the_kinds_that_are_asked_for():
    told = diagnosing.rules("GAN", "classifier")
    assert "| classifier | labels come sorted |" in told and "| any | not a number |" in told
    assert "| flow |" not in told and "| VAE |" not in told
    with pytest.raises(KeyError):
        diagnosing.rules("GPT")


# ---- recorded runs


def test_unknown_records_are_refused_with_those_that_exist():
    for arguments in (("nothing",), ("healthy line", 99)):
        with pytest.raises(CourseError, match="healthy line") as caught:
            clinic.recorded(*arguments)
        assert caught.value.code == "clinic-no-record"


def test_recorded_runs_say_their_seed_and_day():
    for name in ("clinic_traces.json", "clinic_imdb.json"):
        assert {"seed", "date"} <= set(results.read(name))


def test_imdb_supports_what_the_lesson_says():
    found = results.read("clinic_imdb.json")
    assert found["sorted"]["high"] < found["shuffled"]["low"] - 0.3
    assert found["mixed_batches"] <= 1 and found["sorted_last_loss"] < 0.01
    assert len(found["shuffled"]["values"]) >= 3


@pytest.mark.parametrize("kind", measure_clinic.DECOYS)
def test_decoys_play_the_whole_game(kind, monkeypatch):
    monkeypatch.setattr(measure_clinic, "GAN_STEPS", 60)
    history = measure_clinic.record_decoy(kind, 0)
    assert history["step"] == [20, 40, 60] and all(map(math.isfinite, history["g_loss"]))


# ---- the checklist


@pytest.fixture(scope="module")
def solved():
    return load_definitions("07_debugging_clinic")


def test_pages_say_how_many_cases_need_no_other_lesson():
    assert sum(not case.needs for case in clinic.CASES) == 9
    lesson = (ROOT / "notebooks" / "source" / "07_debugging_clinic.py").read_text("utf-8")
    assert "no other lesson for nine of the cases" in lesson
    assert "Nine cases need no other lesson" in (ROOT / "TEACHING.md").read_text("utf-8")


def test_each_case_has_its_exercise_and_its_function(solved):
    places = range(1, len(clinic.CASES) + 1)
    assert [case.number for case in clinic.CASES] == [f"7.{n}" for n in places]
    assert all(hasattr(checks, case.function) for case in clinic.CASES)
    assert all(callable(getattr(solved, case.function)) for case in clinic.CASES)


def test_the_checklist_ticks_what_the_learner_mended(solved):
    def kl(p, q):
        return 0

    page = clinic.checklist({"kl": kl, "gan_step": checks.gan_step.reference, "elbo": None})
    ticked = [line for line in page.splitlines() if line.startswith("- [x]")]
    assert len(ticked) == 1 and f"({clinic.catalogue.number_of('clinic.kl')})" in ticked[0]
    assert page.count("- [ ]") == len(clinic.CASES) - 1
    told = [case.function for case in clinic.CASES if case.habit in page]
    assert told == ["kl"]  # a habit tells the cure: only who mended the case reads it
    assert "- [ ]" not in clinic.checklist(vars(solved))


def test_notes_stand_under_their_case_on_one_line():
    lines = clinic.checklist({}, {"7.5": "two\nlines"}).splitlines()
    assert (
        lines[next(i for i, line in enumerate(lines) if "(7.5)" in line) + 1] == "    - two lines"
    )


def test_the_lessons_own_note_stands_under_the_critic():
    source = next((ROOT / "notebooks" / "source").glob("07_*.py")).read_text(encoding="utf-8")
    (number,) = re.findall(r'^notes = \{"([\d.]+)": "The message names the victim', source, re.M)
    assert number == catalogue.number_of("clinic.critic_step")


def test_a_note_for_no_case_is_refused():
    with pytest.raises(CourseError) as caught:
        clinic.checklist({}, {"8.1": "?"})
    assert caught.value.code == "clinic-unknown-case"


def test_the_checklist_is_saved_among_the_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    path = clinic.save_checklist("é\n")
    assert path == tmp_path / "07_checklist.md" and path.read_text(encoding="utf-8") == "é\n"
