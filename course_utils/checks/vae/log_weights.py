"""Exercise `log_weights`: the log importance weights of a VAE's draws."""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like

_LOG_2PI = math.log(2 * math.pi)


class _Model(nn.Module):
    """A small model of the lesson's form, its weights given by a seed."""

    def __init__(self, shape: tuple[int, ...], latents: int, log_var: float, seed: int) -> None:
        super().__init__()
        random, size = torch.Generator().manual_seed(seed), math.prod(shape)
        self.shape = shape
        self.encoder = nn.Parameter(torch.randn(size, 2 * latents, generator=random) / size**0.5)
        self.decoder = nn.Parameter(torch.randn(latents, size, generator=random))
        self.log_var = nn.Parameter(torch.tensor(log_var))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, ...) -> mean and log variance, (B, D) each."""
        mean, log_var = (x.flatten(1) @ self.encoder).chunk(2, dim=1)
        return mean, log_var - 0.5

    def decode(self, z: Tensor) -> Tensor:
        """(B, D) -> the mean of p(x | z), (B, ...)."""
        return (z @ self.decoder).tanh().unflatten(1, self.shape)


def _by_distributions(model: _Model, x: Tensor, noise: Tensor) -> Tensor:
    mean, log_var = model.encode(x)
    q = Independent(Normal(mean, (0.5 * log_var).exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    rows = []
    for one in noise:
        z = q.mean + q.stddev * one
        picture = Independent(Normal(model.decode(z), (0.5 * model.log_var).exp()), x.dim() - 1)
        rows.append(prior.log_prob(z) + picture.log_prob(x) - q.log_prob(z))
    return torch.stack(rows)


def _parts(model: _Model, x: Tensor, noise: Tensor, **how: bool) -> dict[str, Tensor]:
    """Log densities of each draw by name, (K, B): written with formulas; ``how`` makes a mistake on the way."""
    mean, log_var = model.encode(x)
    noise = noise[:1].expand_as(noise) if how.get("one_draw") else noise
    std = log_var.exp() if how.get("wide") else (0.5 * log_var).exp()
    z = mean + std * noise  # (K, B, D)
    x_mean = torch.stack([model.decode(row) for row in z])
    of_pixel = torch.zeros(()) if how.get("sigma_one") else model.log_var
    square = (x - x_mean).square() / of_pixel.exp() + of_pixel + _LOG_2PI
    return {
        "prior": -0.5 * (z.square() + _LOG_2PI).sum(2),
        "likelihood": -0.5 * square.flatten(2).sum(2),
        "q": -0.5 * (((z - mean) / (0.5 * log_var).exp()).square() + log_var + _LOG_2PI).sum(2),
        "q without its width": -0.5 * (noise.square() + _LOG_2PI).sum(2),
        "q without 2 pi": -0.5 * (noise.square() + log_var).sum(2),
        "KL": 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1).expand(z.shape[:2]),
    }


def _sum(plus: tuple[str, ...], minus: tuple[str, ...] = (), **how: bool) -> Answer:
    def answer(model: _Model, x: Tensor, noise: Tensor) -> Tensor:
        parts = _parts(model, x, noise, **how)
        return torch.stack([parts[p] for p in plus] + [-parts[m] for m in minus]).sum(0)

    return answer


_JOINT = ("prior", "likelihood")
_RIGHT = _sum(_JOINT, ("q",))
_MISTAKES: list[Wrong] = [
    (
        _sum(("likelihood",), ("KL",)),
        "The closed form of the KL is an average over z. A weight belongs to one draw: log p(z) and log q(z|x) at it.",
    ),
    (
        _sum(("likelihood",), ("q",)),
        "The prior is missing: p(x, z) is p(x|z) times p(z).",
    ),
    (_sum(_JOINT), "q is missing: a draw that q makes often must count less."),
    (_sum(("likelihood",)), "This is log p(x|z) alone: the prior and q are missing."),
    (_sum((*_JOINT, "q")), "The sign of log q: the weight is divided by q."),
    (
        _sum(("prior",), ("likelihood", "q")),
        "The sign of the likelihood: `gaussian_nll` is a *negative* log likelihood.",
    ),
    (
        lambda *inputs: -_RIGHT(*inputs),
        "The sign of the whole: this is log q - log p, and a likely picture would get a small weight.",
    ),
    (
        _sum(_JOINT, ("q without its width",)),
        "log q lacks log sigma: a narrow Gaussian is higher, however the noise fell.",
    ),
    (
        _sum(_JOINT, ("q without 2 pi",)),
        "log q lacks the constant that log p(z) has: give both of them log 2 pi per dimension, or neither.",
    ),
    (
        _sum(_JOINT, ("q",), wide=True),
        "The draws are too wide or too narrow: z must come from q itself, with its standard deviation.",
    ),
    (
        _sum(_JOINT, ("q without its width",), wide=True),
        "The draws are too wide or too narrow: z must come from q itself, with its standard deviation.",
    ),
    (
        _sum(_JOINT, ("q",), sigma_one=True),
        "The pixels' variance is missing: the model has a `log_var` of its own.",
    ),
    (_sum(_JOINT, ("q",), one_draw=True), "All draws use the first noise: each has its own."),
    (
        lambda *inputs: _RIGHT(*inputs).T,
        "Draws and images are exchanged: the first dimension holds the K draws.",
    ),
    (
        lambda *inputs: _RIGHT(*inputs).mean(0),
        "Averaged over the draws: that comes in `iwae_bound`.",
    ),
    (
        lambda *inputs: _RIGHT(*inputs).sum(0),
        "Summed over the draws: one log weight for each is asked for.",
    ),
    (lambda *inputs: _RIGHT(*inputs).exp(), "These are the weights; their *logs* are asked for."),
]
_SHAPE = (
    "One log weight for each draw and each image, (K, B): what is summed away is D, and the pixels."
)
_WORKED = (
    "K = B = D = 1, mean 1, log_var 0, noise 0.5: z = 1.5. log p(z) = -0.919 - 1.5² / 2 = -2.044, log q = -0.919 - "
    "0.5² / 2 = -1.044. So log w = log p(x|z) - 2.044 + 1.044."
)


@exercise(_by_distributions)
def log_weights(fn: Answer) -> None:
    """Check ``log_weights(model, x, noise)``: images (B, ...), noise (K, B, D) -> (K, B), in nats."""
    cases = (((3, 4, 4), 5, 2, 4), ((6,), 2, 3, 1), ((1, 2, 2), 3, 1, 3), ((2, 3, 3), 4, 5, 2))
    for seed, (shape, latents, draws, count) in enumerate(cases):
        model = _Model(shape, latents, -1.3 + 0.4 * seed, seed)
        inputs = (model, torch.rand(count, *shape), torch.randn(draws, count, latents))
        what = f"log weights of {draws} draws for {count} images {shape}"
        with torch.no_grad():
            expected = _by_distributions(*inputs)
        got = call(fn, *inputs)
        expect_like(
            got,
            expected,
            what,
            inputs=inputs,
            wrong=_MISTAKES,
            shape=_SHAPE,
            hint=_WORKED,
            atol=1e-4,
        )
