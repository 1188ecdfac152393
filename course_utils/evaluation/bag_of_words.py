"""The baseline of lesson 04: bags of words and a linear classifier. Whatever does not beat it has learned little."""

from collections.abc import Iterable
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline


def bag_of_words(pairs: bool = False, rarest: int = 2) -> Pipeline:
    """Logistic regression on weighted word counts; word order is lost (but for neighbours, with ``pairs``).

    Where no word is in enough texts, in a handful of them, all count.

    Args:
        pairs: count pairs of neighbouring words as well.
        rarest: a word counts where at least so many texts have it.

    Returns:
        An untrained pipeline: ``fit(texts, labels)``, ``predict_proba(texts)``.
    """
    words = _Words(
        ngram_range=(1, 2 if pairs else 1),
        min_df=rarest,
        sublinear_tf=True,
        token_pattern=r"[\w']+",
    )
    classifier = LogisticRegression(C=10.0, max_iter=1000)
    return Pipeline([("tfidfvectorizer", words), ("logisticregression", classifier)])


class _Words(TfidfVectorizer):
    def fit_transform(self, raw_documents: Iterable[str], y: Any = None) -> Any:
        """As the library's, with every word where none is in two texts."""
        try:
            return super().fit_transform(raw_documents, y)
        except ValueError:  # "no terms remain"
            self.min_df = 1
            return super().fit_transform(raw_documents, y)
