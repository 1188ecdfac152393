"""Progress: what checks record, files that are broken, killed writers, two at the same time, and the way elsewhere."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from course_utils import checks, paths
from course_utils.errors import CourseError
from course_utils.learner import catalogue, progress, progress_report
from course_utils.learner.catalogue import Exercise, Lesson
from course_utils.learner.progress import Record, record

RECORDING_OFF = (
    "CI",
    "PYTEST_VERSION",
    "NBGRADER_EXECUTION",
    "COURSE_STRICT",
    "COURSE_PROGRESS",
    "COURSE_RUNS_COPY",
)
LESSONS = (
    Lesson(1, "01_one", "One", 10, (), tuple(Exercise(f"1.{n}", f"thing {n}", "easy", 3) for n in (1, 2, 3, 4, 5, 6))),
    Lesson(2, "02_two", "Two & <b>", 20, (), (Exercise("2.2", "b", "hard", 9), Exercise("2.1", "a", "easy", 3, 2))),
)  # fmt: skip


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """A learner's surroundings: nothing switches recording off, and the runs folder is empty."""
    for name in RECORDING_OFF:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs é"))
    progress._folder.cache_clear()
    paths.say_once.cache_clear()
    return tmp_path / "runs é" / "progress.jsonl"


def outcomes():
    return [(one.exercise, one.outcome) for one in progress.read()]


