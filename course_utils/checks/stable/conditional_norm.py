"""Exercise `conditional_norm`: after BatchNorm each class has its own weight and bias for every channel."""

import copy

import torch
from torch import Tensor, nn

from course_utils.checks.core import (
    Answer,
    Wrong,
    call,
    exercise,
    expect_gradient,
    expect_like,
    require,
)


def _by_addcmul(
    x: Tensor, labels: Tensor, norm: nn.Module, weight: nn.Embedding, bias: nn.Embedding
) -> Tensor:
    """The rows taken out of the tables, and all in one operation; what the lesson trains with where nobody answered."""
    b, w = (table.weight[labels].unflatten(1, (-1, 1, 1)) for table in (bias, weight))
    return torch.addcmul(b, norm(x).to(b.dtype), w)


def _maps(row: Tensor) -> Tensor:
    """(B, C) -> (B, C, 1, 1)."""
    return row[:, :, None, None]


def _of(change: Answer) -> Answer:
    """A mistake in x, labels, a copy of norm, weight and bias."""
    return lambda x, y, norm, weight, bias: change(x, y, copy.deepcopy(norm), weight, bias)


def _within_classes(x: Tensor, y: Tensor, n: nn.Module, w: nn.Module, b: nn.Module) -> Tensor:
    """Each class brought to mean 0 and variance 1 on its own."""
    made = torch.zeros_like(x)
    for k in y.unique():
        mine = x[y == k]
        mean, var = mine.mean((0, 2, 3), keepdim=True), mine.var((0, 2, 3), False, keepdim=True)
        made[y == k] = (mine - mean) / (var + 1e-5).sqrt()
    return _maps(w(y)) * made + _maps(b(y))


_OTHER_ROW = (
    "Another row of the tables: picture i gets the weights of *its own* label, `weight(labels)`."
)
_COLUMNS = (
    "The row of a class was laid along the pixels: it has a number for each *channel*, so give it the shape "
    "(B, C, 1, 1)."
)
_ONE_FOR_ALL = "All pictures got the same weights: each has those of its own class."

_MISTAKES: list[Wrong] = [
    (
        _of(lambda x, y, n, w, b: n(x)),
        "The class has no say: multiply by its weights and add its biases.",
    ),
    (_of(lambda x, y, n, w, b: _maps(w(y)) * n(x)), "The biases are missing."),
    (
        _of(lambda x, y, n, w, b: n(x) + _maps(b(y))),
        "The weights are missing: each channel is multiplied by its class's weight first.",
    ),
    (
        _of(lambda x, y, n, w, b: _maps(w(y)) * x + _maps(b(y))),
        "BatchNorm is missing: the class's weights and biases work on `norm(x)`.",
    ),
    (
        _of(lambda x, y, n, w, b: n(_maps(w(y)) * x + _maps(b(y)))),
        "The order: BatchNorm comes first, or it takes out again much of what the class has put in.",
    ),
    (
        _of(lambda x, y, n, w, b: _maps(w(y)) * (n(x) + _maps(b(y)))),
        "The bias is added last; here it was multiplied by the weight, too.",
    ),
    (
        _of(lambda x, y, n, w, b: _maps(b(y)) * n(x) + _maps(w(y))),
        "Weight and bias are exchanged: the weight multiplies.",
    ),
    (
        _of(lambda x, y, n, w, b: (1 + _maps(w(y))) * n(x) + _maps(b(y))),
        "1 + weight: the tables' weights start at 1 already.",
    ),
    (
        _of(lambda x, y, n, w, b: _maps(w(y)) * n(x) - _maps(b(y))),
        "The bias is added, not taken away.",
    ),
    (
        _of(lambda x, y, n, w, b: n(x) / _maps(w(y)) + _maps(b(y))),
        "The weight multiplies; here it divides.",
    ),
    (
        _of(lambda x, y, n, w, b: _maps(w(y)) + n(x) + _maps(b(y))),
        "The weight multiplies; here it was added.",
    ),
    (_of(lambda x, y, n, w, b: w(y)[:, None, None] * n(x) + b(y)[:, None, None]), _COLUMNS),
    (_of(lambda x, y, n, w, b: w(y)[:, None, :, None] * n(x) + b(y)[:, None, :, None]), _COLUMNS),
    (_of(lambda x, y, n, w, b: w(y)[:, None, None, :] * n(x) + b(y)[:, None, None, :]), _COLUMNS),
    (_of(lambda x, y, n, w, b: w(y)[:, :, None] * n(x) + b(y)[:, :, None]), _COLUMNS),
    (_of(lambda x, y, n, w, b: w(y) * n(x) + b(y)), _COLUMNS),
    (_of(lambda x, y, n, w, b: _maps(w(y.flip(0))) * n(x) + _maps(b(y.flip(0)))), _OTHER_ROW),
    (
        _of(lambda x, y, n, w, b: _maps(w.weight[: len(y)]) * n(x) + _maps(b.weight[: len(y)])),
        _OTHER_ROW,
    ),
    (
        _of(lambda x, y, n, w, b: _maps(w(0 * y)) * n(x) + _maps(b(0 * y))),
        "The rows of class 0 for every picture: ask the tables for `labels`.",
    ),
    (
        _of(lambda x, y, n, w, b: w(y).mean(0)[:, None, None] * n(x) + b(y).mean(0)[:, None, None]),
        _ONE_FOR_ALL,
    ),
    (
        _of(
            lambda x, y, n, w, b: (
                w(y).mean(1)[:, None, None, None] * n(x) + b(y).mean(1)[:, None, None, None]
            )
        ),
        "One number for all channels of a picture: each channel has its own, `weight(labels)` is (B, C).",
    ),
    (
        _of(_within_classes),
        "Each class was normalised on its own. BatchNorm looks at the whole batch; only weight and bias are a class's.",
    ),
    (
        _of(lambda x, y, n, w, b: _maps(w(y)) * n.eval()(x) + _maps(b(y))),
        "norm answered in evaluation mode: leave it in the mode in which it comes.",
    ),
    (
        _of(lambda x, y, n, w, b: _maps(w(y)) * n.train()(x) + _maps(b(y))),
        "norm answered in training mode: leave it in the mode in which it comes.",
    ),
    (
        _of(lambda x, y, n, w, b: (_maps(w(y)) * n(x) + _maps(b(y))).relu()),
        "The ReLU is too much: the generator has its own after this layer.",
    ),
]
_WORKED = "One number: BatchNorm gives 0.5; the channel's weight for this class is 2 and its bias -1: 2 · 0.5 - 1 = 0."
_SHAPE = (
    "The maps keep their shape (B, C, H, W): each is multiplied by one number, and one is added."
)
_TOLD = {
    "must match the size": _COLUMNS,
    "index out of range": "The tables have a row for each label from 0 on: ask them for `labels` as they are.",
    "changed its argument": "The caller's maps were changed in place: make new ones.",
    "a leaf Variable": "The caller's maps were changed in place: make new ones.",
}


