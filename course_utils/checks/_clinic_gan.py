"""Checks of the clinic's silent GAN cases: 7.6 (false equilibrium), 7.7 (losses), 7.9 (ranges), 7.10 (joint loss)."""

import json
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    expect_close,
    expect_tensor,
    require,
)
from course_utils.checks._clinic_tools import (
    ZERO_LOG_ZERO,
    call_in_words,
    expect_pair,
    is_nan,
    value_and_gradients,
)
from course_utils.paths import results_dir

# ---------------------------------------------------------------- 7.6 the false equilibrium


def equilibrium_by_largest_gap(d_loss: float, g_loss: float, d_real: float, d_fake: float) -> bool:
    """The reference: D is undecided about everything, and both losses are what that makes them."""
    gaps = (d_real - 0.5, d_fake - 0.5, d_loss - 2 * math.log(2), g_loss - math.log(2))
    return max(map(abs, gaps)) < 0.15


_NEAR_REAL = (
    "D answers 1/2 to fakes, and the generator's loss is log 2, here too; but D is sure about real examples. At the "
    "equilibrium it answers 1/2 to *both*, and its loss is the sum of two log 2."
)
_ROWS: list[tuple[str, tuple[float, ...] | None, bool, str]] = [
    ("the equilibrium itself", (2 * math.log(2), math.log(2), 0.5, 0.5), True,
     "D's loss is the sum of two means: 2 log 2 = 1.386 where D says 1/2 to all."),
    ("no_detach", None, False, _NEAR_REAL),
    ("stale", None, False, _NEAR_REAL),
    ("joint", None, False, _NEAR_REAL),
    ("a D that leads", (0.446, 1.609, 0.8, 0.2), False,
     "The *mean* of D(x) and D(G(z)) is 1/2 whenever D is as sure of the one as of the other: look at each."),
    ("caught", None, False, "D tells everything apart here: D(x) = 1 and D(G(z)) = 0."),
    ("a generator ahead", (1.378, 0.329, 0.9, 0.72), False,
     "D's loss is 1.38 here by chance: it calls everything real, fakes included. Look at its answers."),
    ("a healthy end", (1.34, 0.74, 0.53, 0.48), True,
     "A run wobbles around its equilibrium: allow about 0.1 on each side."),
    ("right", None, True, "This is the mean of five healthy runs at their end: allow about 0.1 on each side."),
]  # fmt: skip


def inspect_equilibrium(fn: Answer) -> None:
    """Recorded ends of runs (``gan_traces.json``), the equilibrium itself, and states that share one sign with it."""
    toy = json.loads((results_dir() / "gan_traces.json").read_text())["toy"]
    for name, numbers, expected, hint in _ROWS:
        row = numbers or tuple(toy[name][key] for key in ("d_loss", "g_loss", "d_real", "d_fake"))
        came = call(fn, *row)
        require(
            type(came) is bool or (isinstance(came, Tensor) and came.numel() == 1),
            "True or False",
            came,
            "A bool.",
        )
        shown = f"D's loss {row[0]:.2f}, G's {row[1]:.2f}, D(x) {row[2]:.2f}, D(G(z)) {row[3]:.2f}"
        require(bool(came) is expected, f"{expected} for {shown}", f"{bool(came)}", hint)


# ---------------------------------------------------------------- 7.7 trained to be caught

