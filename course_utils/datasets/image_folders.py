"""Folders of images: which files there are, whether each can be used, and their pixels in one tensor."""

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import PIL
import torch
from PIL import ImageFile
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from course_utils.datasets import folders, standin_images
from course_utils.datasets.cifar10 import CLASSES, ORDER_SEED
from course_utils.datasets.cifar10 import NAME as CIFAR10
from course_utils.datasets.image_files import NO_PICTURE, decode, kinds, reason, why_not
from course_utils.datasets.image_layout import Layout, class_number, layout
from course_utils.errors import CourseError
from course_utils.paths import atomic_write, cache_dir
from course_utils.progress_bars import bar

_CACHE_FROM = 2_000  # fewer images decode in a moment
_CACHES_KEPT = 4
_THREADS = min(8, os.cpu_count() or 1)
_BATCH = 256  # files that a thread decodes in one go
_LISTED, _SHOWN = 10, 3  # bad files that are named, and examples of each reason
_said: dict[str, str] = {}  # sentence -> the split with which it was said

Bad = tuple[str, str]  # path below the folder, why it cannot be used


@dataclass(frozen=True)
class _Listing:
    """Usable-looking files of a folder, in sorted order, and what of it is not among them."""

    layout: Layout
    files: list[str]  # relative to the layout's root, with "/"
    labels: list[int]
    classes: tuple[str, ...]
    bad: list[Bad]
    left_out: str


class _Decoded(NamedTuple):
    """Decoded files: the pixels, faults and notes by position, and the kinds of file met."""

    images: Tensor
    bad: dict[int, str]
    notes: dict[int, str]
    kinds: set[str]


def read_folder(
    folder: Path, split: str, size: int, limit: int | None, on_bad: str
) -> tuple[Tensor, Tensor, str, tuple[str, ...]]:
    """Read a folder of images: flat, or one folder a class, with or without ``train`` and ``test`` above.

    `image_files.why_not` says which files are pictures, `folders.search` what is hidden and how linked and locked
    folders are met, `image_layout.layout` which folders are splits and classes.

    Args:
        folder: where.
        split: ``"train"`` or ``"test"``; without such folders a fixed sixth of the files is ``"test"``.
        size: height and width of the result in pixels; the shorter side is resized, then the centre is cut out.
        limit: at most so many images; None for all.
        on_bad: ``"error"`` or ``"skip"``.

    Returns:
        images uint8 (N, 3, size, size), labels int64 (N,), the set's name, the classes' names; in a fixed shuffled
        order that does not depend on the file system. What was left out is printed, counted, with the reason.

    Raises:
        CourseError: no images, or files that cannot be used (with ``on_bad="error"``), up to ten of them by name.
    """
    listing = _list(folder, split)
    chosen = _choose(listing, split, limit)
    decoded = _load(listing, chosen, size)
    names = [listing.files[k] for k in chosen]
    _report(
        folder, listing.bad + [(names[k], why) for k, why in sorted(decoded.bad.items())], on_bad
    )
    keep = [k for k in range(len(chosen)) if k not in decoded.bad]
    if not keep:
        raise _no_images(folder, split, listing.left_out)
    _say(listing.left_out, split)
    _say(listing.layout.told and f"{folder.name}: {listing.layout.told}", split)
    for note in sorted(set(decoded.notes.values())):
        noted = sorted(names[k] for k, found in decoded.notes.items() if found == note)
        _say(f"{len(noted):,} of the files in {folder.name} {note} ({_some(noted)}).", split)
    labels = torch.tensor([listing.labels[chosen[k]] for k in keep], dtype=torch.int64)
    images = decoded.images if len(keep) == len(chosen) else decoded.images[torch.tensor(keep)]
    return images, labels, _name(folder, listing.classes, decoded.kinds), listing.classes


# Listing


def _list(folder: Path, split: str) -> _Listing:
    place = layout(folder, split)
    found = folders.search(place.root, why_not)
    for name in place.beside:
        found.leave_out("beside the folders of train and test", name)
    left_out = _left_out(folder if not place.has_splits else folder / place.root.name, found)
    bad = [(f"{path or '.'}/", "a folder that may not be read") for path in found.unreadable]
    loose = [path for path in found.files if "/" not in path]
    if not place.classes:
        own = (folder.resolve().name or "images",)
        return _Listing(place, loose, [0] * len(loose), own, bad, left_out)
    bad += [(path, "lies beside the class folders, so it has no class") for path in loose]
    nested = [path for path in found.files if "/" in path]
    files = sorted(nested, key=lambda path: path.partition("/")[0])  # "a/1" before "a b/1"
    groups = [path.partition("/")[0] for path in files]
    hollow = {*found.folders} - {*groups} - {path.partition("/")[0] for path in found.unreadable}
    bad += [(f"{name}/", "a class folder without images") for name in sorted(hollow)]
    numbers = {name: class_number(name, place.classes) for name in {*groups}}
    labels = [number for group in groups if (number := numbers[group]) is not None]
    return _Listing(place, files, labels, place.classes, bad, left_out)


