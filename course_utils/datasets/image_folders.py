"""Folders of images: which files there are, whether each can be used, and their pixels in one tensor."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from course_utils.datasets import standin_images
from course_utils.datasets.cifar10 import CLASSES, ORDER_SEED
from course_utils.datasets.image_files import SUFFIXES, decode, reason
from course_utils.errors import CourseError
from course_utils.paths import atomic_write, cache_dir
from course_utils.progress_bars import bar

_CACHE_FROM = 2_000  # fewer images decode in a moment
_CACHES_KEPT = 4
_THREADS = min(8, os.cpu_count() or 1)
_BATCH = 256  # files that a thread decodes in one go
_LISTED = 10

Bad = tuple[str, str]  # path below the folder, why it cannot be used


@dataclass(frozen=True)
class _Listing:
    """Usable-looking files of a folder, in sorted order."""

    root: Path
    files: list[str]  # relative to root, with "/"
    labels: list[int]
    classes: tuple[str, ...]
    bad: list[Bad]
    has_splits: bool


def read_folder(
    folder: Path, split: str, size: int, limit: int | None, on_bad: str
) -> tuple[Tensor, Tensor, str, tuple[str, ...]]:
    """Read a folder of images: flat, or one folder a class, with or without ``train`` and ``test`` above.

    Hidden files and folders (``.ipynb_checkpoints`` too) are not looked at. Grey, palette and 16-bit images become RGB,
    transparency becomes white, EXIF orientation is followed.

    Args:
        folder: where.
        split: ``"train"`` or ``"test"``; without such folders a fixed sixth of the files is ``"test"``.
        size: height and width of the result in pixels; the shorter side is resized, then the centre is cut out.
        limit: at most so many images; None for all.
        on_bad: ``"error"`` or ``"skip"``.

    Returns:
        images uint8 (N, 3, size, size), labels int64 (N,), the set's name, the classes' names; in a fixed shuffled
        order that does not depend on the file system.

    Raises:
        CourseError: no images, or files that cannot be used (with ``on_bad="error"``), up to ten of them by name.
    """
    listing = _list(folder, split)
    chosen = _choose(listing, split, limit)
    if not chosen:
        _report(folder, listing.bad, on_bad)
        raise _no_images(folder, split)
    pixels, bad, kinds = _load(listing, chosen, size)
    _report(
        folder,
        listing.bad + [(listing.files[chosen[k]], why) for k, why in sorted(bad.items())],
        on_bad,
    )
    keep = [k for k in range(len(chosen)) if k not in bad]
    if not keep:
        raise _no_images(folder, split)
    labels = torch.tensor([listing.labels[chosen[k]] for k in keep], dtype=torch.int64)
    pixels = pixels if len(keep) == len(chosen) else pixels[torch.tensor(keep)]
    return pixels, labels, _name(folder, listing.classes, kinds), listing.classes


# Listing


def _list(folder: Path, split: str) -> _Listing:
    has_splits = (folder / "train").is_dir() or (folder / "test").is_dir()
    root = folder / split if has_splits else folder
    if not root.is_dir():
        raise CourseError(
            "images-no-split",
            f"{folder} has no folder {split!r}.",
            "It has the other one of train and test, so its images are already divided.",
            f"Add {folder.name}/{split}, or ask for the other: images = load_images({str(folder)!r}, "
            f"split={'train' if split == 'test' else 'test'!r})",
        )
    groups = sorted(e.name for e in os.scandir(root) if e.is_dir() and not e.name.startswith("."))
    loose = sorted(e.name for e in os.scandir(root) if e.is_file() and _is_image(e.name))
    if not groups:
        return _Listing(root, loose, [0] * len(loose), (folder.name or "images",), [], has_splits)
    files, labels, bad = (
        [],
        [],
        [(name, "lies beside the class folders, so it has no class") for name in loose],
    )
    for label, group in enumerate(groups):
        found = sorted(_walk(root / group, group))
        files += found
        labels += [label] * len(found)
        if not found:
            bad.append((f"{group}/", "a class folder without images"))
    return _Listing(root, files, labels, tuple(groups), bad, has_splits)


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("."):
                yield from _walk(Path(entry.path), f"{prefix}/{entry.name}")
        elif _is_image(entry.name):
            yield f"{prefix}/{entry.name}"


def _is_image(name: str) -> bool:
    """Whether a file is meant as an image; notes and tables that lie among images, and hidden files, are not."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")


