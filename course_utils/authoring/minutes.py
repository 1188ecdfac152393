"""How long a lesson takes to read and to solve: computed from what stands in it, so that nobody types it."""

import re
from pathlib import Path

from course_utils.authoring.exercises import find_cards
from course_utils.authoring.solutions import BEGIN, END
from course_utils.authoring.source import notebook_cells

WORDS_PER_MINUTE = 180
LINES_PER_MINUTE = 20
_SOLUTION = re.compile(rf"^[ \t]*{BEGIN}\n.*?^[ \t]*{END}$", re.DOTALL | re.MULTILINE)
_NOT_READ = re.compile(r"\]\([^)]*\)|<[^<>]*>|\{\{[^{}]*\}\}|^\|[ :|-]+\|$", re.MULTILINE)


def minutes(path: Path) -> int:
    """Minutes of a lesson, to the nearest five: words of its text, lines of its code, and what its cards say."""
    source = path.read_text(encoding="utf-8")
    total = float(sum(card.minutes for card in find_cards(source)[0]))
    for kind, text, _ in notebook_cells(source):
        if kind == "markdown":
            total += len(re.findall(r"\w+", _NOT_READ.sub(" ", text))) / WORDS_PER_MINUTE
        else:
            lines = [line for line in _SOLUTION.sub("", text).split("\n") if line.strip()]
            total += len(lines) / LINES_PER_MINUTE
    return max(5, 5 * round(total / 5))
