"""Exercise `attend_with_cache`: attention of new tokens that keeps the keys and values of earlier ones."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like, require
from course_utils.models.attention import causal_mask, scaled_dot_product

Kept = tuple[Tensor, Tensor] | None
Told = tuple[Tensor, tuple[Tensor, Tensor]]


def _longer(k: Tensor, v: Tensor, kept: Kept) -> tuple[Tensor, Tensor]:
    return (k, v) if kept is None else (torch.cat([kept[0], k], 2), torch.cat([kept[1], v], 2))


def _one_by_one(q: Tensor, k: Tensor, v: Tensor, kept: Kept) -> Told:
    """Each new token alone, with what it may look at and no mask."""
    keys, values = _longer(k, v, kept)
    ends = range(keys.shape[2] - q.shape[2] + 1, keys.shape[2] + 1)
    told = [
        scaled_dot_product(q[:, :, [row]], keys[:, :, :end], values[:, :, :end])
        for row, end in enumerate(ends)
    ]
    return torch.cat(told, 2), (keys, values)


def _masked(choose: Callable[[int, int], Tensor | None]) -> Answer:
    """The new tokens' attention under another mask, made from T new and S tokens in all."""

    def answer(q: Tensor, k: Tensor, v: Tensor, kept: Kept) -> Tensor:
        keys, values = _longer(k, v, kept)
        return scaled_dot_product(q, keys, values, choose(q.shape[2], keys.shape[2]))

    return answer


def _in_front(q: Tensor, k: Tensor, v: Tensor, kept: tuple[Tensor, Tensor]) -> Tensor:
    keys, values = torch.cat([k, kept[0]], 2), torch.cat([v, kept[1]], 2)
    return scaled_dot_product(q, keys, values, causal_mask(keys.shape[2])[-q.shape[2] :])


def _swapped(kept: Kept) -> Kept:
    return None if kept is None else (kept[1], kept[0])


_MISTAKES: list[Wrong] = [
    (
        _masked(lambda new, total: None),
        "No mask: among several new tokens, the earlier ones look at the later ones.",
    ),
    (
        _masked(lambda new, total: causal_mask(total)[:new]),
        "These are the first rows of the mask. The new tokens stand at the end of the text.",
    ),
    (
        _masked(lambda new, total: causal_mask(total)[total - new - 1 : total - 1]),
        "One row too early: a new token does not look at itself.",
    ),
    (
        lambda q, k, v, kept: scaled_dot_product(q, k, v, causal_mask(k.shape[2])),
        "What was kept is not looked at: its keys and values belong in front of the new ones.",
    ),
    (
        lambda q, k, v, kept: scaled_dot_product(q, *kept),
        "The new tokens look at what was kept only; they see themselves, too.",
    ),
    (
        _in_front,
        "The new keys and values stand in front of the kept ones. The text goes on at its end.",
    ),
    (
        lambda q, k, v, kept: _one_by_one(q, k, v, _swapped(kept))[0],
        "Keys and values changed places: `kept` is the pair (keys, values), in this order.",
    ),
]
_KEPT: list[Wrong] = [
    (
        lambda k, v, kept: (k, v),
        "Only the new keys and values were kept: at the next call all earlier ones are forgotten.",
    ),
    (
        lambda k, v, kept: kept,
        "This is what was kept before: the new keys and values are missing.",
    ),
    (
        lambda k, v, kept: _longer(k, v, kept)[::-1],
        "The two changed places: keep the keys first and the values second.",
    ),
]
_PAIR = "Return two things: what attention gives, and the pair (keys, values) to keep for the next call."
_WORKED = (
    "Five tokens kept, two new: 2 queries meet 7 keys. The first new token looks at the keys 0 to 5, the second at "
    "0 to 6, and 7 keys and values are kept."
)
_SAYS = {
    "Sizes of tensors must match": "Tokens are dimension 2 of (B, heads, T, d): along it the new keys and values are "
    "put behind the kept ones.",
    "must match the": "The mask has a row for each new token, and a column for each token of the whole text.",
    "NoneType": "At the first call nothing has been kept: then `kept` is None.",
}


@exercise(_one_by_one)
def attend_with_cache(fn: Answer) -> None:
    """Check ``attend_with_cache(q, k, v, kept)``: new tokens (B, heads, T, d) -> the same, and (keys, values)."""
    for before, new in ((2, 3), (5, 1), (0, 3), (4, 2)):
        q, k, v = (torch.randn(2, 3, new, 4) for _ in range(3))
        kept = (torch.randn(2, 3, before, 4), torch.randn(2, 3, before, 4)) if before else None
        told = call(fn, q, k, v, kept, says=_SAYS)
        require(type(told) in (tuple, list) and len(told) == 2, "two things", told, _PAIR)
        answer, pair = told
        expected, keep = _one_by_one(q, k, v, kept)
        what = f"{new} new tokens, {before} kept"
        expect_like(
            answer,
            expected,
            f"{what}: what attention gives",
            inputs=(q, k, v, kept),
            wrong=_MISTAKES,
            shape=_WORKED,
            hint=_WORKED,
        )
        _expect_kept(pair, keep, (k, v, kept), what)


def _part(mistake: Answer, place: int) -> Answer:
    """One of the two things that a mistake keeps: 0 for keys, 1 for values."""
    return lambda *given: mistake(*given)[place]


def _expect_kept(
    pair: Any, keep: tuple[Tensor, Tensor], inputs: tuple[Any, ...], what: str
) -> None:
    """Require the keys and values of all tokens so far."""
    require(
        isinstance(pair, tuple | list) and len(pair) == 2, f"{what}: a pair to keep", pair, _PAIR
    )
    for place, name in enumerate(("keys", "values")):
        wrong = [(_part(mistake, place), hint) for mistake, hint in _KEPT]
        expect_like(
            pair[place],
            keep[place],
            f"{what}: the {name} to keep",
            inputs=inputs,
            wrong=wrong,
            shape=_WORKED,
            hint=_WORKED,
        )
