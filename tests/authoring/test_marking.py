"""Notebooks for nbgrader: what is written, and the whole way from hand-out to feedback where nbgrader is installed."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course_utils import checks
from course_utils.authoring import build, marking
from course_utils.authoring import notebook as nb
from course_utils.authoring.exercises import numbers
from course_utils.authoring.source import find_sources

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LESSONS = [
    path for path in find_sources(ROOT) if "BEGIN SOLUTION" in path.read_text(encoding="utf-8")
]


def kinds(notebook, **wanted):
    """grade_id -> cell, of the cells whose nbgrader metadata has these values."""
    marked = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    return {
        cell.metadata.nbgrader.grade_id: cell
        for cell in marked
        if all(cell.metadata.nbgrader.get(key) == value for key, value in wanted.items())
    }


def is_marked(folder, name):
    """Predictions are never right or wrong."""
    return hasattr(getattr(getattr(checks, folder), name), "reference")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_exercise_has_an_answer_and_a_locked_check_with_points(path):
    notebook, (_, solved) = marking.for_nbgrader(path, ROOT), nb.assemble(path, ROOT)
    answers, graded = kinds(notebook, solution=True), kinds(notebook, grade=True)
    code = "\n".join(c.source for c in solved.cells)
    checked = re.findall(r"^(\w+) = checks\.(\w+)\.\1\(\1\)$", code, re.M)
    wanted = [name for name, folder in checked if is_marked(folder, name)]
    assert wanted and [f"exercise_{name}" for name in wanted] == list(answers)
    assert list(graded) == [f"{identity}_check" for identity in answers]
    for name in wanted:
        check = graded[f"exercise_{name}_check"]
        assert check.metadata.nbgrader.locked and check.metadata.nbgrader.points in (1, 2, 3)
        assert "SOLUTION" not in check.source
        assert (
            "checks." not in answers[f"exercise_{name}"].source
        )  # a student's cell does not check itself
    assert set(kinds(notebook, grade=False, solution=False)) == {"set_up"}
    assert sum(c.source.count("BEGIN SOLUTION") for c in notebook.cells) == len(answers)
    nbformat.validate(notebook)  # cell ids are unique, too
    code = "\n".join(cell.source for cell in nb.code_cells(notebook))
    for line in "\n".join(cell.source for cell in nb.code_cells(solved)).splitlines():
        assert line in code, "a line of the lesson got lost"


def test_points_follow_the_card_and_two_functions_share_them():
    notebook = marking.for_nbgrader(next(p for p in LESSONS if p.stem.startswith("05")), ROOT)
    points = {
        identity: c.metadata.nbgrader.points for identity, c in kinds(notebook, grade=True).items()
    }
    assert (
        points["exercise_next_token_loss_check"] == 1 and points["exercise_merge_pair_check"] == 2
    )
    assert points["exercise_split_heads_check"] == points["exercise_merge_heads_check"] == 1
    hard = [
        points[f"exercise_{name}_check"] for name in ("generate", "filter_logits", "beam_search")
    ]
    assert hard == [1, 1, 1]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The course for nbgrader as the command writes it, and what it says; `run.py test` builds the rest elsewhere."""
    folder, said = tmp_path_factory.mktemp("written"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(build, "build", lambda root, check: build.Report((), ()))
        assert build.main(["--root", str(ROOT), "--nbgrader", str(folder)]) == 0
    return folder, said.getvalue()


def test_writing_leaves_the_teachers_configuration_and_the_students_work_alone(written, tmp_path):
    folder, said = written
    assert str(folder / "source/01_gan_theory/01_gan_theory.ipynb") in said
    assert (folder / "source/01_gan_theory/figures/gan_game.svg").is_file()
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for kept in ("nbgrader_config.py", "submitted/ada/01_gan_theory/01_gan_theory.ipynb"):
        (tmp_path / kept).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / kept).write_text("mine")
    marking.write_course(ROOT, tmp_path)
    assert (tmp_path / "nbgrader_config.py").read_text() == "mine"
    assert (tmp_path / "submitted/ada/01_gan_theory/01_gan_theory.ipynb").read_text() == "mine"


def test_what_is_open_is_not_right_when_nbgrader_runs_the_notebook(monkeypatch):
    def stub(p_data, p_g):
        raise NotImplementedError()  # nbgrader's own stub

    assert checks.gan.optimal_discriminator(stub) is not stub
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(checks.CheckFailed, match="nbgrader") as caught:
        checks.gan.optimal_discriminator(stub)
    assert caught.value.reference(0.6, 0.2) == pytest.approx(0.75)  # the lesson can go on


