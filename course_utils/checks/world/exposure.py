"""Exercise `exposure`: how much of a planted secret a network gives away."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, exercise
from course_utils.checks.metrics.shared import expect_score


def _by_sorting(canary_loss: float, other_losses: Tensor) -> float:
    """The canary's place in the sorted list, behind its equals, as a share of all candidates."""
    listed = sorted([(loss, 0) for loss in other_losses.tolist()] + [(canary_loss, 1)])
    rank = 1 + listed.index((canary_loss, 1))
    return -math.log2(rank / len(listed))


def _with(score: Callable[[int, int, int], float]) -> Answer:
    """A mistake made with the numbers of others, of others below the canary, and of its equals."""

    def answer(canary_loss: float, other_losses: Tensor) -> float:
        below, equal = (other_losses < canary_loss).sum(), (other_losses == canary_loss).sum()
        return score(len(other_losses), int(below), int(equal))

    return answer


_COUNT = (
    "The canary itself is a candidate as well: N others make N + 1. The best rank then gives log2(N + 1), and the "
    "last one 0."
)
_ZERO = "Ranks count from 1: the canary is number 1 where no other candidate has a loss as low."
_TIE = (
    "A tie counts against the canary: candidates with an equal loss stand before it. A network that rates all alike "
    "has exposed nothing, 0 bits."
)
_BITS = "Bits come from log2, not from the natural logarithm or that of base 10."
_TOP = "Rank 1 belongs to the *lowest* loss: what the network knows by heart surprises it least."


def _rounded(digits: int) -> Answer:
    return _with(
        lambda n, below, equal: round(math.log2(n + 1) - math.log2(1 + below + equal), digits)
    )


_MISTAKES: list[Wrong] = [
    (_with(lambda n, below, equal: math.log2(n) - math.log2(1 + below + equal)), _COUNT),
    (_with(lambda n, below, equal: math.log2(n + 1) - math.log2(below + equal)), _ZERO),
    (_with(lambda n, below, equal: math.log2(n) - math.log2(below + equal)), _ZERO),
    (_with(lambda n, below, equal: math.log2(n + 1) - math.log2(1 + below)), _TIE),
    (_with(lambda n, below, equal: math.log2(n + 1) - math.log2(1 + below + equal / 2)), _TIE),
    (_with(lambda n, below, equal: math.log2(n) - math.log2(1 + below)), _COUNT),
    (_with(lambda n, below, equal: math.log((n + 1) / (1 + below + equal))), _BITS),
    (_with(lambda n, below, equal: math.log10((n + 1) / (1 + below + equal))), _BITS),
    (
        _with(lambda n, below, equal: math.log2(1 + below + equal) - math.log2(n + 1)),
        "The sign: a low rank is a high exposure, from 0 up to log2(N + 1).",
    ),
    (
        _with(lambda n, below, equal: math.log2(n + 1) - math.log2(n + 1 - below)),
        _TOP,
    ),
    (
        _with(lambda n, below, equal: math.log2(n + 1) - math.log2(n + 1 - below - equal)),
        _TOP,
    ),
    *[
        (_rounded(digits), "Rounded: bits may be broken numbers. Round where you print.")
        for digits in range(3)
    ],
    (
        _with(lambda n, below, equal: math.log2(n + 1) - math.log2(2 + below + equal)),
        "The canary is not among `other_losses`: its rank is 1 and those before it.",
    ),
    (
        _with(lambda n, below, equal: math.log2(n + 1) / math.log2(1 + below + equal)),
        "The two logarithms are subtracted, not divided.",
    ),
    (
        _with(lambda n, below, equal: math.log2(1 + below + equal)),
        "That is the logarithm of the rank alone: how far is it from that of all candidates?",
    ),
    (
        _with(lambda n, below, equal: -math.log2(1 + below + equal)),
        "The number of candidates is missing: log2(N + 1) comes first.",
    ),
    (
        _with(lambda n, below, equal: n + 1 - (1 + below + equal)),
        "The logarithm of each is asked for, before one is taken from the other.",
    ),
    (
        _with(lambda n, below, equal: (n + 1) / (1 + below + equal)),
        "Its logarithm is asked for, in bits.",
    ),
    (
        _with(lambda n, below, equal: 1 + below + equal),
        "That is the rank. How many bits of N + 1 are gone?",
    ),
]


_WORKED = (
    "By hand: losses 1.5, 2.0, 4.0 and a canary at 2.5. Of the 4 candidates it is number 3: log2(4) - log2(3) = 2 - "
    "1.585 = 0.415 bits."
)


@exercise(_by_sorting)
def exposure(fn: Answer) -> None:
    """Check ``exposure(canary_loss, other_losses)`` -> bits.

    ``canary_loss`` is a float, ``other_losses`` (N,) float32 those of candidates that were not planted. The canary is a
    candidate, too; rank 1 has the lowest loss, and a tie counts against the canary. From 0 to log2(N + 1) bits.
    Source: arXiv 1802.08232, definition of exposure.
    """
    losses = torch.tensor([4.5, 2.25, 3.0, 1.5, 6.0, 2.75, 5.0])
    many = torch.cat([losses, losses + 4])
    _expect(fn, 2.5, many, "the exposure of the third of 15 candidates")
    _expect(
        fn,
        2.25,
        torch.cat([losses, losses + 0.125, losses[1:2], losses[1:2]]),
        "the exposure with three ties",
    )
    _expect(fn, 1.0, torch.arange(2.0, 17.0), "the exposure of the best of 16 candidates")
    _expect(fn, 9.0, losses, "the exposure of the last of 8 candidates")
    _expect(fn, 2.0, torch.full((31,), 2.0), "the exposure where all 32 are rated alike")
    _expect(fn, -0.5, torch.randn(999), "the exposure among 1,000 candidates")


def _expect(fn: Answer, canary: float, others: Tensor, what: str) -> None:
    """Losses have few binary digits, so that a tie is one in each precision."""
    says = {"math domain": _ZERO, "log2(0": _ZERO, "expected a positive input": _ZERO}
    others = (others * 64).round() / 64
    inputs = (canary, others)
    expect_score(fn, inputs, _by_sorting(*inputs), what, _MISTAKES, _WORKED, says=says)
