"""Lesson 00: the ten pictures that open it, and their answer."""

from pathlib import Path

from PIL import Image

from measuring.blind_ten import PATH, PHOTOGRAPHS

SOURCE = Path(__file__).parents[2] / "notebooks" / "source" / "00_start_here.py"


def test_the_folded_answer_names_the_photographs():
    first, last = PHOTOGRAPHS[:-1], PHOTOGRAPHS[-1]
    answer = f"The photographs are {', '.join(map(str, first))} and {last}."
    assert answer in SOURCE.read_text(encoding="utf-8")
    assert len(set(PHOTOGRAPHS)) == 5 and {*PHOTOGRAPHS} <= {*range(1, 11)}


def test_the_pictures_ship():
    with Image.open(PATH) as picture:
        assert picture.width > 2 * picture.height
