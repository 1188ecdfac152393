"""The exercises of lesson 01: stub, solutions in several styles, and named wrong answers, each with its own hint."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.authoring.lessons import load_definitions
from course_utils.checks.core import CheckFailed, gan
from course_utils.models import gan as package

CHECKS = {n: getattr(gan, f"exercise_1_{n}") for n in range(1, 6)}
SOLUTIONS = {
    1: "optimal_discriminator",
    2: "value_function",
    3: "js_divergence",
    4: "generator_loss",
    5: "gan_step",
}
RIGHT: dict[int, list] = {n: [] for n in CHECKS}
WRONG: dict[int, list[tuple]] = {n: [] for n in CHECKS}
bce = F.binary_cross_entropy_with_logits


def right(number):
    return lambda fn: RIGHT[number].append(fn) or fn


def wrong(number, keyword):
    """Register a wrong answer with words that stand in its hint."""
    return lambda fn: WRONG[number].append((fn, keyword)) or fn


# ---- 1.1


@right(1)
def best_by_masking(p_data, p_g):
    best = torch.full_like(p_data, 0.5)
    known = (p_data + p_g) > 0
    best[known] = p_data[known] / (p_data[known] + p_g[known])
    return best


@right(1)
def best_by_nan_to_num(p_data, p_g):
    return torch.nan_to_num(p_data / (p_data + p_g), nan=0.5)


@right(1)
def best_in_numpy(p_data, p_g):
    p, q = np.asarray(p_data), np.asarray(p_g)
    return np.divide(p, p + q, out=np.full_like(p, 0.5), where=(p + q) > 0)


wrong(1, "swapped")(lambda p, q: torch.nan_to_num(q / (p + q), nan=0.5))
wrong(1, "no upper bound")(lambda p, q: p / q)
wrong(1, "hard decision")(lambda p, q: (p > q).to(p.dtype))
wrong(1, "NaN")(lambda p, q: p / (p + q))
wrong(1, "not to 0")(lambda p, q: torch.nan_to_num(p / (p + q)))
wrong(1, "small number")(lambda p, q: (p + 1e-8) / (p + q + 2e-8))
wrong(1, "not by the mean")(lambda p, q: torch.nan_to_num(p / ((p + q) / 2), nan=1.0))
wrong(1, "entry by entry")(lambda p, q: p.sum() / (p + q).sum())


# ---- 1.2


@right(2)
def value_by_softplus(real_logits, fake_logits):
    return -F.softplus(-real_logits).mean() - F.softplus(fake_logits).mean()


@right(2)
def value_by_bce(real_logits, fake_logits):
    labels = torch.ones_like(real_logits), torch.zeros_like(fake_logits)
    return -(bce(real_logits, labels[0]) + bce(fake_logits, labels[1]))


wrong(2, "one stable step")(
    lambda r, f: torch.log(r.sigmoid()).mean() + torch.log(1 - f.sigmoid()).mean()
)
wrong(2, "finite, but wrong")(
    lambda r, f: (r.sigmoid() + 1e-8).log().mean() + (1 - f.sigmoid() + 1e-8).log().mean()
)
wrong(2, "logarithm of a mean")(lambda r, f: r.sigmoid().mean().log() + (-f).sigmoid().mean().log())
wrong(2, "-V")(lambda r, f: -F.logsigmoid(r).mean() - F.logsigmoid(-f).mean())
wrong(2, "sign of the fake logits")(lambda r, f: F.logsigmoid(r).mean() + F.logsigmoid(f).mean())
wrong(2, "Sums grow")(lambda r, f: F.logsigmoid(r).sum() + F.logsigmoid(-f).sum())
wrong(2, "own batch")(
    lambda r, f: torch.cat([F.logsigmoid(r).flatten(), F.logsigmoid(-f).flatten()]).mean()
)
wrong(2, "factor 2")(lambda r, f: (F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()) / 2)
wrong(2, "base 2")(lambda r, f: (F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()) / math.log(2))
wrong(2, "logarithms are missing")(lambda r, f: r.sigmoid().mean() + (1 - f.sigmoid()).mean())
wrong(2, "everything real")(lambda r, f: F.logsigmoid(r).mean())
wrong(2, "lost its gradient")(
    lambda r, f: (F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()).detach()
)
wrong(2, "one number")(
    lambda r, f: F.logsigmoid(r).mean(0) + F.logsigmoid(-f).mean(0) + torch.zeros(2)
)


# ---- 1.3


@right(3)
def js_by_masks(p, q, dx):
    m = (p + q) / 2
    return sum((d[d > 0] * torch.log(d[d > 0] / m[d > 0])).sum() * dx / 2 for d in (p, q))


@right(3)
def js_in_numpy(p, q, dx):
    p, q = p.double().numpy(), q.double().numpy()
    m = (p + q) / 2
    terms = [
        np.where(d > 0, d * np.log(np.where(d > 0, d, 1) / np.where(m > 0, m, 1)), 0.0)
        for d in (p, q)
    ]
    return float(sum(np.trapezoid(t, dx=dx) for t in terms) / 2)


def kl(p, q, dx):
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum() * dx


def js(p, q, dx):
    return (kl(p, (p + q) / 2, dx) + kl(q, (p + q) / 2, dx)) / 2


wrong(3, "KL(p || q)")(kl)
wrong(3, "KL(q || p)")(lambda p, q, dx: kl(q, p, dx))
wrong(3, "half in front")(lambda p, q, dx: 2 * js(p, q, dx))
wrong(3, "mass 2")(lambda p, q, dx: (kl(p, p + q, dx) + kl(q, p + q, dx)) / 2)
wrong(3, "base 2")(lambda p, q, dx: js(p, q, dx) / math.log(2))
wrong(3, "spacing dx")(lambda p, q, dx: js(p, q, 1.0))
wrong(3, "square root")(lambda p, q, dx: js(p, q, dx).sqrt())
wrong(3, "second half")(lambda p, q, dx: kl(p, (p + q) / 2, dx) / 2)
wrong(3, "value of the game")(lambda p, q, dx: -2 * math.log(2) + 2 * js(p, q, dx))
wrong(3, "xlogy")(
    lambda p, q, dx: ((p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()).sum() * dx) / 2
)


# ---- 1.4


@right(4)
def loss_by_bce(fake_logits, saturating):
    if saturating:
        return -bce(fake_logits, torch.zeros_like(fake_logits))
    return bce(fake_logits, torch.ones_like(fake_logits))


@right(4)
def loss_by_softplus(fake_logits, saturating):
    return (
        -F.softplus(fake_logits).mean()
        if saturating
        else torch.logaddexp(-fake_logits, torch.tensor(0.0)).mean()
    )


wrong(4, "exchanged")(lambda a, s: loss_by_bce(a, not s))
wrong(4, "trained to be caught")(lambda a, s: bce(a, torch.zeros_like(a)))
wrong(4, "trained to be caught")(
    lambda a, s: F.logsigmoid(-a).mean() if s else -F.logsigmoid(-a).mean()
)
wrong(4, "lowers")(lambda a, s: -loss_by_bce(a, s))
wrong(4, "one stable step")(
    lambda a, s: (1 - a.sigmoid()).log().mean() if s else -a.sigmoid().log().mean()
)
wrong(4, "finite, but wrong")(
    lambda a, s: (1 - a.sigmoid() + 1e-8).log().mean() if s else -(a.sigmoid() + 1e-8).log().mean()
)
wrong(4, "logarithm of a mean")(
    lambda a, s: (1 - a.sigmoid().mean()).log() if s else -a.sigmoid().mean().log()
)
wrong(4, "whatever `saturating` says")(lambda a, s: F.logsigmoid(-a).mean())
wrong(4, "whatever `saturating` says")(lambda a, s: -F.logsigmoid(a).mean())
wrong(4, "grows with the batch")(lambda a, s: loss_by_bce(a, s) * a.numel())
wrong(4, "base 2")(lambda a, s: loss_by_bce(a, s) / math.log(2))


# ---- 1.5


def d_loss_of(d, real, fake):
    a, b = d(real), d(fake)
    return bce(a, torch.ones_like(a)) + bce(b, torch.zeros_like(b))


def g_loss_of(logits):
    return bce(logits, torch.ones_like(logits))


@right(5)
def step_with_fresh_fakes(g, d, g_opt, d_opt, real, noise):
    with torch.no_grad():
        fake = g(noise)
    d_opt.zero_grad()
    d_loss = d_loss_of(d, real, fake)
    d_loss.backward()
    d_opt.step()
    g_opt.zero_grad()
    g_loss = g_loss_of(d(g(noise)))
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@right(5)
def step_without_detach_but_cleared(g, d, g_opt, d_opt, real, noise):
    """No `detach`: wasteful and right, because G's gradients are cleared before its own backward."""
    d_loss = d_loss_of(d, real, g(noise))
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = g_loss_of(d(g(noise)))
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return float(d_loss.detach()), float(g_loss.detach())


