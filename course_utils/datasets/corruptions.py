"""Sets of real images spoiled in one known way each, to find out which score notices what."""

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from course_utils.datasets.images import ImageSet
from course_utils.errors import CourseError


def noisy(images: Tensor, grey_levels: float = 12.0) -> Tensor:
    """White noise of that standard deviation added to every pixel: uint8 (N, 3, H, W) -> the same."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + grey_levels * noise).round().clamp(0, 255).to(torch.uint8)


def blurred(images: Tensor, pixels: float = 1.0) -> Tensor:
    """Every image under a Gaussian blur of that standard deviation in pixels: uint8 (N, 3, H, W) -> the same."""
    size = 2 * round(3 * pixels) + 1
    return torch.cat(
        [gaussian_blur(part, [size, size], [pixels, pixels]) for part in images.split(1000)]
    )


def some_classes(images: ImageSet, kept: int) -> Tensor:
    """The images of the first ``kept`` classes only: uint8 (M, 3, H, W).

    Raises:
        CourseError: a number of classes that the set does not have.
    """
    if not 1 <= kept <= len(images.classes):
        raise CourseError(
            "spoiled-classes",
            f"{kept} classes were asked for, of {len(images.classes)}.",
            "A set can keep from one to all of its classes.",
            "pictures = some_classes(images, 5)",
        )
    return images.images[images.labels < kept]


def repeated(images: Tensor, distinct: int, count: int) -> Tensor:
    """``count`` images, each drawn at random from the first ``distinct``: uint8 (N, 3, H, W) -> (count, 3, H, W)."""
    random = torch.Generator().manual_seed(0)
    return images[torch.randint(min(distinct, len(images)), (count,), generator=random)]
