"""What the checks of lesson 09 share: a field that tells the answer how it was asked."""

import torch
from torch import Tensor, nn

NOT_ONE_EACH = "one time for each example"
"""Words of the error of `require_times`, by which a check explains it."""
TIMES = (
    "The network takes t as (B,), one number for each example. The shape with ones, (B, 1, 1, 1), is only for "
    "multiplying pictures; a bare number is no tensor."
)


def require_times(x: Tensor, t: Tensor) -> None:
    """Stop unless ``t`` is a float tensor (B,).

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(t, Tensor) or t.shape != x.shape[:1] or not t.is_floating_point():
        came = f"shape {tuple(t.shape)}" if isinstance(t, Tensor) else type(t).__name__
        raise ValueError(f"t must hold {NOT_ONE_EACH}, shape ({len(x)},); came {came}")


def as_column(t: Tensor, x: Tensor) -> Tensor:
    """(B,) -> (B, 1, ..., 1), as many dimensions as ``x`` has."""
    return t[(...,) + (None,) * (x.dim() - 1)]


class Field(nn.Module):
    """A velocity with weights, which depends on x and on t: (B, ...), (B,) -> (B, ...)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first = nn.Linear(size + 1, 12)
        self.last = nn.Linear(12, size)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity at ``x`` and ``t``."""
        require_times(x, t)
        flat = torch.cat([x.flatten(1), 3 * t[:, None].to(x.dtype)], 1)
        return self.last(self.first(flat).tanh()).view_as(x)


class Probe:
    """A velocity that bends with x and t, differs from row to row, and keeps the times that it is asked about."""

    def __init__(self, noise: Tensor) -> None:
        rows = torch.arange(len(noise), dtype=noise.dtype)
        self.phase = as_column(rows, noise)
        self.times: list[float] = []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity at ``x`` and ``t``."""
        require_times(x, t)
        self.times.append(float(t[0]))
        t = as_column(t, x).to(x.dtype)
        return (2 * x + 3 * t + self.phase).sin() + t * (1 - x / 2)
