"""Lesson 04: the oracles of its checks against others, and what is special about their messages."""

import importlib
import math

import numpy as np
import pytest
import torch
from answers.bert import (
    append_in_place,
    only_with,
    pad,
    warmup,
    warmup_by_the_library,
    wilson_by_scipy,
)
from scipy import stats
from torch import nn

from course_utils.checks import CheckFailed, bert

MASKING = importlib.import_module("course_utils.checks.bert.mask_tokens")
GROUPS = importlib.import_module("course_utils.checks.bert.parameter_groups")


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


def test_the_intervals_reference_agrees_with_scipy():
    for correct, total, z in ((0, 7, 1.0), (7, 7, 2.5), (431, 500, 1.96), (12_345, 25_000, 3.0)):
        expected = wilson_by_scipy(correct, total, z)
        ours = bert.wilson_interval.reference(correct, total, z)
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


def test_the_schedules_reference_agrees_with_transformers():
    for warm, total in ((0, 9), (3, 12), (11, 12), (1, 2)):
        ours = [bert.warmup_linear.reference(step, warm, total) for step in range(total + 3)]
        theirs = [warmup_by_the_library(step, warm, total) for step in range(total + 3)]
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_berts_layer_norms_are_found_by_the_names_that_the_probe_knows():
    for probe in (GROUPS._bert(), GROUPS._other_names()):
        layers = [m for m in probe.model.modules() if isinstance(m, nn.LayerNorm)]
        weights = {id(m.weight) for m in layers if m.weight.requires_grad}
        by_name = probe.parameters()
        assert {id(by_name[name]) for name in probe.norms} == weights
        assert {n for n in by_name if n.endswith("bias")} == probe.biases
        assert probe.embeddings < set(by_name)


def test_a_wrong_multiplier_is_told_with_its_step():
    """Where the warm-up's end is the end of all that step is asked apart, so an index would not be the step."""
    late = only_with(lambda w, t: w == t, lambda s, w, t: 0.25 if s > t else warmup(s, w, t))
    with pytest.raises(CheckFailed, match=r"total_steps=5: 0 at step 6\n.*0\.25 at step 6\n"):
        bert.warmup_linear(late)


def test_a_list_that_was_lengthened_harms_no_later_check():
    for _ in range(2):
        with pytest.raises(CheckFailed, match="lengthen"):
            bert.pad_batch(append_in_place)
    assert bert.pad_batch(pad) is pad
