"""The statistics of exercise 4.2: shares of tokens chosen, hidden, replaced and kept, in a large batch.

Any scheme of draws is right that hides 15 % of the ordinary tokens evenly: each token for itself (as libraries do),
or exactly 15 % of each row (as BERT's own code does). A share is refused when Chernoff's bound gives a right
answer less than 1e-12 to be that far off; with all questions together a right answer fails with less than 1e-9.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.checks import require

_LIMIT = 30.0  # 2 exp(-30) is 2e-13, and about 1,300 shares are looked at
_LIMIT_OF_A_ROW = (
    40.0  # compared with a mean that is off by chance too, which moves the exponent by less than 5
)


@dataclass(frozen=True, eq=False)
class Draw:
    """A batch, and what an answer made of it."""

    ids: Tensor
    special: Tensor  # bool
    mask_id: int
    vocab_size: int
    shown: Tensor
    labels: Tensor

    @property
    def asked(self) -> Tensor:
        return self.labels != -100

    @property
    def ordinary(self) -> Tensor:
        return ~self.special


def _surprise(count: Tensor, total: Tensor, share: float) -> Tensor:
    """Chernoff's exponent: so many of a total, where ``share`` of them is expected, have probability <= 2 exp(-it)."""
    count, total = torch.as_tensor(count).double(), torch.as_tensor(total).double()
    part = count / total.clamp_min(1)
    gain = torch.special.xlogy(part, part / share) + torch.special.xlogy(
        1 - part, (1 - part) / (1 - share)
    )
    return total * gain


def _plausible(hits: Tensor, share: float) -> bool:
    """Whether so many of these (bool) may be true where each is with probability ``share``."""
    return _surprise(hits.sum(), torch.tensor(hits.numel()), share).item() < _LIMIT


_WRONG_SPLITS: tuple[
    tuple[tuple[float, float], str], ...
] = (  # shares of the chosen: hidden, replaced, hint
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
_WRONG_CHOICES: tuple[tuple[float, str], ...] = (
    (0.85, "85 % were chosen: the comparison points the other way."),
    (0.12, "12 % is 80 % of the 15 %: a chosen token is asked about even where it is not hidden."),
)


def expect_shares(draw: Draw) -> None:
    """How many were chosen, and what became of them."""
    chosen = draw.asked[draw.ordinary]
    shown, ids = draw.shown[draw.asked], draw.ids[draw.asked]
    hidden, kept = shown == draw.mask_id, shown == ids
    replaced = ~hidden & ~kept
    came = (
        f"{percent(chosen)} chosen; of these {percent(hidden)} hidden, {percent(replaced)} replaced"
    )
    came = f"{came}, {percent(kept)} kept"
    what = "15 % of the ordinary tokens chosen; of these 80 % hidden, 10 % replaced, 10 % kept"
    right = all(
        _plausible(way, share) for way, share in ((hidden, 0.8), (replaced, 0.1), (kept, 0.1))
    )
    near = (
        h
        for (a, b), h in _WRONG_SPLITS
        if abs(mean(hidden) - a) < 0.015 and abs(mean(replaced) - b) < 0.015
    )
    other = "The three ways have other shares: do two draws overlap, or was a number rounded in each row?"
    require(right, what, came, next(near, other))
    near = (h for share, h in _WRONG_CHOICES if abs(mean(chosen) - share) < 0.01)
    other = "Another share was chosen: 15 % of the tokens that are not special, neither of all nor of some."
    require(_plausible(chosen, 0.15), what, came, next(near, other))


def expect_even(draw: Draw) -> None:
    """Each row and each column has its part, so no place was favoured and no draw was used for a whole row."""
    hidden = draw.asked & (draw.shown == draw.mask_id)
    for dim, name in enumerate(("each position of a row", "each row")):
        hint = f"Some places are preferred, or one draw decides for many: {name} has an equal chance to be chosen."
        even = _even(draw.asked, draw.ordinary, dim)
        require(even, f"about as much chosen in {name}", "far more in some than in others", hint)
        hint = "Who is hidden, replaced or kept goes by the place: draw it for each token, or shuffle them."
        even = _even(hidden, draw.asked, dim)
        require(
            even,
            f"about as much of the chosen hidden in {name}",
            "far more in some than in others",
            hint,
        )


def _even(hits: Tensor, among: Tensor, dim: int) -> bool:
    """Whether rows or columns differ no more than by chance; their own mean is what they are compared with."""
    share = min(max(mean(hits[among]), 1e-6), 1 - 1e-6)
    return _surprise(hits.sum(dim), among.sum(dim), share).max().item() < _LIMIT_OF_A_ROW


def expect_many_tokens(draw: Draw) -> None:
    """Each place has a random token of its own (the vocabulary is large)."""
    shown = draw.shown[draw.asked & (draw.shown != draw.ids) & (draw.shown != draw.mask_id)]
    came = f"{len(shown.unique())} different ones at {len(shown)} places"
    what = f"random tokens out of {draw.vocab_size:,}, nearly all different"
    hint = "One random token serves many places: draw one for each (torch.randint takes a shape)."
    require(len(shown.unique()) > 0.8 * len(shown), what, came, hint)


def expect_whole_vocabulary(draw: Draw) -> None:
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
    rare = counts[
        [token for token in range(draw.vocab_size) if token not in (*words, draw.mask_id)]
    ]  # random alone
    uneven = (
        _surprise(rare, torch.full_like(rare, draw.asked.sum()), 0.1 / draw.vocab_size).max()
        > _LIMIT
    )
    hint = "Some ids come more often than others: each is as likely as any other (torch.randint)."
    require(not uneven, what, f"counts {rare.tolist()}", hint)


def mean(hits: Tensor) -> float:
    """The share of true ones."""
    return hits.double().mean().item()


def percent(hits: Tensor) -> str:
    """The share of true ones, for a message."""
    return f"{100 * mean(hits):.1f} %" if hits.numel() else "none"
