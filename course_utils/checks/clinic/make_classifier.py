"""Exercise `make_classifier`: a BERT with a logit for each of two classes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, CheckFailed, call, expect_close, require


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
    "The loss is not the cross-entropy of the two logits: is `problem_type` set to another one, or does the "
    "configuration count another number of labels?"
)

_ONE = (
    "One output for two classes: the library then takes the task for a regression and minimises the squared distance "
    "to the numbers 0 and 1, without a word; `argmax` over one logit is always 0."
)
_MORE = "Two classes, two logits: more outputs are answers that no review can have."


_VOCABULARY = (
    "The table of embeddings has one row for each token of the vocabulary: `vocab_size` is the "
    "argument, not a number written down."
)


@case(_classifier_of_two)
def make_classifier(fn: Answer) -> None:
    """Check ``make_classifier(vocab_size)``: a BERT whose own loss is the cross-entropy of two logits.

    Vocabularies of several sizes, with their first and last token; a single review.
    """
    for vocab_size, count in ((50, 5), (83, 1), (1_009, 3)):
        model = call(fn, vocab_size)
        require(isinstance(model, nn.Module), "a model", model, "Return the model.")
        _expect_vocabulary(model, vocab_size)
        model.eval()
        ids = torch.randint(vocab_size, (count, 7))
        ids[0, :2] = torch.tensor([0, vocab_size - 1])
        _expect_two_logits(model, ids, torch.tensor([0, 1, 1, 0, 1])[-count:])


def _expect_vocabulary(model: nn.Module, vocab_size: int) -> None:
    tables = [layer.num_embeddings for layer in model.modules() if isinstance(layer, nn.Embedding)]
    what = f"an embedding for each of {vocab_size} tokens"
    require(vocab_size in tables, what, f"tables of {tables} rows", _VOCABULARY)


def _expect_two_logits(model: nn.Module, ids: Tensor, labels: Tensor) -> None:
    try:
        out = model(input_ids=ids, labels=labels)
    except Exception as error:
        came = f"{type(error).__name__}: {str(error)[:120]}"
        raise CheckFailed("a loss for labels 0 and 1", came, _OTHER_LOSS) from None
    count = out.logits.shape[-1]
    require(count == 2, "two logits a review", f"{count}", _ONE if count == 1 else _MORE)
    right = F.cross_entropy(out.logits, labels)
    expect_close(out.loss, right, "the model's own loss", hint=_OTHER_LOSS)
