"""The exercise `encode_batch`: its reference, the mistakes that learners make in it, and its check."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.checks.clinic.shared import call_in_words
from course_utils.checks.core import Answer, Wrong, exercise, expect_close, expect_tensor, require

_ROWS_TEXT = (
    ("a moving film", "pos"),
    ("dull , and the plot is silly", "neg"),
    ("the ending is not clever at all", "neg"),
    ("superb", "pos"),
)


@functools.cache
def tiny_tokenizer() -> Any:
    """A WordPiece tokenizer that knows the words of the rows and of the labels."""
    from course_utils.models.pretrained import load_encoder

    return load_encoder(
        "standin", tier="smoke", texts=[" ".join(row) for row in _ROWS_TEXT] * 3
    ).tokenizer


def batch_by_columns(tokenizer: Any, rows: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """The reference."""
    texts, labels = zip(*rows, strict=True)
    batch = dict(tokenizer(list(texts), padding=True, return_tensors="pt"))
    return {**batch, "labels": torch.tensor([int(label == "pos") for label in labels])}


_LEAK = (
    "Flip the labels, and the input changes: the model reads the answer. A list of pairs means *two segments* to a "
    "tokenizer; give it the texts alone."
)


_ENCODING = {
    "KeyError": "The batch has no such entry: return the tokenizer's fields and `labels`.",
    "too many dimensions 'str'": "Labels go in as numbers: 1 for pos, 0 for neg.",
    "expected sequence of length": "Texts differ in length: `padding=True`.",
    "TextEncodeInput": "The tokenizer wants a list of texts; tuples are pairs of texts, and numbers are no texts.",
    "TextInputSequence": "The tokenizer wants a list of texts; tuples are pairs of texts, and numbers are no texts.",
}


def inspect_encode(fn: Answer) -> None:
    """Labels flipped, one row, other orders: the inputs must not move, the labels must."""
    tokenizer = tiny_tokenizer()
    for rows in (list(_ROWS_TEXT), list(_ROWS_TEXT[1:2]), list(_ROWS_TEXT[::-1])):
        flipped = [(text, "neg" if label == "pos" else "pos") for text, label in rows]
        batch, other = (
            _fields(call_in_words(fn, tokenizer, r, says=_ENCODING)) for r in (rows, flipped)
        )
        right = batch_by_columns(tokenizer, rows)
        for name in sorted(set(batch) - {"labels"}):
            same = torch.equal(torch.as_tensor(batch[name]), torch.as_tensor(other[name]))
            require(same, f"the same {name} whatever the labels", "others", _LEAK)
        ids = batch["input_ids"]
        more = "Only the texts are encoded, with [CLS] and [SEP], padded to the longest. Is something added or lost?"
        expect_tensor(ids, right["input_ids"].shape, "input_ids", torch.int64, hint=more)
        expect_close(
            ids, right["input_ids"], "input_ids", hint="Rows in the order in which they came."
        )
        mask = "Without the mask padding counts as text."
        require("attention_mask" in batch, "an attention_mask", ", ".join(batch), mask)
        _expect_labels(batch["labels"], right["labels"])


def _fields(batch: Any) -> dict[str, Any]:
    fields = dict(batch) if hasattr(batch, "keys") else {}
    for name in ("input_ids", "labels"):
        hint = (
            "The model finds no targets: put them in as `labels`."
            if name == "labels"
            else "Return the tokenizer's fields."
        )
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
    ]
    expect_close(
        labels, right, "labels", wrong=wrong, hint="Row i's label belongs to row i's text."
    )


@exercise(batch_by_columns)
def encode_batch(fn: Answer) -> None:
    """Check ``encode_batch(tokenizer, rows)``: pairs (text, "pos" or "neg") -> dict with ids, mask and labels."""
    inspect_encode(fn)
