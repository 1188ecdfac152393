"""Typos, and a woman in the place of a man."""

from course_utils.datasets import rewording


def test_a_typo_swaps_the_second_and_third_letter_of_longer_words():
    assert list(rewording.misspelt("a good, moving film")) == [
        "a good, mvoing film",
        "a good, moving flim",
    ]
    assert list(rewording.misspelt("so it is")) == []


def test_capitals_stay_and_parts_of_words_are_left_alone():
    assert rewording.about_women("He saw his hero; the end") == "She saw her hero; the end"
    assert rewording.about_men("The Man in it") and not rewording.about_men("Sher there, human")


def test_nobody_is_left_over():
    for word in rewording.WOMEN:
        assert not rewording.about_men(rewording.about_women(f"so {word} said"))
