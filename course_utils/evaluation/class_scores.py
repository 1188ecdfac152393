"""Scores of a generator that is told which class to make: one in all, one for each class, and what a reader sees.

reference = ClassReference.from_images(train, test)
scores = reference.score(lambda labels: cgan.sample(generator, labels))
scores.total["FD"], scores.of_class[3]["FD"], scores.accuracy
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.datasets.cifar10 import CLASSES as CIFAR10_CLASSES
from course_utils.datasets.images import ImageSet
from course_utils.errors import CourseError
from course_utils.evaluation.intervals import wilson_interval
from course_utils.evaluation.metrics import RealReference, extract_features
from course_utils.evaluation.scores import Score
from course_utils.models.features import FeatureNetwork, load_feature_network

Reader = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ClassScores:
    """What one generator scores.

    Attributes:
        total: the scores of all classes together, each class with its share.
        of_class: the scores of each class, against real images of that class.
        seen: (classes, classes) how many images that were to show class i (row) were read as class j.
    """

    total: dict[str, Score]
    of_class: tuple[dict[str, Score], ...]
    seen: Tensor

    @property
    def accuracy(self) -> tuple[float, float, float]:
        """Share of images that were read as the class that was asked for, with its 95 % interval (Wilson)."""
        return _share(int(self.seen.diagonal().sum()), int(self.seen.sum()))

    @property
    def accuracies(self) -> list[tuple[float, float, float]]:
        """The same for each class."""
        return [_share(int(row[k]), int(row.sum())) for k, row in enumerate(self.seen)]


@dataclass(frozen=True, repr=False)
class ClassReference:
    """Features of real images by class, and a reader that names the class of an image.

    Attributes:
        total: all classes together, n · classes images in a draw.
        of_class: each class by itself, n images in a draw.
        classes: their names.
        reader: features (N, D) -> classes (N,).
        reader_name: who reads.
        real: what held-out real images score: the floor of every distance, and the accuracy to be hoped for.
    """

    total: RealReference
    of_class: tuple[RealReference, ...]
    classes: tuple[str, ...]
    reader: Reader
    reader_name: str
    real: ClassScores

    @classmethod
    def from_images(
        cls,
        train: ImageSet,
        test: ImageSet,
        n: int = 100,
        draws: int = 5,
        network: FeatureNetwork | None = None,
        names: tuple[str, ...] = ("FD", "KD"),
    ) -> "ClassReference":
        """Compute the features of real images and what other real ones score.

        Args:
            train: the images to compare with, and for sets other than CIFAR-10 those that the reader learns from.
            test: other real images, for the floor.
            n: images of a class in one comparison.
            draws: comparisons, each with other images on both sides.
            network: None loads the shipped one.
            names: which scores of all classes together; a class by itself has its FD.

        Raises:
            CourseError: ``class-scores-few`` where a class has fewer than n · draws images in either set.
        """
        network = load_feature_network() if network is None else network
        real, other = (_by_class(images, n, draws, network) for images in (train, test))
        together = RealReference.from_features(_joined(real), _joined(other), network, train, names)
        alone = tuple(
            RealReference.from_features(a, b, network, train, ("FD",))
            for a, b in zip(real, other, strict=True)
        )
        reader, who = _reader(train, real, network)
        total, of_class = together.floor, tuple(one.floor for one in alone)
        scores = ClassScores(total, of_class, _seen(other, reader))
        return cls(together, alone, train.classes, reader, who, scores)

    @property
    def count(self) -> int:
        """Images of each class that are scored."""
        draws, n, _ = self.of_class[0].blocks.shape
        return draws * n

    def score(self, sample: Callable[[Tensor], Tensor]) -> ClassScores:
        """The scores of a generator.

        Args:
            sample: labels (N,) int64 -> images (N, 3, H, W), uint8 or floats in [-1, 1]; called for one class after
                another.
        """
        draws, n, _ = self.of_class[0].blocks.shape
        features = []
        for label in range(len(self.classes)):
            images = sample(torch.full((self.count,), label))
            found = extract_features(images, self.total.network)
            features.append(found.unflatten(0, (draws, n)))
        stacked = torch.stack(features)  # (classes, draws, n, D)
        return ClassScores(
            self.total.score_features(_joined(stacked)),
            tuple(
                one.score_features(part) for one, part in zip(self.of_class, stacked, strict=True)
            ),
            _seen(stacked, self.reader),
        )


def fitting_n(n: int, *sets: ImageSet, draws: int = 5) -> int:
    """Images of a class that each comparison may take, so that none is in two of them: at most ``n``."""
    smallest = min(
        int(images.labels.bincount(minlength=len(images.classes)).min()) for images in sets
    )
    return min(n, smallest // draws)


def _by_class(images: ImageSet, n: int, draws: int, network: FeatureNetwork) -> Tensor:
    """Features (classes, draws, n, D) of the first images of each class."""
    rows = []
    for label, name in enumerate(images.classes):
        index = (images.labels == label).nonzero()[: draws * n, 0]
        if len(index) < draws * n or n < 2:
            raise CourseError(
                "class-scores-few",
                f"{images.name}, {images.split}: {len(index):,} images of {name}; {draws} draws of {n} were wanted.",
                "Each draw takes at least two images that no other draw has.",
                "n = class_scores.fitting_n(100, train, test)",
            )
        rows.append(index)
    features = extract_features(images.images[torch.cat(rows)], network)
    return features.unflatten(0, (len(rows), draws, n))


def _joined(features: Tensor) -> Tensor:
    """(classes, draws, n, D) -> (draws, classes * n, D)."""
    return features.transpose(0, 1).flatten(1, 2)


def _reader(train: ImageSet, real: Tensor, network: FeatureNetwork) -> tuple[Reader, str]:
    """CIFAR-10 is read by the network's own last layer, other sets by a linear one that is fitted to their features."""
    if train.classes == CIFAR10_CLASSES:
        return lambda features: network.head(features).argmax(dim=1), "the feature network"
    from sklearn.linear_model import LogisticRegression  # here: it takes a second to load

    flat = real.flatten(0, 2)
    labels = torch.arange(len(real)).repeat_interleave(len(flat) // len(real))
    fitted = LogisticRegression(C=1.0, max_iter=2_000).fit(flat.numpy(), labels.numpy())
    return (
        lambda features: torch.from_numpy(fitted.predict(features.numpy())),
        "a linear layer on the feature network's features",
    )


@torch.no_grad()
def _seen(features: Tensor, reader: Reader) -> Tensor:
    """Rows: the class asked for; columns: the class read. (classes, draws, n, D) -> (classes, classes)."""
    classes = len(features)
    read = reader(features.flatten(0, 2)).view(classes, -1)
    return torch.stack([row.bincount(minlength=classes) for row in read])


def _share(right: int, of: int) -> tuple[float, float, float]:
    return right / of, *wilson_interval(right, of)
