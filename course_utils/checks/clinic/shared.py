"""What several checks of this lesson share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, CheckFailed, call, require

ZERO_LOG_ZERO = "0 log 0 is NaN on a computer and counts as 0 here: `torch.xlogy(p, p)` knows that, `log` does not."


def is_nan(answer: Any) -> bool:
    """Whether an answer is a single NaN."""
    return (
        isinstance(answer, float | Tensor)
        and torch.as_tensor(answer).numel() == 1
        and bool(torch.isnan(torch.as_tensor(answer)))
    )


def call_in_words(
    fn: Answer,
    *args: Any,
    says: Mapping[str, str],
    may_change: Sequence[Any] = (),
    returns: bool = True,
) -> Any:
    """`call`, with the hint of ``says`` whose key occurs in the message of the error that stopped ``fn``."""
    try:
        return call(fn, *args, may_change=may_change, returns=returns)
    except CheckFailed as failure:
        named = next((hint for words, hint in says.items() if words in failure.got), failure.hint)
        raise CheckFailed(failure.expected, failure.got, named) from None


def expect_pair(result: Any, what: str) -> tuple[Any, Any]:
    """Require a tuple or list of two and return both."""
    require(
        type(result) in (tuple, list) and len(result) == 2,
        what,
        result,
        "Return both, as a tuple: `return a, b`.",
    )
    return result[0], result[1]


C_RATE, G_RATE = 0.2, 0.1


Players = tuple[nn.Module, nn.Module, torch.optim.Optimizer, torch.optim.Optimizer]


def make_players() -> Players:
    """A generator, a critic and SGD for each, equal at every call."""
    random = torch.Generator().manual_seed(3)
    generator = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 3))
    critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    with torch.no_grad():
        for parameter in (*generator.parameters(), *critic.parameters()):
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=random))
    g_optimizer = torch.optim.SGD(generator.parameters(), lr=G_RATE)
    return generator, critic, g_optimizer, torch.optim.SGD(critic.parameters(), lr=C_RATE)


def make_batches() -> list[tuple[Tensor, Tensor]]:
    """Real examples and noise of three steps; their numbers differ."""
    random = torch.Generator().manual_seed(4)
    sizes = ((5, 4), (1, 3), (4, 6))
    return [
        (torch.randn(b, 3, generator=random) + 1, torch.randn(n, 2, generator=random))
        for b, n in sizes
    ]


def outcome(
    step: Callable[..., object],
    make: Callable[[], Players],
    batches: Sequence[tuple[Tensor, Tensor]],
) -> Tensor:
    """All weights after the steps, one flat row."""
    players = make()
    for real, noise in batches:
        step(*players, real, noise)
    return torch.cat(
        [p.detach().flatten() for network in players[:2] for p in network.parameters()]
    )
