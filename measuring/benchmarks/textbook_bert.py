"""Fine-tuning as tutorials write it; the baseline of ``python3 run.py bench``.

Every review padded to the longest allowed length, random batches, float32. Encoder, head, optimiser and schedule are
those of lesson 04.
"""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import get_linear_schedule_with_warmup


class Reviews(Dataset):
    def __init__(self, encodings: dict, labels: list[int]) -> None:
        self.encodings, self.labels = encodings, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, idx: int) -> dict[str, torch.Tensor]:
        item = {key: torch.tensor(val[idx]) for key, val in self.encodings.items()}
        item["labels"] = torch.tensor(self.labels[idx])
        return item


def train(encoder, reviews, settings: dict, state: dict) -> Iterator[dict[str, float]]:
    """Train; after each step yields its loss and the number of reviews that it used.

    Args:
        encoder: pre-trained model and tokenizer, as ``load_encoder`` gives them.
        reviews: texts and labels.
        settings: ``batch_size``, ``max_tokens``, ``learning_rate`` and ``steps``.
        state: gets the ``model``.
    """
    model, tokenizer = encoder.model, encoder.tokenizer
    state["model"] = model
    encodings = tokenizer(
        list(reviews.texts),
        truncation=True,
        padding="max_length",
        max_length=settings["max_tokens"],
    )
    encodings = {name: encodings[name] for name in ("input_ids", "attention_mask")}
    loader = DataLoader(
        Reviews(encodings, reviews.labels.tolist()), batch_size=settings["batch_size"], shuffle=True
    )
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings["learning_rate"], weight_decay=0.01
    )
    steps = settings["steps"]
    scheduler = get_linear_schedule_with_warmup(optimizer, round(0.1 * steps), steps)
    model.train()
    done = 0
    while done < steps:
        for batch in loader:
            optimizer.zero_grad()
            outputs = model(**batch)
            outputs.loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            done += 1
            yield {"loss": outputs.loss.item(), "examples": len(batch["labels"])}
            if done == steps:
                return
