"""Exercise `mask_tokens`: tokens hidden, replaced and kept as in BERT's pre-training, by chance."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from course_utils.checks.core import Answer, CheckFailed, call, exercise, expect_tensor, require
from course_utils.checks.surroundings import fingerprint

_OUTCOMES = (0.85, 0.12, 0.015, 0.015)  # not chosen; of the 15 % chosen: hidden, replaced, kept


def _mask_by_outcomes(
    ids: Tensor,
    special_mask: Tensor,
    mask_id: int,
    vocab_size: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """One draw out of four outcomes for each token."""
    chances = torch.tensor(_OUTCOMES)
    draws = torch.multinomial(chances, ids.numel(), replacement=True, generator=generator)
    outcome = draws.reshape(ids.shape) * (special_mask == 0)
    other = torch.randint(vocab_size, ids.shape, generator=generator)
    ways = torch.stack([ids, torch.full_like(ids, mask_id), other, ids])
    return ways.gather(0, outcome[None])[0], torch.where(outcome > 0, ids, -100)


# Shares of the chosen that are hidden and replaced, and the hint.
_WRONG_SPLITS: tuple[tuple[tuple[float, float], str], ...] = (
    (
        (1.0, 0.0),
        "Every chosen token becomes [MASK], which no later text holds: 10 % become a random one, 10 % stay.",
    ),
    (
        (0.8, 0.02),
        "10 % of the rest is 2 %: of the fifth that is left after hiding, what part is a tenth of all?",
    ),
    ((0.8, 0.2), "No chosen token stays as it is: half of the last fifth is to."),
    ((0.8, 0.0), "No chosen token becomes a random one: half of the last fifth is to."),
    (
        (0.72, 0.1),
        "The random tokens overwrite some [MASK]: hidden and replaced must exclude each other.",
    ),
    ((0.1, 0.8), "The shares are exchanged: 80 % become [MASK], 10 % a random token."),
    ((0.1, 0.1), "The shares are exchanged: 80 % become [MASK], 10 % stay as they are."),
    (
        (8 / 9, 1 / 9),
        "Kept tokens have no label: a chosen token is asked about even where it is shown.",
    ),
    ((0.0, 1.0), "Every chosen token becomes a random one: 80 % are to become [MASK]."),
    ((0.0, 0.0), "Nothing was hidden: the chosen tokens are all shown as they are."),
)

# The share that is chosen, and the hint.
_WRONG_CHOICES: tuple[tuple[float, str], ...] = (
    (0.85, "85 % were chosen: the comparison points the other way."),
    (0.12, "12 % is 80 % of the 15 %: a chosen token is asked about even where it is not hidden."),
)

_MASK, _WORDS = 3, range(1000, 30_000)

# Exponents of chance (see `_surprise`). 2 exp(-30) is 2e-13, and about 1,300 shares are looked at. A row is compared
# with a mean that is off by chance too, which moves the exponent by less than 5.
_LIMIT, _LIMIT_OF_A_ROW = 30.0, 40.0

_SPARED = (
    "[CLS], [SEP] and padding are not for guessing: where special_mask is true nothing is chosen."
)


@exercise(_mask_by_outcomes)
def mask_tokens(fn: Answer) -> None:
    """Check ``mask_tokens(ids, special_mask, mask_id, vocab_size, generator)`` -> (masked ids, labels)."""
    large = _draw(fn, *_batch((320, 256), _WORDS))
    _expect_invariants(large)
    _expect_even(large)
    _expect_shares(large)
    _expect_many_tokens(large)
    small = _draw(fn, *_batch((200, 200), range(4, 7)), vocab_size=12)
    _expect_invariants(small)
    _expect_whole_vocabulary(small)
    _expect_own_generator(fn)
    ids, special = _batch((40, 256), _WORDS)
    whole = (
        "With special_mask as int64 it fails: whole numbers pick rows, not places, "
        "and `~` makes -1 and -2 of 0 and 1."
    )
    what = "special_mask of 0 and 1 instead of False and True"
    _expect_also(fn, ids, special.long(), what, whole)
    flat = "One row without a batch fails: take the shape from `ids.shape`, not from a batch and a length."
    _expect_also(fn, ids.flatten(), special.flatten(), "ids of one dimension", flat)
    only = torch.ones(2, 9, dtype=torch.bool)
    _expect_also(fn, ids[:2, :9], only, "a batch of special tokens only", _SPARED)


@dataclass(frozen=True, eq=False)
class _Draw:
    """A batch, and what an answer made of it."""

    ids: Tensor
    special: Tensor  # bool
    mask_id: int
    vocab_size: int
    shown: Tensor
    labels: Tensor

    @property
    def asked(self) -> Tensor:
        """Tokens that a label asks for."""
        return self.labels != -100

    @property
    def ordinary(self) -> Tensor:
        """Tokens that are not special."""
        return ~self.special


def _surprise(count: Tensor, total: Tensor, share: float) -> Tensor:
    """Chernoff's exponent: so many of a total, where ``share`` of them is expected, have probability <= 2 exp(-it)."""
    count, total = torch.as_tensor(count).double(), torch.as_tensor(total).double()
    part = count / total.clamp_min(1)
    rest = 1 - part
    gain = torch.xlogy(part, part / share) + torch.xlogy(rest, rest / (1 - share))
    return total * gain


