"""Exercise `objections`: what speaks against a text that is too good."""

from collections.abc import Callable
from typing import Any

from course_utils.checks.core import Answer, call, exercise, hinting, require


def _objections_by_table(
    prompt: str, text: str, limit: int, count: Callable[[str], int], years: dict, trained: int
) -> set[str]:
    found = {
        "prompt": not text.startswith(prompt),
        "length": count(text) > limit,
        "date": any(name in text and year > trained for name, year in years.items()),
    }
    return {name for name, yes in found.items() if yes}


_FOX = "Once upon a time there was a fox"

# Prompt, text, limit, what speaks against the text, and the hint for whoever says something else.
_CLAIMS: tuple[tuple[str, str, int, set[str], str], ...] = (
    ("Once upon", f"{_FOX}.", 9, set(), "Nothing is wrong with this one: an empty set."),
    (
        "Once upon",
        "A time ago, Once upon a hill.",
        9,
        {"prompt"},
        "The prompt must stand at the *start*.",
    ),
    (
        "Once upon",
        f"{_FOX}, and a dog.",
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


_LITERAL = (
    "A prompt is text, not a pattern: in a regular expression `.`, `?`, `+` and `(` mean something else. "
    "`startswith` compares letters; so does `in` for names."
)
_EXACT = "The prompt must come back letter by letter, capitals too."
_EVERY_NAME = (
    "Walk over *all* names: one old name beside a new one excuses nothing, in either order."
)
_LAST_YEAR = (
    "Which year is late follows from the argument `trained`; what a token is, from `count`."
)

# Prompt, text, limit, count, years, last year of training, what speaks against the text, and the hint.
_TWISTS: tuple[tuple[str, str, int, Any, dict[str, int], int, set[str], str], ...] = (
    ("2+2 (or 4)?", "2+2 (or 4)? Four.", 99, len, {}, 2017, set(), _LITERAL),
    ("a.c", "abc and more", 99, len, {}, 2017, {"prompt"}, _LITERAL),
    ("Well...", "Well, we say", 99, len, {}, 2017, {"prompt"}, _LITERAL),
    ("[x]*", "[x]* is a star", 99, len, {}, 2017, set(), _LITERAL),
    ("So", "So: C++ and net(2)", 99, len, {"C++": 2020, "net(2)": 2021}, 2019, {"date"}, _LITERAL),
    ("So", "So: GPTx2", 99, len, {"GPT.2": 2020}, 2019, set(), _LITERAL),
    ("Once upon", "once upon a time", 99, len, {}, 2017, {"prompt"}, _EXACT),
    (
        "So",
        "So Alpha met Zeta",
        99,
        len,
        {"Alpha": 2017, "Zeta": 2020},
        2017,
        {"date"},
        _EVERY_NAME,
    ),
    (
        "So",
        "So Zeta met Alpha",
        99,
        len,
        {"Zeta": 2020, "Alpha": 2017},
        2017,
        {"date"},
        _EVERY_NAME,
    ),
    ("So", "So Alpha met Zeta", 99, len, {"Alpha": 2017, "Zeta": 2020}, 2020, set(), _LAST_YEAR),
    ("So", "So Alpha met Zeta", 99, len, {"Alpha": 2017, "Zeta": 2020}, 2016, {"date"}, _LAST_YEAR),
    ("So", "So Alpha met Zeta", 17, len, {}, 2016, set(), _LAST_YEAR),
    ("So", "So Alpha met Zeta", 16, len, {}, 2016, {"length"}, _LAST_YEAR),
)


@exercise(_objections_by_table)
def objections(fn: Answer) -> None:
    """Check ``objections(prompt, text, limit, count, years, trained)`` -> set of "prompt", "length", "date".

    Sound texts, texts with one fault each, and one with all.
    """
    for prompt, text, limit, expected, hint in _CLAIMS:
        _expect_objections(fn, (prompt, text, limit, _words, _YEARS, 2017), expected, hint)
    for *claim, expected, hint in _TWISTS:
        with hinting(hint):
            _expect_objections(fn, tuple(claim), expected, hint)


def _expect_objections(fn: Answer, claim: tuple, expected: set[str], hint: str) -> None:
    prompt, text, limit, count, years, trained = claim
    came = call(fn, prompt, text, limit, count, dict(years), trained)
    kind = 'Return a set of names out of "prompt", "length" and "date".'
    require(type(came) in (set, frozenset, list, tuple), "a set of names", came, kind)
    unknown = set(came) - {"prompt", "length", "date"}
    others = f"{sorted(map(str, unknown))}"
    require(not unknown, "names out of prompt, length, date", others, kind)
    shown = f"limit {limit}, {count(text)} tokens"
    equal = set(came) == expected
    require(equal, f"{sorted(expected)} for {text!r} ({shown})", f"{sorted(came)}", hint)


def _words(text: str) -> int:
    return len(text.split()) + text.count(",") + text.count(".")
