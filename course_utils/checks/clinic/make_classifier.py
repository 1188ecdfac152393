"""The exercise `make_classifier`: its reference, the mistakes that learners make in it, and its check."""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.checks.core import Answer, CheckFailed, call, exercise, expect_close, require


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


@exercise(classifier_of_two)
def make_classifier(fn: Answer) -> None:
    """Check ``make_classifier(vocab_size)``: a BERT whose own loss is the cross-entropy of two logits."""
    inspect_classifier(fn)
