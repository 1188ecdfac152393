"""Copies in a data set, batches of like length, the baseline and intervals: small tools of the lessons on text."""

import random
import warnings

import numpy as np
import pytest
import torch
from test_reviews import make_set

from course_utils.datasets.length_batches import POOL, length_order, padding_share
from course_utils.datasets.near_duplicates import NEAR, SHINGLE, Copies, find_copies, without_copies
from course_utils.datasets.reviews import load_reviews
from course_utils.errors import CourseError
from course_utils.evaluation.bag_of_words import bag_of_words
from course_utils.evaluation.intervals import wilson_interval
from course_utils.training.run import permutation
from measuring.measure_bert import difference
from measuring.with_intervals import share

WORDS = [f"word{i}" for i in range(3_000)]


def text_of(seed, count=100):
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def changed(text, places):
    words = text.split()
    for place in places:
        words[place] = "other"
    return " ".join(words)


def review_set(*texts, **options):
    return make_set(tuple(texts), torch.arange(len(texts)) % 2, **options)


def slow_copies(texts):
    """All pairs compared, with Python's sets of the words themselves."""
    runs, words = [], []
    for text in texts:
        own = "".join(c if c.isalnum() or c == "_" else " " for c in text.casefold()).split()
        words.append(own)
        runs.append({tuple(own[i : i + SHINGLE]) for i in range(max(1, len(own) - SHINGLE + 1))})
    found = {}
    for i in range(len(texts)):
        same = [j for j in range(i) if words[j] == words[i]]
        near = [j for j in range(i) if len(runs[i] & runs[j]) >= NEAR * len(runs[i] | runs[j])]
        if same:
            found[i] = same[0], True
        elif near:
            found[i] = near[0], False
    return found


# ---- copies


def test_exact_copies_are_found_without_case_punctuation_and_space():
    texts = [
        "A fine film, truly!",
        "a fine   FILM -- truly",
        "A fine film, really!",
        "\u00dcBER\u00df",
        "\u00fcberSS",
    ]
    assert find_copies(texts) == {1: (0, True), 4: (3, True)}


@pytest.mark.parametrize("place", [0, 1, 50, 98, 99])
def test_one_word_changed_in_a_hundred_is_a_near_copy(place):
    text = text_of(1)
    assert find_copies([text_of(0), text, changed(text, [place])]) == {2: (1, False)}


def test_a_word_put_in_or_cut_off_is_a_near_copy():
    text = text_of(2)
    words = text.split()
    for other in (
        " ".join([*words[:40], "new", *words[40:]]),
        " ".join(words[:70]),
        "Spoilers ahead. " + text,
    ):
        assert find_copies([text, other]) == {1: (0, False)}


def test_texts_that_share_a_sentence_or_their_beginning_are_kept():
    sentence = text_of(3, 30)
    texts = [f"{text_of(i, 40)} {sentence} {text_of(100 + i, 40)}" for i in range(20)]
    texts += [f"{sentence} {text_of(200 + i, 70)}" for i in range(20)]
    assert find_copies(texts) == {}


def test_every_other_word_changed_is_another_text():
    text = text_of(4)
    assert find_copies([text, changed(text, range(0, 100, 4))]) == {}


def test_pairs_that_share_half_of_their_runs_are_found_as_often_as_promised():
    """Sixteen bands of two hashes: 1 - (1 - 0.5^2)^16 = 0.99. Hash functions that are alike would find fewer."""
    hit = 0
    for seed in range(300):
        middle, ends = (
            text_of(seed, 54).split(),
            [text_of(f"{seed} {i}", 25).split() for i in range(2)],
        )
        texts = [" ".join([*middle, *end]) for end in ends]  # 50 runs in common, 25 of each alone
        hit += find_copies(texts) == {1: (0, False)}
    assert hit / 300 > 0.97


def test_agrees_with_all_pairs_compared():
    rng, texts = random.Random(5), []
    for _ in range(150):
        if texts and rng.random() < 0.5:
            text = rng.choice(texts)
            count = len(text.split())
            texts.append(
                changed(text, rng.sample(range(count), min(count, rng.choice([0, 1, 1, 2, 5, 12]))))
            )
        else:
            texts.append(text_of(rng.random(), rng.choice([1, 3, 5, 6, 20, 100])))
    found, slow = find_copies(texts), slow_copies(texts)
    assert found.keys() == slow.keys() and len(slow) > 50
    assert found == slow


def test_short_texts_are_compared_as_a_whole():
    assert find_copies(
        ["Good film", "Good film!", "good", "Good.", "A good film", "film good"]
    ) == {
        1: (0, True),
        3: (2, True),
    }


def test_texts_without_a_word_are_copies_only_when_they_are_the_same():
    assert find_copies([":-)", ":-(", "!!!", ":-)", " :-( "]) == {3: (0, True), 4: (1, True)}


def test_the_same_each_time_and_no_global_generator_is_asked():
    texts = [text_of(i % 40, 60) for i in range(60)] + [
        changed(text_of(i, 60), [30]) for i in range(20)
    ]
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first = find_copies(texts)
    assert find_copies(texts) == first and len(first) == 40
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


