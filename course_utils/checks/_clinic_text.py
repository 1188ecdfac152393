"""Checks of the clinic's cases on text, 7.13 to 7.17. Encoders are tiny and random; nothing is downloaded."""

import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    expect_close,
    expect_number,
    expect_tensor,
    require,
)
from course_utils.checks._clinic_tools import call_in_words, expect_pair

# ---------------------------------------------------------------- 7.13 another default


def adam_without_decay(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """The reference: without decay AdamW is Adam."""
    return torch.optim.Adam(model.parameters(), lr=lr, eps=1e-6)


_WRONG_OPTIMIZER: list[tuple[Callable[..., torch.optim.Optimizer], str]] = [
    (
        lambda m, lr: torch.optim.AdamW(m.parameters(), lr=lr),
        "Unchanged: torch's own defaults, weight_decay 0.01 and eps 1e-8, are not those of the program.",
    ),
    (
        lambda m, lr: torch.optim.AdamW(m.parameters(), lr=lr, weight_decay=0.0),
        "The decay is gone; eps is still torch's 1e-8. It decides how far weights with tiny gradients move.",
    ),
    (
        lambda m, lr: torch.optim.AdamW(m.parameters(), lr=lr, eps=1e-6),
        "eps is right; the weights still shrink by 0.01 times the rate at every step, because that is the default.",
    ),
    (
        lambda m, lr: torch.optim.Adam(m.parameters(), lr=lr, weight_decay=0.01),
        "Adam adds its decay to the gradient, and here nothing should decay at all.",
    ),
    (
        lambda m, lr: torch.optim.AdamW(
            [
                {"params": [p for p in m.parameters() if p.dim() > 1], "weight_decay": 0.0},
                {"params": [p for p in m.parameters() if p.dim() < 2]},
            ],
            lr=lr,
            eps=1e-6,
        ),
        "A group without its own `weight_decay` takes the default, 0.01: here the biases still decay.",
    ),
    (
        lambda m, lr: torch.optim.SGD(m.parameters(), lr=lr),
        "This is another optimiser: keep Adam's step.",
    ),
]


def inspect_optimizer(fn: Answer) -> None:
    """Four steps with known gradients, large, tiny and zero: where do the weights end?"""
    right, came = _walk(adam_without_decay), _walk(fn, checked=True)
    wrong: list[Wrong] = [(lambda m=make: _walk(m), hint) for make, hint in _WRONG_OPTIMIZER]
    hint = "Look at `optimizer.defaults` and at every entry of `optimizer.param_groups`."
    what = "weights after four steps (the last two have zero gradient)"
    expect_close(came, right, what, wrong=wrong, hint=hint, atol=1e-5, rtol=1e-6)


def _walk(make: Callable[..., Any], checked: bool = False) -> Tensor:
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.copy_(torch.arange(12.0).view(3, 4) - 5)
        model.bias.copy_(torch.tensor([3.0, -2.0, 7.0]))
    # decay shows in large weights, so that the tolerance can be far below it
    optimizer = call(make, model, 0.1, may_change=[model]) if checked else make(model, 0.1)
    if checked:
        kind = "An optimiser over all of the model's parameters."
        require(isinstance(optimizer, torch.optim.Optimizer), "an optimiser", optimizer, kind)
    for size in (1e-7, 1.0, 0.0, 0.0):
        for parameter in model.parameters():
            parameter.grad = size * torch.linspace(-1, 1, parameter.numel()).view_as(parameter)
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# ---------------------------------------------------------------- 7.14 the label inside the input

_ROWS = (
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
        "standin", tier="smoke", texts=[" ".join(row) for row in _ROWS] * 3
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
    for rows in (list(_ROWS), list(_ROWS[1:2]), list(_ROWS[::-1])):
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


# ---------------------------------------------------------------- 7.15 one output, and it becomes a regression


def classifier_of_two(vocab_size: int) -> nn.Module:
    """The reference (the lesson goes on with it while the exercise is open)."""
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    return BertForSequenceClassification(BertConfig(vocab_size=vocab_size, num_labels=2, **sizes))


_OTHER_LOSS = (
    "The loss is not the cross-entropy of the two logits: is `problem_type` set to another one?"
)
_ONE = (
    "One output for two classes: the library then takes the task for a "
    "regression and minimises the squared distance to the numbers 0 and 1, "
    "without a word; `argmax` over one logit is always 0."
)


def inspect_classifier(fn: Answer) -> None:
    """Two logits, and the loss that the model computes itself is their cross-entropy."""
    model = call(fn, 50)
    require(isinstance(model, nn.Module), "a model", model, "Return the model.")
    model.eval()
    ids, labels = torch.randint(50, (5, 7)), torch.tensor([0, 1, 1, 0, 1])
    try:
        out = model(input_ids=ids, labels=labels)
    except Exception as error:
        raise CheckFailed(
            "a loss for labels 0 and 1", f"{type(error).__name__}: {str(error)[:120]}", _OTHER_LOSS
        ) from None
    count = out.logits.shape[-1]
    hint = (
        _ONE
        if count == 1
        else "Two classes, two logits: more outputs are answers that no review can have."
    )
    require(count == 2, "two logits a review", f"{count}", hint)
    expect_close(
        out.loss, F.cross_entropy(out.logits, labels), "the model's own loss", hint=_OTHER_LOSS
    )


# ---------------------------------------------------------------- 7.16 sorted by label


def shuffled_by_generator(
    texts: Sequence[str], labels: Sequence[int], seed: int
) -> tuple[list[str], list[int]]:
    """The reference."""
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    return [texts[i] for i in order], [labels[i] for i in order]


def inspect_shuffled(fn: Answer) -> None:
    """Every review once, with its own label, mixed in every stretch; a function of the seed."""
    count = 400
    texts = [f"review {i}" for i in range(count)]
    labels = [int(i >= count // 2) for i in range(count)]
    first, again, other = (_as_lists(call(fn, texts, labels, seed)) for seed in (1, 1, 2))
    got_texts, got_labels = first
    for what, values in (("texts", got_texts), ("labels", got_labels)):
        require(
            len(values) == count,
            f"{count} {what}",
            f"{len(values)}",
            "Reviews were lost: every one is used once.",
        )
    once = (
        "Drawn with replacement: some reviews come twice, others never. `randperm` uses each once."
    )
    require(sorted(got_texts) == sorted(texts), "each review once", "some twice", once)
    belongs = dict(zip(texts, labels, strict=True))
    apart = sum(belongs[t] != int(y) for t, y in zip(got_texts, got_labels, strict=True))
    separate = "Texts and labels were shuffled apart from each other: one order for both."
    require(apart == 0, "each review with its own label", f"{apart} with another's", separate)
    quarters = [sum(map(int, got_labels[k : k + 100])) / 100 for k in range(0, count, 100)]
    mixed = all(0.2 <= share <= 0.8 for share in quarters)
    sorted_still = (
        "Whole stretches still carry one label. Shuffling inside a batch or a small window, or before something "
        "that sorts again, is not enough: draw one permutation of all."
    )
    require(
        mixed,
        "20 to 80 % positive in each quarter",
        ", ".join(f"{q:.0%}" for q in quarters),
        sorted_still,
    )
    require(
        first == again,
        "the same order for the same seed",
        "another",
        "Use the seed that was passed in.",
    )
    require(
        first != other,
        "another order for another seed",
        "the same",
        "The order does not depend on the seed.",
    )
    runs = sum(a != b for a, b in pairwise(got_labels))
    require(runs < 300, "random neighbours", f"{runs} changes of label in {count}",
            "Laid out in turn (pos, neg, pos, ...): regular is not random. Draw a permutation.")  # fmt: skip


def _as_lists(result: Any) -> tuple[list, list]:
    texts, labels = expect_pair(result, "(texts, labels)")
    return list(texts), [int(label) for label in labels]


# ---------------------------------------------------------------- 7.17 what truncation throws away


def share_by_kept(lengths: Sequence[int], limit: int) -> float:
    """The reference: one minus the share that is kept."""
    return 1 - sum(min(n, limit) for n in lengths) / sum(lengths)


_WRONG_SHARE: list[Wrong] = [
    (
        lambda n, m: sum(x > m for x in n) / len(n),
        "This is the share of *reviews* that are cut. How many tokens do they lose?",
    ),
    (
        lambda n, m: sum(max(0, 1 - m / x) for x in n) / len(n),
        "A mean of shares gives a short review the weight of a long one: add up tokens first, divide once.",
    ),
    (lambda n, m: 1 - share_by_kept(n, m), "This is the share that is kept."),
    (
        lambda n, m: max(0, 1 - m / (sum(n) / len(n))),
        "The mean review hides the long ones: cut each before adding.",
    ),
    (
        lambda n, m: 1 - sum(n) / (m * len(n)),
        "This is about padding: how much of a full table would be empty.",
    ),
    (lambda n, m: sum(max(0, m - x) for x in n) / (m * len(n)), "This is padding, not loss."),
    (lambda n, m: 100 * share_by_kept(n, m), "A share lies between 0 and 1; this is a percentage."),
    (
        lambda n, m: sum(max(0, x - m) for x in n) / len(n),
        "These are tokens lost per review; divide by all tokens.",
    ),
]


def inspect_share(fn: Answer) -> None:
    """Some cut, none cut, all cut."""
    for lengths, limit in (([30, 500, 128, 129], 128), ([700, 600, 800], 256), ([10, 20], 64)):
        got = expect_number(call(fn, lengths, limit), "a share")
        expect_close(got, share_by_kept(lengths, limit), f"the share of tokens lost of {lengths} at {limit}",
                     inputs=(lengths, limit), wrong=_WRONG_SHARE)  # fmt: skip
