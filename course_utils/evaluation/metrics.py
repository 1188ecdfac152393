"""Measuring generators: Fréchet (FD) and kernel distance (KD), classifier score (CS), precision and recall, all on the
course's own feature network; lesson 06 builds them.

A score means nothing without the number of images, the feature network, the real set, and what real images themselves
score, so ``Score`` carries all of them and cannot be printed without them. These scores are not comparable with
published ones: the features are another network's.

    reference = RealReference.from_images(train_images, test_images)
    rows = {"my generator": reference.score(lambda count: sample(count)), "real, held out": reference.floor}
    print(table(rows))
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.evaluation.distances import (
    bad_shape,
    feature_moments,
    frechet_distance,
    inception_score,
    kernel_distance,
    sharpness,
)
from course_utils.evaluation.manifolds import copied, nearest_distance, precision_recall
from course_utils.evaluation.scores import (
    NAMES,
    Score,
    bootstrap_interval,
    mean_interval,
    measure_pair,
    table,
    wilson_interval,
)
from course_utils.models.features import FeatureNetwork, check_shape, load_feature_network
from course_utils.progress_bars import bar, progress
from course_utils.runtime import fast_dtype

__all__ = [
    "NAMES",
    "FeatureNetwork",
    "RealReference",
    "Score",
    "bootstrap_interval",
    "copied",
    "extract_features",
    "feature_moments",
    "fitting_n",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "load_feature_network",
    "mean_image_plus_noise",
    "mean_interval",
    "measure_pair",
    "nearest_distance",
    "precision_recall",
    "sharpness",
    "table",
    "wilson_interval",
]

Sampler = Callable[[int], Tensor]
BATCH = 500
STANDIN = "drawn stand-in (not CIFAR-10)"


class Images(Protocol):
    """What is needed of an image set; ``course_utils.datasets.images.ImageSet`` has it."""

    @property
    def images(self) -> Tensor:
        """(N, 3, H, W), uint8."""

    @property
    def name(self) -> str:
        """Of the set."""

    @property
    def is_standin(self) -> bool:
        """Whether the course drew it."""

    @property
    def split(self) -> str:
        """Its part: ``train`` or ``test``."""


def extract_features(images: Tensor, network: FeatureNetwork, exact: bool = False) -> Tensor:
    """Features of many images, in batches, with a progress bar when it takes longer than 2 s.

    Where the machine multiplies bf16 faster, it is used (``COURSE_BF16=0`` switches it off); both sides of a comparison
    must be computed the same way.

    Args:
        images: (N, 3, H, W), uint8 in 0..255 or floats in [-1, 1].
        network: as ``load_feature_network`` gives it.
        exact: compute in float32 whatever the machine has.

    Returns:
        (N, D) float32 on the CPU.

    Raises:
        CourseError: ``features-shape``; ``metrics-range`` for values that are not finite or outside [-1, 1];
            ``metrics-unit-range`` for floats without a negative value, which may lie in [0, 1].
    """
    _question_range(images)
    return _features(images, network, exact)


def _features(images: Tensor, network: FeatureNetwork, exact: bool = False) -> Tensor:
    device = next(network.parameters()).device
    batches = progress(images.split(BATCH), "features", leave=False)
    dtype = None if exact else fast_dtype(device)
    with (
        torch.no_grad(),
        torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None),
    ):
        return torch.cat(
            [network.features(_to_unit_range(batch, device)).float().cpu() for batch in batches]
        )


@dataclass(frozen=True, repr=False)
class RealReference:
    """Features of real images that generated ones are compared with, and the floor that comes with them.

    Attributes:
        blocks: (draws, n, D) features of disjoint sets of real images.
        floor: scores of held-out real images against them: no generator can be expected to score less.
        network: the feature network.
        real_set: the real images' name and split.
        names: which of ``NAMES`` are computed.
    """

    blocks: Tensor
    floor: dict[str, Score]
    network: FeatureNetwork
    real_set: str
    names: tuple[str, ...] = ("FD", "KD")

    @classmethod
    def from_images(
        cls,
        real: Images,
        held_out: Images | None = None,
        n: int = 2000,
        draws: int = 5,
        network: FeatureNetwork | None = None,
        names: tuple[str, ...] = ("FD", "KD"),
    ) -> "RealReference":
        """Compute the features of the real images and the floor.

        Args:
            real: the images to compare with, usually the generator's training set.
            held_out: other real images for the floor, usually the test set; None cuts ``real`` into two halves.
            n: images on each side of one comparison. FD falls with n, so only scores of equal n can be compared.
            draws: comparisons, each with n other images on both sides.
            network: None loads the shipped one.
            names: which of ``NAMES`` to compute.

        Raises:
            CourseError: ``metrics-too-few`` when a set holds fewer than n · draws images (None for ``held_out``: twice
                as many), with the n that would do.
        """
        network = load_feature_network() if network is None else network
        if held_out is None:
            first, second = _shuffled(real.images, n, draws, sides=2).chunk(2)
        else:
            first, second = _shuffled(real.images, n, draws), _shuffled(held_out.images, n, draws)
        blocks, other = (
            extract_features(part, network).unflatten(0, (draws, n)) for part in (first, second)
        )
        return cls.from_features(blocks, other, network, real, names)

    @classmethod
    def from_features(
        cls,
        blocks: Tensor,
        other: Tensor,
        network: FeatureNetwork,
        real: Images,
        names: tuple[str, ...] = ("FD", "KD"),
    ) -> "RealReference":
        """As `from_images`, of features that were computed before.

        Args:
            blocks: (draws, n, D) of the real images to compare with.
            other: (draws, n, D) of held-out ones, for the floor.
            network: whose features they are.
            real: the set that the images are of.
            names: which of ``NAMES`` to compute.
        """
        real_set = f"{STANDIN if real.is_standin else real.name}, {real.split}"
        empty = cls(blocks, {}, network, real_set, names)
        return cls(blocks, empty._compare(other), network, real_set, names)

    def score(self, generated: Tensor | Images | Sampler) -> dict[str, Score]:
        """The scores of generated images.

        Args:
            generated: a function that takes a number and returns that many new images (called without gradients, at
                most 500 at a time), or at least n · draws images: (N, 3, H, W), uint8 or floats in [-1, 1].

        Returns:
            name -> ``Score``, for every name of the reference.

        Raises:
            CourseError: ``metrics-too-few``, ``metrics-sampler``, and those of `extract_features`.
        """
        draws, n, _ = self.blocks.shape
        if isinstance(generated, nn.Module):
            raise _network_as_sampler(type(generated).__name__)
        if callable(generated):
            features = _sampled_features(generated, draws * n, self.network)
        else:
            images = generated if isinstance(generated, Tensor) else generated.images
            features = extract_features(_shuffled(images, n, draws, seed=1), self.network)
        return self._compare(features.unflatten(0, (draws, n)))

    def score_features(self, features: Tensor) -> dict[str, Score]:
        """As `score`, of features that were computed before: (draws, n, D), as `extract_features` gives them."""
        return self._compare(features)

    def _compare(self, features: Tensor) -> dict[str, Score]:
        """Score (draws, n, D) features, each draw against its own real images."""
        rows = [
            measure_pair(x, y, self.network, self.names)
            for x, y in zip(features, self.blocks, strict=True)
        ]
        draws, n, _ = self.blocks.shape
        scores = {}
        for name in self.names:
            mean, low, high = mean_interval([row[name] for row in rows])
            low = low if name == "KD" else max(low, 0.0)  # only KD can be negative
            high = min(high, 1.0) if name in ("precision", "recall") else high
            floor = self.floor[name].value if self.floor else mean
            scores[name] = Score(
                name, mean, low, high, n, draws, self.network.description, self.real_set, floor
            )
        return scores


def fitting_n(n: int, *sets: Images, draws: int = 5, least: int = 2) -> int:
    """The images that each comparison of a score may take, so that no image is in two of them: at most ``n``.

    Args:
        n: how many are wanted.
        sets: the image sets that the score is made of; the last one is held out.
        draws: comparisons.
        least: how many a comparison needs: 2 for FD and KD, 4 for precision and recall (three neighbours).

    Raises:
        CourseError: ``metrics-few-pictures`` where a set is too small, with the number that would do.
    """
    smallest = min(sets, key=lambda images: len(images.images))
    have, needed = len(smallest.images), draws * least
    if have >= needed:
        return min(n, have // draws)
    raise CourseError(
        "metrics-few-pictures",
        f"{smallest.name}: {have:,} {smallest.split} pictures are too few to score a generator.",
        f"A score comes with an interval, from {draws} comparisons without a common picture, each of at least {least}: "
        f"{needed} in every part.",
        f"Give {needed} pictures to each part, or {6 * needed - 5} in all where a sixth of a folder is held out as the "
        'test set; or go on with the drawn ones: source = "standin"',
    )


def mean_image_plus_noise(real: Images, seed: int = 0) -> Sampler:
    """The simplest generator: each pixel drawn from a normal distribution with that pixel's own mean and spread.

    Args:
        real: the images whose mean (C, H, W) and standard deviation are taken.
        seed: of the noise.

    Returns:
        A sampler: number -> (number, C, H, W) floats cut to [-1, 1].
    """
    mean = real.images.double().mean(0) / 127.5 - 1
    spread = ((real.images.float() / 127.5 - 1) - mean.float()).square().mean(0).sqrt()
    generator = torch.Generator().manual_seed(seed)
    draw = functools.partial(torch.randn, generator=generator, dtype=torch.float32)
    return lambda n: (mean.float() + spread * draw(n, *mean.shape)).clamp(-1, 1)


def _to_unit_range(batch: Tensor, device: torch.device) -> Tensor:
    if batch.dtype == torch.uint8:
        batch = batch.to(device).float() / 127.5 - 1
    elif (
        not batch.is_floating_point() or not (batch.abs() <= 1.001).all()
    ):  # NaN fails this as well
        raise CourseError(
            "metrics-range",
            f"The images are {batch.dtype} with values from {batch.min().item():.4g} to {batch.max().item():.4g}.",
            "Scores are computed on uint8 images, or on floats in [-1, 1] as a generator's Tanh gives them.",
            "images = images.float() / 127.5 - 1   # from 0..255",
        )
    return batch.to(device, torch.float32).contiguous(memory_format=torch.channels_last)


def _question_range(images: Tensor) -> None:
    """Ask about floats without a negative value: a step of [0, 1] left in would give wrong scores in silence."""
    check_shape(images)
    if (
        not len(images)
        or not images.is_floating_point()
        or not 0 <= images.min() <= images.max() <= 1.001
    ):
        return
    raise CourseError(
        "metrics-unit-range",
        f"The {len(images):,} images are floats from {images.min().item():.3g} to {images.max().item():.3g}.",
        "Without a negative value they look like images in [0, 1], and scores read floats as [-1, 1].",
        "Bring them to [-1, 1], or, if they are there and merely pale, make bytes of them as they are "
        "(dcgan.to_bytes): images = 2 * images - 1   # from [0, 1]",
    )


def _sampled_features(sampler: Sampler, total: int, network: FeatureNetwork) -> Tensor:
    parts: list[Tensor] = []
    with torch.no_grad(), bar("sampling", total, leave=False) as shown:
        while (missing := total - sum(len(part) for part in parts)) > 0:
            images = sampler(min(BATCH, missing))
            if len(images) != min(BATCH, missing):
                raise bad_shape(
                    f"{len(images)} images from a sampler that was asked for {min(BATCH, missing)}"
                )
            if not parts:  # the largest batch: a few pale images may come later
                _question_range(images)
            parts.append(_features(images, network))
            shown.update(len(images))
    return torch.cat(parts)


def _shuffled(images: Tensor, n: int, draws: int, sides: int = 1, seed: int = 0) -> Tensor:
    """So many of the images, in a fixed random order, so that a set sorted by class does no harm."""
    total = n * draws * sides
    if len(images) < total:
        raise CourseError(
            "metrics-too-few",
            f"{len(images):,} images are too few: {draws} draws of {n:,} need {total:,}.",
            "Each draw takes images that no other draw has, on both sides, or its interval would be too narrow.",
            f"reference = RealReference.from_images(train_images, test_images, n={len(images) // (draws * sides)})",
        )
    return images[
        torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:total]
    ]


def _network_as_sampler(kind: str) -> CourseError:
    return CourseError(
        "metrics-sampler",
        f"score was given a {kind}, which is a network.",
        "A network does not know which noise it is to be fed, nor how many images are wanted.",
        "score = reference.score(lambda count: generator(torch.randn(count, latent_dim, 1, 1)))",
    )