def _plausible(hits: Tensor, share: float) -> bool:
    """Whether so many of these (bool) may be true where each is with probability ``share``."""
    return _surprise(hits.sum(), torch.tensor(hits.numel()), share).item() < _LIMIT


def _expect_shares(draw: _Draw) -> None:
    """How many were chosen, and what became of them."""
    chosen = draw.asked[draw.ordinary]
    shown, ids = draw.shown[draw.asked], draw.ids[draw.asked]
    hidden, kept = shown == draw.mask_id, shown == ids
    replaced = ~hidden & ~kept
    came = (
        f"{_percent(chosen)} chosen; of these {_percent(hidden)} hidden, {_percent(replaced)} replaced, "
        f"{_percent(kept)} kept"
    )
    what = "15 % of the ordinary tokens chosen; of these 80 % hidden, 10 % replaced, 10 % kept"
    ways = ((hidden, 0.8), (replaced, 0.1), (kept, 0.1))
    right = all(_plausible(way, share) for way, share in ways)
    near = (
        h
        for (a, b), h in _WRONG_SPLITS
        if abs(_mean(hidden) - a) < 0.015 and abs(_mean(replaced) - b) < 0.015
    )
    other = "The three ways have other shares: do two draws overlap, or was a number rounded in each row?"
    require(right, what, came, next(near, other))
    near = (h for share, h in _WRONG_CHOICES if abs(_mean(chosen) - share) < 0.01)
    other = "Another share was chosen: 15 % of the tokens that are not special, neither of all nor of some."
    require(_plausible(chosen, 0.15), what, came, next(near, other))


def _expect_even(draw: _Draw) -> None:
    """Each row and each column has its part, so no place was favoured and no draw was used for a whole row."""
    hidden = draw.asked & (draw.shown == draw.mask_id)
    for dim, name in enumerate(("each position of a row", "each row")):
        hint = f"Some places are preferred, or one draw decides for many: {name} has an equal chance to be chosen."
        even = _even(draw.asked, draw.ordinary, dim)
        require(even, f"about as much chosen in {name}", "far more in some than in others", hint)
        hint = "Who is hidden, replaced or kept goes by the place: draw it for each token, or shuffle them."
        even, what = _even(hidden, draw.asked, dim), f"about as much of the chosen hidden in {name}"
        require(even, what, "far more in some than in others", hint)


def _even(hits: Tensor, among: Tensor, dim: int) -> bool:
    """Whether rows or columns differ no more than by chance; their own mean is what they are compared with."""
    share = min(max(_mean(hits[among]), 1e-6), 1 - 1e-6)
    return _surprise(hits.sum(dim), among.sum(dim), share).max().item() < _LIMIT_OF_A_ROW


def _expect_many_tokens(draw: _Draw) -> None:
    """Each place has a random token of its own (the vocabulary is large)."""
    shown = draw.shown[draw.asked & (draw.shown != draw.ids) & (draw.shown != draw.mask_id)]
    came = f"{len(shown.unique())} different ones at {len(shown)} places"
    what = f"random tokens out of {draw.vocab_size:,}, nearly all different"
    hint = "One random token serves many places: draw one for each (torch.randint takes a shape)."
    require(len(shown.unique()) > 0.8 * len(shown), what, came, hint)