def test_training_loses_what_repeats_a_held_set_or_itself():
    a, b, c, d = (text_of(i) for i in range(10, 14))
    train = review_set(
        a, b, b.upper(), changed(c, [50]), d, changed(d, [7]), films=("1", "2", "3", "4", "5", "6")
    )
    held = review_set(a + "!", c, a, split="test"), review_set(text_of(99), split="validation")
    before = [(part.texts, part.labels.tolist(), part.sha256) for part in (train, *held)]
    kept, found = without_copies(train, *held)
    assert kept.texts == (b, d) and kept.labels.tolist() == [1, 0] and kept.films == ("2", "5")
    assert found == Copies(exact=2, near=2, in_held=2)
    assert [(part.texts, part.labels.tolist(), part.sha256) for part in (train, *held)] == before
    assert without_copies(kept, *held)[0].texts == kept.texts
    alone, found = without_copies(train)
    assert alone.texts == (a, b, changed(c, [50]), d) and found == Copies(1, 1, 0)


def test_a_copy_of_a_copy_of_a_held_text_is_counted_as_in_the_held_set():
    a = text_of(20)
    near = changed(a, [50])
    kept, found = without_copies(review_set(near, near, text_of(21)), review_set(a))
    assert kept.texts == (text_of(21),) and found == Copies(exact=1, near=1, in_held=2)


def test_twenty_thousand_texts_with_one_template_do_not_take_forever():
    """Each is a near copy of all others, which must not mean that all pairs are compared."""
    base = text_of(30, 40)
    compared = find_copies([f"{base} {i}" for i in range(2_000)])
    assert compared == {i: (0, False) for i in range(1, 2_000)}


def test_critics_sentences_have_few_copies(sentences, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(sentences.parent))
    train, test = load_reviews("sentences", "train"), load_reviews("sentences", "test")
    kept, found = without_copies(train, test)
    assert len(kept) == len(train) - found.exact - found.near
    assert 0 < found.exact + found.near < 0.03 * len(train)
    words = [set(t.casefold().split()) for t in test.texts]
    assert not {frozenset(w) for w in words if len(w) > 5} & {
        frozenset(t.casefold().split()) for t in kept.texts
    }


# ---- batches of like length


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 256, 1_000, 1_003])
@pytest.mark.parametrize("batch_size", [1, 8, 2_000])
def test_an_order_is_a_permutation_and_only_the_last_batch_is_smaller(count, batch_size):
    lengths = torch.randint(3, 200, (count,), generator=torch.Generator().manual_seed(count))
    order = length_order(lengths, batch_size, seed=3, epoch=2)
    assert order.dtype == torch.int64 and sorted(order.tolist()) == list(range(count))


def test_batches_hold_texts_of_like_length_and_come_mixed():
    lengths = torch.arange(1_600).flip(0) // 4
    batches = length_order(lengths, 16, seed=0).split(16)
    spans = [int(lengths[b].max() - lengths[b].min()) for b in batches]
    random_spans = [
        int(lengths[b].max() - lengths[b].min()) for b in permutation(0, 0, 1_600).split(16)
    ]
    assert sum(spans) < sum(random_spans) / 5
    means = torch.tensor([lengths[b].float().mean() for b in batches])
    assert means[:50].mean().item() == pytest.approx(
        means[50:].mean().item(), rel=0.3
    )  # not from short to long
    assert abs(torch.corrcoef(torch.stack([means, torch.arange(100.0)]))[0, 1]) < 0.3


def test_the_batch_that_is_not_full_comes_last_and_is_not_always_of_the_same_texts():
    lengths = torch.arange(100)
    lasts = [length_order(lengths, 16, seed=0, epoch=e)[96:].tolist() for e in range(20)]
    assert len({tuple(last) for last in lasts}) == 20
    assert len({i for last in lasts for i in last}) > 40


def test_an_order_is_a_function_of_seed_and_epoch_alone():
    lengths = torch.randint(3, 60, (500,), generator=torch.Generator().manual_seed(0))
    orders = [
        length_order(lengths, 16, seed, epoch).tolist()
        for seed in (0, 1, 2**32 - 1)
        for epoch in (0, 1)
    ]
    torch.manual_seed(99)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert orders == [
        length_order(lengths, 16, seed, epoch).tolist()
        for seed in (0, 1, 2**32 - 1)
        for epoch in (0, 1)
    ]
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]
    assert len({tuple(order) for order in orders}) == 6


def test_equal_lengths_are_still_mixed():
    order = length_order(torch.full((320,), 7), 16, seed=0)
    assert (order.diff() == 1).float().mean() < 0.05


def test_padding_share_by_hand():
    lengths = [1, 4, 2, 3, 5]
    assert padding_share(lengths, torch.arange(5), 2) == pytest.approx(1 - 15 / (8 + 6 + 5))
    assert padding_share(lengths, torch.tensor([0, 2, 3, 1, 4]), 2) == pytest.approx(
        1 - 15 / (4 + 8 + 5)
    )
    assert padding_share(torch.tensor([3, 3, 3]), torch.arange(3), 2) == 0


