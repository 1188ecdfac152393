"""CIFAR-10 as its authors and torchvision store it. Nothing is unpacked to disk, and no unverified pickle is opened."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_utils import assets
from course_utils.datasets import archives, standin_images
from course_utils.errors import CourseError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NAME = "CIFAR-10"
MEMBERS = {"train": tuple(f"data_batch_{k}.bin" for k in range(1, 6)), "test": ("test_batch.bin",)}
IMAGES_PER_MEMBER = 10_000
# SHA-256 of the members of the authors' binary archive.
MEMBER_SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
ORDER_SEED = 10  # of the fixed order in which sets come
_RECORD = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes
_MAX_MEMBERS = 100  # the archive has 10; a hostile one may have millions


def read_cifar10(
    kind: str, path: Path, split: str, size: int
) -> tuple[Tensor, Tensor, str, tuple[str, ...]]:
    """Read CIFAR-10 and prove that it is the authors' own.

    Args:
        kind: ``"archive"``, ``"binary"`` or ``"torchvision"`` (see `image_sources.recognise`).
        path: the archive, or the folder of batches.
        split: ``"train"`` (50,000 images) or ``"test"`` (10,000).
        size: height and width; only 32, which the images have.

    Returns:
        images uint8 (N, 3, 32, 32), labels int64 (N,), the set's name, the classes' names; in the course's fixed order.

    Raises:
        CourseError: the content is not the published one, or ``size`` is not 32.
    """
    if size != 32:
        raise CourseError(
            "images-cifar10-size",
            f"CIFAR-10 was asked for at {size} pixels.",
            "Its images have 32; making them larger adds pixels but nothing to see.",
            'images = load_images("cifar10", size=32)',
        )
    reader = {"archive": _read_archive, "binary": _read_binary, "torchvision": _read_torchvision}[
        kind
    ]
    images, labels = reader(path, split)
    order = torch.from_numpy(standin_images.permutation(len(images), ORDER_SEED))
    return images[order], labels[order], NAME, CLASSES


def _read_archive(path: Path, split: str) -> tuple[Tensor, Tensor]:
    assets.verify("cifar10", path)
    names = {name: f"cifar-10-batches-bin/{name}" for name in MEMBERS[split]}
    batch = IMAGES_PER_MEMBER * _RECORD
    limits = archives.Limits(
        members=_MAX_MEMBERS, wanted=batch, unpacked=7 * batch
    )  # six, and two notes
    try:
        found = archives.read_members(path, set(names.values()).__contains__, limits)
    except archives.FAILURES as error:
        raise _not_cifar10(path, f"it cannot be read to the end ({error})") from error
    return _decode([_checked(name, found.get(member), path) for name, member in names.items()])


def _read_binary(path: Path, split: str) -> tuple[Tensor, Tensor]:
    batches = []
    for name in MEMBERS[split]:
        file = path / name
        size = file.stat().st_size if file.is_file() else None
        if size is not None and size != IMAGES_PER_MEMBER * _RECORD:
            raise _not_cifar10(path, f"{name} has {size:,} bytes")
        batches.append(_checked(name, None if size is None else file.read_bytes(), path))
    return _decode(batches)


def _checked(name: str, content: bytes | None, path: Path) -> bytes:
    if content is None:
        raise _not_cifar10(path, f"{name} is missing, or is not a regular file")
    if len(content) != IMAGES_PER_MEMBER * _RECORD:
        raise _not_cifar10(path, f"{name} has {len(content):,} bytes")
    if hashlib.sha256(content).hexdigest() != MEMBER_SHA256[name]:
        raise _not_cifar10(path, f"{name} has another SHA-256 than the authors' file")
    return content


def _decode(batches: list[bytes]) -> tuple[Tensor, Tensor]:
    records = np.frombuffer(bytearray(b"".join(batches)), dtype=np.uint8).reshape(-1, _RECORD)
    images = np.ascontiguousarray(records[:, 1:]).reshape(-1, 3, 32, 32)
    return torch.from_numpy(images), torch.from_numpy(records[:, 0].astype(np.int64))


def _read_torchvision(path: Path, split: str) -> tuple[Tensor, Tensor]:
    """Torchvision's layout holds pickles: its class compares their published MD5 sums before it opens one."""
    from torchvision.datasets import CIFAR10

    try:
        data = CIFAR10(root=str(path.parent), train=split == "train", download=False)
    except RuntimeError as error:
        raise _not_cifar10(
            path, "a file is missing or has another MD5 sum than the published one"
        ) from error
    images = torch.from_numpy(np.ascontiguousarray(data.data.transpose(0, 3, 1, 2)))
    return images, torch.tensor(data.targets, dtype=torch.int64)


def _not_cifar10(path: Path, reason: str) -> CourseError:
    return CourseError(
        "images-not-cifar10",
        f"{path} is not CIFAR-10 as its authors published it: {reason}.",
        "Figures measured on it would carry a wrong name, and foreign batches are not opened.",
        f"Move {path.name} to another folder if the course finds it by itself. The authors' archive comes by: "
        'from course_utils import assets; assets.fetch("cifar10"); images = load_images("cifar10")',
    )