def _expect_whole_vocabulary(draw: _Draw) -> None:
    """Every id comes, none too often (the vocabulary is small, and the batch holds a part of it)."""
    what = f"random tokens from 0 to {draw.vocab_size - 1} (vocab_size = {draw.vocab_size})"
    outside = draw.shown[(draw.shown < 0) | (draw.shown >= draw.vocab_size)]
    beyond = "An id outside the vocabulary: the embedding has rows 0 to vocab_size - 1. (randint leaves its end out.)"
    require(not len(outside), what, f"{outside[:1].tolist()}", beyond)
    counts = draw.shown[draw.asked].bincount(minlength=draw.vocab_size)
    missing = [token for token in range(draw.vocab_size) if not counts[token]]
    hint = "Some ids are never drawn: the first, the last or those that this batch does not hold? All of them may come."
    require(not missing, what, f"never {missing}", hint)
    words = draw.ids[draw.ordinary].unique().tolist()
    random_alone = set(range(draw.vocab_size)) - {*words, draw.mask_id}
    rare = counts[sorted(random_alone)]
    total, share = torch.full_like(rare, draw.asked.sum()), 0.1 / draw.vocab_size
    uneven = bool(_surprise(rare, total, share).max() > _LIMIT)
    hint = "Some ids come more often than others: each is as likely as any other (torch.randint)."
    require(not uneven, what, f"counts {rare.tolist()}", hint)


def _mean(hits: Tensor) -> float:
    """The share of true ones."""
    return hits.double().mean().item()


def _percent(hits: Tensor) -> str:
    """The share of true ones, for a message."""
    return f"{100 * _mean(hits):.1f} %" if hits.numel() else "none"


