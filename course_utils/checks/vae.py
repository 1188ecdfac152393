"""Checks of lesson 03: the VAE and the ELBO. Each returns the function that the lesson goes on with."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence
from torch.distributions.transforms import AffineTransform

from course_utils.checks import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_tensor,
    require,
)
from course_utils.checks._vae_mistakes import (
    WRONG_BOUNDS,
    WRONG_DRAWS,
    WRONG_ELBOS,
    WRONG_KLS,
    WRONG_NLLS,
)

_FULL = "There is one number for each image of the batch: what is summed away, and what is kept?"


def _per_image(
    fn: Answer, inputs: tuple[Tensor, ...], expected: Tensor, what: str, wrong: list[Wrong]
) -> None:
    """Require (B,) values; a mistake that changes the shape as well is named before the shape is."""
    got = call(fn, *inputs)
    if type(got) is Tensor and got.shape != expected.shape:
        expect_close(got, expected, what, inputs=inputs, wrong=wrong, hint=_FULL)
    expect_tensor(got, expected.shape, what, hint=_FULL)
    expect_close(got, expected, what, inputs=inputs, wrong=wrong)


def _expect_gradient(got: Tensor, expected: Tensor, leaves: dict[str, Tensor], cut: str) -> None:
    """Require the same gradients as the reference's result: a right number with a cut graph trains nothing."""
    require(
        type(got) is Tensor and got.requires_grad,
        "a result that gradients can pass",
        "a graph that is cut",
        cut,
    )
    weights = torch.linspace(0.5, 1.5, expected.numel()).reshape(expected.shape)
    ours = torch.autograd.grad((expected * weights).sum(), list(leaves.values()))
    theirs = torch.autograd.grad((got * weights).sum(), list(leaves.values()), allow_unused=True)
    for name, mine, other in zip(leaves, ours, theirs, strict=True):
        require(other is not None, f"a gradient that reaches {name}", "none", cut)
        expect_close(other, mine, f"the gradient with respect to {name}", hint=cut)


# ---------------------------------------------------------------- 3.1 reparameterisation


