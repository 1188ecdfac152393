"""Exercise `loss_of_modes`: what the best discriminator loses where the fakes lie on some of the data's modes."""

import math

import torch

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_close, expect_number


def _by_divergence(covered: int, modes: int) -> float:
    """By log 4 - 2 JSD, the divergence summed over the modes one by one."""
    data = torch.full((modes,), 1 / modes, dtype=torch.float64)
    fakes = torch.zeros_like(data)
    fakes[:covered] = 1 / covered
    mixture = (data + fakes) / 2
    twice = torch.xlogy(data, data / mixture).sum() + torch.xlogy(fakes, fakes / mixture).sum()
    return math.log(4) - twice.item()


def _loss(best: float, real: float, fakes: float = 1.0) -> float:
    """Loss of a D that answers ``best`` on covered modes, to these shares of the data and of the fakes."""
    return -real * math.log(best) - fakes * math.log(1 - best) if 0 < best < 1 else math.inf


_EACH = (
    "On one covered mode lie 1/covered of the fakes, not all of them: they share the covered modes."
)
_EVEN = "On a mode without fakes D* is 1, not ½: what falls there is certainly real, and its logarithm is 0."
_MISTAKES: list[Wrong] = [
    (
        lambda k, n: -_by_divergence(k, n),
        "This is V; asked for is the loss -V, which is never negative.",
    ),
    (lambda k, n: _loss(1 / (1 + n), k / n), _EACH),
    (lambda k, n: _loss(1 / (1 + n), 1 / n), _EACH),
    (
        lambda k, n: _loss(k / (k + n), 1 / n),
        "The real examples of *all* covered modes cost something: covered/modes of the data lie there.",
    ),
    (
        lambda k, n: _loss(k / n, k / n),
        "covered/modes is the share of the data that lies there. D* compares it with the share of the fakes there.",
    ),
    (
        lambda k, n: _loss(n / (k + n), k / n),
        "D* stands on its head: it is the data's share divided by the sum of both, and here the fakes are denser.",
    ),
    (
        lambda k, n: _loss(k / (k + n), 1.0),
        "Not all real examples lie on covered modes: only covered/modes of them. The others cost D nothing.",
    ),
    (lambda k, n: _loss(k / (k + n), k / n) + (n - k) / n * math.log(2), _EVEN),
    (
        lambda k, n: _loss(k / (k + n), k / n, k / n),
        "The fakes have a mean of their own, and all of them lie on covered modes: covered/modes belongs to the data.",
    ),
    (
        lambda k, n: _loss(k / (k + n), k / n, 1 / k),
        "All fakes together lie on covered modes, so their term has the weight 1, not 1/covered.",
    ),
    (
        lambda k, n: _loss(k / (k + n), k / n, 0.0),
        "This is the real examples' half of the loss; what the fakes cost is missing.",
    ),
    (
        lambda k, n: _loss(k / (k + n), 0.0),
        "This is the fakes' half of the loss; what the real examples cost is missing.",
    ),
    (
        lambda k, n: -math.log(k / (k + n)),
        "This is the generator's non-saturating loss; asked for is D's.",
    ),
    (
        lambda k, n: _by_divergence(k, n) / 2,
        "V is the sum of its two terms, not their mean: a factor 2 is missing.",
    ),
    (
        lambda k, n: _by_divergence(k, n) / math.log(2),
        "These are bits (log base 2), not nats.",
    ),
    (
        lambda k, n: (math.log(4) - _by_divergence(k, n)) / 2,
        "This is the JSD; D's loss is log 4 minus twice as much.",
    ),
    (
        lambda k, n: (math.log(4) + _by_divergence(k, n)) / 2,
        "This is log 4 - JSD; V has *twice* the JSD.",
    ),
    (
        lambda k, n: math.log(4) * k / n,
        "The loss is not in proportion to the number of modes: compute D* there, and with it both terms.",
    ),
    (
        lambda k, n: k / (k + n),
        "This is D* on a covered mode. The loss is made of logarithms of it and of 1 - D*.",
    ),
]
_WORKED = (
    "Two modes, one of them covered: there lie ½ of the data and all of the fakes, so D* = ½ / (½ + 1) = ⅓. Half of "
    "the real examples cost -log ⅓ = 1.099 each, the others 0, the fakes -log ⅔ = 0.405: 0.549 + 0.405 = 0.955."
)


@exercise(_by_divergence)
def loss_of_modes(fn: Answer) -> None:
    """Check ``loss_of_modes(covered, modes)``: two whole numbers -> one number in nats."""
    for covered, modes in ((3, 8), (1, 5), (7, 10), (4, 4)):
        answer = call(fn, covered, modes)
        value = expect_number(answer, "the loss of the best D")
        expect_close(
            value,
            _by_divergence(covered, modes),
            f"the loss of the best D, {covered} of {modes} modes covered",
            inputs=(covered, modes),
            wrong=_MISTAKES,
            hint=_WORKED,
        )
