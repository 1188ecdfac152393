"""The mistakes that learners make in lesson 05, each as a function that makes it, with the hint for whoever did too."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks import Wrong

Mask = Tensor | None


def _scores(q: Tensor, k: Tensor, scale: float | None = None) -> Tensor:
    return q @ k.transpose(-2, -1) / (math.sqrt(q.shape[-1]) if scale is None else scale)


def _masked(scores: Tensor, mask: Mask, fill: float = -torch.inf) -> Tensor:
    return scores if mask is None else scores.masked_fill(~mask, fill)


def _weights(q: Tensor, k: Tensor, mask: Mask, scale: float | None = None) -> Tensor:
    return _masked(_scores(q, k, scale), mask).softmax(-1)


def _scaled_by(scale: Callable[[Tensor, Tensor], float]) -> Callable[..., Tensor]:
    return lambda q, k, v, mask: _weights(q, k, mask, scale(q, k)) @ v


def _after_softmax(q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
    return _scores(q, k).softmax(-1).masked_fill(~mask, 0.0) @ v


_UNSCALED = (
    "The scores are not divided by sqrt(d): for wide heads softmax would then pick a single token."
)

WRONG_ATTENTIONS: list[Wrong] = [
    (_scaled_by(lambda q, k: 1.0), _UNSCALED),
    (_scaled_by(lambda q, k: q.shape[-1]), "Divided by d; it is its square root."),
    (
        _scaled_by(lambda q, k: q.shape[-1] ** -0.5),
        "Multiplied by sqrt(d): the scores are divided by it.",
    ),
    (
        _scaled_by(lambda q, k: k.shape[-2] ** 0.5),
        "Divided by the root of the number of tokens. d is the width of a query: the last dimension.",
    ),
    (
        _scaled_by(lambda q, k: q.shape[0] ** 0.5),
        "Divided by the root of the first dimension. d is the last one.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).softmax(-2) @ v,
        "Softmax over the queries (dimension -2). Each query's weights over the keys, a row, must sum to 1.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).softmax(0) @ v,
        "Softmax over dimension 0. Each query's weights over the keys (the last dimension) must sum to 1.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).softmax(1) @ v,
        "Softmax over dimension 1. Each query's weights over the keys (the last dimension) must sum to 1.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), None if m is None else ~m).softmax(-1) @ v,
        "The mask is turned round: True means *may* attend, so -inf goes where it is False.",
    ),
    (lambda q, k, v, m: _weights(q, k, None) @ v, "The mask is not used."),
    (
        lambda q, k, v, m: (_scores(q, k) * m).softmax(-1) @ v,
        "A forbidden score was made 0, or nearly 0 like -1e-9, and exp(0) = 1 still gets weight. Only -inf gets none.",
    ),
    (
        lambda q, k, v, m: (_scores(q, k) + m).softmax(-1) @ v,
        "The mask was added to the scores: True adds 1 and False adds 0, which forbids nothing.",
    ),
    (
        _after_softmax,
        "The mask came after softmax: the rows no longer sum to 1. Put -inf into the scores before it.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k, 1.0), m).softmax(-1) / math.sqrt(q.shape[-1]) @ v,
        "The weights were divided after softmax: divide the scores, before it.",
    ),
    (
        lambda q, k, v, m: _weights(k, q, m) @ v,
        "Queries and keys changed places: row t belongs to query t.",
    ),
    (
        lambda q, k, v, m: _weights(q, q, m) @ v,
        "Queries were compared with queries: the keys are missing.",
    ),
    (
        lambda q, k, v, m: _weights(k, k, m) @ v,
        "Keys were compared with keys: the queries are missing.",
    ),
    (
        lambda q, k, v, m: _weights(q, v, m) @ v,
        "Queries were compared with the values: compare them with the keys.",
    ),
    (
        lambda q, k, v, m: _weights(q, k, m) @ k,
        "The keys were averaged; the weights belong to the values.",
    ),
    (
        lambda q, k, v, m: _weights(q, k, m) @ q,
        "The queries were averaged; the weights belong to the values.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m, 0.0) @ v,
        "Softmax is missing: scores are not weights yet.",
    ),
    (lambda q, k, v, m: _scores(q, k) @ v, "Softmax is missing: scores are not weights yet."),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).log_softmax(-1) @ v,
        "These are logs of weights: `softmax`, not `log_softmax`.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m).sigmoid() @ v,
        "Sigmoid judges each score alone; rows must sum to 1.",
    ),
    (
        lambda q, k, v, m: F.normalize(_masked(_scores(q, k), m, 0.0), p=1, dim=-1) @ v,
        "Divided by their sum, scores can be negative weights. Softmax takes exp first.",
    ),
    (
        lambda q, k, v, m: _weights(q, k, m),
        "These are the weights; the average of the values is left to do.",
    ),
    (
        lambda q, k, v, m: _masked(_scores(q, k), m),
        "These are the scores; softmax and the values are left to do.",
    ),
    (
        lambda q, k, v, m: _weights(q, k, m).transpose(-2, -1) @ v,
        "The weights are transposed: row t, over the keys, belongs to query t.",
    ),
]


def _square(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool)


WRONG_MASKS: list[Wrong] = [
    (
        lambda n: _square(n).triu(),
        "Upside down: this lets token t look at itself and all *later* ones. Row t looks, column s is looked at.",
    ),
    (
        lambda n: _square(n).triu(1),
        "True marks what is *forbidden* here; the contract is True = may attend.",
    ),
    (
        lambda n: _square(n).tril(-1),
        "The diagonal is missing: a token may look at itself; the first one has nothing else.",
    ),
    (
        lambda n: _square(n).tril(1),
        "One too far: each token sees the next, which is what it has to predict.",
    ),
    (_square, "Everything is allowed: later tokens must be hidden."),
    (lambda n: torch.eye(n), "Only the diagonal: a token may look at all earlier ones too."),
    (
        lambda n: torch.zeros(n, n).masked_fill(~_square(n).tril(), -torch.inf),
        "These are numbers to be added to scores (0 and -inf). Asked for is yes or no: bool.",
    ),
    (
        lambda n: _square(n).tril()[None, None],
        "Two dimensions too many: (T, T) broadcasts over batch and heads.",
    ),
    (
        lambda n: _square(n).tril()[None],
        "One dimension too many: (T, T) broadcasts over batch and heads.",
    ),
    (lambda n: _square(n + 1).tril(), "One row and column too many: there are `length` tokens."),
    (lambda n: _square(n - 1).tril(), "One row and column too few: there are `length` tokens."),
]


def _parts(x: Tensor, heads: int) -> tuple[int, int, int]:
    return x.shape[0], x.shape[1], x.shape[2] // heads


def _split_scrambled(x: Tensor, heads: int) -> Tensor:
    batch, length, width = _parts(x, heads)
    return x.reshape(batch, heads, length, width)


def _split_interleaved(x: Tensor, heads: int) -> Tensor:
    batch, length, width = _parts(x, heads)
    return x.reshape(batch, length, width, heads).permute(0, 3, 1, 2)


_SCRAMBLED = "Reshaped straight away: numbers of different tokens land in one row. Cut D in two, then change places."
_INTERLEAVED = (
    "Every heads-th column went to a head. A head gets a whole run: cut D into (heads, D / heads)."
)
_NOT_SWAPPED = "D is cut, but the heads still stand behind the tokens: change dimensions 1 and 2."

WRONG_SPLITS: list[Wrong] = [
    (_split_scrambled, _SCRAMBLED),
    (_split_interleaved, _INTERLEAVED),
    (lambda x, h: x.unflatten(2, (h, -1)), _NOT_SWAPPED),
    (
        lambda x, h: x.unflatten(2, (h, -1)).permute(2, 0, 1, 3),
        "The heads come first; the batch stays in front.",
    ),
    (lambda x, h: torch.stack(x.chunk(h, 2)), "The heads come first; the batch stays in front."),
    (
        lambda x, h: x.unflatten(2, (h, -1)).permute(0, 2, 3, 1),
        "Tokens and columns changed places too: (B, heads, T, head_dim).",
    ),
    (
        lambda x, h: x.unflatten(2, (-1, h)).transpose(1, 2),
        "D was cut into (D / heads, heads): the other way round.",
    ),
    (
        lambda x, h: torch.stack(x.chunk(h, 1), 1),
        "The tokens were shared out; it is the columns that are.",
    ),
    (lambda x, h: x[:, None].expand(-1, h, -1, -1), "Every head got all columns; they share them."),
    (lambda x, h: torch.stack(x.chunk(h, 2)[::-1], 1), "The heads stand in reverse order."),
]


def _merge_scrambled(x: Tensor) -> Tensor:
    batch, heads, length, width = x.shape
    return x.reshape(batch, length, heads * width)


WRONG_MERGES: list[Wrong] = [
    (
        _merge_scrambled,
        "Reshaped straight away: a row mixes tokens of one head. Put the tokens in front of the heads first.",
    ),
    (
        lambda x: x.permute(0, 2, 3, 1).flatten(2),
        "The heads' columns are interleaved: one head's run must stay together, (heads, head_dim) in this order.",
    ),
    (
        lambda x: x.transpose(1, 2),
        "The tokens are in front; the last two dimensions are left to be joined.",
    ),
    (
        lambda x: x.flatten(1, 2),
        "Heads and tokens were joined; the heads belong beside each other, in the columns.",
    ),
    (
        lambda x: x.transpose(1, 2).flatten(1, 2),
        "Tokens and heads were joined; join heads and columns.",
    ),
    (lambda x: x.mean(1), "The heads were averaged; they stand side by side."),
    (lambda x: x.sum(1), "The heads were added; they stand side by side."),
    (lambda x: torch.cat(x.unbind(1)[::-1], 2), "The heads stand in reverse order."),
    (
        lambda x: x.transpose(1, 2).flatten(2).transpose(1, 2),
        "Tokens and columns changed places: (B, T, D).",
    ),
]


def _each(logits: Tensor, tokens: Tensor) -> Tensor:
    """(B, T - 1) negative log probabilities, rightly shifted."""
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")


def _unshifted(logits: Tensor, tokens: Tensor) -> Tensor:
    return F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")


WRONG_LOSSES: list[Wrong] = [
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
        lambda x, t: _each(x, t).mean(1),
        "One number for each text: the mean over the batch is left to do.",
    ),
    (lambda x, t: _each(x, t), "One number for each prediction: the mean is left to do."),
    (lambda x, t: _each(x, t).flatten(), "One number for each prediction: the mean is left to do."),
]
