"""Exercise `private_step`: one step of logistic regression that no single example moves far."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like, require
from course_utils.checks.world.clip_and_noise import clip_and_noise

_clipped: Answer = clip_and_noise.reference


def _by_autograd(
    weights: Tensor,
    x: Tensor,
    y: Tensor,
    clip: float,
    noise_multiplier: float,
    rate: float,
    generator: torch.Generator,
) -> Tensor:
    """Each example gets weights of its own, equal ones, so that autograd gives each its own gradient."""
    with torch.enable_grad():
        own = weights.detach().expand(len(x), -1).clone().requires_grad_(True)
        logits = (x * own).sum(dim=1)
        loss = F.binary_cross_entropy_with_logits(logits, y, reduction="sum")
        (each,) = torch.autograd.grad(loss, own)
    return weights - rate * _clipped(each, clip, noise_multiplier, generator)


def _with(gradients: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Answer:
    """A mistake in the gradients (B, P) of the examples: a function of weights, x and y."""
    return lambda weights, x, y, clip, noise, rate, generator: (
        weights - rate * _clipped(gradients(weights, x, y), clip, noise, generator)
    )


def _after(change: Callable[[Tensor, Tensor, float], Tensor]) -> Answer:
    """A mistake in the step: a function of weights, the private gradient and the rate."""
    return lambda weights, x, y, clip, noise, rate, generator: change(
        weights, _clipped(_error(weights, x, y)[:, None] * x, clip, noise, generator), rate
    )


def _error(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.sigmoid(x @ weights) - y


_UP = "The step went uphill: the error is the probability minus the label, and the step is subtracted."
_PROBABILITY = "x @ weights are logits. The error is the *probability* of “positive”, their sigmoid, minus the label."
_EACH = (
    "One review's pull is hidden in the mean already when it is clipped. Keep one gradient for each review, (B, P), "
    "and let `clip_and_noise` average them."
)
_PART = (
    "Each gradient was divided by B before the clipping, and `clip_and_noise` divides again: a row is one review's "
    "gradient, not its share of a mean."
)
_CLIP = "Nothing was clipped or something else was: the rows that `clip_and_noise` gets are the gradients."

_MISTAKES: list[Wrong] = [
    (_after(lambda w, g, rate: w + rate * g), _UP),
    (_with(lambda w, x, y: (x @ w - y)[:, None] * x), _PROBABILITY),
    (_with(lambda w, x, y: (x @ w).sigmoid()[:, None] * x), "The labels are missing."),
    (
        _with(lambda w, x, y: -y[:, None] * x),
        "The error is missing: how far is the probability from the label?",
    ),
    (
        _with(lambda w, x, y: ((x @ w).sigmoid() - (2 * y - 1))[:, None] * x),
        "Labels are 0 and 1 here, as the probability runs from 0 to 1; not -1 and 1.",
    ),
    (
        _with(lambda w, x, y: ((x @ w > 0).float() - y)[:, None] * x),
        "The verdict was taken in place of the probability: a review that is right by a hair still pulls.",
    ),
    (
        _with(
            lambda w, x, y: (
                (_error(w, x, y) * torch.sigmoid(x @ w).mul(1 - torch.sigmoid(x @ w)))[:, None] * x
            )
        ),
        "That is the gradient of a squared error. For the cross-entropy the sigmoid's slope cancels.",
    ),
    (
        _with(lambda w, x, y: 2 * _error(w, x, y)[:, None] * x),
        "Twice the gradient: the cross-entropy has no square to bring a 2 down.",
    ),
    (
        _with(lambda w, x, y: _error(w, x, y)[:, None].expand_as(x)),
        "Each gradient is the error times the review's row of x.",
    ),
    (
        _with(lambda w, x, y: x),
        "Those are the reviews, not their gradients: the error times each row.",
    ),
    (
        _with(lambda w, x, y: _error(w, x, y).abs()[:, None] * x),
        "The error has a sign: it says which way to go.",
    ),
    (
        _with(lambda w, x, y: _error(torch.zeros_like(w), x, y)[:, None] * x),
        "The probability is that of the *present* weights.",
    ),
    (_with(lambda w, x, y: (_error(w, x, y)[:, None] * x).mean(0, keepdim=True)), _EACH),
    (_with(lambda w, x, y: (_error(w, x, y)[:, None] * x).sum(0, keepdim=True)), _EACH),
    (_with(lambda w, x, y: _error(w, x, y)[:, None] * x / len(x)), _PART),
    (
        _after(lambda w, g, rate: w - g),
        "The learning rate is missing: the step is rate times the gradient.",
    ),
    (_after(lambda w, g, rate: w - g / rate), "The step is rate *times* the gradient."),
    (_after(lambda w, g, rate: -rate * g), "That is the step. Return the weights after it."),
    (_after(lambda w, g, rate: rate * g), "That is the step's size. Return the weights after it."),
    (
        _after(lambda w, g, rate: g),
        "That is the private gradient. Return the weights after a step against it.",
    ),
    (
        _after(lambda w, g, rate: w * (1 - rate * g)),
        "The step is subtracted from the weights, not multiplied with them.",
    ),
    (
        lambda w, x, y, clip, noise, rate, generator: (
            w - rate * (_error(w, x, y)[:, None] * x).mean(0)
        ),
        _CLIP,
    ),
    (
        lambda w, x, y, clip, noise, rate, generator: (
            w - rate * (_error(w, x, y)[:, None] * _clipped_rows(x, clip)).mean(0)
        ),
        _CLIP,
    ),
    (
        lambda w, x, y, clip, noise, rate, generator: (
            w - rate * _clipped_rows((_error(w, x, y)[:, None] * x).mean(0, keepdim=True), clip)[0]
        ),
        _EACH,
    ),
    (
        lambda w, x, y, clip, noise, rate, generator: (
            w - _clipped(rate * _error(w, x, y)[:, None] * x, clip, noise, generator)
        ),
        "The gradients were multiplied by the rate before they were clipped: the rate belongs to the step.",
    ),
]


def _clipped_rows(rows: Tensor, clip: float) -> Tensor:
    return F.normalize(rows, dim=1) * rows.norm(dim=1, keepdim=True).clamp(max=clip)


_WORKED_STEP = (
    "By hand: one review x = (3, 4), label 1, weights 0: probability 0.5, error -0.5, gradient (-1.5, -2) of length "
    "2.5. Clipped at 1 it is (-0.6, -0.8), and at rate 10 the weights become (6, 8)."
)
_SCALES = (
    (0.0, "The noise is missing: give `noise_multiplier` on to `clip_and_noise`."),
    (
        1 / 6,
        "The noise was added behind the step: inside the private gradient it is multiplied by the rate, too.",
    ),
    (8.0, "The noise is B times too large: `clip_and_noise` is called once, for all reviews."),
    (
        8**0.5,
        "The noise is the root of B times too large: one call for all reviews, not one for each.",
    ),
)


@exercise(_by_autograd)
def private_step(fn: Answer) -> None:
    """Check ``private_step(weights, x, y, clip, noise_multiplier, rate, generator)`` -> new weights (P,) float32.

    Logistic regression: a review's probability of “positive” is the sigmoid of ``x @ weights``, ``x`` (B, P), labels
    ``y`` (B,) 0.0 or 1.0, and its loss the cross-entropy. The gradient of each review goes into the private gradient
    of `clip_and_noise`; the weights, which are left alone, go ``rate`` times against it.
    """
    random = torch.Generator().manual_seed(2)
    x = torch.randn(8, 5, generator=random) * torch.linspace(0.1, 3, 8)[:, None]
    weights, y = torch.randn(5, generator=random), torch.tensor([1.0, 0, 1, 1, 0, 0, 1, 0])
    for clip, rate, what in (
        (0.5, 6.0, "the weights after a step, clipped at 0.5"),
        (100.0, 30.0, "the weights after a step that clips nothing"),
    ):
        inputs = (weights, x, y, clip, 0.0, rate, torch.Generator().manual_seed(0))
        _expect(fn, inputs, what)
    _expect(
        fn, (weights, x[:1], y[:1], 0.5, 0.0, 6.0, torch.Generator().manual_seed(0)), "one review"
    )
    _expect_noise(fn)


def _expect(fn: Answer, inputs: tuple[object, ...], what: str) -> None:
    says = {
        "size of tensor": "The errors (B,) scale the rows of x (B, P): give them a second dimension, (B, 1).",
        "must match": "The errors (B,) scale the rows of x (B, P): give them a second dimension, (B, 1).",
    }
    came = call(fn, *inputs, says=says)
    expect_like(
        came,
        _by_autograd(*inputs),  # type: ignore[arg-type]
        what,
        inputs=inputs,
        wrong=_MISTAKES,
        shape="One number for each weight, (P,): all reviews share the weights.",
        dtype=torch.float32,
        hint=_WORKED_STEP,
    )


def _expect_noise(fn: Answer) -> None:
    """Over 20,000 weights the deviation of the noise is known to half a per cent."""
    x, y, weights = torch.zeros(8, 20_000), torch.ones(8), torch.zeros(20_000)
    going_on = torch.Generator().manual_seed(3)
    first, second = (call(fn, weights, x, y, 0.7, 1.5, 6.0, going_on) for _ in range(2))
    right = 6 * 1.5 * 0.7 / 8
    share = float(first.double().std()) / right
    hint = "The noise is that of `clip_and_noise`, times the rate, and nothing more."
    for scale, said in _SCALES:
        hint = said if abs(share - scale) < 0.03 * max(scale, 0.1) else hint
    wanted = f"noise of deviation {right:.3f} on the weights"
    require(abs(share - 1) < 0.03, wanted, f"{share * right:.3f}", hint)
    moved = "Two steps with one generator drew the same noise: hand on the generator itself, do not make one."
    require(not torch.equal(first, second), "other noise in the next step", "the same", moved)