def _choose(listing: _Listing, split: str, limit: int | None) -> list[int]:
    """Indices into the sorted files, shuffled in the fixed way, of this split only, cut to ``limit``."""
    order = standin_images.permutation(len(listing.files), ORDER_SEED).tolist()
    if not listing.layout.has_splits:
        held_out = -(-len(order) // 6) if len(order) > 1 else 0
        order = order[:held_out] if split == "test" else order[held_out:]
    return order[:limit]


# Decoding


def _load(listing: _Listing, chosen: list[int], size: int) -> _Decoded:
    """The chosen files, decoded; from the cache where it is right."""
    root = f"{listing.layout.root}{os.sep}"  # 50,000 Path objects would take a second
    files = [root + listing.files[k] for k in chosen]
    if len(files) < _CACHE_FROM:
        return _decode_all(files, size)
    key = _fingerprint(files, size)
    path = cache_dir() / "decoded" / f"{key[:32]}.safetensors"
    cached = _read_cache(path, key)
    if cached is None:
        cached = _decode_all(files, size)
        _write_cache(path, key, cached)
    return cached


def _decode_all(files: list[str], size: int) -> _Decoded:
    found = _Decoded(torch.zeros(len(files), 3, size, size, dtype=torch.uint8), {}, {}, set())
    out = found.images.numpy()

    def work(start: int) -> int:
        for k in range(start, min(start + _BATCH, len(files))):
            try:
                out[k], kind, note = decode(files[k], size)
                found.kinds.add(kind)
                if note:
                    found.notes[k] = note
            except Exception as error:  # a broken file can make a decoder raise anything
                found.bad[k] = reason(files[k], error)
        return min(_BATCH, len(files) - start)

    with (
        bar("Reading images", len(files), unit=" images") as shown,
        _strictly(),
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        for done in pool.map(work, range(0, len(files), _BATCH)):
            shown.update(done)
    return found


@contextmanager
def _strictly() -> Iterator[None]:
    """Pillow refuses what is cut short, whatever another library has asked of it, and its warnings are not printed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


# Cache of decoded pixels


def _fingerprint(files: list[str], size: int) -> str:
    """Changes whenever a file comes, goes, or changes its size, time or rights, and with what can be read."""
    facts = [f"version 2, {size} pixels, Pillow {PIL.__version__}, {len(kinds().by_content)} kinds"]
    for file in files:
        try:
            stat = os.stat(file)
            facts.append(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_mode}")
        except OSError:
            facts.append(f"{file}\0missing")
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


def _read_cache(path: Path, key: str) -> _Decoded | None:
    """The cached pixels, or None where there are none or a byte of them has changed."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
            pixels = file.get_tensor("images")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    if facts["key"] != key or facts["sha256"] != hashlib.sha256(pixels.numpy().data).hexdigest():
        return None
    bad, notes = ({int(k): v for k, v in facts[name].items()} for name in ("bad", "notes"))
    return _Decoded(pixels, bad, notes, set(facts["kinds"]))


def _write_cache(path: Path, key: str, decoded: _Decoded) -> None:
    facts = {
        "key": key,
        "sha256": hashlib.sha256(decoded.images.numpy().data).hexdigest(),
        "bad": decoded.bad,
        "notes": decoded.notes,
        "kinds": sorted(decoded.kinds),
    }
    try:
        atomic_write(path, save({"images": decoded.images}, {"facts": json.dumps(facts)}))
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
    name = folder.resolve().name or "images"
    return f"folder {name}" if name.startswith(CIFAR10) else name


def _say(sentence: str, split: str) -> None:
    """Print a sentence once, though train and test of a folder both have it; again when a split is read again."""
    if sentence and _said.setdefault(sentence, split) == split:
        print(sentence)


def _left_out(folder: Path, found: folders.Found) -> str:
    """One line that counts what was left out, by reason, or an empty text."""
    parts = []
    for why, paths in found.left_out.items():
        names = [os.path.splitext(p)[1] or p for p in paths] if why == NO_PICTURE else paths
        parts.append(f"{len(paths):,} × {why} ({_some(list(dict.fromkeys(names)))})")
    return f"Left out of {folder.name}: {'; '.join(parts)}." if parts else ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


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
        f"Mend them or move them elsewhere, or leave them out: "
        f'images = load_images({str(folder)!r}, on_bad="skip")',
    )


def _no_images(folder: Path, split: str, left_out: str) -> CourseError:
    return CourseError(
        "images-none",
        f"No usable image was found in {folder} for {split!r}. {left_out}".strip(),
        "A picture is known by its suffix (.jpg, .png, .webp and all others that Pillow reads); a file without one, by "
        "its content.",
        'Give a folder of images, or one folder a class: images = load_images("path/to/folder")',
    )
