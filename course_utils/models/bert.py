"""What lesson 04 builds around an encoder: batches, masking, optimiser groups, warm-up, one training step, predictions.

The encoder itself is `transformers`' BERT; `course_utils.models.pretrained` loads it.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.datasets.length_batches import length_order
from course_utils.progress_bars import progress

Autocast = Callable[[], contextlib.AbstractContextManager]
IGNORED = -100
"""Label of positions that a masked language model is not asked about."""


def pad_batch(sequences: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Sequences of different lengths as one batch, padded at the right.

    Args:
        sequences: B lists of token ids.
        pad_id: the id that fills up.

    Returns:
        ids (B, T) int64 and mask (B, T) int64, 1 where there is a token; T is the longest length.
    """
    rows = [torch.as_tensor(s, dtype=torch.int64) for s in sequences]
    lengths = torch.tensor([len(row) for row in rows])
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id)
    return ids, (torch.arange(ids.shape[1]) < lengths[:, None]).long()


def mask_tokens(
    ids: Tensor,
    special_mask: Tensor,
    mask_id: int,
    vocab_size: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Choose 15 % of the tokens; of these 80 % become the mask, 10 % a random token, 10 % stay.

    Args:
        ids: int64, any shape.
        special_mask: same shape, true where a token must not be chosen.
        mask_id: the id of ``[MASK]``.
        vocab_size: random tokens are drawn from all of the vocabulary.
        generator: of the draws.

    Returns:
        The ids to show and the labels: the original id where a token was chosen, -100 elsewhere.

    Source: arXiv 1810.04805, section 3.1 and appendix A.1.
    """
    chance = torch.rand(ids.shape, generator=generator)
    kind = torch.rand(ids.shape, generator=generator)
    chosen = (chance < 0.15) & ~special_mask.bool()
    random_ids = torch.randint(vocab_size, ids.shape, generator=generator)
    shown = torch.where(chosen & (kind < 0.8), mask_id, ids)
    shown = torch.where(chosen & (kind >= 0.8) & (kind < 0.9), random_ids, shown)
    return shown, ids.masked_fill(~chosen, IGNORED)


def hide_tokens(
    ids: Tensor,
    tokenizer: Any,
    generator: torch.Generator | None = None,
    mask_tokens: Callable[..., tuple[Tensor, Tensor]] = mask_tokens,
) -> tuple[Tensor, Tensor]:
    """`mask_tokens` with what a tokenizer knows: its special tokens stay, its mask and its vocabulary are used.

    Args:
        ids: int64, any shape.
        tokenizer: whose ids they are.
        generator: of the draws.
        mask_tokens: takes and returns what that of this module does.

    Returns:
        As `mask_tokens`.
    """
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    return mask_tokens(ids, special, tokenizer.mask_token_id, len(tokenizer), generator)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Trainable parameters for an optimiser: matrices with weight decay; biases and LayerNorm with none.

    Source: arXiv 1810.04805, appendix A.2 (L2 weight decay of 0.01); its code leaves out biases and LayerNorm.
    """
    undecayed = {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, nn.LayerNorm) or name.endswith("bias")
    }
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if id(p) not in undecayed], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) in undecayed], "weight_decay": 0.0},
    ]


def warmup_linear(step: int, warmup_steps: int, total_steps: int) -> float:
    """Factor of the learning rate at a step: from 0 up to 1 at the end of the warm-up, then down to 0 at the end.

    Source: arXiv 1810.04805, appendix A.2.
    """
    if step < warmup_steps:
        return step / warmup_steps
    return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))


