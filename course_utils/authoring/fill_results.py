"""Fill a lesson's text from measured results, so that no number is typed by hand.

In a Markdown cell of a source:

- ``{{result:FILE.json:dotted.key:FORMAT}}`` becomes that value of ``data/results/FILE.json`` in Python's format
  (``.1f``, ``,d``, ``.0%``; may be left out);
- ``{{exercise:slerp}}`` becomes the number of this lesson's exercise, ``{{exercise:gan.gan_step}}`` that of another's,
  and the heading of each card gets its number;
- ``{{minutes}}`` becomes the computed minutes of the lesson;
- ``{{tiers}}`` on a line of its own becomes the table of the lesson's measured time, memory and download per tier.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import results
from course_utils.authoring.exercises import Card
from course_utils.authoring.source import Cell, Problem
from course_utils.errors import CourseError
from course_utils.machine.lesson_costs import download_mib, duration
from course_utils.tiers import TIERS

_FIELD = re.compile(r"\{\{\s*([a-z_]+)(?::([^{}]*))?\s*\}\}")
_HELP = "`{{result:FILE.json:dotted.key:FORMAT}}`, or `{{tiers}}` on a line of its own (in LaTeX: `{ {x} }`)."


@dataclass(frozen=True)
class Page:
    """What a lesson's text is filled from.

    Attributes:
        lesson: its name.
        results: the folder of the results.
        cards: its exercises in order.
        numbers: of its exercises by function, and of all lessons' by lesson and function.
        minutes: that it takes.
    """

    lesson: str
    results: Path
    cards: Sequence[Card]
    numbers: Mapping[str, str]
    minutes: int


def fill(cell: Cell, page: Page) -> tuple[str, list[Problem]]:
    """A Markdown cell's text with its placeholders filled.

    Args:
        cell: a Markdown cell.
        page: the lesson that it stands in.

    Returns:
        The text, and a problem for each placeholder that cannot be filled.
    """
    lines, problems = [], []
    numbers = {card.line: card.number for card in page.cards}
    for number, text in cell.lines:
        if number in numbers:
            text = text.replace("Exercise:", f"Exercise {numbers[number]}:", 1)
        try:
            lines.append(_FIELD.sub(lambda field: _value(field, page), text))
        except (LookupError, ValueError, CourseError) as error:
            lines.append(text)
            problems.append(Problem(number, reason(error), _HELP))
    return "\n".join(lines), problems


def number(folder: Path, file: str, key: str, spec: str) -> str:
    """A measured value as text.

    Args:
        folder: where the results are (``data/results``).
        file: a results file, for example ``"dcgan_laptop.json"``.
        key: where in it, with dots.
        spec: Python's format, may be empty.

    Raises:
        LookupError, ValueError: there is no such value, or it does not go into this format.
        CourseError: the file is missing or damaged.
    """
    value = _look_up(results.read(file, folder), key, file)
    try:
        return format(value, spec)
    except ValueError as error:
        raise ValueError(
            f"{file}:{key}: {value!r} does not go into the format {spec!r} ({error})."
        ) from None


def tier_table(lesson: str, measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown table of a lesson's measured time, memory and download per tier (``{tier: entry}``).

    A tier that was never measured has no row; what it downloads is said in a sentence below the table.
    """
    rows = [_tier_row(lesson, tier, measured[tier]) for tier in TIERS if tier in measured]
    head = [
        "| tier | time | peak memory | download | measured on |",
        "| --- | --- | --- | --- | --- |",
    ]
    missing = {tier: download_mib(lesson, tier) for tier in TIERS if tier not in measured}
    notes = [
        f"Tier `{tier}` downloads {size:,.0f} MiB on first use."
        for tier, size in missing.items()
        if size
    ]
    return "\n\n".join("\n".join(part) for part in (rows and head + rows, notes) if part)


def reason(error: Exception) -> str:
    """Why a number cannot be filled in, in one sentence."""
    return error.what if isinstance(error, CourseError) else str(error).strip("'\"")


def _value(field: re.Match[str], page: Page) -> str:
    name, lesson, folder = field[1], page.lesson, page.results
    if name == "minutes":
        return str(page.minutes)
    if name == "exercise":
        if field[2] not in page.numbers:
            raise LookupError(f"There is no exercise {field[2]!r}.")
        return page.numbers[field[2]]
    if name == "tiers" and field.string.strip() == field[0]:
        return tier_table(lesson, results.earlier("lessons.json", folder).get(lesson, {}))
    file, _, key_and_format = (field[2] or "").partition(":")
    key, _, spec = key_and_format.partition(":")
    if name != "result" or not re.fullmatch(r"[\w-]+\.json", file) or not key:
        raise ValueError(f"Unknown placeholder {field[0]}.")
    return number(folder, file, key, spec)


def _look_up(value: Any, key: str, file: str) -> int | float | str:
    for part in key.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (LookupError, ValueError, TypeError):
            raise LookupError(f"data/results/{file} has no {key!r} (no {part!r} there).") from None
    if not isinstance(value, int | float | str):
        raise LookupError(
            f"{key!r} of data/results/{file} is not a number or text but a {type(value).__name__}."
        )
    return value


def _tier_row(lesson: str, tier: str, entry: Mapping[str, Any]) -> str:
    download = f"{size:,.0f} MiB" if (size := download_mib(lesson, tier)) else "none"
    cells = (
        tier,
        duration(entry["seconds"]),
        f"{entry['peak_mib']:,.0f} MiB",
        download,
        results.in_words(entry["machine"]),
    )
    return f"| {' | '.join(cells)} |"
