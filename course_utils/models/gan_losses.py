"""The losses of the GANs that lesson 08 compares, and the two kinds of penalty on a discriminator's slope.

A game is a function ``(real_logits (B,), fake_logits (B,)) -> (d_loss, g_loss)``, two scalars that the discriminator
and the generator minimise.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.models.gan import generator_loss, value_function

Game = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def saturating(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """The minimax game, in nats. Source: arXiv 1406.2661, equation 1."""
    return -value_function(real_logits, fake_logits), generator_loss(fake_logits, saturating=True)


def non_saturating(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """The same discriminator, and a generator that minimises -log D(G(z)). Source: arXiv 1406.2661, section 3."""
    return -value_function(real_logits, fake_logits), generator_loss(fake_logits)


def least_squares(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance to the labels 1 and 0, of the logits themselves. Source: arXiv 1611.04076."""
    d_loss = (real_logits - 1).square().mean() + fake_logits.square().mean()
    return d_loss / 2, (fake_logits - 1).square().mean() / 2


def wasserstein(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Difference of the means, for a critic whose slope is held down. Source: arXiv 1701.07875."""
    return fake_logits.mean() - real_logits.mean(), -fake_logits.mean()


def hinge(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """A discriminator that stops at logits of +1 and -1, a generator that never does. Source: arXiv 1802.05957."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean(), -fake_logits.mean()


def relativistic(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Real i against fake i: which of the pair is more real? In nats. Source: arXiv 2501.05441 (after 1807.00734)."""
    lead = real_logits - fake_logits
    return F.softplus(-lead).mean(), F.softplus(lead).mean()


GAMES: dict[str, Game] = {
    "saturating": saturating,
    "non-saturating": non_saturating,
    "least squares": least_squares,
    "Wasserstein": wasserstein,
    "hinge": hinge,
    "relativistic": relativistic,
}
"""All games by name."""


def squared_slopes(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Each logit's squared slope at its own example, ready for a gradient of its own.

    Args:
        discriminator: no logit may depend on another example: without BatchNorm, or in evaluation mode.
        x: examples (..., D); each row of D numbers is one, whatever stands before it. It is cut from its graph.

    Returns:
        (...), at least 0. Source: arXiv 1801.04406, equation 9 (R1 at real examples, R2 at generated ones).
    """
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gradient.square().sum(dim=-1)


def one_centred(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, alpha: Tensor
) -> Tensor:
    """(slope - 1)² between real and generated examples: WGAN-GP's penalty, without its factor.

    Args:
        critic: as in `squared_slopes`.
        real: (..., D).
        fake: (..., D), alike.
        alpha: (..., 1) in [0, 1], the share of the real one.

    Returns:
        (...), at least 0. Source: arXiv 1704.00028, equation 3.
    """
    between = alpha * real + (1 - alpha) * fake
    return ((squared_slopes(critic, between) + 1e-12).sqrt() - 1).square()