@right(5)
def step_with_frozen_discriminator(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss = d_loss_of(d, real, fake.detach())
    d.zero_grad()
    d_loss.backward()
    d_opt.step()
    d.requires_grad_(False)
    g_loss = g_loss_of(d(fake))
    g.zero_grad()
    g_loss.backward()
    g_opt.step()
    d.requires_grad_(True)
    return [d_loss.item(), g_loss.item()]


@right(5)
def step_that_clears_everything_after_each_step(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss = d_loss_of(d, real, fake.detach())
    d_loss.backward()
    d_opt.step()
    g_loss = g_loss_of(d(fake))
    g_loss.backward()
    g_opt.step()
    d_opt.zero_grad()
    g_opt.zero_grad()
    return d_loss.item(), g_loss.item()


def variant(
    g_label=1.0,
    d_labels=(1.0, 0.0),
    detach=True,
    again=True,
    returned=lambda d, g: (d.item(), g.item()),
):
    def step(g, d, g_opt, d_opt, real, noise):
        fake = g(noise)
        a, b = d(real), d(fake.detach() if detach else fake)
        d_loss = bce(a, torch.full_like(a, d_labels[0])) + bce(b, torch.full_like(b, d_labels[1]))
        d_opt.zero_grad()
        d_loss.backward()
        d_opt.step()
        logits = d(g(noise) if again else fake.detach())
        g_loss = bce(logits, torch.full_like(logits, g_label))
        g_opt.zero_grad()
        g_loss.backward()
        g_opt.step()
        return returned(d_loss, g_loss)

    return step


wrong(5, "trained to be caught")(variant(g_label=0.0))
wrong(5, "labels are swapped")(variant(d_labels=(0.0, 1.0)))
wrong(5, "never moves")(variant(again=False))
wrong(5, ".item()")(variant(returned=lambda d, g: (d, g)))
wrong(5, "as a tuple")(variant(returned=lambda d, g: d.item() + g.item()))
wrong(5, "other order")(variant(returned=lambda d, g: (g.item(), d.item())))


@wrong(5, "saturating")
def saturating_step(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss = d_loss_of(d, real, fake.detach())
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = F.logsigmoid(-d(fake)).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "2D - 1 = 0")
def joint_loss(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss, g_loss = d_loss_of(d, real, fake), g_loss_of(d(fake))
    for optimizer in (g_opt, d_opt):
        optimizer.zero_grad()
    (d_loss + g_loss).backward()
    for optimizer in (g_opt, d_opt):
        optimizer.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "2D - 1 = 0")
def retained_graph(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss, g_loss = d_loss_of(d, real, fake), g_loss_of(d(fake))
    d_opt.zero_grad()
    g_opt.zero_grad()
    d_loss.backward(retain_graph=True)
    g_loss.backward()
    g_opt.step()
    d_opt.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "Detach, and clear")
def cleared_late(g, d, g_opt, d_opt, real, noise):
    d_loss = d_loss_of(d, real, g(noise))
    d_loss.backward()
    d_opt.step()
    d_opt.zero_grad()
    g_loss = g_loss_of(d(g(noise)))
    g_loss.backward()
    g_opt.step()
    g_opt.zero_grad()
    return d_loss.item(), g_loss.item()


@wrong(5, "still there in the next")
def cleared_late_with_detach(g, d, g_opt, d_opt, real, noise):
    d_loss = d_loss_of(d, real, g(noise).detach())
    d_loss.backward()
    d_opt.step()
    d_opt.zero_grad()
    g_loss = g_loss_of(d(g(noise)))
    g_loss.backward()
    g_opt.step()
    g_opt.zero_grad()
    return d_loss.item(), g_loss.item()


@wrong(5, "pile up")
def never_cleared(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss = d_loss_of(d, real, fake.detach())
    d_loss.backward()
    d_opt.step()
    g_loss = g_loss_of(d(fake))
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "ask D again")
def old_judge(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    g_loss, d_loss = g_loss_of(d(fake)), d_loss_of(d, real, fake.detach())
    g_opt.zero_grad()
    g_loss.backward()
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "moves first")
def generator_first(g, d, g_opt, d_opt, real, noise):
    g_loss = g_loss_of(d(g(noise)))
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    d_loss = d_loss_of(d, real, g(noise).detach())
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "own")
def other_noise(g, d, g_opt, d_opt, real, noise):
    d_loss = d_loss_of(d, real, g(noise).detach())
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = g_loss_of(d(g(torch.randn_like(noise))))
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "halved")
def halved(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss = d_loss_of(d, real, fake.detach()) / 2
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = g_loss_of(d(fake))
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "generator never moves")
def discriminator_only(g, d, g_opt, d_opt, real, noise):
    d_loss = d_loss_of(d, real, g(noise).detach())
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    return d_loss.item(), g_loss_of(d(g(noise))).item()


