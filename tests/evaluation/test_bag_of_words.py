"""The word counter of lesson 04: which words count, and that their order does not."""

from course_utils.evaluation.bag_of_words import bag_of_words

TEXTS = ["good film", "good and short", "bad film", "bad and long"]


def words(**how):
    return set(bag_of_words(**how).fit(TEXTS, [1, 1, 0, 0])[0].vocabulary_)


def test_rare_words_do_not_count_unless_they_are_asked_for():
    assert words() == {"good", "bad", "film", "and"}
    assert words(rarest=1) == words() | {"short", "long"}
    assert "good film" in words(pairs=True, rarest=1)


def test_where_no_word_is_in_two_texts_all_count():
    counter = bag_of_words().fit(["one", "two"], [1, 0])
    assert set(counter[0].vocabulary_) == {"one", "two"}


def test_order_does_not_count():
    counter = bag_of_words().fit(TEXTS, [1, 1, 0, 0])
    first, second = counter.predict_proba(["good film and bad", "bad and film good"])[:, 1]
    assert first == second
