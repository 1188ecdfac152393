"""Checkpoints that survive a kill at any moment: parts first, a manifest with digests last, two generations kept."""

import errno
import hashlib
import itertools
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.paths import atomic_write, fsync_folder

SCHEMA = 1
KEEP = 2
_NAME = re.compile(r"step-(\d{9})(?:-(\d+))?")  # the second number: saved again at the same step
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError)


class Generation(NamedTuple):
    """One saved state: step, named tensors, a JSON record, the damaged generations that were skipped, with reasons.

    ``made_with`` holds the PyTorch version and the number of threads that it was saved under.
    """

    step: int
    tensors: dict[str, Tensor]
    record: dict[str, Any]
    skipped: list[str]
    made_with: dict[str, Any]


class _OtherSchema(ValueError):
    """An intact generation, written by another version of the course."""


def save_generation(
    folder: Path, step: int, tensors: Mapping[str, Tensor], record: Mapping[str, Any]
) -> Path:
    """Save a state under ``folder/step-NNNNNNNNN``; older generations go once this one has been verified.

    Args:
        folder: the run's folder.
        step: number of optimisation steps taken.
        tensors: named tensors of any shape and device.
        record: anything that JSON can hold.

    Raises:
        CourseError: the disk is full (``checkpoint-disk-full``), the folder cannot be written to
            (``checkpoint-cannot-write``) or the disk gave back something else (``checkpoint-not-kept``); older
            generations are then intact.
    """
    # Copies, because tied weights share memory and safetensors refuses that; contiguous, whatever the layout was.
    copies = {
        k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()
    }
    parts = {
        "tensors.safetensors": save_tensors(copies),
        "record.json": json.dumps(record).encode(),
    }
    need = sum(map(len, parts.values())) + 65536
    target = _free_name(folder, step)
    try:
        _write(target, step, parts, need)
        _read(target)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise _cannot_save(folder, need, error) from error
    except _DAMAGE as error:
        shutil.rmtree(target, ignore_errors=True)
        raise _not_kept(folder, error) from error
    prune(folder, target)
    return target


def require_writable(folder: Path) -> None:
    """Make the folder, and try to write in it: better now than after hours of training.

    Raises:
        CourseError: it cannot be made or written to (``checkpoint-cannot-write``).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _cannot_save(folder, 0, error) from error


def newest_generation(folder: Path) -> Generation | None:
    """The newest state whose manifest and digests hold, ordered by step; None where there is none.

    Raises:
        CourseError: it is intact, but was written by another version of the course (``checkpoint-other-schema``).
    """
    skipped: list[str] = []
    for path in generations(folder):
        try:
            tensors, record, manifest = _read(path)
        except _OtherSchema as error:
            raise _other_schema(path, error) from error
        except _DAMAGE as error:
            skipped.append(f"{path.name} {_damage(path, error)}")
            continue
        made_with = {key: manifest.get(key) for key in ("torch", "threads")}
        return Generation(manifest["step"], tensors, record, skipped, made_with)
    if skipped:
        print(f"No checkpoint in {folder} could be read: {'; '.join(skipped)}. Starting at step 0.")
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


def generations(folder: Path) -> list[Path]:
    """Folders of generations, the newest first."""
    found = [
        (match, path) for path in folder.glob("step-*") if (match := _NAME.fullmatch(path.name))
    ]
    found.sort(key=lambda pair: (int(pair[0][1]), int(pair[0][2] or 0)), reverse=True)
    return [path for _, path in found]


def _free_name(folder: Path, step: int) -> Path:
    """Where to write this step. What is there and intact is never overwritten: the new one may not get finished."""
    for number in itertools.count():
        path = folder / (f"step-{step:09d}-{number}" if number else f"step-{step:09d}")
        if not is_intact(path):
            shutil.rmtree(path, ignore_errors=True)
            return path
    raise AssertionError("unreachable")


def _write(target: Path, step: int, parts: Mapping[str, bytes], need: int) -> None:
    """Parts first, the manifest last."""
    target.mkdir(parents=True, exist_ok=True)
    fsync_folder(target.parent)
    if shutil.disk_usage(target).free < need:
        raise OSError(errno.ENOSPC, "not enough free space")
    for name, content in parts.items():
        atomic_write(target / name, content)
    atomic_write(target / "manifest.json", _manifest(step, parts))


def prune(folder: Path, newest: Path) -> None:
    """Keep the generation ``newest`` and the intact ones next to it; remove older ones and what is damaged."""
    others = [path for path in generations(folder) if path != newest]
    intact = [path for path in others if is_intact(path)]
    for path in others:
        if path not in intact[: KEEP - 1]:
            shutil.rmtree(path, ignore_errors=True)


def is_intact(path: Path) -> bool:
    """Whether a generation is all there, as its manifest says."""
    try:
        _read(path)
    except _OtherSchema:
        return True
    except _DAMAGE:
        return False
    return True


def _damage(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and not (path / "manifest.json").exists():
        return "was cut off while it was being saved"
    return f"is damaged ({error})"


def _manifest(step: int, parts: Mapping[str, bytes]) -> bytes:
    body = {
        "schema": SCHEMA,
        "step": step,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "parts": {
            n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in parts.items()
        },
    }
    text = json.dumps(body, sort_keys=True)
    return json.dumps({"body": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Read one generation: tensors, record, manifest; any disagreement with its manifest is an error."""
    outer = json.loads((path / "manifest.json").read_bytes())
    if hashlib.sha256(outer["body"].encode()).hexdigest() != outer["sha256"]:
        raise ValueError("the manifest's own digest differs")
    manifest = json.loads(outer["body"])
    if manifest["schema"] != SCHEMA:
        raise _OtherSchema(f"schema {manifest['schema']}, not {SCHEMA}")
    if not path.name.startswith(f"step-{manifest['step']:09d}"):
        raise ValueError(f"it holds step {manifest['step']}")
    parts = {}
    for name, expected in manifest["parts"].items():
        parts[name] = (path / name).read_bytes()
        if hashlib.sha256(parts[name]).hexdigest() != expected["sha256"]:
            raise ValueError(f"{name} is not what was saved")
    return load_tensors(parts["tensors.safetensors"]), json.loads(parts["record.json"]), manifest


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
        f"The checkpoint needs {need / 2**20:.1f} MiB and the disk has {free / 2**20:.1f} MiB left.",
        f"Earlier checkpoints in {folder} are intact; nothing is lost but the steps since the last one.",
        f"Delete what you no longer need: {folder / 'previous'}, other runs in {folder.parent}, or fetched files in "
        "data/cache; then run the cell again: it goes on.",
    )


def _not_kept(folder: Path, error: Exception) -> CourseError:
    return CourseError(
        "checkpoint-not-kept",
        f"The checkpoint was written to {folder}, but the disk gave back something else ({error}).",
        "The disk or its connection may be failing. Earlier checkpoints were not touched.",
        'Choose a folder on another disk: os.environ["COURSE_RUNS"] = "runs", then run the cell again.',
    )


def _other_schema(path: Path, error: Exception) -> CourseError:
    return CourseError(
        "checkpoint-other-schema",
        f"{path} was written by another version of the course ({error}).",
        "Its parts may mean something else now, so this version does not go on from it.",
        "Use the version that wrote it, or start again with fresh=True (--fresh): the old run is moved aside.",
    )
