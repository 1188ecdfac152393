"""Lesson 05's training without a notebook; `course_utils.train` calls it, and so do the measuring programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_utils import runtime
from course_utils.datasets import texts
from course_utils.datasets.texts import Corpus
from course_utils.models.attention import GPT, next_token_loss
from course_utils.models.gpt_training import (
    SIZES,
    TOKENIZER_TEXTS,
    gpt_step,
    learning_rate,
    make_optimizer,
)
from course_utils.training import batch_memory
from course_utils.training.run import TrainingRun, last_means


def train_gpt(
    run: runtime.Runtime,
    corpus: Corpus,
    folder: Path,
    settings: Mapping[str, Any],
    fresh: bool = False,
) -> tuple[TrainingRun, dict[str, float]]:
    """Train lesson 05's GPT.

    Args:
        run: the machine's settings.
        corpus: documents.
        folder: where checkpoints live.
        settings: ``steps``, ``batch_size``, ``vocab``, ``dim``, ``layers``, ``heads`` and ``context``.
        fresh: start again.

    Returns:
        The run, and its last mean loss in nats a token (over the last 100 steps).
    """
    sizes = {name: settings[name] for name in SIZES}
    tokenizer = texts.train_tokenizer(corpus.train[:TOKENIZER_TEXTS], sizes["vocab"])
    ids = texts.windows(texts.encode(tokenizer, corpus.train), sizes["context"])
    model = GPT(**sizes).to(run.device)
    light = batch_memory.without_memory(model)

    def forward(n: int) -> Tensor:
        window = torch.zeros(n, sizes["context"], dtype=torch.int64, device="meta")
        return next_token_loss(light(window), window)

    batch_memory.require_batch(min(settings["batch_size"], len(ids)), forward, run.device)
    optimizer = make_optimizer(model)
    training = TrainingRun(
        folder,
        state={"gpt": model, "optimizer": optimizer},
        config={"lesson": "gpt", "data": corpus.name, **sizes},
        steps=settings["steps"],
        examples=len(ids),
        batch_size=settings["batch_size"],
        seed=run.seed,
        fresh=fresh,
        data_sha256=texts.digest(ids),
    )
    for index in training.batches():
        lr = learning_rate(training.step, training.steps)
        training.log(**gpt_step(model, optimizer, ids[index].to(run.device), lr, run.autocast))
    return training, last_means(training.history)
