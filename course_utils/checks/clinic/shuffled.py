"""Exercise `shuffled`: texts and their labels in one random order."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from course_utils.checks.clinic.game import case
from course_utils.checks.clinic.shared import expect_pair
from course_utils.checks.core import Answer, call, require


def _shuffled_by_generator(
    texts: Sequence[str], labels: Sequence[int], seed: int
) -> tuple[list[str], list[int]]:
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    return [texts[i] for i in order], [labels[i] for i in order]


@case(_shuffled_by_generator)
def shuffled(fn: Answer) -> None:
    """Check ``shuffled(texts, labels, seed)`` -> (texts, labels).

    Every review once, with its own label, mixed in every stretch; a function of the seed.
    """
    count = 400
    texts = [f"review {i}" for i in range(count)]
    labels = [int(i >= count // 2) for i in range(count)]
    shared = _shared_generators()
    first, again, other = (_as_lists(_ask(fn, texts, labels, seed)) for seed in (1, 1, 2))
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
    left_alone = _shared_generators() == shared
    what, came = "Python's and NumPy's generators as they were", "one that was seeded or drawn from"
    require(left_alone, what, came, _SHARED)
    runs = sum(a != b for a, b in pairwise(got_labels))
    regular = "Laid out in turn (pos, neg, pos, ...): regular is not random. Draw a permutation."
    require(runs < 300, "random neighbours", f"{runs} changes of label in {count}", regular)
    _expect_no_pattern([texts.index(text) for text in got_texts])
    for few in (1, 2, 7):
        alone = _as_lists(_ask(fn, texts[:few], labels[-few:], 3))
        pairs = sorted(zip(*alone, strict=False))
        right = pairs == sorted(zip(texts[:few], labels[-few:], strict=True))
        require(right, f"all of {few} reviews with their labels", str(pairs), lost)


_SHARED = (
    "`random.seed` and `np.random.seed` set the generator that all cells share. Make one of your own: "
    "`random.Random(seed)`, `np.random.default_rng(seed)` or `torch.Generator().manual_seed(seed)`."
)
_BLOCKS = (
    "Reviews that stood together still do: whole batches changed places, or each only moved a little. "
    "A batch must be mixed itself: draw one permutation of all single reviews."
)


def _ask(fn: Answer, texts: list[str], labels: list[int], seed: int) -> Any:
    says = {"Python": _SHARED, "NumPy": _SHARED}
    return call(fn, texts, labels, seed, says=says)


def _shared_generators() -> tuple[str, str]:
    return repr(random.getstate()), repr(np.random.get_state(legacy=False))


def _expect_no_pattern(order: list[int]) -> None:
    """Refuse permutations of blocks, walks in equal steps, and orders that keep to the old one."""
    count = len(order)
    steps = [(b - a) % count for a, b in pairwise(order)]
    near = sum(min(step, count - step) <= 10 for step in steps)  # by chance 20, give or take 4
    usual = Counter(steps).most_common(1)[0][1]  # by chance at most 7
    what, came = "neighbours from everywhere", f"{near} of {count - 1} from at most 10 places away"
    require(near < 50 and usual < 20, what, came, _BLOCKS)
    for part in (
        order,
        [i for i in order if i < count // 2],
        [i for i in order if i >= count // 2],
    ):
        kept = abs(float(np.corrcoef(np.arange(len(part)), part)[0, 1]))
        came = f"a correlation of {kept:.2f}"
        require(kept < 0.35, "a new order that does not follow the old one", came, _BLOCKS)


def _as_lists(result: Any) -> tuple[list, list]:
    texts, labels = expect_pair(result, "(texts, labels)")
    return list(texts), [int(label) for label in labels]
