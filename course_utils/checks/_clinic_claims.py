"""Checks of the clinic's claims, 7.19 to 7.21: an accuracy, a text "
"and an address that cannot be what they are called.
"""

import hashlib
import math
from collections.abc import Callable

from course_utils.checks import Answer, Wrong, call, expect_close, expect_number, require

# ---------------------------------------------------------------- 7.19 how many standard errors?


def errors_by_normal(claimed: float, known: float, n: int) -> float:
    """The reference."""
    return (claimed - known) / math.sqrt(known * (1 - known) / n)


_WRONG_ERRORS: list[Wrong] = [
    (
        lambda c, k, n: math.sqrt(k * (1 - k) / n),
        "This is the standard error; asked for is the distance measured in it.",
    ),
    (
        lambda c, k, n: errors_by_normal(c, k, n) / math.sqrt(n),
        "n is missing: this is the spread of one answer, not of a mean.",
    ),
    (lambda c, k, n: errors_by_normal(c, k, n) * 100, "Percentages and shares are mixed."),
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
        lambda c, k, n: abs(errors_by_normal(c, k, n)),
        "The sign says whether the claim lies above or below.",
    ),
    (
        lambda c, k, n: -errors_by_normal(c, k, n),
        "The sign is turned: positive means that the claim is higher.",
    ),
]


def inspect_errors(fn: Answer) -> None:
    """Above and below, large and small n; the error may be taken at either share."""
    for claimed, known, n in ((0.93, 0.9, 400), (0.71, 0.8, 1_000), (0.955, 0.946, 25_000)):
        got = expect_number(call(fn, claimed, known, n), "a number of standard errors")
        other = (claimed - known) / math.sqrt(claimed * (1 - claimed) / n)
        if math.isclose(got, other, rel_tol=1e-4):
            continue
        what = f"how far {claimed:.1%} lies from {known:.1%} with n = {n:,}, in standard errors"
        expect_close(
            got,
            errors_by_normal(claimed, known, n),
            what,
            inputs=(claimed, known, n),
            wrong=_WRONG_ERRORS,
        )


# ---------------------------------------------------------------- 7.20 can this text be what it is called?


def objections_by_table(
    prompt: str, text: str, limit: int, count: Callable[[str], int], years: dict, trained: int
) -> set:
    """The reference."""
    found = {
        "prompt": not text.startswith(prompt),
        "length": count(text) > limit,
        "date": any(name in text and year > trained for name, year in years.items()),
    }
    return {name for name, yes in found.items() if yes}


_CLAIMS = (
    (
        "Once upon",
        "Once upon a time there was a fox.",
        9,
        set(),
        "Nothing is wrong with this one: an empty set.",
    ),
    (
        "Once upon",
        "A time ago, Once upon a hill.",
        9,
        {"prompt"},
        "The prompt must stand at the *start*.",
    ),
    (
        "Once upon",
        "Once upon a time there was a fox, and a dog.",
        12,
        {"length"},
        "Count the tokens of all of it, prompt included.",
    ),
    (
        "So",
        "So says Zeta, a network.",
        9,
        {"date"},
        "Zeta appeared after the training data were collected.",
    ),
    (
        "So",
        "So says Alpha, a network.",
        9,
        set(),
        "Alpha is as old as the training data: it can be known.",
    ),
    (
        "So",
        "Thus spoke Zeta to all of us in the end, at length.",
        9,
        {"prompt", "length", "date"},
        "Name all that apply.",
    ),
)
_YEARS = {"Alpha": 2017, "Zeta": 2020}


def _words(text: str) -> int:
    return len(text.split()) + text.count(",") + text.count(".")


def inspect_objections(fn: Answer) -> None:
    """Sound texts, texts with one fault each, and one with all."""
    for prompt, text, limit, expected, hint in _CLAIMS:
        came = call(fn, prompt, text, limit, _words, dict(_YEARS), 2017)
        kind = 'Return a set of names out of "prompt", "length" and "date".'
        require(type(came) in (set, frozenset, list, tuple), "a set of names", came, kind)
        unknown = set(came) - {"prompt", "length", "date"}
        require(
            not unknown, "names out of prompt, length, date", f"{sorted(map(str, unknown))}", kind
        )
        shown = f"limit {limit}, {_words(text)} tokens"
        equal = set(came) == expected
        require(equal, f"{sorted(expected)} for {text!r} ({shown})", f"{sorted(came)}", hint)


# ---------------------------------------------------------------- 7.21 can this address exist?


def folder_by_digest(name: str) -> str:
    """The reference."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[0]}/{digest[:2]}"


_WRONG_FOLDER: list[tuple[Callable[[str], str], str]] = [
    (
        lambda n: folder_by_digest(n.removesuffix("." + n.rpartition(".")[2])),
        "The ending belongs to the name.",
    ),
    (lambda n: folder_by_digest(n.replace("_", " ")), "The underscores are part of the name."),
    (lambda n: folder_by_digest(n.lower()), "Capitals count: the name goes in as it is."),
    (
        lambda n: folder_by_digest(n)[2:],
        "Two levels: the first digit, a slash, the first two digits.",
    ),
    (
        lambda n: folder_by_digest(n)[:2] + folder_by_digest(n)[3:],
        "The second level has the first *two* digits.",
    ),
    (
        lambda n: _of(hashlib.sha256(n.encode()).hexdigest()),
        "SHA-256 is another digest: these folders come from MD5.",
    ),
    (
        lambda n: _of(hashlib.sha1(n.encode(), usedforsecurity=False).hexdigest()),
        "SHA-1 is another digest; MD5 it is.",
    ),
    (lambda n: folder_by_digest(n).upper(), "Lower-case digits, as `hexdigest` gives them."),
]


def _of(digest: str) -> str:
    return f"{digest[0]}/{digest[:2]}"


def inspect_folder(fn: Answer) -> None:
    """Genuine names, whose folders anybody can look up, and one with other letters."""
    for name, expected in (
        ("Example.jpg", "a/a9"),
        ("Lenna_(test_image).png", "7/7d"),
        ("Été.png", folder_by_digest("Été.png")),
    ):
        came = call(fn, name)
        require(
            type(came) is str,
            f"{expected} for {name}",
            came,
            "Return a text, and nothing around it.",
        )
        hint = next(
            (h for f, h in _WRONG_FOLDER if came == f(name)),
            "Digest of the name's UTF-8 bytes, as hexadecimal.",
        )
        require(came == expected, f"{expected} for {name}", repr(came), hint)
