"""`data/catalogue.json`, made from the sources: lessons, exercises in the order of their cards, shipped weights."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils.authoring.readme import card
from course_utils.errors import CourseError

_EXERCISE = re.compile(
    r"^# #{2,4} Exercise (?P<number>\d+\.\d+): (?P<title>.+)\n#\n"
    r"# \*(?P<level>Easy|Medium|Hard), (?P<minutes>\d+) minutes",
    re.MULTILINE,
)
_USES = {
    "images": r"load_images\((?!\"standin\")",
    "reviews": r"load_(reviews|texts)\((?!\"(standin|manual)\")",
    "encoder": r"load_encoder\((?!\"standin\")",
}
_CHECK = re.compile(r"^\w+ = checks\.\w+\.exercise_(\d+)_(\d+)\(", re.MULTILINE)


def make(sources: Sequence[Path], checkpoints: Path) -> bytes:
    """The catalogue as JSON.

    Args:
        sources: the lessons' sources.
        checkpoints: the folder of the weights that ship with the course.

    Raises:
        CourseError: a source without a card, or exercises whose headings do not match their checks.
    """
    files = sorted(checkpoints.glob("*.safetensors"))
    content = {
        "lessons": [_lesson(path) for path in sources],
        "checkpoints": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def exercises(path: Path) -> list[dict[str, Any]]:
    """A source's exercises as they come: ``number``, ``title``, ``level``, ``minutes`` and ``parts``, its functions.

    Raises:
        CourseError: their headings do not match their checks.
    """
    text = path.read_text(encoding="utf-8")
    cards = [found.groupdict() for found in _EXERCISE.finditer(text)]
    checked = Counter(".".join(found) for found in _CHECK.findall(text))
    if [one["number"] for one in cards] != list(checked):
        raise CourseError(
            "authoring-exercise-cards",
            f"{path.name} checks the exercises {list(checked)}, and its cards are {[one['number'] for one in cards]}.",
            "A learner's progress is counted by these cards, in this order.",
            "Write `### Exercise N.M: title`, an empty line, then `*Easy, 5 minutes.*`, above each check.",
        )
    return [
        one
        | {
            "level": one["level"].lower(),
            "minutes": int(one["minutes"]),
            "parts": checked[one["number"]],
        }
        for one in cards
    ]


def _lesson(path: Path) -> dict[str, object]:
    text, rows = path.read_text(encoding="utf-8"), exercises(path)
    number, title, minutes = card(path)
    uses = [name for name, call in _USES.items() if re.search(call, text)]
    return {
        "number": number, "name": path.stem, "title": title, "minutes": minutes, "uses": uses, "exercises": rows
    }  # fmt: skip
