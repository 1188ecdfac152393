"""The small feature network behind FD and KD: a residual CNN for 32×32 colour images, trained on CIFAR-10."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from course_utils.errors import CourseError
from course_utils.models import shipped

SIZE = 32
SHIPPED = "features_cifar10"


class ConvUnit(nn.Module):
    """3×3 convolution, BatchNorm (absent once folded), ReLU.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        stride: 2 halves height and width.
        folded: True builds the unit as it is stored: BatchNorm's scale and shift are part of the convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, folded: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride), all >= 0."""
        return functional.relu(self.norm(self.conv(x)), inplace=True)

    def fold(self) -> None:
        """Write BatchNorm's running mean and variance into the convolution; changes nothing that eval mode computes."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = (
                fuse_conv_bn_eval(self.conv.eval(), self.norm.eval()),
                nn.Identity(),
            )


class Residual(nn.Module):
    """``x + unit(unit(x))``: the shortcut lets the gradient pass both units."""

    def __init__(self, channels: int, folded: bool = False) -> None:
        super().__init__()
        self.units = nn.Sequential(
            ConvUnit(channels, channels, 1, folded), ConvUnit(channels, channels, 1, folded)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels, H, W), >= 0 when x is."""
        return x + self.units(x)


@dataclass(frozen=True)
class FeatureFacts:
    """What the shipped file says about itself: data set, seed, test accuracy in [0, 1], commit."""

    name: str
    data: str
    seed: int
    accuracy: float
    commit: str


class FeatureNetwork(nn.Module):
    """Residual CNN for 32×32 colour images: ten class logits, and 128 features below them.

    The features are the last feature maps, *after* their ReLU, averaged over the 4×4 places: the place that the
    Inception network of Heusel et al. 2017 is read at as well. After the ReLU a feature says how much of
    something is in the image, and nothing below zero, which the next layer would never see, can move a distance.
    The price: 128 numbers that are never negative are not Gaussian, so the Fréchet distance compares their first two
    moments and nothing else.

    Args:
        folded: True for the shipped form (BatchNorm folded into the convolutions), False for training.
    """

    dim = 128

    def __init__(self, folded: bool = False) -> None:
        super().__init__()
        self.facts: FeatureFacts | None = None
        self.trunk = nn.Sequential(
            ConvUnit(3, 32, 1, folded),  # (B, 32, 32, 32)
            ConvUnit(32, 64, 2, folded),  # (B, 64, 16, 16)
            Residual(64, folded),
            ConvUnit(64, 128, 2, folded),  # (B, 128, 8, 8)
            Residual(128, folded),
            ConvUnit(128, 128, 2, folded),  # (B, 128, 4, 4)
        )
        self.head = nn.Linear(self.dim, 10)

    @property
    def description(self) -> str:
        """What a score says about this network."""
        if self.facts is None:
            return f"{type(self).__name__} without shipped weights"
        return f"{self.facts.name}, a CNN trained on {self.facts.data}, test accuracy {self.facts.accuracy:.1%}"

    def features(self, images: Tensor) -> Tensor:
        """The 128 pooled features of each image.

        Args:
            images: (B, 3, H, W) floats in [-1, 1]; H = W = 32, or a multiple of 32, which is brought to 32 by averaging
                square areas (2×2 pixels for 64-pixel images), so fine detail of larger images is not judged.

        Returns:
            (B, 128), >= 0.

        Raises:
            CourseError: ``features-shape`` for any other shape. The range cannot be checked: images in [0, 1] are
                also pale images in [-1, 1].
        """
        check_shape(images)
        if images.shape[-1] != SIZE:
            images = functional.avg_pool2d(images, images.shape[-1] // SIZE)
        return self.trunk(images).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Class logits (B, 10) of images as ``features`` takes them; classes in CIFAR-10's alphabetical order."""
        return self.head(self.features(images))

    def fold(self) -> "FeatureNetwork":
        """Fold every BatchNorm into its convolution, in place, and switch to eval mode."""
        for unit in self.modules():
            if isinstance(unit, ConvUnit):
                unit.fold()
        return self.eval()


def load_feature_network(device: torch.device | str = "cpu") -> FeatureNetwork:
    """The trained feature network that ships: eval mode, frozen, float32, BatchNorm folded, channels_last.

    Args:
        device: where it shall run.

    Returns:
        The network; its ``facts`` name the data it was trained on and how good it is.

    Raises:
        CourseError: the file is missing or damaged.
    """
    weights, facts = shipped.read(SHIPPED)
    network = FeatureNetwork(folded=True)
    network.load_state_dict(weights, assign=True)  # in float32, whatever the default is
    network.facts = FeatureFacts(**facts)
    return network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def check_shape(images: Tensor) -> None:
    """Refuse images that no feature network of the course reads, with a `CourseError` ``features-shape``."""
    shape = tuple(images.shape)
    if (
        len(shape) == 4
        and shape[1] == 3
        and shape[2] == shape[3]
        and shape[2] >= SIZE
        and shape[2] % SIZE == 0
    ):
        return
    raise CourseError(
        "features-shape",
        f"The feature network got images of shape {shape}.",
        "It reads (B, 3, H, W): colour images of 32×32 pixels, or of a multiple of 32 such as 64×64.",
        'images = torch.nn.functional.interpolate(images, size=32, mode="area").expand(-1, 3, -1, -1)',
    )
