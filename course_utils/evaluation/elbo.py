"""ELBO accounting: which beta does a VAE's loss line really have?

A loss line is a weighted sum of a reconstruction error and a KL divergence, each summed or averaged over something. Up
to a common factor, which moves no optimum, it is ``nll + beta * kl`` for one beta. There are two ways to it:

    effective_beta(line)                        # by arithmetic, from a description of the line
    measured_beta(lambda x_hat, x, mean, log_var: ..., dims=784, latent_dim=20, likelihood="bernoulli")   # by gradients
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from course_utils.errors import CourseError

REDUCTIONS = ("sum", "per image", "mean")
"""Over everything, batch included; summed within an image and averaged over the batch; averaged over everything."""
LIKELIHOODS = ("bernoulli", "squared")
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(x_hat (B, dims), x (B, dims), mean (B, latent_dim), log_var (B, latent_dim)) -> scalar."""


@dataclass(frozen=True)
class LossLine:
    """A published loss line, in words.

    Attributes:
        name: where it is from.
        formula: the line in one line of symbols.
        likelihood: ``bernoulli`` (binary cross-entropy) or ``squared`` (squared error without a one half).
        reconstruction: how the error is reduced, one of ``REDUCTIONS``.
        kl: how the KL of the latent dimensions is reduced.
        dims: numbers in an image.
        latent_dim: latent dimensions.
        reconstruction_weight: factor of the first term.
        kl_weight: factor of the second.

    Raises:
        CourseError: an unknown likelihood or reduction, or a size or weight that is not positive.
    """

    name: str
    formula: str
    likelihood: str
    reconstruction: str
    kl: str
    dims: int
    latent_dim: int
    reconstruction_weight: float = 1.0
    kl_weight: float = 1.0

    def __post_init__(self) -> None:
        known = {"likelihood": LIKELIHOODS, "reconstruction": REDUCTIONS, "kl": REDUCTIONS}
        wrong = [
            f"{name}={getattr(self, name)!r}"
            for name, values in known.items()
            if getattr(self, name) not in values
        ]
        numbers = ("dims", "latent_dim", "reconstruction_weight", "kl_weight")
        wrong += [
            f"{name}={getattr(self, name)!r}" for name in numbers if not getattr(self, name) > 0
        ]
        if wrong:
            raise CourseError(
                "elbo-loss-line",
                f"A loss line cannot have {', '.join(wrong)}.",
                f"Likelihoods: {', '.join(LIKELIHOODS)}; reductions: {', '.join(REDUCTIONS)}; numbers are positive.",
                'LossLine("mine", "sum BCE + sum KL", "bernoulli", "sum", "sum", dims=784, latent_dim=20)',
            )


PUBLISHED = (
    LossLine(
        "PyTorch examples, `vae` (MNIST)", "sum BCE + sum KL", "bernoulli", "sum", "sum", 784, 20
    ),
    LossLine(
        "Keras blog 2016, variational autoencoder (MNIST)",
        "mean BCE + mean KL",
        "bernoulli",
        "mean",
        "mean",
        784,
        2,
    ),
    LossLine(
        "PyTorch-VAE, vanilla VAE (64×64 faces)",
        "mean (x−x̂)² + 0.00025 · KL per image",
        "squared",
        "mean",
        "per image",
        3 * 64 * 64,
        128,
        kl_weight=0.00025,
    ),
    LossLine(
        "Lightning Bolts, VAE (CIFAR-10)",
        "mean (x−x̂)² + 0.1 · mean KL",
        "squared",
        "mean",
        "mean",
        3 * 32 * 32,
        256,
        kl_weight=0.1,
    ),
)
"""Four well-known tutorials' lines with their own default sizes."""


def effective_beta(line: LossLine, sigma: float = 1.0, batch_size: int | None = None) -> float:
    """The beta for which ``nll + beta * kl``, both in nats an image, has this line's optimum.

    Args:
        line: the line.
        sigma: of the Gaussian that squared errors are read as; the squared error of one number is its
            ``2 * sigma**2 * nll``, so another sigma is another beta. Of no effect for ``bernoulli``.
        batch_size: needed when one term is summed over the batch and the other averaged.

    Raises:
        CourseError: ``elbo-batch-size`` when the batch size matters and is not given.
    """
    nll, kl = _per_image_factors(line, batch_size)
    return kl / (nll * 2 * sigma**2 if line.likelihood == "squared" else nll)


def implied_sigma(line: LossLine, batch_size: int | None = None) -> float | None:
    """The Gaussian's sigma for which a squared-error line is the ELBO itself (beta 1), in the images' units.

    None for ``bernoulli``, which has no such freedom.
    """
    if line.likelihood == "bernoulli":
        return None
    return effective_beta(line, 1.0, batch_size) ** 0.5


