"""The README's table of lessons, filled from the sources and from what was measured."""

import re
from collections.abc import Sequence
from pathlib import Path

from course_utils.authoring import results
from course_utils.errors import CourseError

_TABLE = re.compile(r"(<!-- lessons[^>]*-->\n)(.*?)(<!-- end of lessons -->)", re.DOTALL)
_TITLE = re.compile(r"^# # (\d+)\. (.+)$", re.MULTILINE)
_MINUTES = re.compile(r"\*\*Time\*\* about (\d+) minutes")


def fill(text: str, sources: Sequence[Path], folder: Path) -> str:
    """The README's text with its table of lessons up to date.

    Args:
        text: the README, with the comments ``<!-- lessons ... -->`` and ``<!-- end of lessons -->``.
        sources: the lessons' sources.
        folder: where the results are (``data/results``).

    Raises:
        CourseError: a source has no title ``# N. Title`` or no line ``**Time** about N minutes``.
    """
    measured = results.load(folder / "lessons.json") if (folder / "lessons.json").is_file() else {}
    head = "| no. | lesson | to read and solve | " + " | ".join(f"`{tier}`" for tier in results.TIERS) + " |"
    rows = [head, "| --- " * 6 + "|", *(_row(path, measured.get(path.stem, {})) for path in sources)]
    machines = sorted({entry["machine"] for lesson in measured.values() for entry in lesson.values()})
    note = f"\nTime, peak memory and download of one run on: {'; '.join(machines)}.\n" if machines else ""
    return _TABLE.sub(lambda match: match[1] + "\n".join(rows) + "\n" + note + match[3], text)


def _row(path: Path, measured: dict[str, dict[str, float]]) -> str:
    source = path.read_text(encoding="utf-8")
    title, minutes = _TITLE.search(source), _MINUTES.search(source)
    if not title or not minutes:
        raise CourseError(
            "authoring-no-card",
            f"{path.name} has no title `# N. Title` or no line `**Time** about N minutes`.",
            "The README's table of lessons is made from them.",
            "Add both to the first cells of the source.",
        )
    tiers = " | ".join(_tier(path.stem, tier, measured.get(tier)) for tier in results.TIERS)
    return f"| {title[1]} | [{title[2]}](notebooks/{path.stem}.ipynb) | {minutes[1]} min | {tiers} |"


def _tier(lesson: str, tier: str, entry: dict[str, float] | None) -> str:
    size = results.download_mib(lesson, tier)
    download = f"{size:,.0f} MiB download" if size else "no download"
    time = f"{results.duration(entry['seconds'])}, {entry['peak_mib'] / 1024:.1f} GiB" if entry else "not measured yet"
    return f"{time}, {download}"
