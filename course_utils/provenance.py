"""Where a measured result comes from: commit, machine, versions. Every file of ``data/results`` carries it."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from course_utils import runtime

_ROOT = Path(__file__).parents[1]


def provenance() -> dict[str, Any]:
    """Commit (with ``-dirty`` where files differ from it), machine and versions, ready for JSON."""
    device = runtime.default_device()
    return {
        "commit": commit(),
        "machine": {
            "cpu": processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]},
    }


def commit() -> str:
    """The commit that the work tree stands on, ``unknown`` outside a repository."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD").strip()
        return head + (
            "-dirty" if _git("status", "--porcelain", "--untracked-files=no").strip() else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def processor() -> str:
    """The processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True
    ).stdout
