"""A picture classifier that trains in seconds, for questions about data: few pictures, moved ones, generated ones."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.models.dcgan import to_tanh_range

PAD = 4
"""The most pixels by which `moved` shifts a picture."""


def make_classifier(width: int = 16, classes: int = 10) -> nn.Sequential:
    """Three convolutions of stride 2 and a linear layer: images (B, 3, H, W) in [-1, 1] -> logits (B, classes).

    Args:
        width: channels of the first map; each later map has twice as many.
        classes: how many.
    """
    maps = [3, width, 2 * width, 4 * width]
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(maps):
        layers += [
            nn.Conv2d(narrow, wide, 3, 2, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
        ]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps[-1], classes)
    )


def moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """A batch mirrored or not, and shifted by at most ``PAD`` pixels: (B, C, H, W) -> the same; all pictures alike.

    One draw for a batch is enough, since a picture is met in many batches.
    """
    if torch.rand((), generator=generator) < 0.5:
        images = images.flip(3)
    top, left = torch.randint(2 * PAD + 1, (2,), generator=generator).tolist()
    height, width = images.shape[2:]
    padded = F.pad(images, (PAD, PAD, PAD, PAD), mode="reflect")
    return padded[:, :, top : top + height, left : left + width]


def fit(
    images: Tensor,
    labels: Tensor,
    steps: int,
    seed: int = 0,
    augment: bool = True,
    batch_size: int = 64,
    peak: float = 3e-3,
) -> nn.Sequential:
    """Train `make_classifier` for a number of steps, on batches drawn anew; returned in evaluation mode.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        steps: optimisation steps, whatever N is: whoever compares sets of pictures gives each the same work.
        seed: of the weights and of the batches.
        augment: show pictures `moved`.
        batch_size: pictures a step.
        peak: the largest learning rate; it rises to there and falls to nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = make_classifier(classes=int(labels.max()) + 1)
    optimizer = torch.optim.AdamW(network.parameters(), peak, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=max(2, steps))
    for _ in range(steps):
        index = torch.randint(len(images), (batch_size,), generator=generator)
        batch = to_tanh_range(images[index])
        if augment:
            batch = moved(batch, generator)
        loss = F.cross_entropy(network(batch), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def classes_of(network: nn.Module, images: Tensor, batch_size: int = 500) -> Tensor:
    """The class that a network names for each picture: uint8 (N, 3, H, W) -> int64 (N,)."""
    device = next(network.parameters()).device
    parts = images.split(batch_size)
    return torch.cat([network(to_tanh_range(part.to(device))).argmax(1).cpu() for part in parts])