@exercise(_by_addcmul)
def conditional_norm(fn: Answer) -> None:
    """Check ``conditional_norm(x, labels, norm, weight, bias)``: (B, C, H, W), (B,) and three layers -> the same shape.

    The maps are normalised once, in the mode in which ``norm`` comes, and gradients reach all that is learned.
    """
    for shape, classes in (((5, 3, 4, 6), 6), ((4, 4, 4, 4), 5), ((3, 2, 5, 5), 3)):
        _expect_maps(fn, shape, classes, training=True)
    _expect_maps(fn, (1, 4, 3, 3), 3, training=False)


def _expect_maps(
    fn: Answer, shape: tuple[int, int, int, int], classes: int, training: bool
) -> None:
    x = (2 * torch.randn(shape) + 1).requires_grad_(True)
    labels = torch.tensor([2, 0, 1, 2, 1])[: shape[0]]
    weight, bias = nn.Embedding(classes, shape[1]), nn.Embedding(classes, shape[1])
    norm = _that_has_seen_maps(shape[1]).train(training)
    twin = copy.deepcopy(norm)
    what = f"the maps {shape} in {'training' if training else 'evaluation'} mode"
    came = call(fn, x, labels, norm, weight, bias, may_change=[norm], says=_TOLD)
    inputs = (x, labels, copy.deepcopy(twin), weight, bias)
    expected = _by_addcmul(x, labels, twin, weight, bias)
    expect_like(
        came, expected, what, inputs=inputs, wrong=_MISTAKES, shape=_SHAPE, hint=_WORKED, rtol=1e-3
    )
    leaves = {"the maps": x, "the weights": weight.weight, "the biases": bias.weight}
    expect_gradient(came, expected, leaves)
    mode = "norm answers in the mode in which it comes, and keeps it."
    require(norm.training == training, "norm in the mode in which it came", "another mode", mode)
    once = "norm was called more often than once, or never: each call moves its running averages."
    seen = [n for n, t in norm.state_dict().items() if not torch.allclose(t, twin.state_dict()[n])]
    require(not seen, "norm called once", f"other {', '.join(seen[:2])}", once)


def _that_has_seen_maps(channels: int) -> nn.BatchNorm2d:
    """A BatchNorm whose averages and weights are not those of the start."""
    norm = nn.BatchNorm2d(channels)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    for _ in range(3):
        norm(3 * torch.randn(6, channels, 2, 2) - 1)
    return norm
