"""Made-up sentences with a known verdict, for machines without any real reviews. Much easier than real ones."""

import random

from course_utils.datasets.review_readers import Raw

NAME = "made-up sentences (stand-in, not real reviews)"
COUNTS = {"train": 3_000, "validation": 400, "test": 1_000}
_SEEDS = {"train": 1, "validation": 2, "test": 3}

_THINGS = {
    "train": (
        "the acting",
        "the plot",
        "the script",
        "the music",
        "the ending",
        "the camera work",
        "the dialogue",
    ),
    "test": (
        "the cast",
        "the story",
        "the editing",
        "the score",
        "the first hour",
        "the lighting",
        "the humour",
    ),
}
_GOOD = (
    "wonderful",
    "moving",
    "clever",
    "superb",
    "delightful",
    "gripping",
    "beautiful",
    "sharp",
    "charming",
)
_BAD = (
    "dull",
    "clumsy",
    "boring",
    "awful",
    "lifeless",
    "silly",
    "annoying",
    "predictable",
    "messy",
    "painful",
)
_PLAIN = (
    "{thing} is {word}.",
    "I found {thing} {word}.",
    "{thing} was {word}, and {other} was {word2}.",
    "What I will remember: {thing}, which is {word}.",
)
_NEGATED = ("{thing} is not {word} at all.", "nobody could call {thing} {word}.")
_CONTRAST = ("{thing} may be {word}, but in the end the film is {verdict}.",)


def make(split: str) -> Raw:
    """Sentences of one part; half are positive. The parts speak of different things, as real parts do of films."""
    rng = random.Random(_SEEDS[split])
    labels = [i % 2 for i in range(COUNTS[split])]
    return Raw([_sentence(rng, label, split) for label in labels], labels)


def _sentence(rng: random.Random, label: int, split: str) -> str:
    things = _THINGS["test" if split == "test" else "train"]
    thing, other = rng.sample(things, 2)
    own, opposite = (_GOOD, _BAD) if label else (_BAD, _GOOD)
    kind = rng.choices(("plain", "negated", "contrast"), (6, 2, 2))[0]
    if kind == "plain":
        word, word2 = rng.sample(own, 2)
        text = rng.choice(_PLAIN).format(thing=thing, other=other, word=word, word2=word2)
    elif kind == "negated":
        text = rng.choice(_NEGATED).format(thing=thing, word=rng.choice(opposite))
    else:
        text = rng.choice(_CONTRAST).format(
            thing=thing, word=rng.choice(opposite), verdict=rng.choice(own)
        )
    return text[0].upper() + text[1:]
