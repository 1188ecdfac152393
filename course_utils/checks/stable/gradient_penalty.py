"""Exercise `gradient_penalty`: a slope of 1 on the way between real and generated examples."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.core import Answer, Wrong, call, exercise, require
from course_utils.checks.stable.shared import (
    bare,
    expect_penalty,
    own_gradients,
    smooth_critic,
)


def _between(real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """Each on its own way: (B, ...), (B, ...), (B,) -> (B, ...)."""
    return fake + alpha[(...,) + (None,) * (real.dim() - 1)] * (real - fake)


def _penalty_one_by_one(critic: nn.Module, real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    gradient = own_gradients(critic, _between(real, fake, alpha))
    return torch.stack([(row.square().sum().sqrt() - 1) ** 2 for row in gradient]).mean()


def _penalty_in_one(critic: nn.Module, real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """The whole batch at once: what the lesson trains with where nobody has answered."""
    between = bare(_between(real, fake, alpha))
    logits = critic(between)
    (gradient,) = torch.autograd.grad(
        logits, between, torch.ones_like(logits), create_graph=True
    )  # (B, ...)
    lengths = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return (lengths.square() - 2 * lengths + 1).mean()


def _at(critic: nn.Module, x: Tensor, of: Callable[[Tensor], Tensor] = torch.sum) -> Tensor:
    """Gradients (B, ...) at x."""
    x = bare(x)
    return torch.autograd.grad(of(critic(x)), x, create_graph=True)[0]


def _of(reduce: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A mistake in what becomes of the gradients."""
    return lambda critic, real, fake, alpha: reduce(_at(critic, _between(real, fake, alpha)))


