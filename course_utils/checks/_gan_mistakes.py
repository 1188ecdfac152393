"""Training steps of a GAN that are wrong, each in one known way, with the hint for whoever wrote the same one."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

Step = Callable[[nn.Module, nn.Module, Optimizer, Optimizer, Tensor, Tensor], tuple[float, float]]
"""Generator, discriminator, their optimisers, real examples, noise -> (discriminator loss, generator loss)."""


def bce(logits: Tensor, label: float) -> Tensor:
    """Mean cross-entropy of logits against one label for all, in nats."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _variant(
    d_labels: tuple[float, float] = (1.0, 0.0),
    g_loss: Callable[[Tensor], Tensor] = lambda logits: bce(logits, 1.0),
    d_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    swapped: bool = False,
    clear: bool = True,
) -> Step:
    """The right step with one thing changed."""

    def step(
        g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
    ) -> tuple:
        fake = g(noise)
        a, b = d(real), d(fake.detach())
        loss_d = d_loss(a, b) if d_loss else bce(a, d_labels[0]) + bce(b, d_labels[1])
        if clear:
            d_opt.zero_grad()
        loss_d.backward()
        d_opt.step()
        loss_g = g_loss(d(fake))
        if clear:
            g_opt.zero_grad()
        loss_g.backward()
        g_opt.step()
        return (loss_g.item(), loss_d.item()) if swapped else (loss_d.item(), loss_g.item())

    return step


def _no_detach(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple:
    logits = d(g(noise))
    d_loss, g_loss = bce(d(real), 1.0) + bce(logits, 0.0), bce(logits, 1.0)
    g_opt.zero_grad()
    d_opt.zero_grad()
    d_loss.backward(retain_graph=True)
    g_loss.backward()
    d_opt.step()
    g_opt.step()
    return d_loss.item(), g_loss.item()


def _clear_late(detach: bool) -> Step:
    def step(
        g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
    ) -> tuple:
        fake = g(noise)
        d_loss = bce(d(real), 1.0) + bce(d(fake.detach() if detach else fake), 0.0)
        d_loss.backward()
        d_opt.step()
        d_opt.zero_grad()
        g_loss = bce(d(g(noise)), 1.0)
        g_loss.backward()
        g_opt.step()
        g_opt.zero_grad()
        return d_loss.item(), g_loss.item()

    return step


def _half_cleared(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple:
    d_loss = bce(d(real), 1.0) + bce(d(g(noise)), 0.0)
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = bce(d(g(noise)), 1.0)
    g_loss.backward()
    g_opt.step()
    g_opt.zero_grad()
    return d_loss.item(), g_loss.item()


def _old_judge(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple:
    fake = g(noise)
    g_loss = bce(d(fake), 1.0)
    g_gradients = torch.autograd.grad(g_loss, list(g.parameters()))
    d_loss = bce(d(real), 1.0) + bce(d(fake.detach()), 0.0)
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    for parameter, gradient in zip(g.parameters(), g_gradients, strict=True):
        parameter.grad = gradient
    g_opt.step()
    return d_loss.item(), g_loss.item()


def _generator_first(
    g: nn.Module, d: nn.Module, g_opt: Optimizer, d_opt: Optimizer, real: Tensor, noise: Tensor
) -> tuple:
    g_loss = bce(d(g(noise)), 1.0)
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    d_loss = bce(d(real), 1.0) + bce(d(g(noise).detach()), 0.0)
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    return d_loss.item(), g_loss.item()


def _one_mean(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    labels = torch.cat([torch.ones_like(real_logits), torch.zeros_like(fake_logits)], -2)
    return F.binary_cross_entropy_with_logits(torch.cat([real_logits, fake_logits], -2), labels)


_JOINT = (
    "Both networks share the gradients of both losses: at D = 1/2 the pulls on a fake's logit cancel (2D - 1 = 0), and "
    "training freezes in what looks like the equilibrium. Detach the fakes in D's half and finish that half first."
)

MISTAKES: list[tuple[Step, str]] = [
    (
        _variant(g_loss=lambda a: bce(a, 0.0)),
        "In the generator's half the fakes carry the label *fake*: G is trained to be caught. Its label is 1.",
    ),
    (
        _variant(g_loss=lambda a: -bce(a, 0.0)),
        "This generator loss is the saturating one, log(1 - D); asked for is the non-saturating -log D.",
    ),
    (_no_detach, _JOINT),
    (
        _clear_late(False),
        "Without `detach` D's loss leaves a gradient in G, and `zero_grad` after `step` does not remove it in time: G "
        "then steps on D's wishes too. Detach, and clear *before* each backward.",
    ),
    (
        _clear_late(True),
        "`zero_grad` comes after `step`: what G's half leaves in D's gradients is still there in the next step. Clear "
        "*before* each backward.",
    ),
    (_variant(clear=False), "Gradients pile up from step to step: `zero_grad` is missing."),
    (
        _old_judge,
        "The generator's loss was computed with the discriminator from *before* its step: ask D again.",
    ),
    (
        _generator_first,
        "The generator moves first here; the order asked for is discriminator, then generator.",
    ),
    (
        _variant(d_labels=(0.0, 1.0)),
        "The discriminator's labels are swapped: real is 1, fake is 0.",
    ),
    (
        _variant(d_loss=lambda a, b: (bce(a, 1.0) + bce(b, 0.0)) / 2),
        "The discriminator's loss is the *sum* of the mean over real and the mean over fake; here it is halved.",
    ),
    (
        _variant(d_loss=_one_mean),
        "One mean over the real and fake batches together weighs them by their sizes: add two means.",
    ),
    (
        _variant(d_loss=lambda a, b: bce(a, 1.0)),
        "The discriminator sees real examples only: it learns to call everything real.",
    ),
    (
        _variant(d_loss=lambda a, b: bce(b, 0.0)),
        "The discriminator sees fakes only: it learns to call everything fake.",
    ),
    (
        _variant(swapped=True),
        "The losses are returned in the other order: (discriminator loss, generator loss).",
    ),
    (
        _variant(
            d_loss=lambda a, b: F.softplus(-a).sum() + F.softplus(b).sum(),
            g_loss=lambda a: F.softplus(-a).sum(),
        ),
        "Sums instead of means: the step then grows with the batch.",
    ),
    (
        _half_cleared,
        "Only the discriminator's `zero_grad` is in its place: without `detach` D's loss leaves a gradient in G, and G "
        "steps on it too. Clear both *before* their backward.",
    ),
]
"""Wrong steps with their hints."""
