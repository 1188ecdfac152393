"""The repository's pages: links lead somewhere, commands exist, numbers are measured, all is readable unseen."""

import ast
import itertools
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from PIL import Image

from course_utils import assets, checks
from course_utils.authoring import accessible, readme
from course_utils.authoring.rules import prose
from course_utils.authoring.source import find_sources
from course_utils.errors import CourseError
from course_utils.learner import catalogue, progress
from course_utils.machine import folders
from measuring import readme_tiles

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path.relative_to(ROOT).as_posix() for path in readme.pages(ROOT)]


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(path):
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", read(page)):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_modules_exist(page):
    usage = subprocess.run(
        [sys.executable, ROOT / "run.py"], capture_output=True, text=True, check=True
    ).stdout
    for command in re.findall(r"run\.py (\w+)", read(page)):
        assert re.search(rf"^  {command}\s", usage, re.M), command
    for module in re.findall(r"-m ((?:course_utils|measuring)[\w.]*)", read(page)):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module
    for path in re.findall(
        r"`((?:course_utils|measuring|tests|data|notebooks|\.github)/[\w./]+\.(?:py|json|yml))`",
        read(page),
    ):
        pattern = re.search(r"NN|name|lesson\b", path)  # CONTRIBUTING.md speaks of files to come
        assert pattern or (ROOT / path).is_file(), path


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_read_without_seeing_it(page):
    text = prose(read(page))
    assert list(accessible.in_markdown(text)) == []
    levels = [len(found[1]) for found in re.finditer(r"^(#{1,6}) \S", text, re.MULTILINE)]
    assert levels[0] == 1 and all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", text):
        assert alt.strip() and ((ROOT / page).parent / target).is_file(), target


def test_the_teachers_page_has_every_lesson_and_numbers_no_exercise_by_hand():
    page = read("TEACHING.md")
    for path in find_sources(ROOT)[1:]:
        number = int(path.stem[:2])
        assert re.search(rf"^\*\*{number} .+<!-- minutes:{number} -->", page, re.M), path.stem
    assert len(re.findall(r"<!-- exercise:", page)) > 10
    typed = re.findall(r"(?<![\d.])[0-7]\.[1-9]\d?(?![\d%])", re.sub(r"\S+<!--.*?-->", "", page))
    assert typed == [], "write 2.5<!-- exercise:dcgan.slerp -->, so that the build fills it"


@pytest.mark.parametrize("page", PAGES)
def test_what_the_build_fills_is_up_to_date(page):
    results, text = ROOT / "data" / "results", read(page)
    filled = readme.fill_numbers(readme.fill(text, find_sources(ROOT), results), results)
    assert filled == text, "python3 run.py build"
    assert not re.search(r"[ (]<!-- [\w-]+(\.json)?:", text), "a comment without its number"


def test_every_measured_number_comes_from_a_file():
    assert read("TEACHING.md").count("json:") > 15 and read("docs/speed.md").count("json:") > 30


@pytest.mark.parametrize("page", PAGES)
def test_no_page_speaks_of_what_was_never_measured(page):
    assert not re.search(r"not (yet )?measured|not measured yet", read(page), re.IGNORECASE)


def test_the_table_of_variables_is_what_the_code_reads():
    rows = re.findall(r"^\| `(COURSE_\w+)` \|", read("docs/environment_variables.md"), re.MULTILINE)
    assert len(rows) == len(set(rows)) and set(rows) == set(folders.VARIABLES)
    code = [*(ROOT / "course_utils").rglob("*.py"), *(ROOT / "measuring").rglob("*.py")]
    code += [*(ROOT / "tests").rglob("conftest.py"), *(ROOT / "notebooks").rglob("*.py")]
    code += [ROOT / "run.py", ROOT / ".ci" / "run", *(ROOT / ".github").rglob("*.yml")]
    named = {
        name
        for path in code
        for name in re.findall(r"\bCOURSE_[A-Z0-9_]+\b", path.read_text(encoding="utf-8"))
    }
    assert named == set(rows)


def test_the_readmes_wrong_answer_is_told_what_stands_there():
    answer, said = re.search(
        r"```python\n(.*?)```.*?```text\n(.*?)\n```", read("README.md"), re.S
    ).groups()
    with pytest.raises(checks.CheckFailed) as failed, progress.paused():
        exec(answer, {"checks": checks})
    (shown,) = failed.value._render_traceback_()
    number = r"-?\d+\.\d+"  # of another processor, the last digit may differ
    expected = pytest.approx([float(text) for text in re.findall(number, said)], rel=1e-4)
    same = [float(text) for text in re.findall(number, shown)] == expected
    assert same and re.sub(number, "#", shown) == re.sub(number, "#", said), (
        f"in README.md, write what the check says now:\n{shown}"
    )


