"""Sets of texts: written all at once as one by one, shuffled, and counted."""

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.evaluation import text_sets
from course_utils.models.attention import GPT, generate


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return GPT(vocab=12, dim=8, layers=2, heads=2, context=16).eval()


def test_texts_written_at_once_are_those_written_one_by_one(model):
    def likeliest(logits):
        return int(logits[1:].argmax()) + 1  # never the end token

    beginnings = [[0, 3, 4], [0, 5, 6]]
    at_once = text_sets.continue_texts(model, beginnings, 12, temperature=0)
    assert at_once == [generate(model, start, 9, likeliest) for start in beginnings]


def test_sampled_texts_come_from_their_seed_and_never_end(model):
    one, again, other = (
        text_sets.continue_texts(model, [[0, 1]] * 20, 16, 1.0, seed) for seed in (1, 1, 2)
    )
    assert one == again != other
    assert {len(ids) for ids in one} == {16} and not any(0 in ids[1:] for ids in one)
    assert len({tuple(ids) for ids in one}) > 10


@pytest.mark.parametrize(("beginnings", "length"), [([[0, 1], [0]], 8), ([[0, 1]], 17), ([[]], 8)])
def test_beginnings_of_unequal_length_and_long_texts_are_refused(model, beginnings, length):
    with pytest.raises(CourseError, match="one length"):
        text_sets.continue_texts(model, beginnings, length, 1.0)


def test_texts_from_pairs_follow_the_pairs_and_keep_their_beginnings():
    pairs = torch.full((4, 4), -torch.inf)
    pairs[torch.arange(4), (torch.arange(4) + 1) % 4] = 0.0
    pairs[3] = torch.tensor([0.5, 0.5, 0.0, 0.0]).log()
    assert text_sets.pairs_texts(pairs, [[0], [2]], 6) == [[0, 1, 2, 3, 1, 2], [2, 3, 1, 2, 3, 1]]


def test_shuffled_texts_keep_their_words():
    texts = ["one two three four five six", "a b c d e f g"]
    found = text_sets.shuffled_words(texts)
    assert [sorted(text.split()) for text in found] == [sorted(text.split()) for text in texts]
    assert found != texts and found == text_sets.shuffled_words(texts)


def test_distinct_pairs_are_counted_over_the_whole_set():
    assert text_sets.distinct_share([[1, 2, 3], [4, 5, 6]]) == 1
    assert text_sets.distinct_share([[1, 2, 3], [1, 2, 3]]) == 0.5
    assert text_sets.distinct_share([[1, 1, 1, 1]]) == pytest.approx(1 / 3)
    assert text_sets.distinct_share([[1, 2, 3], [1, 2, 4]], length=3) == 1