def _reparameterise_by_transform(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    return AffineTransform(mean, log_var.exp().sqrt())(noise)


@exercise("3.1", _reparameterise_by_transform)
def exercise_3_1(fn: Answer) -> None:
    """Check ``reparameterise(mean, log_var, noise)``: three tensors (B, D) -> (B, D)."""
    own = (
        "`noise` is an argument: draw none of your own, or nobody could check (or repeat) the draw."
    )
    cut = "The number is right, its gradient is not: `.detach()` and `torch.no_grad` cut the path to the encoder."
    for shape in ((5, 3), (1, 7), (64, 2)):
        mean, log_var = (
            (2 * torch.randn(shape)).requires_grad_(),
            torch.randn(shape).requires_grad_(),
        )
        inputs = (mean, log_var, torch.randn(shape))
        expected = _reparameterise_by_transform(*inputs)
        got = call(fn, *inputs)
        expect_tensor(
            got, shape, "z", hint="z has the shape of the mean: each number gets its own noise."
        )
        expect_close(got, expected, "z", inputs=inputs, wrong=WRONG_DRAWS, hint=own)
        _expect_gradient(got, expected, {"mean": mean, "log_var": log_var}, cut)


# ---------------------------------------------------------------- 3.2 the KL divergence of two Gaussians


def _kl_by_distributions(mean: Tensor, log_var: Tensor) -> Tensor:
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return kl_divergence(Independent(Normal(mean, (0.5 * log_var).exp()), 1), Independent(prior, 1))


@exercise("3.2", _kl_by_distributions)
def exercise_3_2(fn: Answer) -> None:
    """Check ``gaussian_kl(mean, log_var)``: (B, D), (B, D) -> (B,) in nats."""
    for shape in ((4, 3), (1, 5), (6, 1)):
        mean, log_var = torch.randn(shape) + 0.5, 1.5 * torch.randn(shape) - 0.3
        if shape == (4, 3):
            log_var = log_var.abs() + 0.1  # the log of a log_var taken for a deviation then exists
        inputs = mean, log_var
        _per_image(
            fn, inputs, _kl_by_distributions(*inputs), f"the KL of shape {(shape[0],)}", WRONG_KLS
        )
    mean, log_var = torch.zeros(2, 3), torch.tensor([[-60.0, -30.0, 3.0], [20.0, 0.0, -1.0]])
    hint = "Another number for a very narrow posterior: use log_var as it is, with no small constant inside a log."
    expected = 0.5 * (log_var.double().exp() - 1 - log_var.double()).sum(1)
    expect_close(call(fn, mean, log_var), expected, "the KL of very narrow posteriors", hint=hint)
    _gradient_case(fn, _kl_by_distributions, torch.randn(3, 4), torch.randn(3, 4))


def _gradient_case(
    fn: Answer, reference: Callable[[Tensor, Tensor], Tensor], mean: Tensor, log_var: Tensor
) -> None:
    leaves = {"mean": mean.requires_grad_(), "log_var": log_var.requires_grad_()}
    cut = "The number is right, its gradient is not: `.detach()`, `.item()` and `torch.no_grad` cut the path."
    _expect_gradient(call(fn, mean, log_var), reference(mean, log_var), leaves, cut)


# ---------------------------------------------------------------- 3.3 the Gaussian likelihood


def _nll_by_distributions(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    return -Normal(mean, (0.5 * log_var).exp()).log_prob(x).flatten(1).sum(1)


@exercise("3.3", _nll_by_distributions)
def exercise_3_3(fn: Answer) -> None:
    """Check ``gaussian_nll(x, mean, log_var)``: (B, ...), (B, ...), a tensor that broadcasts -> (B,) in nats."""
    shapes = (
        ((3, 2, 4, 5), ()),
        ((2, 6), (1, 6)),
        ((3, 2, 4, 5), (1, 2, 1, 1)),
        ((4, 3, 2, 2), (4, 1, 1, 1)),
    )
    for shape, of_log_var in (*shapes, ((1, 3, 4, 4), (1, 3, 4, 4))):
        x, mean, log_var = (
            torch.randn(shape),
            torch.randn(shape),
            0.7 * torch.randn(of_log_var) - 0.4,
        )
        if not of_log_var:
            log_var = torch.tensor(0.7)  # the log of a log_var taken for a variance then exists
        what = f"the NLL of {tuple(shape)} images with log_var of shape {tuple(of_log_var)}"
        _per_image(
            fn, (x, mean, log_var), _nll_by_distributions(x, mean, log_var), what, WRONG_NLLS
        )
    x, mean, small = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor(-16.0)
    clamped = "With a very small variance another number comes: is the variance held above some least value?"
    expected = _nll_by_distributions(x.double(), mean.double(), small.double())
    expect_close(
        call(fn, x, mean, small), expected, "the NLL with log_var = -16", hint=clamped, rtol=1e-3
    )
    _gradient_case(
        lambda m, v: fn(x, m, v),
        lambda m, v: _nll_by_distributions(x, m, v),
        mean,
        torch.tensor(-0.5),
    )


# ---------------------------------------------------------------- 3.4 the negative ELBO


def _negative_elbo_by_dot(nll: Tensor, kl: Tensor, beta: float) -> Tensor:
    both = torch.cat([nll, kl])
    weights = torch.cat([torch.ones_like(nll), torch.full_like(kl, beta)]) / len(nll)
    return weights @ both


@exercise("3.4", _negative_elbo_by_dot)
def exercise_3_4(fn: Answer) -> None:
    """Check ``negative_elbo(nll, kl, beta)``: (B,), (B,), float -> scalar."""
    for count, beta in ((5, 0.3), (1, 2.5), (7, 1.0), (3, 0.0), (2, 4)):
        nll, kl = (
            (40 + 100 * torch.rand(count)).requires_grad_(),
            (20 * torch.rand(count) + 1).requires_grad_(),
        )
        inputs, what = (
            (nll, kl, beta),
            f"the negative ELBO of a batch of {count} with beta = {beta}",
        )
        got, expected = call(fn, *inputs), _negative_elbo_by_dot(*inputs)
        expect_close(got, expected, what, inputs=inputs, wrong=WRONG_ELBOS)
        cut = "Return the tensor itself: a plain number (`.item()`, `float`) has lost the way back to the networks."
        require(type(got) is Tensor, f"{what}: a tensor without dimensions", got, cut)
        if beta:
            _expect_gradient(got, expected, {"nll": nll, "kl": kl}, cut)


# ---------------------------------------------------------------- 3.5 the importance-weighted bound


def _iwae_by_pairs(log_weights: Tensor) -> Tensor:
    """Adds the weights one by one with ``logaddexp``, in float64."""
    rows = log_weights.double().unbind(0)
    total = rows[0]
    for row in rows[1:]:
        total = torch.logaddexp(total, row)
    return (total - math.log(len(rows))).mean().to(log_weights.dtype)


@exercise("3.5", _iwae_by_pairs)
def exercise_3_5(fn: Answer) -> None:
    """Check ``iwae_bound(log_weights)``: (K, B) -> scalar in nats."""
    for shape in ((4, 3), (1, 5), (7, 1), (3, 6)):
        log_weights = 2 * torch.randn(shape) - 1 - torch.arange(float(shape[1]))
        _bound_case(fn, log_weights, f"the bound for log weights of shape {shape}")
    _bound_case(fn, 3 * torch.randn(5, 4) - 5000, "the bound for log weights near -5000")
    _bound_case(
        fn,
        3 * torch.randn(5, 4) + 5000,
        "the bound for log weights near 5000 (densities can be large)",
    )
    leaf = torch.randn(3, 4).requires_grad_()
    _expect_gradient(
        call(fn, leaf),
        _iwae_by_pairs(leaf),
        {"log_weights": leaf},
        "Return the tensor itself, uncut.",
    )


def _bound_case(fn: Answer, log_weights: Tensor, what: str) -> None:
    got = call(fn, log_weights)
    unstable = (
        "Not stable: subtract the largest log weight before exp, or let torch.logsumexp do it."
    )
    try:
        expect_close(
            got,
            _iwae_by_pairs(log_weights),
            what,
            inputs=(log_weights,),
            wrong=WRONG_BOUNDS,
            rtol=1e-5,
        )
    except CheckFailed as failure:
        broken = type(got) is Tensor and not got.isfinite().all()
        raise CheckFailed(
            failure.expected, failure.got, unstable if broken else failure.hint
        ) from None
