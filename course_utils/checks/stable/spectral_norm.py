"""Exercise `spectral_norm`: by how much a layer can stretch a vector, found by power iteration."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_tensor,
    hinting,
    require,
)

Pair = tuple[Tensor, Tensor]


def _unit(x: Tensor) -> Tensor:
    return x / x.norm()


def _by_the_square(weight: Tensor, u: Tensor, steps: int) -> Pair:
    """Power iteration on W Wᵀ in float64, and the gradient u vᵀ written down."""
    matrix = weight.reshape(len(weight), -1)
    fixed, u = matrix.detach().double(), u.detach().double()
    square = fixed @ fixed.T
    for _ in range(steps - 1):
        u = _unit(square @ u)
    v = _unit(fixed.T @ u)
    u = _unit(square @ u)
    outer = torch.outer(u, v).to(matrix.dtype)
    return (matrix * outer).sum(), u.to(matrix.dtype)


def _iterate(matrix: Tensor, u: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """The u before the last step, v and u after it."""
    before = v = u
    for _ in range(steps):
        before, v = u, _unit(matrix.T @ u)
        u = _unit(matrix @ v)
    return before, v, u


def _mistaken(
    change: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor, int], Tensor]:
    """A mistake in what is made of the matrix, u before, v and u."""

    def sigma(weight: Tensor, u: Tensor, steps: int) -> Tensor:
        matrix = weight.detach().flatten(1)
        return change(matrix, *_iterate(matrix, u, steps))

    return sigma


def _with_steps(count: Callable[[int], int]) -> Callable[[Tensor, Tensor, int], Tensor]:
    return lambda weight, u, steps: _by_the_square(weight, u, max(1, count(steps)))[0]


def _of_slices(weight: Tensor, u: Tensor, steps: int) -> Tensor:
    """The largest stretch of any of the small matrices in a kernel."""
    return torch.linalg.matrix_norm(weight.detach(), 2).amax()


_EARLY = "Half a step early: sigma is taken with the *new* u and v, uᵀ W v, after the last step."
_FLATTEN = (
    "The kernel was not flattened to a matrix with a row for each output channel: `weight.flatten(1)`, of shape "
    "(out, everything else)."
)

_MISTAKES: list[Wrong] = [
    (_mistaken(lambda w, b, v, u: b @ w @ v), _EARLY),
    (
        _mistaken(lambda w, b, v, u: (w @ v).norm().square()),
        "This is sigma squared, the eigenvalue of W Wᵀ: the singular value is uᵀ W v.",
    ),
    (
        _mistaken(lambda w, b, v, u: u @ w @ w.T @ u),
        "This is sigma squared, the eigenvalue of W Wᵀ: the singular value is uᵀ W v.",
    ),
    (
        lambda weight, u, steps: torch.linalg.svdvals(weight.detach().flatten(1))[0],
        "Exact, and too dear for every training step: here `steps` steps from u are asked for.",
    ),
    (
        lambda weight, u, steps: weight.detach().norm(),
        "This is the Frobenius norm, the root of all squares: it is larger than what any vector feels.",
    ),
    (
        lambda weight, u, steps: weight.detach().abs().max(),
        "The largest number in the kernel is not the largest stretch.",
    ),
    (_of_slices, _FLATTEN),
    (_with_steps(lambda steps: 1), "One step, whatever `steps` says."),
    (_with_steps(lambda steps: steps + 1), "One step too many."),
    (_with_steps(lambda steps: steps - 1), "One step too few."),
    (
        _mistaken(lambda w, b, v, u: (w @ v) @ w @ v),
        "u was not brought to length 1 after the last step: its length multiplies sigma.",
    ),
    (
        _mistaken(lambda w, b, v, u: u @ w @ (w.T @ b)),
        "v was not brought to length 1: its length multiplies sigma.",
    ),
    (_mistaken(lambda w, b, v, u: 1 / (u @ w @ v)), "This is 1 / sigma: the layer divides by it."),
]
_WORKED = (
    "A step by hand for W = diag(3, 1) and u = (1, 1)/√2: v = Wᵀu, to length 1, is (0.949, 0.316); u = Wv, to length "
    "1, is (0.994, 0.110); sigma = uᵀ W v = 2.86, and 3 after some steps."
)
_TOLD = {
    "view size is not compatible": "The kernel may lie in another order in memory: `flatten(1)` or `reshape`.",
    "size mismatch": _FLATTEN,
    "mat1 and mat2": _FLATTEN,
    "inconsistent tensor size": _FLATTEN,
    "shapes cannot be multiplied": _FLATTEN,
    "1D tensors expected": _FLATTEN,
    "must match the size": _FLATTEN,
    "changed its argument": "The caller's u was overwritten: make a new one and return it.",
}


@exercise(_by_the_square)
def spectral_norm(fn: Answer) -> None:
    """Check ``spectral_norm(weight, u, steps)``: a kernel (out, ...), u (out,) of length 1 -> sigma, the new u."""
    kernels = (
        torch.randn(6, 3, 4, 4),
        2 * torch.randn(5, 7),
        torch.randn(4, 2, 3, 3).contiguous(memory_format=torch.channels_last),
        5 * torch.randn(3, 4, 1, 1),
    )
    for kernel in kernels:
        for steps in (1, 3):
            _expect_iteration(fn, kernel, steps)
    _expect_the_largest_stretch(fn)


def _expect_iteration(fn: Answer, kernel: Tensor, steps: int) -> None:
    weight, u = kernel.clone().requires_grad_(), _unit(torch.randn(len(kernel)))
    shape, count = tuple(kernel.shape), f"{steps} step" + "s" * (steps > 1)
    sigma, new = _pair(call(fn, weight, u, steps, says=_TOLD))
    own, unit = _draws_itself(fn, weight, u, steps), f"u after {count}"
    what = f"sigma of a kernel {shape} after {count}"
    expect_tensor(sigma, (), what, torch.float32, hint="One number: uᵀ W v.")
    right_sigma, right_u = _by_the_square(weight, u, steps)
    inputs = (weight, u, steps)
    expect_close(sigma, right_sigma, what, inputs=inputs, wrong=_MISTAKES, hint=own or _WORKED)
    expect_tensor(new, (len(kernel),), unit, torch.float32, hint=_V_FOR_U)
    kept = [
        (
            lambda w, old, s: old,
            "The old u came back: the next call would begin again from nothing.",
        ),
        (
            lambda w, old, s: w.detach().flatten(1) @ _iterate(w.detach().flatten(1), old, s)[1],
            _LENGTH,
        ),
    ]
    expect_close(new, right_u, unit, inputs=inputs, wrong=kept, hint=own or _WORKED)
    require(not new.requires_grad, "a u without a graph", "one that gradients pass", _CONSTANT)
    _expect_gradient(sigma, right_sigma, weight)


def _pair(came: Any) -> Pair:
    two = "Return both: sigma, then the u that the next call begins with."
    require(isinstance(came, tuple | list) and len(came) == 2, "sigma and u", came, two)
    first, second = came
    swapped = "Sigma comes first, then u."
    turned = isinstance(first, Tensor) and first.dim() == 1 and first.numel() > 1
    require(not turned, "sigma, then u", first, swapped)
    return first, second


def _draws_itself(fn: Answer, weight: Tensor, u: Tensor, steps: int) -> str:
    """A hint where two calls differ, or where the u that is passed in has no say."""
    first, again = (_pair(call(fn, weight, u, steps))[0] for _ in range(2))
    other = _pair(call(fn, weight, _unit(u.flip(0) + 0.3), steps))[0]
    tensors = all(isinstance(one, Tensor) for one in (first, again, other))
    if tensors and (not torch.equal(first, again) or torch.equal(first, other)):
        return (
            "The u that was passed in has no say: begin with it, since one step from a good u finds what hundreds from "
            "a random one do."
        )
    return ""


def _expect_gradient(sigma: Tensor, expected: Tensor, weight: Tensor) -> None:
    require(sigma.requires_grad, "a sigma that gradients can pass", "a graph that is cut", _CUT)
    (right,) = torch.autograd.grad(expected, weight)
    (came,) = torch.autograd.grad(sigma, weight, allow_unused=True)
    require(came is not None, "a gradient that reaches the weight", "none", _CUT)
    with hinting(_CONSTANT):
        expect_close(came, right, "the gradient of sigma by the weight", rtol=1e-3, atol=1e-5)


def _expect_the_largest_stretch(fn: Answer) -> None:
    """After many steps, and in turns of one step each: what an exact decomposition finds."""
    first, second = torch.linalg.qr(torch.randn(6, 6))[0], torch.linalg.qr(torch.randn(12, 12))[0]
    values = torch.tensor([40.0, 36.0, 15.0, 8.0, 3.0, 1.0])
    kernel = (first * values) @ second[:6]  # its largest singular value is 40
    start = _unit(
        0.1 * first[:, 0] + first[:, 1]
    )  # far from the direction to find, so that a few steps do not do
    for scale, size in ((1.0, "40"), (1e-4, "0.004")):
        weight = (scale * kernel).reshape(6, 3, 2, 2)
        sigma, _ = _pair(call(fn, weight, start.clone(), 60, says=_TOLD))
        what = f"sigma after 60 steps (largest singular value {size})"
        hint = "Take all the steps, bring u and v to length 1 in *every* step, and add nothing: else numbers overflow."
        with hinting(hint):
            expect_close(sigma, scale * 40.0 * torch.ones(()), what, rtol=1e-3, atol=0.0)
    weight, u = kernel.reshape(6, 3, 2, 2), start
    for _ in range(40):
        sigma, u = _pair(call(fn, weight, u.detach(), 1, says=_TOLD))
    hint = "Called forty times with the u of the last call, one step each, it must arrive, too: return the new u."
    expect_close(sigma, 40.0 * torch.ones(()), "sigma after 40 calls", hint=hint, rtol=1e-3)


_V_FOR_U = "u has a number for each output channel, (out,): v, with the inputs' numbers, was returned in its place."
_LENGTH = "u was not brought to length 1."
_CONSTANT = (
    "u and v are directions that a search found, constants for the gradient: run the steps under `torch.no_grad()` "
    "(or on `weight.detach()`), and only uᵀ W v outside."
)
_CUT = (
    "Sigma has lost its path to the weight: the steps run without gradients, but uᵀ W v is taken with the weight, "
    "outside of `torch.no_grad()`."
)
