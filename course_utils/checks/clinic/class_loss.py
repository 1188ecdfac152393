"""Exercise `class_loss`: cross-entropy of logits, with one softmax."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.clinic.game import case
from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    expect_close,
    expect_gradient,
    expect_number,
    hinting,
)


def _loss_by_logsumexp(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.logsumexp(1) - logits.gather(1, labels[:, None])[:, 0]).mean()


_OVERFLOW = (
    "Large logits: softmax gives exactly 0, and its logarithm is infinite. `log_softmax` never leaves the "
    "logarithms."
)
_CAPPED = (
    "A small number added before the logarithm hides that softmax gives exactly 0, and caps the loss of an answer that "
    "is sure and wrong: take the log-softmax of the logits."
)
_WORKED = (
    "One answer: logits (1, 0) and label 0. log_softmax gives 1 - log(e + 1) = -0.313, so it costs 0.313. Then the "
    "mean over the batch."
)
_MISTAKES: list[Wrong] = [
    (
        lambda a, y: F.cross_entropy(a, y, label_smoothing=0.1),
        "Label smoothing is another loss: it never reaches 0, however sure and right the network is.",
    ),
    (
        lambda a, y: F.cross_entropy(a, y) / torch.tensor(float(a.shape[1])).log(),
        "Divided by the log of the number of classes: nats are asked for.",
    ),
    (lambda a, y: F.cross_entropy(a, y) / torch.tensor(2.0).log(), "These are bits, not nats."),
    (
        lambda a, y: F.cross_entropy(a.softmax(1), y),
        "Two softmaxes: `cross_entropy` has one inside. What does it want to be given?",
    ),
    (
        lambda a, y: F.cross_entropy(a.softmax(0), y),
        "A softmax over the batch stands in front: `cross_entropy` wants the logits as they are.",
    ),
    (
        lambda a, y: F.nll_loss(a.softmax(1), y),
        "`nll_loss` takes log-probabilities: of probabilities it makes a negative number that means nothing.",
    ),
    (lambda a, y: F.nll_loss(a, y), "`nll_loss` takes log-probabilities, and these are logits."),
    (
        lambda a, y: F.cross_entropy(a.log_softmax(0), y),
        "Normalised over the batch: each row is a distribution over classes, so dimension 1.",
    ),
    (
        lambda a, y: F.nll_loss(a.log_softmax(0), y),
        "Normalised over the batch: each row is a distribution over classes, so dimension 1.",
    ),
    (
        lambda a, y: F.cross_entropy(a, y, reduction="sum"),
        "This is the sum over the batch: take the mean.",
    ),
    (
        lambda a, y: F.cross_entropy(a.sigmoid(), y),
        "A sigmoid is left in front: `cross_entropy` wants the logits as they are.",
    ),
    (
        lambda a, y: F.binary_cross_entropy_with_logits(a, F.one_hot(y, a.shape[1]).to(a.dtype)),
        "This asks a yes-or-no question about each class: the classes exclude each other here.",
    ),
]


@case(_loss_by_logsumexp)
def class_loss(fn: Answer) -> None:
    """Check ``class_loss(logits, labels)``: mean cross-entropy in nats, its gradient, and logits that are large."""
    sizes = ((6, 4), (1, 3), (5, 10))
    trials = [(2 * torch.randn(size), torch.randint(size[1], size[:1])) for size in sizes]
    for logits, labels in trials:
        expected, came = _loss_by_logsumexp(logits, labels), call(fn, logits, labels)
        what = f"the loss of {len(logits)} answers among {logits.shape[1]} classes"
        expect_close(came, expected, what, inputs=(logits, labels), wrong=_MISTAKES, hint=_WORKED)
        expect_number(came, "a loss")
    large, labels = torch.tensor([[200.0, -200.0], [0.0, 300.0]]), torch.tensor([1, 1])
    with hinting(_OVERFLOW):
        came = expect_number(call(fn, large, labels), "the loss of large logits")
    with hinting(_CAPPED):
        expect_close(came, _loss_by_logsumexp(large, labels), "the loss of large logits")
    for logits, labels in trials:
        leaf = logits.requires_grad_()
        expected, came = _loss_by_logsumexp(leaf, labels), call(fn, leaf, labels)
        expect_gradient(came, expected, {"the logits": leaf})
