"""Exercise `bigram_probabilities`: the language model that counts pairs of tokens, smoothed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like
from course_utils.evaluation import language_models

Documents = Sequence[Sequence[int]]


def _from_the_package(documents: Documents, vocab: int, strength: float) -> Tensor:
    counts = language_models.bigram_counts(documents, vocab)
    return language_models.bigram_log_probs(counts, strength).exp()


def _counts(documents: Documents, vocab: int) -> Tensor:
    return language_models.bigram_counts(documents, vocab)


def _ends(documents: Documents, vocab: int) -> Tensor:
    """(V,): how many pairs end in each token."""
    return _counts(documents, vocab).sum(0)


def _smoothed(counts: Tensor, weights: Tensor, strength: float) -> Tensor:
    """Counts (V, V) with ``strength`` tokens more in each row, shared out like ``weights`` (V,)."""
    return counts + strength * weights / weights.sum()


def _rows(table: Tensor) -> Tensor:
    return table / table.sum(1, keepdim=True)


def _raw(documents: Documents, vocab: int, strength: float) -> Tensor:
    """What is right but for the division."""
    return _smoothed(_counts(documents, vocab), _ends(documents, vocab) + 1, strength)


def _one_stream(documents: Documents) -> Documents:
    return [[token for ids in documents for token in ids]]


def _all_tokens(documents: Documents, vocab: int) -> Tensor:
    """(V,): how often each token stands anywhere, first ones included."""
    return torch.bincount(torch.tensor(_one_stream(documents)[0]), minlength=vocab).double()


_MISTAKES: list[Wrong] = [
    (
        lambda d, v, s: _from_the_package(d, v, s).T,
        "Rows and columns changed places: row a holds what came after a.",
    ),
    (
        lambda d, v, s: _from_the_package([ids[::-1] for ids in d], v, s),
        "The pairs are counted backwards: row a holds what came *after* a.",
    ),
    (
        lambda d, v, s: _from_the_package(_one_stream(d), v, s),
        "Some pairs run from the end of one document into the next; count inside each document.",
    ),
    (
        lambda d, v, s: _from_the_package(
            [ids[i : i + 2] for ids in d for i in range(0, len(ids), 2)], v, s
        ),
        "Every second pair is missing: the pairs overlap, and each token ends one and begins the next.",
    ),
    (
        lambda d, v, s: _rows(_smoothed(_counts(d, v).clamp(max=1), _ends(d, v) + 1, s)),
        "Each pair counts once here, however often it came.",
    ),
    (
        lambda d, v, s: _rows(_counts(d, v)),
        "These are plain shares: nothing was added, and a pair that never came is impossible.",
    ),
    (
        lambda d, v, s: _rows(_counts(d, v) + 1),
        "Every pair was counted once more. Here each row gets `strength` tokens, shared out by p(b).",
    ),
    (
        lambda d, v, s: _rows(_counts(d, v) + s),
        "Each entry got `strength` tokens. A whole row gets that many, shared out by p(b).",
    ),
    (
        lambda d, v, s: _rows(_counts(d, v) + s / v),
        "All tokens got the same share of what is added; p(b) says how much each one gets.",
    ),
    (
        lambda d, v, s: _rows(_counts(d, v) + s * (_ends(d, v) + 1)),
        "Far too much was added: p(b) is a probability, so divide c(b) + 1 by n + V.",
    ),
    (
        lambda d, v, s: _rows(_smoothed(_counts(d, v), _ends(d, v), s)),
        "p(b) lacks the + 1: a token that ended no pair is still impossible.",
    ),
    (
        lambda d, v, s: _rows(_smoothed(_counts(d, v), _counts(d, v).sum(1) + 1, s)),
        "c(b) was counted over the pairs that *begin* with b; it counts those that end in b.",
    ),
    (
        lambda d, v, s: _rows(_smoothed(_counts(d, v), _all_tokens(d, v) + 1, s)),
        "c(b) counts all tokens here. The first token of a document ends no pair.",
    ),
    (
        lambda d, v, s: _rows(
            _counts(d, v) + s * ((_ends(d, v) + 1) / (_ends(d, v) + 1).sum())[:, None]
        ),
        "p(b) was added down the columns: within a row, each column b gets its own share.",
    ),
    (
        lambda d, v, s: _rows(_smoothed(_counts(d, v), _ends(d, v) + 1, 50)),
        "A fixed number of tokens was added; `strength` says how many.",
    ),
    (
        lambda d, v, s: _raw(d, v, s) / _counts(d, v).sum(1, keepdim=True),
        "Divided by c(a) alone: the tokens that were added belong to the row's sum as well.",
    ),
    (
        lambda d, v, s: _raw(d, v, s) / _raw(d, v, s).sum(0, keepdim=True),
        "The columns sum to 1; the rows should.",
    ),
    (
        lambda d, v, s: _raw(d, v, s) / _raw(d, v, s).sum(),
        "The whole table sums to 1: this is p(a, b). Each row should sum to 1.",
    ),
    (
        lambda d, v, s: _raw(d, v, s),
        "These are smoothed counts; divided by their row's sum, they are probabilities.",
    ),
    (
        lambda d, v, s: _from_the_package(d, v, s).log(),
        "These are logarithms; asked for are the probabilities themselves.",
    ),
]

_WORKED = (
    "By hand, one document 0 1 0 1, V = 2, strength 1: c(0, 1) = 2, c(1, 0) = 1, so c(b) = 1 and 2, p(b) = 2/5 and "
    "3/5. Row 0 is (0 + 2/5, 2 + 3/5) / 3 = 0.133, 0.867."
)
_CASES: list[tuple[Documents, int, float]] = [
    ([[0, 1, 1, 2, 1, 0], [2, 2, 0, 0, 0, 0], [0, 2, 1]], 3, 2.0),
    ([[0, 3, 1, 1, 3, 4], [0], [0, 2, 1, 3, 1], [0, 4, 4]], 6, 50.0),
    ([[0, 1, 0, 1]], 2, 1.0),
]


@exercise(_from_the_package)
def bigram_probabilities(fn: Answer) -> None:
    """Check ``bigram_probabilities(documents, vocab, strength)``: lists of ids -> p(b | a), (V, V), row a."""
    for documents, vocab, strength in _CASES:
        expect_like(
            call(fn, documents, vocab, strength),
            _from_the_package(documents, vocab, strength),
            f"p(b | a) for the documents {documents}, V = {vocab}, strength {strength:g}",
            inputs=(documents, vocab, strength),
            wrong=_MISTAKES,
            shape="One row and one column for each of the V tokens, those included that never came: (V, V).",
            hint=_WORKED,
        )
