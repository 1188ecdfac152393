"""Exercise `pad_batch`: sequences of unlike length as one table of ids, with a mask."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, require

Rows = Sequence[Sequence[int]]


def _pad_by_columns(sequences: Rows, pad_id: int) -> tuple[Tensor, Tensor]:
    columns = list(zip_longest(*sequences, fillvalue=pad_id))
    marks = list(zip_longest(*([1] * len(s) for s in sequences), fillvalue=0))
    return torch.tensor(columns).T.contiguous(), torch.tensor(marks).T.contiguous()


def _table(rows: Rows, fill: int, width: int | None = None, left: bool = False) -> Tensor:
    width = max(map(len, rows)) if width is None else width
    gaps = [[fill] * (width - len(row)) for row in rows]
    return torch.tensor(
        [
            [*gap, *row][:width] if left else [*row, *gap][:width]
            for row, gap in zip(rows, gaps, strict=True)
        ]
    )


def _marks(rows: Rows, left: bool = False) -> Tensor:
    return _table([[1] * len(row) for row in rows], 0, left=left)


_SORTED = "The rows are in order of length, so the labels no longer belong to them: keep the order of the input."

_WRONG_IDS: list[Wrong] = [
    (lambda rows, pad: _marks(rows), "The mask comes first here: the order is (ids, mask)."),
    (
        lambda rows, pad: _table(rows, pad, left=True),
        "Filled up at the left: BERT reads its answer at position 0, which must hold [CLS] in every row.",
    ),
    (
        lambda rows, pad: _table(rows, 0),
        "The gaps hold 0. That is BERT's own [PAD]; other tokenizers say `pad_id`.",
    ),
    (
        lambda rows, pad: _table(rows, pad, width=min(map(len, rows))),
        "Cut to the shortest sequence: zip stops there too. The longest one tells the width.",
    ),
    (
        lambda rows, pad: _table(rows, pad).T,
        "Rows and columns are exchanged: (B, T) has one row for each sequence. (pad_sequence has an option for it.)",
    ),
    (lambda rows, pad: _table(sorted(rows, key=len), pad), _SORTED),
    (lambda rows, pad: _table(sorted(rows, key=len, reverse=True), pad), _SORTED),
    (lambda rows, pad: _table(rows[:-1], pad), "The last sequence is missing."),
    (lambda rows, pad: _table(rows[1:], pad), "The first sequence is missing."),
    (
        lambda rows, pad: torch.tensor([token for row in rows for token in row]),
        "All sequences stand in one row: each gets a row of its own, filled up to the width of the longest.",
    ),
    (
        lambda rows, pad: _table([row[:512] for row in rows], pad, width=512),
        "Cut to 512 tokens: cutting is the tokenizer's business; here nothing of a sequence is lost.",
    ),
    (
        lambda rows, pad: _table([row[:128] for row in rows], pad, width=128),
        "Cut or filled to 128 tokens, whatever the batch holds: only the longest sequence of the batch counts.",
    ),
]

_WRONG_MASKS: list[Wrong] = [
    (
        lambda rows, pad: 1 - _marks(rows),
        "The mask is inverted: 1 where a token is, 0 where it was filled up.",
    ),
    (
        lambda rows, pad: torch.ones_like(_marks(rows)),
        "The mask is 1 everywhere: BERT would read the filling as if somebody had written it.",
    ),
    (
        lambda rows, pad: (_table(rows, pad) != pad).long(),
        "A sequence may hold the token pad_id itself, and it is masked out here: what else tells how far a row goes?",
    ),
    (
        lambda rows, pad: _marks(rows, left=True),
        "The ids are filled at the right, the mask at the left: both must tell the same story.",
    ),
    (
        lambda rows, pad: torch.tensor([len(row) for row in rows]),
        "These are the lengths. The mask has one number for each position, as ids does.",
    ),
    (
        lambda rows, pad: torch.where(_marks(rows) == 1, 0.0, -torch.inf),
        "This is what attention adds to its scores later (0 or -inf); the model makes it out of a mask of 1 and 0.",
    ),
    (
        lambda rows, pad: _table(
            [[1] * (len(row) - 1) for row in rows], 0, width=max(map(len, rows))
        ),
        "Each row of the mask ends one token too early: count the last one too.",
    ),
    (
        lambda rows, pad: _marks(rows).cumsum(1) * _marks(rows),
        "The mask numbers the tokens. It only says whether one stands there: 1, whichever it is, or 0.",
    ),
]

_SAYS = {
    "changed its argument": "`append`, `extend` and `+=` lengthen the caller's own lists, so the data set grows with "
    "each epoch: make a new list.",
    "expected sequence of length": "A tensor has no ragged edge: fill the short sequences up first.",
}

_WORKED = (
    "By hand: 5 6 7 and 8 with pad_id 0 make the ids 5 6 7 and 8 0 0, and the mask 1 1 1 and 1 0 0: as wide as the "
    "longest, 1 where a token stood."
)

# The first batch tells all the mistakes apart: pad_id is not 0, and it stands inside a sequence and at an end.
_BATCHES = (
    ([[101, 7, 2023, 102], [101, 102], [101, 30521, 4, 5, 7, 102], [101, 9, 7]], 7),
    ([[101, 2307, 3185, 102], [101, 102], [101, 1045, 2293, 2009, 102]], 0),
    ([[5, 6, 7]], 1),
    ([[8, 3], [0, 0], [4, 4]], 0),
    ([[9], list(range(600)), [4] * 130], 3),
)


@exercise(_pad_by_columns)
def pad_batch(fn: Answer) -> None:
    """Check ``pad_batch(sequences, pad_id)``: B lists of ids -> ids (B, T) and mask (B, T), both int64."""
    for sequences, pad_id in _BATCHES:
        # Copies: an answer that lengthens them harms no later check.
        inputs = ([list(s) for s in sequences], pad_id)
        what = f"of {len(sequences)} sequences padded with {pad_id}"
        expected_ids, expected_mask = _pad_by_columns(*inputs)
        got = call(fn, *inputs, says=_SAYS)
        pair = type(got) in (tuple, list) and len(got) == 2
        both = "Return both, in this order: `return ids, mask`."
        require(pair, f"two tensors {what}: (ids, mask)", got, both)
        _expect_table(got[0], expected_ids, f"ids {what}", inputs, _WRONG_IDS)
        _expect_table(got[1], expected_mask, f"mask {what}", inputs, _WRONG_MASKS)


def _expect_table(got: Any, expected: Tensor, what: str, inputs: tuple, wrong: list) -> None:
    """Require the int64 table; a mistake that changes the shape as well is named before the shape is."""
    made = "Return a tensor: `torch.tensor` makes one of lists."
    require(type(got) is Tensor, f"{what}: a torch.Tensor", got, made)
    shape = tuple(expected.shape)
    longer = got.dim() == 2 and len(got) == shape[0] and got.shape[1] > shape[1]
    long = (
        "Filled up beyond the longest sequence of the batch: every column more is computed in vain."
    )
    require(not longer, f"{what} of shape {shape}", f"shape {tuple(got.shape)}", long)
    expect_close(got, expected, what, inputs=inputs, wrong=wrong, hint=_WORKED, atol=0, rtol=0)
    whole = "Not int64: an embedding looks rows up by whole numbers, and sums of a bool or uint8 mask go wrong."
    require(got.dtype == torch.int64, f"{what} of dtype torch.int64", f"dtype {got.dtype}", whole)
