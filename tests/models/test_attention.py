"""The GPT of the package: against the library's attention and the library's GPT-2, causality, cache, generation."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_utils.errors import CourseError
from course_utils.models import attention, gpt_pipeline
from course_utils.models.attention import (
    GPT,
    filter_logits,
    generate,
    next_token_loss,
    scaled_dot_product,
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = GPT(vocab=40, dim=24, layers=3, heads=4, context=16).eval()
    for weight in (
        network.parameters()
    ):  # untrained weights are so small that nothing would depend on anything
        weight.data += 0.2 * torch.randn_like(weight)
    return network


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["none", "causal", "random"])
def test_attention_is_the_librarys(dtype, kind):
    torch.manual_seed(1)
    q, k, v = (
        torch.randn(2, 3, 5, 8).to(dtype),
        torch.randn(2, 3, 7, 8).to(dtype),
        torch.randn(2, 3, 7, 8).to(dtype),
    )
    mask = {
        "none": None,
        "causal": torch.ones(5, 7).tril(2).bool(),
        "random": torch.rand(5, 7) < 0.7,
    }[kind]
    if kind == "random":
        mask[:, 0] = True
    expected = F.scaled_dot_product_attention(q.double(), k.double(), v.double(), attn_mask=mask)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    got = scaled_dot_product(q, k, v, mask)
    assert got.dtype == dtype and torch.allclose(
        got.double(), expected, atol=tolerance, rtol=tolerance
    )


def test_rows_of_weights_are_distributions(model):
    q, k = torch.randn(2, 4, 6, 8), torch.randn(2, 4, 6, 8)
    weights = scaled_dot_product(q, k, torch.eye(6).expand(2, 4, 6, 6), attention.causal_mask(6))
    assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 6)) and (weights >= 0).all()
    assert not weights.triu(1).any() and (weights.tril() > 0).sum() == 2 * 4 * 21


def test_the_network_is_gpt_2s(model):
    ids = torch.randint(1, 40, (3, 16))
    theirs = gpt_pipeline.to_transformers(model)
    with torch.no_grad():
        ours, oracle = model(ids), theirs(ids, attention_mask=torch.ones_like(ids)).logits
    assert ours.std() > 0.5 and torch.allclose(ours, oracle, atol=1e-4, rtol=1e-4)


def test_weights_come_back_from_the_library_under_our_names(model):
    state = gpt_pipeline.from_transformers(gpt_pipeline.to_transformers(model))
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[name], weight) for name, weight in model.named_parameters())


def test_a_random_gpt_2_of_the_library_fits_our_network():
    torch.manual_seed(2)
    theirs = gpt_pipeline.random_gpt2(vocab=30, context=12)
    ours = GPT(vocab=30, dim=64, layers=2, heads=4, context=12).eval()
    ours.load_state_dict(gpt_pipeline.from_transformers(theirs))
    ids = torch.randint(1, 30, (3, 12))
    with torch.no_grad():
        expected = theirs(ids, attention_mask=torch.ones_like(ids)).logits
        assert expected.std() > 1 and torch.allclose(ours(ids), expected, atol=1e-3, rtol=1e-4)


def test_gradients_are_gpt_2s(model):
    ids = torch.randint(1, 40, (2, 9))
    theirs = gpt_pipeline.to_transformers(model)
    model.zero_grad()
    next_token_loss(model(ids), ids).backward()
    theirs(ids, attention_mask=torch.ones_like(ids), labels=ids).loss.backward()
    gradient = theirs.transformer.h[1].attn.c_attn.weight.grad
    assert torch.allclose(
        model.blocks[1].attention.qkv.weight.grad, gradient.T, atol=1e-5, rtol=1e-3
    )
    assert torch.allclose(
        model.tokens.weight.grad, theirs.transformer.wte.weight.grad, atol=1e-5, rtol=1e-3
    )
    model.zero_grad()


@pytest.mark.parametrize("place", [0, 1, 7, 15])
def test_a_future_token_changes_no_earlier_logit_and_every_later_one(model, place):
    ids = torch.randint(40, (2, 16))
    other = ids.clone()
    other[:, place] = (other[:, place] + 3) % 40
    with torch.no_grad():
        moved = (model(ids) - model(other)).abs().amax((0, 2))
    assert not moved[:place].any() and (moved[place:] > 1e-4).all()


def test_the_cache_gives_the_logits_of_one_pass(model):
    ids = torch.randint(40, (2, 14))
    with torch.no_grad():
        whole, cache = model(ids), model.new_cache()
        parts = [model(ids[:, a:b], cache) for a, b in ((0, 5), (5, 6), (6, 10), (10, 14))]
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)
    assert cache[0]["k"].shape == (2, 4, 14, 6)


@pytest.mark.parametrize("count", [1, 8, 40])
def test_generation_with_and_without_the_cache_agrees_also_beyond_the_context(model, count):
    def draw():
        random = torch.Generator().manual_seed(3)
        return lambda logits: torch.multinomial(
            filter_logits(logits, 0.9, 20, 0.95).softmax(0), 1, generator=random
        )

    for start in ([5, 3], list(range(30))):
        with_cache, without = (generate(model, start, count, draw(), use) for use in (True, False))
        assert (
            with_cache == without
            and len(with_cache) == len(start) + count
            and with_cache[: len(start)] == start
        )


def test_generation_within_the_context_is_the_librarys(model):
    theirs = gpt_pipeline.to_transformers(model)
    ids = torch.tensor([[7, 2, 9]])
    options = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    oracle = theirs.generate(ids, attention_mask=torch.ones_like(ids), **options)
    assert generate(model, [7, 2, 9], 12, lambda logits: logits.argmax()) == oracle[0].tolist()


def test_too_many_tokens_and_uneven_heads_are_refused(model):
    with pytest.raises(CourseError, match="17 tokens"):
        model(torch.zeros(1, 17, dtype=torch.int64))
    with pytest.raises(CourseError, match="10 columns"):
        GPT(vocab=4, dim=10, layers=1, heads=3, context=4)


def test_an_untrained_network_knows_nothing():
    torch.manual_seed(0)
    network = GPT(vocab=500, dim=64, layers=4, heads=4, context=32)
    ids = torch.randint(500, (8, 32))
    logits = network(ids)
    again = logits.gather(
        2, ids[..., None]
    )  # one table reads and names: it bets on the token it has just read
    assert logits.var().item() == pytest.approx(0.5, rel=0.3) and again.mean() > 3
    assert 0 < next_token_loss(logits, ids).item() - math.log(500) < 1


def test_loss_is_the_mean_negative_log_probability_by_hand():
    logits, tokens = torch.randn(3, 5, 7), torch.randint(7, (3, 5))
    by_hand = [
        -math.log(
            math.exp(logits[b, t, tokens[b, t + 1]])
            / sum(math.exp(x) for x in logits[b, t].tolist())
        )
        for b in range(3)
        for t in range(4)
    ]
    assert next_token_loss(logits, tokens).item() == pytest.approx(sum(by_hand) / 12, rel=1e-5)
    assert next_token_loss(
        torch.zeros(1, 9, 33), torch.randint(33, (1, 9))
    ).exp().item() == pytest.approx(33)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(0.7, None, None), (1.0, 5, None), (1.3, None, 0.8)]
)
def test_filters_are_the_librarys(temperature, top_k, top_p):
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = torch.randn(50)
    expected = TemperatureLogitsWarper(temperature)(None, logits[None])
    expected = TopKLogitsWarper(top_k)(None, expected) if top_k else expected
    expected = TopPLogitsWarper(top_p)(None, expected) if top_p else expected
    assert torch.equal(filter_logits(logits, temperature, top_k, top_p), expected[0])


def test_filters_keep_ties_and_the_crossing_token():
    assert filter_logits(torch.tensor([1.0, 2.0, 2.0, 0.0]), 1.0, 1).isfinite().tolist() == [
        False,
        True,
        True,
        False,
    ]
    half = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    for top_p, kept in ((0.4, 1), (0.6, 2), (0.85, 3), (0.96, 4), (1.0, 4)):
        assert filter_logits(half, 1.0, None, top_p).isfinite().sum() == kept
    many = torch.linspace(0, -40, 5_000)
    assert (
        filter_logits(many, 1.0, None, 1.0).isfinite().all()
    )  # rounding in the sum may not cut the tail
