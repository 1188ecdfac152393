"""Exercise `objections`: what speaks against a text that is too good."""

from collections.abc import Callable

from course_utils.checks.core import Answer, call, exercise, require


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


@exercise(_objections_by_table)
def objections(fn: Answer) -> None:
    """Check ``objections(prompt, text, limit, count, years, trained)`` -> set of "prompt", "length", "date".

    Sound texts, texts with one fault each, and one with all.
    """
    for prompt, text, limit, expected, hint in _CLAIMS:
        came = call(fn, prompt, text, limit, _words, dict(_YEARS), 2017)
        kind = 'Return a set of names out of "prompt", "length" and "date".'
        require(type(came) in (set, frozenset, list, tuple), "a set of names", came, kind)
        unknown = set(came) - {"prompt", "length", "date"}
        others = f"{sorted(map(str, unknown))}"
        require(not unknown, "names out of prompt, length, date", others, kind)
        shown = f"limit {limit}, {_words(text)} tokens"
        equal = set(came) == expected
        require(equal, f"{sorted(expected)} for {text!r} ({shown})", f"{sorted(came)}", hint)


def _words(text: str) -> int:
    return len(text.split()) + text.count(",") + text.count(".")
