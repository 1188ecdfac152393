"""The pages' tables and numbers, filled from the lessons' sources and from what was measured."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils import results
from course_utils.authoring import fill_results
from course_utils.authoring.exercises import cards
from course_utils.authoring.minutes import minutes
from course_utils.errors import CourseError
from course_utils.machine.lesson_costs import download_mib, duration
from course_utils.tiers import TIERS

_TABLE = re.compile(r"(<!-- lessons[^>]*-->\n)(.*?)(<!-- end of lessons -->)", re.DOTALL)
_NUMBER = re.compile(r"(?<=[\s(])[^\s(<]+(<!-- ([\w-]+\.json):([\w.-]+):(\S*) -->)")
_FACT = re.compile(
    r"(?<=[\s(])[^\s(<]+(<!-- ((?:exercise|minutes|exercise-minutes|hours):[\w.]+) -->)"
)
_MEMORY = re.compile(r"(<!-- memory[^>]*-->\n)(.*?)(<!-- end of memory -->)", re.DOTALL)
_FAULTS = re.compile(r"(<!-- faults[^>]*-->\n)(.*?)(<!-- end of faults -->)", re.DOTALL)
_TITLE = re.compile(r"^# # (\d+)\. (.+)$", re.MULTILINE)
_TIME = "**Time** about {{minutes}} minutes"


def pages(root: Path) -> list[Path]:
    """The pages of a repository: those at its root, in ``docs`` and in ``data``."""
    return sorted(
        [*root.glob("*.md"), *(root / "docs").glob("*.md"), *(root / "data").glob("*.md")]
    )


def fill(text: str, sources: Sequence[Path], folder: Path) -> str:
    """A page with its table of lessons and what it says of them up to date.

    The table stands between ``<!-- lessons ... -->`` and ``<!-- end of lessons -->``; a tier that was never measured
    has no column. A number stands before ``<!-- exercise:dcgan.slerp -->`` (of an exercise, by folder and function),
    ``<!-- minutes:2 -->`` (of lesson 2), ``<!-- exercise-minutes:2 -->`` (of its exercises together) or
    ``<!-- hours:all -->`` (of all lessons).

    Args:
        text: the page.
        sources: the lessons' sources.
        folder: where the results are (``data/results``).

    Raises:
        CourseError: a source has no title ``# N. Title`` or no line ``**Time** about {{minutes}} minutes``, or a
            comment names an exercise or a lesson that does not exist.
    """
    facts = _facts(sources) if _FACT.search(text) else {}
    for found in _FACT.finditer(text):
        if found[2] not in facts:
            raise _cannot_fill(f"there is no {found[2]!r}.")
    text = _FACT.sub(lambda found: facts[found[2]] + found[1], text)
    return _TABLE.sub(lambda found: found[1] + _table(sources, folder) + found[3], text)


def fill_numbers(text: str, folder: Path) -> str:
    """A page with each number before ``<!-- FILE.json:dotted.key:FORMAT -->`` up to date, and its tables.

    A table of memory stands between ``<!-- memory ... -->`` and ``<!-- end of memory -->``, one of faults likewise.

    Args:
        text: the page.
        folder: where the results are (``data/results``).

    Raises:
        CourseError: a comment names what is not there.
    """
    try:
        text = _NUMBER.sub(
            lambda found: fill_results.number(folder, *found.groups()[1:]) + found[1], text
        )
    except (LookupError, ValueError, CourseError) as error:
        raise _cannot_fill(fill_results.reason(error)) from None
    text = _MEMORY.sub(lambda found: found[1] + _memory(folder) + found[3], text)
    return _FAULTS.sub(lambda found: found[1] + _faults(folder) + found[3], text)


def _cannot_fill(why: str) -> CourseError:
    return CourseError(
        "authoring-no-number",
        f"A number of a page cannot be filled: {why}",
        "It stands before a comment: a file of data/results, a key and a format; an exercise; a lesson's minutes.",
        "Mend the comment, then run: python3 run.py build",
    )


def _facts(sources: Sequence[Path]) -> dict[str, str]:
    """What a page may say of lessons and exercises: the comment -> the number before it."""
    facts: dict[str, str] = {}
    for path in sources:
        lesson, known = int(path.stem[:2]), cards(path)
        facts |= {f"exercise:{name}": one.number for one in known for name in one.names}
        facts[f"minutes:{lesson}"] = str(minutes(path))
        facts[f"exercise-minutes:{lesson}"] = str(sum(one.minutes for one in known))
    total = sum(int(value) for name, value in facts.items() if name.startswith("minutes:"))
    return facts | {"hours:all": str(round(total / 60))}


def _table(sources: Sequence[Path], folder: Path) -> str:
    """The README's table of lessons, and where it was measured."""
    measured = results.earlier("lessons.json", folder)
    here = [measured.get(path.stem, {}) for path in sources]
    tiers = [tier for tier in TIERS if any(tier in lesson for lesson in here)]
    head = ["no.", "lesson", "to read and solve", *(f"`{tier}`" for tier in tiers)]
    rows = [
        f"| {' | '.join(head)} |",
        "| --- " * len(head) + "|",
        *(_row(path, lesson, tiers) for path, lesson in zip(sources, here, strict=True)),
    ]
    runs = [entry for lesson in here for entry in lesson.values()]
    machines = sorted({results.in_words(entry["machine"]) for entry in runs})
    if machines:
        rows += ["", f"Time and peak memory of one run, on {' and on '.join(machines)}."]
    return "\n".join(rows) + "\n"


