"""Exercise `mode_scores`: modes covered, share of high-quality samples and reverse KL, from samples and centres."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    call,
    exercise,
    expect_close,
    expect_number,
    require,
)

Scores = Callable[[Tensor, Tensor, float], tuple[Any, Any, Any]]
"""Samples (N, 2), centres (K, 2), standard deviation -> modes, share of high quality, reverse KL."""


def _scores_by_loop(samples: Tensor, centres: Tensor, std: float) -> tuple[int, float, float]:
    """The three numbers, sample by sample."""
    hits, nearest_of = [0] * len(centres), [0] * len(centres)
    for x, y in samples.tolist():
        away = [math.hypot(x - a, y - b) for a, b in centres.tolist()]
        nearest = away.index(min(away))
        nearest_of[nearest] += 1
        hits[nearest] += away[nearest] < 3 * std
    shares = [count / len(samples) for count in nearest_of]
    reverse_kl = sum(s * math.log(s * len(centres)) for s in shares if s)
    return (
        sum(100 * count >= len(samples) for count in hits),
        sum(hits) / len(samples),
        reverse_kl,
    )


def _changed(
    within: float = 3.0,
    squared: bool = False,
    least: Callable[[int, int], float] = lambda count, good: 0.01 * count,
    covers: bool = True,
    of_good: bool = False,
    kl: Callable[[Tensor], Tensor] = lambda s: torch.xlogy(s, s * len(s)).sum(),
) -> Scores:
    """The right scores with one thing changed."""

    def scores(samples: Tensor, centres: Tensor, std: float) -> tuple[Any, Any, Any]:
        distance = torch.cdist(samples.double(), centres.double())
        near, nearest = distance.min(dim=1)
        good = (near**2 if squared else near) < within * std
        counted = nearest[good] if covers else nearest
        hits = torch.bincount(counted, minlength=len(centres))
        taken = nearest[good] if of_good else nearest
        shares = torch.bincount(taken, minlength=len(centres)).double() / max(1, len(taken))
        modes = (hits >= max(1e-9, least(len(samples), int(good.sum())))).sum()
        return modes, good.double().mean(), kl(shares)

    return scores


_ZEROS = "A mode without samples has the share 0, and 0 * log(0) is NaN in floating point: torch.xlogy knows the rule."
_REVERSED = "KL(uniform || shares) is infinite as soon as one mode is missing: the generator's shares come first."
_RING = 2 * torch.tensor([[math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)] for k in range(8)])
_GIVEN = "The centres and the standard deviation come with the call: use `centres` and `std`."


def _counted(times: Callable[[Tensor], float]) -> Scores:
    """The right scores, but the share of good samples is multiplied."""

    def scores(samples: Tensor, centres: Tensor, std: float) -> tuple[Any, Any, Any]:
        modes, good, reverse_kl = _changed()(samples, centres, std)
        return modes, good * times(samples), reverse_kl

    return scores


_MISTAKES: list[tuple[Scores, str]] = [
    (
        _changed(within=2.0),
        "Here two standard deviations are near enough; it is three.",
    ),
    (_counted(len), "This counts the good samples; divide by the number of all samples."),
    (
        _counted(lambda samples: 100.0),
        "This share is in per cent; asked for is a number of at most 1.",
    ),
    (lambda samples, centres, std: _changed()(samples, centres, 0.1), _GIVEN),
    (lambda samples, centres, std: _changed()(samples, _RING, std), _GIVEN),
    (
        _changed(within=1.0),
        "Near means within *three* standard deviations of the centre; here it is one.",
    ),
    (
        _changed(within=3.0, squared=True),
        "The squared distance is compared with 3 std: take its root, or compare with (3 std)².",
    ),
    (
        _changed(least=lambda count, good: 0.0),
        "One sample is not enough to cover a mode: at least 1 % of all samples must lie near its centre.",
    ),
    (
        _changed(least=lambda count, good: 0.01 * good),
        "A mode needs 1 % of *all* samples near its centre, not 1 % of the good ones.",
    ),
    (
        _changed(least=lambda count, good: 0.01 * count + 0.5),
        "Exactly 1 % is enough: *at least* means >=.",
    ),
    (
        _changed(covers=False),
        "A sample between two modes covers neither: only those within three standard deviations count.",
    ),
    (
        _changed(of_good=True),
        "For the reverse KL *every* sample counts for its nearest centre, the bad ones too.",
    ),
    (
        _changed(kl=lambda s: (-(s * len(s)).log() / len(s)).sum()),
        _REVERSED,
    ),
    (
        _changed(kl=lambda s: torch.xlogy(s, s * len(s)).sum() / math.log(2)),
        "These are bits (log base 2), not nats.",
    ),
    (
        _changed(kl=lambda s: torch.xlogy(s, s).sum()),
        "This is minus the entropy: inside the logarithm, divide each share by 1/K, the fair one.",
    ),
    (
        _changed(kl=lambda s: -torch.xlogy(s, s).sum()),
        "This is the entropy of the shares; asked for is their divergence from equal shares.",
    ),
    (
        _changed(kl=lambda s: -torch.xlogy(s, s * len(s)).sum()),
        "The sign is wrong: a divergence is never negative.",
    ),
    (
        _changed(kl=lambda s: torch.xlogy(s, s * len(s)).mean()),
        "A mean over the modes: the shares are weights already, so sum.",
    ),
    (
        _changed(kl=lambda s: torch.xlogy(s[s > 0], s[s > 0] * (s > 0).sum()).sum()),
        "The uniform share is 1/K with *all* K modes, those without samples included (`minlength` of `bincount`).",
    ),
    (
        _changed(kl=lambda s: torch.xlogy(s, s * 8).sum()),
        "The number of modes is fixed at 8 here: it is `len(centres)`.",
    ),
]
_NAMES = ("modes covered", "share of high-quality samples", "reverse KL")
_WORKED_MODES = (
    "Two conditions: within 3 std of the centre, and at least 1 % of all samples there. Of 400 samples, 4 near ones "
    "cover a mode, and 3 do not."
)
_WORKED_GOOD = (
    "The share, from 0 to 1, of samples within 3 std of a centre. With std 0.1, samples at distances 0.05, 0.29 and "
    "0.31 from their nearest centres give 2/3."
)
_WORKED_KL = "Four centres, with 2, 1, 1 and 0 samples nearest to them: 1/2 log 2 + 1/4 log 1 + 1/4 log 1 + 0 = 0.35."
_THREE = "Return three numbers, in this order: `return modes, good, reverse_kl`."
_HINTS = (_WORKED_MODES, _WORKED_GOOD, _WORKED_KL)


@exercise(_scores_by_loop)
def mode_scores(fn: Answer) -> None:
    """Check ``mode_scores(samples, centres, std)``: (N, 2), (K, 2), number -> modes, high quality, reverse KL."""
    line = torch.tensor([[-4.0, 0.0], [0.0, 1.0], [4.0, 0.0], [8.0, 1.0], [12.0, 0.0], [16.0, 1.0]])
    line = torch.cat([line, torch.tensor([[20.0, 0.0]])])
    mixed = _cloud(line, [100, 116, 4, 3, 3, 1, 0], 0.2, strays=173)  # 4 of 400 are exactly 1 %
    ring = 3 * torch.tensor([[math.cos(t), math.sin(t)] for t in (0.3, 1.6, 2.9, 4.1, 5.4)])
    few = _cloud(ring, [50, 0, 30, 20, 0], 0.1)
    lost = torch.full((50, 2), 9.0)
    for samples, centres, std in ((mixed, line, 0.2), (few, ring, 0.1), (lost, line, 0.2)):
        got = call(fn, samples, centres, std)
        three = isinstance(got, tuple | list) and len(got) == 3
        require(three, "modes, high quality, reverse KL", got, _THREE)
        _expect_scores(got, (samples, centres, std))


def _cloud(centres: Tensor, counts: list[int], std: float, strays: int = 0) -> Tensor:
    """So many samples at each centre, up to 3.4 standard deviations away, and strays at a distance from the last."""
    places = [(centres[-1] + torch.tensor([0.0, 1.0])).expand(strays, 2)]
    for centre, count in zip(centres, counts, strict=True):
        turn = 2.4 * torch.arange(count)
        far = 3.4 * torch.arange(count) / max(1, count)
        places.append(centre + std * (far * torch.stack([turn.cos(), turn.sin()])).T)
    return torch.cat(places)


def _expect_scores(got: Any, inputs: tuple[Tensor, Tensor, float]) -> None:
    right = _scores_by_loop(*inputs)
    number = torch.as_tensor(got[2])
    require(not number.isnan().any(), "a number where a mode has no samples", "NaN", _ZEROS)
    require(not number.isinf().any(), "a finite reverse KL", "infinity", _REVERSED)
    for value, name in zip(got, _NAMES, strict=True):
        expect_number(value, name)
    # one number may agree with a mistake by chance: those that agree in all three speak first
    wholly = [pair for pair in _MISTAKES if _equal(got, pair[0](*inputs))]
    for index, (name, hint) in enumerate(zip(_NAMES, _HINTS, strict=True)):
        wrong = [(_part(mistake, index), words) for mistake, words in [*wholly, *_MISTAKES]]
        expect_close(
            got[index], right[index], name, inputs=inputs, wrong=wrong, hint=hint, atol=1e-5
        )


def _equal(got: Any, scores: tuple[Any, Any, Any]) -> bool:
    pairs = zip(got, scores, strict=True)
    return all(math.isclose(float(a), float(b), abs_tol=1e-5) for a, b in pairs)


def _part(mistake: Scores, index: int) -> Callable[[Tensor, Tensor, float], Any]:
    return lambda samples, centres, std: mistake(samples, centres, std)[index]
