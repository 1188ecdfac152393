"""One set of labelled images from CIFAR-10, from any folder of images, or drawn by the course itself."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_utils import assets, runtime
from course_utils.datasets import cifar10, image_folders, image_sources, standin_images
from course_utils.errors import CourseError
from course_utils.paths import cache_places, resolve
from course_utils.tiers import TIERS

SPLITS = ("train", "test")
SIZES = (32, 64)
# Where the default source looks for CIFAR-10, in this order, below the cache folder.
_LAYOUTS = (
    image_sources.BINARY,
    image_sources.BINARY_FOLDER,
    image_sources.PYTHON_FOLDER,
    "cifar10",
)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images that know where they come from.

    Attributes:
        images: uint8, shape (N, 3, H, W), RGB, 0 to 255.
        labels: int64, shape (N,), index into ``classes``.
        name: what figures and tables call the set, for example ``"CIFAR-10 (JPEG copy)"``.
        is_standin: whether the pictures were drawn by the course to stand in for CIFAR-10.
        classes: the classes' names.
        split: ``"train"`` or ``"test"``.
        factors: what each stand-in picture was drawn from, tensors of shape (N,) (see
            :func:`course_utils.datasets.standin_images.make_factors`); None for every other set.

    Raises:
        CourseError: images or labels of another type, shape or range.
    """

    images: Tensor
    labels: Tensor
    name: str
    is_standin: bool
    classes: tuple[str, ...]
    split: str = "train"
    factors: dict[str, Tensor] | None = None

    def __post_init__(self) -> None:
        _check_images(self.images)
        _check_labels(self.labels, len(self.images), len(self.classes))
        for name, values in (self.factors or {}).items():
            if len(values) != len(self.images):
                raise _bad_set(
                    "factors",
                    f"Factor {name!r} has {len(values)} values for {len(self.images)} images.",
                )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        n, _, height, width = self.images.shape
        return f"ImageSet({self.name}, {self.split}: {n:,} images of {height}×{width}, {len(self.classes)} classes)"

    def subset(self, indices: Tensor | slice) -> "ImageSet":
        """The images at ``indices`` (a slice, or an int64 or bool tensor), with their labels and factors."""
        factors = (
            None
            if self.factors is None
            else {name: value[indices] for name, value in self.factors.items()}
        )
        images, labels = self.images[indices], self.labels[indices]
        return ImageSet(
            images, labels, self.name, self.is_standin, self.classes, self.split, factors
        )

    def take(self, n: int) -> "ImageSet":
        """The first ``n`` images (all of them where there are fewer): a fair sample, since sets come shuffled."""
        _check_limit(n)
        return self.subset(slice(0, n))

    @property
    def is_own(self) -> bool:
        """Whether these are somebody's own pictures, of which a lesson cannot know what they show."""
        return not self.is_standin and not self.name.startswith(cifar10.NAME)

    @property
    def sha256(self) -> str:
        """Digest of pixels and labels, in this order: a training run never goes on with other data."""
        digest = hashlib.sha256(self.images.contiguous().numpy().data)
        digest.update(self.labels.contiguous().numpy().data)
        return digest.hexdigest()

    def title(self, text: str) -> str:
        """A figure's or table's title that says which set it shows; a stand-in is always called one."""
        mark = "" if not self.is_standin or "stand-in" in self.name else "stand-in, "
        return f"{text} [{mark}{self.name}]"


def load_images(
    source: str | os.PathLike[str] | None = None,
    split: str = "train",
    size: int = 32,
    limit: int | None = None,
    on_bad: str = "error",
    tier: str | None = None,
) -> ImageSet:
    """Load a set of images.

    Without a ``source``, ``COURSE_IMAGES`` is used where it is set. Otherwise tier ``smoke`` takes the stand-in,
    ``laptop`` takes CIFAR-10 where it lies in the cache folder and the stand-in where it does not, and ``gpu`` fetches
    CIFAR-10 on first use. Whenever the stand-in is used in place of CIFAR-10, a printed line says so.

    Sets come in a fixed shuffled order, the same on every machine, so that the first ``n`` are a fair sample.

    Args:
        source: ``"standin"``, ``"cifar10"``, or the path of an image folder (flat, or one folder a class, with or
            without ``train`` and ``test`` above, and what it may be wrapped in), of ``cifar-10-binary.tar.gz``, or of
            torchvision's ``cifar-10-batches-py``.
        split: ``"train"`` or ``"test"``; of a folder without the two, a fixed sixth of the images is ``"test"``.
        size: height and width in pixels, 32 or 64; the shorter side is resized, then the centre is cut out.
        limit: at most so many images, the first of the shuffled order (less those left out); None for all.
        on_bad: what to do about files that cannot be used: ``"error"`` lists them in one error, ``"skip"`` leaves them
            out and says so.
        tier: its name; None for this machine's.

    Raises:
        CourseError: an unknown option, a source that is missing or damaged, files that cannot be used.
    """
    _check_options(split, size, limit, on_bad)
    source = image_sources.checked(source) or os.environ.get("COURSE_IMAGES") or None
    if source is None:
        source = _default_source(tier or runtime.tier())
    if source == "standin":
        return _standin(split, size, limit)
    if source == "cifar10":
        source = _cifar10_path() or assets.fetch("cifar10")
    kind, path = image_sources.recognise(resolve(source))
    if kind == "folder":
        images, labels, name, classes = image_folders.read_folder(path, split, size, limit, on_bad)
    else:
        images, labels, name, classes = cifar10.read_cifar10(kind, path, split, size)
    return ImageSet(images, labels, name, False, classes, split).take(limit or len(images))


