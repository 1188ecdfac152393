"""The mistakes that learners make in exercises 4.1 and 4.4, each as a function that makes it, with its hint."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_utils.checks import Wrong

Rows = Sequence[Sequence[int]]


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
WRONG_IDS: list[Wrong] = [
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

WRONG_MASKS: list[Wrong] = [
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


Schedule = Callable[[int, int, int], float]


def _after(down: Schedule) -> Schedule:
    """A right warm-up, then something else."""
    return lambda s, w, t: s / w if s < w else down(s, w, t)


def _before(up: Schedule) -> Schedule:
    """Something else, then a right descent."""
    return lambda s, w, t: up(s, w, t) if s < w else max(0.0, (t - s) / (t - w))


WRONG_SCHEDULES: list[tuple[Schedule, str]] = [
    (
        _after(lambda s, w, t: (t - s) / (t - w)),
        "Negative after the last step: the optimiser would climb the loss. What is the least it may be?",
    ),
    (
        _after(lambda s, w, t: max(0.0, (t - s) / t)),
        "A jump at the peak: the way down is counted from step 0. It starts at 1, where the warm-up ends.",
    ),
    (
        _after(lambda s, w, t: max(0.0, 1 - (s - w) / t)),
        "The descent takes total_steps more; total_steps counts the warm-up too, so 0 is reached earlier.",
    ),
    (
        _before(lambda s, w, t: (s + 1) / w),
        "One step early: step 0 gives 0, and 1 is reached at step == warmup_steps, not before.",
    ),
    (
        _before(lambda s, w, t: (s + 1) / (w + 1)),
        "Step 0 has the multiplier 0: from there it is warmup_steps equal steps up to 1, not one more.",
    ),
    (
        _before(lambda s, w, t: s / (w + 1)),
        "The ramp ends below 1 and then jumps: how many steps lie between step 0 and step warmup_steps?",
    ),
    (
        _before(lambda s, w, t: s / t),
        "The ramp is divided by all steps; it has only the warm-up's steps to reach 1.",
    ),
    (
        _before(lambda s, w, t: 1.0),
        "No ramp: the full rate from step 0 on is what warm-up is there to avoid.",
    ),
    (
        lambda s, w, t: max(0.0, (t - s) / t),
        "There is no warm-up here: it starts at 1 and only falls. Which steps are to rise?",
    ),
    (
        _before(lambda s, w, t: 1 - s / w),
        "The warm-up runs downwards: it starts cold, with 0.",
    ),
    (
        _after(lambda s, w, t: 1.0),
        "After the warm-up it stays at 1: it has to fall to 0 by the last step.",
    ),
    (
        _after(lambda s, w, t: 1.0 if s < t else 0.0),
        "After the warm-up it stays at 1 and drops at the end: it has to fall evenly, a little at each step.",
    ),
    (
        _after(lambda s, w, t: (w / s) ** 0.5),
        "This falls with the inverse square root (the first Transformer's schedule) and never reaches 0.",
    ),
    (
        _after(lambda s, w, t: 0.5 * (1 + math.cos(math.pi * min(1.0, (s - w) / (t - w))))),
        "This descent is half a cosine: right at both ends, but not a straight line.",
    ),
    (
        lambda s, w, t: s // w if s < w else max(0, (t - s) // (t - w)),
        "`//` divides without a rest, so nearly every multiplier is 0: use `/`.",
    ),
    (
        _after(lambda s, w, t: max(0.0, (t - 1 - s) / (t - 1 - w))),
        "0 one step too early: the last step trained is total_steps - 1, and it must still move the weights.",
    ),
    (
        _after(lambda s, w, t: abs(t - s) / (t - w)),
        "It rises again after the last step: from total_steps on it is 0.",
    ),
    (
        _after(lambda s, w, t: min(1.0, max(0.0, (s - w) / (t - w)))),
        "After the peak it falls to 0 at once and rises to 1 at the end: count the steps that are left.",
    ),
]
