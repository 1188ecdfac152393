"""What lesson 07's case about the order of an epoch trains: a linear model on counted words, in the given order."""

from collections.abc import Sequence

from sklearn.linear_model import SGDClassifier

from course_utils.datasets.reviews import ReviewSet
from course_utils.evaluation.bag_of_words import bag_of_words


def one_epoch(
    texts: Sequence[str], labels: Sequence[int], held: ReviewSet, batch_size: int = 16
) -> float:
    """Test accuracy of a classifier that counts words, after one epoch in the order given.

    Args:
        texts: what it trains on, in the order in which it sees them.
        labels: 0 or 1 for each.
        held: what it is tested on.
        batch_size: reviews in a step.
    """
    counter = bag_of_words()[0].fit(texts)
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.5, random_state=0)
    for start in range(0, len(texts), batch_size):
        part = slice(start, start + batch_size)
        model.partial_fit(counter.transform(texts[part]), labels[part], classes=[0, 1])
    return float(model.score(counter.transform(held.texts), held.labels))