def test_a_wrong_answer_hands_out_the_reference(monkeypatch):
    with pytest.raises(checks.CheckFailed) as caught:
        checks.gan.optimal_discriminator(lambda p_data, p_g: p_g / (p_data + p_g))
    assert caught.value.reference(0.6, 0.2) == pytest.approx(0.75)


# The whole way, with nbgrader itself: it is an extra (`pip install -e ".[teach]"`), which learners do not need.


def nbgrader(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def submit(course, student, lesson, answers):
    """Hand in the released notebook with these answers: grade_id -> code of the cell."""
    released = nbformat.read(course / "release" / lesson / f"{lesson}.ipynb", as_version=4)
    for cell in released.cells:
        identity = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(identity, cell.source)
    target = course / "submitted" / student / lesson / f"{lesson}.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(released, target)


WRONG = {
    "01_gan_theory": {
        # A sign, in a function that the exercise `gan_step` and half of the lesson use.
        "exercise_value_function": "def value_function(real_logits, fake_logits):\n"
        "    return F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()",
    },
    "03_vae_elbo": {
        "exercise_gaussian_kl": "def gaussian_kl(mean, log_var):\n"
        "    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).mean(1)",
        "exercise_iwae_bound": "def iwae_bound(log_weights)\n    return 0",  # Python cannot read it
    },
}
LOST = {"01_gan_theory": 1, "03_vae_elbo": 2}


@pytest.mark.parametrize("lesson", list(WRONG))
def test_hand_out_hand_in_mark_and_tell(lesson, written, tmp_path, monkeypatch):
    pytest.importorskip("nbgrader", reason='nbgrader is not installed: pip install -e ".[teach]"')
    from nbgrader.api import Gradebook

    # As in an activated environment: nbgrader calls `alembic` by its name.
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    for name in ("COURSE_STRICT", "COURSE_TIER", "COURSE_RUNS"):
        monkeypatch.delenv(name, raising=False)

    path = next(p for p in LESSONS if p.stem == lesson)
    for part in ("nbgrader_config.py", f"source/{lesson}"):
        copy = shutil.copytree if (written[0] / part).is_dir() else shutil.copy
        (tmp_path / part).parent.mkdir(exist_ok=True)
        copy(written[0] / part, tmp_path / part)
    nbgrader(tmp_path, "generate_assignment", lesson, "--create")
    text = (tmp_path / "release" / lesson / f"{lesson}.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in text and "raise NotImplementedError()" in text
    source = marking.for_nbgrader(path, ROOT)
    right = {identity: cell.source for identity, cell in kinds(source, solution=True).items()}
    full = sum(cell.metadata.nbgrader.points for cell in kinds(source, grade=True).values())
    cheat = {identity: "print('Exercise: correct.')" for identity in kinds(source, grade=True)}
    submit(tmp_path, "right", lesson, right)
    submit(tmp_path, "wrong", lesson, right | WRONG[lesson])
    # All is open, and the checks are replaced: locked cells come back, and what is open has no points.
    submit(tmp_path, "cheat", lesson, cheat)
    nbgrader(tmp_path, "autograde", lesson)
    nbgrader(tmp_path, "generate_feedback", lesson)
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as book:
        marks = {s.student_id: s for s in book.assignment_submissions(lesson)}
        scores = {student: submission.score for student, submission in marks.items()}
        assert marks["right"].max_score == full and not any(
            s.needs_manual_grade for s in marks.values()
        )
        zero = {g.name for n in marks["wrong"].notebooks for g in n.grades if g.score == 0}
    assert scores == {"right": full, "wrong": full - LOST[lesson], "cheat": 0}
    assert zero == {f"{identity}_check" for identity in WRONG[lesson]}
    told = {student: page(tmp_path, student, lesson) for student in scores}
    number = numbers(path)[next(iter(WRONG[lesson])).removeprefix("exercise_")]
    assert f"Exercise {number}: not yet." in told["wrong"] and "Hint:" in told["wrong"]
    assert told["right"].count(": correct.") == len(right) and "not yet" not in told["right"]
    ran = json.loads(
        (tmp_path / "autograded" / "right" / lesson / f"{lesson}.ipynb").read_text(encoding="utf-8")
    )
    assert not [
        o for c in ran["cells"] for o in c.get("outputs", ()) if o["output_type"] == "error"
    ]


def page(course, student, lesson):
    return (course / "feedback" / student / lesson / f"{lesson}.html").read_text(encoding="utf-8")