def measured_beta(
    loss: Loss,
    dims: int,
    latent_dim: int,
    likelihood: str,
    sigma: float = 1.0,
    batch_size: int = 8,
) -> float:
    """The beta of any loss line, found by running it: its gradients are compared with those of nll and KL.

    Args:
        loss: the line as a function, see ``Loss``; it is given numbers in (0, 1) as images.
        dims: numbers in an image.
        latent_dim: latent dimensions.
        likelihood: ``bernoulli`` or ``squared``, what the reconstruction error is read as.
        sigma: as in ``effective_beta``.
        batch_size: images in the trial; a beta that changes with it tells of mixed reductions.

    Raises:
        CourseError: ``elbo-not-an-elbo`` when no factor makes the gradients equal: the line has another KL or another
            likelihood.
    """
    x_hat, x, mean, log_var = trial(dims, latent_dim, batch_size)
    for leaf in (x_hat, mean, log_var):
        leaf.requires_grad_()
    ours = _nll(x_hat, x, likelihood, sigma), _kl(mean, log_var)
    theirs = loss(x_hat, x, mean, log_var)
    nll = _factor(theirs, ours[0], [x_hat], "reconstruction")
    return _factor(theirs, ours[1], [mean, log_var], "KL") / nll


def trial(dims: int, latent_dim: int, batch_size: int = 8) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a loss line is tried on, in float64 and always the same: reconstructions, pictures, means, log variances.

    Args:
        dims: numbers in an image.
        latent_dim: latent dimensions.
        batch_size: images.

    Returns:
        x_hat and x (B, dims) in (0, 1), mean and log_var (B, latent_dim).
    """
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=random, dtype=torch.float64)

    x = draw(batch_size, dims)
    x_hat = 0.1 + 0.8 * draw(batch_size, dims)
    mean = 2 * draw(batch_size, latent_dim) - 0.7
    return x_hat, x, mean, draw(batch_size, latent_dim) - 0.3


def table(lines: Sequence[LossLine] = PUBLISHED) -> str:
    """Markdown table: each line, the beta it really has, and for squared errors the sigma that would make it 1."""
    rows = [
        "| tutorial | its loss line | β it really has | σ that would make β 1 |",
        "| --- | --- | --- | --- |",
    ]
    for line in lines:
        sigma = implied_sigma(line)
        reading = f"{sigma:.2f}" if sigma is not None else "(no σ)"
        at = " (at σ = 1)" if sigma is not None else ""
        rows.append(
            f"| {line.name} | {line.formula} | {effective_beta(line):.4g}{at} | {reading} |"
        )
    return "\n".join(rows)


def _per_image_factors(line: LossLine, batch_size: int | None) -> tuple[float, float]:
    """What one image's summed error and summed KL are multiplied by, when the loss is a mean over images."""
    summed = [reduction == "sum" for reduction in (line.reconstruction, line.kl)]
    if summed[0] != summed[1] and batch_size is None:
        raise CourseError(
            "elbo-batch-size",
            f"The beta of {line.formula!r} depends on the batch size.",
            "One term is summed over the batch and the other averaged.",
            "effective_beta(line, batch_size=128)",
        )
    size = batch_size or 1
    factors = {
        "sum": (size, size),
        "per image": (1, 1),
        "mean": (1 / line.dims, 1 / line.latent_dim),
    }
    return line.reconstruction_weight * factors[line.reconstruction][0], line.kl_weight * factors[
        line.kl
    ][1]


def _nll(x_hat: Tensor, x: Tensor, likelihood: str, sigma: float) -> Tensor:
    """Mean over the batch of -log p(x | z) in nats; of a Bernoulli's cross-entropy for numbers between 0 and 1."""
    if likelihood == "bernoulli":
        each = -Bernoulli(x_hat, validate_args=False).log_prob(x)
    elif likelihood == "squared":
        each = -Normal(x_hat, sigma).log_prob(x)
    else:
        raise CourseError(
            "elbo-likelihood",
            f"There is no likelihood {likelihood!r} here.",
            f"Known: {', '.join(LIKELIHOODS)}.",
            'measured_beta(loss, dims=784, latent_dim=20, likelihood="bernoulli")',
        )
    return each.sum(1).mean()


def _kl(mean: Tensor, log_var: Tensor) -> Tensor:
    return kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()


def _factor(theirs: Tensor, ours: Tensor, leaves: list[Tensor], part: str) -> float:
    """The number c with gradient(theirs) = c * gradient(ours)."""
    g, h = (torch.cat([p.flatten() for p in _gradients(value, leaves)]) for value in (theirs, ours))
    factor = (g @ h / (h @ h)).item()
    if (
        not torch.allclose(g, factor * h, rtol=1e-5, atol=1e-5 * abs(factor) * h.abs().max().item())
        or factor <= 0
    ):
        raise CourseError(
            "elbo-not-an-elbo",
            f"The {part} term is no positive multiple of the one in the ELBO.",
            "No beta makes up for another function: look for a log variance taken for a standard deviation, a "
            "missing term, a wrong sign, or a missing part.",
            "loss = nll.mean() + beta * gaussian_kl(mean, log_var).mean()",
        )
    return factor


def _gradients(value: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, leaves, retain_graph=True, allow_unused=True)
    return [
        torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)
    ]
