"""Other ways to turn an image into 128 numbers, to compare scores under several: nothing here has seen a label."""

import torch
from torch import Tensor, nn

from course_utils.models.features import SIZE, FeatureNetwork, check_shape


class UntrainedFeatures(FeatureNetwork):
    """The feature network as it is before training: the same layers with random weights.

    Args:
        seed: of the weights.
    """

    def __init__(self, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__()
        self.seed = seed
        self.fold().requires_grad_(False)

    @property
    def description(self) -> str:
        """What a score says about this network."""
        return f"the same CNN untrained, random weights of seed {self.seed}"


class PixelFeatures(nn.Module):
    """The first principal components of the pixels of a set of images.

    Args:
        images: uint8 (N, 3, 32, 32).
        name: what the set is called.
        dim: how many components; of fewer images as many as there are images.
    """

    def __init__(self, images: Tensor, name: str, dim: int = FeatureNetwork.dim) -> None:
        super().__init__()
        pixels = (images.float() / 127.5 - 1).flatten(1)
        centre, dim = pixels.mean(0), min(dim, len(pixels))
        if len(pixels) < pixels.shape[1]:  # the same directions, by whichever way is quicker
            directions = torch.linalg.svd(pixels - centre, full_matrices=False).Vh[:dim].T
        else:
            directions = (
                torch.linalg.eigh(torch.cov((pixels - centre).T)).eigenvectors[:, -dim:].flip(1)
            )
        self.name, self.dim = name, dim
        self.centre = nn.Parameter(centre, requires_grad=False)
        self.directions = nn.Parameter(
            directions.contiguous(), requires_grad=False
        )  # (3072, dim), by falling variance

    @property
    def description(self) -> str:
        """What a score says about these features."""
        return f"the first {self.dim} principal components of the pixels of {self.name}"

    def features(self, images: Tensor) -> Tensor:
        """Coordinates of each image along the components: (B, 3, 32, 32) floats in [-1, 1] -> (B, dim).

        Raises:
            CourseError: ``features-shape`` for another shape.
        """
        check_shape(images)
        if images.shape[-1] != SIZE:
            images = nn.functional.avg_pool2d(images, images.shape[-1] // SIZE)
        return (images.flatten(1) - self.centre) @ self.directions
