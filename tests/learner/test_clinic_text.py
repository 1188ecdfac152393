"""What lesson 07's case about order trains: sorted labels leave chance, the same reviews shuffled do not."""

import torch

from course_utils.datasets.reviews import load_reviews
from course_utils.learner.clinic_text import one_epoch


def test_the_order_alone_decides():
    reviews, held = (
        load_reviews("standin", split=split, limit=n)
        for split, n in (("train", 600), ("test", 200))
    )
    labels = reviews.labels.tolist()
    last = sorted(range(len(labels)), key=lambda i: -labels[i])
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).tolist()

    def score(order):
        return one_epoch([reviews.texts[i] for i in order], [labels[i] for i in order], held)

    assert score(last) < 0.55 and score(mixed) > 0.6
    assert score(mixed) == score(mixed)
