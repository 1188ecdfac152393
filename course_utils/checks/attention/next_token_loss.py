"""Exercise `next_token_loss`: the cross-entropy of each token, predicted from those before it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_close,
    expect_gradient,
    hinting,
    require,
)


def _loss_by_gathering(logits: Tensor, tokens: Tensor) -> Tensor:
    logits = logits.float()  # autocast leaves bf16, whose numbers near 8 are 0.06 apart
    log_p = (logits - logits.logsumexp(-1, keepdim=True))[:, :-1]
    return -log_p.gather(2, tokens[:, 1:, None]).mean()


def _each(logits: Tensor, tokens: Tensor) -> Tensor:
    """(B, T - 1) negative log probabilities, rightly shifted."""
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")


def _unshifted(logits: Tensor, tokens: Tensor) -> Tensor:
    return F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")


_MISTAKES: list[Wrong] = [
    (
        lambda x, t: _unshifted(x, t).mean(),
        "Not shifted: the logits at t predict the token at t + 1. Like this the network would learn to copy its input.",
    ),
    (
        lambda x, t: _unshifted(x[:, 1:], t[:, :-1]).mean(),
        "Shifted the wrong way: these logits are asked for the token *before*.",
    ),
    (
        lambda x, t: _unshifted(x[:, :-1], t[:, :-1]).mean(),
        "Both lost their last element, so nothing is shifted: the tokens lose their first one.",
    ),
    (
        lambda x, t: _unshifted(x[:, 1:], t[:, 1:]).mean(),
        "Both lost their first element, so nothing is shifted: the logits lose their last one.",
    ),
    (
        lambda x, t: _unshifted(x, t.roll(-1, 1)).mean(),
        "`roll` asks the last position for the first token: that pair does not exist.",
    ),
    (
        lambda x, t: _each(x, t).sum(),
        "The sum: asked for is the mean over the B * (T - 1) predictions.",
    ),
    (
        lambda x, t: _each(x, t).sum(1).mean(),
        "Summed over each text: the mean runs over all B * (T - 1) predictions.",
    ),
    (
        lambda x, t: _each(x, t).mean(1).sum(),
        "Summed over the batch: the mean runs over all B * (T - 1) predictions.",
    ),
    (
        lambda x, t: _each(x, t).sum() / t.numel(),
        "Divided by B * T; there are only T - 1 predictions in each text.",
    ),
    (
        lambda x, t: -_each(x, t).mean(),
        "The sign: the log probability is negative, the loss its negative.",
    ),
    (
        lambda x, t: _each(x, t).mean() / math.log(2),
        "These are bits. Asked for are nats: natural logs.",
    ),
    (lambda x, t: _each(x, t).mean().exp(), "This is the perplexity; the loss is its logarithm."),
    (
        lambda x, t: _each(x.softmax(-1), t).mean(),
        "Softmax twice: cross_entropy takes logits and does it itself.",
    ),
    (
        lambda x, t: F.nll_loss(x[:, :-1].transpose(1, 2), t[:, 1:]),
        "The logits were taken for log probabilities: log_softmax is missing.",
    ),
    (
        lambda x, t: -x[:, :-1].log_softmax(-1).mean(),
        "The mean over the whole vocabulary: take the log probability of the token that came (`gather`).",
    ),
    (
        lambda x, t: (-_each(x, t)).exp().mean(),
        "The mean probability: take the log of each before the mean.",
    ),
    (
        lambda x, t: -(-_each(x, t)).exp().mean().log(),
        "The log of the mean probability: take the mean of logs.",
    ),
    (
        lambda x, t: -(-_each(x, t)).exp().mean(),
        "The log is missing: the mean of probabilities is no likelihood.",
    ),
    (
        lambda x, t: F.cross_entropy(x[:, :-1].reshape(-1, x.shape[2]), t[:, 1:].T.flatten()),
        "Logits and tokens are flattened in different orders: each meets another one's partner.",
    ),
    (
        lambda x, t: F.cross_entropy(x[:, :-1].reshape(len(x), x.shape[2], -1), t[:, 1:]),
        "`reshape` does not turn (B, T, V) into (B, V, T): it mixes numbers. Use transpose, or flatten B and T.",
    ),
    (
        lambda x, t: -(x.log_softmax(1)[:, :-1].gather(2, t[:, 1:, None])).mean(),
        "Softmax over the positions (dimension 1); it is the vocabulary, the last one, that sums to 1.",
    ),
    (
        lambda x, t: -(x.log_softmax(0)[:, :-1].gather(2, t[:, 1:, None])).mean(),
        "Softmax over the batch (dimension 0); it is the vocabulary, the last one, that sums to 1.",
    ),
    (
        lambda x, t: F.cross_entropy(x.flatten(0, 1)[:-1], t.flatten()[1:]),
        "Flattened first, shifted then: the last row of one text is asked about the first token of the next one.",
    ),
    (
        lambda x, t: F.cross_entropy(x[:, -2], t[:, -1]),
        "Only the last prediction counts here: a text of T tokens holds T - 1.",
    ),
    (
        lambda x, t: F.cross_entropy(x[:, 0], t[:, 1]),
        "Only the first prediction counts here: a text of T tokens holds T - 1.",
    ),
    (
        lambda x, t: _each(x, t).mean(1),
        "One number for each text: the mean over the batch is left to do.",
    ),
    (lambda x, t: _each(x, t), "One number for each prediction: the mean is left to do."),
    (lambda x, t: _each(x, t).flatten(), "One number for each prediction: the mean is left to do."),
]


_WORKED = (
    "A text of 3 tokens, 5 2 7: row 0 is asked about the 2, row 1 about the 7, row 2 about nothing. With p = 0.5 and "
    "0.25 the loss is (0.693 + 1.386) / 2 = 1.040."
)


@exercise(_loss_by_gathering)
def next_token_loss(fn: Answer) -> None:
    """Check ``next_token_loss(logits, tokens)``: (B, T, V), (B, T) -> scalar in nats."""
    for batch, length, vocab in ((2, 5, 7), (1, 4, 3), (3, 2, 5), (4, 6, 4)):
        logits = 2 * torch.randn(batch, length, vocab)
        tokens = torch.randint(vocab, (batch, length))
        _loss_case(fn, logits, tokens, f"the loss for logits of shape {tuple(logits.shape)}")
    far = torch.tensor([[[200.0, -200.0, 0.0], [0.0, 200.0, -200.0], [1.0, 2.0, 3.0]]])
    unstable = "Not stable: a probability of e^-400 is 0 in floats, and its log -inf. Use cross_entropy or log_softmax."
    with hinting(unstable):
        _loss_case(fn, far, torch.tensor([[0, 2, 0]]), "the loss for logits of ±200")
    logits, tokens = torch.randn(2, 4, 5, requires_grad=True), torch.randint(5, (2, 4))
    expected = _loss_by_gathering(logits, tokens)
    expect_gradient(call(fn, logits, tokens), expected, {"logits": logits})


def _loss_case(fn: Answer, logits: Tensor, tokens: Tensor, what: str) -> None:
    got, expected = call(fn, logits, tokens), _loss_by_gathering(logits, tokens)
    expect_close(got, expected, what, inputs=(logits, tokens), wrong=_MISTAKES, hint=_WORKED)
    whole = "Return the tensor itself: a plain number has lost the way back to the network."
    require(type(got) is Tensor, f"{what}: a tensor without dimensions", got, whole)
