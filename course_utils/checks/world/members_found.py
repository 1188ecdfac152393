"""Exercise `members_found`: how many members an attack finds that may raise few false alarms."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, exercise
from course_utils.checks.metrics.shared import expect_score


def _by_trying(member_losses: Tensor, other_losses: Tensor, alarms: float) -> float:
    """The best of all borders with few enough false alarms: each other's loss is tried, and infinity."""
    borders = F.pad(other_losses, (0, 1), value=math.inf)[:, None]
    rings = (other_losses < borders).double().mean(dim=1)
    found = (member_losses < borders).double().mean(dim=1)
    return found[rings <= alarms + 1e-9].amax().item()


def _at(border: Callable[[Tensor, Tensor, float], float]) -> Answer:
    """A mistake in the border below which a text is called a member."""
    return lambda member, other, alarms: float(
        (member < border(member, other, alarms)).double().mean()
    )


def _place(losses: Tensor, place: int) -> float:
    """The loss at a place of the sorted list; infinity behind its end."""
    return losses.sort().values[place].item() if 0 <= place < len(losses) else math.inf


def _of(score: Callable[[float, int, int], float]) -> Answer:
    """A mistake made with the right share, the members' number and the others' number."""
    return lambda member, other, alarms: score(
        _by_trying(member, other, alarms), len(member), len(other)
    )


_STRICT = (
    "Called a member is what lies *below* the border. With `<=` the other text at the border rings, too, one false "
    "alarm more than allowed."
)
_BEST = (
    "The border may lie higher: k = alarms * N false alarms are allowed, so it stands at the other text behind them, "
    "sorted place k counted from 0."
)
_FAR = "That border lets more others through than allowed: at most alarms * N of them lie below it."
_TURNED = "Members have *low* losses: called a member is what lies below the border, not above it."
_WHOSE = "The border is set by the *others*: at most a share `alarms` of them may lie below it."
_SHARE = "A share of the *members* is asked for: divide by their number."
_WHOLE = (
    "A border between two losses, as `quantile` gives it, or a rounded number of alarms: k others may lie below the "
    "border, k = alarms * N rounded down, and it then goes up to the next of them."
)

_MISTAKES: list[Wrong] = [
    (
        lambda m, o, a: float((m <= _place(o, int(a * len(o)))).double().mean()),
        _STRICT,
    ),
    (_at(lambda m, o, a: o.quantile(a).item()), _WHOLE),
    (lambda m, o, a: float((m <= o.quantile(a)).double().mean()), _WHOLE),
    (_at(lambda m, o, a: o.quantile(a, interpolation="lower").item()), _WHOLE),
    (_at(lambda m, o, a: o.quantile(a, interpolation="higher").item()), _WHOLE),
    (_at(lambda m, o, a: _place(m, int(a * len(m)))), _WHOSE),
    (_at(lambda m, o, a: _place(torch.cat([m, o]), int(a * (len(m) + len(o))))), _WHOSE),
    (_at(lambda m, o, a: _place(o, max(0, int(a * len(o)) - 1))), _BEST),
    (
        lambda m, o, a: float((m <= _place(o, max(0, int(a * len(o)) - 1))).double().mean()),
        _BEST,
    ),
    (_at(lambda m, o, a: _place(o, int(a * len(o)) + 1)), _FAR),
    (_at(lambda m, o, a: _place(o, math.ceil(a * len(o)))), _WHOLE),
    (_at(lambda m, o, a: _place(o, round(a * len(o)))), _WHOLE),
    (
        lambda m, o, a: float((m > -_place(-o, int(a * len(o)))).double().mean()),
        _TURNED,
    ),
    (lambda m, o, a: float((m > o.quantile(1 - a)).double().mean()), _TURNED),
    (
        lambda m, o, a: float((m >= -_place(-o, int(a * len(o)))).double().mean()),
        _TURNED,
    ),
    (_at(lambda m, o, a: -_place(-o, int(a * len(o)))), "Sort from the lowest loss upwards."),
    (lambda m, o, a: float((m > _place(o, int(a * len(o)))).double().mean()), _TURNED),
    (lambda m, o, a: float((m >= _place(o, int(a * len(o)))).double().mean()), _TURNED),
    (
        lambda m, o, a: float((o < _place(o, int(a * len(o)))).double().mean()),
        "That is the share of *others* below the border. How many members lie there?",
    ),
    (_of(lambda share, m, o: share * m), _SHARE),
    (_of(lambda share, m, o: share * m / o), _SHARE),
    (_of(lambda share, m, o: share * m / (m + o)), _SHARE),
    (_of(lambda share, m, o: share / o), _SHARE),
    (_of(lambda share, m, o: 100 * share), "A share from 0 to 1 is asked for, not per cent."),
    (
        lambda m, o, a: float((m < a).double().mean()),
        "`alarms` is a share of the others, no loss: which border has that share of them below it?",
    ),
]
_END = (
    "All others may lie below: then everybody is called a member, and all members are found, 1.0. Is there a border "
    "above the highest loss?"
)
_WORKED = (
    "By hand: others 1, 2, 3, 4 and a quarter of false alarms: one of them, the 1, may lie below the border, so it "
    "stands at 2. Of the members 0, 1, 2, 5 two lie below it: 0.5."
)


@exercise(_by_trying)
def members_found(fn: Answer) -> None:
    """Check ``members_found(member_losses, other_losses, alarms)`` -> share of the members, in [0, 1].

    A text is called a member where its loss is *lower* than a border. The border is the highest one below which at most
    a share ``alarms`` of the others (M,) lies; members are (N,), all float32. Source: arXiv 2112.03570, section III.
    """
    member = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.5, 0.125, 1.25])
    other = torch.tensor([0.375, 1.5, 1.0, 3.0, 3.25, 1.75, 2.5, 2.25])
    with_ties = torch.tensor([1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 0.5, 0.75])
    random = torch.Generator().manual_seed(5)
    many = (torch.randn(70, generator=random) - 0.7, torch.randn(50, generator=random))
    _expect(fn, *many, 0.02, "found of 70 members, 2 % of 50 others may lie below")
    _expect(fn, *many, 0.11, "found of 70 members, 11 % of 50 others may lie below")
    _expect(fn, member, other, 0.25, "found of 7 members, a quarter of 8 others may lie below")
    _expect(fn, member, other, 0.5, "found of 7 members, half of 8 others may lie below")
    _expect(fn, member, with_ties, 0.5, "found of 7 members, half of 8 others, with ties")
    _expect(fn, member, other, 0.0, "found of 7 members without a false alarm")
    _expect(fn, member, other, 1.0, "found of 7 members where all others may lie below", _END)


def _expect(
    fn: Answer, member: Tensor, other: Tensor, alarms: float, what: str, hint: str = _WORKED
) -> None:
    inputs = (member, other, alarms)
    says = {"IndexError": _END, "out of bounds": _END, "out of range": _END}
    wrong = [] if hint == _END else _MISTAKES
    expect_score(fn, inputs, _by_trying(*inputs), what, wrong, hint, says=says)
