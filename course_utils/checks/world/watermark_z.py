"""Exercise `watermark_z`: how far a text's count of green tokens lies above chance."""

import math
from collections.abc import Callable, Iterable, Sequence

from course_utils.checks.core import Answer, Wrong, exercise
from course_utils.checks.metrics.shared import expect_score

IsGreen = Callable[[int, int], bool]
Pair = tuple[int, int]


def _by_shares(tokens: Sequence[int], is_green: IsGreen, gamma: float) -> float:
    """The share of green tokens in units of its own standard deviation, sqrt(gamma (1 - gamma) / n)."""
    n = len(tokens) - 1
    if n < 1:
        return 0.0
    share = sum(1 for i in range(n) if is_green(tokens[i], tokens[i + 1])) / n
    return (share - gamma) * math.sqrt(n / (gamma * (1 - gamma)))


def _pairs(tokens: Sequence[int]) -> list[Pair]:
    return [(tokens[i], tokens[i + 1]) for i in range(len(tokens) - 1)]


def _green(pairs: Iterable[Pair], is_green: IsGreen) -> int:
    return sum(bool(is_green(*pair)) for pair in pairs)


def _z(green: int, n: int, gamma: float) -> float:
    return (green - gamma * n) / math.sqrt(n * gamma * (1 - gamma))


def _with(score: Callable[[int, int, float], float]) -> Answer:
    """A mistake in the formula: a function of the green count, of n, and of gamma."""
    return lambda tokens, is_green, gamma: score(
        _green(_pairs(tokens), is_green), len(tokens) - 1, gamma
    )


def _over(choose: Callable[[Sequence[int]], Sequence[Pair]]) -> Answer:
    """A mistake in what is counted: the pairs that are judged."""

    def answer(tokens: Sequence[int], is_green: IsGreen, gamma: float) -> float:
        pairs = choose(tokens)
        return _z(_green(pairs, is_green), len(pairs), gamma)

    return answer


_FIRST = (
    "The first token has no token before it, so its colour is unknown: T tokens make n = T - 1 pairs, in the mean and "
    "in the deviation."
)
_ROOT = "A standard deviation is the root of the variance: sqrt(n gamma (1 - gamma))."
_RED = "gamma is the share of green tokens: by chance gamma * n are green. (1 - gamma) * n are red."
_OWN = (
    "The deviation is that of text without a watermark, whose green share is gamma: gamma (1 - gamma), not the share "
    "that was found times its rest."
)
_SWAPPED = "The list belongs to the token *before*: is_green(previous, token), in this order."
_LAST = (
    "The last token was left out: it has a token before it. There are T - 1 pairs of neighbours."
)
_ONCE = "A pair that comes twice counts twice here: each place in the text is one toss, so do not make a set of pairs."

_MISTAKES: list[Wrong] = [
    (_with(lambda green, n, gamma: _z(green, n + 1, gamma)), _FIRST),
    (
        _with(
            lambda green, n, gamma: (green - gamma * n) / math.sqrt((n + 1) * gamma * (1 - gamma))
        ),
        _FIRST,
    ),
    (
        _with(
            lambda green, n, gamma: (green - gamma * (n + 1)) / math.sqrt(n * gamma * (1 - gamma))
        ),
        _FIRST,
    ),
    (_over(lambda tokens: [(tokens[-1], tokens[0]), *_pairs(tokens)]), _FIRST),
    (_over(lambda tokens: [(tokens[0], tokens[0]), *_pairs(tokens)]), _FIRST),
    (_over(lambda tokens: [(0, tokens[0]), *_pairs(tokens)]), _FIRST),
    (_over(lambda tokens: [(b, a) for a, b in _pairs(tokens)]), _SWAPPED),
    (_over(lambda tokens: _pairs(tokens)[:-1]), _LAST),
    (
        _over(lambda tokens: _pairs(tokens)[1:]),
        "The second token has one before it: judge it, too.",
    ),
    (_over(lambda tokens: sorted(set(_pairs(tokens)))), _ONCE),
    (
        _over(lambda tokens: [(token, token) for token in tokens[1:]]),
        "The list of a token comes from the one before it, not from itself: is_green(previous, token).",
    ),
    (_with(lambda green, n, gamma: (green - gamma * n) / (n * gamma * (1 - gamma))), _ROOT),
    (
        _with(lambda green, n, gamma: (green - gamma * n) / math.sqrt(n * gamma)),
        "Yes or no, n times, has the variance n gamma (1 - gamma); the factor 1 - gamma is missing.",
    ),
    (
        _with(lambda green, n, gamma: (green - gamma * n) / math.sqrt(n)),
        "Yes or no, n times, has the variance n gamma (1 - gamma); here it was n.",
    ),
    (
        _with(lambda green, n, gamma: (green / n - gamma) / math.sqrt(gamma * (1 - gamma))),
        "That is the deviation of one token. The share of n tokens varies less, by a factor sqrt(n).",
    ),
    (
        _with(lambda green, n, gamma: (green - gamma * n) / math.sqrt(gamma * (1 - gamma))),
        "The deviation grows with the length: sqrt(n gamma (1 - gamma)); n is missing under the root.",
    ),
    (
        _with(
            lambda green, n, gamma: (green - (1 - gamma) * n) / math.sqrt(n * gamma * (1 - gamma))
        ),
        _RED,
    ),
    (
        _with(lambda green, n, gamma: abs(_z(green, n, gamma))),
        "Less green than chance is below 0: no abs.",
    ),
    (
        _with(lambda green, n, gamma: -_z(green, n, gamma)),
        "The sign: more green than chance is above 0.",
    ),
    (
        _with(
            lambda green, n, gamma: (green / n - gamma) / math.sqrt(green / n * (1 - green / n) / n)
        ),
        _OWN,
    ),
    (
        _with(lambda green, n, gamma: green / n),
        "That is the share of green tokens. How many standard deviations does it lie above gamma?",
    ),
    (
        _with(lambda green, n, gamma: green - gamma * n),
        "So many green tokens lie above chance. Divide by the standard deviation of such a count.",
    ),
    (
        _with(lambda green, n, gamma: math.erfc(_z(green, n, gamma) / math.sqrt(2)) / 2),
        "That is the p value, the probability of such a z by chance; z itself is asked for.",
    ),
]

