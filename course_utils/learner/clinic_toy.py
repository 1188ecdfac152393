"""The toy of lesson 07's cases about GANs: two players, the step that their losses make, and a game that is told.

Real numbers have mean 3 and deviation 0.5, as in lesson 01.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.models.gan import halves

Players = tuple[nn.Module, nn.Module, torch.optim.Optimizer, torch.optim.Optimizer]
"""Generator, discriminator (or critic), and SGD for each, in this order."""
Losses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Logits of real and of generated examples -> the discriminator's and the generator's loss."""
Step = Callable[..., tuple[float, float]]
"""``step(*players, real, noise)`` moves both players and returns both losses."""


def make_players() -> Players:
    """A generator, (B, 2) -> (B, 1), a discriminator, (B, 1) -> (B, 1), and SGD for each; the same at every call.

    The global random numbers start anew from seed 0.
    """
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    layers = [nn.Linear(1, 8), nn.LeakyReLU(0.2), nn.Linear(8, 8), nn.LeakyReLU(0.2)]
    discriminator = nn.Sequential(*layers, nn.Linear(8, 1))
    g_optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    return generator, discriminator, g_optimizer, torch.optim.SGD(discriminator.parameters(), 0.1)


def step_with(losses: Losses) -> Step:
    """A sound step of both players with these losses: the discriminator's half, then the generator's."""

    def step(
        generator: nn.Module,
        discriminator: nn.Module,
        g_optimizer: torch.optim.Optimizer,
        d_optimizer: torch.optim.Optimizer,
        real: Tensor,
        noise: Tensor,
    ) -> tuple[float, float]:
        def both(fake: Tensor) -> tuple[Tensor, Tensor]:
            return losses(discriminator(real), discriminator(fake))

        return halves(
            generator(noise),
            g_optimizer,
            d_optimizer,
            lambda fake: both(fake)[0],
            lambda fake: both(fake)[1],
        )

    return step


def play(step: Step, steps: int = 600) -> None:
    """Play the game from its start and print how it ended: the last losses, in nats, and the samples' mean and spread.

    Args:
        step: moves both players once.
        steps: how often.
    """
    players = make_players()
    for _ in range(steps):
        d_loss, g_loss = step(*players, 3 + 0.5 * torch.randn(64, 1), torch.randn(64, 2))
    with torch.no_grad():
        made = players[0](torch.randn(1_000, 2))
    print(f"losses: discriminator {d_loss:.3f}, generator {g_loss:.3f} (nats)")
    print(f"samples: mean {made.mean():.2f}, deviation {made.std():.3f}; data: 3 and 0.5")
