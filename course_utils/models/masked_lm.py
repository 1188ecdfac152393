"""BERT's first pre-training task on the small encoder, which comes without the head that guesses hidden tokens."""

import copy
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import BertModel

from course_utils.errors import CourseError
from course_utils.models.bert import IGNORED
from course_utils.paths import checkpoints_dir

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


def pack(model: MaskedLM, facts: dict[str, object]) -> bytes:
    """What was trained, in half precision, with what is known about it, as a safetensors file."""
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    tensors = {
        k: v.to(torch.float16).contiguous() for k, v in model.state_dict().items() if k in trained
    }
    return save(tensors, {"facts": json.dumps(facts)})


def load_shipped(
    encoder: BertModel, path: Path | None = None
) -> tuple[MaskedLM, dict[str, object]] | None:
    """The model that the course trained on the small encoder, and what is known about it; None for another encoder.

    Args:
        encoder: the pre-trained encoder as it was loaded, before any fine-tuning.
        path: the file; None for the shipped one.

    Raises:
        CourseError: the file is missing or damaged.
    """
    path = path or checkpoints_dir() / f"{SHIPPED}.safetensors"
    try:
        tensors = {key: value.float() for key, value in load_file(path).items()}
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
    except Exception as error:
        raise CourseError(
            "masked-lm-checkpoint",
            f"{path.name} cannot be read ({type(error).__name__}).",
            "It ships with the course, so this copy of the course is not whole.",
            "git checkout -- data/checkpoints, or get the course's folder again.",
        ) from None
    model = MaskedLM(encoder)
    own = {name: p.shape for name, p in model.named_parameters() if p.requires_grad}
    if own != {name: tensor.shape for name, tensor in tensors.items()}:
        return None
    model.load_state_dict(tensors, strict=False)
    return model.eval(), facts
