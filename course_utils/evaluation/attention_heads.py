"""What the heads of a GPT look at, over many texts: the token before, the first token, or one token of your choice."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Maps = Callable[[Sequence[int]], Tensor]
"""Token ids (T,) -> every head's weights (layers, heads, T, T); row t is the token that looks."""

HABITS = ("previous", "first", "target")


def habits(maps: Tensor, place: int) -> dict[str, Tensor]:
    """How much of its weight each head puts where, in one text: name -> (layers, heads).

    Each is a mean over the tokens that look: ``previous`` on the token just before, ``first`` on token 0 (both from
    the third token on, where they differ), ``target`` on the token at ``place``, by all tokens after it.

    Args:
        maps: weights (layers, heads, T, T).
        place: of the target; a token must come after it.
    """
    rows, after = torch.arange(2, maps.shape[-1]), torch.arange(place + 1, maps.shape[-1])
    return {
        "previous": maps[:, :, rows, rows - 1].mean(-1),
        "first": maps[:, :, rows, 0].mean(-1),
        "target": maps[:, :, after, place].mean(-1),
    }


def by_chance(length: int, place: int) -> dict[str, float]:
    """The same for a head that spreads its weight evenly over all tokens that it may see."""
    even = torch.ones(length, length).tril()
    maps = (even / even.sum(1, keepdim=True))[None, None]
    return {name: found.item() for name, found in habits(maps, place).items()}


def over_texts(
    weights: Maps, texts: Sequence[Sequence[int]], target: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The habits in each text that holds ``target``, and what even weights would give.

    Args:
        weights: ids -> maps.
        texts: token ids; those without the target before their last token are left out.
        target: id of a token.

    Returns:
        name -> (N, layers, heads), and name -> (N,).
    """
    found, even = [], []
    for ids in texts:
        if target in ids[1:-1]:
            place = list(ids).index(target, 1)
            found.append(habits(weights(ids), place))
            even.append(by_chance(len(ids), place))
    return (
        {name: torch.stack([one[name] for one in found]) for name in HABITS},
        {name: torch.tensor([one[name] for one in even]) for name in HABITS},
    )


def strongest(table: Tensor) -> tuple[int, int]:
    """(layer, head) of the largest entry of a table (layers, heads), from 0."""
    return divmod(int(table.argmax()), table.shape[1])
