"""Exercise `encode_batch`: a batch for BERT whose inputs do not hold the labels."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.clinic.game import case
from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    expect_close,
    expect_tensor,
    require,
)


def _batch_by_columns(tokenizer: Any, rows: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    texts, labels = zip(*rows, strict=True)
    batch = dict(tokenizer(list(texts), padding=True, return_tensors="pt"))
    return {**batch, "labels": torch.tensor([int(label == "pos") for label in labels])}


_LEAK = (
    "Flip the labels, and the input changes: the model reads the answer. A list of pairs means *two segments* to a "
    "tokenizer; give it the texts alone."
)

_SAYS = {
    "KeyError": "The batch has no such entry: return the tokenizer's fields and `labels`.",
    "too many dimensions 'str'": "Labels go in as numbers: 1 for pos, 0 for neg.",
    "expected sequence of length": "Texts differ in length: `padding=True`.",
    "TextEncodeInput": "The tokenizer wants a list of texts; tuples are pairs of texts, and numbers are no texts.",
    "TextInputSequence": "The tokenizer wants a list of texts; tuples are pairs of texts, and numbers are no texts.",
}

_ROWS = (
    ("a moving film", "pos"),
    ("dull , and the plot is silly", "neg"),
    ("the ending is not clever at all", "neg"),
    ("superb", "pos"),
)


@case(_batch_by_columns)
def encode_batch(fn: Answer) -> None:
    """Check ``encode_batch(tokenizer, rows)``: pairs (text, "pos" or "neg") -> dict with ids, mask and labels.

    Labels flipped, one row, other orders: the inputs must not move, the labels must.
    """
    tokenizer = _tiny_tokenizer()
    for rows in (list(_ROWS), list(_ROWS[1:2]), list(_ROWS[::-1])):
        flipped = [(text, "neg" if label == "pos" else "pos") for text, label in rows]
        batch = _fields(call(fn, tokenizer, rows, says=_SAYS))
        other = _fields(call(fn, tokenizer, flipped, says=_SAYS))
        right = _batch_by_columns(tokenizer, rows)
        for name in sorted(set(batch) - {"labels"}):
            same = torch.equal(torch.as_tensor(batch[name]), torch.as_tensor(other[name]))
            require(same, f"the same {name} whatever the labels", "others", _LEAK)
        ids = batch["input_ids"]
        more = "Only the texts are encoded, with [CLS] and [SEP], padded to the longest. Is something added or lost?"
        expect_tensor(ids, right["input_ids"].shape, "input_ids", torch.int64, hint=more)
        order = "Rows in the order in which they came."
        expect_close(ids, right["input_ids"], "input_ids", hint=order)
        mask = "Without the mask padding counts as text."
        require("attention_mask" in batch, "an attention_mask", ", ".join(batch), mask)
        marks = "The mask is 1 for each token and 0 for padding, as the tokenizer makes it."
        came = torch.as_tensor(batch["attention_mask"])
        expect_close(came, right["attention_mask"], "attention_mask", hint=marks)
        _expect_labels(batch["labels"], right["labels"])


@functools.cache
def _tiny_tokenizer() -> Any:
    """A WordPiece tokenizer that knows the words of the rows and of the labels."""
    from course_utils.models.pretrained import load_encoder

    texts = [" ".join(row) for row in _ROWS] * 3
    return load_encoder("standin", tier="smoke", texts=texts).tokenizer


def _fields(batch: Any) -> dict[str, Any]:
    fields = dict(batch) if hasattr(batch, "keys") else {}
    hints = {
        "input_ids": "Return the tokenizer's fields.",
        "labels": "The model finds no targets: put them in as `labels`.",
    }
    for name, hint in hints.items():
        require(name in fields, f"a batch with {name}", ", ".join(map(str, fields)) or batch, hint)
    return fields


def _expect_labels(labels: Any, right: Tensor) -> None:
    expect_tensor(labels, right.shape, "labels", hint="One label a row.")
    whole = "Classes are counted with whole numbers: `torch.tensor([...])` of ints is int64."
    require(labels.dtype == torch.int64, "labels of dtype int64", f"dtype {labels.dtype}", whole)
    from_zero = (
        "Classes are counted from 0: with 1 and 2 the loss stops with `Target 2 is out of bounds`."
    )
    wrong: list[Wrong] = [
        (lambda: right + 1, from_zero),
        (lambda: 1 - right, "The labels are exchanged: 1 is pos."),
        (
            lambda: torch.ones_like(right),
            "Every label is 1: a name that is not empty counts as true. Compare it with 'pos'.",
        ),
    ]
    apart = "Row i's label belongs to row i's text."
    expect_close(labels, right, "labels", wrong=wrong, hint=apart)
