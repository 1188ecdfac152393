"""The contrast pairs: enough of them, each once, and apart where they must be."""

import re
from collections import Counter

import torch

from course_utils.datasets import contrast_pairs as pairs
from course_utils.datasets import reviews


def words(text):
    return Counter(re.findall(r"[a-zé']+", text.lower()))


def every():
    return [pair for kind in pairs.PAIRS.values() for pair in kind]


def test_there_are_enough_and_each_sentence_stands_once():
    assert len(every()) >= 40 and len(pairs.NEGATIONS) == 10
    texts, labels = pairs.flat([*every(), *pairs.NEGATIONS, pairs.OPENING])
    assert len(set(map(str.lower, texts))) == len(texts) == len(labels)
    assert all(text[0].isupper() and text[-1] in ".?" and text == text.strip() for text in texts)


def test_the_sentences_of_a_pair_differ_in_little():
    for first, second in [*every(), *pairs.NEGATIONS]:
        shared = (words(first) & words(second)).total()
        assert 2 * shared >= min(words(first).total(), words(second).total()), (first, second)


def test_the_same_words_in_another_order_are_the_same_words():
    for first, second in [*pairs.PAIRS["order"], pairs.OPENING]:
        assert words(first) == words(second) and first != second


def test_the_halves_are_apart_and_hold_all_kinds():
    trained, kept = pairs.halves()
    assert not set(trained) & set(kept) and sorted(trained + kept) == sorted(every())
    assert abs(len(trained) - len(kept)) <= 1
    for kind in pairs.PAIRS.values():
        assert set(kind) & set(trained) and set(kind) & set(kept)
    assert not {*pairs.NEGATIONS, pairs.OPENING} & set(every())


def test_a_pair_is_right_where_both_of_its_sentences_are():
    _, labels = pairs.flat(pairs.NEGATIONS[:3])
    assert labels.tolist() == [1, 0, 1, 0, 1, 0]
    score = pairs.score([True, False, True, True, False, True])
    assert score.both.tolist() == [True, False, False]
    assert score.sentences.tolist() == [True, True, True, False, False, False]
    assert not pairs.score(torch.ones(20)).both.any()


def test_mixtures_are_of_one_size_and_only_one_of_them_holds_the_pairs():
    texts = [f"text {i}" for i in range(300)]
    labels = torch.arange(300) % 2
    train = reviews.ReviewSet(tuple(texts), labels, "made up", True, "train")
    trained, _ = pairs.halves()
    mixed = pairs.mixtures(train, trained)
    sizes = {len(found) for found, _ in mixed.values()} | {len(y) for _, y in mixed.values()}
    assert sizes == {180 + 2 * len(trained)}
    control, y = mixed["control"]
    assert control[:180] == texts[:180] == mixed["repaired"][0][:180]
    assert control[180:] == texts[-2 * len(trained) :]
    assert y.tolist() == [int(text.split()[1]) % 2 for text in control]
    assert mixed["repaired"][0][180:] == pairs.flat(trained)[0]
