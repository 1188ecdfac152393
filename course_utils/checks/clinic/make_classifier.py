"""Exercise `make_classifier`: a BERT with a logit for each of two classes."""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.checks.core import Answer, CheckFailed, call, exercise, expect_close, require


def _classifier_of_two(vocab_size: int) -> nn.Module:
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
    "One output for two classes: the library then takes the task for a regression and minimises the squared distance "
    "to the numbers 0 and 1, without a word; `argmax` over one logit is always 0."
)
_MORE = "Two classes, two logits: more outputs are answers that no review can have."


@exercise(_classifier_of_two)
def make_classifier(fn: Answer) -> None:
    """Check ``make_classifier(vocab_size)``: a BERT whose own loss is the cross-entropy of two logits."""
    model = call(fn, 50)
    require(isinstance(model, nn.Module), "a model", model, "Return the model.")
    model.eval()
    ids, labels = torch.randint(50, (5, 7)), torch.tensor([0, 1, 1, 0, 1])
    try:
        out = model(input_ids=ids, labels=labels)
    except Exception as error:
        came = f"{type(error).__name__}: {str(error)[:120]}"
        raise CheckFailed("a loss for labels 0 and 1", came, _OTHER_LOSS) from None
    count = out.logits.shape[-1]
    require(count == 2, "two logits a review", f"{count}", _ONE if count == 1 else _MORE)
    right = F.cross_entropy(out.logits, labels)
    expect_close(out.loss, right, "the model's own loss", hint=_OTHER_LOSS)
