"""Checks of lesson 05: attention and text generation. Each returns the function that the lesson goes on with."""

import inspect
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks import (
    Answer,
    CheckFailed,
    call,
    exercise,
    expect_close,
    expect_tensor,
    require,
)
from course_utils.checks._attention_mistakes import (
    WRONG_ATTENTIONS,
    WRONG_LOSSES,
    WRONG_MASKS,
    WRONG_MERGES,
    WRONG_SPLITS,
)
from course_utils.checks._filter_mistakes import WRONG_FILTERS

_CUT = "The number is right, its gradient is not: `.detach()`, `.item()` and `torch.no_grad` cut the path."


def _expect_gradient(got: Tensor, expected: Tensor, leaves: dict[str, Tensor]) -> None:
    """Require the same gradients as the reference's result: a right number with a cut graph trains nothing."""
    require(
        type(got) is Tensor and got.requires_grad,
        "a result that gradients can pass",
        "a graph that is cut",
        _CUT,
    )
    weights = torch.linspace(0.5, 1.5, expected.numel()).reshape(expected.shape)
    ours = torch.autograd.grad((expected * weights).sum(), list(leaves.values()))
    theirs = torch.autograd.grad((got * weights).sum(), list(leaves.values()), allow_unused=True)
    for name, mine, other in zip(leaves, ours, theirs, strict=True):
        require(other is not None, f"a gradient that reaches {name}", "none", _CUT)
        expect_close(other, mine, f"the gradient with respect to {name}", hint=_CUT)


# ---------------------------------------------------------------- 5.1 scaled dot-product attention