def _batch(shape: tuple[int, int], words: range) -> tuple[Tensor, Tensor]:
    """Ids with [CLS] (1) at the start, [SEP] (2) and padding (0) after the end, and which are special (bool)."""
    source = torch.Generator().manual_seed(17)
    ids = torch.randint(words.start, words.stop, shape, generator=source)
    ends = torch.randint(shape[1] // 2, shape[1], (shape[0], 1), generator=source)
    place = torch.arange(shape[1])
    special = (place == 0) | (place >= ends)
    return torch.where(special, (place == 0) + 2 * (place == ends), ids), special


def _draw(
    fn: Answer,
    ids: Tensor,
    special: Tensor,
    vocab_size: int = _WORDS.stop,
    generator: torch.Generator | None = None,
) -> _Draw:
    generator = torch.Generator().manual_seed(1) if generator is None else generator
    got = call(fn, ids, special, _MASK, vocab_size, generator)
    pair = type(got) in (tuple, list) and len(got) == 2
    both = "Return both, in this order: `return masked_ids, labels`."
    require(pair, "two tensors (masked ids, labels)", got, both)
    shape = "Both have the shape of ids: one number for each position."
    for tensor, what in zip(got, ("masked ids", "labels"), strict=True):
        expect_tensor(tensor, ids.shape, what, hint=shape)
    swapped = "-100 among the masked ids: the order is (masked ids, labels)."
    require(not (got[0] == -100).any(), "ids that the model can look up", got[0], swapped)
    whole = (
        "Ids and labels are whole numbers, int64 as `ids` is: what turned them into something else?"
    )
    for tensor, what in zip(got, ("masked ids", "labels"), strict=True):
        is_whole = tensor.dtype == torch.int64
        require(is_whole, f"{what} of dtype torch.int64", f"dtype {tensor.dtype}", whole)
    return _Draw(ids, special.bool(), _MASK, vocab_size, *got)


def _expect_invariants(draw: _Draw) -> None:
    """What holds in every draw, whatever was chosen."""
    _expect_labels(draw)
    asked, ordinary = draw.asked, draw.ordinary
    opposite = "Nearly all are asked about, and not where the tokens were hidden: -100 belongs to those *not* chosen."
    few, share = _mean(asked[ordinary]) < 0.6, _percent(asked[ordinary])
    require(few, "labels at 15 % of the ordinary tokens", f"at {share}", opposite)
    came = f"{_percent(asked[draw.special])} of the special and {share} of the ordinary ones"
    inverted = bool(asked[draw.special].any()) and not asked[ordinary].any()
    reverse = "Only special tokens are chosen: special_mask is true where a token must *not* be."
    require(not inverted, "no special token chosen", came, reverse)
    require(not asked[draw.special].any(), "no special token chosen", came, _SPARED)
    changed = draw.shown != draw.ids
    touched = "A special token was replaced, though nothing is asked there: what is shown changes only where chosen."
    same = not changed[draw.special].any()
    require(same, "special tokens as they were", "some replaced", touched)
    loose = changed & ~asked & ordinary
    what = "tokens that are not asked about shown as they are"
    came = f"{_percent(loose[ordinary])} of all were changed"
    few = _mean(loose[ordinary]) < 0.03
    hidden_only = "Chosen tokens that became a random one have no label: all the chosen have one, not only the hidden."
    everywhere = (
        "80, 10 and 10 % are shares of the chosen tokens: what is not chosen stays as it is."
    )
    require(not loose.any(), what, came, hidden_only if few else everywhere)


def _expect_labels(draw: _Draw) -> None:
    ids, labels, shown = draw.ids, draw.labels, draw.shown
    what = "labels: the original id where a token was chosen, -100 elsewhere"
    all_of = "Every position has its token as label: the loss would mostly reward copying. Ask only about the chosen."
    require(not bool((labels == ids)[draw.ordinary].all()), what, "all ids", all_of)
    late = "The labels hold what is shown, [MASK] among it: keep the original ids."
    require(not torch.equal(labels, shown), what, "the masked ids", late)
    filler = labels.flatten().mode().values.item()
    ignore = f"The other positions hold {filler}. cross_entropy skips one number, -100: any other is a class to learn."
    require(bool((labels == -100).any()), what, f"mostly {filler}, never -100", ignore)
    nothing = "No token is asked about: the chosen ones keep their ids in the labels, only the others get -100."
    require(bool(draw.asked.any()), what, "-100 everywhere", nothing)
    wrong = draw.asked & (labels != ids)
    same = bool((labels == shown)[draw.asked].all())
    named = "Where a token was chosen the label is its original id."
    came = f"{_percent(wrong[draw.asked])} of the labels are other ids"
    require(not wrong.any(), what, came, late if same else named)


def _global_generators() -> tuple[str, ...]:
    states = torch.get_rng_state(), list(np.random.get_state()), random.getstate()
    return tuple(fingerprint(state) for state in states)


def _expect_own_generator(fn: Answer) -> None:
    ids, special = _batch((40, 64), _WORDS)
    before = _global_generators()
    first = _draw(fn, ids, special)
    hint = "Draws came from the global generator: give `generator=generator` to every draw, or nobody can repeat them."
    what = "draws from the generator that was passed in"
    names = ("PyTorch", "NumPy", "Python")
    for name, old, new in zip(names, before, _global_generators(), strict=True):
        require(old == new, what, f"{name}'s global one was used", hint)
    hint = (
        "The same generator in the same state, another result: some draw has a source of its own."
    )
    again = _draw(fn, ids, special)
    require(_same(first, again), "the same draw for the same state", "another draw", hint)
    generator = torch.Generator().manual_seed(2)
    other = _draw(fn, ids, special, generator=generator)
    hint = "Generators with other seeds give the same result: the one passed in is not what draws."
    if generator.initial_seed() != 2:
        hint = "You seed the generator anew in each call: seeding is the caller's business, or each epoch is the same."
    require(not _same(first, other), "another draw for another seed", "the same draw", hint)
    hint = "Two calls in a row hide the same tokens: do not seed inside the function, or every epoch is the same."
    following = _draw(fn, ids, special, generator=generator)
    require(not _same(other, following), "new draws at the next call", "the same draws again", hint)


def _same(one: _Draw, other: _Draw) -> bool:
    return torch.equal(one.shown, other.shown) and torch.equal(one.labels, other.labels)


def _expect_also(fn: Answer, ids: Tensor, special: Tensor, what: str, hint: str) -> None:
    """The same rules for another form of the arguments; whatever goes wrong, the form is the reason."""
    try:
        draw = _draw(fn, ids, special)
        if special.all():
            nothing = not draw.asked.any() and torch.equal(draw.shown, ids)
            require(nothing, "nothing chosen", "some chosen", hint)
        else:
            _expect_invariants(draw)
            _expect_shares(draw)
    except CheckFailed as failure:
        raise CheckFailed(f"{failure.expected} ({what})", failure.got, hint) from None
