"""What steadies a GAN (lesson 02): a penalty on the discriminator's slope, an average of the generator's weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from course_utils.models.modes import evaluation_mode

PENALTY_EVERY = 16
"""Steps between two penalties. Source: arXiv 1912.04958, section 3.1 ("lazy regularization")."""


def slope(discriminator: nn.Module, real: Tensor) -> Tensor:
    """How steep the discriminator is at photographs: mean squared length of each logit's gradient, a scalar.

    The gradient of the *sum* of the logits holds that of each logit by its own picture, as long as no logit depends on
    another picture. Under BatchNorm in training mode it does; so the discriminator answers in evaluation mode here, and
    each of its layers has its own mode back afterwards.

    Args:
        discriminator: images (B, C, H, W) -> logits (B,).
        real: photographs (B, C, H, W) in [-1, 1].

    Source: Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406, eq. 9 (R1, without its factor).
    """
    with evaluation_mode(discriminator):
        return slope_of_the_sum(discriminator, real)


def slope_of_the_sum(discriminator: nn.Module, real: Tensor) -> Tensor:
    """As `slope`, in whatever mode the discriminator is: wrong where a logit depends on other pictures too.

    Lesson 02 shows how it goes wrong: for BatchNorm in training mode and a linear layer behind it, it is 0.
    """
    real = real.detach().requires_grad_(True)
    # Of the mean and times B, not of the sum: the same, and also right where other processes hold parts of the batch.
    (gradient,) = torch.autograd.grad(
        discriminator(real).mean(), real, create_graph=True
    )  # (B, C, H, W)
    return (len(real) * gradient).square().flatten(1).sum(dim=1).mean()


def penalty_step(
    discriminator: nn.Module,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    gamma: float,
    measure: Callable[[nn.Module, Tensor], Tensor] = slope,
) -> float:
    """One step of the discriminator against its own slope; call it every `PENALTY_EVERY` steps. Returns the slope.

    Args:
        discriminator: images (B, C, H, W) -> logits (B,).
        d_optimizer: holds its parameters.
        real: photographs (B, C, H, W) in [-1, 1].
        gamma: weight of the penalty, as if it were taken in every step.
        measure: (discriminator, real) -> the slope that is penalised.
    """
    steepness = measure(discriminator, real)
    d_optimizer.zero_grad()
    (gamma / 2 * PENALTY_EVERY * steepness).backward()
    d_optimizer.step()
    return steepness.item()


def make_average(generator: nn.Module, decay: float) -> AveragedModel:
    """A copy whose numbers are an exponential moving average: after each step call ``update_parameters(generator)``.

    Each update moves every weight, and every statistic of BatchNorm, the share ``1 - decay`` of the way.

    Source: Yazıcı et al. 2019, arXiv 1806.04498 (EMA).
    """
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return average.requires_grad_(False)
