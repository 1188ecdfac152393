"""What the tests of all exercise checks share: the stub, the hint of a refused answer, answers bad in general."""

import pytest

from course_utils.checks.core import CheckFailed


class AlwaysEqual:
    """Claims to equal everything."""

    def __eq__(self, other):
        return True

    __hash__ = None


def hint_of(checks, lesson, number, answer):
    """The hint with which a lesson's check number (``checks[number]``) refuses an answer."""
    with pytest.raises(CheckFailed) as caught:
        checks[number](answer)
    assert caught.value.number == f"{lesson}.{number}"
    return caught.value.hint


def stub(lesson, number):
    """An exercise that nobody has attempted yet."""

    def answer(*args):
        raise NotImplementedError(f"Exercise {lesson}.{number}")

    return answer


def doing_first(solution, action, *, result=None):
    """The solution, or ``result``, after an action that no answer should take."""

    def answer(*args):
        action()
        return solution(*args) if result is None else result

    return answer
