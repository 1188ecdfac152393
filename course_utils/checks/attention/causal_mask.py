"""Exercise `causal_mask`: which tokens each token may look at: itself and all earlier ones."""

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


def _mask_by_positions(length: int) -> Tensor:
    place = torch.arange(length)
    return place[None, :] <= place[:, None]


def _square(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool)


_MISTAKES: list[Wrong] = [
    (
        lambda n: _square(n).triu(),
        "Upside down: this lets token t look at itself and all *later* ones. Row t looks, column s is looked at.",
    ),
    (
        lambda n: _square(n).triu(1),
        "True marks what is *forbidden* here; the contract is True = may attend.",
    ),
    (
        lambda n: _square(n).tril(-1),
        "The diagonal is missing: a token may look at itself; the first one has nothing else.",
    ),
    (
        lambda n: _square(n).tril(1),
        "One too far: each token sees the next, which is what it has to predict.",
    ),
    (_square, "Everything is allowed: later tokens must be hidden."),
    (lambda n: torch.eye(n), "Only the diagonal: a token may look at all earlier ones too."),
    (
        lambda n: torch.zeros(n, n).masked_fill(~_square(n).tril(), -torch.inf),
        "These are numbers to be added to scores (0 and -inf). Asked for is yes or no: bool.",
    ),
    (
        lambda n: _square(n).tril()[None, None],
        "Two dimensions too many: (T, T) broadcasts over batch and heads.",
    ),
    (
        lambda n: _square(n).tril()[None],
        "One dimension too many: (T, T) broadcasts over batch and heads.",
    ),
    (lambda n: _square(n + 1).tril(), "One row and column too many: there are `length` tokens."),
    (lambda n: _square(n - 1).tril(), "One row and column too few: there are `length` tokens."),
]


_WORKED = (
    "Three tokens: row 0 is yes no no, row 1 yes yes no, row 2 yes yes yes. Row t looks, column s is looked at: s <= "
    "t, so 1 + 2 + 3 = 6 are True."
)


@exercise(_mask_by_positions)
def causal_mask(fn: Answer) -> None:
    """Check ``causal_mask(length)``: int -> bool (T, T), True = may attend."""
    for length in (4, 1, 7, 2):
        what = f"the mask for {length} tokens"
        got, expected = call(fn, length), _mask_by_positions(length)
        expect_close(got, expected, what, inputs=(length,), wrong=_MISTAKES, hint=_WORKED)
        yes_or_no = "The mask says yes or no: make it bool, for example with `dtype=torch.bool` or a comparison."
        bare = "The places are right: return them as a torch tensor, `torch.tensor(...)`, which `masked_fill` can use."
        require(isinstance(got, Tensor), f"{what}: a torch.Tensor", got, bare)
        is_bool = getattr(got, "dtype", None) == torch.bool
        require(is_bool, f"{what} of dtype torch.bool", got, yes_or_no)
        expect_tensor(got, (length, length), what, torch.bool)
