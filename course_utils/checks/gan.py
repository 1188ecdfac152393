"""Checks of lesson 01: GAN theory. Each returns the function that the lesson goes on with."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks import Answer, Wrong, call, exercise, expect_close, expect_tensor, require
from course_utils.checks._gan_js import inspect_js_divergence, js_by_entropies
from course_utils.checks._gan_step import gan_step_with_labels, inspect_gan_step

# ---------------------------------------------------------------- 1.1 the optimal discriminator


def _best_by_odds(p_data: Tensor, p_g: Tensor) -> Tensor:
    """D* as the sigmoid of its log odds."""
    p, q = torch.as_tensor(p_data), torch.as_tensor(p_g)
    return torch.where((p == 0) & (q == 0), 0.5, torch.sigmoid(torch.log(p) - torch.log(q)))


_PLAIN = "0/0 is NaN: where both densities are 0 nothing is ever asked, and the answer is fixed to 0.5 there."
_WRONG_BEST: list[Wrong] = [
    (
        lambda p, q: _best_by_odds(q, p),
        "The roles are swapped: this is the probability of *fake*.",
    ),
    (
        lambda p, q: p / q,
        "This is the ratio of the densities, which has no upper bound; divide by their sum.",
    ),
    (
        lambda p, q: q / p,
        "This is the inverse ratio of the densities; divide p_data by the sum of both.",
    ),
    (
        lambda p, q: (p > q).to(p.dtype),
        "A hard decision is the best answer to a game without logarithms; with them the best answer is a probability.",
    ),
    (
        lambda p, q: 2 * _best_by_odds(p, q),
        "The mixture was halved: D* divides by the sum, not by the mean.",
    ),
    (
        lambda p, q: torch.nan_to_num(p / (p + q)),
        "Where both densities are 0 the answer is fixed to 0.5, not to 0.",
    ),
    (
        lambda p, q: torch.nan_to_num(p / (p + q), nan=1.0),
        "Where both densities are 0 the answer is 0.5, not 1.",
    ),
    (lambda p, q: p / (p + q), _PLAIN),
    (
        lambda p, q: p - q,
        "A difference of densities is no probability: which share of the mass at x is real?",
    ),
]
_ADDED = "A small number in the denominator spoils the answer where both densities are small; treat only 0/0 apart."


@exercise("1.1", _best_by_odds)
def exercise_1_1(fn: Answer) -> None:
    """Check ``optimal_discriminator(p_data, p_g)``: densities of the same shape -> D* of that shape."""
    cases = (
        (
            torch.tensor([0.6, 0.1, 0.05, 2.5, 0.0, 0.9]),
            torch.tensor([0.2, 0.3, 0.75, 0.5, 0.4, 0.0]),
        ),
        (
            torch.tensor([[0.0, 0.3], [1e-9, 0.0], [0.7, 0.2]]),
            torch.tensor([[0.0, 0.1], [3e-9, 0.0], [0.7, 0.6]]),
        ),
        (
            torch.tensor([1e-30, 4e-20, 0.8], dtype=torch.float64),
            torch.tensor([3e-30, 1e-20, 0.1], dtype=torch.float64),
        ),
    )
    for p, q in cases:
        got = call(fn, p, q)
        require(
            _shape(got) == tuple(p.shape),
            f"one answer a point, shape {tuple(p.shape)}",
            got,
            "Work entry by entry.",
        )
        both, expected = (p == 0) & (q == 0), _best_by_odds(p, q)
        got = torch.as_tensor(got)
        require(not got[both].isnan().any(), "0.5 where both densities are 0", "NaN", _PLAIN)
        expect_close(
            got,
            expected,
            "D*",
            inputs=(p, q),
            wrong=_WRONG_BEST,
            hint=_hint_if_small(got, expected, p + q),
        )


def _shape(value: object) -> tuple[int, ...] | None:
    return tuple(getattr(value, "shape", ())) if hasattr(value, "shape") else None


def _hint_if_small(got: Tensor, expected: Tensor, total: Tensor) -> str:
    large = total > 1e-3
    right_where_large = torch.allclose(got[large].double(), expected[large].double(), atol=1e-3)
    return _ADDED if right_where_large else "Densities 0.6 and 0.2 give 0.75: compare."


# ---------------------------------------------------------------- 1.2 the value from logits


def _value_by_bce(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    bce = F.binary_cross_entropy_with_logits
    return -bce(real_logits, torch.ones_like(real_logits)) - bce(
        fake_logits, torch.zeros_like(fake_logits)
    )


def _each(real: Tensor, fake: Tensor) -> Tensor:
    """The logarithm that each example contributes, one flat tensor."""
    return torch.cat([F.logsigmoid(real).flatten(), F.logsigmoid(-fake).flatten()])


_TWO_STEPS = "The sigmoid of -200 is 0 in floating point, and its logarithm is lost. F.logsigmoid does both in one stable step."
_WRONG_VALUE: list[Wrong] = [
    (
        lambda r, f: -_value_by_bce(r, f),
        "This is -V, the discriminator's loss. V itself is at most 0; D ascends it.",
    ),
    (lambda r, f: torch.log(r.sigmoid()).mean() + torch.log(1 - f.sigmoid()).mean(), _TWO_STEPS),
    *[
        (
            lambda r, f, e=eps: (
                torch.log(r.sigmoid() + e).mean() + torch.log(1 - f.sigmoid() + e).mean()
            ),
            "A small number inside the logarithm makes it finite, but wrong: at a logit of -200 log D is -200.",
        )
        for eps in (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
    ],
    (
        lambda r, f: F.logsigmoid(r).mean() + F.logsigmoid(f).mean(),
        "The second term is log(1 - D), and 1 - sigmoid(a) = sigmoid(-a): the sign of the fake logits is missing.",
    ),
    (
        lambda r, f: torch.log(r.sigmoid().mean()) + torch.log((-f).sigmoid().mean()),
        "This is the logarithm of a mean; V is the mean of logarithms, which is smaller (Jensen's inequality).",
    ),
    (
        lambda r, f: F.logsigmoid(r).sum() + F.logsigmoid(-f).sum(),
        "Sums grow with the batch; V is made of two means.",
    ),
    (
        lambda r, f: _each(r, f).mean(),
        "One mean over both batches together: V is the sum of two means, each over its own batch.",
    ),
    (
        lambda r, f: _value_by_bce(r, f) / 2,
        "V is the sum of its two terms, not their mean: a factor 2 is missing.",
    ),
    (lambda r, f: _value_by_bce(r, f) / math.log(2), "These are bits (log base 2), not nats."),
    (
        lambda r, f: r.sigmoid().mean() + (-f).sigmoid().mean(),
        "The logarithms are missing: that game has another optimum.",
    ),
    (
        lambda r, f: r.mean() - f.mean(),
        "This is a Wasserstein critic's objective; the logarithms of D are missing.",
    ),
    (
        lambda r, f: F.logsigmoid(r).mean(),
        "Only the real examples count here: D would learn to call everything real.",
    ),
    (
        lambda r, f: F.logsigmoid(-f).mean(),
        "Only the fakes count here: D would learn to call everything fake.",
    ),
    (
        lambda r, f: F.logsigmoid(-r).mean() + F.logsigmoid(f).mean(),
        "The labels are swapped: real examples should raise D, fakes should lower it.",
    ),
]


@exercise("1.2", _value_by_bce)
def exercise_1_2(fn: Answer) -> None:
    """Check ``value_function(real_logits, fake_logits)``: scalar tensor in nats."""
    moderate = (torch.tensor([1.5, -0.7, 2.2, 0.4, -3.0]), torch.tensor([-1.1, 0.9, 2.5]))
    column = (torch.tensor([[0.8]]), torch.tensor([[1.3], [-2.0], [0.1], [0.6]]))
    extreme = (torch.tensor([-200.0, 1.0, 200.0]), torch.tensor([200.0, -200.0, 0.5, -1.0]))
    for real, fake in (moderate, column, extreme):
        _expect_scalar_loss(fn, _value_by_bce, (real, fake), "V", _WRONG_VALUE, _TWO_STEPS)


def _expect_scalar_loss(
    fn: Answer,
    oracle: Callable[..., Tensor],
    args: tuple,
    what: str,
    wrong: list[Wrong],
    not_finite: str,
) -> None:
    """Value and gradient of a scalar loss of logits; ``args`` are tensors, or settings such as a flag."""
    mine = [a.clone().requires_grad_() if isinstance(a, Tensor) else a for a in args]
    got = call(fn, *mine)
    hint = "One number for the whole batch: take the mean over all logits."
    expect_tensor(got, (), what, hint=hint)
    require(bool(got.isfinite()), f"{what} finite for logits of +-200", got, not_finite)
    expect_close(got, oracle(*args), what, inputs=args, wrong=wrong)
    theirs = [a for a in mine if isinstance(a, Tensor)]
    cut = "The result has lost its gradient: no .item(), .detach(), NumPy or torch.no_grad on the way."
    require(got.requires_grad, f"{what} with a gradient", "a constant", cut)
    ours = [a.clone().requires_grad_() for a in args if isinstance(a, Tensor)]
    flags = [a for a in args if not isinstance(a, Tensor)]
    expected = torch.autograd.grad(oracle(*ours, *flags), ours)
    came = torch.autograd.grad(got, theirs, allow_unused=True)
    for mine_grad, right in zip(came, expected, strict=True):
        mine_grad = torch.zeros_like(right) if mine_grad is None else mine_grad
        expect_close(mine_grad, right, f"the gradient of {what} in the logits", hint=cut)


# ---------------------------------------------------------------- 1.3 the Jensen-Shannon divergence


@exercise("1.3", js_by_entropies)
def exercise_1_3(fn: Answer) -> None:
    """Check ``js_divergence(p, q, dx)``: scalar in nats."""
    inspect_js_divergence(fn)


# ---------------------------------------------------------------- 1.4 both generator losses


def _loss_by_softplus(fake_logits: Tensor, saturating: bool) -> Tensor:
    return -F.softplus(fake_logits).mean() if saturating else F.softplus(-fake_logits).mean()


_CAUGHT = (
    "Minimising this *lowers* D(G(z)): G would be trained to be caught. It is the discriminator's term for fakes; "
    "in cross-entropy terms the generator's label is 1."
)
_WRONG_LOSS: list[Wrong] = [
    (
        lambda a, s: _loss_by_softplus(a, not s),
        "The two losses are exchanged: the saturating one is log(1 - D).",
    ),
    (lambda a, s: F.softplus(a).mean(), _CAUGHT),
    (
        lambda a, s: -_loss_by_softplus(a, s),
        "The sign is wrong: minimising this lowers D(G(z)) instead of raising it.",
    ),
    (
        lambda a, s: torch.log(1 - a.sigmoid()).mean() if s else -torch.log(a.sigmoid()).mean(),
        _TWO_STEPS,
    ),
    (
        lambda a, s: torch.log(1 - a.sigmoid().mean()) if s else -torch.log(a.sigmoid().mean()),
        "This is the logarithm of a mean; the loss is the mean of logarithms (Jensen's inequality).",
    ),
    *[
        (
            lambda a, s, e=eps: (
                torch.log(1 - a.sigmoid() + e).mean() if s else -torch.log(a.sigmoid() + e).mean()
            ),
            "A small number inside the logarithm makes it finite, but wrong: at a logit of -200 log D is -200.",
        )
        for eps in (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
    ],
    (
        lambda a, s: _loss_by_softplus(a, s) * a.numel(),
        "A sum grows with the batch, and with it the step: take the mean.",
    ),
    (lambda a, s: _loss_by_softplus(a, s) / math.log(2), "These are bits (log base 2), not nats."),
    (
        lambda a, s: -a.mean(),
        "This is a Wasserstein generator's loss; the logarithm of D is missing.",
    ),
]


@exercise("1.4", _loss_by_softplus)
def exercise_1_4(fn: Answer) -> None:
    """Check ``generator_loss(fake_logits, saturating)``: scalar tensor in nats."""
    batches = (
        torch.tensor([-1.5, 0.7, -2.2, 0.4, -3.0]),
        torch.tensor([[0.8]]),
        torch.tensor([-200.0, 1.0, 200.0, -0.5]),
    )
    minimax, other = (call(fn, batches[0], saturating) for saturating in (True, False))
    both = isinstance(minimax, Tensor) and isinstance(other, Tensor) and torch.equal(minimax, other)
    caught = both and torch.allclose(minimax, F.softplus(batches[0]).mean())
    hint = _CAUGHT if caught else "The result is the same whatever `saturating` says."
    require(not both, "two different losses", minimax, hint)
    for logits in batches:
        for saturating in (True, False):
            what = f"the {'minimax' if saturating else 'non-saturating'} loss (saturating={saturating})"
            _expect_scalar_loss(
                fn, _loss_by_softplus, (logits, saturating), what, _WRONG_LOSS, _TWO_STEPS
            )


# ---------------------------------------------------------------- 1.5 the training step


@exercise("1.5", gan_step_with_labels)
def exercise_1_5(fn: Answer) -> None:
    """Check ``gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise) -> (float, float)``."""
    inspect_gan_step(fn)