def make_optimizer(
    model: nn.Module, learning_rate: float, weight_decay: float = 0.01
) -> torch.optim.AdamW:
    """AdamW with two groups. Each keeps its peak as ``initial_lr``, since `bert_step` changes ``lr``."""
    optimizer = torch.optim.AdamW(
        parameter_groups(model, weight_decay), lr=learning_rate, fused=True
    )
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def bert_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    ids: Tensor,
    mask: Tensor,
    labels: Tensor,
    factor: float,
    autocast: Autocast = contextlib.nullcontext,
) -> dict[str, float]:
    """One step of fine-tuning on one batch.

    Args:
        model: ids and mask -> ``.logits`` (B, classes).
        optimizer: of its parameters; its learning rates become ``factor`` times their peak.
        ids: (B, T) int64.
        mask: (B, T), 1 where there is a token.
        labels: (B,) int64.
        factor: `warmup_linear` of this step.
        autocast: context of the forward pass.

    Returns:
        Mean cross-entropy in nats (``loss``) and the share of right answers (``accuracy``).
    """
    for group in optimizer.param_groups:
        group["lr"] = factor * group["initial_lr"]
    model.train()
    with autocast():
        logits = model(input_ids=ids, attention_mask=mask).logits
    loss = nn.functional.cross_entropy(logits.float(), labels)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item(), "accuracy": (logits.argmax(1) == labels).float().mean().item()}


def train_on(
    model: nn.Module,
    sequences: Sequence[Sequence[int]],
    labels: Tensor,
    batches: Sequence[Tensor],
    learning_rate: float,
    pad_id: int,
    autocast: Autocast = contextlib.nullcontext,
    one_step: Callable[..., dict[str, float]] = bert_step,
) -> list[float]:
    """Fine-tune a model, which is changed, on given batches in their order; nothing is saved.

    Args:
        model: as in `bert_step`; frozen parameters stay as they are.
        sequences: N lists of token ids.
        labels: (N,) int64.
        batches: the indices (B,) of each step.
        learning_rate: its peak.
        pad_id: fills up the shorter sequences of a batch.
        autocast: context of the forward pass.
        one_step: takes and returns what `bert_step` does.

    Returns:
        The loss of each step in nats.
    """
    optimizer, device, losses = (
        make_optimizer(model, learning_rate),
        next(model.parameters()).device,
        [],
    )
    for step, index in enumerate(progress(batches, "fine-tuning"), start=1):
        ids, mask = pad_batch([sequences[i] for i in index.tolist()], pad_id)
        batch = [part.to(device) for part in (ids, mask, labels[index])]
        factor = warmup_linear(step, round(0.1 * len(batches)), len(batches))
        losses.append(one_step(model, optimizer, *batch, factor, autocast)["loss"])
    return losses


@torch.no_grad()  # and not inference_mode: calibration takes gradients of what is computed from the answers
def predict(
    model: nn.Module,
    sequences: Sequence[Sequence[int]],
    pad_id: int,
    autocast: Autocast = contextlib.nullcontext,
    batch_size: int = 32,
) -> Tensor:
    """Logits (N, classes) in float32 on the CPU, in the order of the sequences; batches of like length inside."""
    model.eval()
    if not sequences:
        return torch.empty(0, model.config.num_labels)
    device, logits = next(model.parameters()).device, [torch.empty(0)] * len(sequences)
    order = sorted(
        range(len(sequences)), key=lambda i: -len(sequences[i])
    )  # longest first: the estimate is safe
    for start in progress(range(0, len(order), batch_size), "predicting", leave=False):
        part = order[start : start + batch_size]
        ids, mask = pad_batch([sequences[i] for i in part], pad_id)
        with autocast():
            rows = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
        for i, row in zip(part, rows.float().cpu(), strict=True):
            logits[i] = row
    return torch.stack(logits)


def order_by_length(
    sequences: Sequence[Sequence[int]], batch_size: int
) -> Callable[[int, int, int], Tensor]:
    """The order of an epoch for `TrainingRun`: batches of like length (see `text_batches.length_order`)."""
    lengths = torch.tensor([len(s) for s in sequences])
    return lambda seed, epoch, examples: length_order(lengths[:examples], batch_size, seed, epoch)
