"""Exercise `train_step`: one step of fine-tuning, from the learning rate to the optimiser's step."""

import contextlib
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import (
    Answer,
    Wrong,
    call_step,
    describe,
    exercise,
    expect_close,
    require,
)

_PEAKS, _BATCHES = (0.5, 0.125), ((0.5, 1), (1.0, 2), (0.25, 3))
"""The peak learning rate of each group, and for each step its factor and the seed of its batch."""


class _Reader(nn.Module):
    """A small classifier that is called as BERT is: it needs the mask, and has dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.dropout, self.head = nn.Embedding(20, 6), nn.Dropout(0.5), nn.Linear(6, 2)
        self.seen: list[dict[str, Any]] = []

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **others: Any
    ) -> SimpleNamespace:
        inside = torch.is_autocast_enabled("cpu")
        self.seen.append({"training": self.training, "autocast": inside, "others": sorted(others)})
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        rows = self.words(input_ids) * mask[..., None]
        mean = rows.sum(1) / mask.sum(1, keepdim=True)
        logits = self.head(self.dropout(mean.float() * 3))
        return SimpleNamespace(logits=logits)


def _by_hand(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    ids: Tensor,
    mask: Tensor,
    labels: Tensor,
    factor: float,
    autocast: Any = contextlib.nullcontext,
    *,
    wrong: str = "",
) -> dict[str, float]:
    """The step with the loss and the clipping written out; ``wrong`` makes one mistake."""
    first = optimizer.param_groups[0]
    for group in [first] if wrong == "first" else optimizer.param_groups:
        if wrong != "rate":
            group["lr"] = factor * group["lr" if wrong == "compound" else "initial_lr"]
        if wrong == "raw":
            group["lr"] = factor
        if wrong == "one peak":
            group["lr"] = factor * first["initial_lr"]
    if wrong != "mode":
        model.train()
    with autocast():
        found = model(input_ids=ids, attention_mask=None if wrong == "mask" else mask)
    logits = found.logits.float()
    scored = logits.softmax(1) if wrong == "softmax" else logits
    losses = nn.functional.nll_loss(scored.float().log_softmax(1), labels, reduction="none")
    loss = losses.sum() if wrong == "sum" else losses.mean()
    if wrong == "short":
        loss = nn.functional.cross_entropy(found.logits, labels)
    if wrong != "kept":
        optimizer.zero_grad()
    loss.backward()
    if wrong == "cleared":
        optimizer.zero_grad()
    if wrong not in ("clip", "values", "each"):
        _clip(model)
    if wrong == "each":
        for parameter in model.parameters():
            nn.utils.clip_grad_norm_(parameter, 1.0)
    if wrong == "values":
        nn.utils.clip_grad_value_(model.parameters(), 1.0)
    optimizer.step()
    right = (logits.argmax(1) == labels).float()
    share = right.sum() if wrong == "count" else right.mean()
    return {"loss": loss.item(), "accuracy": share.item()}


def _clip(model: nn.Module) -> None:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if not gradients:
        return
    length = torch.stack([g.norm() for g in gradients]).norm()
    for gradient in gradients:
        gradient *= (1.0 / (length + 1e-6)).clamp(max=1.0)


_HINTS = {
    "cleared": "The gradients are cleared between `backward` and `step`: clear them before `backward`.",
    "kept": "Gradients of the step before are still there: `zero_grad` comes before `backward`.",
    "clip": "The optimiser gets a gradient that is not clipped: its length is made at most 1 just before `step`.",
    "values": "Each value is clipped on its own. `clip_grad_norm_` scales the whole gradient and keeps its direction.",
    "each": "Each parameter is clipped by itself: `clip_grad_norm_(model.parameters(), 1.0)` looks at all together.",
    "first": "Only the first group's rate is set: every one of `optimizer.param_groups` has its own.",
    "one peak": "Each group has an `initial_lr` of its own: the first one's was used for all.",
    "rate": "The learning rate is not set: each group's `lr` becomes factor times its `initial_lr`.",
    "compound": "The factor multiplies the last step's `lr`, which shrinks at every step: take `initial_lr`.",
    "raw": "The factor itself became the learning rate: it multiplies `initial_lr`.",
    "mask": "Padding is read as text: the mask goes into the model as `attention_mask`.",
    "softmax": "The loss was taken from probabilities: `cross_entropy` wants the logits as they are.",
    "short": "The loss was computed in 16 bits: `logits.float()` goes into it.",
    "sum": "The loss is a sum over the batch: its size would depend on how many texts there are.",
    "mode": "The model was not set to training, so dropout is off: `model.train()`.",
    "count": "`accuracy` is a count: it is to be the share of right answers.",
}


_WORKED = (
    "By hand: initial_lr 0.5 and factor 0.5 make the rate 0.25. Gradients 3 and 4 have the length 5; clipped to 1 "
    "they are 0.6 and 0.8, and the weights move by 0.25 * 0.6 = 0.15 and 0.2."
)


@exercise(_by_hand)
def train_step(fn: Answer) -> None:
    """Check ``train_step(model, optimizer, ids, mask, labels, factor, autocast)`` -> loss and accuracy."""
    expected = _run(_by_hand)
    got = _run(partial(call_step, fn, returns=("loss", "accuracy")))
    mistakes: list[Wrong] = [
        (partial(_numbers_of, partial(_by_hand, wrong=name)), hint) for name, hint in _HINTS.items()
    ]
    for step in range(len(_BATCHES)):
        seen: Any = got.seen[step] if step < len(got.seen) else None
        once = "Each step asks the model once; call it with `input_ids` and `attention_mask`."
        require(seen is not None, "the model to be asked at every step", "it was not", once)
        require(seen["training"], "a model in training mode", "evaluation mode", _HINTS["mode"])
        outside = "`with autocast():` belongs around the forward pass: there numbers may be short."
        require(seen["autocast"], "the model called within autocast()", "outside of it", outside)
    require(len(got.seen) == len(_BATCHES), "one forward pass a step", f"{len(got.seen)}", once)
    moved = "The weights did not move: `optimizer.step()` is called once in each step."
    require(got.steps == len(_BATCHES), "one step of the optimiser a call", f"{got.steps}", moved)
    late = "The backward pass or the loss is inside `with autocast():`; only the forward pass is to be."
    require(got.left, "autocast() left before the optimiser's step", "still within it", late)
    what = "loss, accuracy and weights after three steps"
    require(
        got.rates == expected.rates,
        f"learning rates of the two groups, step by step: {expected.rates}",
        describe(got.rates),
        next(
            (
                _HINTS[name]
                for name in ("rate", "compound", "raw", "first", "one peak")
                if _run(partial(_by_hand, wrong=name)).rates == got.rates
            ),
            "Each group's `lr` becomes factor times its `initial_lr`, which stays: 0.5 * 0.125 = 0.0625.",
        ),
    )
    expect_close(
        got.numbers, expected.numbers, what, inputs=(), wrong=mistakes, hint=_WORKED, atol=1e-5
    )


def _numbers_of(step: Callable[..., dict[str, float]]) -> Tensor:
    return _run(step).numbers


class _Outside(torch.optim.SGD):
    """Plain descent that notes how often it was called, and whether within autocast."""

    left, steps = True, 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        self.left = self.left and not torch.is_autocast_enabled("cpu")
        return super().step(closure)


def _run(step: Callable[..., dict[str, float]]) -> SimpleNamespace:
    """Three steps of a fresh model: all that came out, in one tensor."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model, told, rates = _Reader().eval(), [], []
        parts = (model.words.parameters(), model.head.parameters())
        optimizer = _Outside([{"params": part} for part in parts], lr=_PEAKS[0])
        for group, peak in zip(optimizer.param_groups, _PEAKS, strict=True):
            group["lr"] = group["initial_lr"] = peak
        for factor, seed in _BATCHES:
            chances = torch.Generator().manual_seed(seed)
            ids = torch.randint(1, 20, (5, 4), generator=chances)
            mask = (torch.arange(4) < torch.tensor([[4], [2], [3], [1], [4]])).long()
            labels = torch.randint(2, (5,), generator=chances)
            torch.manual_seed(seed)
            told.append(step(model, optimizer, ids, mask, labels, factor, _autocast))
            rates.append([float(group["lr"]) for group in optimizer.param_groups])
            model.eval()
    weights = [p.detach().flatten() for p in model.parameters()]
    said = [torch.tensor([float(one["loss"]), float(one["accuracy"])]) for one in told]
    return SimpleNamespace(
        numbers=torch.cat([*said, *weights]),
        seen=model.seen,
        rates=rates,
        left=optimizer.left,
        steps=optimizer.steps,
    )


def _autocast() -> Any:
    return torch.autocast("cpu", dtype=torch.bfloat16)
