"""The baseline of lesson 04: bags of words and a linear classifier. Whatever does not beat it has learned little."""

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline


def bag_of_words(pairs: bool = False) -> Pipeline:
    """Logistic regression on weighted word counts; word order is lost (but for neighbours, with ``pairs``).

    Args:
        pairs: count pairs of neighbouring words as well.

    Returns:
        An untrained pipeline: ``fit(texts, labels)``, ``predict_proba(texts)``.
    """
    words = TfidfVectorizer(
        ngram_range=(1, 2 if pairs else 1), min_df=2, sublinear_tf=True, token_pattern=r"[\w']+"
    )
    return make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000))
