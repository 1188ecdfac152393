"""Progress: what checks record, files that are broken, killed writers, two at the same time, and the way elsewhere."""

import json
import operator
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
from course_utils.models import shipped

RECORDING_OFF = (
    "CI",
    "PYTEST_VERSION",
    "NBGRADER_EXECUTION",
    "COURSE_STRICT",
    "COURSE_PROGRESS",
    "COURSE_RUNS_COPY",
)
ONE = tuple(Exercise(f"1.{n}", f"thing {n}", "easy", 3, (f"one.f{n}",)) for n in range(1, 7))
TWO = (
    Exercise("2.1", "a", "hard", 9, ("two.f",)),
    Exercise("2.2", "b", "easy", 3, ("two.split", "two.merge")),
)
LESSONS = (Lesson(1, "01_one", "One", 10, (), ONE), Lesson(2, "02_two", "Two & <b>", 20, (), TWO))


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
    checks.start.to_unit_range(unit_range_stub)
    for _ in range(2):
        with pytest.raises(checks.CheckFailed) as failed:
            checks.start.to_unit_range(lambda secret_name: secret_name / 2)
        time.sleep(0.002)
    checks.start.to_unit_range(lambda images: (images + 1) / 2)
    assert {one.exercise for one in progress.read()} == {"start.to_unit_range"}
    assert [one.outcome for one in progress.read()] == ["open", "wrong", "wrong", "correct"]
    hints = {one.hint for one in progress.read() if one.outcome == "wrong"}
    assert len(hints) == 1 and len(hints.pop()) == 8 and failed.value.hint
    assert {one.tier for one in progress.read()} == {"smoke"}
    assert "secret" not in file.read_text() and os.path.expanduser("~") not in file.read_text()


def test_what_says_nothing_new_is_not_written(file):
    for outcome in ("open", "open", "correct", "correct", "wrong", "open"):
        record("two.split", outcome)
    assert outcomes() == [("two.split", "open"), ("two.split", "correct")]
    record("two.merge", "open")  # the exercise's other function
    assert len(progress.read()) == 3


def test_an_answer_that_breaks_the_comparison_counts_as_wrong():
    class Broken:
        def __getattribute__(self, name):
            raise ValueError

    with pytest.raises(checks.CheckFailed):
        checks.start.to_unit_range(lambda images: Broken())
    assert outcomes() == [("start.to_unit_range", "wrong")]


def test_an_unknown_tier_does_not_stop_a_check(monkeypatch):
    monkeypatch.setenv("COURSE_TIER", "nonsense")
    checks.start.to_unit_range(lambda images: (images + 1) / 2)
    assert [one.tier for one in progress.read()] == [""]


@pytest.mark.parametrize(
    ("name", "value"), [("COURSE_STRICT", "1"), ("COURSE_PROGRESS", "0"), ("CI", "true"), ("PYTEST_VERSION", "8"),
                        ("NBGRADER_EXECUTION", "autograde")]
)  # fmt: skip
def test_solved_notebooks_tests_graders_and_whoever_asks_for_it_leave_no_trace(
    name, value, file, monkeypatch
):
    monkeypatch.setenv(name, value)
    checks.start.to_unit_range(lambda images: (images + 1) / 2)
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
            [Record(f"many.f{number % 50}", "wrong", f"2026-01-01T00:00:00.{number % 1000:03d}Z")],
        )
    start = time.perf_counter()
    for _ in range(20):
        record("one.f1", "wrong", "laptop", "hint")
    assert (
        time.perf_counter() - start
    ) / 20 < 0.1  # measured: 1 ms; the bound only catches what would be felt


# ---- broken files, killed and competing writers


def test_lines_that_are_no_records_are_passed_over(file):
    record("one.f1", "correct")
    good = file.read_bytes()
    bad = [b'{"exercise": "one.f2"}', b"\xff\xfe", b"[" * 100_000, b'{"exercise": 1}', b"null", b"{}" * 9,
           b"<<<<<<< HEAD", b'{"part": "a"}', b'["part"]', b'{"part": [], "exercise": []}',
           json.dumps(vars(Record("one.f2", "correct", "today"))).encode(),
           json.dumps(vars(Record("<script>", "correct", "2026-01-01T00:00:00.000Z"))).encode(),
           json.dumps(vars(Record("one.f2", "correct", "2026-01-01T00:00:00.000Z", "<b>"))).encode()]  # fmt: skip
    file.write_bytes(b"\n".join(bad) + good + good[:40])
    assert outcomes() == [("one.f1", "correct")]
    record("one.f2", "open")  # after a line that a kill cut short
    assert outcomes() == [("one.f1", "correct"), ("one.f2", "open")]


