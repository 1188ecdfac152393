"""The watermark of lesson 10: its lists, its texts, and what a counter finds in them."""

from itertools import pairwise

import pytest
import torch
from transformers import WatermarkDetector, WatermarkingConfig

from course_utils.checks import world
from course_utils.errors import CourseError
from course_utils.models.attention import GPT, generate
from course_utils.models.watermark import Watermark, write

VOCAB = 40
z_of = world.watermark_z.reference


def small(seed=0):
    torch.manual_seed(seed)
    return GPT(VOCAB, 16, 2, 2, 64).eval()


def written(mark, seed=0, count=60, texts=8, temperature=1.0):
    random = torch.Generator().manual_seed(seed)
    starts = torch.zeros(texts, 1, dtype=torch.int64)
    return write(small(), starts, count, mark, temperature, random)


def test_each_list_has_its_share_and_each_key_its_lists():
    mark, same, other = Watermark(VOCAB, key=1), Watermark(VOCAB, key=1), Watermark(VOCAB, key=2)
    assert mark.table.sum(1).tolist() == [10] * VOCAB and mark.gamma == 0.25
    assert torch.equal(mark.table, same.table) and not torch.equal(mark.table, other.table)
    assert len(mark.table.unique(dim=0)) == VOCAB  # no two tokens share a list
    by_token = mark.table.float().mean(0)
    assert by_token.min() > 0.05 and by_token.max() < 0.55  # no token is always or never green


def test_the_lists_are_the_same_on_every_machine():
    """A text marked today is recognised tomorrow: the lists may not change with a version."""
    green = Watermark(12, gamma=0.25, key=7).table.nonzero()[:, 1].view(12, 3)
    assert green[:4].tolist() == [[0, 4, 10], [0, 7, 9], [0, 3, 9], [2, 6, 10]]


def test_it_takes_the_lists_of_a_lesson():
    lists = world.green_list.reference
    mark = Watermark(VOCAB, 0.3, key=5, lists=lists)
    assert torch.equal(mark.table[7], lists(7, VOCAB, 0.3, 5)) and mark.gamma == 0.3
    marked = written(mark).tolist()
    assert min(z_of(text, mark.is_green, mark.gamma) for text in marked) > 4


def test_the_three_readers_agree():
    mark = Watermark(VOCAB, gamma=0.5)
    tokens = torch.randint(VOCAB, (30,)).tolist()
    expected = [mark.is_green(a, b) for a, b in pairwise(tokens)]
    assert mark.hits(tokens).tolist() == expected
    assert len(mark.hits(tokens[:1])) == 0
    raised = mark.prefer(torch.zeros(2, VOCAB), torch.tensor([3, 5]))
    assert torch.equal(raised, 2.0 * mark.table[[3, 5]])


def test_a_marked_text_is_found_and_others_are_not():
    mark = Watermark(VOCAB)
    marked, plain = written(mark).tolist(), written(None).tolist()
    assert min(z_of(text, mark.is_green, mark.gamma) for text in marked) > 4
    assert max(abs(z_of(text, mark.is_green, mark.gamma)) for text in plain) < 4
    other = Watermark(VOCAB, key=1)  # without the key nothing is seen
    assert max(abs(z_of(text, other.is_green, other.gamma)) for text in marked) < 4


def test_z_is_that_of_the_library():
    config = WatermarkingConfig(greenlist_ratio=0.25)
    detector = WatermarkDetector(small_config(), "cpu", config)
    mark = Watermark(VOCAB)
    for text in written(mark, texts=4).tolist():
        green, n = int(mark.hits(text).sum()), len(text) - 1
        expected = detector._compute_z_score(green, n)
        assert z_of(text, mark.is_green, 0.25) == pytest.approx(expected)


def small_config():
    from transformers import GPT2Config

    return GPT2Config(vocab_size=VOCAB, bos_token_id=0)


def test_without_delta_the_text_is_the_plain_one():
    assert torch.equal(written(Watermark(VOCAB, delta=0.0)), written(None))
    assert not torch.equal(written(Watermark(VOCAB)), written(None))


def test_the_share_of_green_tokens_is_what_the_softmax_says():
    """From a network that rates all tokens alike: gamma e^delta / (1 - gamma + gamma e^delta)."""
    model = small()
    model.norm.weight.data.zero_()
    model.norm.bias.data.zero_()
    mark, random = Watermark(VOCAB, gamma=0.25, delta=1.0), torch.Generator().manual_seed(0)
    ids = write(model, torch.zeros(300, 1, dtype=torch.int64), 60, mark, 0.5, random)
    share = torch.stack([mark.hits(text) for text in ids]).float().mean().item()
    raised = 0.25 * torch.tensor(1.0).exp().item()
    assert share == pytest.approx(raised / (0.75 + raised), abs=0.012)


def test_texts_side_by_side_are_those_written_one_by_one():
    mark, model, start = Watermark(VOCAB, delta=50.0), small(), [0, 3, 5]
    ids = write(model, torch.tensor([start]), 20, mark, 1e-3)

    text = list(start)
    for _ in range(20):
        best = lambda logits: int((logits / 1e-3 + 50.0 * mark.table[text[-1]]).argmax())  # noqa: B023, E731
        text = generate(model, text, 1, best, use_cache=False)
    assert ids.tolist() == [text]


@pytest.mark.parametrize("gamma", [0.0, 1.0, 0.001, 0.999, float("nan"), -0.5])
def test_a_share_without_green_or_red_tokens_is_refused(gamma):
    with pytest.raises(CourseError, match=r"gamma = 0\.25") as caught:
        Watermark(VOCAB, gamma=gamma)
    assert caught.value.code == "watermark-share"


@pytest.mark.parametrize("delta", [-1.0, float("inf"), float("nan")])
def test_a_preference_that_is_none_is_refused(delta):
    with pytest.raises(CourseError) as caught:
        Watermark(VOCAB, delta=delta)
    assert caught.value.code == "watermark-delta"


def test_a_text_longer_than_the_context_is_refused():
    with pytest.raises(CourseError) as caught:
        write(small(), torch.zeros(1, 1, dtype=torch.int64), 65)
    assert caught.value.code == "gpt-context"
