"""Training loops of a GAN that go wrong, each in one known way, and what can be seen of them while they run.

They play on the toys of lesson 01: one dimension with target N(3, 0.5), and the ring of eight Gaussians. Many copies
run side by side; every copy gives one history, as `course_utils.evaluation.diagnose.diagnose` reads it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.models.stacked import stacked_mlp


@dataclass(frozen=True)
class Loop:
    """A training loop: which toy, which step, and its settings.

    Attributes:
        data: ``"line"`` (one dimension) or ``"ring"``.
        step: name of the step, a key of ``STEPS``.
        g_lr: learning rate of the generator.
        d_lr: learning rate of the discriminator.
        beta1: Adam's decay of the mean gradient, for both players.
    """

    data: str = "line"
    step: str = "right"
    g_lr: float = 1e-3
    d_lr: float = 1e-3
    beta1: float = 0.5


Players = tuple[nn.Module, nn.Module, torch.optim.Optimizer, torch.optim.Optimizer]


def draw_real(data: str, copies: int, count: int) -> Tensor:
    """Real examples: (copies, count, 1) of N(3, 0.5), or (copies, count, 2) of eight Gaussians on a ring."""
    if data == "line":
        return 3.0 + 0.5 * torch.randn(copies, count, 1)
    angle = torch.randint(8, (copies, count)) * (torch.pi / 4)
    return 2.0 * torch.stack([angle.cos(), angle.sin()], -1) + 0.1 * torch.randn(copies, count, 2)


def record(loop: Loop, copies: int, steps: int, every: int) -> list[dict[str, list[float]]]:
    """Train, and return one history for each copy, with a row every so many steps.

    A row holds ``step``, ``d_loss``, ``g_loss`` (nats), ``d_real``, ``d_fake`` (probabilities), ``diversity``,
    ``real_diversity`` (norm of the standard deviations), ``mean`` and ``std`` of the first coordinate of the fakes.
    """
    torch.manual_seed(0)
    players = make_players(loop, copies, seed=0)
    noise_size = 1 if loop.data == "line" else 2
    rows: list[dict[str, list[float]]] = []
    for step in range(1, steps + 1):
        real, noise = draw_real(loop.data, copies, 128), torch.randn(copies, 128, noise_size)
        seen = STEPS[loop.step](*players, real, noise)
        if step % every == 0:
            rows.append(
                {"step": [float(step)] * copies, **{k: v.tolist() for k, v in seen.items()}}
            )
    return [{name: [row[name][k] for row in rows] for name in rows[0]} for k in range(copies)]


def make_players(loop: Loop, copies: int, seed: int) -> Players:
    """Generator, discriminator and their optimisers (Adam)."""
    width, size, noise = (32, 1, 1) if loop.data == "line" else (64, 2, 2)
    hidden = [width] if loop.data == "line" else [width, width]
    generator = stacked_mlp([noise, *hidden, size], copies, seed + 1)
    discriminator = stacked_mlp([size, width, width, 1], copies, seed + 2, leaky)
    betas = (loop.beta1, 0.999)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=loop.g_lr, betas=betas)
    return (
        generator,
        discriminator,
        g_optimizer,
        torch.optim.Adam(discriminator.parameters(), loop.d_lr, betas),
    )


def leaky() -> nn.Module:
    """The activation of the discriminators."""
    return nn.LeakyReLU(0.2)


def _each(loss: Tensor) -> Tensor:
    return loss.mean(dim=(1, 2))  # (copies,)


def _d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return _each(F.softplus(-real_logits)) + _each(F.softplus(fake_logits))


def _seen(
    real: Tensor, fake: Tensor, real_logits: Tensor, fake_logits: Tensor, losses: tuple
) -> dict[str, Tensor]:
    fake = fake.detach()
    return {
        "d_loss": losses[0].detach(),
        "g_loss": losses[1].detach(),
        "d_real": _each(real_logits.detach().sigmoid()),
        "d_fake": _each(fake_logits.detach().sigmoid()),
        "diversity": fake.std(dim=1).norm(dim=1),
        "real_diversity": real.std(dim=1).norm(dim=1),
        "mean": fake[..., 0].mean(dim=1),
        "std": fake[..., 0].std(dim=1),
    }


def _two_halves(
    g_loss_of: Callable[[Tensor], Tensor], unstable: bool = False
) -> Callable[..., dict[str, Tensor]]:
    """The right step, with this loss of the generator; ``unstable`` takes sigmoid and logarithm in two steps."""

    def step(
        g: nn.Module, d: nn.Module, g_opt: Any, d_opt: Any, real: Tensor, noise: Tensor
    ) -> dict[str, Tensor]:
        fake = g(noise)
        a, b = d(real), d(fake.detach())
        in_two_steps = -_each(a.sigmoid().log()) - _each((1 - b.sigmoid()).log())
        d_loss = in_two_steps if unstable else _d_loss(a, b)
        d_opt.zero_grad()
        d_loss.mean().backward()
        d_opt.step()
        g_loss = _each(g_loss_of(d(fake)))
        g_opt.zero_grad()
        g_loss.mean().backward()
        g_opt.step()
        return _seen(real, fake, a, b, (d_loss, g_loss))

    return step


def _no_detach(
    g: nn.Module, d: nn.Module, g_opt: Any, d_opt: Any, real: Tensor, noise: Tensor
) -> dict[str, Tensor]:
    fake = g(noise)
    a, b = d(real), d(fake)
    d_loss, g_loss = _d_loss(a, b), _each(F.softplus(-b))
    g_opt.zero_grad()
    d_opt.zero_grad()
    d_loss.mean().backward(retain_graph=True)
    g_loss.mean().backward()
    d_opt.step()
    g_opt.step()
    return _seen(real, fake, a, b, (d_loss, g_loss))


def _stale(
    g: nn.Module, d: nn.Module, g_opt: Any, d_opt: Any, real: Tensor, noise: Tensor
) -> dict[str, Tensor]:
    fake = g(noise)
    a, b = d(real), d(fake)
    d_loss = _d_loss(a, b)
    d_loss.mean().backward()
    d_opt.step()
    d_opt.zero_grad()
    g_loss = _each(F.softplus(-d(g(noise))))
    g_loss.mean().backward()
    g_opt.step()
    g_opt.zero_grad()
    return _seen(real, fake, a, b, (d_loss, g_loss))


def _joint(
    g: nn.Module, d: nn.Module, g_opt: Any, d_opt: Any, real: Tensor, noise: Tensor
) -> dict[str, Tensor]:
    fake = g(noise)
    a, b = d(real), d(fake)
    d_loss, g_loss = _d_loss(a, b), _each(F.softplus(-b))
    g_opt.zero_grad()
    d_opt.zero_grad()
    (d_loss + g_loss).mean().backward()
    d_opt.step()
    g_opt.step()
    return _seen(real, fake, a, b, (d_loss, g_loss))


STEPS: Mapping[str, Callable[..., dict[str, Tensor]]] = {
    "right": _two_halves(lambda logits: F.softplus(-logits)),
    "saturating": _two_halves(lambda logits: -F.softplus(logits)),
    "caught": _two_halves(F.softplus),
    "unstable": _two_halves(lambda logits: -logits.sigmoid().log(), unstable=True),
    "no_detach": _no_detach,
    "stale": _stale,
    "joint": _joint,
}
"""Steps by name: the right one, the minimax loss, the label "fake" for G, logarithms in two steps, and three ways of
letting both losses reach both networks."""
