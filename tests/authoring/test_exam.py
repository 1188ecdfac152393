"""The second bank: every patient is ill, every cure works, and a seed always makes the same examination."""

import json
from pathlib import Path

import pytest

from course_utils.authoring import build, exam
from course_utils.authoring.exam_bank import BANK, SET_UP
from course_utils.authoring.source import find_sources
from course_utils.errors import CourseError
from course_utils.learner.clinic_cases import find

ROOT = Path(__file__).resolve().parents[2]
questions = pytest.mark.parametrize("one", BANK, ids=lambda one: one.function)


def run(*parts):
    names = {}
    for part in (SET_UP, *parts):
        exec(compile(part, "question", "exec"), names)
    return names


@questions
def test_the_patient_fails_the_test_of_its_cure(one):
    run(one.broken)  # it starts without a message
    with pytest.raises(AssertionError):
        run(one.broken, one.test)


@questions
def test_the_cure_passes(one):
    run(one.mended, one.test)


@questions
def test_a_question_is_whole(one):
    assert find(one.like).causes and len(set(one.causes)) == 4
    assert one.function in run(one.broken) and one.function in run(one.mended)
    assert one.causes[0][:20] not in one.symptom + one.broken


def text(sheet):
    return "\n".join(cell.source for cell in sheet.cells)


@pytest.mark.parametrize("seed", range(5))
def test_the_sheet_keeps_the_cure_for_the_key(seed):
    sheet, key = exam.make(seed, 6)
    for one, causes in exam.draw(seed, 6):
        letter = "abcd"[causes.index(one.causes[0])]
        for secret in (one.mended.strip(), one.test.strip(), f"**({letter})** {one.causes[0]}"):
            assert secret not in text(sheet) and secret in text(key)
        assert one.broken.strip() in text(sheet) and f"({letter}) {one.causes[0]}" in text(sheet)


def test_the_key_runs_from_top_to_bottom_and_so_does_the_sheet(capsys):
    for sheet in exam.make(0, len(BANK)):
        names = {}
        for cell in sheet.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, "sheet", "exec"), names)
    assert capsys.readouterr().out.count("passed") == len(BANK)


def test_the_seed_decides():
    assert exam.make(3) == exam.make(3) and exam.make(3) != exam.make(4)
    letters = [
        causes.index(one.causes[0]) for seed in range(9) for one, causes in exam.draw(seed, 6)
    ]
    assert set(letters) == {0, 1, 2, 3}


@pytest.mark.parametrize("count", [0, len(BANK) + 1])
def test_too_many_questions_are_refused(count):
    with pytest.raises(CourseError) as caught:
        exam.draw(1, count)
    assert caught.value.code == "authoring-exam-size"


def test_the_build_writes_both(tmp_path, capsys):
    (tmp_path / "notebooks" / "source").mkdir(parents=True)
    assert build.main(["--root", str(tmp_path), "--exam", "7", "--exam-questions", "2"]) == 0
    for name in ("exam_7", "key_7"):
        sheet = json.loads((tmp_path / "build" / "exam" / f"{name}.ipynb").read_text("utf-8"))
        assert sheet["nbformat"] == 4
    assert capsys.readouterr().out.count("wrote") == 2


def test_no_question_stands_in_a_lesson():
    page = "\n".join(path.read_text("utf-8") for path in find_sources(ROOT))
    assert not [one.function for one in BANK if one.broken.strip()[:60] in page]