_WORKED = (
    "Five tokens make n = 4 pairs. With gamma 0.25 chance gives 4 * 0.25 = 1 green, and the deviation is sqrt(4 * "
    "0.25 * 0.75) = 0.866. Three green ones have z = (3 - 1) / 0.866 = 2.309."
)
_TEXT = [5, 2, 2, 7, 1, 4, 2, 7, 3, 6, 5, 1, 4, 8]
"""Fourteen tokens; 2 7 and 1 4 come twice, and 2 follows itself."""


def _listed(*green: Pair) -> IsGreen:
    return lambda previous, token: (previous, token) in green


_MUCH = _listed((5, 2), (2, 7), (1, 4), (3, 6), (6, 5), (7, 3), (5, 1), (4, 1), (8, 5), (5, 5))
_LITTLE = _listed((2, 2), (5, 1), (1, 5), (0, 5), (7, 2), (3, 3), (1, 7), (4, 8))


@exercise(_by_shares)
def watermark_z(fn: Answer) -> None:
    """Check ``watermark_z(tokens, is_green, gamma)`` -> z.

    ``tokens`` is a list of T ids, ``is_green(previous, token)`` says whether a token was green after the one before it,
    and ``gamma``, in (0, 1), is the share of green tokens in the vocabulary. The first token is not judged, each other
    place is; a text of fewer than two tokens gives 0.0. Source: arXiv 2301.10226, eq. 3.
    """
    for is_green, gamma, what in (
        (_MUCH, 0.3, "z of 14 tokens with much green, gamma 0.3"),
        (_LITTLE, 0.6, "z of 14 tokens with little green, gamma 0.6"),
    ):
        inputs = (list(_TEXT), is_green, gamma)
        expect_score(fn, inputs, _by_shares(*inputs), what, _MISTAKES, _WORKED)
    long = [(7 * i * i + 3 * i) % 11 for i in range(200)]
    even: IsGreen = lambda previous, token: (previous + 2 * token) % 3 == 0  # noqa: E731
    expect_score(
        fn, (long, even, 0.5), _by_shares(long, even, 0.5), "z of 200 tokens", _MISTAKES, _WORKED
    )
    pair = "Two tokens hold one pair of neighbours, which is judged: only shorter texts give 0.0."
    inputs = ([5, 2], _MUCH, 0.25)
    expect_score(fn, inputs, _by_shares(*inputs), "z of two tokens", _MISTAKES, pair)
    short = "No pair of neighbours, no evidence: return 0.0 before anything is divided by n."
    says = {
        "ZeroDivisionError": short,
        "IndexError": short,
        "division by zero": short,
        "math domain": short,
    }
    for tokens in ([], [3]):
        what = f"z of {len(tokens)} tokens"
        expect_score(fn, (tokens, _MUCH, 0.25), 0.0, what, hint=short, says=says)
