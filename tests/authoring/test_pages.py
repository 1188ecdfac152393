"""The repository's pages: links lead somewhere, commands exist, numbers are measured, all is readable unseen."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils.authoring import accessible, readme, solutions
from course_utils.authoring.rules import prose
from course_utils.authoring.source import find_sources, read_source
from course_utils.errors import CourseError
from course_utils.learner import catalogue

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(ROOT / "data").glob("*.md")]
)


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", read(page)):
        assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_modules_exist(page):
    usage = subprocess.run(
        [sys.executable, ROOT / "run.py"], capture_output=True, text=True, check=True
    ).stdout
    for command in re.findall(r"run\.py (\w+)", read(page)):
        assert re.search(rf"^  {command}\s", usage, re.M), command
    for module in re.findall(r"-m (course_utils[\w.]*)", read(page)):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module
    for path in re.findall(
        r"`((?:course_utils|tests|data|notebooks|\.github)/[\w./]+\.(?:py|json|yml))`", read(page)
    ):
        pattern = re.search(
            r"NN|name|lesson\.py|lesson_", path
        )  # CONTRIBUTING.md speaks of files to come
        assert pattern or (ROOT / path).is_file(), path


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_read_without_seeing_it(page):
    text = prose(read(page))
    assert list(accessible.in_markdown(text)) == []
    levels = [len(found[1]) for found in re.finditer(r"^(#{1,6}) \S", text, re.MULTILINE)]
    assert levels[0] == 1 and all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", text):
        assert alt.strip() and ((ROOT / page).parent / target).is_file(), target


def test_the_teachers_page_names_exercises_that_exist_and_the_lessons_minutes():
    page, known = read("TEACHING.md"), set()
    for path in find_sources(ROOT):
        source, _ = read_source(path, ROOT)
        known |= {region.exercise for region in solutions.find_regions(source)[0]}
        minutes = re.search(r"\*\*Time\*\* about (\d+) minutes", source.text)[1]
        if not path.stem.startswith("00"):
            assert re.search(
                rf"^\*\*{int(path.stem[:2])} [^*]+\*\*, {minutes} minutes", page, re.M
            ), path.stem
    named = re.findall(r"(?<![\d.])(\d\.\d+)(?=[,;]| and)", re.sub(r"[\d.]+<!--.*?-->", "", page))
    assert len(named) > 10 and set(named) <= known, set(named) - known


def test_every_measured_number_comes_from_a_file():
    page = read("TEACHING.md")
    assert page.count("json:") > 15 and readme.fill_numbers(page, ROOT / "data" / "results") == page
    for comment in re.findall(r"(.)<!-- [\w-]+\.json:", page):
        assert comment not in " (", "a comment without its number"


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
    for comment in ("exercise:dcgan.none", "minutes:99"):
        with pytest.raises(CourseError, match=re.escape(comment)):
            readme.fill(f"no x<!-- {comment} -->", sources, ROOT / "data" / "results")


def test_the_memory_table_is_filled(tmp_path):
    (tmp_path / "lessons.json").write_text('{"01_a": {"smoke": {"peak_mib": 1234}}, "02_b": {}}')
    filled = readme.fill_numbers("<!-- memory -->\nold\n<!-- end of memory -->\n", tmp_path)
    assert (
        "| `smoke` | 1,234 |\n| `laptop` |  |\n<!-- end" in filled
        and "old" not in filled
        and "lesson 2" not in filled
    )
