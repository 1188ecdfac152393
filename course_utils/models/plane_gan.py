"""Small GANs in the plane for lesson 08: its methods, each trained with many seeds at once by one batched network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from course_utils.models import gan_losses
from course_utils.models.stacked import StackedLinear, stacked_mlp
from course_utils.progress_bars import progress

STD = 0.05
"""Standard deviation of each Gaussian of both data sets: half of lesson 01's, so that chance hits few."""
BATCH, HIDDEN = 64, 64


@dataclass(frozen=True)
class Method:
    """How one GAN is trained.

    Attributes:
        game: (real_logits (B,), fake_logits (B,)) -> (d_loss, g_loss).
        r1: weight of half the squared slope at real points.
        r2: the same at generated points.
        one_centred: weight of WGAN-GP's penalty.
        clip: the critic's weights are cut to this size after each step; 0 leaves them.
        critic_steps: discriminator steps for each step of the generator.
        spectral: at which the largest singular value of each of the discriminator's layers is held; 0 leaves it.
    """

    game: gan_losses.Game
    r1: float = 0.0
    r2: float = 0.0
    one_centred: float = 0.0
    clip: float = 0.0
    critic_steps: int = 1
    spectral: float = 0.0


METHODS: Mapping[str, Method] = {
    "saturating": Method(gan_losses.saturating),
    "non-saturating": Method(gan_losses.non_saturating),
    "least squares": Method(gan_losses.least_squares),
    "WGAN, clipped": Method(gan_losses.wasserstein, clip=0.1, critic_steps=5),
    "WGAN-GP": Method(gan_losses.wasserstein, one_centred=1.0, critic_steps=5),
    "WGAN-GP, one critic step": Method(gan_losses.wasserstein, one_centred=1.0),
    "hinge + spectral norm": Method(gan_losses.hinge, spectral=3.0),
    "non-saturating + R1": Method(gan_losses.non_saturating, r1=1.0),
    "relativistic + R1": Method(gan_losses.relativistic, r1=1.0),
    "relativistic + R1 + R2": Method(gan_losses.relativistic, r1=1.0, r2=1.0),
}
"""The methods that lesson 08 compares, by name."""


def ring() -> Tensor:
    """Eight centres (8, 2) on a circle of radius 2."""
    angles = torch.arange(8) * math.pi / 4
    return 2.0 * torch.stack([angles.cos(), angles.sin()], dim=1)


def grid() -> Tensor:
    """Twenty-five centres (25, 2) in a square with corners at ±2."""
    line = torch.linspace(-2, 2, 5)
    return torch.cartesian_prod(line, line)


DATA = {"ring of 8": ring, "grid of 25": grid}
"""The data sets by name: functions that return the centres."""


def draw(centres: Tensor, seeds: int, count: int, generator: torch.Generator) -> Tensor:
    """Points (seeds, count, 2) of a mixture of equal Gaussians around ``centres`` (modes, 2)."""
    chosen = torch.randint(len(centres), (seeds, count), generator=generator)
    return centres[chosen] + STD * torch.randn(seeds, count, 2, generator=generator)