def _there(place: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A mistake in where the gradients are taken."""
    return lambda critic, real, fake, alpha: _score(_at(critic, place(real, fake, alpha)))


def _score(gradient: Tensor) -> Tensor:
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def _along_channels(gradient: Tensor) -> Tensor:
    return (gradient.norm(dim=1) - 1).square().mean()


_ONE_ALPHA = (
    "One alpha for the whole batch: every pair would stop at the same share of its way. Give each example its own, "
    "`alpha.view(-1, 1, 1, 1)` for pictures."
)
_ALONG_COLUMNS = "alpha (B,) was laid along the *last* dimension and not along the batch: shape it to (B, 1, 1, 1)."
_NORM_OF_BATCH = (
    "One length for the whole batch: each example has a gradient of its own, `flatten(1)` first."
)
_DIVIDED = "The mean of the outputs divides each gradient by B: differentiate their *sum*."

_MISTAKES: list[Wrong] = [
    (_there(lambda r, f, a: r), "The slope at the real examples only: WGAN-GP asks in between."),
    (
        _there(lambda r, f, a: f),
        "The slope at the generated examples only: WGAN-GP asks in between.",
    ),
    (
        _there(lambda r, f, a: _between(f, r, a)),
        "real and fake are exchanged: at alpha = 1 the point is the real example.",
    ),
    (_there(lambda r, f, a: _between(r, f, a[:1].expand_as(a))), _ONE_ALPHA),
    (_there(lambda r, f, a: _between(r, f, a.mean().expand_as(a))), _ONE_ALPHA),
    (_there(lambda r, f, a: a * r + (1 - a) * f), _ALONG_COLUMNS),
    (
        _there(lambda r, f, a: (r + f) / 2),
        "Always half-way: alpha has no say in where the slope is asked.",
    ),
    (
        _there(lambda r, f, a: _between(r, torch.zeros_like(f), a) + f),
        "alpha * real + fake is not in between: the fake's share is 1 - alpha.",
    ),
    (_of(lambda g: (g.norm() - 1).square()), _NORM_OF_BATCH),
    (_of(lambda g: (g.norm() / len(g) - 1).square()), _NORM_OF_BATCH),
    (
        _of(lambda g: (g.norm(dim=0) - 1).square().mean()),
        "The lengths were taken *across* the batch (dim=0): an example's gradient is a row.",
    ),
    (
        _of(lambda g: (g.flatten(1).norm(dim=1).mean() - 1).square()),
        "The mean came too early: (length - 1)² for each example, and then the mean.",
    ),
    (
        _of(lambda g: g.flatten(1).norm(dim=1).square().mean()),
        "The 1 is missing: this pulls the slope to 0, which is the next section's penalty.",
    ),
    (
        _of(lambda g: (g.square().flatten(1).sum(1) - 1).square().mean()),
        "The root is missing: the penalty takes the length, not its square.",
    ),
    (
        _of(lambda g: (g.flatten(1).norm(dim=1) - 1).abs().mean()),
        "The distance to 1 is squared, not its absolute value.",
    ),
    (_of(lambda g: (g.flatten(1).norm(dim=1) - 1).mean()), "The distance to 1 is not squared."),
    (
        _of(lambda g: F.relu(g.flatten(1).norm(dim=1) - 1).square().mean()),
        "One-sided: eq. 3 counts slopes below 1, too.",
    ),
    (
        _of(lambda g: (g.flatten(1).norm(dim=1) - 1).square().sum()),
        "A sum over the batch: take the mean.",
    ),
    (
        _of(lambda g: 10 * _score(g)),
        "The factor lambda comes later: the training loop multiplies by it.",
    ),
    (_of(lambda g: _score(g / len(g))), _DIVIDED),
    (
        _of(lambda g: (g.flatten(1).abs().sum(1) - 1).square().mean()),
        "The length is Euclidean: the root of the sum of squares, not the sum of absolute values.",
    ),
    (
        _of(lambda g: (g.flatten(1).square().mean(1).sqrt() - 1).square().mean()),
        "A mean over coordinates: the squared length of a gradient is the *sum* of its squares.",
    ),
    (
        _of(_along_channels),
        "The length runs along the channels only: a picture's gradient is one vector of all its numbers, "
        "`flatten(1)` first.",
    ),
]
_WORKED = (
    "A plane of slope 3 has this slope everywhere: the penalty is (3 - 1)² = 4, wherever you ask. Then look at where "
    "you ask, and at the mean."
)
_OWN_ALPHA = (
    "`alpha` is an argument: draw none of your own, or nobody could check (or repeat) the penalty."
)
_TOLD = {
    "must match the size": "alpha has B numbers. Shape it to (B, 1, 1, 1) for pictures and (B, 1) for points: "
    "`alpha.view(-1, *[1] * (real.dim() - 1))`.",
    "mat1 and mat2": "Points are (B, 2), pictures (B, 3, H, W): give alpha as many dimensions as `real` has.",
    "shape '[": "Points are (B, 2), pictures (B, 3, H, W): give alpha as many dimensions as `real` has.",
    "changed its argument": "The caller's examples now need a gradient: ask it of the point in between.",
    "does not require grad": "The point in between needs a gradient before the critic sees it: `requires_grad_(True)`.",
    "appears to not have been used": "The critic was not asked about the tensor that you differentiate by.",
    "grad can be implicitly created": "Differentiate one number: the *sum* of the critic's outputs.",
}


@exercise(_penalty_in_one)
def gradient_penalty(fn: Answer) -> None:
    """Check ``gradient_penalty(critic, real, fake, alpha)``: points and pictures, alpha (B,) -> a scalar.

    Its gradient must reach the critic's weights, and no other gradient may be left in them.
    """
    for shape in ((5, 2), (4, 3, 4, 4), (2, 2), (1, 6)):
        numbers = torch.zeros(shape)[0].numel()
        critic = smooth_critic(numbers) if shape[0] > 1 else _steep_plane(numbers)
        real, fake = torch.randn(shape), torch.randn(shape) + 1
        inputs = (critic, real, fake, torch.linspace(0.1, 0.8, shape[0]))
        what = f"the penalty for examples of shape {shape}"
        expected = _penalty_one_by_one(*inputs)
        came = call(fn, *inputs, says=_TOLD)
        draws = _draws_itself(fn, came, inputs)
        require(not draws, "the same penalty again for the same arguments", "another", _OWN_ALPHA)
        expect_penalty(came, expected, what, critic, inputs, _MISTAKES, _WORKED)


def _draws_itself(fn: Answer, came: object, inputs: tuple) -> bool:
    """Whether a second call differs."""
    again = call(fn, *inputs, says=_TOLD)
    if not (isinstance(came, Tensor) and isinstance(again, Tensor)):
        return False
    return not torch.equal(came, again)


def _steep_plane(numbers: int) -> nn.Module:
    """A critic of slope 7, whose penalty is 36."""
    plane = nn.Linear(numbers, 1)
    plane.weight.data = 7 * F.normalize(plane.weight.data)
    return nn.Sequential(nn.Flatten(), plane, nn.Flatten(0))
