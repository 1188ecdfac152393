"""Checks of lesson 04: BERT fine-tuned on IMDB. Each returns the function that the lesson goes on with."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils.checks import (
    Answer,
    CheckFailed,
    call,
    exercise,
    expect_close,
    expect_number,
    require,
)
from course_utils.checks._bert_groups import groups_by_dimensions, inspect_groups
from course_utils.checks._bert_masking import inspect_masking, mask_by_outcomes
from course_utils.checks._bert_mistakes import WRONG_IDS, WRONG_MASKS, WRONG_SCHEDULES
from course_utils.checks._wilson_mistakes import WRONG_INTERVALS


def _call(fn: Answer, *args: Any, named: dict[str, str]) -> Any:
    """`call`, with a hint of this lesson's own where the complaint contains one of the words."""
    try:
        return call(fn, *args)
    except CheckFailed as failure:
        hint = next((text for words, text in named.items() if words in failure.got), failure.hint)
        raise CheckFailed(failure.expected, failure.got, hint) from None


# ---------------------------------------------------------------- 4.1 a batch of sequences


def _pad_by_columns(sequences: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    columns = list(zip_longest(*sequences, fillvalue=pad_id))
    marks = list(zip_longest(*([1] * len(s) for s in sequences), fillvalue=0))
    return torch.tensor(columns).T.contiguous(), torch.tensor(marks).T.contiguous()


# The first batch tells all the mistakes apart: pad_id is not 0, and it stands inside a sequence and at an end.
_BATCHES = (
    ([[101, 7, 2023, 102], [101, 102], [101, 30521, 4, 5, 7, 102], [101, 9, 7]], 7),
    ([[101, 2307, 3185, 102], [101, 102], [101, 1045, 2293, 2009, 102]], 0),
    ([[5, 6, 7]], 1),
    ([[8, 3], [0, 0], [4, 4]], 0),
    ([[9], list(range(600)), [4] * 130], 3),
)
_PADDING = {
    "changed its argument": "`append`, `extend` and `+=` lengthen the caller's own lists, so the data set grows with "
    "each epoch: make a new list.",
    "expected sequence of length": "A tensor has no ragged edge: fill the short sequences up first.",
}


@exercise("4.1", _pad_by_columns)
def exercise_4_1(fn: Answer) -> None:
    """Check ``pad_batch(sequences, pad_id)``: B lists of ids -> ids (B, T) and mask (B, T), both int64."""
    for sequences, pad_id in _BATCHES:
        inputs = (
            [list(s) for s in sequences],
            pad_id,
        )  # copies: an answer that lengthens them harms no later check
        what = f"of {len(sequences)} sequences padded with {pad_id}"
        expected_ids, expected_mask = _pad_by_columns(*inputs)
        got = _call(fn, *inputs, named=_PADDING)
        pair = type(got) in (tuple, list) and len(got) == 2
        require(
            pair,
            f"two tensors {what}: (ids, mask)",
            got,
            "Return both, in this order: `return ids, mask`.",
        )
        _expect_table(got[0], expected_ids, f"ids {what}", inputs, WRONG_IDS)
        _expect_table(got[1], expected_mask, f"mask {what}", inputs, WRONG_MASKS)


def _expect_table(got: Any, expected: Tensor, what: str, inputs: tuple, wrong: list) -> None:
    """Require the int64 table; a mistake that changes the shape as well is named before the shape is."""
    require(
        type(got) is Tensor,
        f"{what}: a torch.Tensor",
        got,
        "Return a tensor: `torch.tensor` makes one of lists.",
    )
    shape = tuple(expected.shape)
    longer = got.dim() == 2 and len(got) == shape[0] and got.shape[1] > shape[1]
    long = (
        "Filled up beyond the longest sequence of the batch: every column more is computed in vain."
    )
    require(not longer, f"{what} of shape {shape}", f"shape {tuple(got.shape)}", long)
    hint = "One row for each sequence, as wide as the longest one of this batch."
    if tuple(got.shape) == shape:
        hint = "Write out the shortest row by hand."
    expect_close(got, expected, what, inputs=inputs, wrong=wrong, hint=hint, atol=0, rtol=0)
    whole = "Not int64: an embedding looks rows up by whole numbers, and sums of a bool or uint8 mask go wrong."
    require(got.dtype == torch.int64, f"{what} of dtype torch.int64", f"dtype {got.dtype}", whole)


# ---------------------------------------------------------------- 4.2 hiding tokens


@exercise("4.2", mask_by_outcomes)
def exercise_4_2(fn: Answer) -> None:
    """Check ``mask_tokens(ids, special_mask, mask_id, vocab_size, generator)`` -> (masked ids, labels)."""
    inspect_masking(fn)


# ---------------------------------------------------------------- 4.3 which weights decay


@exercise("4.3", groups_by_dimensions)
def exercise_4_3(fn: Answer) -> None:
    """Check ``parameter_groups(model, weight_decay)`` -> two groups for an optimiser."""
    inspect_groups(fn)


# ---------------------------------------------------------------- 4.4 warm-up


def _schedule_by_corners(step: int, warmup_steps: int, total_steps: int) -> float:
    """The straight lines between (0, 0), (warm-up, 1) and (end, 0)."""
    corners = {
        0: 0.0,
        total_steps: 0.0,
        warmup_steps: 1.0,
    }  # where two fall together, the peak stays
    steps = sorted(corners)
    return float(np.interp(step, steps, [corners[at] for at in steps], right=0.0))


# The first schedule tells all the mistakes apart.
_SCHEDULES = ((4, 20), (1, 7), (100, 1000), (6, 7), (0, 10), (5, 5))


@exercise("4.4", _schedule_by_corners)
def exercise_4_4(fn: Answer) -> None:
    """Check ``warmup_linear(step, warmup_steps, total_steps)``: ints -> multiplier in [0, 1]."""
    for warmup, total in _SCHEDULES:
        steps = [*range(0, total + 4, 1 if total < 100 else 25)]
        peak_is_end = (
            warmup == total
        )  # 1 as the end of the warm-up, 0 as the end of all: both are right there
        steps = [step for step in steps if not (peak_is_end and step == total)]
        what = f"the multiplier with warmup_steps={warmup}, total_steps={total}"
        nothing = "All steps are warm-up here: the way down has no steps to divide by, and after the end it is 0."
        nothing = (
            nothing
            if warmup
            else "Without warm-up there are no steps to divide by: step 0 has the full rate."
        )
        divided = {"ZeroDivisionError": nothing}
        got = [
            expect_number(
                _call(fn, step, warmup, total, named=divided), f"the multiplier at step {step}"
            )
            for step in steps
        ]
        expected = np.array([_schedule_by_corners(step, warmup, total) for step in steps])
        peak = got[min(len(got) - 1, steps.index(warmup) if warmup in steps else 0)]
        rate = "The shape is right, the size is not: return the multiplier, up to 1. Who calls it multiplies the rate."
        wrong = [(_whole(schedule, steps), hint) for schedule, hint in WRONG_SCHEDULES]
        wrong.append((lambda w, t, e=expected, p=peak: e * p if p else None, rate))
        by_hand = (
            nothing
            if warmup in (0, total)
            else "Draw it: two straight lines that meet at (warmup_steps, 1)."
        )
        _expect_steps(steps, got, expected, what, inputs=(warmup, total), wrong=wrong, hint=by_hand)
        if peak_is_end:
            last = expect_number(
                _call(fn, total, warmup, total, named=divided), f"the multiplier at step {total}"
            )
            expected_there = "0 or 1 where the warm-up's end is the end of all"
            require(min(abs(last), abs(last - 1)) < 1e-6, expected_there, last, nothing)


def _expect_steps(steps: list[int], *values: Any, **how: Any) -> None:
    """`expect_close`, which tells the step instead of the index."""
    try:
        expect_close(*values, **how)
    except CheckFailed as failure:
        told = [failure.expected, failure.got]
        for index, step in enumerate(steps):
            told = [text.replace(f"index [{index}]", f"step {step}") for text in told]
        raise CheckFailed(*told, failure.hint) from None


def _whole(schedule: Answer, steps: list[int]) -> Answer:
    return lambda warmup, total: np.array(
        [schedule(step, warmup, total) for step in steps], dtype=float
    )


# ---------------------------------------------------------------- 4.5 how sure a share is


def _interval_by_roots(correct: int, total: int, z: float) -> tuple[float, float]:
    """The shares x that are just z of their own standard errors away: (correct/total - x)^2 = z^2 x (1 - x) / total."""
    p, s = correct / total, z * z / total
    low, high = sorted(np.roots([1 + s, -(2 * p + s), p * p]).real.clip(0, 1))
    return float(low), float(high)


# The first case tells all the mistakes apart: z, z^2 and 2z differ, and Wald's interval leaves [0, 1].
_CASES = (
    (9, 10, 1.5),
    (3, 11, 2.576),
    (10, 10, 1.96),
    (0, 10, 1.96),
    (1, 1, 1.0),
    (0, 1, 2.0),
    (21_860, 25_000, 1.96),
)


@exercise("4.5", _interval_by_roots)
def exercise_4_5(fn: Answer) -> None:
    """Check ``wilson_interval(correct, total, z)`` -> (low, high) of a share."""
    hint = "Take it apart: the centre, what stands before the root, the root's two terms, the division."
    for case in _CASES:
        what, got = f"wilson_interval{case}", call(fn, *case)
        pair = type(got) in (tuple, list) and len(got) == 2
        pair = pair or (type(got) in (Tensor, np.ndarray) and tuple(got.shape) == (2,))
        require(
            pair, f"{what}: two numbers (low, high)", got, "Return both ends: `return low, high`."
        )
        ends = [
            expect_number(end, f"{what}: the {name} end")
            for name, end in zip(("low", "high"), got, strict=True)
        ]
        ours = np.array(_interval_by_roots(*case))
        expect_close(
            np.array(ends), ours, what, inputs=case, wrong=WRONG_INTERVALS, hint=hint, rtol=1e-6
        )
