"""Exercise `inception_score`: the Inception Score, from class probabilities."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Categorical

from course_utils.checks.core import Answer, Wrong, exercise, hinting
from course_utils.checks.metrics.shared import expect_score


def _score_by_entropies(probabilities: Tensor) -> float:
    """exp(entropy of the average - average of the entropies): the same as by KL."""
    p = torch.as_tensor(probabilities).double()
    average = Categorical(probs=p.mean(0), validate_args=False).entropy()
    return float((average - Categorical(probs=p, validate_args=False).entropy().mean()).exp())


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) along the last dimension."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)


def _information(p: Tensor) -> Tensor:
    return _kl(p, p.mean(0, keepdim=True)).mean()


def _entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum(-1)


_MISTAKES: list[Wrong] = [
    (
        lambda p: _kl(p.mean(0, keepdim=True), p).mean().exp(),
        "The KL the other way round: it goes from each image's probabilities to their average, so p(y|x) comes first.",
    ),
    (
        _information,
        "The exp is missing. Its argument is in nats; exp makes it a number of classes.",
    ),
    (
        lambda p: (-_information(p)).exp(),
        "The sign: this falls below 1. The KL is positive, and the score at least 1.",
    ),
    (
        lambda p: _information(p).exp() ** len(p),
        "The KLs were summed over the images; take their mean.",
    ),
    (
        lambda p: (_information(p) / p.shape[1]).exp(),
        "Averaged over the classes too: a KL is a sum over classes (reduction='batchmean', not 'mean').",
    ),
    (
        lambda p: _kl(p, torch.full_like(p, 1 / p.shape[1])).mean().exp(),
        "Compared with equal shares. The average is over the images (dimension 0), not over the classes.",
    ),
    (
        lambda p: _kl(p, p.mean(0, keepdim=True)).exp().mean(),
        "exp was taken of each image's KL. The mean comes first, then exp.",
    ),
    (
        lambda p: _entropy(p.mean(0)).exp(),
        "Only variety is in it (the entropy of the average). How certain each image is, is missing.",
    ),
    (
        lambda p: (-_entropy(p).mean()).exp(),
        "Only certainty is in it. How varied the images are, the average's entropy, is missing.",
    ),
    (
        lambda p: _entropy(p).mean().exp(),
        "This rises when the classifier is *un*certain: an entropy with a wrong sign.",
    ),
    (
        lambda p: (_entropy(p.mean(0)) + _entropy(p).mean()).exp(),
        "A sign: uncertainty about single images must lower the score.",
    ),
    (
        lambda p: _information(p.softmax(1)).exp(),
        "softmax of what are probabilities already: that flattens them all.",
    ),
    (
        lambda p: (_information(p) / math.log(2)).exp(),
        "Bits inside exp: take natural logs, or 2 to the power.",
    ),
    (lambda p: 2 ** _information(p), "2 to the power of nats: take exp, or base-2 logs as well."),
    (
        lambda p: _information(F.one_hot(p.argmax(1), p.shape[1]).to(p)).exp(),
        "The most probable class alone was used. Uncertainty is half of what the score measures.",
    ),
    (
        lambda p: torch.stack([_information(part).exp() for part in p.chunk(10)]).mean(),
        "The mean over ten parts, as the original program has it. Fewer images give a lower score: use all at once.",
    ),
    (
        lambda p: _kl(p, p.mean(0, keepdim=True)).sum(),
        "A sum of KLs: take the mean over the images, then exp.",
    ),
    (
        lambda p: _kl(p, p.mean(0, keepdim=True)).median().exp(),
        "The median of the KLs; their mean is asked for.",
    ),
    (
        lambda p: (0.5 * (_kl(p, p.mean(0)) + _kl(p.mean(0).expand_as(p), p))).mean().exp(),
        "Both directions of the KL were averaged; only the one from p(y|x) to p(y) is asked for.",
    ),
    (
        lambda p: (p * (p / p.mean(0))).sum(1).mean(),
        "The logarithm is missing: KL = Σ p (log p - log q).",
    ),
    (
        lambda p: (p.log() - p.mean(0).log()).sum(1).mean().exp(),
        "The weight p before the logs is missing: KL = Σ p (log p - log q).",
    ),
    (
        lambda p: _information(p).exp() / p.shape[1],
        "Divided by the number of classes: the score goes from 1 to K.",
    ),
]


_WORKED = (
    "Two pictures, (0.9, 0.1) and (0.1, 0.9), have the average (0.5, 0.5). Each KL is 0.9 log 1.8 + 0.1 log 0.2 = "
    "0.368; so is their mean, and exp makes 1.445 of it."
)


@exercise(_score_by_entropies)
def inception_score(fn: Answer) -> None:
    """Check ``inception_score(probabilities)``: (N, K) -> one number."""
    for n, k, dtype in ((20, 4, torch.float64), (30, 3, torch.float32), (7, 10, torch.float64)):
        logits = 2 * torch.randn(n, k, dtype=dtype) + torch.linspace(0, 2, k, dtype=dtype)
        p = logits.softmax(1)
        hint = _WORKED
        if k == 10:
            hint = "Small probabilities come out wrong: is a constant added inside the logs, or a number rounded?"
        what = f"the score of {n} images, {k} classes"
        expect_score(fn, (p,), _score_by_entropies(p), what, _MISTAKES, hint)
    certain = torch.eye(5)[torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])]
    zeros = "Probabilities of exactly 0: the limit of p log p is 0 there, but 0 times log 0 is NaN. See torch.xlogy."
    with hinting(zeros):
        what = "the score of five classes, each certain and equally often"
        expect_score(fn, (certain,), 5.0, what)
    same = torch.tensor([[0.7, 0.2, 0.1]]).repeat(6, 1)
    one = (
        "If every image gets the same probabilities the score is 1: nothing can be told from them."
    )
    expect_score(fn, (same,), 1.0, "the score of images that all look alike", hint=one)
