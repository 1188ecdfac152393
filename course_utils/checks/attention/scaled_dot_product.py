"""Exercise `scaled_dot_product`: attention of queries to keys and values, with and without a mask."""

import math
from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_gradient,
    expect_like,
    hinting,
)

Mask = Tensor | None


def _attention_by_library(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _scores(q: Tensor, k: Tensor, scale: float | None = None) -> Tensor:
    return q @ k.transpose(-2, -1) / (math.sqrt(q.shape[-1]) if scale is None else scale)


def _masked(scores: Tensor, mask: Mask, fill: float = -torch.inf) -> Tensor:
    return scores if mask is None else scores.masked_fill(~mask, fill)


def _weights(q: Tensor, k: Tensor, mask: Mask, scale: float | None = None) -> Tensor:
    return _masked(_scores(q, k, scale), mask).softmax(-1)


def _scaled_by(scale: Callable[[Tensor, Tensor], float]) -> Callable[..., Tensor]:
    return lambda q, k, v, mask: _weights(q, k, mask, scale(q, k)) @ v


def _after_softmax(q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
    return _masked(_scores(q, k).softmax(-1), mask, 0.0) @ v


_UNSCALED = (
    "The scores are not divided by sqrt(d): for wide heads softmax would then pick a single token."
)

_MISTAKES: list[Wrong] = [
    (_scaled_by(lambda q, k: 1.0), _UNSCALED),
    (_scaled_by(lambda q, k: q.shape[-1]), "Divided by d; it is its square root."),
    (
        _scaled_by(lambda q, k: q.shape[-1] ** -0.5),
        "Multiplied by sqrt(d): the scores are divided by it.",
    ),
    (
        _scaled_by(lambda q, k: k.shape[-2] ** 0.5),
        "Divided by the root of the number of tokens. d is the width of a query: the last dimension.",
    ),
    (
        _scaled_by(lambda q, k: q.shape[0] ** 0.5),
        "Divided by the root of the first dimension. d is the last one.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).softmax(-2) @ v,
        "Softmax over the queries (dimension -2). Each query's weights over the keys, a row, must sum to 1.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).softmax(0) @ v,
        "Softmax over dimension 0. Each query's weights over the keys (the last dimension) must sum to 1.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).softmax(1) @ v,
        "Softmax over dimension 1. Each query's weights over the keys (the last dimension) must sum to 1.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), None if m is None else ~m).softmax(-1) @ v,
        "The mask is turned round: True means *may* attend, so -inf goes where it is False.",
    ),
    (lambda q, k, v, m: _weights(q, k, None) @ v, "The mask is not used."),
    (
        lambda q, k, v, m: (_scores(q, k) * m).softmax(-1) @ v,
        "A forbidden score was made 0, or nearly 0 like -1e-9, and exp(0) = 1 still gets weight. Only -inf gets none.",
    ),
    (
        lambda q, k, v, m: (_scores(q, k) + m).softmax(-1) @ v,
        "The mask was added to the scores: True adds 1 and False adds 0, which forbids nothing.",
    ),
    (
        _after_softmax,
        "The mask came after softmax: the rows no longer sum to 1. Put -inf into the scores before it.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k, 1.0), m).softmax(-1) / math.sqrt(q.shape[-1]) @ v,
        "The weights were divided after softmax: divide the scores, before it.",
    ),
    (
        lambda q, k, v, m: _weights(k, q, m) @ v,
        "Queries and keys changed places: row t belongs to query t.",
    ),
    (
        lambda q, k, v, m: _weights(q, q, m) @ v,
        "Queries were compared with queries: the keys are missing.",
    ),
    (
        lambda q, k, v, m: _weights(k, k, m) @ v,
        "Keys were compared with keys: the queries are missing.",
    ),
    (
        lambda q, k, v, m: _weights(q, v, m) @ v,
        "Queries were compared with the values: compare them with the keys.",
    ),
    (
        lambda q, k, v, m: _weights(q, k, m) @ k,
        "The keys were averaged; the weights belong to the values.",
    ),
    (
        lambda q, k, v, m: _weights(q, k, m) @ q,
        "The queries were averaged; the weights belong to the values.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m, 0.0) @ v,
        "Softmax is missing: scores are not weights yet.",
    ),
    (lambda q, k, v, m: _scores(q, k) @ v, "Softmax is missing: scores are not weights yet."),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).log_softmax(-1) @ v,
        "These are logs of weights: `softmax`, not `log_softmax`.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).sigmoid() @ v,
        "Sigmoid judges each score alone; rows must sum to 1.",
    ),
    (
        lambda q, k, v, m: F.normalize(_masked(_scores(q, k), m, 0.0), p=1, dim=-1) @ v,
        "Divided by their sum, scores can be negative weights. Softmax takes exp first.",
    ),
    (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        "Looks back only, whatever the mask says: a causal mask is one that is passed in, not a part of attention.",
    ),
    (
        lambda q, k, v, m: (
            _masked(F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1), m).softmax(
                -1
            )
            @ v
        ),
        "Cosines: queries and keys were made of length 1. The scores are plain products over sqrt(d).",
    ),
    (
        lambda q, k, v, m: _weights(q, k, m),
        "These are the weights; the average of the values is left to do.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m),
        "These are the scores; softmax and the values are left to do.",
    ),
    (
        lambda q, k, v, m: _weights(q, k, m).transpose(-2, -1) @ v,
        "The weights are transposed: row t, over the keys, belongs to query t.",
    ),
]


