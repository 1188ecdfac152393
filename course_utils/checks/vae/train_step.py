"""Exercise `train_step`: one step of a VAE, from the pictures to the optimiser's step."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, kl_divergence

from course_utils.checks.core import (
    Answer,
    CheckFailed,
    Wrong,
    call_step,
    describe,
    exercise,
    expect_close,
    require,
)
from course_utils.checks.watched import Block, Noting

_LOG_2PI = math.log(2 * math.pi)
_SHAPE, _LATENTS = (2, 3, 3), 3
_BATCHES = ((4, 1.0), (2, 0.3), (5, 2.5))
"""Of each step: pictures in the batch, and beta."""


class _Small(nn.Module):
    """A VAE as the lesson's, of two matrices: it notes whether it is asked inside of a block."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        random, size = torch.Generator().manual_seed(8), math.prod(_SHAPE)
        first = torch.randn(size, 2 * _LATENTS, generator=random) / size**0.5
        self.encoder = nn.Parameter(first)
        self.decoder = nn.Parameter(torch.randn(_LATENTS, size, generator=random))
        self.log_var = nn.Parameter(torch.tensor(-0.6))
        self.inside: list[bool] = []

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, ...) -> mean and log variance, (B, D) each."""
        self.inside.append(self.block.inside)
        mean, log_var = (x.flatten(1) @ self.encoder).chunk(2, dim=1)
        return mean, log_var - 0.5

    def decode(self, z: Tensor) -> Tensor:
        """(B, D) -> the mean of p(x | z), (B, ...)."""
        self.inside.append(self.block.inside)
        return (z @ self.decoder).tanh().unflatten(1, _SHAPE)


def _by_distributions(
    model: Any,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    noise: Tensor,
    beta: float,
    autocast: Any = nullcontext,
) -> dict[str, float]:
    """The step with the densities and the divergence of `torch.distributions`."""
    with autocast():
        mean, log_var = model.encode(x)
        q = Normal(mean, (0.5 * log_var).exp())
        x_mean = model.decode(q.mean + q.stddev * noise)
    pixel = Normal(x_mean, (0.5 * model.log_var).exp())
    nll = -Independent(pixel, x.dim() - 1).log_prob(x)
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = kl_divergence(Independent(q, 1), Independent(prior, 1))
    optimizer.zero_grad()
    (nll + beta * kl).mean().backward()
    optimizer.step()
    sigma = model.log_var.detach().exp().sqrt().item()
    return {"nll": nll.mean().item(), "kl": kl.mean().item(), "sigma": sigma}


def _by_hand(
    model: Any,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    noise: Tensor,
    beta: float,
    autocast: Any = nullcontext,
    *,
    wrong: str,
) -> dict[str, float]:
    """The step with its formulas written out; ``wrong`` makes one mistake."""
    with autocast():
        mean, log_var = model.encode(x)
        z = mean + (log_var if wrong == "variance" else 0.5 * log_var).exp() * noise
        z = {"mean": mean, "noise": noise, "cut": z.detach()}.get(wrong, z)
        x_mean = model.decode(z)
    of_pixel = {"sigma": torch.zeros(()), "fixed": model.log_var.detach()}.get(wrong, model.log_var)
    if wrong == "mixed":
        of_pixel = log_var.mean()
    square = (x - x_mean).square() / of_pixel.exp() + of_pixel + _LOG_2PI
    nll = 0.5 * square.flatten(1).sum(1)
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)
    weight = 1.0 if wrong == "beta" else beta
    loss = (nll + weight * kl).mean()
    if wrong == "sum":
        loss = (nll + weight * kl).sum()
    if wrong == "no kl":
        loss = nll.mean()
    if wrong == "no nll":
        loss = weight * kl.mean()
    if wrong == "sign":
        loss = (nll - weight * kl).mean()
    if wrong == "up":
        loss = -loss
    if wrong != "kept":
        optimizer.zero_grad()
    loss.backward()
    if wrong == "cleared":
        optimizer.zero_grad()
    optimizer.step()
    told = {"nll": nll.mean().item(), "kl": kl.mean().item()}
    told["sigma"] = math.exp((1.0 if wrong == "variance told" else 0.5) * model.log_var.item())
    if wrong == "log told":
        told["sigma"] = model.log_var.item()
    if wrong == "weighed":
        told["kl"] *= beta
    if wrong == "told sums":
        told |= {"nll": nll.sum().item(), "kl": kl.sum().item()}
    return told


_HINTS = {
    "mean": "The decoder gets the mean of q, and no draw: this trains an autoencoder whose code has no spread.",
    "noise": "The decoder gets the noise itself: nothing of the picture gets through.",
    "cut": "The draw is detached: the likelihood's gradient never reaches the encoder.",
    "variance": "The draw is too wide or too narrow: `reparameterise` makes it from mean, log_var and noise.",
    "sigma": "The pixels' variance is missing: the likelihood takes `model.log_var`.",
    "fixed": "The pixels' variance is detached, so that it never learns: pass `model.log_var` as it is.",
    "mixed": "Two variances are mixed up: the encoder's log_var is that of z, `model.log_var` that of a pixel.",
    "beta": "beta is not used: `negative_elbo` weighs the KL with it.",
    "sum": "The loss is a sum over the batch: its step would grow with the number of pictures.",
    "no kl": "The KL is not in the loss: nothing ties the codes to the prior.",
    "no nll": "The likelihood is not in the loss: nothing asks for pictures.",
    "sign": "The sign of the KL: in the loss both terms are costs.",
    "up": "This climbs: the optimiser gets the ELBO, and not its negative.",
    "kept": "Gradients of the step before are still there: `zero_grad` comes before `backward`.",
    "cleared": "The gradients are cleared between `backward` and `step`: clear them before `backward`.",
    "weighed": "The KL that is returned is multiplied by beta: return it as it is, in nats.",
    "variance told": "The `sigma` that is returned is the variance: take its root.",
    "log told": "The `sigma` that is returned is still a logarithm: sigma is the root of exp(log_var).",
    "told sums": "Sums over the batch are returned: the means are asked for, in nats per picture.",
}
_APART = "Take it apart: encode, draw z, decode, two costs, loss; then clear, backward, step."


@exercise(_by_distributions)
def train_step(fn: Answer) -> None:
    """Check ``train_step(model, optimizer, x, noise, beta, autocast)`` -> means of nll and kl, and sigma."""
    expected, got = (
        _run(_by_distributions),
        _run(partial(call_step, fn, returns=("nll", "kl", "sigma"))),
    )
    mistakes: list[Wrong] = [
        (lambda name=name: _run(partial(_by_hand, wrong=name)).numbers, hint)
        for name, hint in _HINTS.items()
    ]
    asked = "The model encodes once and decodes once in each step."
    calls, steps = len(got.inside), len(_BATCHES)
    require(calls == 2 * steps, f"{2 * steps} passes in {steps} steps", f"{calls}", asked)
    short = "`with autocast():` belongs around `encode` and `decode`: there numbers may be short."
    require(all(got.inside), "both networks called within autocast()", "outside of it", short)
    moved = (
        "The weights move once a call, by `optimizer.step()` of the optimiser that is passed in."
    )
    require(got.steps == steps, "one step of the optimiser a call", f"{got.steps}", moved)
    late = "The backward pass or the losses are inside `with autocast():`; only the networks are to be."
    require(got.left, "autocast() left before the optimiser's step", "still within it", late)
    what = "nll, kl, sigma and weights after three steps"
    try:
        expect_close(got.numbers, expected.numbers, what, wrong=mistakes, hint=_APART, atol=1e-5)
    except CheckFailed as failure:
        raise _in_words(got.numbers, expected.numbers, failure.hint) from None


def _in_words(got: Tensor, expected: Tensor, hint: str) -> CheckFailed:
    """What differs first: what the first step told, or the weights at the end."""
    told = [f"nll {row[0]:.4f}, kl {row[1]:.4f}, sigma {row[2]:.4f}" for row in (expected, got)]
    if told[0] != told[1]:
        return CheckFailed(f"in the first step: {told[0]}", told[1], hint)
    weights = [describe(row[3 * len(_BATCHES) :]) for row in (expected, got)]
    return CheckFailed(f"after three steps: weights {weights[0]}", f"weights {weights[1]}", hint)


def _run(step: Callable[..., dict[str, float]]) -> SimpleNamespace:
    """Three steps of a fresh model: all that came out, in one tensor."""
    block, told = Block(), []
    model = _Small(block)
    optimizer = Noting(model, block, 0.01)
    random = torch.Generator().manual_seed(2)
    for count, beta in _BATCHES:
        x = torch.rand(count, *_SHAPE, generator=random) * 2 - 1
        noise = torch.randn(count, _LATENTS, generator=random)
        told.append(step(model, optimizer, x, noise, beta, block.enter))
    weights = [p.detach().flatten() for p in model.parameters()]
    said = [torch.tensor([float(one[key]) for key in ("nll", "kl", "sigma")]) for one in told]
    return SimpleNamespace(
        numbers=torch.cat([*said, *weights]),
        inside=model.inside,
        left=optimizer.left,
        steps=optimizer.steps,
    )
