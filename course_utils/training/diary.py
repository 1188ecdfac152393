"""What a network wrote while it learned, kept beside its checkpoints: a run that goes on keeps its earlier pages."""

import json
from pathlib import Path

from course_utils.paths import atomic_write

NAME = "diary.json"


class Diary:
    """Texts by the step at which they were written.

    Args:
        folder: of the run.
        step: at which the run stands; what was written after it belongs to another run and is left out.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._file = Path(folder) / NAME
        self.pages: dict[int, str] = {
            at: text for at, text in self._read().items() if at <= step and step
        }

    def write(self, step: int, text: str) -> None:
        """Keep a text, in memory and beside the checkpoints."""
        self.pages[step] = text
        atomic_write(self._file, json.dumps(self.pages).encode())

    def newest(self) -> str:
        """The last page with its step; empty where nothing was written."""
        step = max(self.pages, default=None)
        return "" if step is None else f"step {step:,}: {self.pages[step]}"

    def _read(self) -> dict[int, str]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {int(step): str(text) for step, text in found.items()}
        except (OSError, ValueError, AttributeError):  # none, or half a file
            return {}
