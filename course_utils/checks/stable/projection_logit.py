"""Exercise `projection_logit`: how real a picture is, and how much of its class it shows, in one number."""

from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_gradient,
    expect_like,
)


def _logit_by_weights(
    features: Tensor, labels: Tensor, embedding: nn.Embedding, linear: nn.Linear
) -> Tensor:
    """Each picture against the sum of both rows of weights."""
    rows = linear.weight + embedding.weight[labels]  # (B, F)
    return torch.einsum("bf,bf->b", features.to(rows.dtype), rows) + linear.bias


def _every_class(h: Tensor, e: nn.Embedding) -> Tensor:
    return h @ e.weight.T  # (B, classes)


def _alone(h: Tensor, y: Tensor, e: nn.Embedding) -> Tensor:
    return (e(y) * h).sum(1)


def _row(row: Tensor) -> Tensor:
    return row.clamp(0, 10**6)


_OTHER_ROW = "Another row of the embedding: picture i is compared with the row of *its own* label, `embedding(labels)`."
_ALIKE = (
    "The class adds the same number to every picture: each picture's features meet its own row, and the sum runs over "
    "the features only (dim=1)."
)
_TABLE = (
    "A column (B, 1) and a row (B,) make a table (B, B): every picture with every logit. Take the dimension of 1 off "
    "`linear(features)`: `.squeeze(1)`."
)

