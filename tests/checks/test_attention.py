"""Lesson 05: two functions under one card are two exercises."""

import pytest
from answers.attention import merge, split

from course_utils.checks import CheckFailed, attention
from course_utils.learner import catalogue


def test_both_functions_of_the_card_have_its_number():
    numbers = {catalogue.number_of(f"attention.{name}") for name in ("split_heads", "merge_heads")}
    assert len(numbers) == 1 and numbers.pop().startswith("5.")


def test_a_function_is_judged_by_the_check_that_it_is_given_to():
    """Not by the number of its arguments: `merge_heads` may have more of them, `split_heads` defaults."""
    with pytest.raises(CheckFailed, match="stopped with an error"):
        attention.split_heads(merge)
    with pytest.raises(CheckFailed, match="stopped with an error"):
        attention.merge_heads(split)
