"""Exercise `make_optimizer`: AdamW with every setting that matters written down."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, require


def _adam_without_decay(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Without decay AdamW is Adam."""
    return torch.optim.Adam(model.parameters(), lr=lr, eps=1e-6)


_MISTAKES: list[tuple[Callable[..., torch.optim.Optimizer], str]] = [
    (
        lambda m, lr: torch.optim.AdamW(m.parameters(), lr=lr),
        "Unchanged: torch's own defaults, weight_decay 0.01 and eps 1e-8, are not those of the program.",
    ),
    (
        lambda m, lr: torch.optim.AdamW(m.parameters(), lr=lr, weight_decay=0.0),
        "The decay is gone; eps is still torch's 1e-8. It decides how far weights with tiny gradients move.",
    ),
    (
        lambda m, lr: torch.optim.AdamW(m.parameters(), lr=lr, eps=1e-6),
        "eps is right; the weights still shrink by 0.01 times the rate at every step, because that is the default.",
    ),
    (
        lambda m, lr: torch.optim.Adam(m.parameters(), lr=lr, weight_decay=0.01),
        "Adam adds its decay to the gradient, and here nothing should decay at all.",
    ),
    (
        lambda m, lr: torch.optim.AdamW(
            [
                {"params": [p for p in m.parameters() if p.dim() > 1], "weight_decay": 0.0},
                {"params": [p for p in m.parameters() if p.dim() < 2]},
            ],
            lr=lr,
            eps=1e-6,
        ),
        "A group without its own `weight_decay` takes the default, 0.01: here the biases still decay.",
    ),
    (
        lambda m, lr: torch.optim.SGD(m.parameters(), lr=lr),
        "This is another optimiser: keep Adam's step.",
    ),
]


@exercise(_adam_without_decay)
def make_optimizer(fn: Answer) -> None:
    """Check ``make_optimizer(model, lr)``: AdamW with weight decay 0 and eps 1e-6.

    Four steps with known gradients, large, tiny and zero: where do the weights end?
    """
    right, came = _walk(_adam_without_decay), _walk(fn, checked=True)
    wrong: list[Wrong] = [(lambda m=make: _walk(m), hint) for make, hint in _MISTAKES]
    hint = "Look at `optimizer.defaults` and at every entry of `optimizer.param_groups`."
    what = "weights after four steps (the last two have zero gradient)"
    expect_close(came, right, what, wrong=wrong, hint=hint, atol=1e-5, rtol=1e-6)


def _walk(make: Callable[..., Any], checked: bool = False) -> Tensor:
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.copy_(torch.arange(12.0).view(3, 4) - 5)
        model.bias.copy_(torch.tensor([3.0, -2.0, 7.0]))
    # Decay shows in large weights, so that the tolerance can be far below it.
    optimizer = call(make, model, 0.1, may_change=[model]) if checked else make(model, 0.1)
    if checked:
        kind = "An optimiser over all of the model's parameters."
        require(isinstance(optimizer, torch.optim.Optimizer), "an optimiser", optimizer, kind)
    for size in (1e-7, 1.0, 0.0, 0.0):
        for parameter in model.parameters():
            parameter.grad = size * torch.linspace(-1, 1, parameter.numel()).view_as(parameter)
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])