class Judges(nn.Module):
    """The discriminators of a method's runs side by side: points (seeds, B, 2) -> logits (seeds, B).

    Args:
        method: what it does to their weights.
        seeds: how many.
        seed: of the first one's weights.
    """

    def __init__(self, method: Method, seeds: int, seed: int = 0) -> None:
        super().__init__()
        self.method = method
        self.stack = stacked_mlp([2, HIDDEN, HIDDEN, 1], seeds, seed, lambda: nn.LeakyReLU(0.2))
        self.layers = [layer for layer in self.stack if isinstance(layer, StackedLinear)]
        if method.spectral:
            for layer in self.layers:
                parametrize.register_parametrization(
                    layer, "weight", HeldAt(method.spectral, layer.weight)
                )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (seeds, B)."""
        return self.stack(x).squeeze(2)

    @torch.no_grad()
    def cut(self) -> None:
        """Clip the weights, where the method says so."""
        if self.method.clip:
            for parameter in self.parameters():
                parameter.clamp_(-self.method.clip, self.method.clip)

    def losses(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The sums of all runs' losses, of the discriminators and of the generators."""
        logits = self(torch.cat([real, fake], dim=1))
        rows = [self.method.game(*row.split([real.shape[1], fake.shape[1]])) for row in logits]
        d_losses, g_losses = zip(*rows, strict=True)
        return torch.stack(d_losses).sum(), torch.stack(g_losses).sum()

    def penalty(self, real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
        """The sum of all runs' penalties on slope; alpha (seeds, B, 1) chooses WGAN-GP's points."""
        total, way = real.new_zeros(()), self.method
        if way.r1:
            total = total + way.r1 / 2 * gan_losses.squared_slopes(self, real).mean(1).sum()
        if way.r2:
            total = total + way.r2 / 2 * gan_losses.squared_slopes(self, fake).mean(1).sum()
        if way.one_centred:
            apart = gan_losses.one_centred(self, real, fake, alpha)
            total = total + way.one_centred * apart.mean(1).sum()
        return total


class HeldAt(nn.Module):
    """A parametrisation: each run's weights (runs, in, out), scaled so that their largest singular value is ``size``.

    It is found by power iteration, one turn with each use in training mode, as in arXiv 1802.05957, algorithm 1.
    """

    def __init__(self, size: float, weight: Tensor) -> None:
        super().__init__()
        self.size = size
        self.u = F.normalize(torch.ones(len(weight), 1, weight.shape[2]), dim=2)
        self.turn(weight, 20)

    @torch.no_grad()
    def turn(self, weight: Tensor, times: int = 1) -> None:
        """Bring the directions nearer to those that are stretched most."""
        for _ in range(times):
            self.v = F.normalize(self.u @ weight.mT, dim=2)  # (runs, 1, in)
            self.u = F.normalize(self.v @ weight, dim=2)  # (runs, 1, out)

    def forward(self, weight: Tensor) -> Tensor:
        """(runs, in, out), scaled."""
        if self.training:
            self.turn(weight)
        return self.size * weight / (self.v @ weight @ self.u.mT)


def play(
    method: Method,
    centres: Tensor,
    seeds: int,
    steps: int,
    rate: float = 1e-3,
    seed: int = 0,
    words: str = "plane",
) -> tuple[Tensor, Judges]:
    """Train a method with many seeds at once, both players in turn, by Adam with beta_1 = 0.5.

    For equal seeds all methods start from the same weights and see the same points and noise.

    Args:
        method: how.
        centres: of the data (modes, 2).
        seeds: runs, side by side.
        steps: of the generators.
        rate: learning rate of both players.
        seed: of the first run; another one gives other runs.
        words: what the progress bar says.

    Returns:
        Samples (seeds, 2500, 2), and the discriminators.
    """
    random = torch.Generator().manual_seed(seed)
    generator = stacked_mlp([2, HIDDEN, HIDDEN, 2], seeds, seed + 500)
    judges = Judges(method, seeds, seed)
    with torch.no_grad():
        generator[-1].weight.mul_(0.1)  # at first all points near the middle, as in lesson 01
    make = partial(torch.optim.Adam, lr=rate, betas=(0.5, 0.999), fused=True)
    g_optimizer, d_optimizer = make(generator.parameters()), make(judges.parameters())
    for _ in progress(range(steps), words, leave=False):
        for _ in range(method.critic_steps):
            real = draw(centres, seeds, BATCH, random)  # (seeds, B, 2)
            alpha = torch.rand(seeds, BATCH, 1, generator=random)
            fake = generator(torch.randn(seeds, BATCH, 2, generator=random))
            d_loss, _ = judges.losses(real, fake.detach())
            d_optimizer.zero_grad()
            (d_loss + judges.penalty(real, fake.detach(), alpha)).backward()
            d_optimizer.step()
            judges.cut()

        judges.requires_grad_(False)
        g_optimizer.zero_grad()
        judges.losses(real, fake)[1].backward()
        g_optimizer.step()
        judges.requires_grad_(True)
    with torch.no_grad():
        points = generator(torch.randn(seeds, 2_500, 2, generator=random))
    return points, judges.eval()


def score(samples: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Modes covered and share of good points, much as lesson 01 counts: (runs, N, 2) -> two tensors (runs,).

    A point is good within three standard deviations of its nearest centre. A mode is covered if the good points around
    it are at least a tenth of its fair share.
    """
    distance, nearest = torch.cdist(samples, centres.expand(len(samples), -1, 2)).min(dim=-1)
    good = distance < 3 * STD  # (runs, N)
    shares = (F.one_hot(nearest, len(centres)) * good[..., None]).float().mean(dim=1)
    return (shares >= 0.1 / len(centres)).sum(dim=1), good.float().mean(dim=1)
