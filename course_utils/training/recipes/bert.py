"""Lesson 04's fine-tuning without a notebook; `course_utils.train` calls it, and so do the measuring programs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from course_utils import runtime
from course_utils.datasets.reviews import ReviewSet
from course_utils.models import bert
from course_utils.models.pretrained import Encoder, load_encoder
from course_utils.training import batch_memory
from course_utils.training.run import TrainingRun, last_means, run_folder

WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""


def train_bert(
    run: runtime.Runtime,
    reviews: ReviewSet,
    folder: Path,
    settings: Mapping[str, Any],
    fresh: bool = False,
) -> tuple[TrainingRun, dict[str, float]]:
    """Fine-tune lesson 04's classifier.

    Args:
        run: the machine's settings.
        reviews: training reviews.
        folder: where checkpoints live.
        settings: ``epochs`` or ``steps``, ``batch_size``, ``max_tokens``, ``keep``, ``learning_rate``; where the lesson
            departs from its default, ``encoder`` (see `load_encoder`) and ``frozen`` (train only pooling and head).
        fresh: start again.

    Returns:
        The run, and its last mean loss and accuracy on the training batches (over the last 100 steps).
    """
    encoder = load_encoder(
        settings.get("encoder"), tier=run.tier, texts=reviews.texts, seed=run.seed
    )
    return fine_tune(run, encoder, reviews, folder, settings, fresh)


def fine_tune(
    run: runtime.Runtime,
    encoder: Encoder,
    reviews: ReviewSet,
    folder: Path,
    settings: Mapping[str, Any],
    fresh: bool = False,
) -> tuple[TrainingRun, dict[str, float]]:
    """The same with an encoder that is there already; its model is changed. Arguments as in `train_bert`."""
    model, batch_size = encoder.model.to(run.device), settings["batch_size"]
    steps = settings.get("steps")
    if steps is None:
        steps = settings["epochs"] * math.ceil(len(reviews) / batch_size)
    if settings.get("frozen"):
        model.bert.embeddings.requires_grad_(False)
        model.bert.encoder.requires_grad_(False)
    sequences = encoder.encode(reviews.texts, settings["max_tokens"], settings["keep"])
    light, length = batch_memory.without_memory(model).train(), max(map(len, sequences))

    def forward(n: int) -> Any:
        return light(input_ids=torch.zeros(n, length, dtype=torch.int64, device="meta")).logits

    batch_memory.require_batch(min(batch_size, len(reviews)), forward, run.device)
    optimizer = bert.make_optimizer(model, settings["learning_rate"])
    # a checkpoint holds three numbers for each of millions of weights
    seldom = max(25, min(500, steps // 4))
    training = checkpointed(
        encoder,
        optimizer,
        reviews,
        sequences,
        settings,
        steps=steps,
        save_every=seldom,
        seed=run.seed,
        fresh=fresh,
        folder=folder,
    )
    warm_up, pad_id = round(WARM_UP * steps), encoder.tokenizer.pad_token_id
    for index in training.batches():
        ids, mask = bert.pad_batch([sequences[i] for i in index.tolist()], pad_id)
        ids, mask, labels = (part.to(run.device) for part in (ids, mask, reviews.labels[index]))
        factor = bert.warmup_linear(training.step + 1, warm_up, steps)
        training.log(**bert.bert_step(model, optimizer, ids, mask, labels, factor, run.autocast))
    return training, last_means(training.history)


def checkpointed(
    encoder: Encoder,
    optimizer: torch.optim.Optimizer,
    reviews: ReviewSet,
    sequences: Sequence[Sequence[int]],
    settings: Mapping[str, Any],
    *,
    steps: int,
    save_every: int,
    seed: int = 0,
    fresh: bool = False,
    folder: Path | None = None,
) -> TrainingRun:
    """A run of fine-tuning that gives batches of like length, keeps its history, and is saved now and then.

    Args:
        encoder: its model is trained.
        optimizer: of the model.
        reviews: N training reviews.
        sequences: their token ids, cut.
        settings: ``batch_size``, ``max_tokens``, ``keep``, and ``frozen`` where only pooling and head are trained.
        steps: of the whole run; the learning rate falls to 0 there, so another total is another run.
        save_every: steps between two checkpoints.
        seed: of the order.
        fresh: start again.
        folder: where checkpoints live; None for the lesson's own, one for each set of settings.
    """
    state: dict[str, Any] = {"model": encoder.model, "optimizer": optimizer}
    config = {
        "lesson": "bert",
        "data": reviews.name,
        "encoder": encoder.name,
        "frozen": bool(settings.get("frozen")),
        "max_tokens": settings["max_tokens"],
        "keep": settings["keep"],
        "total_steps": steps,
    }
    return TrainingRun(
        folder or run_folder("04_bert", config, state),
        state=state,
        config=config,
        steps=steps,
        examples=len(reviews),
        batch_size=settings["batch_size"],
        seed=seed,
        save_every=save_every,
        fresh=fresh,
        data_sha256=reviews.sha256,
        order=bert.order_by_length(sequences, settings["batch_size"]),
    )
