"""The pages' tables and numbers, filled from the lessons' sources and from what was measured."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.authoring import fill_results
from course_utils.errors import CourseError
from course_utils.machine.lesson_costs import download_mib, duration

_TABLE = re.compile(r"(<!-- lessons[^>]*-->\n)(.*?)(<!-- end of lessons -->)", re.DOTALL)
_NUMBER = re.compile(r"(?<=[\s(])[^\s(<]+(<!-- ([\w-]+\.json):([\w.-]+):(\S*) -->)")
_EXERCISE = re.compile(r"(?<=[\s(])[^\s(<]+(<!-- exercise:([\w.]+) -->)")
_MEMORY = re.compile(r"(<!-- memory[^>]*-->\n)(.*?)(<!-- end of memory -->)", re.DOTALL)
_TITLE = re.compile(r"^# # (\d+)\. (.+)$", re.MULTILINE)
_MINUTES = re.compile(r"\*\*Time\*\* about (\d+) minutes")


def pages(root: Path) -> list[Path]:
    """The pages of a repository: those at its root, in ``docs`` and in ``data``."""
    return sorted(
        [*root.glob("*.md"), *(root / "docs").glob("*.md"), *(root / "data").glob("*.md")]
    )


def fill(text: str, sources: Sequence[Path], folder: Path) -> str:
    """A page with its table of lessons up to date; a tier that was never measured has no column.

    Args:
        text: the page; its table stands between ``<!-- lessons ... -->`` and ``<!-- end of lessons -->``.
        sources: the lessons' sources.
        folder: where the results are (``data/results``).

    Raises:
        CourseError: a source has no title ``# N. Title`` or no line ``**Time** about N minutes``.
    """
    if not _TABLE.search(text):
        return text
    measured = (
        fill_results.load(folder / "lessons.json") if (folder / "lessons.json").is_file() else {}
    )
    here = [measured.get(path.stem, {}) for path in sources]
    tiers = [tier for tier in fill_results.TIERS if any(tier in lesson for lesson in here)]
    head = ["no.", "lesson", "to read and solve", *(f"`{tier}`" for tier in tiers)]
    rows = [
        f"| {' | '.join(head)} |",
        "| --- " * len(head) + "|",
        *(_row(path, lesson, tiers) for path, lesson in zip(sources, here, strict=True)),
    ]
    machines = sorted({entry["machine"] for lesson in here for entry in lesson.values()})
    note = (
        f"\nTime and peak memory of one run, on {'; '.join(machines)}; where nothing is said of a download, there is none.\n"
        if machines
        else ""
    )
    return _TABLE.sub(lambda match: match[1] + "\n".join(rows) + "\n" + note + match[3], text)


def fill_numbers(text: str, folder: Path) -> str:
    """A page with its memory table and each number before ``<!-- FILE.json:dotted.key:FORMAT -->`` up to date.

    Args:
        text: the page.
        folder: where the results are (``data/results``).

    Raises:
        CourseError: a comment names what is not there.
    """
    try:
        text = _EXERCISE.sub(lambda found: fill_results.exercise_number(found[2]) + found[1], text)
        text = _NUMBER.sub(
            lambda found: fill_results.number(folder, *found.groups()[1:]) + found[1], text
        )
    except (LookupError, ValueError, OSError) as error:
        raise CourseError(
            "authoring-no-number",
            f"A number of a page cannot be filled: {str(error).strip(chr(34) + chr(39))}",
            "It stands before a comment that names a file of data/results, a key and a format.",
            "Mend the comment, then run: python3 run.py build",
        ) from None
    return _MEMORY.sub(lambda found: found[1] + _memory(folder / "lessons.json") + found[3], text)


def _memory(path: Path) -> str:
    """Markdown table of each lesson's peak memory in MiB."""
    measured = fill_results.load(path) if path.is_file() else {}
    lessons = [name for name, tiers in sorted(measured.items()) if tiers]
    rows = [
        "| a kernel's peak, MiB | "
        + " | ".join(f"lesson {int(name[:2])}" for name in lessons)
        + " |"
    ]
    rows.append("| --- " * (len(lessons) + 1) + "|")
    for tier in ("smoke", "laptop"):
        peaks = (measured[name].get(tier, {}).get("peak_mib") for name in lessons)
        rows.append(
            f"| `{tier}` | " + " | ".join(f"{peak:,}" if peak else "" for peak in peaks) + " |"
        )
    return "\n".join(rows) + "\n"


def card(path: Path) -> tuple[int, str, int]:
    """Number, title and minutes of a lesson, as its source's first cells state them.

    Raises:
        CourseError: the source has no title ``# N. Title`` or no line ``**Time** about N minutes``.
    """
    source = path.read_text(encoding="utf-8")
    title, minutes = _TITLE.search(source), _MINUTES.search(source)
    if not title or not minutes:
        raise CourseError(
            "authoring-no-card",
            f"{path.name} has no title `# N. Title` or no line `**Time** about N minutes`.",
            "The README's table of lessons is made from them.",
            "Add both to the first cells of the source.",
        )
    return int(title[1]), title[2], int(minutes[1])


def _row(path: Path, measured: Mapping[str, Mapping[str, Any]], tiers: Sequence[str]) -> str:
    number, title, minutes = card(path)
    runs = [_run(path.stem, tier, measured[tier]) if tier in measured else "" for tier in tiers]
    link = f"[{title}](notebooks/{path.stem}.ipynb)"
    return f"| {' | '.join([str(number), link, f'{minutes} min', *runs])} |"


def _run(lesson: str, tier: str, entry: Mapping[str, Any]) -> str:
    size = download_mib(lesson, tier)
    download = f", {size:,.0f} MiB download" if size else ""
    return f"{duration(entry['seconds'])}, {entry['peak_mib'] / 1024:.1f} GiB{download}"
