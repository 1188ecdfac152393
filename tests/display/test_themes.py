"""A dark theme: figures bring their own paper, text and tables take the theme's colours. And 1,024 pixels."""

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
NARROW = 880
"""Pixels that JupyterLab leaves for an output in a window of 1,024, with its sidebar closed."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks/figures").glob("*.svg")), ids=lambda p: p.name
)
def test_a_drawing_lies_on_paper_of_its_own(path):
    root = ET.parse(path).getroot()
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    first = next(node for node in root if node.tag not in (f"{SVG}title", f"{SVG}desc"))
    assert first.tag == f"{SVG}rect" and first.attrib["fill"] not in ("none", "transparent")
    assert (float(first.attrib["width"]), float(first.attrib["height"])) == (width, height)
    assert not {"fill-opacity", "opacity"} & set(first.attrib)
    assert width <= NARROW


def strings(path: Path) -> list[str]:
    """The texts of a module, those of f-strings whole, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    joined = [n for n in ast.walk(tree) if isinstance(n, ast.JoinedStr)]
    inside = {id(part) for n in joined for part in ast.walk(n)}
    plain = [n.value for n in ast.walk(tree)
             if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in inside]  # fmt: skip
    return [*plain, *map(ast.unparse, joined)]


def test_html_sets_no_colour_under_or_of_text():
    """A theme's text on a colour of ours, or text of ours on a theme's ground, may be unreadable."""
    found = {}
    for path in sorted((ROOT / "course_utils").rglob("*.py")):
        for text in strings(path):
            if "<" in text and re.search(r"(?<![\w-])(color|background(-color)?)\s*[:=]", text):
                found.setdefault(path.name, []).append(text)
    assert set(found) == {"review_meter.py"}  # a bar of two colours that no text stands on
    for text in found["review_meter.py"]:
        bare = re.sub(r"\{[^{}]*\}", "", text)  # what is filled in are colours and a width
        assert re.sub(r"<[^>]*>|f?['\"]", "", bare).strip() == "", text


def test_widgets_fit_into_a_narrow_window():
    widths = [
        int(width)
        for path in (ROOT / "course_utils/display/widgets").glob("*.py")
        for width in re.findall(
            r"Picture\((\d+)|width:\s?(\d+)px", path.read_text(encoding="utf-8")
        )
        for width in width
        if width
    ]
    assert len(widths) > 5 and max(widths) <= NARROW
