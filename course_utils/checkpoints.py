"""Checkpoints that survive a kill at any moment: parts first, a manifest with digests last, two generations kept."""

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.paths import atomic_write

SCHEMA = 1
KEEP = 2
_NAME = re.compile(r"step-(\d{9})")


class Generation(NamedTuple):
    """One saved state: the step, named tensors, a JSON record, and the generations that were skipped, with reasons."""

    step: int
    tensors: dict[str, Tensor]
    record: dict[str, Any]
    skipped: list[str]


def save_generation(folder: Path, step: int, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
    """Save a state under ``folder/step-NNNNNNNNN``; older generations go once this one has been verified.

    Args:
        folder: the run's folder.
        step: number of optimisation steps taken.
        tensors: named tensors of any shape and device.
        record: anything that JSON can hold.

    Raises:
        CourseError: the disk is full (``checkpoint-disk-full``); older generations are then intact.
    """
    target = folder / f"step-{step:09d}"
    parts = {
        "tensors.safetensors": save_tensors({k: v.detach().cpu().contiguous() for k, v in tensors.items()}),
        "record.json": json.dumps(record).encode(),
    }
    need = sum(map(len, parts.values())) + 65536
    try:
        target.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(target).free < need:
            raise OSError(errno.ENOSPC, "not enough free space")
        for name, content in parts.items():
            atomic_write(target / name, content)
        atomic_write(target / "manifest.json", _manifest(step, parts))
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise _cannot_save(folder, need, error) from error
    _read(target)
    for old in sorted(_generations(folder))[:-KEEP]:
        shutil.rmtree(folder / f"step-{old:09d}", ignore_errors=True)
    return target


def newest_generation(folder: Path) -> Generation | None:
    """The newest state whose manifest and digests hold, ordered by step; None where there is none."""
    skipped: list[str] = []
    for step in sorted(_generations(folder), reverse=True):
        path = folder / f"step-{step:09d}"
        try:
            tensors, record = _read(path)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            skipped.append(f"{path.name} is damaged ({error})")
            continue
        return Generation(step, tensors, record, skipped)
    return None


def weights_digest(modules: Mapping[str, torch.nn.Module]) -> str:
    """SHA-256 over names, shapes and values of all parameters and buffers, in order of their names."""
    digest = hashlib.sha256()
    for name, module in sorted(modules.items()):
        for key, value in sorted(module.state_dict().items()):
            data = value.detach().cpu().contiguous()
            digest.update(f"{name}.{key}{data.dtype}{tuple(data.shape)}".encode())
            digest.update(data.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _generations(folder: Path) -> list[int]:
    names = (_NAME.fullmatch(path.name) for path in folder.glob("step-*"))
    return [int(match[1]) for match in names if match]


def _manifest(step: int, parts: Mapping[str, bytes]) -> bytes:
    body = {
        "schema": SCHEMA,
        "step": step,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "parts": {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in parts.items()},
    }
    text = json.dumps(body, sort_keys=True)
    return json.dumps({"body": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read one generation; any disagreement with its manifest is an error."""
    outer = json.loads((path / "manifest.json").read_bytes())
    if hashlib.sha256(outer["body"].encode()).hexdigest() != outer["sha256"]:
        raise ValueError("the manifest's own digest differs")
    manifest = json.loads(outer["body"])
    if manifest["schema"] != SCHEMA or f"step-{manifest['step']:09d}" != path.name:
        raise ValueError(f"schema {manifest['schema']}, step {manifest['step']}")
    parts = {}
    for name, expected in manifest["parts"].items():
        parts[name] = (path / name).read_bytes()
        if hashlib.sha256(parts[name]).hexdigest() != expected["sha256"]:
            raise ValueError(f"{name} is not what was saved")
    return load_tensors(parts["tensors.safetensors"]), json.loads(parts["record.json"])


def _cannot_save(folder: Path, need: int, error: OSError) -> CourseError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return CourseError(
            "checkpoint-cannot-write",
            f"The checkpoint could not be written to {folder}: {error.strerror or error}.",
            "The folder may be read-only or gone. Earlier checkpoints were not touched.",
            'Choose a folder you can write to: os.environ["COURSE_RUNS"] = "runs", then run the cell again.',
        )
    free = shutil.disk_usage(folder).free if folder.exists() else 0
    return CourseError(
        "checkpoint-disk-full",
        f"The checkpoint needs {need / 2**20:.0f} MiB and the disk has {free / 2**20:.0f} MiB left.",
        f"Earlier checkpoints in {folder} are intact; nothing is lost but the steps since the last one.",
        "Delete old runs (folders in data/runs) or files of data/cache, then run the cell again: it goes on.",
    )
