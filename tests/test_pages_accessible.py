"""The Markdown pages of the repository are as accessible as the lessons: the build's own rules hold for them."""

import itertools
import re
from pathlib import Path

import pytest

from course_utils.authoring import accessible
from course_utils.authoring.rules import prose

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "data").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_can_be_read_without_seeing_it(page: Path) -> None:
    text = prose(page.read_text(encoding="utf-8"))
    assert list(accessible.in_markdown(text)) == []
    levels = [len(found[1]) for found in re.finditer(r"^(#{1,6}) \S", text, re.MULTILINE)]
    assert levels[0] == 1 and all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", text):
        assert alt.strip() and (page.parent / target).is_file(), target
