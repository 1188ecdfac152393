"""The losses and the training step of lesson 01, for the lessons that need them again."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def value_function(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The value of the game, V = mean log D(x) + mean log(1 - D(G(z))), in nats; the discriminator ascends it.

    Args:
        real_logits: the discriminator's logits for real examples, any shape.
        fake_logits: its logits for generated examples, any shape; their number may differ.

    Returns:
        Scalar in (-inf, 0]; finite for every finite logit.

    Source: arXiv 1406.2661, equation 1.
    """
    return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()


def generator_loss(fake_logits: Tensor, saturating: bool = False) -> Tensor:
    """What the generator minimises, in nats; finite for every finite logit.

    Args:
        fake_logits: the discriminator's logits for generated examples, any shape.
        saturating: True for the minimax loss, mean log(1 - D), which is at most 0; False for the non-saturating
            -mean log D, which is at least 0.

    Source: arXiv 1406.2661, equation 1 and section 3.
    """
    return F.logsigmoid(-fake_logits).mean() if saturating else -F.logsigmoid(fake_logits).mean()


def gan_step(
    generator: nn.Module,
    discriminator: nn.Module,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    noise: Tensor,
) -> tuple[float, float]:
    """One discriminator step, then one generator step on the same noise against the updated discriminator.

    Args:
        generator: noise (B', ...) -> examples shaped like ``real``.
        discriminator: examples -> logits, one for each example.
        g_optimizer: holds the generator's parameters.
        d_optimizer: holds the discriminator's parameters.
        real: real examples (B, ...).
        noise: latent vectors (B', ...); B' may differ from B.

    Returns:
        The discriminator's loss -V before its step and the generator's non-saturating loss after it, both in nats.

    Source: arXiv 1406.2661, algorithm 1 (k = 1) and section 3.
    """
    return halves(
        generator(noise),
        g_optimizer,
        d_optimizer,
        lambda fake: -value_function(discriminator(real), discriminator(fake)),
        lambda fake: generator_loss(discriminator(fake)),
    )


def halves(
    fake: Tensor,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    d_loss_of: Callable[[Tensor], Tensor],
    g_loss_of: Callable[[Tensor], Tensor],
) -> tuple[float, float]:
    """The discriminator's half of a step, on fakes without a graph, then the generator's; returns both losses.

    Args:
        fake: generated examples (B, ...) with their graph.
        g_optimizer: holds the generator's parameters.
        d_optimizer: holds the discriminator's parameters.
        d_loss_of: fakes -> the discriminator's loss.
        g_loss_of: fakes -> the generator's loss; asked after the discriminator's step.
    """
    d_loss = d_loss_of(fake.detach())
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()

    g_loss = g_loss_of(fake)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()