def test_real_sentences_need_much_less_padding(sentences, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(sentences.parent))
    lengths = torch.tensor(
        [len(text.split()) + 2 for text in load_reviews("sentences", limit=4_000).texts]
    )
    mixed = padding_share(lengths, permutation(0, 0, 4_000), 16)
    by_length = padding_share(lengths, length_order(lengths, 16, 0), 16)
    assert mixed > 0.3 and by_length < 0.1 * mixed + 0.02
    assert POOL * 16 < 4_000


# ---- the baseline


def test_the_baseline_learns_verdicts_and_forgets_the_order_of_words():
    train, test = load_reviews("standin", limit=600), load_reviews("standin", "test", limit=300)
    model = bag_of_words().fit(train.texts, train.labels.numpy())
    assert 0.6 < model.score(test.texts, test.labels.numpy()) <= 1
    chances = model.predict_proba(
        ["The plot is dull, not clever.", "Clever, not dull is the plot."]
    )
    assert np.array_equal(chances[0], chances[1])
    again = bag_of_words().fit(train.texts, train.labels.numpy())
    assert np.array_equal(model.predict_proba(test.texts), again.predict_proba(test.texts))


def test_the_baseline_with_pairs_knows_neighbours():
    texts = ["not good", "good", "not bad", "bad"] * 4
    labels = [0, 1, 1, 0] * 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = bag_of_words(pairs=True).fit(texts, labels)
    assert model.predict(texts).tolist() == labels
    assert bag_of_words().fit(texts, labels).score(texts, labels) < 1
    assert "don't" in bag_of_words().fit(["I don't", "We don't"], [0, 1])[0].vocabulary_


def test_the_baseline_counts_every_word_of_texts_that_share_none():
    model = bag_of_words().fit(["wunderbar", "schlecht"], [1, 0])
    assert model.predict(["wunderbar", "schlecht"]).tolist() == [1, 0]
    assert set(bag_of_words().fit(["a b", "a c"], [0, 1])[0].vocabulary_) == {"a"}
    toy = bag_of_words().set_params(tfidfvectorizer__min_df=1)
    assert set(toy.fit(["a b", "a c"], [0, 1])[0].vocabulary_) == {"a", "b", "c"}


# ---- intervals


@pytest.mark.parametrize("z", [1.0, 1.96, 2.576])
@pytest.mark.parametrize(
    ("correct", "total"), [(0, 1), (1, 1), (0, 20), (20, 20), (1, 3), (50, 100), (997, 1_000)]
)
def test_wilsons_interval_solves_its_equation(correct, total, z):
    """Its ends are where |share - p| = z sqrt(p (1 - p) / n): the roots of a quadratic."""
    share_ = correct / total
    low, high = sorted(np.roots([1 + z**2 / total, -(2 * share_ + z**2 / total), share_**2]).real)
    found = wilson_interval(correct, total, z)
    assert found == pytest.approx((low, high), abs=1e-9)
    assert 0 <= found[0] <= share_ <= found[1] <= 1
    for p in found:
        assert abs(share_ - p) == pytest.approx(z * (p * (1 - p) / total) ** 0.5, abs=1e-7)


def test_wilsons_interval_at_the_ends_and_mirrored():
    assert wilson_interval(0, 50)[0] == 0 and wilson_interval(50, 50)[1] == 1
    assert wilson_interval(0, 50)[1] > 0.05
    for correct in range(21):
        low, high = wilson_interval(correct, 20)
        assert wilson_interval(20 - correct, 20) == pytest.approx((1 - high, 1 - low))


def test_wilsons_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for truth in (0.5, 0.9, 0.97):
        counts = rng.binomial(200, truth, 4_000)
        holds = np.mean(
            [low <= truth <= high for low, high in (wilson_interval(int(k), 200) for k in counts)]
        )
        assert 0.93 < holds < 0.98


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_counts_that_cannot_be_are_refused(correct, total):
    with pytest.raises(CourseError, match=f"{correct} of {total}"):
        wilson_interval(correct, total)


def test_shares_and_their_difference_as_they_are_recorded():
    first, second = (
        torch.tensor([True] * 90 + [False] * 10),
        torch.tensor([True] * 80 + [False] * 20),
    )
    found = share(first)
    assert found["value"] == pytest.approx(0.9) and found["n"] == 100
    assert (found["low"], found["high"]) == wilson_interval(90, 100)
    gap = difference(first, second)
    by_hand = np.r_[np.zeros(80), np.ones(10), np.zeros(10)]
    half = 1.96 * by_hand.std(ddof=1) / 10
    assert gap == pytest.approx({"value": 0.1, "low": 0.1 - half, "high": 0.1 + half})
    assert difference(second, first)["value"] == pytest.approx(-0.1)
    assert difference(first, first) == {"value": 0, "low": 0, "high": 0}