@wrong(5, "`retain_graph=True` would silence")
def second_backward(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss = d_loss_of(d, real, fake)
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = g_loss_of(d(fake))
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "ask D again")
def in_place(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss, g_loss = d_loss_of(d, real, fake.detach()), g_loss_of(d(fake))
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@wrong(5, "ones_like")
def fixed_labels(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    a, b = d(real), d(fake.detach())
    d_loss = bce(a, torch.ones(4, 1)) + bce(b, torch.zeros(4, 1))
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = g_loss_of(d(fake))
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


# ---- three outcomes


@pytest.fixture(scope="module")
def solved():
    return load_definitions("01_gan_theory", solved=True)


@pytest.fixture(scope="module")
def stubs():
    return load_definitions("01_gan_theory", solved=False)


@pytest.mark.parametrize("number", CHECKS)
def test_stub_gets_the_reference(number, stubs, capsys, monkeypatch):
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    given = CHECKS[number](getattr(stubs, SOLUTIONS[number]))
    assert "not attempted" in capsys.readouterr().out
    CHECKS[number](given)  # the reference passes its own check
    assert "correct" in capsys.readouterr().out


@pytest.mark.parametrize("number", CHECKS)
def test_solution_is_right(number, solved):
    answer = getattr(solved, SOLUTIONS[number])
    assert CHECKS[number](answer) is answer


@pytest.mark.parametrize(("number", "answer"), [(n, fn) for n, fns in RIGHT.items() for fn in fns])
def test_right_answers_written_otherwise(number, answer):
    assert CHECKS[number](answer) is answer


@pytest.mark.parametrize(
    ("number", "index"), [(n, i) for n, rows in WRONG.items() for i in range(len(rows))]
)
def test_wrong_answers_get_their_own_hint(number, index):
    answer, keyword = WRONG[number][index]
    with pytest.raises(CheckFailed) as caught:
        CHECKS[number](answer)
    assert keyword.lower() in caught.value.hint.lower(), str(caught.value)
    assert caught.value.number == f"1.{number}"


@pytest.mark.parametrize("number", CHECKS)
def test_every_exercise_has_enough_wrong_answers(number):
    assert len(WRONG[number]) >= 3 and RIGHT[number]


@pytest.mark.parametrize("name", ["value_function", "generator_loss", "gan_step"])
def test_what_graduated_passes_the_checks(name):
    number = next(n for n, known in SOLUTIONS.items() if known == name)
    assert CHECKS[number](getattr(package, name)) is getattr(package, name)


@pytest.mark.parametrize("number", [1, 3])
def test_references_and_solutions_take_numpy_arrays_too(number, solved, stubs, monkeypatch):
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    p, q = np.array([0.5, 0.3, 0.0]), np.array([0.1, 0.9, 0.0])
    args = (p, q) if number == 1 else (p, q, 0.5)
    both = [
        f(*args)
        for f in (
            getattr(solved, SOLUTIONS[number]),
            CHECKS[number](getattr(stubs, SOLUTIONS[number])),
        )
    ]
    assert np.allclose(*map(np.asarray, both))


def test_the_check_does_not_alter_networks_that_others_hold():
    nets = nn.Linear(2, 1), nn.Linear(1, 1)
    before = deepcopy([n.state_dict() for n in nets])
    CHECKS[5](package.gan_step)
    assert all(torch.equal(b["weight"], n.weight) for b, n in zip(before, nets, strict=True))
