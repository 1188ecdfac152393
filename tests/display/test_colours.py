"""The course's colours: told apart by colour-blind readers, and dark enough on white paper."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from course_utils.display.plots import COLOURS

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