def _attention_by_library(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


@exercise("5.1", _attention_by_library)
def exercise_5_1(fn: Answer) -> None:
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
        _attention_case(fn, inputs, what, dtype)
    q, k, v, mask = _attention_inputs((2, 4, 6), 4, "causal", torch.float32)
    unstable = "With scores near ±100 it breaks: subtract each row's largest score before exp, or use `softmax`."
    large = (30 * q, 8 * k, v, mask)
    try:
        expect_close(call(fn, *large), _attention_by_library(*large), "attention with large scores")
    except CheckFailed as failure:
        raise CheckFailed(failure.expected, failure.got, unstable) from None
    leaves = {"q": q.requires_grad_(), "k": k.requires_grad_(), "v": v.requires_grad_()}
    _expect_gradient(call(fn, q, k, v, mask), _attention_by_library(q, k, v, mask), leaves)


def _attention_inputs(
    shape: tuple[int, ...], keys: int, kind: str | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    *batch, length, dim = shape
    q = 1.5 * torch.randn(*batch, length, dim, dtype=dtype)
    k, v = (torch.randn(*batch, keys, dim, dtype=dtype) + 0.3 for _ in range(2))
    if kind is None:
        return q, k, v, None
    mask = torch.ones(length, keys, dtype=torch.bool).tril()
    if kind == "random":
        mask = torch.rand(length, keys) < 0.6
        mask[:, 1], mask[:, 2] = (
            True,
            False,
        )  # every row, also of a mask turned round, may look somewhere
    return q, k, v, mask


def _attention_case(
    fn: Answer, inputs: tuple[Tensor | None, ...], what: str, dtype: torch.dtype
) -> None:
    got, expected = call(fn, *inputs), _attention_by_library(*inputs)
    shape = "One output row for each query, as wide as v: (..., T, d)."
    if (
        type(got) is Tensor and got.shape != expected.shape
    ):  # a mistake that changes the shape is named first
        expect_close(got, expected, what, inputs=inputs, wrong=WRONG_ATTENTIONS, hint=shape)
    expect_tensor(got, expected.shape, what, dtype, hint=shape)
    expect_close(got, expected, what, inputs=inputs, wrong=WRONG_ATTENTIONS, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- 5.2 the causal mask


def _mask_by_positions(length: int) -> Tensor:
    place = torch.arange(length)
    return place[None, :] <= place[:, None]


@exercise("5.2", _mask_by_positions)
def exercise_5_2(fn: Answer) -> None:
    """Check ``causal_mask(length)``: int -> bool (T, T), True = may attend."""
    for length in (4, 1, 7, 2):
        got, expected, what = (
            call(fn, length),
            _mask_by_positions(length),
            f"the mask for {length} tokens",
        )
        rows = (
            "Row t is the token that looks, column s the one that is looked at: True where s <= t."
        )
        expect_close(got, expected, what, inputs=(length,), wrong=WRONG_MASKS, hint=rows)
        yes_or_no = "The mask says yes or no: make it bool, for example with `dtype=torch.bool` or a comparison."
        require(
            getattr(got, "dtype", None) == torch.bool, f"{what} of dtype torch.bool", got, yes_or_no
        )
        expect_tensor(got, (length, length), what, torch.bool)


# ---------------------------------------------------------------- 5.3 heads


def _split_by_slices(x: Tensor, heads: int) -> Tensor:
    return torch.stack(x.chunk(heads, dim=2), dim=1)


def _merge_by_slices(x: Tensor) -> Tensor:
    return torch.cat(x.unbind(1), dim=2)


def exercise_5_3(*functions: Answer) -> Answer | tuple[Answer, ...]:
    """Check ``split_heads(x, heads)``: (B, T, D) -> (B, heads, T, D / heads), or ``merge_heads(x)``, its inverse.

    Which of the two a function is, the number of its arguments tells. Given both, both are checked and returned.
    """
    checked = tuple((_exercise_merge if _is_merge(fn) else _exercise_split)(fn) for fn in functions)
    return checked[0] if len(checked) == 1 else checked


def _is_merge(fn: Answer) -> bool:
    try:
        kinds = [parameter.kind for parameter in inspect.signature(fn).parameters.values()]
    except (TypeError, ValueError):  # not a function, or one that hides its arguments
        kinds = []
    return len(kinds) == 1 and kinds[0] is not inspect.Parameter.VAR_POSITIONAL


@exercise("5.3", _split_by_slices)
def _exercise_split(fn: Answer) -> None:
    for batch, length, heads, width in ((2, 5, 3, 4), (1, 4, 2, 3), (3, 2, 4, 2), (2, 3, 1, 5)):
        x = torch.randn(batch, length, heads * width)
        what = f"split_heads for {tuple(x.shape)} and {heads} heads"
        _heads_case(fn, (x, heads), _split_by_slices(x, heads), what, WRONG_SPLITS)
    x = torch.randn(2, 3, 6, requires_grad=True)
    _expect_gradient(call(fn, x, 3), _split_by_slices(x, 3), {"x": x})


@exercise("5.3", _merge_by_slices)
def _exercise_merge(fn: Answer) -> None:
    for shape in ((2, 3, 5, 4), (1, 2, 4, 3), (3, 4, 2, 2), (2, 1, 3, 5)):
        x = torch.randn(shape)
        _heads_case(fn, (x,), _merge_by_slices(x), f"merge_heads for {shape}", WRONG_MERGES)
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    _expect_gradient(call(fn, x), _merge_by_slices(x), {"x": x})


def _heads_case(
    fn: Answer, inputs: tuple[object, ...], expected: Tensor, what: str, wrong: list
) -> None:
    got = call(fn, *inputs)
    shape = f"Follow the shape to {tuple(expected.shape)}: which dimension is cut or joined, which two change places?"
    if type(got) is Tensor and got.shape != expected.shape:
        expect_close(got, expected, what, inputs=inputs, wrong=wrong, hint=shape)
    expect_tensor(got, expected.shape, what, expected.dtype, hint=shape)
    numbers = "The shape is right, but numbers stand in other places: head h has the h-th run of columns of a token."
    expect_close(got, expected, what, inputs=inputs, wrong=wrong, hint=numbers)


# ---------------------------------------------------------------- 5.4 the loss of the next token


def _loss_by_gathering(logits: Tensor, tokens: Tensor) -> Tensor:
    log_p = (logits - logits.logsumexp(-1, keepdim=True))[:, :-1]
    return -log_p.gather(2, tokens[:, 1:, None]).mean()


@exercise("5.4", _loss_by_gathering)
def exercise_5_4(fn: Answer) -> None:
    """Check ``next_token_loss(logits, tokens)``: (B, T, V), (B, T) -> scalar in nats."""
    for batch, length, vocab in ((2, 5, 7), (1, 4, 3), (3, 2, 5), (4, 6, 4)):
        logits, tokens = (
            2 * torch.randn(batch, length, vocab),
            torch.randint(vocab, (batch, length)),
        )
        _loss_case(fn, logits, tokens, f"the loss for logits of shape {tuple(logits.shape)}")
    far = torch.tensor([[[200.0, -200.0, 0.0], [0.0, 200.0, -200.0], [1.0, 2.0, 3.0]]])
    unstable = "Not stable: a probability of e^-400 is 0 in floats, and its log -inf. Use cross_entropy or log_softmax."
    try:
        _loss_case(fn, far, torch.tensor([[0, 2, 0]]), "the loss for logits of ±200")
    except CheckFailed as failure:
        raise CheckFailed(failure.expected, failure.got, unstable) from None
    logits, tokens = torch.randn(2, 4, 5, requires_grad=True), torch.randint(5, (2, 4))
    _expect_gradient(
        call(fn, logits, tokens), _loss_by_gathering(logits, tokens), {"logits": logits}
    )


def _loss_case(fn: Answer, logits: Tensor, tokens: Tensor, what: str) -> None:
    got, expected = call(fn, logits, tokens), _loss_by_gathering(logits, tokens)
    rows = "Write down for one short text which row of logits belongs to which token."
    expect_close(got, expected, what, inputs=(logits, tokens), wrong=WRONG_LOSSES, hint=rows)
    whole = "Return the tensor itself: a plain number has lost the way back to the network."
    require(type(got) is Tensor, f"{what}: a tensor without dimensions", got, whole)


# ---------------------------------------------------------------- 5.5 what may be drawn


def _filter_by_loops(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None
) -> Tensor:
    scaled = [value / temperature for value in logits.tolist()]
    kept = list(range(len(scaled)))
    if top_k is not None:
        kth = sorted(scaled, reverse=True)[min(top_k, len(scaled)) - 1]
        kept = [token for token in kept if scaled[token] >= kth]
    if top_p is not None:
        largest = max(scaled)
        total = sum(math.exp(scaled[token] - largest) for token in kept)
        queue, kept, reached = sorted(kept, key=lambda token: -scaled[token]), [], 0.0
        while queue and (reached < top_p or not kept):
            kept.append(queue.pop(0))
            reached += math.exp(scaled[kept[-1]] - largest) / total
    result = torch.full_like(logits, -torch.inf)
    result[kept] = logits[kept] / temperature
    return result


@exercise("5.5", _filter_by_loops)
def exercise_5_5(fn: Answer) -> None:
    """Check ``filter_logits(logits, temperature, top_k, top_p)``: (V,) -> (V,) with -inf outside the kept set."""
    logits = torch.tensor([0.3, 2.4, -1.0, 1.6, 0.9, -0.2, 1.1])
    tied = torch.tensor([0.5, 2.0, 1.0, 1.0, -0.5, 1.0])
    for values, temperature, top_k, top_p in (
        (logits, 0.7, None, None), (logits, 1.5, 3, None), (tied, 1.3, 2, None), (logits, 1.0, None, 0.7),
        (logits, 2.0, None, 0.5), (logits, 0.6, None, 0.8), (logits, 1.7, 4, 0.75), (logits, 0.8, 5, 0.93),
        (logits, 1.0, 1, None), (logits, 1.2, None, 0.05), (logits, 1.4, 50, 0.9), (logits, 0.9, 7, None),
        (torch.randn(40), 1.1, 20, 0.9),
    ):  # fmt: skip
        _filter_case(fn, (values, temperature, top_k, top_p))


def _filter_case(fn: Answer, inputs: tuple[Tensor, float, int | None, float | None]) -> None:
    _, temperature, top_k, top_p = inputs
    what = f"the logits for temperature {temperature}, top_k {top_k}, top_p {top_p}"
    got, expected = call(fn, *inputs), _filter_by_loops(*inputs)
    named = next((hint for mistake, hint in WRONG_FILTERS if _same(got, mistake, inputs)), None)
    if named is None:
        hint = "Tokens that are left out keep their place: mark them with -inf, so that the rest keeps its number."
        expect_tensor(got, expected.shape, what, hint=hint)
        kept, wanted = (~x.detach().isneginf() for x in (got, expected))
        sets = (
            f"{what}: tokens {wanted.nonzero().flatten().tolist()} kept",
            f"{kept.nonzero().flatten().tolist()}",
        )
        require(torch.equal(kept, wanted), *sets, _set_hint(kept, wanted, top_k, top_p))
    numbers = (
        "The kept set is right, its numbers are not: each is the logit divided by the temperature."
    )
    expect_close(got, expected, what, wrong=[(lambda: got, named)] if named else [], hint=numbers)


def _same(got: object, mistake: Callable[..., Tensor], inputs: tuple[object, ...]) -> bool:
    try:
        theirs, other = _filter_by_loops(*inputs), mistake(*inputs)
        differs = other.shape != theirs.shape or not torch.allclose(other, theirs)
        return (
            type(got) is Tensor
            and got.shape == other.shape
            and differs
            and torch.allclose(got.float(), other)
        )
    except Exception:
        return False


def _set_hint(kept: Tensor, wanted: Tensor, top_k: int | None, top_p: float | None) -> str:
    if top_k is None and top_p is None:
        return "None switches a filter off: with both off nothing may be left out."
    missing = "left out" if (wanted & ~kept).any() else "kept"
    which = (
        "top_k"
        if top_p is None
        else "top_p"
        if top_k is None
        else "top_k, then top_p on what is left"
    )
    return f"A token is {missing} that should not be. Go through {which} by hand for these seven numbers."
