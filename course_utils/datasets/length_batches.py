"""Batches of texts of like length: less padding, the same model."""

from collections.abc import Sequence

import torch
from torch import Tensor

POOL = 32
"""Batches that are sorted by length together: long enough to save padding, short enough to stay random."""


def length_order(lengths: Tensor, batch_size: int, seed: int, epoch: int = 0) -> Tensor:
    """An order of the examples in which each batch holds texts of like length, and batches come in random order.

    A random permutation is cut into pools of 32 batches, each pool is sorted by length and cut into batches, and the
    batches are shuffled. The one batch that is not full comes last, so that slices of ``batch_size`` are the batches.

    Args:
        lengths: (N,) tokens in each text.
        batch_size: texts in a batch.
        seed: of the order.
        epoch: the order is a function of seed and epoch alone; no global random number is drawn.

    Returns:
        A permutation (N,) int64.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(lengths), generator=generator)
    rest = order[len(order) - len(order) % batch_size :]
    batches: list[Tensor] = []
    for pool in order[: len(order) - len(rest)].split(POOL * batch_size):
        batches += pool[lengths[pool].argsort(stable=True)].split(batch_size)
    shuffled = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
    return torch.cat([*shuffled, rest])


def padding_share(lengths: Sequence[int] | Tensor, order: Tensor, batch_size: int) -> float:
    """Share of all positions that are padding when texts are batched in this order; in [0, 1)."""
    batches = torch.as_tensor(lengths)[order].split(batch_size)
    return 1 - sum(int(b.sum()) for b in batches) / sum(int(b.max()) * len(b) for b in batches)