def child(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


# ---- what is recorded


def unit_range_stub(images):
    raise NotImplementedError("Exercise 0.1")


def test_a_check_records_its_three_outcomes_and_nothing_of_the_answer(file, monkeypatch):
    monkeypatch.setenv("COURSE_TIER", "smoke")
    checks.start.exercise_0_1(unit_range_stub)
    for _ in range(2):
        with pytest.raises(checks.CheckFailed) as failed:
            checks.start.exercise_0_1(lambda secret_name: secret_name / 2)
        time.sleep(0.002)
    checks.start.exercise_0_1(lambda images: (images + 1) / 2)
    assert outcomes() == [("0.1", "open"), ("0.1", "wrong"), ("0.1", "wrong"), ("0.1", "correct")]
    hints = {one.hint for one in progress.read() if one.outcome == "wrong"}
    assert len(hints) == 1 and len(hints.pop()) == 8 and failed.value.hint
    assert {one.tier for one in progress.read()} == {"smoke"}
    assert "secret" not in file.read_text() and os.path.expanduser("~") not in file.read_text()


def test_what_says_nothing_new_is_not_written(file):
    for outcome in ("open", "open", "correct", "correct", "wrong", "open"):
        record("1.1", "a", outcome)
    assert outcomes() == [("1.1", "open"), ("1.1", "correct")]
    record("1.1", "b", "open")  # the exercise's other function
    assert len(progress.read()) == 3


def test_an_answer_that_breaks_the_comparison_counts_as_wrong():
    class Broken:
        def __getattribute__(self, name):
            raise ValueError

    with pytest.raises(checks.CheckFailed):
        checks.start.exercise_0_1(lambda images: Broken())
    assert outcomes() == [("0.1", "wrong")]


def test_an_unknown_tier_does_not_stop_a_check(monkeypatch):
    monkeypatch.setenv("COURSE_TIER", "nonsense")
    checks.start.exercise_0_1(lambda images: (images + 1) / 2)
    assert [one.tier for one in progress.read()] == [""]


@pytest.mark.parametrize(
    ("name", "value"), [("COURSE_STRICT", "1"), ("COURSE_PROGRESS", "0"), ("CI", "true"), ("PYTEST_VERSION", "8"),
                        ("NBGRADER_EXECUTION", "autograde")]
)  # fmt: skip
def test_solved_notebooks_tests_graders_and_whoever_asks_for_it_leave_no_trace(
    name, value, file, monkeypatch
):
    monkeypatch.setenv(name, value)
    checks.start.exercise_0_1(lambda images: (images + 1) / 2)
    assert not file.exists()


def test_trying_out_shows_and_does_not_record(file, capsys):
    checks.start.try_out(unit_range_stub)
    checks.start.try_out(lambda images: images / 2)
    checks.start.try_out(lambda images: (images + 1) / 2)
    said = capsys.readouterr().out
    assert "not attempted yet" in said and "[-0.5, 0.5]" in said and said.endswith("correct.\n")
    assert not file.exists() and progress.is_recording()


def test_recording_takes_a_moment_even_in_a_long_file(file):
    for number in range(2000):
        progress._append(
            progress.path(),
            [Record(f"{number % 50}.1", "a", "wrong", f"2026-01-01T00:00:00.{number % 1000:03d}Z")],
        )
    start = time.perf_counter()
    for _ in range(20):
        record("1.1", "a", "wrong", "laptop", "hint")
    assert (
        time.perf_counter() - start
    ) / 20 < 0.1  # measured: 1 ms; the bound only catches what would be felt


# ---- broken files, killed and competing writers


def test_lines_that_are_no_records_are_passed_over(file):
    record("1.1", "a", "correct")
    good = file.read_bytes()
    bad = [b'{"exercise": "1.2"}', b"\xff\xfe", b"[" * 100_000, b'{"exercise": 1}', b"null", b"{}" * 9, b"<<<<<<< HEAD",
           json.dumps(vars(Record("1.2", "a", "correct", "today"))).encode(),
           json.dumps(vars(Record("<script>", "a", "correct", "2026-01-01T00:00:00.000Z"))).encode(),
           json.dumps(vars(Record("1.2", "a", "correct", "2026-01-01T00:00:00.000Z", "<b>"))).encode()]  # fmt: skip
    file.write_bytes(b"\n".join(bad) + good + good[:40])
    assert outcomes() == [("1.1", "correct")]
    record("1.2", "a", "open")  # after a line that a kill cut short
    assert outcomes() == [("1.1", "correct"), ("1.2", "open")]


def test_a_file_that_cannot_be_used_is_one_quiet_note_and_the_check_goes_on(file, capsys):
    file.mkdir(parents=True)  # even root cannot write to a folder as to a file
    for number in ("1.1", "1.2", "1.3"):
        record(number, "a", "correct")
    right = lambda images: (images + 1) / 2  # noqa: E731
    assert checks.start.exercise_0_1(right) is right
    assert capsys.readouterr().out.count("Progress is not recorded") == 1


def test_no_folder_at_all_is_a_quiet_note(monkeypatch, tmp_path, capsys):
    (tmp_path / "in the way").write_text("")
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "in the way" / "runs"))
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(tmp_path / "in the way"))
    record("1.1", "a", "correct")
    assert "Progress is not recorded" in capsys.readouterr().out


def test_a_full_disk_loses_only_the_line_that_did_not_fit(file, monkeypatch, capsys):
    record("1.1", "a", "correct")
    write = os.write
    monkeypatch.setattr(progress.os, "write", lambda handle, content: write(handle, content[:30]))
    record("1.2", "a", "correct")
    assert "Progress is not recorded" in capsys.readouterr().out
    monkeypatch.setattr(progress.os, "write", write)
    record("1.3", "a", "correct")
    assert outcomes() == [("1.1", "correct"), ("1.3", "correct")]


WRITER = """
import sys
from course_utils import progress
for number in range(int(sys.argv[2])):
    progress.record(f"{sys.argv[1]}.{number}", "a", "correct")
print("done", flush=True)
"""