Losses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def losses_by_softplus(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The reference."""
    return F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()


_WRONG_LOSSES: list[tuple[Losses, str]] = [
    (
        lambda a, b: (losses_by_softplus(a, b)[0], F.softplus(b).mean()),
        "Unchanged: the generator's label is *fake*, so it is trained to be caught. What should D say, in G's wishes?",
    ),
    (
        lambda a, b: (losses_by_softplus(a, b)[0], -F.softplus(b).mean()),
        "Right direction, wrong loss: this is the saturating log(1 - D), whose slope at logit -8 is 0.0003. Nobody who "
        "is caught learns from it; the label 1 gives a slope near -1.",
    ),
    (
        lambda a, b: (losses_by_softplus(a, b)[0], -F.softplus(-b).mean()),
        "A minus in front of the label-1 loss: descending it lowers D(G(z)) again.",
    ),
    (
        lambda a, b: (F.softplus(-a).mean() + F.softplus(-b).mean(), F.softplus(-b).mean()),
        "D's label for fakes changed too: now D learns to call everything real, and there is no game.",
    ),
    (
        lambda a, b: (F.softplus(a).mean() + F.softplus(-b).mean(), F.softplus(b).mean()),
        "All labels are swapped. That game is sound, but D is then the probability of *fake*; here 1 means real.",
    ),
    (
        lambda a, b: (F.softplus(a).mean() + F.softplus(-b).mean(), F.softplus(-b).mean()),
        "D's labels are swapped: real examples carry 1, fakes 0 in D's loss.",
    ),
    (lambda a, b: losses_by_softplus(a, b)[::-1], "The losses come in the other order: D's first."),
    (
        lambda a, b: (losses_by_softplus(a, b)[0] / 2, losses_by_softplus(a, b)[1]),
        "D's loss is a sum of two means; here it is halved.",
    ),
]


def inspect_losses(fn: Answer) -> None:
    """Values and slopes at logits from -8 to 6, for unequal batches."""
    for real, fake in (([1.5, -0.7, 2.2], [-8.0, 0.4]), ([[6.0], [0.3]], [[-1.1], [0.9], [-8.0]])):
        came, right = (
            _slopes(f, torch.tensor(real), torch.tensor(fake)) for f in (fn, losses_by_softplus)
        )
        wrong: list[Wrong] = [
            (lambda f=f, a=real, b=fake: _slopes(f, torch.tensor(a), torch.tensor(b)), hint)
            for f, hint in _WRONG_LOSSES
        ]
        try:
            expect_close(
                came,
                right,
                "losses and slopes",
                wrong=wrong,
                hint="Write each term as label and sign first.",
            )
        except CheckFailed as failure:
            row = [f"losses {r[0]:.3f} and {r[len(r) // 2]:.3f}, slope of G's at logit -8: {_at_minus_8(r, fake):.4f}"
                   for r in (right, came)]  # fmt: skip
            raise CheckFailed(row[0], row[1], failure.hint) from None


def _slopes(fn: Any, real: Tensor, fake: Tensor) -> Tensor:
    leaves = [real.requires_grad_(), fake.requires_grad_()]
    pair = expect_pair(call(fn, *leaves), "(discriminator's loss, generator's loss)")
    for loss in pair:
        expect_tensor(loss, (), "a loss", hint="Take the mean over the batch.")
    return torch.cat([value_and_gradients(loss, leaves) for loss in pair])


def _at_minus_8(row: Tensor, fake: list) -> float:
    flat = torch.tensor(fake).flatten().tolist()
    return float(row[len(row) - len(flat) + flat.index(-8.0)])


# ---------------------------------------------------------------- 7.9 ranges that match

_HALF = "Sigmoid makes [0, 1], but the photographs fill [-1, 1]: every dark pixel now gives away a photograph."
_ZERO_RANGE = "A uniform picture has no spread of its own: its minimum and maximum, or its deviation, give 0/0."
_BY_COLOUR = (
    "A mean and a deviation for each colour (ImageNet's, say) are for classifiers: they leave the data between about "
    "-2.1 and 2.6, where Tanh cannot follow."
)
_RANGE_HINTS: list[tuple[tuple[float, float, float, float], str]] = [
    (
        (0, 1, -1, 1),
        "Unchanged: half of what Tanh makes is negative, and no photograph ever is. D needs one such pixel.",
    ),
    ((-1, 1, 0, 1), _HALF),
    (
        (-1, 127 / 128, -1, 1),
        "x * 255 / 128 - 1 ends at 0.992: white can be told. 255 should become exactly 1.",
    ),
    ((0, 255, -1, 1), "The pictures are already in [0, 1]; Tanh can never reach 255."),
    ((-0.5, 0.5, -1, 1), "The mean is gone, but the photographs fill only half of Tanh's range."),
    ((0, 2, -1, 1), "The pictures were stretched, but not shifted."),
]


def ranges_by_affine() -> tuple[Callable[[Tensor], Tensor], torch.nn.Module]:
    """The reference."""
    return lambda pictures: torch.add(-1, pictures, alpha=2), torch.nn.Tanh()


def inspect_ranges(fn: Answer) -> None:
    """What the data and the last layer fill must be the same interval, whatever else is in the batch."""
    prepare, last = expect_pair(call(fn), "(prepare, last): a function of pictures, and a layer")
    black, white = torch.zeros(2, 3, 4, 6), torch.ones(2, 3, 4, 6)
    low, high = (call_in_words(prepare, p, says={}) for p in (black, white))
    for name, shown in (("black", low), ("white", high)):
        expect_tensor(shown, (2, 3, 4, 6), f"prepared {name} pictures", torch.float32)
        finite = bool(shown.isfinite().all())
        require(finite, f"finite numbers for {name}", shown, _ZERO_RANGE)
        require(
            float(shown.max() - shown.min()) < 1e-6,
            f"one value for {name}, in all colours",
            shown,
            _BY_COLOUR,
        )
    far = torch.tensor([-60.0, 60.0]).view(2, 1, 1, 1)
    ends = call(last, far).flatten()
    found = (low.mean().item(), high.mean().item(), *ends.tolist())
    equal = abs(found[0] - found[2]) < 1e-5 and abs(found[1] - found[3]) < 1e-5
    known = (
        h
        for row, h in _RANGE_HINTS
        if all(abs(a - b) < 1e-4 for a, b in zip(found, row, strict=True))
    )
    hint = next(
        known,
        "Data and last layer must fill the same interval: both ends of one are the ends of the other.",
    )
    got = f"data from {found[0]:.3f} to {found[1]:.3f}, last layer from {found[2]:.3f} to {found[3]:.3f}"
    require(equal, "data and last layer from the same low to the same high end", got, hint)
    _expect_straight(prepare, found[0], found[1])


def _expect_straight(prepare: Answer, low: float, high: float) -> None:
    mixed = torch.rand(3, 3, 4, 6)
    alone = torch.cat([call(prepare, mixed[i : i + 1]) for i in range(3)])
    hint = "The same pixel becomes another number beside other pictures: no minimum, maximum or mean of the batch."
    expect_close(call(prepare, mixed), alone, "a picture prepared in a batch and alone", hint=hint)
    straight = low + (high - low) * mixed
    bent = "The ends are right, what lies between is not a straight line: colours would be bent, and not come back."
    expect_close(alone, straight, "pictures prepared", hint=bent, atol=1e-5)


# ---------------------------------------------------------------- 7.10 one joint loss


def objective_by_entropies(p: Tensor, q: Tensor) -> Tensor:
    """The reference: 2 H((p + q) / 2) - H(p) - H(q) - log 4."""
    p, q = torch.as_tensor(p).double(), torch.as_tensor(q).double()
    entropy = [-torch.xlogy(d, d).sum() for d in ((p + q) / 2, p, q)]
    return 2 * entropy[0] - entropy[1] - entropy[2] - math.log(4)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def _joint(p: Tensor, q: Tensor) -> Tensor:
    return (
        torch.xlogy(p + q, p + 2 * q)
        - torch.xlogy(p + q, p + q)
        + torch.xlogy(q, p + 2 * q)
        - torch.xlogy(q, q)
    ).sum()


_WRONG_OBJECTIVE: list[Wrong] = [
    (
        _joint,
        "Unchanged: D still helps the generator. Let D have only its own loss, and put the best D into V.",
    ),
    (
        lambda p, q: -objective_by_entropies(p, q),
        "This is D's loss at its best; the generator descends V = minus that.",
    ),
    (
        lambda p, q: objective_by_entropies(p, q) / math.log(2),
        "These are bits: the value at p = q would be -2, not -log 4.",
    ),
    (
        lambda p, q: (objective_by_entropies(p, q) - math.log(4)) / 2,
        "The factor 2 in front of the JSD is missing; p = q cannot show it.",
    ),
    (
        lambda p, q: objective_by_entropies(p, q) + math.log(4),
        "The constant is missing: V at p = q is -log 4, not 0.",
    ),
    (
        lambda p, q: (objective_by_entropies(p, q) + math.log(4)) / 2,
        "This is the JSD alone; asked for is V at the best D.",
    ),
    (
        lambda p, q: _kl(p, q) - math.log(4),
        "A KL divergence in place of the JSD; p = q cannot show it.",
    ),
    (
        lambda p, q: _kl(q, p) - math.log(4),
        "A KL divergence in place of the JSD; p = q cannot show it.",
    ),
    (lambda p, q: p.new_tensor(0.0), "0 is the value of the worst generator."),
    (
        lambda p, q: torch.maximum(p, q).sum(),
        "Without logarithms the game is about total variation.",
    ),
]


def inspect_objective(fn: Answer) -> None:
    """Equal, unequal, and disjoint probabilities."""
    rows = (
        ([0.1, 0.2, 0.7], [0.5, 0.3, 0.2]),
        ([0.25, 0.75], [0.25, 0.75]),
        ([0.9, 0.1, 0.0], [0.1, 0.6, 0.3]),
        ([1.0, 0.0], [0.0, 1.0]),
    )
    for row in rows:
        p, q = (torch.tensor(r, dtype=torch.float64) for r in row)
        got = call(fn, p, q)
        require(not is_nan(got), f"a number for p = {row[0]}, q = {row[1]}", "NaN", ZERO_LOG_ZERO)
        what = f"V at the best D for p = {row[0]}, q = {row[1]}"
        hint = "Put D* = p / (p + q) into V = sum p log D + sum q log(1 - D)."
        expect_close(
            got,
            objective_by_entropies(p, q),
            what,
            inputs=(p, q),
            wrong=_WRONG_OBJECTIVE,
            hint=hint,
            atol=1e-5,
        )