def test_a_file_that_cannot_be_used_is_one_quiet_note_and_the_check_goes_on(file, capsys):
    file.mkdir(parents=True)  # even root cannot write to a folder as to a file
    for name in ("one.f1", "one.f2", "one.f3"):
        record(name, "correct")
    right = lambda images: (images + 1) / 2  # noqa: E731
    assert checks.start.to_unit_range(right) is right
    assert capsys.readouterr().out.count("Progress is not recorded") == 1


def test_no_folder_at_all_is_a_quiet_note(monkeypatch, tmp_path, capsys):
    (tmp_path / "in the way").write_text("")
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "in the way" / "runs"))
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(tmp_path / "in the way"))
    record("one.f1", "correct")
    assert "Progress is not recorded" in capsys.readouterr().out


def test_a_full_disk_loses_only_the_line_that_did_not_fit(file, monkeypatch, capsys):
    record("one.f1", "correct")
    write = os.write
    monkeypatch.setattr(progress.os, "write", lambda handle, content: write(handle, content[:30]))
    record("one.f2", "correct")
    assert "Progress is not recorded" in capsys.readouterr().out
    monkeypatch.setattr(progress.os, "write", write)
    record("one.f3", "correct")
    assert outcomes() == [("one.f1", "correct"), ("one.f3", "correct")]


WRITER = """
import sys
from course_utils.learner import progress
for number in range(int(sys.argv[2])):
    progress.record(f"{sys.argv[1]}.f{number}", "correct")
print("done", flush=True)
"""


def test_two_programs_at_the_same_time_lose_nothing(file):
    writers = [child(WRITER, lesson, 150) for lesson in ("one", "two", "three")]
    assert [writer.communicate(timeout=100)[0] for writer in writers] == ["done\n"] * 3
    assert sorted(outcomes()) == sorted(
        (f"{lesson}.f{n}", "correct") for lesson in ("one", "two", "three") for n in range(150)
    )
    assert [path.name for path in file.parent.iterdir()] == [
        "progress.jsonl"
    ]  # no lock stays behind


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_a_program_that_is_killed_while_it_writes_spoils_nothing(file):
    kept = 0
    for trial in range(5):
        before = file.stat().st_size if file.exists() else 0
        writer = child(WRITER, f"trial{trial}", 900)
        while not file.exists() or file.stat().st_size < before + 2000:
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        lines = [line for line in file.read_bytes().split(b"\n") if line]
        assert (
            sum(progress._parse(line) is None for line in lines) <= trial + 1
        )  # at most the line it was writing
        assert len(progress.read()) >= kept + 5
        record(f"trial{trial}.last", "correct")  # the next one waits for nobody
        assert (f"trial{trial}.last", "correct") in outcomes()
        kept = len(progress.read())


def test_without_locks_the_record_is_written_all_the_same(file, monkeypatch):
    def none(lock, *_, **__):
        raise OSError("no locks on this drive")

    monkeypatch.setattr(filelock.FileLock, "acquire", none)
    record("one.f1", "correct")
    assert outcomes() == [("one.f1", "correct")]


def test_a_holder_of_the_lock_that_sleeps_does_not_stop_a_lesson(file, monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0.3)
    file.parent.mkdir(parents=True)
    with paths.held_lock(file.with_suffix(".lock"), lambda: False) as held:
        assert held
        start = time.monotonic()
        record("one.f1", "correct")
        assert time.monotonic() - start < 5
    assert outcomes() == [("one.f1", "correct")]


# ---- elsewhere and anew


