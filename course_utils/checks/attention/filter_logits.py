"""Exercise `filter_logits`: temperature, top-k and top-p, before a token is drawn."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_tensor,
    require,
)

Number = float | None
Inputs = tuple[Tensor, float, int | None, Number]


def _filter_by_loops(
    logits: Tensor, temperature: float, top_k: int | None, top_p: Number
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


def _top_k(x: Tensor, top_k: int | None) -> Tensor:
    if top_k is None:
        return x
    return x.masked_fill(x < x.topk(min(top_k, len(x))).values[-1], -torch.inf)


def _top_p(
    x: Tensor, top_p: Number, p: Tensor | None = None, shift: int = 0, ascending: bool = False
) -> Tensor:
    """Keep the crossing token and ``shift`` more (or fewer); probabilities from elsewhere if ``p`` is given."""
    if top_p is None:
        return x
    p = x.softmax(0) if p is None else p
    order = p.argsort(descending=not ascending, stable=True)
    count = int((p[order].cumsum(0) < top_p).sum()) + 1 + shift
    kept = torch.zeros(len(x), dtype=torch.bool)
    kept[order[: max(count, 0)]] = True
    return x.masked_fill(~kept, -torch.inf)


def _right(x: Tensor, t: float, k: int | None, p: Number) -> Tensor:
    return _top_p(_top_k(x / t, k), p)


def _filled(value: float) -> Callable[..., Tensor]:
    return lambda x, t, k, p: _right(x, t, k, p).masked_fill(_right(x, t, k, p).isneginf(), value)


def _exactly_k(x: Tensor, t: float, k: int | None, p: Number) -> Tensor:
    if k is None:
        return _right(x, t, k, p)
    kept = torch.full_like(x, -torch.inf).scatter(0, x.topk(k).indices, (x / t)[x.topk(k).indices])
    return _top_p(kept, p)


def _without_kth(x: Tensor, t: float, k: int | None, p: Number) -> Tensor:
    scaled = x / t
    if k is None:
        return _top_p(scaled, p)
    kth = scaled.topk(min(k, len(x))).values[-1]
    return _top_p(scaled.masked_fill(scaled <= kth, -torch.inf), p)


def _sorted(x: Tensor, t: float, k: int | None, p: Number) -> Tensor:
    return _right(x, t, k, p).sort(descending=True).values


def _unsorted_top_p(x: Tensor, t: float, k: int | None, p: Number) -> Tensor:
    scaled = _top_k(x / t, k)
    before = scaled.softmax(0).cumsum(0) - scaled.softmax(0)
    return scaled if p is None else scaled.masked_fill(before >= p, -torch.inf)


def _not_put_back(x: Tensor, t: float, k: int | None, p: Number) -> Tensor:
    scaled = _top_k(x / t, k)
    values = scaled.softmax(0).sort(descending=True).values
    return scaled if p is None else scaled.masked_fill(values.cumsum(0) - values >= p, -torch.inf)


def _put_back_wrongly(x: Tensor, t: float, k: int | None, p: Number) -> Tensor:
    scaled = _top_k(x / t, k)
    values, order = scaled.softmax(0).sort(descending=True)
    if p is None:
        return scaled
    return scaled.masked_fill((values.cumsum(0) - values >= p)[order], -torch.inf)


def _only(name: str) -> Tensor:
    raise ValueError(f"this mistake shows where only {name} is given")


_MISTAKES: list[Wrong] = [
    (
        lambda x, t, k, p: _right(x, 1 / t, k, p),
        "Multiplied by the temperature: divide, so that heat flattens.",
    ),
    (lambda x, t, k, p: _right(x, 1.0, k, p), "The temperature is not used."),
    (
        lambda x, t, k, p: _right(x, t**0.5, k, p),
        "The root of the temperature was taken: divide by it as it is.",
    ),
    (
        lambda x, t, k, p: _top_p(_top_k(x, k), p) / t,
        "The temperature comes first: top_p is reached by another set once the distribution is flatter or sharper.",
    ),
    (
        lambda x, t, k, p: _right(x, t, k, p).softmax(0),
        "These are probabilities; asked for are logits, with -inf.",
    ),
    (
        lambda x, t, k, p: _right(x, t, k, p).log_softmax(0),
        "Log probabilities: leave the divided logits as they are.",
    ),
    (_filled(0.0), "Tokens outside got the logit 0, and exp(0) = 1 can still be drawn. Use -inf."),
    (
        _filled(-1e9),
        "-1e9 is not -inf: asked for is exactly -inf, which every softmax turns into exactly 0.",
    ),
    (
        _filled(-1e10),
        "-1e10 is not -inf: asked for is exactly -inf, which every softmax turns into exactly 0.",
    ),
    (
        _filled(-1e4),
        "-1e4 is not -inf: asked for is exactly -inf, which every softmax turns into exactly 0.",
    ),
    (
        _filled(torch.finfo(torch.float32).min),
        "The smallest float is not -inf: asked for is exactly -inf.",
    ),
    (_filled(torch.inf), "A sign: +inf is the most probable token of all. Use -inf."),
    (lambda x, t, k, p: x / t if p is None else _only("top_k"), "top_k is not used."),
    (lambda x, t, k, p: x / t if k is None else _only("top_p"), "top_p is not used."),
    (
        _exactly_k,
        "A tie was cut: every token as large as the k-th is kept. Compare with the k-th value.",
    ),
    (_without_kth, "The k-th token itself is missing: leave out what is *smaller* than it."),
    (
        lambda x, t, k, p: _top_k(x / t, k + 1) if p is None else _only("top_k"),
        "One too many for top_k: the k-th largest is at index k - 1.",
    ),
    (
        lambda x, t, k, p: -_top_k(-x / t, k) if p is None and k else _right(x, t, k, p),
        "The k *smallest* were kept.",
    ),
    (
        lambda x, t, k, p: (x / t).masked_fill(
            -x < (-x).topk(min(k, len(x))).values[-1], -torch.inf
        ),
        "The k *smallest* were kept.",
    ),
    (
        lambda x, t, k, p: _top_p(_top_k(x / t, k), p, shift=-1),
        "The token that crosses p is missing: without it the set does not reach p (and may be empty).",
    ),
    (
        lambda x, t, k, p: _top_p(x / t, p, shift=1) if k is None else _only("top_p"),
        "One token too many: the one that crosses p is the last.",
    ),
    (
        lambda x, t, k, p: _top_p(_top_k(x / t, k), p, p=(x / t).softmax(0)),
        "top_p was measured before top_k: first top_k, then softmax again of what it has left, then top_p.",
    ),
    (
        lambda x, t, k, p: _top_p(_top_k(x / t, k), p, p=x.softmax(0)),
        "top_p was measured at temperature 1: take softmax of the divided logits.",
    ),
    (
        lambda x, t, k, p: _top_p(_top_k(x / t, k), p, ascending=True),
        "Added up from the *least* probable: sort in descending order.",
    ),
    (
        lambda x, t, k, p: _top_k(x / t, k).masked_fill(
            _top_k(x / t, k).softmax(0) < p, -torch.inf
        ),
        "Each token alone was compared with p; p is what the kept ones reach *together*.",
    ),
    (
        lambda x, t, k, p: _top_k(x / t, k).masked_fill(
            _top_k(x / t, k).softmax(0) < 1 - p, -torch.inf
        ),
        "Each token alone was compared with 1 - p; p is what the kept ones reach *together*.",
    ),
    (_unsorted_top_p, "Added up in the order of the vocabulary: sort by probability first."),
    (
        _not_put_back,
        "The mask is in sorted order, the logits are not: put it back (scatter, or index with the order).",
    ),
    (
        _put_back_wrongly,
        "mask[order] puts nothing back: place i of the mask belongs to token order[i]. Use scatter.",
    ),
    (
        _sorted,
        "The logits came back sorted: each token must keep its place, or other words are drawn.",
    ),
]


@exercise(_filter_by_loops)
def filter_logits(fn: Answer) -> None:
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


_SAYS = {
    "out of range": "top_k may be larger than the vocabulary: `min(top_k, len(logits))` then keeps them all."
}


def _filter_case(fn: Answer, inputs: Inputs) -> None:
    _, temperature, top_k, top_p = inputs
    what = f"the logits for temperature {temperature}, top_k {top_k}, top_p {top_p}"
    got, expected = call(fn, *inputs, says=_SAYS), _filter_by_loops(*inputs)
    named = next((hint for mistake, hint in _MISTAKES if _same(got, mistake, inputs)), None)
    if named is None:
        hint = "Tokens that are left out keep their place: mark them with -inf, so that the rest keeps its number."
        expect_tensor(got, expected.shape, what, hint=hint)
        kept, wanted = (~x.detach().isneginf() for x in (got, expected))
        asked, came = (x.nonzero().flatten().tolist() for x in (wanted, kept))
        hint = _set_hint(kept, wanted, top_k, top_p)
        require(asked == came, f"{what}: tokens {asked} kept", f"{came}", hint)
    numbers = (
        "The kept set is right, its numbers are not: each is the logit divided by the temperature."
    )
    expect_close(got, expected, what, wrong=[(lambda: got, named)] if named else [], hint=numbers)


def _same(got: object, mistake: Callable[..., Tensor], inputs: Inputs) -> bool:
    try:
        theirs, other = _filter_by_loops(*inputs), mistake(*inputs)
        differs = other.shape != theirs.shape or not torch.allclose(other, theirs)
        if not differs or not isinstance(got, Tensor) or got.shape != other.shape:
            return False
        return torch.allclose(got.float(), other)
    except Exception:
        return False


def _set_hint(kept: Tensor, wanted: Tensor, top_k: int | None, top_p: Number) -> str:
    if top_k is None and top_p is None:
        return "None switches a filter off: with both off nothing may be left out."
    missing = "left out" if (wanted & ~kept).any() else "kept"
    which = "top_k, then top_p on what is left"
    if top_k is None or top_p is None:
        which = "top_k" if top_p is None else "top_p"
    return f"A token is {missing} that should not be. Go through {which} by hand for these seven numbers."
