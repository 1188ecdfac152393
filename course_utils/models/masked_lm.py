"""BERT's two pre-training tasks: a head that guesses hidden tokens, one that tells whether two sentences follow."""

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

SHIPPED = "mlm_head"


class MaskedHead(nn.Module):
    """Hidden states (..., D) -> logits over the vocabulary (..., V), with the encoder's own word vectors.

    Source: arXiv 1810.04805, section 3.1; the transform before the output layer is that of BERT's code.
    """

    def __init__(self, hidden: int, vocab_size: int) -> None:
        super().__init__()
        self.transform = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden))
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, states: Tensor, words: Tensor) -> Tensor:
        """States (..., D) and word vectors (V, D) -> logits (..., V)."""
        return self.transform(states) @ words.T + self.bias


def masked_loss(head: MaskedHead, encoder: BertModel, ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the chosen tokens; only their states go through the head, which is what costs.

    Args:
        head: guesses tokens.
        encoder: ids, mask -> ``last_hidden_state`` (B, T, D).
        ids: (B, T) int64, some of them masked.
        mask: (B, T), 1 where there is a token.
        labels: (B, T) int64, -100 where nothing is asked.
    """
    asked = labels != IGNORED
    states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state[asked]
    logits = head(states, encoder.embeddings.word_embeddings.weight)
    return nn.functional.cross_entropy(logits.float(), labels[asked])


def pack(head: MaskedHead, facts: dict[str, object]) -> bytes:
    """A head's weights in half precision, with what is known about them, as a safetensors file."""
    tensors = {key: value.to(torch.float16).contiguous() for key, value in head.state_dict().items()}
    return save(tensors, {"facts": json.dumps(facts)})


def load_shipped(path: Path | None = None) -> tuple[MaskedHead, dict[str, object]]:
    """The head that the course trained for the small encoder, and what is known about it.

    Raises:
        CourseError: the file is missing or damaged.
    """
    path = path or checkpoints_dir() / f"{SHIPPED}.safetensors"
    try:
        tensors = {key: value.float() for key, value in load_file(path).items()}
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
        head = MaskedHead(tensors["transform.0.weight"].shape[0], len(tensors["bias"]))
        head.load_state_dict(tensors)
    except Exception as error:
        raise CourseError(
            "masked-lm-checkpoint",
            f"{path.name} cannot be read ({type(error).__name__}).",
            "It ships with the course, so this copy of the course is not whole.",
            "git checkout -- data/checkpoints, or get the course's folder again.",
        ) from None
    return head.eval(), facts
