"""Checks of the clinic's formulas: 7.11 (a VAE's second term), 7.12 (direction of a KL), 7.18 (a derivation)."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from course_utils.checks import Answer, Wrong, call, expect_close, expect_tensor, require
from course_utils.checks._clinic_tools import ZERO_LOG_ZERO, is_nan

# ---------------------------------------------------------------- 7.11 the bound of a VAE


def elbo_by_distributions(
    x: Tensor, mean: Tensor, log_var: Tensor, noise: Tensor, w: float, s: float
) -> Tensor:
    """The reference: the expectation of log p(x|z) in closed form, minus torch's own KL."""
    q = Normal(mean, (log_var / 2).exp())
    expected = Normal(w * mean, s).log_prob(x) - (w / s) ** 2 * q.variance / 2
    return expected - kl_divergence(q, Normal(0.0, 1.0))


def _with_penalty(penalty: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    def bound(
        x: Tensor, mean: Tensor, log_var: Tensor, noise: Tensor, w: float, s: float
    ) -> Tensor:
        kl = (mean**2 + log_var.exp() - 1 - log_var) / 2
        return elbo_by_distributions(x, mean, log_var, noise, w, s) + kl - penalty(mean, log_var)

    return bound


def _constant(
    x: Tensor, mean: Tensor, log_var: Tensor, noise: Tensor, w: float, s: float
) -> Tensor:
    return _with_penalty(lambda m, v: (noise - noise.sigmoid()).square().mean())(
        x, mean, log_var, noise, w, s
    )


def _reverse_kl(m: Tensor, v: Tensor) -> Tensor:
    return kl_divergence(Normal(0.0, 1.0), Normal(m, (v / 2).exp()))


_WRONG_ELBO: list[Wrong] = [
    (
        _constant,
        "Unchanged: a term that depends on nothing the encoder does has no gradient. Put KL(q(z|x) || p(z)) there.",
    ),
    (
        _with_penalty(lambda m, v: 0 * m),
        "Without a second term nothing ties q to the prior: this is an autoencoder.",
    ),
    (_with_penalty(lambda m, v: m**2 + v.exp() - 1 - v), "The ½ in front of the KL is missing."),
    (
        _with_penalty(lambda m, v: -(m**2 + v.exp() - 1 - v) / 2),
        "The KL has the wrong sign: a bound *loses* it.",
    ),
    (
        _with_penalty(lambda m, v: (m**2 + (2 * v).exp() - 1 - 2 * v) / 2),
        "log_var was used as if it were log sigma.",
    ),
    (
        _with_penalty(lambda m, v: (m**2 + (v / 2).exp() - 1 - v / 2) / 2),
        "sigma stands where sigma² belongs in the KL.",
    ),
    (
        _with_penalty(_reverse_kl),
        "This is KL(prior || q), the wrong way round; the bound needs KL(q || prior).",
    ),
    (
        _with_penalty(lambda m, v: m**2 / 2),
        "Only the mean is tied to the prior; the spread of q must be as well.",
    ),
    (
        lambda *a: elbo_by_distributions(*a).mean(),
        "One bound for each example, (B,): keep the examples apart, average over the draws only.",
    ),
    (lambda *a: -elbo_by_distributions(*a), "This is the loss, the negative bound."),
]


def inspect_elbo(fn: Answer) -> None:
    """Equal to log p(x) at the true posterior of a linear-Gaussian model; below it by KL(q || posterior) elsewhere."""
    w, s = 1.7, 0.6
    x = torch.tensor([0.4, -2.0, 3.1])
    noise = torch.tensor(
        [[-1.0], [1.0]]
    )  # mean 0 and variance 1 exactly, so that averages of squares are exact
    variance = s**2 / (w**2 + s**2)
    true_mean, true_log_var = variance * w * x / s**2, torch.full_like(x, math.log(variance))
    exact = Normal(0.0, math.sqrt(w**2 + s**2)).log_prob(x)
    posts = (
        (torch.tensor([0.9, -0.4, 0.2]), torch.tensor([-1.3, 0.7, 0.1])),
        (true_mean, true_log_var),
    )
    for mean, log_var in posts:
        arguments = (x, mean, log_var, noise, w, s)
        got = call(fn, *arguments)
        hint = "The bound is the mean of log p(x|z) over the draws, minus KL(q(z|x) || N(0, 1))."
        named = next((h for f, h in _WRONG_ELBO if _equal(got, f(*arguments))), None)
        if named is None:
            expect_tensor(got, (3,), "one bound for each x")
        gap = kl_divergence(
            Normal(mean, (log_var / 2).exp()), Normal(true_mean, math.sqrt(variance))
        )
        what = "the bound (log p(x) minus the distance of q from the true posterior)"
        expect_close(got, exact - gap, what, hint=named or hint, atol=1e-4)


def _equal(got: object, other: Tensor) -> bool:
    return (
        isinstance(got, Tensor)
        and got.shape == other.shape
        and torch.allclose(got, other, atol=1e-4)
    )


# ---------------------------------------------------------------- 7.12 the direction of a KL


def kl_by_ratio(p: Tensor, q: Tensor) -> Tensor:
    """The reference: the sum of p log(p / q) where p > 0."""
    some = p > 0
    return (p[some] * (p[some].log() - q[some].log())).sum()


_WRONG_KL: list[Wrong] = [
    (
        lambda p, q: -kl_by_ratio(q, p),
        "Unchanged: the logarithm is that of KL(p || q), the weights are q. "
        "Together they make -KL(q || p), without a floor.",
    ),
    (
        lambda p, q: kl_by_ratio(q, p),
        "This is KL(q || p), another divergence: the expectation runs over the *second* argument.",
    ),
    (lambda p, q: -kl_by_ratio(p, q), "The sign is wrong: a divergence is never negative."),
    (
        lambda p, q: kl_by_ratio(q, p).abs(),
        "A sign taken away by force: the weights are still q, not p.",
    ),
    (lambda p, q: kl_by_ratio(p, q) / math.log(2), "These are bits, not nats."),
    (
        lambda p, q: kl_by_ratio(p, q) / len(p),
        "A mean over the states: each one already counts with its weight p.",
    ),
    (
        lambda p, q: (kl_by_ratio(p, (p + q) / 2) + kl_by_ratio(q, (p + q) / 2)) / 2,
        "This is the JSD: symmetric, and finite where a KL is not.",
    ),
    (
        lambda p, q: (p - q).square().sum(),
        "A squared distance is no divergence of distributions: no logarithm, no expectation.",
    ),
]


def inspect_kl(fn: Answer) -> None:
    """Unequal probabilities, a state that only q has, a state that only p has, and equality last."""
    rows = (
        ([0.1, 0.2, 0.7], [0.5, 0.3, 0.2]),
        ([0.0, 0.4, 0.6], [0.3, 0.3, 0.4]),
        ([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]),
    )
    for row in rows:
        p, q = (torch.tensor(r) for r in row)
        got = call(fn, p, q)
        require(not is_nan(got), f"a number for p = {row[0]}, q = {row[1]}", "NaN", ZERO_LOG_ZERO)
        expect_close(got, kl_by_ratio(p, q), f"KL of p = {row[0]} to q = {row[1]}",
                     inputs=(p, q), wrong=_WRONG_KL)  # fmt: skip
    got = call(fn, torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))
    hint = "q says *never* where p happens: the divergence is infinite, and a small number in the logarithm hides that."
    infinite = isinstance(got, float | Tensor) and float(got) == math.inf
    require(infinite, "infinity for p = [0.5, 0.5], q = [1, 0]", got, hint)


