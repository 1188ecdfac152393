"""Sentences in pairs: nearly the same words, opposite verdicts. Written for this course.

Such pairs make a *contrast set*: whoever goes by single words gets one of the two wrong. Half of `PAIRS` may be
trained on, the other half is kept; `NEGATIONS` and `OPENING` are never trained on.

Source of the idea: M. Gardner and others (2020), arXiv 2004.02709.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.datasets.reviews import ReviewSet

Pair = tuple[str, str]
"""The positive sentence, then the negative one."""

OPENING: Pair = ("It was funny, not boring.", "It was boring, not funny.")
"""The same words in another order."""

NEGATIONS: tuple[Pair, ...] = (
    ("This is not a bad film.", "This is not a good film."),
    ("The jokes are never dull.", "The jokes are never funny."),
    ("I was not bored for a moment.", "I was not amused for a moment."),
    ("There is nothing wrong with the acting.", "There is nothing right with the acting."),
    ("Nobody should miss it.", "Nobody should see it."),
    ("It is far from boring.", "It is far from exciting."),
    ("The ending does not disappoint.", "The ending does not satisfy."),
    ("I did not regret a minute of it.", "I did not enjoy a minute of it."),
    ("Hardly a scene feels false.", "Hardly a scene feels true."),
    ("I cannot fault the script.", "I cannot praise the script."),
)
"""Both sentences of a pair hold a negation; what differs is the word that is negated."""

PAIRS: Mapping[str, tuple[Pair, ...]] = {
    "negation": (
        ("The plot never drags.", "The plot never moves."),
        ("I have no complaints about the cast.", "I have no praise for the cast."),
        ("The dialogue is not clumsy.", "The dialogue is not clever."),
        ("There is not a weak scene in it.", "There is not a strong scene in it."),
        ("You will not be disappointed.", "You will not be entertained."),
        ("None of the songs are forgettable.", "None of the songs are memorable."),
        ("It is hardly a failure.", "It is hardly a success."),
        ("The pace is anything but slow.", "The pace is anything but lively."),
        ("Nothing about it feels cheap.", "Nothing about it feels fresh."),
        ("I could not stop watching.", "I could not keep watching."),
        ("It is no waste of an evening.", "It is no way to spend an evening."),
        ("The effects do not look fake.", "The effects do not look real."),
        ("Not one joke falls flat.", "Not one joke lands."),
        ("I would not change a thing.", "I would not watch it again."),
        ("The film is neither slow nor silly.", "The film is neither quick nor clever."),
        ("Her performance never rings false.", "Her performance never rings true."),
    ),
    "order": (
        ("It is charming rather than annoying.", "It is annoying rather than charming."),
        ("It was moving, not dull.", "It was dull, not moving."),
        ("A comedy that is witty and never crude.", "A comedy that is crude and never witty."),
        ("More a triumph than a mess.", "More a mess than a triumph."),
        ("I came to sneer and stayed to cheer.", "I came to cheer and stayed to sneer."),
        (
            "It is brave where it could have been timid.",
            "It is timid where it could have been brave.",
        ),
        ("What looks stupid turns out to be smart.", "What looks smart turns out to be stupid."),
        ("It is bad at first, and then it is good.", "It is good at first, and then it is bad."),
        ("I expected rubbish and got a gem.", "I expected a gem and got rubbish."),
        (
            "The film is great, unlike its awful trailer.",
            "The film is awful, unlike its great trailer.",
        ),
        (
            "It is silly in the best way, not in the worst.",
            "It is silly in the worst way, not in the best.",
        ),
        (
            "I loved the film and hated the people who talked through it.",
            "I hated the film and loved the people who talked through it.",
        ),
    ),
    "contrast": (
        ("It starts badly but ends beautifully.", "It starts beautifully but ends badly."),
        (
            "The story is thin, yet I loved every minute.",
            "The story is rich, yet I hated every minute.",
        ),
        (
            "Although the critics hated it, it is wonderful.",
            "Although the critics loved it, it is dreadful.",
        ),
        ("Despite a weak script, it works.", "Despite a fine script, it fails."),
        (
            "The acting is wooden, but who cares when the jokes are this good?",
            "The acting is fine, but who cares when the jokes are this bad?",
        ),
        (
            "It is long, loud and a joy from start to finish.",
            "It is short, quiet and a chore from start to finish.",
        ),
        (
            "What begins as a cliché grows into a small marvel.",
            "What begins as a small marvel shrinks into a cliché.",
        ),
        (
            "For all its faults, I want to see it again.",
            "For all its virtues, I never want to see it again.",
        ),
        (
            "The trailer is awful; the film is a delight.",
            "The trailer is a delight; the film is awful.",
        ),
        (
            "Even the worst scene is worth the ticket.",
            "Even the best scene is not worth the ticket.",
        ),
        ("My friends were bored; I was spellbound.", "My friends were spellbound; I was bored."),
        ("It has its problems, but it won me over.", "It has its charms, but it lost me."),
    ),
    "wish": (
        ("I wish it had been longer.", "I wish it had been shorter."),
        ("I could have watched another hour.", "I could not have watched another minute."),
        ("If only more films were like this one.", "If only this one were more like a film."),
        ("It should have won the prize.", "It should never have won the prize."),
        ("They could not have chosen a better lead.", "They could not have chosen a worse lead."),
        ("I would gladly pay to see it twice.", "I would gladly pay to forget it."),
        (
            "It could have been a disaster, and it is not.",
            "It could have been a masterpiece, and it is not.",
        ),
        (
            "Nobody wanted a sequel, but I am glad that we got one.",
            "Everybody wanted a sequel, but I am sorry that we got one.",
        ),
        ("It deserved a bigger audience.", "It deserved a smaller budget."),
        ("I would have hated to miss it.", "I would have loved to miss it."),
    ),
    "amount": (
        ("It has more ideas than most.", "It has fewer ideas than most."),
        (
            "The least predictable thriller of the year.",
            "The most predictable thriller of the year.",
        ),
        ("It has all of the book's charm.", "It has none of the book's charm."),
        ("Its only fault is that it ends.", "Its only virtue is that it ends."),
        ("I laughed more often than I yawned.", "I yawned more often than I laughed."),
        ("The best thing about it is everything.", "The best thing about it is the end."),
        (
            "I have seldom seen a worse trailer or a better film.",
            "I have seldom seen a better trailer or a worse film.",
        ),
        ("It is free of the usual clichés.", "It is full of the usual clichés."),
        ("It is worth every penny.", "It is not worth a penny."),
        (
            "One of the few sequels that earn their place.",
            "One of the many sequels that do not earn their place.",
        ),
    ),
}
"""What turns the verdict round -> the pairs."""


@dataclass(frozen=True)
class Score:
    """What a classifier makes of N pairs.

    Attributes:
        both: bool (N,), whether both sentences are right.
        sentences: bool (2 N,), whether each sentence is right, pair by pair.
    """

    both: Tensor
    sentences: Tensor


def halves() -> tuple[list[Pair], list[Pair]]:
    """The pairs to train on and those that are kept: every other one of each kind."""
    return (
        [pair for kind in PAIRS.values() for pair in kind[0::2]],
        [pair for kind in PAIRS.values() for pair in kind[1::2]],
    )


def flat(pairs: Iterable[Pair]) -> tuple[list[str], Tensor]:
    """The 2 N sentences of N pairs and their labels, int64 (2 N,): 1 positive, 0 negative."""
    texts = [text for pair in pairs for text in pair]
    return texts, torch.tensor([1, 0] * (len(texts) // 2))


def mixtures(
    train: ReviewSet, pairs: Sequence[Pair], others: int = 180
) -> dict[str, tuple[list[str], Tensor]]:
    """Two sets of one size: ordinary texts with the pairs among them, and with further ordinary texts in their place.

    Args:
        train: N texts that a network was trained on; the first ``others`` are in both sets, the last in the control.
        pairs: what only the set ``repaired`` holds.
        others: how many ordinary texts there are beside the pairs.

    Returns:
        ``control`` and ``repaired``: the texts, and their labels, int64.
    """
    texts, labels = flat(pairs)
    known = train.take(others)
    last = train.subset(range(max(0, len(train) - len(texts)), len(train)))
    return {
        "control": ([*known.texts, *last.texts], torch.cat([known.labels, last.labels])),
        "repaired": ([*known.texts, *texts], torch.cat([known.labels, labels])),
    }


def score(says_positive: Tensor | Sequence[bool]) -> Score:
    """Which sentences, and which pairs as a whole, are answered rightly.

    Args:
        says_positive: (2 N,), the answer to each sentence in the order of `flat`.
    """
    answers = torch.as_tensor(says_positive).bool().reshape(-1, 2)
    right = answers == torch.tensor([True, False])
    return Score(right.all(1), right.flatten())