_MISTAKES: list[Wrong] = [
    (
        lambda h, y, e, li: (li(h).squeeze() + (e(y) * h).sum(1).squeeze()).squeeze(),
        "A single picture lost its dimension: `.squeeze(1)` takes off dimension 1 alone.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1),
        "The class has no say: add the product of each picture's features and its class's row.",
    ),
    (
        lambda h, y, e, li: _alone(h, y, e),
        "The first term is missing: linear(h) says how real a picture is, whatever its class.",
    ),
    (
        lambda h, y, e, li: h @ li.weight[0] + _alone(h, y, e),
        "The bias is missing: call the layer, `linear(features)`.",
    ),
    (lambda h, y, e, li: li(h).squeeze(1) + _alone(h, y.flip(0), e), _OTHER_ROW),
    (lambda h, y, e, li: li(h).squeeze(1) + _alone(h, y.sort().values, e), _OTHER_ROW),
    (
        lambda h, y, e, li: li(h).squeeze(1) + _alone(h, torch.arange(len(y)), e),
        "The rows were taken in order, 0, 1, 2 …: the row of a picture is that of its label.",
    ),
    (lambda h, y, e, li: li(h).squeeze(1) + _alone(h, torch.zeros_like(y), e), _OTHER_ROW),
    (
        lambda h, y, e, li: li(h).squeeze(1) + _alone(h, _row(y - 1), e),
        "One row off: labels count from 0, as the rows do.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) + _alone(h, (y - 1) % e.num_embeddings, e),
        "One row off: labels count from 0, as the rows do.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) + _alone(h, (y + 1) % e.num_embeddings, e),
        "One row off: labels count from 0, as the rows do.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) + _every_class(h, e).amax(1),
        "The class that fits best was taken, not the one that was asked for.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) + _every_class(h, e).sum(1),
        "All classes were added: the label chooses one of them.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) + _every_class(h, e).mean(1),
        "All classes were averaged: the label chooses one of them.",
    ),
    (lambda h, y, e, li: li(h).squeeze(1) + _alone(h, y, e).sum(), _ALIKE),
    (lambda h, y, e, li: li(h).squeeze(1) + _alone(h, y, e).mean(), _ALIKE),
    (lambda h, y, e, li: li(h).squeeze(1) + h @ e(y).mean(0), _ALIKE),
    (lambda h, y, e, li: li(h).squeeze(1) + h @ e(y).sum(0), _ALIKE),
    (
        lambda h, y, e, li: li(h).squeeze(1) + _alone(h.mean(0, keepdim=True).expand_as(h), y, e),
        _ALIKE,
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) + e(y).sum(1),
        "The embedding was added without the features: a class would be more real than another, whatever is seen.",
    ),
    (
        lambda h, y, e, li: li(h + e(y)).squeeze(1),
        "The embedding went into the features: the projection *multiplies* the two, number by number, and adds up.",
    ),
    (
        lambda h, y, e, li: li(h * e(y)).squeeze(1),
        "The product went through the linear layer: add it to that layer's answer.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) + (e(y) * h).mean(1),
        "A mean over the features: the inner product is their *sum*.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) - _alone(h, y, e),
        "A sign: a picture that shows its class is the more real, so the product is added.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) * _alone(h, y, e),
        "The two terms are added, not multiplied.",
    ),
    (
        lambda h, y, e, li: (li(h).squeeze(1) + _alone(h, y, e)).sigmoid(),
        "This is a probability: the losses of the course take the logit.",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) + torch.cosine_similarity(h, e(y), dim=1),
        "The lengths were divided out: eq. 3 has the plain inner product.",
    ),
    (lambda h, y, e, li: li(h) + _alone(h, y, e), _TABLE),
    (
        lambda h, y, e, li: li(h).squeeze(1) + h @ e(y).T,
        "Every picture met every label, (B, B): multiply number by number, and sum over the features.",
    ),
    (
        lambda h, y, e, li: li(h) + h @ e(y).T,
        "Every picture met every label, (B, B): multiply number by number, and sum over the features.",
    ),
    (
        lambda h, y, e, li: li(h) + _alone(h, y, e)[:, None],
        "One logit for each picture in a flat row (B,): take the dimension of 1 off, `.squeeze(1)`.",
    ),
    (
        lambda h, y, e, li: (li(h).squeeze(1) + _alone(h, y, e)).mean(),
        "A mean over the batch: each picture keeps a logit of its own, (B,).",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1)[:, None] + _every_class(h, e),
        "A logit for every class: the label chooses one column of each row.",
    ),
]
_SHAPE = "One logit for each picture in a flat row (B,)."
_WORKED = (
    "Two features: h = (1, 2), the row of its class (3, -1), the linear layer's answer 0.5. The product is "
    "1 * 3 + 2 * (-1) = 1, the logit 1.5."
)
_TOLD = {
    "must match the size": "A column (B, 1) and a row do not add up: take the dimension of 1 off `linear(features)`, "
    "`.squeeze(1)`, and keep the embedding's rows (B, F) beside the features (B, F).",
    "index out of range": "The embedding has a row for each label from 0 on: ask it for `labels` as they are.",
    "mat1 and mat2": "Both are tables (B, F): multiply them number by number, and sum over dimension 1.",
}


@exercise(_logit_by_weights)
def projection_logit(fn: Answer) -> None:
    """Check ``projection_logit(features, labels, embedding, linear)``: (B, F), (B,), two layers -> (B,)."""
    for batch, width, classes in ((5, 7, 4), (3, 4, 10), (4, 4, 4), (1, 6, 3)):
        embedding, linear = nn.Embedding(classes, width), nn.Linear(width, 1)
        features = (4 * torch.randn(batch, width)).requires_grad_()
        labels = torch.tensor([2, 0, 1, 2, 3])[:batch] % classes
        inputs = (features, labels, embedding, linear)
        what = f"the logits of {batch} pictures" if batch > 1 else "the logit of one picture"
        came = call(fn, *inputs, says=_TOLD)
        expected = _logit_by_weights(*inputs)
        how: dict[str, Any] = {
            "inputs": inputs,
            "wrong": _MISTAKES,
            "dtype": torch.float32,
            "hint": _WORKED,
        }
        expect_like(came, expected, what, shape=_SHAPE, **how)
        leaves = {
            "the features": features,
            "the embedding": embedding.weight,
            "the linear layer": linear.weight,
        }
        expect_gradient(came, expected, leaves)
