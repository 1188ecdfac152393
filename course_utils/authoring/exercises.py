"""The exercises of a lesson as its source has them. Their numbers come from the order of their cards, nowhere else.

A card is a heading ``### Exercise: title`` and below it ``*Easy, 5 minutes.*``; its exercise is what is checked between
it and the next card, ``slerp = checks.dcgan.slerp(slerp)``, one function or several.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from course_utils.errors import CourseError

CARD = re.compile(
    r"^# #{2,4} Exercise: (?P<title>.+)\n#\n# \*(?P<level>Easy|Medium|Hard), (?P<minutes>\d+) minutes",
    re.MULTILINE,
)
CHECK = re.compile(
    r"^(?P<name>\w+) = checks\.(?P<lesson>\w+)\.(?P=name)\((?P=name)\)$", re.MULTILINE
)
_HEADING = re.compile(r"^# #{2,4} Exercise\b.*$", re.MULTILINE)
_TITLE = re.compile(r"^# # (\d+)\. ", re.MULTILINE)


@dataclass(frozen=True)
class Card:
    """One exercise of a source.

    Attributes:
        number: ``"2.5"``, from the lesson's number and the place of the card.
        title: in words.
        level: ``easy``, ``medium`` or ``hard``.
        minutes: that it takes.
        names: its functions as checks know them, ``("dcgan.slerp",)``.
        line: of the heading, from 1.
    """

    number: str
    title: str
    level: str
    minutes: int
    names: tuple[str, ...]
    line: int


def cards(path: Path) -> list[Card]:
    """The exercises of a source, in order.

    Raises:
        CourseError: a heading that is no card, a card without a check, or a check without a card.
    """
    text = path.read_text(encoding="utf-8")
    found, headings = list(CARD.finditer(text)), _HEADING.findall(text)
    starts = [card.start() for card in found]
    names = [_names(text[a:b]) for a, b in pairwise([*starts, len(text)])]
    if (
        len(found) != len(headings)
        or not all(names)
        or _names(text[: min(starts, default=len(text))])
    ):
        raise CourseError(
            "authoring-exercise-cards",
            f"{path.name}: the headings of its exercises are {[h[2:] for h in headings]}, "
            f"and under its cards it checks {[list(one) for one in names]}.",
            "Exercises are numbered, and a learner's progress is counted, by these cards in this order.",
            "Write `### Exercise: title`, an empty line, then `*Easy, 5 minutes.*`, above each check "
            "`name = checks.lesson.name(name)`.",
        )
    lesson = _TITLE.search(text)
    return [
        Card(
            f"{lesson[1] if lesson else '?'}.{place}",
            card["title"],
            card["level"].lower(),
            int(card["minutes"]),
            checked,
            text.count("\n", 0, card.start()) + 1,
        )
        for place, (card, checked) in enumerate(zip(found, names, strict=True), start=1)
    ]


def numbers(path: Path) -> dict[str, str]:
    """The number of each exercise of a source by the name of its functions, with the lesson and without it."""
    known = numbers_of_all([path])
    return known | {name.partition(".")[2]: number for name, number in known.items()}


def numbers_of_all(paths: Iterable[Path]) -> dict[str, str]:
    """The number of each exercise of several sources by lesson and function: ``"dcgan.slerp"`` -> ``"2.5"``."""
    return {name: card.number for path in paths for card in cards(path) for name in card.names}


def _names(text: str) -> tuple[str, ...]:
    found = [f"{check['lesson']}.{check['name']}" for check in CHECK.finditer(text)]
    return tuple(dict.fromkeys(found))
