"""Texts with one small change that leaves their meaning alone: a typo, or a woman in the place of a man."""

import re
from collections.abc import Iterator, Mapping

WOMEN: Mapping[str, str] = {
    "he": "she",
    "his": "her",
    "him": "her",
    "himself": "herself",
    "man": "woman",
    "men": "women",
    "boy": "girl",
    "actor": "actress",
    "father": "mother",
    "son": "daughter",
    "husband": "wife",
    "brother": "sister",
}
"""Word for a man -> word for a woman."""
_MAN = re.compile(rf"\b({'|'.join(WOMEN)})\b", re.IGNORECASE)


def misspelt(text: str) -> Iterator[str]:
    """Every text that one typo makes: the second and third letter of a word of four or more letters swapped."""
    words = text.split()
    for i, word in enumerate(words):
        if len(word) > 3 and word[1] != word[2]:
            wrong = word[0] + word[2] + word[1] + word[3:]
            yield " ".join([*words[:i], wrong, *words[i + 1 :]])


def about_men(text: str) -> bool:
    """Whether one of the words of `WOMEN` for a man stands in a text."""
    return _MAN.search(text) is not None


def about_women(text: str) -> str:
    """The text with each such word replaced by that for a woman; a capital stays a capital."""

    def swap(found: re.Match[str]) -> str:
        word = WOMEN[found[0].lower()]
        return word.title() if found[0][0].isupper() else word

    return _MAN.sub(swap, text)
