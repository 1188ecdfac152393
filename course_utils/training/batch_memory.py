"""Whether a batch fits into memory, asked before anything large is allocated."""

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.machine import free_memory
from course_utils.training import processes

N = TypeVar("N", bound=nn.Module)
SHARE = 0.8  # of the free memory that a batch may take; the rest is for everything else
GRADIENTS = 2.0  # the backward pass makes a gradient of about each activation, and works with copies of some


def require_batch(batch_size: int, forward: Callable[[int], Any], device: torch.device) -> None:
    """Refuse a batch that does not fit, before it is made.

    What one example needs is counted on PyTorch's ``meta`` device, where tensors have shapes and no memory.

    Args:
        batch_size: examples in a step.
        forward: runs the forward pass of so many examples on networks made by `without_memory`.
        device: where the training will run; what is free there is the limit.

    Raises:
        CourseError: it does not fit (``memory-batch-too-large``); the message holds the largest power of two that does.
    """
    free = free_bytes(device)
    each = GRADIENTS * (saved_bytes(forward, 4) - saved_bytes(forward, 2)) / 2
    each *= processes.team().share_of_memory(
        device
    )  # of several processes each holds a part of the batch
    if free is None or batch_size * each <= SHARE * free:
        return
    fits = int(SHARE * free // each)
    smaller = 1 << max(0, fits.bit_length() - 1)
    need, have = batch_size * each / 2**30, free / 2**30
    raise CourseError(
        "memory-batch-too-large",
        f"A batch of {batch_size:,} needs about {need:,.1f} GiB and {have:,.1f} GiB are free.",
        f"Each example takes about {each / 2**20:,.1f} MiB, since every layer's output is kept for the gradients. The "
        "system would stop the program without a word.",
        f"batch_size = {smaller}",
    )


def without_memory(network: N) -> N:
    """A copy of a network whose tensors have shapes and no content."""
    memo = {id(t): torch.empty_like(t, device="meta") for t in network.buffers()}
    memo |= {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad)
        for p in network.parameters()
    }
    return copy.deepcopy(network, memo)


def saved_bytes(forward: Callable[[int], Any], count: int) -> int:
    """Bytes that a forward pass of ``count`` examples keeps for the backward pass, weights included."""
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # an address is only a name while its tensor lives

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = forward(count)
    del result
    return sum(kept.values())


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free on the device, or None where this system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_memory.on_machine()