# ---------------------------------------------------------------- 7.18 the first line that does not follow

Line = Callable[..., float]


def break_by_pairs(lines: Sequence[Line], points: Sequence[tuple]) -> int | None:
    """The reference: the first line that differs from the one above it at any point."""
    for k in range(1, len(lines)):
        if any(
            not math.isclose(lines[k](*p), lines[k - 1](*p), rel_tol=1e-6, abs_tol=1e-9)
            for p in points
        ):
            return k
    return None


def _v(p: float, q: float) -> float:
    return p * math.log(p / (p + q)) + q * math.log(q / (p + q))


_SYMMETRIC: list[Line] = [lambda p, q: p - q, lambda p, q: q - p, lambda p, q: -(p - q)]
_RETURNS: list[Line] = [lambda p, q: p, lambda p, q: p + 1, lambda p, q: p + 1, lambda p, q: p]
_ROUNDED: list[Line] = [lambda p, q: (0.1 + 0.2) * p, lambda p, q: 0.3 * p, lambda p, q: 0.3 * q]
_VALID: list[Line] = [
    _v,
    lambda p, q: (
        (p + q) * (p / (p + q) * math.log(p / (p + q)) + q / (p + q) * math.log(q / (p + q)))
    ),
]
_TRIALS: list[tuple[list[Line], list[tuple], str]] = [
    (
        _SYMMETRIC,
        [(0.5, 0.5), (0.2, 0.7)],
        "At the first point p = q, where much is equal that is not: a line holds only if it holds at *every* point.",
    ),
    (
        _RETURNS,
        [(0.5, 0.1), (0.3, 0.3)],
        "Two errors can cancel: the first and last line agree, the second is wrong.",
    ),
    (
        _ROUNDED,
        [(0.5, 0.1)],
        "0.1 + 0.2 is not 0.3 in floating point: allow for rounding, `math.isclose`.",
    ),
    (_VALID, [(0.5, 0.1), (0.3, 0.9)], "Every line follows here: the answer is None."),
    (_RETURNS[:1], [(0.5, 0.1)], "One line alone cannot contradict anything: the answer is None."),
]


def inspect_first_break(fn: Answer) -> None:
    """Chains that break where p differs from q only, whose errors cancel, that differ by rounding, and sound ones."""
    for lines, points, hint in _TRIALS:
        expected = break_by_pairs(lines, points)
        came = _none_is_fine(fn, lines, points)
        shown = f"{expected} for a chain of {len(lines)} lines"
        numbers = isinstance(came, int) and expected is not None
        if numbers and came == expected + 1 and lines is _SYMMETRIC:
            hint = "Count lines from 0: the answer is the index of the line that does not equal the one above it."
        elif numbers and came > expected:
            hint = "A later break came back: stop at the first one."
        require(came == expected and type(came) is type(expected), shown, repr(came), hint)


def _none_is_fine(fn: Answer, *arguments: object) -> object:
    return call(fn, *arguments, returns=False)
