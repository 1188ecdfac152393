"""What several checks of this lesson share."""

from typing import Any

from course_utils.checks.core import Answer, CheckFailed, call


def _call(fn: Answer, *args: Any, named: dict[str, str]) -> Any:
    """`call`, with a hint of this lesson's own where the complaint contains one of the words."""
    try:
        return call(fn, *args)
    except CheckFailed as failure:
        hint = next((text for words, text in named.items() if words in failure.got), failure.hint)
        raise CheckFailed(failure.expected, failure.got, hint) from None
