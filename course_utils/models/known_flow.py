"""A flow that is known exactly: from noise to a mixture of equal, round Gaussians, on straight lines.

Lesson 09 holds learned velocities against it. With ``x = (1 - t) noise + t data`` and the cluster of the data given,
noise, data and x are jointly Gaussian, so means and variances follow from Bayes' rule.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_GRID = 241
"""Places along each side of the square over which `Mixture.floor` integrates."""


@dataclass(frozen=True)
class Mixture:
    """Equal shares of round Gaussians.

    Attributes:
        centres: (K, D) float.
        std: standard deviation of each cluster, in every direction.
    """

    centres: Tensor
    std: float

    def draw(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Samples (count, D)."""
        cluster = torch.randint(len(self.centres), (count,), generator=generator)
        spread = torch.randn(count, self.centres.shape[1], generator=generator)
        return self.centres[cluster] + self.std * spread.to(self.centres)

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """The mean velocity ``data - noise`` of all straight lines that pass x at time t.

        Args:
            x: (B, D).
            t: (B,) in [0, 1], 0 is noise, 1 is data.

        Returns:
            (B, D).
        """
        share, each = self._of_clusters(x, t)
        return (share[:, :, None] * each).sum(1)

    def floor(self, t: float) -> float:
        """The least mean squared error, as a mean over the coordinates, that any function of x and t can have at t.

        The variance of ``data - noise`` given x, averaged over x by a sum over a grid.

        Args:
            t: in [0, 1].

        Raises:
            ValueError: the mixture does not lie in the plane.
        """
        if self.centres.shape[1] != 2:
            raise ValueError(f"the grid is for two dimensions, got {self.centres.shape[1]}")
        variance = self._variance(torch.tensor([t], dtype=torch.float64))[0]
        side = t * self.centres.abs().max().item() + 6 * math.sqrt(variance)
        line = torch.linspace(-side, side, _GRID, dtype=torch.float64)
        x = torch.cartesian_prod(line, line)  # (N, 2)
        exact = Mixture(self.centres.double(), self.std)
        share, each = exact._of_clusters(x, x.new_full((len(x),), t))
        away = (x[:, None] - t * exact.centres).square().sum(2)
        density = torch.exp(-away / (2 * variance)).mean(1) / (2 * math.pi * variance)  # (N,)
        mean = (share[:, :, None] * each).sum(1)
        between = (share * (each - mean[:, None]).square().sum(2)).sum(1) / 2  # (N,)
        cell = (2 * side / (_GRID - 1)) ** 2
        return self.std**2 / variance.item() + (density * between).sum().item() * cell

    def _variance(self, t: Tensor) -> Tensor:
        """Of each cluster's cloud at time t, in every direction."""
        return (1 - t) ** 2 + (t * self.std) ** 2

    def _of_clusters(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Probability (B, K) that a line through x at t ends in each cluster, and its mean velocity then (B, K, D)."""
        t = t[:, None]
        variance = self._variance(t)  # (B, 1)
        away = x[:, None] - t[:, :, None] * self.centres  # (B, K, D)
        share = (-away.square().sum(2) / (2 * variance)).softmax(1)
        pull = (t * self.std**2 - (1 - t)) / variance  # (B, 1)
        return share, self.centres + pull[:, :, None] * away


def ring(clusters: int = 8, radius: float = 2.0, std: float = 0.1) -> Mixture:
    """The ring of lesson 01, as a mixture in the plane."""
    angles = 2 * math.pi * torch.arange(clusters) / clusters
    return Mixture(radius * torch.stack([angles.cos(), angles.sin()], dim=1), std)
