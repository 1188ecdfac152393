"""Bits per byte, the bigram model, repetition and the search for copies, against closed forms and plain loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from course_utils.datasets.texts import train_tokenizer
from course_utils.errors import CourseError
from course_utils.evaluation import language_models
from course_utils.models.attention import GPT


def test_a_uniform_model_costs_log_v_for_each_token():
    documents, texts = [[0, 1, 2, 3], [0, 4]], ["abc", "d"]
    found = language_models.score(
        lambda ids: torch.zeros(*ids.shape, 32), documents, texts, context=8
    )
    assert found.perplexity == pytest.approx(32) and found.documents == 2
    assert (
        found.value == pytest.approx(5)
        and found.low == pytest.approx(5)
        and found.high == pytest.approx(5)
    )


@pytest.mark.parametrize("context", [4, 6, 8, 64])
def test_every_token_of_a_long_document_is_scored_once(context):
    """A model that charges each token its own number: the sum tells which tokens were counted."""

    def charge(ids):
        logits = torch.zeros(*ids.shape, 50)
        nxt = ids.roll(-1, 1)
        p = torch.exp(-nxt.double() / 10)  # token n costs n / 10 nats
        odds = (
            p.log() - torch.log1p(-p.clamp(max=1 - 1e-9)) + math.log(49)
        )  # against 49 others at logit 0
        return logits.scatter(2, nxt[..., None], odds[..., None].float())

    documents = [[0, *range(1, n)] for n in (2, 5, 9, 23, 40)]
    found = language_models.document_nats(charge, documents, context, batch_size=3)
    assert found.tolist() == pytest.approx([sum(ids) / 10 for ids in documents], rel=1e-4)


def test_scores_of_a_network_do_not_depend_on_padding_and_batches():
    torch.manual_seed(0)
    model = GPT(vocab=30, dim=16, layers=2, heads=2, context=12).eval()
    documents = [[0, *torch.randint(30, (n,)).tolist()] for n in (1, 5, 30, 11, 12, 13)]
    together = language_models.document_nats(model, documents, 12, batch_size=4)
    alone = torch.cat([language_models.document_nats(model, [ids], 12) for ids in documents])
    assert torch.allclose(together, alone, atol=1e-4)


def test_bigram_counts_and_perplexity_have_a_closed_form():
    random = np.random.default_rng(0)
    documents = [[0, *random.integers(1, 9, 200).tolist()] for _ in range(5)]
    counts = language_models.bigram_counts(documents, 9)
    assert counts.sum() == 1000 and counts[:, 0].sum() == 0
    plain = {}
    for ids in documents:
        for pair in pairwise(ids):
            plain[pair] = plain.get(pair, 0) + 1
    assert all(counts[a, b] == n for (a, b), n in plain.items())
    table = language_models.bigram_log_probs(counts, 0)
    found = language_models.score(lambda ids: table[ids], documents, ["x"] * 5, 300)
    rows = {a: sum(n for (x, _), n in plain.items() if x == a) for a in range(9)}
    entropy = -sum(n / 1000 * math.log(n / rows[a]) for (a, _), n in plain.items())
    assert found.nats_per_token == pytest.approx(entropy, rel=1e-5)


def test_smoothed_rows_are_distributions_without_zeros():
    counts = torch.tensor([[5.0, 0, 1], [0, 0, 0], [2, 2, 0]], dtype=torch.float64)
    table = language_models.bigram_log_probs(counts, 3.0).exp()
    assert torch.allclose(table.sum(1), torch.ones(3, dtype=torch.float64)) and (table > 0).all()
    frequent = torch.tensor([8.0, 3, 2], dtype=torch.float64) / 13
    assert torch.allclose(table[1], frequent)
    assert torch.allclose(table[0], (counts[0] + 3 * frequent) / 9)


def test_bootstrap_covers_the_truth():
    random, inside = np.random.default_rng(5), 0
    for _ in range(100):
        sizes = random.integers(50, 500, 60).astype(float)
        low, high = language_models.bootstrap_ratio(sizes * random.normal(2.0, 0.5, 60), sizes, 400)
        inside += low <= 2.0 <= high
    assert 85 <= inside <= 100


def test_repeated_share():
    assert language_models.repeated_share([1, 2, 3, 4, 5, 6]) == 0
    assert language_models.repeated_share([1, 2, 3, 4] * 6) == pytest.approx(1 - 4 / 21)
    with pytest.raises(CourseError):
        language_models.repeated_share([1, 2], 4)


def test_copies_are_found_sign_for_sign():
    random = np.random.default_rng(1)
    training = "".join(random.choice(list("abcdefgh é\n電"), 20_000))
    finder = language_models.CopyFinder(training, 30)
    copied = training[5_000:5_077]
    text = f"{'x' * 41}{copied}{'y' * 33}{training[100:135]}"
    assert finder.longest(text) == copied
    assert finder.longest("x" * 200) == "" and finder.longest("short") == ""
    for length in (30, 50):
        pieces = [text[i : i + length] for i in range(0, len(text) - length + 1, 7)]
        assert finder.copied_share([text], length, 7) == sum(p in training for p in pieces) / len(
            pieces
        )
    assert finder.copied_share([training[:500]], 50) == 1
    glued = training[:30] + training[9_000:9_030]  # both ends are known, the whole is not
    assert finder.copied_share([glued], 60) == 0
    with pytest.raises(CourseError):
        finder.copied_share([text], 10)
    with pytest.raises(CourseError):
        finder.copied_share(["short"], 50)


def test_a_preference_is_one_word_against_the_other():
    tokenizer = train_tokenizer(["he said that she said that he came"] * 50, 300)
    ids = {word: tokenizer.encode(word).ids[0] for word in (" he", " she")}

    def model(read):
        assert read[0, 0] == 0
        logits = torch.zeros(1, read.shape[1], tokenizer.get_vocab_size())
        logits[0, -1, ids[" she"]] = math.log(3)
        return logits

    found = language_models.preference(model, tokenizer, "he said that", " she", " he")
    assert found == pytest.approx(0.75)
