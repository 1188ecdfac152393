"""The exercises of a lesson as its source has them. Their numbers come from the order of their cards, nowhere else.

A card is a heading ``### Exercise: title`` and below it ``*Easy, 5 minutes.*``; its exercise is what is checked between
it and the next card, ``slerp = checks.dcgan.slerp(slerp)``, one function or several.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from course_utils.authoring.source import BadSource, Problem

CARD = re.compile(
    r"^# #{2,4} Exercise: (?P<title>.+)\n#\n# \*(?P<level>Easy|Medium|Hard), (?P<minutes>\d+) minutes",
    re.MULTILINE,
)
CHECK = re.compile(
    r"^(?P<name>\w+) = checks\.(?P<lesson>\w+)\.(?P=name)\((?P=name)\)$", re.MULTILINE
)
_HEADING = re.compile(r"^# #{2,4} Exercise\b", re.MULTILINE)
_CHECKED = re.compile(r"^[\w, ]+ = checks\.\w+\.", re.MULTILINE)
_TITLE = re.compile(r"^# # (\d+)\. ", re.MULTILINE)
_WRITE_CARD = "`### Exercise: title`, an empty line, then `*Easy, 5 minutes.*`"
_WRITE_CHECK = "`name = checks.lesson.name(name)`"


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


def find_cards(text: str) -> tuple[list[Card], list[Problem]]:
    """The exercises of a source's text, in order, and everything that is wrong with their cards and checks."""
    lesson, found = _TITLE.search(text), list(CARD.finditer(text))
    ends = [*(card.start() for card in found), len(text)][1:]
    cards = [
        Card(
            number=f"{lesson[1] if lesson else '?'}.{place}",
            title=card["title"],
            level=card["level"].lower(),
            minutes=int(card["minutes"]),
            names=tuple(dict.fromkeys(_name(one) for one in CHECK.finditer(text, card.end(), end))),
            line=_line(text, card),
        )
        for place, (card, end) in enumerate(zip(found, ends, strict=True), start=1)
    ]
    return cards, [*_bad_cards(text, cards), *_bad_checks(text, cards)]


def cards(path: Path) -> list[Card]:
    """The exercises of a source, in order.

    Raises:
        BadSource: a heading that is no card, a card without a check, or a check without a card.
    """
    found, problems = find_cards(path.read_text(encoding="utf-8"))
    if problems:
        raise BadSource({f"notebooks/source/{path.name}": problems})
    return found


def numbers(path: Path) -> dict[str, str]:
    """The number of each exercise of a source by the name of its functions, with the lesson and without it."""
    known = {name: card.number for card in cards(path) for name in card.names}
    return known | {name.partition(".")[2]: number for name, number in known.items()}


def numbers_of_all(paths: Iterable[Path]) -> dict[str, str]:
    """The number of each exercise of several sources by lesson and function: ``"dcgan.slerp"`` -> ``"2.5"``."""
    found = (card for path in paths for card in find_cards(path.read_text(encoding="utf-8"))[0])
    return {name: card.number for card in found for name in card.names}


def _bad_cards(text: str, cards: list[Card]) -> Iterable[Problem]:
    whole = {card.line for card in cards}
    for heading in _HEADING.finditer(text):
        if _line(text, heading) not in whole:
            what = "The heading of an exercise that is no card."
            yield Problem(_line(text, heading), what, f"{_WRITE_CARD}.")
    for card in cards:
        if not card.names:
            fix = f"{_WRITE_CHECK} below it, above the next card."
            yield Problem(card.line, "A card without a check.", fix)


def _bad_checks(text: str, cards: list[Card]) -> Iterable[Problem]:
    first = min((card.line for card in cards), default=text.count("\n") + 2)
    seen: dict[str, int] = {}
    for check in CHECK.finditer(text):
        name, line = _name(check), _line(text, check)
        if line < first:
            yield Problem(line, f"`{name}` is checked without a card.", f"{_WRITE_CARD}, above it.")
        card = sum(card.line < line for card in cards)
        if seen.setdefault(name, card) != card:
            fix = "it under one of them: a function has one number."
            yield Problem(line, f"`{name}` is checked under two cards.", fix)
    sound = {_line(text, check) for check in CHECK.finditer(text)}
    for check in _CHECKED.finditer(text):
        if _line(text, check) not in sound:
            fix = f"{_WRITE_CHECK}, with one name throughout and nothing behind it."
            yield Problem(_line(text, check), "A check in another form.", fix)


def _name(check: re.Match[str]) -> str:
    return f"{check['lesson']}.{check['name']}"


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1
