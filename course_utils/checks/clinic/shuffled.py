"""Exercise `shuffled`: texts and their labels in one random order."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from course_utils.checks.clinic.shared import expect_pair
from course_utils.checks.core import Answer, call, exercise, require


def _shuffled_by_generator(
    texts: Sequence[str], labels: Sequence[int], seed: int
) -> tuple[list[str], list[int]]:
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    return [texts[i] for i in order], [labels[i] for i in order]


@exercise(_shuffled_by_generator)
def shuffled(fn: Answer) -> None:
    """Check ``shuffled(texts, labels, seed)`` -> (texts, labels).

    Every review once, with its own label, mixed in every stretch; a function of the seed.
    """
    count = 400
    texts = [f"review {i}" for i in range(count)]
    labels = [int(i >= count // 2) for i in range(count)]
    first, again, other = (_as_lists(call(fn, texts, labels, seed)) for seed in (1, 1, 2))
    got_texts, got_labels = first
    for what, values in (("texts", got_texts), ("labels", got_labels)):
        lost = "Reviews were lost: every one is used once."
        require(len(values) == count, f"{count} {what}", f"{len(values)}", lost)
    once = (
        "Drawn with replacement: some reviews come twice, others never. `randperm` uses each once."
    )
    require(sorted(got_texts) == sorted(texts), "each review once", "some twice", once)
    belongs = dict(zip(texts, labels, strict=True))
    apart = sum(belongs[t] != int(y) for t, y in zip(got_texts, got_labels, strict=True))
    separate = "Texts and labels were shuffled apart from each other: one order for both."
    require(apart == 0, "each review with its own label", f"{apart} with another's", separate)
    quarters = [sum(map(int, got_labels[k : k + 100])) / 100 for k in range(0, count, 100)]
    mixed = all(0.2 <= share <= 0.8 for share in quarters)
    sorted_still = (
        "Whole stretches still carry one label. Shuffling inside a batch or a small window, or before something "
        "that sorts again, is not enough: draw one permutation of all."
    )
    came = ", ".join(f"{q:.0%}" for q in quarters)
    require(mixed, "20 to 80 % positive in each quarter", came, sorted_still)
    own = "Use the seed that was passed in."
    require(first == again, "the same order for the same seed", "another", own)
    fixed = "The order does not depend on the seed."
    require(first != other, "another order for another seed", "the same", fixed)
    runs = sum(a != b for a, b in pairwise(got_labels))
    regular = "Laid out in turn (pos, neg, pos, ...): regular is not random. Draw a permutation."
    require(runs < 300, "random neighbours", f"{runs} changes of label in {count}", regular)


def _as_lists(result: Any) -> tuple[list, list]:
    texts, labels = expect_pair(result, "(texts, labels)")
    return list(texts), [int(label) for label in labels]
