"""Exercise `green_list`: which tokens a watermark prefers, drawn so that the key's owner can draw again."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import Answer, call, exercise, expect_tensor, require


def _by_places(previous: int, vocab: int, gamma: float, key: int) -> Tensor:
    """Each token gets a place in an order that is drawn; green are the first places."""
    source = torch.Generator().manual_seed(key * vocab + previous)
    places = torch.randperm(vocab, generator=source).argsort()
    return places < round(gamma * vocab)


_BOOLS = (
    "Return for each token of the vocabulary whether it is green: bool (vocab,), True for green. The green tokens' "
    "ids alone are no such list."
)
_AGAIN = (
    "The same key and previous token have to give the same list, or nobody can count green tokens later: seed a "
    "generator of your own with them."
)
_COIN = (
    "A coin for each token gives another number of green ones each time. Exactly round(gamma * vocab) are green: "
    "draw an order, and take so many from it."
)
_FLOOR = "round(gamma * vocab) tokens are green, to the *nearest* whole number; `int` rounds down."
_RED = "That many tokens are *red*: a share gamma is green, True."
_COUNT = "round(gamma * vocab) tokens are green, whatever the token before them."
_PREVIOUS = (
    "Every token before has the same list, so the same words are preferred all through a text, and a reader finds "
    "them by counting. The previous token belongs in the seed."
)
_KEY = "Another key changes nothing: then whoever knows the method can count. The key belongs in the seed."
_SHARED = (
    "Different pairs of key and previous token share a list, as (1, 2) and (2, 1) do where both are added. Make one "
    "seed from the two numbers that no other pair gives."
)
_ALIKE = (
    "Lists of neighbouring tokens are nearly the same: a list that is only shifted is no draw. Draw with a generator, "
    "seeded anew for each list."
)
_FAVOURED = (
    "Some tokens are green nearly always, others never: draw from the *whole* vocabulary, so that each token is green "
    "in a share gamma of the lists."
)
_SIZES = ((40, 0.25), (9, 0.3), (50, 0.7), (6, 0.6))
"""Vocabularies and shares; round, int and ceil of their products differ."""
_VOCAB, _GAMMA = 240, 0.25


@exercise(_by_places)
def green_list(fn: Answer) -> None:
    """Check ``green_list(previous, vocab, gamma, key)`` -> bool (vocab,).

    ``previous`` is a token's id, below ``vocab``. Exactly ``round(gamma * vocab)`` tokens are True. The list depends on
    key and previous token alone, is drawn anew for each pair of them, and leaves the notebook's random numbers alone.
    Source: arXiv 2301.10226, algorithm 2.
    """
    for vocab, gamma in _SIZES:
        for previous in (0, 1, vocab - 1):
            _expect_list(fn, previous, vocab, gamma, 7)
    _expect_the_same_again(fn)
    lists = [[_expect_list(fn, p, _VOCAB, _GAMMA, key) for p in range(_VOCAB)] for key in (0, 1, 2)]
    _expect_draws(torch.stack([torch.stack(row) for row in lists]))


def _expect_list(fn: Answer, previous: int, vocab: int, gamma: float, key: int) -> Tensor:
    what = f"the list after token {previous} of {vocab}, gamma {gamma}, key {key}"
    green: Any = call(fn, previous, vocab, gamma, key)
    expect_tensor(green, (vocab,), what, torch.bool, hint=_BOOLS)
    wanted, came = round(gamma * vocab), int(green.sum())
    hint = {vocab - wanted: _RED, int(gamma * vocab): _FLOOR}.get(came, _COUNT)
    if came != wanted:
        counts = {int(call(fn, p, vocab, gamma, key).sum()) for p in range(vocab)}
        hint = _COIN if len(counts) > 1 else hint
    require(came == wanted, f"{what}: {wanted} green tokens", f"{came} green tokens", hint)
    return green


def _expect_the_same_again(fn: Answer) -> None:
    first = call(fn, 3, _VOCAB, _GAMMA, 1)
    torch.rand(5)
    again = call(fn, 3, _VOCAB, _GAMMA, 1)
    require(
        torch.equal(first, again), "the same list when it is asked for again", "another", _AGAIN
    )


def _expect_draws(lists: Tensor) -> None:
    """Lists (keys, V, V): none twice, neighbours no more alike than chance makes them, and no token favoured."""
    keys, vocab = lists.shape[:2]
    flat = lists.flatten(0, 1)
    distinct = len(flat.unique(dim=0))
    no_previous = all(len(row.unique(dim=0)) == 1 for row in lists)
    require(not no_previous, "another list after another token", "always the same", _PREVIOUS)
    no_key = torch.equal(lists[0], lists[1])
    require(not no_key, "other lists with another key", "the same lists", _KEY)
    all_of_them = f"{keys * vocab} different lists, for {keys} keys and {vocab} tokens"
    require(distinct == keys * vocab, all_of_them, f"{distinct} different lists", _SHARED)
    often = flat.double().mean(dim=0)
    spread = f"{float(often.min()):.0%} to {float(often.max()):.0%}"
    fair = bool(((often - _GAMMA).abs() < 0.12).all())
    require(fair, f"each token green in about {_GAMMA:.0%} of the lists", spread, _FAVOURED)
    green = flat[0].sum()
    overlap = torch.stack([(a & b).sum() for a, b in pairwise(flat)]).double().mean() / green
    wanted = f"neighbouring lists that share about {_GAMMA:.0%} of their tokens"
    require(bool(abs(overlap - _GAMMA) < 0.05), wanted, f"{float(overlap):.0%}", _ALIKE)