def test_export_import_and_reset(tmp_path, monkeypatch):
    record("one.f1", "correct")
    record("one.f2", "wrong", "laptop", "hint")
    exported = progress.export_to(tmp_path / "mine.jsonl")
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "other machine"))
    record("one.f3", "open")
    assert progress.import_from(exported) == 2
    assert progress.import_from(exported) == 0  # twice is once
    assert sorted(outcomes()) == [("one.f1", "correct"), ("one.f2", "wrong"), ("one.f3", "open")]
    old = progress.reset()
    assert progress.read() == [] and progress.reset() is None
    assert progress.import_from(old) == 3


def test_it_lies_in_the_place_that_outlives_the_machine_where_there_is_one(
    file, tmp_path, monkeypatch
):
    monkeypatch.setenv("COURSE_RUNS_COPY", str(tmp_path / "drive" / "runs"))
    record("one.f1", "correct")
    assert (tmp_path / "drive" / "runs" / "progress.jsonl").is_file() and not file.exists()
    assert outcomes() == [("one.f1", "correct")]


def test_a_file_without_records_is_refused(tmp_path):
    (tmp_path / "empty").write_text("hello")
    for name in ("empty", "nothing here"):
        with pytest.raises(CourseError) as caught:
            progress.import_from(tmp_path / name)
        assert caught.value.code == "progress-no-records"


# ---- files of an older program, which held numbers


BY_NUMBERS = Path(__file__).with_name("progress_by_numbers.jsonl")
"""Written by that program: all its exercises solved, 2.2 and both parts of 5.3 after a wrong answer."""
THEN = {
    "2.1": "dcgan.conv_transpose_output_size",
    "2.3": "dcgan.init_dcgan_weights",
    "2.5": "dcgan.slerp",
    "3.4": "vae.negative_elbo",
    "4.3": "bert.parameter_groups",
    "6.2": "metrics.kernel_distance",
    "7.1": "clinic.train_epoch",
    "7.8": "clinic.gan_step",
    "7.12": "clinic.kl",
    "7.22": "clinic.same_training",
}


def old_line(number, part, outcome="correct"):
    values = {"exercise": number, "part": part, "outcome": outcome, "hint": "", "tier": "laptop"}
    return json.dumps(values | {"when": "2026-01-01T00:00:00.000Z"}).encode() + b"\n"