def _choose(listing: _Listing, split: str, limit: int | None) -> list[int]:
    """Indices into the sorted files, shuffled in the fixed way, of this split only, cut to ``limit``."""
    order = standin_images.permutation(len(listing.files), ORDER_SEED).tolist()
    if not listing.has_splits:
        held_out = -(-len(order) // 6) if len(order) > 1 else 0
        order = order[:held_out] if split == "test" else order[held_out:]
    return order[:limit]


# Decoding


def _load(
    listing: _Listing, chosen: list[int], size: int
) -> tuple[Tensor, dict[int, str], set[str]]:
    """Pixels of the chosen files, the faults by position, the kinds of file met; from the cache where it is right."""
    files = [
        f"{listing.root}{os.sep}{listing.files[k]}" for k in chosen
    ]  # 50,000 Path objects would take a second
    if len(files) < _CACHE_FROM:
        return _decode_all(files, size)
    key = _fingerprint(files, size)
    path = cache_dir() / "decoded" / f"{key[:32]}.safetensors"
    cached = _read_cache(path, key)
    if cached is None:
        cached = _decode_all(files, size)
        _write_cache(path, key, *cached)
    return cached


def _decode_all(files: list[str], size: int) -> tuple[Tensor, dict[int, str], set[str]]:
    out = np.zeros((len(files), 3, size, size), dtype=np.uint8)
    bad: dict[int, str] = {}
    kinds: set[str] = set()

    def work(start: int) -> int:
        for k in range(start, min(start + _BATCH, len(files))):
            try:
                pixels, kind = decode(files[k], size)
                out[k] = pixels
                kinds.add(kind)
            except Exception as error:  # a broken file can make a decoder raise anything
                bad[k] = reason(files[k], error)
        return min(_BATCH, len(files) - start)

    with (
        bar("Reading images", len(files), unit=" images") as shown,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        for done in pool.map(work, range(0, len(files), _BATCH)):
            shown.update(done)
    return torch.from_numpy(out), bad, kinds


# Cache of decoded pixels


def _fingerprint(files: list[str], size: int) -> str:
    """Changes whenever a file comes, goes, or changes its size or time."""
    facts = [f"version 1, {size} pixels"]
    for file in files:
        try:
            stat = os.stat(file)
            facts.append(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}")
        except OSError:
            facts.append(f"{file}\0missing")
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


def _read_cache(path: Path, key: str) -> tuple[Tensor, dict[int, str], set[str]] | None:
    """The cached pixels, or None where there are none or a byte of them has changed."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
            pixels = file.get_tensor("images")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    if facts["key"] != key or facts["sha256"] != hashlib.sha256(pixels.numpy().data).hexdigest():
        return None
    return pixels, {int(k): why for k, why in facts["bad"].items()}, set(facts["kinds"])


def _write_cache(
    path: Path, key: str, pixels: Tensor, bad: dict[int, str], kinds: set[str]
) -> None:
    facts = {
        "key": key,
        "sha256": hashlib.sha256(pixels.numpy().data).hexdigest(),
        "bad": bad,
        "kinds": sorted(kinds),
    }
    try:
        atomic_write(path, save({"images": pixels}, {"facts": json.dumps(facts)}))
        others = sorted(
            path.parent.glob("*.safetensors"), key=lambda p: p.stat().st_mtime, reverse=True
        )
        for old in others[_CACHES_KEPT:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        print(
            f"The decoded images could not be kept for next time ({error.strerror or error}); that is only slower."
        )


# Names and reports


def _name(folder: Path, classes: tuple[str, ...], kinds: set[str]) -> str:
    """CIFAR-10 from another hand is called a copy; any other folder has its own name."""
    if classes == CLASSES and len(kinds) == 1 and next(iter(kinds)).endswith(" 32x32"):
        return f"CIFAR-10 ({next(iter(kinds)).split()[0]} copy)"
    return folder.resolve().name or "images"


def _report(folder: Path, bad: list[Bad], on_bad: str) -> None:
    if not bad:
        return
    lines = "".join(f"\n    {path}: {why}" for path, why in bad[:_LISTED])
    more = f"\n    and {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
    if on_bad == "skip":
        print(
            f"{len(bad)} of the files in {folder.name} cannot be used and are left out:{lines}{more}"
        )
        return
    raise CourseError(
        "images-bad-files",
        f"{len(bad)} of the files in {folder} cannot be used:{lines}{more}",
        "A set with holes, or with another image in their place, would not be the one you mean.",
        f'Mend or remove them, or leave them out: images = load_images({str(folder)!r}, on_bad="skip")',
    )


def _no_images(folder: Path, split: str) -> CourseError:
    return CourseError(
        "images-none",
        f"No usable image was found in {folder} for {split!r}.",
        f"Files are known by their suffix: {', '.join(sorted(SUFFIXES))}.",
        'Give a folder of images, or one folder a class: images = load_images("path/to/folder")',
    )
