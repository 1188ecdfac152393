"""Lesson 07: the patients do not pass the checks of their cure, and a guess is kept until the cure is found."""

import re
from pathlib import Path

import pytest

from course_utils.authoring import notebook as nb
from course_utils.authoring.lessons import load_definitions
from course_utils.authoring.source import find_source, read_source
from course_utils.checks import CheckFailed, clinic
from course_utils.checks.clinic import game
from course_utils.errors import CourseError
from course_utils.learner import progress
from course_utils.learner.clinic_cases import CASES, find

ROOT = Path(__file__).resolve().parents[2]
GUESSED = [one for one in CASES if one.causes]

PATIENTS = {
    "train_epoch": "broken_epoch",
    "label_loss": "broken_label_loss",
    "make_judge": "broken_discriminator",
    "critic_step": "broken_critic_step",
    "gan_losses": "broken_losses",
    "gan_step": "broken_gan_step",
    "generator_objective": "broken_objective",
    "elbo": "broken_elbo",
    "kl": "broken_kl",
    "encode_batch": "broken_encode",
    "shuffled": "broken_shuffle",
    "accuracy": "broken_accuracy",
    "squared_error": "broken_squared_error",
    "class_loss": "broken_class_loss",
    "make_network": "BrokenNetwork",
    "make_classifier": "broken_classifier",
    "mystery": "broken_script",
}


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("07_debugging_clinic")
    module.sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    return module


@pytest.mark.parametrize(("exercise", "patient"), PATIENTS.items())
def test_the_patient_itself_is_refused(exercise, patient, lesson):
    with pytest.raises(CheckFailed):
        getattr(clinic, exercise)(getattr(lesson, patient))


# ---- the game


@pytest.fixture(autouse=True)
def new_game():
    game.forget()
    yield
    game.forget()


@pytest.fixture
def recording(tmp_path, monkeypatch):
    for name in ("CI", "PYTEST_VERSION", "NBGRADER_EXECUTION", "COURSE_STRICT", "COURSE_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("COURSE_RUNS_COPY", raising=False)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    progress._folder.cache_clear()


def mend(name):
    getattr(clinic, name)(getattr(clinic, name).reference)


@pytest.mark.parametrize("one", GUESSED, ids=lambda one: one.function)
def test_a_guess_is_one_of_three_or_four_causes(one, capsys):
    assert 3 <= len(one.causes) <= 4 and one.right in dict(one.lettered)
    clinic.guess(one.function, ...)
    told = capsys.readouterr().out
    assert told.startswith("No guess yet") and told.count("'") == 2 * len(one.causes)


def test_right_letters_are_spread():
    letters = [one.right for one in GUESSED]
    assert all(3 <= letters.count(letter) <= 8 for letter in "abcd"), letters


@pytest.mark.parametrize("right", [True, False])
def test_the_passing_check_tells_and_the_guess_does_not(right, capsys):
    letter = "c" if right else "a"
    clinic.guess("kl", letter)
    before = capsys.readouterr().out
    assert f"({letter})" in before and "the mended program will tell" in before
    assert "first sight" not in before and "What it was" not in before
    mend("kl")
    after = " ".join(capsys.readouterr().out.split())
    assert ("Right at first sight: (c)" in after) is right
    assert ("Your guess was (a). It was (c)" in after) is not right
    assert " ".join(find("kl").diagnosis.split()) in after
    assert f"Right at first sight: {int(right)} of 1 cases" in after


def test_the_first_guess_counts(capsys):
    clinic.guess("kl", "a")
    clinic.guess("kl", " (C) ")
    assert "(The first one counts: (a).)" in capsys.readouterr().out
    mend("kl")
    assert "Right at first sight: 0 of 1" in capsys.readouterr().out


def test_a_wrong_answer_tells_nothing(lesson):
    with pytest.raises(CheckFailed) as caught:
        clinic.kl(lesson.broken_kl)
    assert find("kl").diagnosis[:30] not in str(caught.value)


def test_guesses_of_an_earlier_kernel_count(recording, capsys):
    clinic.guess("kl", "c")
    clinic.guess("elbo", "b")
    mend("kl")
    game.forget()
    assert game.first_guesses() == {"kl": "c", "elbo": "b"} and game.mended() == {"kl"}
    clinic.guess("elbo", "a")
    assert game.first_guesses()["elbo"] == "b"
    capsys.readouterr()
    clinic.first_sight()
    told = capsys.readouterr().out
    assert "Right at first sight: 1 of 1" in told and find("elbo").number in told


def test_who_reads_the_diagnosis_first_does_not_guess_later(capsys):
    clinic.reveal("kl")
    assert "What it was" in capsys.readouterr().out
    clinic.guess("kl", "c")
    assert "since the diagnosis was read" in capsys.readouterr().out
    mend("kl")
    assert "Right at first sight: 0 of 1" in capsys.readouterr().out


@pytest.mark.parametrize("answer", ["e", "", 2, True, ["a"], object()])
def test_what_is_no_letter_is_asked_for_again(answer):
    with pytest.raises(CheckFailed, match="one of 'a'"):
        clinic.guess("kl", answer)
    assert game.first_guesses() == {}


def test_an_unknown_case_is_named():
    for ask in (clinic.guess, clinic.reveal):
        with pytest.raises(CourseError, match="train_epoch") as caught:
            ask("nothing")
        assert caught.value.code == "clinic-unknown-case"


def test_no_diagnosis_and_no_habit_stands_on_the_page():
    path = find_source(ROOT, "07_debugging_clinic")
    for notebook in nb.assemble(path, ROOT):
        page = " ".join(" ".join(cell.source for cell in notebook.cells).split())
        found = [
            one.function for one in CASES if one.diagnosis[:40] in page or one.habit[:30] in page
        ]
        assert not found


def test_every_case_asks_once_above_its_stub_and_its_card_names_the_causes():
    source, problems = read_source(find_source(ROOT, "07_debugging_clinic"), ROOT)
    assert source and not problems
    for one in GUESSED:
        asked = [m.start() for m in re.finditer(rf'guess\("{one.function}", \.\.\.\)', source.text)]
        assert len(asked) == 1 and asked[0] < source.text.index(f"def {one.function}("), (
            one.function
        )
        card = source.text.rindex("### Exercise: ", 0, asked[0])
        told = " ".join(re.sub(r"\n#(?: -(?= \())?", " ", source.text[card : asked[0]]).split())
        causes = " ".join(f"({letter}) {cause}" for letter, cause in one.lettered)
        assert " ".join(causes.split()) in told, one.function
