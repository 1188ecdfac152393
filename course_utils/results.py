"""The measured results in ``data/results``: their one reader, their one writer, and where each comes from.

A file is one JSON object: what was measured and, beside it, ``commit``, ``machine`` and ``versions``, and ``seed``
where one seed rules the whole. A record that was measured on its own (a row of ``bench.json``, a lesson's tier in
``lessons.json``) carries what differs itself.
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.paths import atomic_write, results_dir

_ROOT = Path(__file__).parents[1]
_WRITTEN_BY_RUNS = ("data/results", "notebooks/*.ipynb", "*.md")
"""What a measuring program and a build write themselves: no result depends on it."""
_FLAT_LIST = re.compile(r'\[[^\[\]{}"]+\]')


def read(name: str, folder: Path | None = None) -> dict[str, Any]:
    """A measured result.

    Args:
        name: its file, for example ``"bench.json"``.
        folder: where it lies; default: the course's ``data/results``.

    Raises:
        CourseError: the file is missing or damaged.
    """
    try:
        found = json.loads(((folder or results_dir()) / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _unreadable(f"There is no data/results/{name}.") from None
    except (OSError, ValueError) as error:  # a byte or a letter that is no JSON
        raise _unreadable(f"data/results/{name} cannot be read: {error}.") from None
    if not isinstance(found, dict):
        raise _unreadable(f"data/results/{name} holds a {type(found).__name__}, not an object.")
    return found


def earlier(name: str, folder: Path | None = None) -> dict[str, Any]:
    """As `read`, but {} where there is no such file yet."""
    return read(name, folder) if ((folder or results_dir()) / name).exists() else {}


def write(
    name: str,
    content: Mapping[str, Any],
    made_with: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> Path:
    """Write a measured result with its provenance; a reader sees the old file or the new one. Returns its path.

    Args:
        name: its file, for example ``"bench.json"``.
        content: what was measured, with ``seed`` where there is one.
        made_with: its `provenance`, where it was taken earlier; ``{}`` where every record has its own.
        folder: where it lies; default: the course's ``data/results``.
    """
    whole = {**content, **(provenance() if made_with is None else made_with)}
    text = _FLAT_LIST.sub(_on_one_line, json.dumps(whole, indent=1, ensure_ascii=False))
    return atomic_write((folder or results_dir()) / name, f"{text}\n".encode())


def provenance() -> dict[str, Any]:
    """Where a result comes from that is measured now: ``commit``, ``machine`` and ``versions``."""
    import torch  # not above: whoever only reads results need not wait for it

    return {
        "commit": commit(),
        "machine": {
            "cpu": processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]},
    }


def commit() -> str:
    """The commit that the work tree stands on, with ``-dirty`` where code or data differ; ``unknown`` outside one."""
    but = [f":(exclude){path}" for path in _WRITTEN_BY_RUNS]
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *but)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def processor() -> str:
    """The processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def in_words(machine: Mapping[str, Any]) -> str:
    """The machine of a result for a reader: ``2 cores of AMD EPYC``, with its GPU before where there is one."""
    cores = f"{machine['cores']} cores of {machine['cpu']}"
    return f"{machine['gpu']}, {cores}" if machine.get("gpu") else cores


def _unreadable(what: str) -> CourseError:
    return CourseError(
        "results-unreadable",
        what,
        "The course's texts and figures take their measured numbers from there.",
        "Take the file back from the course's history: git checkout -- data/results",
    )


def _on_one_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r"\n *", " ", found[0][1:-1]).strip() + "]"


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
