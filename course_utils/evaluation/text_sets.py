"""Sets of texts, written by a model or spoiled on purpose, and how much their texts differ (lesson 06)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.models.attention import GPT

Ids = list[int]
"""The tokens of a text."""


@torch.no_grad()
def continue_texts(
    model: GPT, beginnings: Sequence[Ids], length: int, temperature: float, seed: int = 0
) -> list[Ids]:
    """Texts of exactly ``length`` tokens that a model writes, each from a beginning of its own, all at once.

    The end token (id 0) is never written, so that all texts are of one length.

    Args:
        model: the writer.
        beginnings: token ids, all of one length, which the texts keep.
        length: tokens of a text, at most the model's context.
        temperature: of the sampling; 0 takes the most probable token each time.
        seed: of the sampling.

    Raises:
        CourseError: ``texts-length`` where the beginnings differ in length or the text does not fit.
    """
    ids = torch.tensor(_of_one_length(beginnings, length, model.context))
    random, cache = torch.Generator().manual_seed(seed), model.new_cache()
    device = model.tokens.weight.device
    logits = model(ids.to(device), cache)[:, -1]
    while ids.shape[1] < length:
        following = _choose(logits.float().cpu(), temperature, random)
        ids = torch.cat([ids, following], dim=1)
        logits = model(following.to(device), cache)[:, -1]
    return ids.tolist()


def pairs_texts(
    log_probs: Tensor, beginnings: Sequence[Ids], length: int, seed: int = 0
) -> list[Ids]:
    """Texts of ``length`` tokens drawn one by one from counted pairs, each from a beginning of its own.

    Args:
        log_probs: of the next token, (V, V), as ``language_models.bigram_log_probs`` gives them.
        beginnings: token ids, all of one length, which the texts keep.
        length: tokens of a text. The end token (id 0) is never drawn.
        seed: of the drawing.
    """
    random, ids = torch.Generator().manual_seed(seed), torch.tensor(beginnings)
    while ids.shape[1] < length:
        following = _choose(log_probs[ids[:, -1]], 1.0, random)
        ids = torch.cat([ids, following], dim=1)
    return ids.tolist()


def shuffled_words(texts: Sequence[str], seed: int = 0) -> list[str]:
    """The same words in another order: every text keeps its own words, and none of its sentences."""
    random, found = torch.Generator().manual_seed(seed), []
    for text in texts:
        words = text.split()
        order = torch.randperm(len(words), generator=random).tolist()
        found.append(" ".join(words[place] for place in order))
    return found


def distinct_share(texts: Sequence[Sequence[int | str]], length: int = 2) -> float:
    """Different runs of ``length`` items among all runs of a set of texts: near 0 where all texts say the same.

    It falls with the number and the length of the texts, so only sets of one size can be compared.

    Source: Li et al. 2016, arXiv 1510.03055, section 5 (distinct-1 and distinct-2).
    """
    runs = [
        tuple(text[place : place + length])
        for text in texts
        for place in range(len(text) - length + 1)
    ]
    return len(set(runs)) / len(runs)


def _of_one_length(beginnings: Sequence[Ids], length: int, context: int) -> Sequence[Ids]:
    found = sorted({len(ids) for ids in beginnings})
    if len(found) == 1 and 0 < found[0] <= length <= context:
        return beginnings
    raise CourseError(
        "texts-length",
        f"Beginnings of {found} tokens and texts of {length}, for a context of {context}.",
        "All texts are written at once, from beginnings of one length, and fit into the context.",
        "texts = continue_texts(model, [ids[:8] for ids in texts], 100, temperature=1.0)",
    )


def _choose(logits: Tensor, temperature: float, random: torch.Generator) -> Tensor:
    """The next token of each text: (N, V) -> (N, 1)."""
    logits[:, 0] = -torch.inf
    if temperature == 0:
        return logits.argmax(1, keepdim=True)
    return torch.multinomial((logits / temperature).softmax(1), 1, generator=random)
