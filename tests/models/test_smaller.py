"""Smaller copies of a network; the network itself is left alone."""

import copy

import pytest
import torch

from course_utils.models import smaller
from course_utils.models.attention import GPT


@pytest.fixture
def model():
    torch.manual_seed(0)
    return GPT(20, 8, 5, 2, 16).eval()


def test_matrices_change_and_vectors_do_not(model):
    before = copy.deepcopy(model.state_dict())
    found = smaller.with_matrices(model, torch.zeros_like)
    for name, weight in found.named_parameters():
        assert bool((weight == 0).all()) if weight.dim() == 2 else weight.equal(before[name])
    assert all(weight.equal(before[name]) for name, weight in model.state_dict().items())


def test_pruning_takes_the_smallest():
    matrix = torch.tensor([[0.1, -4.0, 0.3], [-0.2, 5.0, 6.0]])
    expected = torch.tensor([[0.0, -4.0, 0.0], [0.0, 5.0, 6.0]])
    assert smaller.pruned(matrix, 0.5).equal(expected)


def test_half_a_gpt_keeps_its_first_third_and_fifth_block(model):
    half = smaller.every_other_block(model)
    assert len(half.blocks) == half.sizes["layers"] == 3 and len(model.blocks) == 5
    assert half.blocks[1].mlp[0].weight.equal(model.blocks[2].mlp[0].weight)
    assert half(torch.zeros(1, 4, dtype=torch.int64)).shape == (1, 4, 20)