_WORKED = (
    "One query, d = 4: its products with two keys are 2 and 0, so the scores are 2 / sqrt(4) = 1 and 0, the weights "
    "0.731 and 0.269. Values 10 and 0 make 7.31."
)
_FILLED: list[Wrong] = [
    (
        lambda q, k, v, m, fill=fill: _masked(_scores(q, k), m, fill).softmax(-1) @ v,
        "Forbidden scores were set to some negative number, and an allowed score of -150 is smaller: the forbidden "
        "one then wins. Only -inf is safe.",
    )
    for fill in (-10.0, -20.0, -30.0, -50.0, -99.0, -100.0, -128.0)
]


_SAYS = {
    "Dimension out of range": "q may have no batch, or a batch and heads: count dimensions from the end, "
    "`transpose(-2, -1)`.",
    "must match the size": "The last two dimensions are tokens and numbers, whatever stands before: `k.transpose(-2, "
    "-1)`.",
}
_DEFAULT = (
    "The lesson also asks without a mask: keep `mask=None` in the first line of your function."
)


@exercise(_attention_by_library)
def scaled_dot_product(fn: Answer) -> None:
    """Check ``scaled_dot_product(q, k, v, mask)``: q (..., T, d), k and v (..., S, d) -> (..., T, d)."""
    cases = (
        ((3, 4, 5), 4, None, torch.float64),
        ((2, 4, 3), 4, "random", torch.float32),
        ((5, 3), 5, "random", torch.float32),
        ((2, 3, 4, 6), 4, "causal", torch.float32),
        ((2, 2, 3, 4), 7, "random", torch.float32),
    )
    for shape, keys, kind, dtype in cases:
        inputs = _attention_inputs(shape, keys, kind, dtype)
        what = f"attention for q {shape}, {keys} keys and {'no mask' if kind is None else f'a {kind} mask'}"
        expect_like(
            call(fn, *inputs, says=_SAYS),
            _attention_by_library(*inputs),
            what,
            inputs=inputs,
            wrong=_MISTAKES,
            shape="One output row for each query, as wide as v: (..., T, d).",
            dtype=dtype,
            hint=_WORKED,
            atol=1e-5,
        )
    q, k, v, mask = _attention_inputs((2, 4, 6), 4, "causal", torch.float32)
    unstable = "With scores near ±100 it breaks: subtract each row's largest score before exp, or use `softmax`."
    large = (30 * q, 8 * k, v, mask)
    got, right = call(fn, *large), _attention_by_library(*large)
    finite = isinstance(got, Tensor) and bool(got.isfinite().all())
    with nullcontext() if finite else hinting(unstable):
        what = "attention with large scores"
        expect_close(got, right, what, inputs=large, wrong=_FILLED, hint=unstable)
    leaves = {"q": q.requires_grad_(), "k": k.requires_grad_(), "v": v.requires_grad_()}
    expect_gradient(call(fn, q, k, v, mask), _attention_by_library(q, k, v, mask), leaves)
    call(fn, q, k, v, says={"missing 1 required positional argument": _DEFAULT})


def _attention_inputs(
    shape: tuple[int, ...], keys: int, kind: str | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Mask]:
    *batch, length, dim = shape
    q = 1.5 * torch.randn(*batch, length, dim, dtype=dtype)
    k, v = (scale * torch.randn(*batch, keys, dim, dtype=dtype) + 0.3 for scale in (1, 12))
    if kind is None:
        return q, k, v, None
    mask = torch.ones(length, keys, dtype=torch.bool).tril()
    if kind == "random":
        mask = torch.rand(length, keys) < 0.6
        # Every row, also of a mask turned round, may look somewhere.
        mask[:, 1], mask[:, 2] = True, False
    return q, k, v, mask
