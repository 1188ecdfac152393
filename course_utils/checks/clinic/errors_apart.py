"""Exercise `errors_apart`: how many standard errors a claimed accuracy lies from a known one."""

import math

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, expect_number


def _errors_by_normal(claimed: float, known: float, n: int) -> float:
    return (claimed - known) / math.sqrt(known * (1 - known) / n)


_MISTAKES: list[Wrong] = [
    (
        lambda c, k, n: math.sqrt(k * (1 - k) / n),
        "This is the standard error; asked for is the distance measured in it.",
    ),
    (
        lambda c, k, n: _errors_by_normal(c, k, n) / math.sqrt(n),
        "n is missing: this is the spread of one answer, not of a mean.",
    ),
    (lambda c, k, n: _errors_by_normal(c, k, n) * 100, "Percentages and shares are mixed."),
    (lambda c, k, n: (c - k) / (k * (1 - k) / n), "The root is missing: p(1 - p)/n is a variance."),
    (
        lambda c, k, n: (c - k) / (math.sqrt(k * (1 - k)) / n),
        "The spread of a mean falls with the root of n, not with n.",
    ),
    (
        lambda c, k, n: (c - k) / (1 / math.sqrt(n)),
        "1/sqrt(n) is too wide: a share near 1 spreads by p(1 - p) only.",
    ),
    (
        lambda c, k, n: (c - k) / (0.5 / math.sqrt(n)),
        "p = 1/2 is the widest case; at 0.95 the spread is less than half.",
    ),
    (
        lambda c, k, n: abs(_errors_by_normal(c, k, n)),
        "The sign says whether the claim lies above or below.",
    ),
    (
        lambda c, k, n: -_errors_by_normal(c, k, n),
        "The sign is turned: positive means that the claim is higher.",
    ),
]


@exercise(_errors_by_normal)
def errors_apart(fn: Answer) -> None:
    """Check ``errors_apart(claimed, known, n)``: distance in standard errors, signed.

    Above and below, large and small n; the error may be taken at either share.
    """
    for claimed, known, n in ((0.93, 0.9, 400), (0.71, 0.8, 1_000), (0.955, 0.946, 25_000)):
        got = expect_number(call(fn, claimed, known, n), "a number of standard errors")
        other = (claimed - known) / math.sqrt(claimed * (1 - claimed) / n)
        if math.isclose(got, other, rel_tol=1e-4):
            continue
        what = f"how far {claimed:.1%} lies from {known:.1%} with n = {n:,}, in standard errors"
        inputs = (claimed, known, n)
        expect_close(got, _errors_by_normal(*inputs), what, inputs=inputs, wrong=_MISTAKES)
