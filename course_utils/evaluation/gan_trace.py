"""What can be seen of a GAN while it trains, as `diagnose` reads it; a stack shows its first copy."""

import torch
from torch import Tensor, nn

from course_utils.models import gan


@torch.no_grad()
def of_the_first(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, noise: Tensor
) -> dict[str, float]:
    """Losses, probabilities, and how far samples and data spread, of the first copy of two stacks.

    Args:
        generator: noise (copies, B, L) -> points (copies, B, D).
        discriminator: points -> logits (copies, B, 1).
        real: points of the data (copies, B, D).
        noise: latent vectors (copies, B, L).

    Returns:
        ``d_loss`` and ``g_loss`` (non-saturating) in nats, ``d_real`` and ``d_fake`` from 0 to 1, ``diversity`` and
        ``real_diversity``: the root of the summed variances of the coordinates, in their unit.
    """
    fake = generator(noise)
    real_logits, fake_logits = discriminator(real)[0], discriminator(fake)[0]
    return {
        "d_loss": -gan.value_function(real_logits, fake_logits).item(),
        "g_loss": gan.generator_loss(fake_logits).item(),
        "d_real": real_logits.sigmoid().mean().item(),
        "d_fake": fake_logits.sigmoid().mean().item(),
        "diversity": fake[0].std(dim=0).norm().item(),
        "real_diversity": real[0].std(dim=0).norm().item(),
    }
