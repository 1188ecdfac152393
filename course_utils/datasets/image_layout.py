"""How a folder of images is laid out: folders around it, train and test, class folders. Nothing is decoded here."""

import os
from dataclasses import dataclass
from pathlib import Path

from course_utils.datasets import folders
from course_utils.datasets.image_files import why_not
from course_utils.errors import CourseError

_WRAPPED = 4  # folders around the data that are looked through
_PARTS = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **{"val": "val", "valid": "val", "validation": "val"},
}


@dataclass(frozen=True)
class Layout:
    """Where the images of one split lie.

    Attributes:
        root: the folder whose images, or whose class folders' images, are meant.
        classes: names of the class folders, those of train first; empty where the images lie in one folder.
        has_splits: whether train and test are folders of their own.
        beside: pictures, and folders with pictures, that belong to no split that the course uses.
        told: a sentence on what was taken for what, or "".
    """

    root: Path
    classes: tuple[str, ...]
    has_splits: bool = False
    beside: tuple[str, ...] = ()
    told: str = ""


def layout(folder: Path, split: str) -> Layout:
    """Find out how a folder is laid out.

    A folder that holds nothing but one other is looked through. Train, test and validation are known in any case; the
    validation part is the test set where there is no other. Classes have the numbers that they have in train.

    Args:
        folder: where.
        split: ``"train"`` or ``"test"``.

    Raises:
        CourseError: no folder for this split but one for the other, two for one split, or class folders in one alone.
    """
    place = _unwrapped(folder)
    names = folders.folders_in(place)
    parts = _parts(place, names)
    if not parts:
        return Layout(place, tuple(names))
    others = [n for n in names if n.casefold() not in _PARTS and _pictures_below(place / n)]
    if len(parts) == 1 and others and _loose(next(iter(parts.values()))):
        name = next(iter(parts.values())).name  # a train among buses and cars
        told = f"{name} is taken for a class, like {others[0]} beside it."
        return Layout(place, tuple(names), told=told)
    told = ""
    others += _loose(place)
    if "test" in parts and "val" in parts:
        others.append(parts.pop("val").name)
    elif "val" in parts:
        parts["test"] = parts.pop("val")
        told = f"{parts['test'].name} is the test set, since there is no folder test."
    if split not in parts:
        raise _no_split(folder, split, *parts.values())
    roots = {part: _unwrapped(path) for part, path in parts.items()}
    _require_alike(roots)
    return Layout(roots[split], _class_names(roots), True, tuple(others), told)


def class_number(name: str, classes: tuple[str, ...]) -> int | None:
    """The number of the class that a folder means: of the same name, or of the only one that differs in capitals."""
    if name in classes:
        return classes.index(name)
    alike = [k for k, known in enumerate(classes) if known.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def _class_names(roots: dict[str, Path]) -> tuple[str, ...]:
    """All class folders: those of train, then those that test alone has."""
    train, test = (
        tuple(folders.folders_in(roots[part])) if part in roots else ()
        for part in ("train", "test")
    )
    return train + tuple(name for name in test if class_number(name, train) is None)


def _unwrapped(folder: Path) -> Path:
    """The folder itself, or the one in it that holds all: the only one, with folders in it, and no picture beside."""
    for _ in range(_WRAPPED):
        names = folders.folders_in(folder)
        if len(names) != 1 or names[0].casefold() in _PARTS or _loose(folder):
            break
        if not folders.folders_in(folder / names[0]):
            break
        folder = folder / names[0]
    return folder


def _parts(place: Path, names: list[str]) -> dict[str, Path]:
    """The folders of train, test and val, as many of them as there are."""
    parts: dict[str, Path] = {}
    for name in names:
        part = _PARTS.get(name.casefold())
        if part in parts:
            raise CourseError(
                "images-two-splits",
                f"{place} has two folders for {part}: {parts[part].name} and {name}.",
                "Which of them is meant cannot be told from their names.",
                "Rename the other one, or give one of them alone, of which a sixth is then the test set: "
                f"images = load_images({str(parts[part])!r})",
            )
        if part:
            parts[part] = place / name
    return parts


def _loose(folder: Path) -> list[str]:
    """The names of the pictures directly in a folder."""
    try:
        entries = [e for e in os.scandir(folder) if e.is_file() and not folders.is_hidden(e.name)]
    except OSError:
        return []
    return sorted(entry.name for entry in entries if why_not(entry.path) is None)


def _pictures_below(folder: Path) -> bool:
    return bool(folders.search(folder, why_not).files)


def _require_alike(roots: dict[str, Path]) -> None:
    """Refuse class folders in one part where the pictures of the other have none: their classes would be guessed."""
    with_classes = {part: bool(folders.folders_in(root)) for part, root in roots.items()}
    for part, root in roots.items():
        if not with_classes[part] and any(with_classes.values()) and _loose(root):
            other = next(root for name, root in roots.items() if with_classes[name])
            raise CourseError(
                "images-classes-in-one-split",
                f"{other} has class folders, and the pictures in {root} lie in none.",
                "The classes of those would have to be guessed.",
                "Sort them into the same class folders, or give the sorted part alone, of which a sixth is then the "
                f"test set: images = load_images({str(other)!r})",
            )


def _no_split(folder: Path, split: str, *there: Path) -> CourseError:
    known = there[0]
    other = "train" if split == "test" else "test"
    return CourseError(
        "images-no-split",
        f"{folder} has no folder {split!r}.",
        f"It has {known.name}, so its images are already divided.",
        f"Add {folder.name}/{split}; or give {known.name} alone, of which a sixth is then the test set: "
        f"images = load_images({str(known)!r}, split={split!r}); or ask for the other part: "
        f"images = load_images({str(folder)!r}, split={other!r})",
    )
