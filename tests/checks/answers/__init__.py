"""Right and wrong answers to the exercises, as data: a module for each lesson, named as its folder of checks.

`test_every_exercise.py` asks the check of each exercise about all of them. A lesson's module holds
``RIGHT[function]``, a list of answers, and ``WRONG[function]``, a list of answers each with words of its own hint.
"""

from collections import defaultdict


def book():
    """Empty lists of right and of wrong answers by the function's name, and decorators that add to them.

    ``@right("slerp")`` stands above an answer, ``@wrong("slerp", "words of its hint")`` above a mistake.
    """
    right, wrong = defaultdict(list), defaultdict(list)

    def is_right(name):
        return lambda answer: right[name].append(answer) or answer

    def is_wrong(name, words):
        return lambda answer: wrong[name].append((answer, words)) or answer

    return right, wrong, is_right, is_wrong


class AlwaysEqual:
    """Claims to equal everything."""

    def __eq__(self, other):
        return True

    __hash__ = None
