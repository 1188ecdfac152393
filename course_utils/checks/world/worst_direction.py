"""Exercise `worst_direction`: which way each pixel moves in the fast gradient sign method."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like, require
from course_utils.models.dcgan import to_tanh_range

Loss = Callable[[Tensor], Tensor]
"""Logits (N, classes) -> a number."""


def _by_log_partition(network: nn.Module, images: Tensor) -> Tensor:
    """The loss of the likeliest class written out: log of the sum of all exponentials, minus the largest logit."""
    return _slope(lambda z: (z.logsumexp(dim=1) - z.amax(dim=1)).sum())(network, images).sign()


def _slope(loss: Loss, start: Callable[[Tensor], Tensor] = to_tanh_range) -> Answer:
    """The gradient of a loss with respect to the pictures as the network sees them."""

    def answer(network: nn.Module, images: Tensor) -> Tensor:
        x = start(images).requires_grad_(True)
        return torch.autograd.grad(loss(network(x)), x)[0]

    return answer


def _own(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, logits.argmax(dim=1))


def _signs(loss: Loss, start: Callable[[Tensor], Tensor] = to_tanh_range) -> Answer:
    return lambda network, images: _slope(loss, start)(network, images).sign()


_RANGE = (
    "The network was trained on pictures in [-1, 1]: `dcgan.to_tanh_range(images)` first, and the gradient with "
    "respect to what comes out."
)
_TARGET = "The loss is that of the network's *own* answers, `logits.argmax(dim=1)`."
_LOGITS = "`F.cross_entropy` takes logits and does the softmax itself: after a second one the loss is another."

_MISTAKES: list[Wrong] = [
    (
        _slope(_own),
        "That is the gradient. Its sign is asked for, so that each pixel moves equally far.",
    ),
    (
        _slope(lambda z: F.cross_entropy(z, z.argmax(1), reduction="sum")),
        "That is the gradient. Its sign is asked for, so that each pixel moves equally far.",
    ),
    (
        _signs(lambda z: -_own(z)),
        "Downhill: so the network would become surer. The attacker wants the loss to *rise*.",
    ),
    (
        _signs(lambda z: F.cross_entropy(z, z.argmin(dim=1))),
        f"Those are the least likely. {_TARGET}",
    ),
    (
        _signs(lambda z: F.cross_entropy(z, torch.zeros(len(z), dtype=torch.int64))),
        f"The loss of class 0 was taken for every picture. {_TARGET}",
    ),
    (
        _signs(lambda z: z.amax(dim=1).sum()),
        "That raises the answer's logit; the loss has to rise.",
    ),
    (
        _signs(lambda z: -z.amax(dim=1).sum()),
        "That lowers the answer's logit, and forgets the other classes: take the cross-entropy.",
    ),
    (_signs(lambda z: z.sum()), "That is the slope of all logits together. Take the loss."),
    (_signs(lambda z: _own(z.softmax(dim=1))), _LOGITS),
    (_signs(lambda z: F.cross_entropy(z.softmax(dim=1), z.argmax(1), reduction="sum")), _LOGITS),
    (_signs(_own, lambda images: images.float()), _RANGE),
    (_signs(_own, lambda images: images / 255), _RANGE),
    (
        lambda network, images: to_tanh_range(images).sign(),
        "Those are the signs of the pixels. The gradient of the loss says which way is worse.",
    ),
    (
        lambda network, images: to_tanh_range(images) + _by_log_partition(network, images),
        "Those are changed pictures. The signs alone are asked for; they are added later.",
    ),
    (
        lambda network, images: (
            _slope(_own)(network, images).mean(dim=0, keepdim=True).sign().expand(images.shape)
        ),
        "All pictures got the same direction: each has its own gradient.",
    ),
]


def _network() -> nn.Sequential:
    """A small classifier with a gradient everywhere, far from 0."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        last = nn.Linear(6 * 36, 4)
        nn.init.normal_(last.weight, 0.0, 0.25)
        network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), last)
    return network.eval()


_WORKED = (
    "One pixel x = 0.5, logits (2x, 0): the network's own answer is class 0, whose loss log(1 + exp(-2x)) has the "
    "slope -0.54 in x. Its sign is -1: a smaller x raises the loss."
)


@exercise(_by_log_partition)
def worst_direction(fn: Answer) -> None:
    """Check ``worst_direction(network, images)`` -> signs (N, 3, H, W) float32.

    ``network`` maps pictures (N, 3, H, W) in [-1, 1] to logits, ``images`` are uint8. The sign of the gradient of the
    cross-entropy of the network's own answers with respect to each pixel, so that a step along it raises the loss.
    Source: arXiv 1412.6572, section 4.
    """
    network, random = _network(), torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (7, 3, 6, 6), dtype=torch.uint8, generator=random)
    _expect(fn, network, images, "the signs of seven pictures")
    _expect(fn, network, images[2:3], "the signs of one picture")


def _expect(fn: Answer, network: nn.Module, images: Tensor, what: str) -> None:
    inputs = (network, images)
    says = {
        "leaf Variable": "Let the converted pictures require a gradient, before the network sees them.",
        "only Tensors of floating point": "Bytes have no gradient: convert them with `dcgan.to_tanh_range` first.",
        "does not require grad": "The pictures need `.requires_grad_(True)` before the network sees them.",
        "not have been used in the graph": (
            "The gradient is taken with respect to the very tensor that the network was given."
        ),
        "NoneType": (
            "`x.grad` is filled for leaves that need a gradient, and only after `loss.backward()`."
        ),
        "scalar outputs": "A gradient starts from one number: sum or average the losses of the pictures.",
        "attribute 'sign'": "`torch.autograd.grad` gives a tuple: take its first entry.",
    }
    came = call(fn, *inputs, says=says)
    tuple_ = "`torch.autograd.grad` gives a tuple, one entry for each input: take the first."
    require(not isinstance(came, tuple | list), "a tensor of signs", came, tuple_)
    expect_like(
        came,
        _by_log_partition(*inputs),
        what,
        inputs=inputs,
        wrong=_MISTAKES,
        shape="Each pixel of each picture has its own sign: (N, 3, H, W).",
        hint=_WORKED,
    )
