"""Exercise `share_cut`: the share of all tokens that a limit on the length throws away."""

from collections.abc import Sequence

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, expect_number


def _share_by_kept(lengths: Sequence[int], limit: int) -> float:
    """One minus the share that is kept."""
    return 1 - sum(min(n, limit) for n in lengths) / sum(lengths)


_MISTAKES: list[Wrong] = [
    (
        lambda n, m: sum(x > m for x in n) / len(n),
        "This is the share of *reviews* that are cut. How many tokens do they lose?",
    ),
    (
        lambda n, m: sum(max(0, 1 - m / x) for x in n) / len(n),
        "A mean of shares gives a short review the weight of a long one: add up tokens first, divide once.",
    ),
    (lambda n, m: 1 - _share_by_kept(n, m), "This is the share that is kept."),
    (
        lambda n, m: max(0, 1 - m / (sum(n) / len(n))),
        "The mean review hides the long ones: cut each before adding.",
    ),
    (
        lambda n, m: 1 - sum(n) / (m * len(n)),
        "This is about padding: how much of a full table would be empty.",
    ),
    (lambda n, m: sum(max(0, m - x) for x in n) / (m * len(n)), "This is padding, not loss."),
    (
        lambda n, m: 100 * _share_by_kept(n, m),
        "A share lies between 0 and 1; this is a percentage.",
    ),
    (
        lambda n, m: sum(max(0, x - m) for x in n) / len(n),
        "These are tokens lost per review; divide by all tokens.",
    ),
]


@exercise(_share_by_kept)
def share_cut(fn: Answer) -> None:
    """Check ``share_cut(lengths, limit)``: share of all tokens that a limit throws away.

    Some cut, none cut, all cut.
    """
    for lengths, limit in (([30, 500, 128, 129], 128), ([700, 600, 800], 256), ([10, 20], 64)):
        inputs, what = (lengths, limit), f"the share of tokens lost of {lengths} at {limit}"
        got = expect_number(call(fn, *inputs), "a share")
        expect_close(got, _share_by_kept(*inputs), what, inputs=inputs, wrong=_MISTAKES)
