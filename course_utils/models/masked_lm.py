"""BERT's first pre-training task on the small encoder, which comes without the head that guesses hidden tokens."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertModel

from course_utils.models import shipped
from course_utils.models.bert import IGNORED
from course_utils.models.pretrained import BASE, BASE_REVISION, Encoder

SHIPPED = "masked_lm"
TRAINED_LAYERS = 2
"""Layers at the end of the encoder that are trained together with the head; the others stay as they are."""


class MaskedLM(nn.Module):
    """An encoder with a head that guesses tokens, with the encoder's own word vectors as its last matrix.

    Args:
        encoder: copied; all but its last layers are frozen.

    Source: arXiv 1810.04805, section 3.1; the transform before the last matrix is that of BERT's code.
    """

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.encoder.encoder.layer[-TRAINED_LAYERS:].requires_grad_(True)
        hidden, vocabulary = encoder.config.hidden_size, encoder.config.vocab_size
        self.transform = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden))
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, ids: Tensor, mask: Tensor, asked: Tensor) -> Tensor:
        """Logits (A, V) of the A positions where ``asked`` (B, T) is true; the others' would cost most of the time.

        Args:
            ids: (B, T) int64, some of them masked.
            mask: (B, T), 1 where there is a token.
            asked: (B, T) bool.
        """
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[asked]
        return self.transform(states) @ self.encoder.embeddings.word_embeddings.weight.T + self.bias


def masked_loss(model: MaskedLM, ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the chosen tokens.

    Args:
        model: guesses tokens.
        ids: (B, T) int64, some of them masked.
        mask: (B, T), 1 where there is a token.
        labels: (B, T) int64, -100 where nothing is asked.
    """
    asked = labels != IGNORED
    return nn.functional.cross_entropy(model(ids, mask, asked).float(), labels[asked])


def contents(
    model: MaskedLM, facts: Mapping[str, Any]
) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """What was trained and what is known about it, as `shipped.write` takes them."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}, facts


def load_shipped(encoder: BertModel) -> tuple[MaskedLM, dict[str, Any]] | None:
    """The model that the course trained on the small encoder, and what is known about it; None for another encoder.

    Args:
        encoder: the pre-trained encoder as it was loaded, before any fine-tuning.

    Raises:
        CourseError: the file is missing or damaged.
    """
    tensors, facts = shipped.read(SHIPPED)
    model = MaskedLM(encoder)
    own = {name: p.shape for name, p in model.named_parameters() if p.requires_grad}
    if own != {name: tensor.shape for name, tensor in tensors.items()}:
        return None
    model.load_state_dict(tensors, strict=False, assign=True)
    return model.eval(), facts


def load_guesser(encoder: Encoder) -> Callable[[Tensor], Tensor] | None:
    """What guesses the hidden tokens of an encoder: ids (1, T) -> logits (A, V) at the A masked places.

    The small encoder gets the head that the course trained, BERT-base its own. For another encoder there is none:
    a line says so, and the result is None.

    Args:
        encoder: as it was loaded, before any fine-tuning.

    Raises:
        CourseError: the shipped file is missing or damaged.
    """
    mask_id = encoder.tokenizer.mask_token_id
    if encoder.name == BASE:
        from transformers import AutoModelForMaskedLM

        whole = AutoModelForMaskedLM.from_pretrained(BASE, revision=BASE_REVISION).eval()
        return torch.no_grad()(lambda ids: whole(ids).logits[ids == mask_id])
    found = load_shipped(copy.deepcopy(encoder.model.bert).cpu())
    if found is None:
        print(
            "The shipped weights belong to the small pre-trained encoder, which is not in use here."
        )
        return None
    model, _ = found
    return torch.no_grad()(lambda ids: model(ids, torch.ones_like(ids), ids == mask_id))
