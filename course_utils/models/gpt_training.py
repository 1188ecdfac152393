"""The training of lesson 05's GPT: schedule, optimiser, step, and fine-tuning in place."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from course_utils.models.attention import GPT, next_token_loss
from course_utils.models.bert import parameter_groups
from course_utils.progress_bars import progress

SIZES = ("vocab", "dim", "layers", "heads", "context")
TOKENIZER_TEXTS = 2_000
"""Documents that the tokens are learned from: more change them little."""
PEAK = 2.5e-3
"""The largest learning rate of the schedule."""

READINGS = 8
"""A short text is read so many times at most: more, and a small network learns it by heart."""


def most_steps(steps: int, windows: int, batch_size: int) -> int:
    """The steps that a run takes: ``steps``, or fewer where the text is short.

    Args:
        steps: that are wanted.
        windows: of the training text.
        batch_size: windows a step.
    """
    return min(steps, READINGS * windows // batch_size)


def learning_rate(step: int, steps: int, peak: float = PEAK) -> float:
    """Linear warm-up over the first twentieth, then half a cosine down to a tenth of the peak.

    Args:
        step: steps taken so far, from 0.
        steps: steps in all.
        peak: the largest rate.
    """
    warm_up = max(1, steps // 20)
    if step < warm_up:
        return peak * (step + 1) / warm_up
    progress = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def make_optimizer(model: GPT, peak: float = PEAK) -> torch.optim.AdamW:
    """AdamW; matrices decay, biases and LayerNorm's weights do not. Set each group's ``lr`` before every step."""
    groups = [
        {**group, "initial_lr": peak} for group in parameter_groups(model, 0.1)
    ]  # what a resumed run compares
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.95), fused=True)


def gpt_step(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    ids: Tensor,
    lr: float,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> dict[str, float]:
    """One optimisation step on windows of ids (B, T); returns ``loss`` in nats a token."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    with autocast():
        logits = model(ids)
    loss = next_token_loss(logits, ids)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item()}


def fine_tune(
    model: GPT,
    windows: Tensor,
    steps: int,
    batch_size: int,
    seed: int = 0,
    peak: float = PEAK / 3,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[float]:
    """Train in place for a few steps on windows of ids (N, T), without checkpoints; returns the losses.

    Args:
        model: a network, trained before or not.
        windows: (N, T) int64.
        steps: optimisation steps.
        batch_size: windows a step, drawn anew for each.
        seed: of that draw.
        peak: the largest learning rate.
        autocast: how matrix products are taken.
    """
    optimizer, random, losses = make_optimizer(model, peak), torch.Generator().manual_seed(seed), []
    device = next(model.parameters()).device
    model.train()
    for step in progress(range(steps), "training"):
        ids = windows[torch.randint(len(windows), (batch_size,), generator=random)].to(device)
        losses.append(
            gpt_step(model, optimizer, ids, learning_rate(step, steps, peak), autocast)["loss"]
        )
    return losses