@pytest.fixture
def old(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(BY_NUMBERS.read_bytes())
    return progress.read()


def test_numbers_are_read_as_the_names_that_they_had(old):
    lines = [json.loads(line) for line in BY_NUMBERS.read_text().splitlines() if line]
    assert len(old) == len(lines) == 60  # no line is lost
    assert len({one.exercise for one in old if one.outcome == "correct"}) == 54
    for number, name in THEN.items():
        then = [line["when"] for line in lines if line["exercise"] == number]
        assert then == [one.when for one in old if one.exercise == name], number


def test_what_was_solved_by_number_counts_by_name(old):
    names = {one.exercise for one in old}
    known = [x for lesson in catalogue.lessons() for x in lesson.exercises if names >= {*x.names}]
    found = progress_report.standings(old, catalogue.lessons())
    solved = {number for standing in found for number in standing.solved}
    assert solved == {x.number for x in known}
    # lesson 3's KL and draw share a card now, and lesson 1's scores have two parts more
    assert len(solved) >= 35
    # Both parts of 5.3. (The exercise that was 2.2 is none any more: its record is kept, and counts nowhere.)
    assert sum(sum(standing.tries.values()) for standing in found) == 2


def test_the_two_parts_of_an_exercise_are_its_two_functions(old):
    kept = [(one.exercise, one.outcome) for one in old if "heads" in one.exercise]
    outcomes = ["open", "wrong", "correct"]
    assert kept == [(f"attention.{name}_heads", o) for name in ("split", "merge") for o in outcomes]


@pytest.mark.parametrize("missing", ["exercise_split", "exercise_merge"])
def test_one_part_alone_does_not_solve_it(missing, file):
    parts = {"exercise_split", "exercise_merge"} - {missing}
    file.parent.mkdir(parents=True)
    file.write_bytes(b"".join(old_line("5.3", part) for part in parts))
    both = catalogue.number_of("attention.split_heads")
    found = progress_report.standings(progress.read(), catalogue.lessons())
    assert both in next(one.open for one in found if one.lesson.number == 5)


def test_what_an_old_file_holds_is_not_written_again(old, file):
    record("dcgan.slerp", "correct")
    record("dcgan.slerp", "wrong")
    assert file.read_bytes() == BY_NUMBERS.read_bytes()
    record("attention.a_new_one", "open")
    assert len(progress.read()) == 61


def test_an_old_export_is_taken_in_and_given_out_by_names(tmp_path):
    record("dcgan.slerp", "wrong")
    assert progress.import_from(BY_NUMBERS) == 60
    assert progress.import_from(BY_NUMBERS) == 0
    exported = progress.export_to(tmp_path / "mine.jsonl").read_text()
    assert '"part"' not in exported and exported.count('"dcgan.slerp"') == 2


@pytest.mark.parametrize("number", ["0.0", "0.2", "-1.1", "5.-1", "8.1", "7.23", "7", "", "a.b"])
def test_numbers_that_never_were_are_passed_over(number, file):
    file.parent.mkdir(parents=True)
    file.write_bytes(old_line(number, "exercise"))
    assert progress.read() == []


# ---- what people see


def made(*rows):
    return [
        Record(name, outcome, f"2026-01-{day:02d}T00:00:00.000Z")
        for day, (name, outcome) in enumerate(rows, start=1)
    ]


def next_number(records):
    return progress_report.next_exercise(progress_report.standings(records, LESSONS))[1].number


def test_nothing_done_begins_at_the_beginning():
    said = progress_report.text([], LESSONS)
    assert "0 of 8 exercises solved" in said and "1.1 to 1.6" in said and "2.1, 2.2" in said
    assert "Next: exercise 1.1, thing 1 (easy, 3 minutes), in notebooks/01_one.ipynb" in said


def test_the_next_exercise_is_in_the_lesson_worked_on_last_in_its_order():
    records = made(("one.f1", "correct"), ("two.f", "wrong"), ("two.f", "correct"))
    assert next_number(records) == "2.2"
    one_of_its_two = [*records, *made(("two.split", "correct"), ("two.split", "correct"))]
    assert next_number(one_of_its_two) == "2.2"
    assert next_number([*one_of_its_two, *made(("two.merge", "correct"))]) == "1.2"


def test_tries_are_told_and_a_solved_exercise_stays_solved():
    records = made(
        ("one.f2", "wrong"),
        ("one.f2", "wrong"),
        ("one.f3", "correct"),
        ("one.f3", "wrong"),
        ("nine.f9", "correct"),
    )
    said = progress_report.text(records, LESSONS)
    assert "1 of 8" in said and "1.1, 1.2 (tried twice), 1.4, 1.5, 1.6" in said


def test_everything_solved():
    names = [name for lesson in LESSONS for x in lesson.exercises for name in x.names]
    said = progress_report.text(made(*((name, "correct") for name in names)), LESSONS)
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
    record("start.to_unit_range", "correct")
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
    program = """
import sys
from course_utils.learner import progress_report
print(sorted({'torch', 'numpy'} & set(sys.modules)))
"""
    assert child(program).communicate(timeout=60)[0].strip() == "[]"


# ---- the catalogue


def test_numbers_come_from_the_order_and_names_from_the_checks():
    lessons = catalogue.lessons()
    assert [lesson.number for lesson in lessons] == list(range(len(lessons)))
    for lesson in lessons:
        places = range(1, len(lesson.exercises) + 1)
        assert [x.number for x in lesson.exercises] == [f"{lesson.number}.{n}" for n in places]
        for exercise in lesson.exercises:
            for name in exercise.names:
                assert catalogue.number_of(name) == exercise.number
                assert operator.attrgetter(name)(checks).name == name
    assert catalogue.number_of("dcgan.nothing") == "dcgan.nothing"


def test_shipped_weights_are_in_the_catalogue():
    assert set(shipped.digests()) == {
        path.stem for path in paths.checkpoints_dir().glob("*.safetensors")
    }


def test_a_record_survives_the_file():
    one = Record("clinic.same_training", "wrong", progress._now(), "laptop", "0123abcd", "1.6")
    assert progress._parse(progress._line(one)) == one
