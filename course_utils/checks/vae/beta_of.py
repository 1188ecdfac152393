"""Exercise `beta_of`: which beta a loss line has, found by calling it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, expect_number

Nats = Callable[[Tensor, Tensor], Tensor]


def _kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """(B, D), (B, D) -> (B,), in nats."""
    return kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(0.0, 1.0)).sum(1)


def _factor(line: Tensor, nats: Tensor, leaf: Tensor) -> Tensor:
    """By which factor the line's gradient is larger than that of the nats."""
    (ours,) = torch.autograd.grad(nats, leaf)
    (theirs,) = torch.autograd.grad(line, leaf, retain_graph=True)
    return (theirs * ours).sum() / ours.square().sum()


def _beta_by_gradients(
    line: Answer, nll: Nats, x_hat: Tensor, x: Tensor, mean: Tensor, log_var: Tensor
) -> float:
    """The gradient in x_hat knows the likelihood alone, that in the mean the KL alone."""
    with torch.enable_grad():
        x_hat, mean = (leaf.detach().clone().requires_grad_() for leaf in (x_hat, mean))
        value = line(x_hat, x, mean, log_var)
        of_code = _factor(value, _kl(mean, log_var).mean(), mean)
        return (of_code / _factor(value, nll(x_hat, x).mean(), x_hat)).item()


def _squared(x_hat: Tensor, x: Tensor) -> Tensor:
    return -Normal(x_hat, 0.5).log_prob(x).sum(1)


def _crossed(x_hat: Tensor, x: Tensor) -> Tensor:
    return -Bernoulli(x_hat, validate_args=False).log_prob(x).sum(1)


def _line(nll: Nats, a: float, c: float, constant: float) -> Answer:
    """A line with these factors, and a constant that depends on the pictures."""

    def line(x_hat: Tensor, x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
        return a * nll(x_hat, x).mean() + c * _kl(mean, log_var).mean() + constant * x.sum()

    return line


def _factors(
    line: Answer, nll: Nats, x_hat: Tensor, x: Tensor, mean: Tensor, log_var: Tensor
) -> tuple[Any, Any]:
    """The line's price of a nat of pixels and of a nat of code."""
    value = line(x_hat, x, mean, log_var)
    other, wide = 0.5 * x_hat + 0.2, log_var + 0.7
    pixels = line(other, x, mean, log_var) - value, (nll(other, x) - nll(x_hat, x)).mean()
    code = line(x_hat, x, mean, wide) - value, (_kl(mean, wide) - _kl(mean, log_var)).mean()
    return pixels[0] / pixels[1], code[0] / code[1]


def _of(formula: Callable[[Any, Any, int], Any]) -> Answer:
    """A mistake as a formula of both prices and the batch size."""
    return lambda line, nll, x_hat, *others: formula(
        *_factors(line, nll, x_hat, *others), len(x_hat)
    )


def _by_values(
    line: Answer, nll: Nats, x_hat: Tensor, x: Tensor, mean: Tensor, log_var: Tensor
) -> Any:
    return (line(x_hat, x, mean, log_var) - nll(x_hat, x).mean()) / _kl(mean, log_var).mean()


_BATCH = "One term is summed over the batch: the line counts nats per *picture*, so average both."
_MISTAKES: list[Wrong] = [
    (
        _of(lambda a, c, n: a / c),
        "Upside down: beta weighs the KL, so what a nat of code costs is divided by what a nat of pixels costs.",
    ),
    (
        _of(lambda a, c, n: c),
        "This is the KL's factor c. Divide it by a: a line may also have a factor before its error.",
    ),
    (
        _of(lambda a, c, n: a),
        "This is the error's factor a. Beta is the KL's factor, divided by it.",
    ),
    (_of(lambda a, c, n: 1 / a), "The KL's factor is missing: beta is c/a."),
    (
        _of(lambda a, c, n: a * c),
        "The product: a common factor moves no optimum, so it must cancel.",
    ),
    (_of(lambda a, c, n: c / a * n), _BATCH),
    (_of(lambda a, c, n: c / a / n), _BATCH),
    (
        _of(lambda a, c, n: abs(c / a)),
        "The sign is lost: a line that *subtracts* its KL has a negative beta.",
    ),
    (_of(lambda a, c, n: (c / a) ** 2), "This is beta squared: a square is left from some length."),
    (
        _of(lambda a, c, n: -c / a),
        "A sign: one of the two differences is taken the other way round.",
    ),
    (
        _by_values,
        "This takes a = 1 and no constant for granted. Call the line twice, and use what changes.",
    ),
]
_WORKED = (
    "A line of 3 and, with other pictures, of 5, while the mean nll went from 10 to 14: a = 2/4. With other log_var it "
    "is 4 while the KL went from 1 to 1.2: c = 1/0.2. So beta is 5/0.5 = 10."
)
_SAYS = {
    "does not require grad": "For gradients make leaves first, `x_hat.clone().requires_grad_()`. Two calls of the "
    "line do without."
}


@exercise(_beta_by_gradients)
def beta_of(fn: Answer) -> None:
    """Check ``beta_of(line, nll, x_hat, x, mean, log_var)``: a number.

    Lines of known factors with both likelihoods, other sizes and batches, a negative factor and a constant.
    """
    cases = (
        (_squared, 0.3, 2.0, 0.0, (5, 12, 3)),
        (_crossed, 2.0, 0.5, 0.4, (3, 7, 2)),
        (_squared, 0.01, -0.6, 1.5, (4, 9, 6)),
        (_crossed, 1.0, 1.0, -0.8, (2, 30, 1)),
    )
    random = torch.Generator().manual_seed(6)
    for nll, a, c, constant, (count, pixels, latents) in cases:
        x_hat, x = (
            0.05 + 0.9 * torch.rand(count, pixels, generator=random, dtype=torch.float64)
            for _ in range(2)
        )
        mean, log_var = (
            torch.randn(count, latents, generator=random, dtype=torch.float64) for _ in range(2)
        )
        inputs = (_line(nll, a, c, constant), nll, x_hat, x, mean, log_var)
        sign = "+" if c > 0 else "−"
        what = f"beta of {a:g} · nll {sign} {abs(c):g} · KL" + (" + a constant" if constant else "")
        got = call(fn, *inputs, says=_SAYS)
        expect_close(got, c / a, what, inputs=inputs, wrong=_MISTAKES, hint=_WORKED)
        expect_number(got, what)
