"""Exercise `training_cost`: what a computation takes in hours, kilowatt hours and money."""

from collections.abc import Callable
from typing import Any

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_number,
    require,
)

_JOULES = 3.6e6
"""In a kilowatt hour."""


def _by_joules(
    flops: float, flops_per_second: float, watts: float, price_per_kwh: float
) -> tuple[float, float, float]:
    """By way of seconds and joules."""
    seconds = flops / flops_per_second
    kwh = seconds * watts / _JOULES
    return seconds / 3_600, kwh, kwh * price_per_kwh


def _with(part: Callable[[float, float, float, float], float]) -> Answer:
    """A mistake made with seconds, watts, the price and operations per second."""
    return lambda flops, rate, watts, price: part(flops / rate, watts, price, rate)


_HOURS: list[Wrong] = [
    (_with(lambda s, w, p, r: s), "Those are seconds: an hour has 3,600."),
    (_with(lambda s, w, p, r: s / 60), "Those are minutes: an hour has 3,600 seconds."),
    (
        _with(lambda s, w, p, r: s * 3600),
        "Seconds are divided by 3,600 to give hours, not multiplied.",
    ),
    (_with(lambda s, w, p, r: s / 86400), "Those are days: an hour has 3,600 seconds."),
    (
        _with(lambda s, w, p, r: s * r * r / 3600),
        "The work is divided by the speed, not multiplied.",
    ),
    (
        _with(lambda s, w, p, r: 1 / s / 3600),
        "The work is divided by the speed, not the speed by it.",
    ),
    (_with(lambda s, w, p, r: 3600 / s), "That is how often it would fit into an hour."),
    (
        lambda flops, rate, *rest: flops // rate / 3600,
        "`//` drops the part behind the point: divide with `/`.",
    ),
    (
        lambda flops, rate, *rest: flops // rate // 3600,
        "`//` drops the part behind the point: divide with `/`.",
    ),
    (
        lambda flops, rate, *rest: flops / rate // 3600,
        "`//` drops the part behind the point: divide with `/`.",
    ),
]
_KWH: list[Wrong] = [
    (
        _with(lambda s, w, p, r: s / 3600 * w),
        "Those are watt hours: a kilowatt hour has 1,000 of them.",
    ),
    (_with(lambda s, w, p, r: s * w), "Those are joules: a kilowatt hour has 3.6 million of them."),
    (
        _with(lambda s, w, p, r: s * w / 1000),
        "Those are kilojoules, seconds times kilowatts: take hours.",
    ),
    (_with(lambda s, w, p, r: s * w / 60000), "Those are kilowatt minutes: take hours."),
    (_with(lambda s, w, p, r: s / 3600 * w / 1024), "Kilo is 1,000 for watts, not 1,024."),
    (
        _with(lambda s, w, p, r: w / 1000),
        "Those are kilowatts, the power. Energy is power times hours.",
    ),
    (
        _with(lambda s, w, p, r: w / 1000 / (s / 3600)),
        "Power is multiplied by hours, not divided by them.",
    ),
    (_with(lambda s, w, p, r: s / 3600 * w * p / 1000), "That is the money; energy comes second."),
]
_MONEY: list[Wrong] = [
    (
        _with(lambda s, w, p, r: s / 3600 * w * p),
        "The price is that of a kilowatt hour, and was multiplied by watt hours.",
    ),
    (
        _with(lambda s, w, p, r: s / 3600 * p),
        "The price is that of a kilowatt hour, not of an hour.",
    ),
    (
        _with(lambda s, w, p, r: s * w / 3.6e6 / p),
        "Energy is multiplied by its price, not divided by it.",
    ),
    (
        _with(lambda s, w, p, r: s * w / 3.6e6 * p / 100),
        "The price comes in one currency, and the money goes back in the same: no cents.",
    ),
    (
        _with(lambda s, w, p, r: s * w / 3.6e6 * p * 100),
        "The price comes in one currency, and the money goes back in the same: no cents.",
    ),
    (_with(lambda s, w, p, r: s * w / 3.6e6), "That is the energy again: times its price."),
    (
        _with(lambda s, w, p, r: s * w * p / 1000),
        "The price was multiplied by kilojoules, not kWh.",
    ),
]
_PARTS = (("hours", _HOURS), ("kWh", _KWH), ("money", _MONEY))
_RIGHT: tuple[Callable[[float, float, float, float], float], ...] = (
    lambda s, w, p, r: s / 3600,
    lambda s, w, p, r: s * w / _JOULES,
    lambda s, w, p, r: s * w / _JOULES * p,
)
_ORDER = "The three are right, their order is not: `return hours, kwh, money`."
_THREE = "Return three numbers in this order: `return hours, kwh, money`."
_ROUNDED = "Rounded: one answer costs little, and its money would be 0. Round where you print."


def _rounded(part: Callable[[float, float, float, float], float], digits: int) -> Answer:
    return _with(lambda s, w, p, r: round(part(s, w, p, r), digits))


for (_, _wrong), _part in zip(_PARTS, _RIGHT, strict=True):
    _wrong += [(_rounded(_part, digits), _ROUNDED) for digits in range(6)]


@exercise(_by_joules)
def training_cost(fn: Answer) -> None:
    """Check ``training_cost(flops, flops_per_second, watts, price_per_kwh)`` -> (hours, kWh, money).

    ``flops`` are all operations, ``flops_per_second`` what the machine really does, ``watts`` its power; money in the
    currency of the price. A kilowatt hour is 1,000 watts for an hour.
    """
    _expect(fn, (2.7e15, 4.0e10, 65.0, 0.31), "a laptop's evening")
    _expect(fn, (10**21 + 10**20, 3 * 10**14, 700, 2), "a graphics card's month")
    _expect(fn, (3.0e9, 4.0e10, 65.0, 0.31), "one answer", _ROUNDED)


def _expect(fn: Answer, inputs: tuple[float, ...], case: str, hint: str = "") -> None:
    came: Any = call(fn, *inputs)
    three = isinstance(came, tuple | list) and len(came) == 3
    require(three, "three numbers: hours, kWh and money", came, _THREE)
    expected = _by_joules(*inputs)
    numbers = [expect_number(part, name) for part, (name, _) in zip(came, _PARTS, strict=True)]
    turned = not _near(numbers, expected) and _near(sorted(numbers), sorted(expected))
    require(not turned, f"{case}: hours, kWh, money", "another order", _ORDER)
    for number, right, (name, wrong) in zip(numbers, expected, _PARTS, strict=True):
        told = hint or _WORKED
        what = f"{case}: {name}"
        expect_close(number, right, what, inputs=inputs, wrong=wrong, hint=told, atol=0.0)


_WORKED = (
    "By hand: 7.2e12 operations at 1e9 a second are 7,200 seconds = 2 hours. At 500 watts that is 2 * 0.5 = 1 kWh, and "
    "at 0.3 for one the money is 0.3."
)


def _near(numbers: list[float], others: tuple[float, ...] | list[float]) -> bool:
    pairs = zip(numbers, others, strict=True)
    return all(abs(one - other) <= 1e-4 * abs(other) for one, other in pairs)