def _memory(folder: Path) -> str:
    """Markdown table of each lesson's peak memory in MiB."""
    measured = results.earlier("lessons.json", folder)
    lessons = [name for name, tiers in sorted(measured.items()) if tiers]
    rows = [
        "| a kernel's peak, MiB | "
        + " | ".join(f"lesson {int(name[:2])}" for name in lessons)
        + " |"
    ]
    rows.append("| --- " * (len(lessons) + 1) + "|")
    for tier in (t for t in TIERS if any(t in measured[name] for name in lessons)):
        peaks = (measured[name].get(tier, {}).get("peak_mib") for name in lessons)
        rows.append(
            f"| `{tier}` | " + " | ".join(f"{peak:,}" if peak else "" for peak in peaks) + " |"
        )
    return "\n".join(rows) + "\n"


def _faults(folder: Path) -> str:
    """Markdown table of what was made to happen, in how many tests, and what came of it."""
    rows = results.read("faults.json", folder)["rows"].values()
    head = ["| made to happen | tests | outcome |", "| --- | --- | --- |"]
    table = [
        f"| {row['fault']} | {row['passed'] + row['failed'] + row['skipped']} | {row['outcome']} |"
        for row in rows
    ]
    return "\n".join(head + table) + "\n"


def card(path: Path) -> tuple[int, str, int]:
    """Number and title of a lesson, as its source's first cells state them, and its computed minutes.

    Raises:
        CourseError: the source has no title ``# N. Title`` or no line ``**Time** about {{minutes}} minutes``.
    """
    source = path.read_text(encoding="utf-8")
    title = _TITLE.search(source)
    if not title or _TIME not in " ".join(source.split()).replace("# ", ""):
        raise CourseError(
            "authoring-no-card",
            f"{path.name} has no title `# N. Title` or no line `{_TIME}`.",
            "The README's table of lessons is made from them.",
            "Add both to the first cells of the source.",
        )
    return int(title[1]), title[2], minutes(path)


def _row(path: Path, measured: Mapping[str, Mapping[str, Any]], tiers: Sequence[str]) -> str:
    number, title, length = card(path)
    runs = [_run(path.stem, tier, measured[tier]) if tier in measured else "" for tier in tiers]
    link = f"[{title}](notebooks/{path.stem}.ipynb)"
    return f"| {' | '.join([str(number), link, f'{length} min', *runs])} |"


def _run(lesson: str, tier: str, entry: Mapping[str, Any]) -> str:
    size = download_mib(lesson, tier)
    download = f", {size:,.0f} MiB download" if size else ""
    return f"{duration(entry['seconds'])}, {entry['peak_mib'] / 1024:.1f} GiB{download}"
