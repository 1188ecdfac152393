"""The README's table of lessons and the numbers of TEACHING.md, filled from what was measured."""

import re
from collections.abc import Sequence
from pathlib import Path

from course_utils.authoring import fill_results
from course_utils.authoring.minutes import minutes
from course_utils.errors import CourseError
from course_utils.machine.lesson_costs import download_mib, duration

_TABLE = re.compile(r"(<!-- lessons[^>]*-->\n)(.*?)(<!-- end of lessons -->)", re.DOTALL)
_NUMBER = re.compile(r"(?<=[\s(])[^\s(<]+(<!-- ([\w-]+\.json):([\w.-]+):(\S*) -->)")
_EXERCISE = re.compile(r"(?<=[\s(])[^\s(<]+(<!-- exercise:([\w.]+) -->)")
_MEMORY = re.compile(r"(<!-- memory[^>]*-->\n)(.*?)(<!-- end of memory -->)", re.DOTALL)
_TITLE = re.compile(r"^# # (\d+)\. (.+)$", re.MULTILINE)
_TIME = "**Time** about {{minutes}} minutes"


def fill(text: str, sources: Sequence[Path], folder: Path) -> str:
    """The README's text with its table of lessons up to date.

    Args:
        text: the README, with the comments ``<!-- lessons ... -->`` and ``<!-- end of lessons -->``.
        sources: the lessons' sources.
        folder: where the results are (``data/results``).

    Raises:
        CourseError: a source has no title ``# N. Title`` or no line ``**Time** about {{minutes}} minutes``.
    """
    measured = (
        fill_results.load(folder / "lessons.json") if (folder / "lessons.json").is_file() else {}
    )
    head = (
        "| no. | lesson | to read and solve | "
        + " | ".join(f"`{tier}`" for tier in fill_results.TIERS)
        + " |"
    )
    rows = [
        head,
        "| --- " * 6 + "|",
        *(_row(path, measured.get(path.stem, {})) for path in sources),
    ]
    machines = sorted(
        {entry["machine"] for lesson in measured.values() for entry in lesson.values()}
    )
    note = (
        f"\nTime, peak memory and download of one run on: {'; '.join(machines)}.\n"
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


def _row(path: Path, measured: dict[str, dict[str, float]]) -> str:
    number, title, duration_minutes = card(path)
    tiers = " | ".join(_tier(path.stem, tier, measured.get(tier)) for tier in fill_results.TIERS)
    return (
        f"| {number} | [{title}](notebooks/{path.stem}.ipynb) | {duration_minutes} min | {tiers} |"
    )


def _tier(lesson: str, tier: str, entry: dict[str, float] | None) -> str:
    size = download_mib(lesson, tier)
    download = f"{size:,.0f} MiB download" if size else "no download"
    time = (
        f"{duration(entry['seconds'])}, {entry['peak_mib'] / 1024:.1f} GiB"
        if entry
        else "not measured yet"
    )
    return f"{time}, {download}"
