"""What a source of images is: a folder, CIFAR-10 in one of its forms, or something else, and then what to give."""

import os
import re
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from course_utils.datasets import image_files
from course_utils.errors import CourseError

BINARY, BINARY_FOLDER = "cifar-10-binary.tar.gz", "cifar-10-batches-bin"
PYTHON, PYTHON_FOLDER = "cifar-10-python.tar.gz", "cifar-10-batches-py"
_LISTS = {".txt", ".csv", ".tsv", ".lst", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".xlsx"}
_KNOWN = {"cifar10": "cifar10", "standin": "standin"}


def checked(source: Any) -> str | os.PathLike[str] | None:
    """The source itself, where it is a name or a path, or None.

    Raises:
        CourseError: ``images-source`` for anything else, such as a list of files or a tensor.
    """
    if source is None or isinstance(source, str | os.PathLike):
        return source
    raise CourseError(
        "images-source",
        f"load_images was given a {type(source).__name__}.",
        "It reads one folder, which is named by its path; pictures in memory need no reading.",
        "Pictures that are uint8 tensors already become a set by ImageSet(images, labels, name, False, classes); "
        'files are given by their folder: images = load_images("path/to/folder")',
    )


def recognise(path: Path) -> tuple[str, Path]:
    """Tell how images are stored at ``path``.

    Args:
        path: a file or a folder; of a folder that holds one of CIFAR-10's layouts, that layout is meant.

    Returns:
        ``("archive" | "binary" | "torchvision" | "folder", path)``.

    Raises:
        CourseError: nothing is there, or a file that is not CIFAR-10's archive.
    """
    if os.path.isfile(path):
        if path.name.startswith(BINARY.partition(".")[0]):  # "cifar-10-binary (1).tar.gz" as well
            return "archive", path
        raise _one_file(path)
    if not os.path.isdir(path):
        raise _nothing(path)
    for kind, name in (("binary", BINARY_FOLDER), ("torchvision", PYTHON_FOLDER)):
        for candidate in (path, path / name):
            if candidate.name == name and candidate.is_dir():
                return kind, candidate
    if (path / BINARY).is_file():
        return "archive", path / BINARY
    if (path / PYTHON).is_file():
        raise _python_version(path / PYTHON)
    return "folder", path


def unpack_line(path: Path) -> str:
    """A line of Python that unpacks an archive into a new folder beside it and loads that."""
    folder = path.with_name(re.sub(r"(\.tar)?\.\w+$", "", path.name) or "images")
    if folder.exists():
        folder = folder.with_name(f"{folder.name}-unpacked")
    name, into = str(path), str(folder)
    if zipfile.is_zipfile(path):
        return f"import zipfile; zipfile.ZipFile({name!r}).extractall({into!r}); images = load_images({into!r})"
    return (
        f"import tarfile; tarfile.open({name!r}).extractall({into!r}, filter='data'); "
        f"images = load_images({into!r})"
    )


def _nothing(path: Path) -> CourseError:
    known = _KNOWN.get(re.sub("[^a-z0-9]", "", path.name.lower()))
    fix = 'Give the right path, or images = load_images("standin") to go on without one.'
    if known:
        fix = f"The course's own set is called so: images = load_images({known!r})"
    if ":/" in str(path):
        fix = 'Download it, unpack it and give the folder: images = load_images("path/to/folder")'
    return CourseError(
        "images-not-found",
        f"There is no file or folder {str(path)!r}.",
        "Images are read from a folder on this machine, or from CIFAR-10's archive.",
        fix,
    )


def _one_file(path: Path) -> CourseError:
    """The answer to a file as a source: what it is, and what to give in its place. The file is left as it is."""
    suffix = path.suffix.lower()
    archive = image_files.why_not(str(path)) == image_files.ARCHIVE
    unpackable = (archive or not suffix) and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    if path.name.startswith(PYTHON.partition(".")[0]):
        return _python_version(path)
    if unpackable:
        kind, fix = "an archive", f"Unpack it and give the folder: {unpack_line(path)}"
    elif archive:
        kind = "an archive"
        fix = 'Unpack it with your system\'s own program, then: images = load_images("path/to/folder")'
    elif image_files.why_not(str(path)) is None:
        kind = "a single picture"
        fix = f"Give the folder that it lies in: images = load_images({str(path.absolute().parent)!r})"
    elif suffix in _LISTS:
        kind = "a list or a table"
        fix = 'Put the pictures that it names into a folder: images = load_images("path/to/folder")'
    else:
        kind = "a file that holds no pictures as the course reads them"
        fix = 'Give the folder that holds the pictures: images = load_images("path/to/folder")'
    return CourseError(
        "images-one-file",
        f"{path} is {kind}.",
        f"Images are read from a folder, or from CIFAR-10's archive {BINARY}.",
        fix,
    )


def packed_python(places: Iterable[Path]) -> str:
    """A line for a reader whose cache holds CIFAR-10 in a form that must be unpacked first, or ""."""
    packed = next((place / PYTHON for place in places if (place / PYTHON).is_file()), None)
    return "" if packed is None else f"{packed} is there, but packed. {_python_version(packed).fix}"


def _python_version(path: Path) -> CourseError:
    folder = path.absolute().parent
    return CourseError(
        "images-cifar10-python",
        f"{path.name} is CIFAR-10's Python version, which torchvision unpacks.",
        f"Of that version the folder {PYTHON_FOLDER} is read, after its digests are compared; packed, only {BINARY}.",
        f"Unpack it: import tarfile; tarfile.open({str(path)!r}).extractall({str(folder)!r}, filter='data'); "
        f"images = load_images({str(folder / PYTHON_FOLDER)!r})",
    )