def on_this_machine() -> str | None:
    """The best source for `load_images` that is here already; nothing is fetched.

    What ``COURSE_IMAGES`` names, else ``"cifar10"``, else None.
    """
    return os.environ.get("COURSE_IMAGES") or ("cifar10" if _cifar10_path() else None)


def _default_source(tier: str) -> str | os.PathLike[str]:
    """What to load where the reader asked for nothing: CIFAR-10's place or, with a printed line, ``"standin"``."""
    if not TIERS[tier].takes_real:
        print(f"Images: {standin_images.NAME}, as always at tier {tier}.")
        return "standin"
    path = _cifar10_path()
    if path is not None:
        return path
    if TIERS[tier].fetches:
        try:
            return assets.fetch("cifar10")
        except CourseError as error:
            print(error.what)
    print(
        f"STAND-IN: CIFAR-10 is not in the cache folder, so this run uses the {standin_images.NAME}. "
        "For the real one (162 MiB, from a slow host) run this line once, then start again:\n"
        '    from course_utils import assets; assets.fetch("cifar10")'
    )
    if packed := image_sources.packed_python(cache_places()):
        print(packed)
    return "standin"


def _cifar10_path() -> Path | None:
    """CIFAR-10 on this machine, the archive only where its digest is right."""
    for path in (place / name for place in cache_places() for name in _LAYOUTS):
        if path.is_dir() or (path.is_file() and assets.cached("cifar10") is not None):
            return path
    return None


def _standin(split: str, size: int, limit: int | None) -> ImageSet:
    count = min(limit or standin_images.COUNTS[split], standin_images.COUNTS[split])
    images, factors = standin_images.render(count, standin_images.SEEDS[split], size)
    tensors = {name: torch.from_numpy(value) for name, value in factors.items()}
    return ImageSet(
        torch.from_numpy(images),
        tensors["class"].clone(),
        standin_images.NAME,
        True,
        standin_images.CLASSES,
        split,
        tensors,
    )


def _check_options(split: str, size: int, limit: int | None, on_bad: str) -> None:
    for name, value, known in (
        ("split", split, SPLITS),
        ("size", size, SIZES),
        ("on_bad", on_bad, ("error", "skip")),
    ):
        if value not in known:
            raise CourseError(
                f"images-{name.replace('_', '-')}",
                f"load_images was given {name}={value!r}.",
                f"It knows {' and '.join(repr(choice) for choice in known)}.",
                f"images = load_images({name}={known[0]!r})",
            )
    if limit is not None:
        _check_limit(limit)


def _check_limit(limit: int) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise CourseError(
            "images-limit",
            f"The number of images asked for is {limit!r}.",
            "A set holds at least one image, and their number is a whole number.",
            "images = load_images(limit=1000)",
        )


def _check_images(images: Any) -> None:
    if not isinstance(images, Tensor):
        raise _bad_set("images", f"The images are a {type(images).__name__}, not a tensor.")
    if images.dtype != torch.uint8:
        raise _bad_set("images", f"The images are {_dtype(images)}, not uint8.")
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise _bad_set("images", f"The images have shape {tuple(images.shape)}, not (N, 3, H, W).")


def _check_labels(labels: Any, count: int, classes: int) -> None:
    if not isinstance(labels, Tensor):
        raise _bad_set("labels", f"The labels are a {type(labels).__name__}, not a tensor.")
    if labels.is_floating_point() and labels.isnan().any():
        raise _bad_set("labels", f"The label at index {int(labels.isnan().int().argmax())} is NaN.")
    if labels.dtype != torch.int64:
        raise _bad_set("labels", f"The labels are {_dtype(labels)}, not int64.")
    if tuple(labels.shape) != (count,):
        raise _bad_set("labels", f"The labels have shape {tuple(labels.shape)}, not ({count},).")
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        index = int(wrong[0])
        raise _bad_set(
            "labels",
            f"The label at index {index} is {int(labels[index])}; {classes} classes are known.",
        )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _bad_set(part: str, what: str) -> CourseError:
    return CourseError(
        f"images-bad-{part}",
        what,
        "A training run on such a set would fail late, or learn something else without a word.",
        "Convert them: ImageSet(images.to(torch.uint8), labels.to(torch.int64), name, False, classes)",
    )
