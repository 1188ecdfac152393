"""Exercise `keep_ends`: a repair; a text that is too long keeps its beginning, its end and BERT's two marks."""

from typing import Any

from course_utils.checks.core import Answer, CheckFailed, Wrong, call, describe, exercise, require

Cut = list[int]


def _ends_by_places(ids: Cut, limit: int) -> Cut:
    """The token at each place is kept if it is among the first half or the last half of what may stay."""
    first = limit // 2
    last = len(ids) - (limit - first)
    return [token for place, token in enumerate(ids) if place < first or place >= last]


_MISTAKES: list[Wrong] = [
    (
        lambda ids, n: ids[:n],
        "This is the beginning alone, and [SEP] is gone: where does a verdict stand?",
    ),
    (
        lambda ids, n: ids[: n - 1] + ids[-1:] if len(ids) > n else ids[:],
        "The marks are right, but only the beginning is kept: half of the places belong to the end.",
    ),
    (
        lambda ids, n: ids[-n:],
        "This is the end alone, and [CLS], whose state the classifier reads, is gone.",
    ),
    (
        lambda ids, n: ids[:1] + ids[len(ids) - n + 1 :] if len(ids) > n else ids[:],
        "The marks are right, but only the end is kept: half of the places belong to the beginning.",
    ),
    (
        lambda ids, n: ids[: n // 2] + ids[-(n // 2) :] if len(ids) > n else ids[:],
        "With an odd limit one place stays empty: the end gets limit - limit // 2.",
    ),
    (
        lambda ids, n: ids[: n // 2] + ids[n // 2 - n :],
        "A text that is shorter than the limit has some of its tokens twice: look at its length first.",
    ),
    (
        lambda ids, n: ids[: n - n // 2] + ids[len(ids) - n // 2 :] if len(ids) > n else ids[:],
        "With an odd limit the extra place belongs to the end, where verdicts stand.",
    ),
    (
        lambda ids, n: (
            ids[:1] + ids[1 : 1 + n // 2] + ids[-1 - (n - n // 2) : -1] + ids[-1:]
            if len(ids) > n
            else ids[:]
        ),
        "Two tokens too many: [CLS] and [SEP] take places of the limit.",
    ),
    (
        lambda ids, n: (
            ids[1 : 1 + n // 2] + ids[-1 - (n - n // 2) : -1] if len(ids) > n else ids[:]
        ),
        "[CLS] and [SEP] are cut away: they are the first and the last token, and both stay.",
    ),
]

_LIMITS = (
    (20, 8, 102),
    (21, 7, 102),
    (5, 8, 102),
    (8, 8, 102),
    (9, 8, 102),
    (300, 128, 102),
    (9, 5, 3),
)
"""Lengths, limits, and the id of [SEP], which another tokenizer may number in another way."""
_OWN_MARK = "This [SEP] is written down. It has another number in other tokenizers: keep the last id that came."
_WORKED = (
    "By hand: of the places 0 to 7 a limit of 5 keeps 0 1 and 5 6 7, for 5 // 2 = 2 and the other 3 are the end's. "
    "Strike out in your own what goes."
)


@exercise(_ends_by_places)
def keep_ends(fn: Answer) -> None:
    """Check ``keep_ends(ids, limit)``: token ids with [CLS] first and [SEP] last -> at most ``limit`` of them."""
    for length, limit, mark in _LIMITS:
        ids = [101, *range(1000, 1000 + length - 2), mark]
        expected = _ends_by_places(ids, limit)
        got = call(fn, list(ids), limit)
        what = f"of {length} tokens at limit {limit}: a list of {len(expected)} ids"
        require(_are_ids(got), what, got, "Return a list of the ids themselves.")
        if got == expected:
            continue
        named = next((hint for wrong, hint in _MISTAKES if wrong(ids, limit) == got), None)
        if named is None and mark not in got and got[:-1] == expected[:-1]:
            named = _OWN_MARK
        came = f"{len(got)} ids, {describe(got)}"
        raise CheckFailed(what, came, named or _WORKED)


def _are_ids(got: Any) -> bool:
    return type(got) is list and all(type(one) is int for one in got)
