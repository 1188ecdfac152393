"""Reviews that stand in a data set twice, word for word or nearly: a test part must not be learned by heart."""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby

import numpy as np

from course_utils.datasets.reviews import ReviewSet

SHINGLE = 5
"""Words in a row that are compared."""
NEAR = 0.5
"""Two texts are near copies when they share this part of all their runs of five words (Jaccard index)."""
_HASHES, _BAND = 32, 2  # 16 bands of two: pairs that share half are found with probability 0.99
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Copies:
    """What was left out of a training set: exact copies, near copies, and how many of both copy a held set."""

    exact: int
    near: int
    in_held: int


def without_copies(train: ReviewSet, *held: ReviewSet) -> tuple[ReviewSet, Copies]:
    """A training set without reviews that repeat one of the ``held`` sets, or an earlier one of itself.

    The held sets stay as they are, so that numbers on them can be compared with other people's.

    Args:
        train: the set that loses its copies.
        held: validation and test sets.

    Returns:
        The smaller training set, in the same order, and the counts. Words are compared, without case and punctuation.

    Source: A. Broder (1997), On the resemblance and containment of documents (shingles and min-wise hashing).
    """
    held_texts = [text for reviews in held for text in reviews.texts]
    originals = find_copies([*held_texts, *train.texts])
    kept, exact, near, in_held = [], 0, 0, 0
    for index in range(len(train)):
        found = originals.get(len(held_texts) + index)
        if found is None:
            kept.append(index)
            continue
        original, same = found
        if same and original in originals:  # a copy of a near copy
            original = originals[original][0]
        exact, near, in_held = (
            exact + same,
            near + (not same),
            in_held + (original < len(held_texts)),
        )
    return train.subset(kept), Copies(exact, near, in_held)


def find_copies(texts: Sequence[str]) -> dict[int, tuple[int, bool]]:
    """For each text that repeats an earlier one: index -> (index of the earlier one, whether word for word)."""
    found: dict[int, tuple[int, bool]] = {}
    first_of: dict[tuple[str, ...], int] = {}
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    shingles: list[frozenset[int]] = []
    for index, text in enumerate(texts):
        words = tuple(_WORD.findall(text.casefold())) or (text.strip(),)  # ":-)" is not ":-("
        own = _shingles(words)
        shingles.append(own)
        if words in first_of:
            found[index] = first_of[words], True
            continue
        first_of[words] = index
        alike = [buckets[band] for band in _bands(own)]
        for candidate, _ in groupby(
            merge(*alike)
        ):  # the earliest first, so that the first that is near will do
            if len(own & shingles[candidate]) >= NEAR * len(own | shingles[candidate]):
                found[index] = candidate, False
                break
        for bucket in alike:
            bucket.append(index)
    return found


def _shingles(words: tuple[str, ...]) -> frozenset[int]:
    runs = (" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1)))
    return frozenset(zlib.crc32(run.encode()) for run in runs)


_RNG = np.random.default_rng(0)
_FACTORS = _RNG.integers(0, 1 << 64, (2, _HASHES), dtype=np.uint64) | np.uint64(1)


def _bands(own: frozenset[int]) -> Iterator[tuple[int, bytes]]:
    """The smallest hash of the shingles under each of many hash functions, in bands; like texts share a band."""
    values = np.fromiter(own, np.uint64, len(own))
    mixed = (values[:, None] + _FACTORS[0]) * _FACTORS[0]  # of 64 bits; those above are dropped
    signature = ((mixed ^ (mixed >> np.uint64(32))) * _FACTORS[1]).min(axis=0)
    for start in range(0, _HASHES, _BAND):
        yield start, signature[start : start + _BAND].tobytes()
