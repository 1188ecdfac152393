"""The weights that ship with the course: one reader and one writer of ``data/checkpoints``.

They lie there in half precision, each file with the facts of the run that made it, and ``data/catalogue.json`` holds
their digests. What is missing, cut or changed is one error for every network.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import paths
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from torch import Tensor

WHY = "Lessons 2 to 10 compare your network with trained ones that ship with the course."
FIX = "git checkout -- data/checkpoints data/catalogue.json   # or download the course again"


def digests() -> dict[str, str]:
    """SHA-256 of each file of shipped weights, by its name without the ending: ``"dcgan_cifar10"`` and others.

    Raises:
        CourseError: the catalogue is missing or damaged.
    """
    return {Path(file).stem: digest for file, digest in _catalogue()["checkpoints"].items()}


def damage() -> dict[str, str]:
    """What is wrong with the files, by name: those that are missing or not what was shipped.

    Raises:
        CourseError: the catalogue is missing or damaged.
    """
    found = {name: _damage(name, digest) for name, digest in digests().items()}
    return {name: what for name, what in found.items() if what}


def read(name: str) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """Shipped weights, floats as float32, and the facts of the run that made them: data, steps, seed and the like.

    Args:
        name: of the file without its ending, for example ``"vae_cifar10"``.

    Raises:
        CourseError: there are none of this name, or the file is missing or damaged.
    """
    known = digests()
    if name not in known:
        raise CourseError(
            "weights-unknown",
            f"The course ships no weights called {name!r}.",
            f"It ships {', '.join(known)}.",
            f'from course_utils.models import shipped; shipped.read("{next(iter(known))}")',
        )
    if what := _damage(name, known[name]):
        raise _not_whole(f"data/checkpoints/{what}.")
    from safetensors import safe_open  # brings torch, and preflight has to go without either

    with safe_open(path(name), framework="pt") as file:
        about = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    facts = json.loads(about["facts"]) if "facts" in about else about
    return {key: v.float() if v.is_floating_point() else v for key, v in tensors.items()}, facts


def write(name: str, tensors: Mapping[str, "Tensor"], facts: Mapping[str, Any]) -> Path:
    """Ship weights: floats in half precision, the facts beside them, the digest in the catalogue.

    Args:
        name: of the file without its ending.
        tensors: for example a network's ``state_dict()``.
        facts: how they were made, in what JSON can hold.

    Returns:
        The file's path.
    """
    from safetensors.torch import save

    half = {
        key: (v.half() if v.is_floating_point() else v).detach().cpu().contiguous()
        for key, v in tensors.items()
    }
    content = save(half, metadata={"facts": json.dumps(facts)})
    file = paths.atomic_write(path(name), content)
    known = _catalogue()
    listed = {**known["checkpoints"], file.name: hashlib.sha256(content).hexdigest()}
    known["checkpoints"] = dict(sorted(listed.items()))
    text = json.dumps(known, indent=1, ensure_ascii=False) + "\n"
    paths.atomic_write(paths.data_dir() / "catalogue.json", text.encode())
    return file


def path(name: str) -> Path:
    """Where the weights of this name lie, whether or not they are whole."""
    return paths.checkpoints_dir() / f"{name}.safetensors"


def _damage(name: str, digest: str) -> str | None:
    file = path(name)
    if not file.is_file():
        return f"{file.name} is missing"
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        return f"{file.name} is damaged ({len(content):,} bytes)"
    return None


def _catalogue() -> dict[str, Any]:
    try:
        found = json.loads((paths.data_dir() / "catalogue.json").read_text(encoding="utf-8"))
        return {**found, "checkpoints": dict(found["checkpoints"])}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _not_whole(f"data/catalogue.json cannot be read ({type(error).__name__}).") from None


def _not_whole(what: str) -> CourseError:
    return CourseError(
        "weights-damaged",
        what,
        WHY,
        FIX,
    )
