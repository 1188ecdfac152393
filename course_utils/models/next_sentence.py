"""The batches of BERT's second pre-training task: two pieces of text, and whether the second followed the first.

Source: J. Devlin and others (2019), arXiv 1810.04805, section 3.1.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.models.bert import hide_tokens, pad_batch


def pair_batch(
    sequences: Sequence[Sequence[int]], tokenizer: Any, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each text's first half with its own second half or, in half of all cases, with that of the text before.

    Args:
        sequences: B lists of token ids, with ``[CLS]`` first and ``[SEP]`` last.
        tokenizer: names these two and the padding.
        generator: of the choice.

    Returns:
        ids, mask (1 where there is a token) and segments (1 in the second piece), int64 (B, T), and whether the
        second piece is another text's, int64 (B,).
    """
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    halves = [(s[1 : len(s) // 2], s[len(s) // 2 : -1]) for s in sequences]
    swapped = torch.rand(len(halves), generator=generator) < 0.5
    others = [second for _, second in [*halves[-1:], *halves[:-1]]]
    pairs = [
        (first, other if swap else second)
        for (first, second), other, swap in zip(halves, others, swapped, strict=True)
    ]
    ids, mask = pad_batch([[cls, *a, sep, *b, sep] for a, b in pairs], tokenizer.pad_token_id)
    segments, _ = pad_batch([[0] * (len(a) + 2) + [1] * (len(b) + 1) for a, b in pairs], 0)
    return ids, mask, segments, swapped.long()


def questions(
    sequences: Sequence[Sequence[int]],
    tokenizer: Any,
    generator: torch.Generator,
    mask_tokens: Callable[..., tuple[Tensor, Tensor]],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One batch for both tasks: pairs of pieces, in which tokens are hidden.

    Args:
        sequences: as in `pair_batch`.
        tokenizer: the same.
        generator: of all chance.
        mask_tokens: hides tokens, as that of `course_utils.models.bert` does.

    Returns:
        ids to show, labels of the hidden tokens (-100 elsewhere), mask and segments (B, T), and swapped (B,).
    """
    ids, mask, segments, swapped = pair_batch(sequences, tokenizer, generator)
    shown, labels = hide_tokens(ids, tokenizer, generator, mask_tokens)
    return shown, labels, mask, segments, swapped
