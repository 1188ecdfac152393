"""The Inception FID, for tier ``gpu``: published scores use it; the course's own FD is another number."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.errors import CourseError


def inception_fid(generated: Tensor, real: Any) -> str:
    """The Fréchet Inception Distance by the library torch-fidelity, in a sentence that names n and the real set.

    Args:
        generated: uint8 (N, 3, H, W).
        real: an image set (``images`` uint8 (M, 3, H, W), ``name`` and ``split``).

    Raises:
        CourseError: torch-fidelity is not installed, or its Inception weights (91 MiB) cannot be fetched.

    Source: arXiv 1706.08500, eq. 6.
    """
    try:
        from torch_fidelity import calculate_metrics
    except ImportError:
        raise CourseError(
            "inception-not-installed",
            "The Inception FID needs the library torch-fidelity, which is not installed.",
            "It is an extra of the course, because it downloads a network of 91 MiB on first use.",
            'python -m pip install "torch-fidelity>=0.4.0"',
        ) from None
    cuda = torch.cuda.is_available()
    try:
        found = calculate_metrics(
            input1=_Pictures(generated),
            input2=_Pictures(real.images),
            cuda=cuda,
            fid=True,
            verbose=False,
        )
    except OSError as error:
        raise CourseError(
            "inception-no-weights",
            f"Inception's weights could not be fetched ({error}).",
            "torch-fidelity downloads them on first use, which needs a network.",
            "Run the cell again with a network, or go on without: FD and KD above need none.",
        ) from error
    return (
        f"FID {found['frechet_inception_distance']:.2f} (Inception features by torch-fidelity; "
        f"n = {len(generated):,} against {len(real.images):,} images of {real.name}, {real.split})"
    )


class _Pictures(Dataset[Tensor]):
    """A tensor of images as torch-fidelity reads it: one uint8 (3, H, W) at a time."""

    def __init__(self, images: Tensor) -> None:
        self.images = images.cpu()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]
