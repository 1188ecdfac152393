"""`data/catalogue.json`, made from the sources: lessons, exercises in the order of their cards, shipped weights."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from course_utils.authoring.exercises import cards
from course_utils.authoring.readme import card

_USES = {
    "images": r"load_images\((?!\"standin\")",
    "reviews": r"load_(reviews|texts)\((?!\"(standin|manual)\")",
    "encoder": r"load_encoder\((?!\"standin\")",
}


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


def _lesson(path: Path) -> dict[str, object]:
    text = path.read_text(encoding="utf-8")
    rows = [
        {
            "number": one.number,
            "title": one.title,
            "level": one.level,
            "minutes": one.minutes,
            "names": list(one.names),
        }
        for one in cards(path)
    ]
    number, title, duration = card(path)
    uses = [name for name, call in _USES.items() if re.search(call, text)]
    return {
        "number": number, "name": path.stem, "title": title, "minutes": duration, "uses": uses, "exercises": rows
    }  # fmt: skip