def test_two_programs_at_the_same_time_lose_nothing(file):
    writers = [child(WRITER, lesson, 150) for lesson in (1, 2, 3)]
    assert [writer.communicate(timeout=100)[0] for writer in writers] == ["done\n"] * 3
    assert sorted(outcomes()) == sorted(
        (f"{lesson}.{n}", "correct") for lesson in (1, 2, 3) for n in range(150)
    )
    assert [path.name for path in file.parent.iterdir()] == [
        "progress.jsonl"
    ]  # no lock stays behind


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_a_program_that_is_killed_while_it_writes_spoils_nothing(file):
    kept = 0
    for trial in range(5):
        before = file.stat().st_size if file.exists() else 0
        writer = child(WRITER, trial, 900)
        while not file.exists() or file.stat().st_size < before + 2000:
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        lines = [line for line in file.read_bytes().split(b"\n") if line]
        assert (
            sum(progress._parse(line) is None for line in lines) <= trial + 1
        )  # at most the line it was writing
        assert len(progress.read()) >= kept + 5
        record(f"{trial}.999", "a", "correct")  # the next one waits for nobody
        assert (f"{trial}.999", "correct") in outcomes()
        kept = len(progress.read())


def test_without_locks_the_record_is_written_all_the_same(file, monkeypatch):
    def none(lock, *_, **__):
        raise OSError("no locks on this drive")

    monkeypatch.setattr(filelock.FileLock, "acquire", none)
    record("1.1", "a", "correct")
    assert outcomes() == [("1.1", "correct")]


def test_a_holder_of_the_lock_that_sleeps_does_not_stop_a_lesson(file, monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0.3)
    file.parent.mkdir(parents=True)
    with paths.held_lock(file.with_suffix(".lock"), lambda: False) as held:
        assert held
        start = time.monotonic()
        record("1.1", "a", "correct")
        assert time.monotonic() - start < 5
    assert outcomes() == [("1.1", "correct")]


# ---- elsewhere and anew


def test_export_import_and_reset(tmp_path, monkeypatch):
    record("1.1", "a", "correct")
    record("1.2", "a", "wrong", "laptop", "hint")
    exported = progress.export_to(tmp_path / "mine.jsonl")
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "other machine"))
    record("1.3", "a", "open")
    assert progress.import_from(exported) == 2
    assert progress.import_from(exported) == 0  # twice is once
    assert sorted(outcomes()) == [("1.1", "correct"), ("1.2", "wrong"), ("1.3", "open")]
    old = progress.reset()
    assert progress.read() == [] and progress.reset() is None
    assert progress.import_from(old) == 3


def test_it_lies_in_the_place_that_outlives_the_machine_where_there_is_one(
    file, tmp_path, monkeypatch
):
    monkeypatch.setenv("COURSE_RUNS_COPY", str(tmp_path / "drive" / "runs"))
    record("1.1", "a", "correct")
    assert (tmp_path / "drive" / "runs" / "progress.jsonl").is_file() and not file.exists()
    assert outcomes() == [("1.1", "correct")]


def test_a_file_without_records_is_refused(tmp_path):
    (tmp_path / "empty").write_text("hello")
    for name in ("empty", "nothing here"):
        with pytest.raises(CourseError) as caught:
            progress.import_from(tmp_path / name)
        assert caught.value.code == "progress-no-records"


# ---- what people see


def made(*rows):
    return [Record(number, part, outcome, f"2026-01-{day:02d}T00:00:00.000Z")
            for day, (number, part, outcome) in enumerate(rows, start=1)]  # fmt: skip


def test_nothing_done_begins_at_the_beginning():
    said = progress_report.text([], LESSONS)
    assert "0 of 8 exercises solved" in said and "1.1 to 1.6" in said and "2.2, 2.1" in said
    assert "Next: exercise 1.1, thing 1 (easy, 3 minutes), in notebooks/01_one.ipynb" in said


def test_the_next_exercise_is_in_the_lesson_worked_on_last_in_its_order():
    records = made(("1.1", "a", "correct"), ("2.2", "a", "wrong"), ("2.2", "a", "correct"))
    assert (
        progress_report.next_exercise(progress_report.standings(records, LESSONS))[1].number
        == "2.1"
    )
    both = [
        *records,
        *made(("2.1", "x", "correct"), ("2.1", "x", "correct")),
    ]  # one of its two functions
    assert (
        progress_report.next_exercise(progress_report.standings(both, LESSONS))[1].number == "2.1"
    )
    both += made(("2.1", "y", "correct"))
    assert (
        progress_report.next_exercise(progress_report.standings(both, LESSONS))[1].number == "1.2"
    )


