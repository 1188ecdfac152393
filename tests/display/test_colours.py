"""The course's colours: told apart by colour-blind readers, and dark enough on white paper."""

import ast
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from course_utils.display import palette, plots, text_plots
from course_utils.display.palette import COLOURS
from course_utils.display.widgets import review_meter

ROOT = Path(__file__).resolve().parents[2]
# What each kind of reader sees of linear RGB, complete lack of one cone. Source: G. Machado, M. Oliveira, L. Fernandes
# (2009), A Physiologically-based Model for Simulation of Color Vision Deficiency, table of severity 1.0.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
APART = 16  # distance in CIELAB; about 2.3 is the least that an eye notices
READABLE = 4.5  # contrast of text (WCAG 2.2, 1.4.3)
STRONG = 3  # contrast that WCAG 2.2 (1.4.11) asks of graphics; 4.5 of text


def linear(colour: str) -> np.ndarray:
    """Linear RGB of ``#RRGGBB`` (sRGB, IEC 61966-2-1)."""
    levels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def cielab(rgb: np.ndarray) -> np.ndarray:
    ratio = TO_XYZ @ rgb.clip(0, 1) / (TO_XYZ @ np.ones(3))
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast_with_white(colour: str) -> float:
    return float(1.05 / (TO_XYZ[1] @ linear(colour) + 0.05))


def least_distance(colours: tuple[str, ...], reader: str) -> float:
    seen = [cielab(np.array(SEEN[reader]) @ linear(colour)) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize("reader", SEEN)
def test_every_reader_can_tell_the_colours_apart(reader: str) -> None:
    assert least_distance(COLOURS, reader) >= APART


@pytest.mark.parametrize("colour", COLOURS)
def test_lines_are_dark_enough_on_white(colour: str) -> None:
    assert contrast_with_white(colour) >= STRONG


FILLS = (palette.BETTER, palette.NEITHER, palette.WORSE)


@pytest.mark.parametrize("reader", SEEN)
def test_every_reader_can_tell_the_fills_apart(reader: str) -> None:
    assert least_distance(FILLS, reader) >= APART


@pytest.mark.parametrize("fill", FILLS)
def test_black_text_can_be_read_on_the_fills(fill: str) -> None:
    assert 21 / contrast_with_white(fill) >= READABLE


# ---- one palette

NO_HUE = {"black", "white", "grey", "none"}
IN_FORMAT = re.compile(r"[bgrcmykw](?=[-:.ox^s+*,]*$)|C\d")


def sources() -> list[Path]:
    folders = ("course_utils", "measuring", "notebooks/source")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def hues(tree: ast.AST) -> list[str]:
    """The colours and colour maps that a program names by itself."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += re.findall(r"#[0-9a-fA-F]{6}\b", node.value)
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in ("c", "cmap") or "color" in (keyword.arg or ""):
                    named = [n for n in ast.walk(keyword.value) if isinstance(n, ast.Constant)]
                    found += [n.value for n in named if isinstance(n.value, str)]
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("plot", "errorbar"):
                words = [*node.args, *(k.value for k in node.keywords if k.arg == "fmt")]
                texts = [w.value for w in words if isinstance(w, ast.Constant)]
                found += [text for text in texts if isinstance(text, str) and IN_FORMAT.match(text)]
    return [colour for colour in found if colour not in NO_HUE]


def test_no_colour_stands_outside_the_palette() -> None:
    found = {path.name: hues(ast.parse(path.read_text(encoding="utf-8"))) for path in sources()}
    assert {name for name, colours in found.items() if colours} == {"palette.py"}


@pytest.mark.parametrize(
    "line",
    [
        'ax.plot(x, y, color="crimson")',
        'ax.plot(x, y, "r--")',
        'ax.errorbar(x, y, fmt="ko")',
        'ax.plot(x, y, "C0")',
        'ax.scatter(x, y, c=["red" if v else "black" for v in y])',
        'ax.imshow(x, cmap="viridis")',
        "html = f'<b style=\"color:#E69F00\">{x}</b>'",
    ],
)
def test_a_colour_outside_the_palette_is_found(line: str) -> None:
    assert hues(ast.parse(line))


def test_lines_without_a_hue_are_left_in_peace() -> None:
    lines = 'ax.plot(x, y, "--", color="black")\nax.plot(x, y, "o-", color=palette.BLUE, label="C")'
    assert not hues(ast.parse(lines))


def test_the_review_meter_and_its_picture_have_one_pair_of_colours() -> None:
    def margin(texts: list[str]) -> torch.Tensor:
        return torch.tensor([1.0 if "good" in text else -1.0 for text in texts])

    page = review_meter.verdict_html(review_meter.judge(margin, "good film"))
    assert re.findall(r"#[0-9A-Fa-f]{6}", page) == [palette.NEGATIVE, palette.POSITIVE]
    figure, axes = plots.subplots(1, 2)
    review_meter.review_meter_static(axes[0], margin, ["good film"], "title")
    text_plots.word_bars(axes[1], ["good", "bad"], [1.0, -1.0], "effect", "title")
    bars = [to_hex(patch.get_facecolor()).upper() for ax in axes for patch in ax.patches]
    assert bars == [palette.NEGATIVE, palette.POSITIVE, palette.POSITIVE, palette.NEGATIVE]
    plots.plt.close(figure)


def test_colours_of_the_diagrams_are_dark_enough() -> None:
    for path in (ROOT / "notebooks" / "figures").glob("*.svg"):
        used = set(
            re.findall(r"(?:fill|stroke)=\"(#[0-9a-fA-F]{6})\"", path.read_text(encoding="utf-8"))
        )
        pale = [colour for colour in used - {"#ffffff"} if contrast_with_white(colour) < STRONG]
        assert used and not pale, f"{path.name}: {pale}"


def test_the_measure_finds_what_is_not_safe() -> None:
    assert contrast_with_white("#000000") == pytest.approx(21) and contrast_with_white(
        "#FFFFFF"
    ) == pytest.approx(1)
    assert contrast_with_white("#E69F00") < STRONG  # a pale orange
    assert (
        least_distance(("#D62728", "#2CA02C"), "all cones") > 5 * APART
    )  # matplotlib's red and green ...
    assert (
        least_distance(("#BF5A00", "#788A00"), "deuteranopia") < APART
    )  # ... and a pair that looks alike
