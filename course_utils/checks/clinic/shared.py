"""What several checks of the clinic share: NaN, pairs, and two small networks with their batches."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.checks.core import require

Players = tuple[nn.Module, nn.Module, torch.optim.Optimizer, torch.optim.Optimizer]
"""Generator, critic, and an optimiser for each."""

ZERO_LOG_ZERO = "0 log 0 is NaN on a computer and counts as 0 here: `torch.xlogy(p, p)` knows that, `log` does not."
_C_RATE, _G_RATE = 0.2, 0.1


def is_nan(answer: Any) -> bool:
    """Whether an answer is a single NaN."""
    if not isinstance(answer, float | Tensor | np.floating | np.ndarray):
        return False
    number = torch.as_tensor(answer)
    return number.numel() == 1 and bool(number.isnan())


def expect_pair(result: Any, what: str) -> tuple[Any, Any]:
    """Require a tuple or list of two and return both."""
    pair = type(result) in (tuple, list) and len(result) == 2
    require(pair, what, result, "Return both, as a tuple: `return a, b`.")
    return result[0], result[1]


def make_players() -> Players:
    """A generator, a critic and SGD for each, equal at every call."""
    random = torch.Generator().manual_seed(3)
    generator = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 3))
    critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    with torch.no_grad():
        for parameter in (*generator.parameters(), *critic.parameters()):
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=random))
    g_optimizer = torch.optim.SGD(generator.parameters(), lr=_G_RATE)
    return generator, critic, g_optimizer, torch.optim.SGD(critic.parameters(), lr=_C_RATE)


def make_batches() -> list[tuple[Tensor, Tensor]]:
    """Real examples and noise of three steps; their numbers differ."""
    random = torch.Generator().manual_seed(4)
    sizes = ((5, 4), (1, 3), (4, 6))
    return [
        (torch.randn(b, 3, generator=random) + 1, torch.randn(n, 2, generator=random))
        for b, n in sizes
    ]