def test_tries_are_told_and_a_solved_exercise_stays_solved():
    records = made(
        ("1.2", "a", "wrong"),
        ("1.2", "a", "wrong"),
        ("1.3", "a", "correct"),
        ("1.3", "a", "wrong"),
        ("9.9", "a", "correct"),
    )
    said = progress_report.text(records, LESSONS)
    assert "1 of 8" in said and "1.1, 1.2 (tried twice), 1.4, 1.5, 1.6" in said


def test_everything_solved():
    rows = [
        (x.number, f"part {p}", "correct")
        for lesson in LESSONS
        for x in lesson.exercises
        for p in range(x.parts)
    ]
    said = progress_report.text(made(*rows), LESSONS)
    assert "8 of 8" in said and said.endswith("Every exercise is solved.")


def test_the_page_has_headers_links_and_no_markup_of_others():
    page = progress_report.page([], LESSONS)
    assert (
        page.count('<th scope="col"') == 3
        and page.count('<th scope="row"') == 2
        and "<caption" in page
    )
    assert '<a href="02_two.ipynb">2. Two &amp; &lt;b&gt;</a>' in page and "<b>" not in page


def test_a_notebook_shows_it_also_where_it_cannot_be_read(file, capsys):
    progress_report.show()
    assert (
        "exercises solved" in capsys.readouterr().out
    )  # without a notebook, IPython prints the text
    file.parent.mkdir(parents=True, exist_ok=True)
    file.mkdir()
    progress_report.show()
    assert "cannot be shown" in capsys.readouterr().out


def test_the_command(tmp_path, capsys):
    record("1.1", "a", "correct")
    assert progress_report.main([]) == 0
    said = capsys.readouterr().out
    assert "1 of " in said and "Next: " in said and str(progress.path()) in said
    there = tmp_path / "a file.jsonl"
    assert progress_report.main(["--export", str(there)]) == 0 and there.is_file()
    assert progress_report.main(["--reset"]) == 0 and "To go back" in capsys.readouterr().out
    assert (
        progress_report.main(["--import", str(there)]) == 0
        and "1 new records" in capsys.readouterr().out
    )
    assert progress_report.main(["--import", str(tmp_path)]) == 1  # a folder
    assert progress_report.main(["--import", "nothing"]) == 1
    assert "There is no file nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        progress_report.main(["--nonsense"])


def test_it_starts_without_torch():
    program = "import sys\nfrom course_utils.learner import progress_report\n"
    program += "print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    assert child(program).communicate(timeout=60)[0].strip() == "[]"


# ---- the catalogue


def test_the_catalogue_and_the_checks_know_the_same_exercises():
    known = {x.number for lesson in catalogue.lessons() for x in lesson.exercises}
    found = set()
    for path in sorted((Path(checks.__file__).parent).glob("[a-z]*.py")):
        names = dir(getattr(checks, path.stem))
        found |= {
            name.removeprefix("exercise_").replace("_", ".")
            for name in names
            if name.startswith("exercise_")
        }
    assert known == found
    assert [lesson.number for lesson in catalogue.lessons()] == sorted(
        lesson.number for lesson in catalogue.lessons()
    )


def test_shipped_weights_are_in_the_catalogue():
    assert set(catalogue.shipped()) == {
        path.name for path in paths.checkpoints_dir().glob("*.safetensors")
    }


def test_a_record_survives_the_file():
    one = Record("7.22", "exercise_7_22", "wrong", progress._now(), "laptop", "0123abcd")
    assert progress._parse(progress._line(one)) == one