@pytest.mark.parametrize("name", readme_tiles.TILES)
def test_the_readmes_pictures_are_drawn_from_what_ships(name):
    path = f"notebooks/figures/readme_{name}.png"
    assert path in read("README.md")
    with Image.open(ROOT / path) as picture:
        assert picture.info["Source"] == readme_tiles.digest(name), (
            f"python -m measuring.readme_tiles {name}, look at it, and mend its alt text"
        )


def test_the_contributors_page_has_the_tree_with_each_folders_own_words():
    page = read("CONTRIBUTING.md")
    rooms = [
        path.parent.relative_to(ROOT).as_posix()
        for top in ("course_utils", "measuring")
        for path in (ROOT / top).rglob("__init__.py")
        if path.parent.parent.name != "checks"  # one line stands for the folders of all lessons
    ]
    for folder in rooms:
        doc = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text("utf-8")))
        row = re.search(rf"^ *- `{folder}/`: (.+)$", page, re.MULTILINE)
        assert row and doc.startswith(row[1]), f"{folder}/ says of itself: {doc.splitlines()[0]}"


def test_every_result_has_a_program_in_the_table():
    rows = re.findall(
        r"^\| `(.+?)`.*?\| (.*?) \| (.*?) \|", read("docs/measuring.md"), re.MULTILINE
    )
    written = [name for _, files, _ in rows for name in re.findall(r"`(\w+\.json)`", files)]
    there = {path.name for path in (ROOT / "data" / "results").glob("*.json")}
    assert len(written) == len(set(written)) and set(written) == there
    patterns = [name for *_, weights in rows for name in re.findall(r"`([\w*]+)`", weights)]
    shipped = {path.stem for path in (ROOT / "data" / "checkpoints").glob("*.safetensors")}
    assert shipped == {name for name in shipped if any(fnmatch(name, p) for p in patterns)}


def test_the_data_page_says_what_each_lesson_uses():
    page = read("data/README.md")
    rows = {int(n): row for n, row in re.findall(r"^\| (\d+) \| (.+)$", page, re.MULTILINE)}
    words = {"images": "CIFAR-10", "reviews": "IMDB", "encoder": "encoder"}
    manifest = assets.manifest()
    assert set(rows) == {lesson.number for lesson in catalogue.lessons()}
    for lesson in catalogue.lessons():
        for kind, word in words.items():
            assert (word in rows[lesson.number]) == (kind in lesson.uses), (lesson.name, word)
        assert ("images" in lesson.uses) == (lesson.name in manifest["cifar10"].lessons)
        assert ("reviews" in lesson.uses) == (lesson.name in manifest["imdb"].lessons)


def test_numbers_are_filled(tmp_path):
    (tmp_path / "a.json").write_text('{"b": {"c": 0.8593}}')
    text = "right in 1%<!-- a.json:b.c:.1% -->, or (old<!-- a.json:b.c:.2f -->)"
    assert (
        readme.fill_numbers(text, tmp_path)
        == "right in 85.9%<!-- a.json:b.c:.1% -->, or (0.86<!-- a.json:b.c:.2f -->)"
    )
    with pytest.raises(CourseError, match=r"a\.json has no 'b\.d'"):
        readme.fill_numbers("right in 1%<!-- a.json:b.d:.1% -->", tmp_path)


def test_what_a_page_says_of_lessons_is_filled():
    sources = find_sources(ROOT)
    text = "Exercise x<!-- exercise:dcgan.slerp --> of y<!-- minutes:2 --> minutes (z<!-- exercise-minutes:2 -->)"
    filled = readme.fill(text, sources, ROOT / "data" / "results")
    number, minutes, solving = re.findall(r"([\d.]+)<!--", filled)
    assert number == catalogue.number_of("dcgan.slerp") and number.startswith("2.")
    assert 0 < int(solving) < int(minutes)
    lessons = "".join(f" 0<!-- minutes:{int(path.stem[:2])} -->" for path in sources)
    told = readme.fill(f"about 0<!-- hours:all --> hours:{lessons}", sources, ROOT / "data")
    hours, *each = map(int, re.findall(r"(\d+)<!--", told))
    assert len(each) == len(sources) and abs(60 * hours - sum(each)) <= 30
    for comment in ("exercise:dcgan.none", "minutes:99", "hours:99"):
        with pytest.raises(CourseError, match=re.escape(comment)):
            readme.fill(f"no x<!-- {comment} -->", sources, ROOT / "data" / "results")


def test_the_memory_table_is_filled(tmp_path):
    (tmp_path / "lessons.json").write_text(
        '{"01_a": {"smoke": {"peak_mib": 1234}}, "02_b": {}, "03_c": {"laptop": {"peak_mib": 5}}}'
    )
    filled = readme.fill_numbers("<!-- memory -->\nold\n<!-- end of memory -->\n", tmp_path)
    assert (
        "| `smoke` | 1,234 |  |\n| `laptop` |  | 5 |\n<!-- end" in filled
        and "old" not in filled
        and "lesson 2" not in filled
    )
