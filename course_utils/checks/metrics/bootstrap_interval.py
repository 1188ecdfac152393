"""Exercise `bootstrap_interval`: a percentile bootstrap of any statistic."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils.checks.core import Answer, call, exercise, expect_number, require


def _bootstrap_by_counts(
    values: Tensor, statistic: Callable[[Tensor], Any], repeats: int, generator: torch.Generator
) -> tuple[float, float]:
    """By how often each row is drawn (multinomial counts)."""
    n, results = len(values), []
    for _ in range(repeats):
        drawn = torch.multinomial(torch.ones(n), n, replacement=True, generator=generator)
        counts = torch.bincount(drawn, minlength=n)
        results.append(float(statistic(values.repeat_interleave(counts, dim=0))))
    low, high = np.percentile(results, [2.5, 97.5])
    return float(low), float(high)


_PAIR = "Return the two ends, the lower one first: `return low, high`."
_UNSORTED = (
    "Sort the results before you take the 2.5 and 97.5 % points: in the order of drawing, entry 0.025 * repeats is any "
    "of them."
)
_SAME_TWICE = (
    "Two calls with one generator gave the same interval: a copy or its `initial_seed()` starts anew each time. Draw "
    "from the generator itself, so that it moves on."
)
_ROWS = (
    "Each resample has as many rows as the data, drawn with replacement: N numbers from 0 to N - 1."
)
_ONE_DRAW = "One resample served for all repeats: draw the row numbers anew for each of them, within the loop."
_ENDS = (
    "These are the smallest and the largest result: 2.5 % of the results lie outside of each end."
)
_ALIKE = "All results are alike: draw *with* replacement, or each resample is the same set in another order."

# Width of the interval of a mean, in units of the right one, and what gives that width.
_WIDTHS = (
    (0.0, _ALIKE),
    (0.344, "The middle half (25 to 75 %): 95 % lie between the 2.5 and the 97.5 % points."),
    (
        0.51,
        "One standard error to each side is 68 %: take the 2.5 and 97.5 % points of the results.",
    ),
    (0.84, "The 5 and 95 % points enclose 90 %. For 95 % cut 2.5 % off at each end."),
    (1.313, "The 0.5 and 99.5 % points enclose 99 %. For 95 % cut 2.5 % off at each end."),
)

_WORKED = (
    "Of 1,000 sorted results the lower end is near number 25 and the upper one near number 975: 2.5 % of 1,000 = 25 "
    "lie outside of each."
)
_REPEATS = 4_000


@exercise(_bootstrap_by_counts)
def bootstrap_interval(fn: Answer) -> None:
    """Check ``bootstrap_interval(values, statistic, repeats, generator)`` -> (low, high)."""
    _lower_first(fn)
    _whole_rows(fn)
    _repeatable(fn)
    _as_wide_as_the_mean(fn)
    _points_and_no_symmetric_formula(fn)


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def _interval(
    fn: Answer, values: Tensor, statistic: Callable[[Tensor], Any], repeats: int, seed: int
) -> list[float]:
    return _asked(fn, values, statistic, repeats, torch.Generator().manual_seed(seed))


def _asked(fn: Answer, *arguments: Any) -> list[float]:
    got = call(fn, *arguments)
    pair = got.tolist() if isinstance(got, Tensor | np.ndarray) else got
    two = isinstance(pair, tuple | list) and len(pair) == 2
    require(two, "two numbers, low and high", got, _PAIR)
    return [expect_number(v, "an end of the interval") for v in pair]


def _lower_first(fn: Answer) -> None:
    values = torch.randn(30)
    pairs = [_interval(fn, values, _mean, 40, seed) for seed in range(11, 19)]
    turned = [pair for pair in pairs if pair[0] > pair[1]]
    hint = _PAIR if len(turned) == len(pairs) else _UNSORTED
    shown = f"({turned[0][0]:.4g}, {turned[0][1]:.4g})" if turned else ""
    require(not turned, "the lower end first", shown, hint)


def _whole_rows(fn: Answer) -> None:
    """Measurements that belong together stay together, N rows at a time, as often as asked for."""
    first = torch.arange(1.0, 13.0)
    values, seen = torch.stack([first, 100 * first], dim=1), []

    def spy(rows: Any) -> float:
        seen.append(torch.as_tensor(rows).clone())
        return float(seen[-1].double().mean()) if len(seen[-1]) else 0.0

    _interval(fn, values, spy, 50, 1)
    what, came = "the statistic of many resamples", "the statistic is never called"
    require(bool(seen), what, came, "Call `statistic(resample)`.")
    shapes = sorted({tuple(rows.shape) for rows in seen})
    other = next((shape for shape in shapes if shape != (12, 2)), None)
    require(other is None, "resamples of the data's shape (12, 2)", f"shape {other}", _ROWS)
    pairs = torch.cat(seen)
    known = bool(torch.isin(pairs, values).all())
    first_again = all(torch.equal(rows, seen[0]) for rows in seen)
    require(not first_again, "50 different resamples", "the same one 50 times", _ONE_DRAW)
    drawn = "The data are drawn from; nothing is added."
    require(known, "rows of the data", "numbers that are not in the data", drawn)
    torn = (
        "Whole rows are drawn: the numbers of one row were measured on one image and stay together."
    )
    together = torch.equal(pairs[:, 1], 100 * pairs[:, 0])
    require(together, "rows of the data", "rows that mix two rows of the data", torn)
    doubles = any(len(rows[:, 0].unique()) < 12 for rows in seen)
    what, came = "resamples in which some rows come twice", "every row once in each resample"
    require(doubles, what, came, _ALIKE)
    never = sorted(set(first.tolist()) - set(pairs[:, 0].tolist()))
    missed = f"row {int(never[0]) - 1} never" if never else ""
    off = "Every row can be drawn, the first and the last as well: torch.randint(N, ...) gives 0 to N - 1."
    require(not never, "each row in some of 50 resamples", missed, off)
    hint = "Draw `repeats` resamples, and call the statistic once on each."
    enough = 50 <= len(seen) <= 54  # a few calls on the data themselves do no harm
    require(enough, "50 resamples for repeats = 50", f"{len(seen)} calls of the statistic", hint)


def _repeatable(fn: Answer) -> None:
    values = torch.randn(30)
    one, again, other = (_interval(fn, values, _mean, 40, seed) for seed in (1, 1, 2))
    going_on = torch.Generator().manual_seed(1)
    twice = [_asked(fn, values, _mean, 40, going_on) for _ in range(2)]
    what = "the same interval from a generator in the same state"
    ignored = (
        "Give the generator to the function that draws: torch.randint(..., generator=generator)."
    )
    require(one == again, what, "two different ones", ignored)
    fixed = "Another generator changes nothing: is a seed set inside, or the data never resampled at random?"
    require(one != other, "another interval from another generator", "the same one", fixed)
    moved = "another interval from the same generator, asked again"
    require(twice[0] != twice[1], moved, "the same one", _SAME_TWICE)


def _as_wide_as_the_mean(fn: Answer) -> None:
    """For a mean the large-sample interval is known: 1.96 standard errors to each side."""
    values = torch.randn(400, dtype=torch.float64) + 3
    error = values.std(correction=0).item() / 20
    right = [_mean(values) - 1.96 * error, _mean(values) + 1.96 * error]
    got = _interval(fn, values, _mean, _REPEATS, 3)
    if all(abs(a - b) < 0.22 * error for a, b in zip(got, right, strict=True)):
        return
    width = (got[1] - got[0]) / (right[1] - right[0])
    centre = (got[0] + got[1]) / 2 - _mean(values)
    hint = _WORKED
    for known, text in _WIDTHS:
        hint = text if abs(width - known) < 0.06 and abs(centre) < 0.5 * error else hint
    if 1.5 < width < 2.3 and abs(centre) < 0.5 * error:
        hint = _ENDS
    if width > 2.5:
        hint = "That is the spread of single values. An interval of a *statistic* comes from its values on resamples."
    elif abs(centre + _mean(values)) < error:
        hint = "This lies around 0: do not subtract the statistic of the data."
    elif abs(width - 0.5) < 0.06 and abs(abs(centre) - 0.98 * error) < 0.3 * error:
        hint = "One end is at the middle: 95 % lie between the 2.5 % and the 97.5 % point, not below one 95 % point."
    ends = [abs(abs(end - _mean(values)) / error - 0.674) < 0.12 for end in got]
    if ends[0] != ends[1]:
        hint = "One end is the 25 or 75 % point: 2.5 % is 0.025."
    shown = [f"({low:.4f}, {high:.4f})" for low, high in (right, got)]
    require(False, f"about {shown[0]} for the mean of 400 values", shown[1], hint)


def _points_and_no_symmetric_formula(fn: Answer) -> None:
    """No resample has a larger maximum than the data: points of the results never lie above it."""
    values = torch.rand(40).square()
    low, high = _interval(fn, values, lambda rows: float(rows.max()), 400, 4)
    most = float(values.max())
    hint = (
        "No resample has a maximum above the data's. Take the 2.5 and 97.5 % points of the results themselves: no "
        "statistic ± 1.96 standard deviations, and nothing reflected about the statistic."
    )
    what = f"an upper end of at most {most:.4f} for a maximum"
    require(high <= most + 1e-6, what, f"{high:.4f}", hint)
    right = abs(high - most) < 1e-4 and low < most - 1e-6
    require(right, f"an upper end of {most:.4f}", f"({low:.4f}, {high:.4f})", hint)
