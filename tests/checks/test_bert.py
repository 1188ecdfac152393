"""Lesson 04: the oracles of its checks against others, and what is special about their messages."""

import importlib
import math

import pytest
import torch
from answers.bert import append_in_place, pad
from scipy import stats

from course_utils.checks import CheckFailed, bert

MASKING = importlib.import_module("course_utils.checks.bert.mask_tokens")


@pytest.mark.parametrize("share", [0.15, 0.8, 0.1, 0.1 / 12])
@pytest.mark.parametrize("total", [28, 320, 4500, 61_000])
def test_a_right_share_is_refused_with_less_than_1e_12(total, share):
    """What `_plausible` promises, summed up exactly from the binomial distribution."""
    counts = torch.arange(total + 1)
    surprise = MASKING._surprise(counts, torch.full_like(counts, total), share)
    refused = surprise >= MASKING._LIMIT
    assert stats.binom.pmf(counts[refused].numpy(), total, share).sum() < 1e-12


def test_the_reference_of_masking_has_the_shares_exactly():
    generator = torch.Generator().manual_seed(0)
    ids = torch.full((400, 1000), 7)
    shown, labels = bert.mask_tokens.reference(ids, torch.zeros_like(ids), 3, 50, generator)
    chosen = labels != -100
    for hits, share in (
        (chosen, 0.15),
        (shown == 3, 0.15 * (0.8 + 0.1 / 50)),
        (shown != ids, 0.15 * (0.9 - 0.1 / 50)),
    ):
        assert abs(hits.double().mean() - share) < 6 * math.sqrt(share * (1 - share) / ids.numel())
    assert shown[~chosen].eq(7).all() and labels[chosen].eq(7).all()


def test_a_list_that_was_lengthened_harms_no_later_check():
    for _ in range(2):
        with pytest.raises(CheckFailed, match="lengthen"):
            bert.pad_batch(append_in_place)
    assert bert.pad_batch(pad) is pad
