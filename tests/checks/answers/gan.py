"""Lesson 01: right and wrong answers to its exercises."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from answers import book

RIGHT, WRONG, right, wrong = book()
bce = F.binary_cross_entropy_with_logits


# ---- optimal_discriminator


@right("optimal_discriminator")
def best_by_masking(p_data, p_g):
    best = torch.full_like(p_data, 0.5)
    known = (p_data + p_g) > 0
    best[known] = p_data[known] / (p_data[known] + p_g[known])
    return best


@right("optimal_discriminator")
def best_by_nan_to_num(p_data, p_g):
    return torch.nan_to_num(p_data / (p_data + p_g), nan=0.5)


@right("optimal_discriminator")
def best_in_numpy(p_data, p_g):
    p, q = np.asarray(p_data), np.asarray(p_g)
    return np.divide(p, p + q, out=np.full_like(p, 0.5), where=(p + q) > 0)


@right("optimal_discriminator")
def best_by_ratio(p_data, p_g):
    both = (p_data == 0) & (p_g == 0)
    return torch.where(both, 0.5, 1 / (1 + p_g / p_data))


@right("optimal_discriminator")
def best_point_by_point(p_data, p_g):
    pairs = zip(p_data.flatten().tolist(), p_g.flatten().tolist(), strict=True)
    best = [a / (a + b) if a + b > 0 else 0.5 for a, b in pairs]
    return torch.tensor(best, dtype=torch.float64).view(p_data.shape)


WRONG["optimal_discriminator"] += [
    (lambda p, q: best_by_masking(p.float(), q.float()), "Right to a few digits"),
    (lambda p, q: best_by_masking(p, q).float(), "Right to a few digits"),
    (lambda p, q: 1 - best_by_masking(q, p), "Right to a few digits"),
    (lambda p, q: torch.nan_to_num(q / (p + q), nan=0.5), "swapped"),
    (lambda p, q: p / q, "no upper bound"),
    (lambda p, q: (p > q).to(p.dtype), "hard decision"),
    (lambda p, q: p / (p + q), "NaN"),
    (lambda p, q: torch.nan_to_num(p / (p + q)), "not to 0"),
    (lambda p, q: (p + 1e-8) / (p + q + 2e-8), "small number"),
    (lambda p, q: torch.nan_to_num(p / ((p + q) / 2), nan=1.0), "not by the mean"),
    (lambda p, q: p.sum() / (p + q).sum(), "entry by entry"),
]


# ---- value_function


@right("value_function")
def value_by_softplus(real_logits, fake_logits):
    return -F.softplus(-real_logits).mean() - F.softplus(fake_logits).mean()


@right("value_function")
def value_by_bce(real_logits, fake_logits):
    labels = torch.ones_like(real_logits), torch.zeros_like(fake_logits)
    return -(bce(real_logits, labels[0]) + bce(fake_logits, labels[1]))


def plain_bce(logits, label):
    return F.binary_cross_entropy(logits.sigmoid(), torch.full_like(logits, label))


WRONG["value_function"] += [
    (lambda r, f: -plain_bce(r, 1.0) - plain_bce(f, 0.0), "stops its logarithm at -100"),
    (
        lambda r, f: torch.log(r.sigmoid()).mean() + torch.log(1 - f.sigmoid()).mean(),
        "one stable step",
    ),
    (
        lambda r, f: (r.sigmoid() + 1e-8).log().mean() + (1 - f.sigmoid() + 1e-8).log().mean(),
        "finite, but wrong",
    ),
    (lambda r, f: r.sigmoid().mean().log() + (-f).sigmoid().mean().log(), "logarithm of a mean"),
    (lambda r, f: -F.logsigmoid(r).mean() - F.logsigmoid(-f).mean(), "-V"),
    (lambda r, f: F.logsigmoid(r).mean() + F.logsigmoid(f).mean(), "sign of the fake logits"),
    (lambda r, f: F.logsigmoid(r).sum() + F.logsigmoid(-f).sum(), "Sums grow"),
    (
        lambda r, f: torch.cat([F.logsigmoid(r).flatten(), F.logsigmoid(-f).flatten()]).mean(),
        "own batch",
    ),
    (lambda r, f: (F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()) / 2, "factor 2"),
    (lambda r, f: (F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()) / math.log(2), "base 2"),
    (lambda r, f: r.sigmoid().mean() + (1 - f.sigmoid()).mean(), "logarithms are missing"),
    (lambda r, f: F.logsigmoid(r).mean(), "everything real"),
    (lambda r, f: (F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()).detach(), "lost its gradient"),
    (
        lambda r, f: F.logsigmoid(r).mean(0) + F.logsigmoid(-f).mean(0) + torch.zeros(2),
        "One number for the whole batch",
    ),
]


# ---- js_divergence


@right("js_divergence")
def js_by_masks(p, q, dx):
    m = (p + q) / 2
    return sum((d[d > 0] * torch.log(d[d > 0] / m[d > 0])).sum() * dx / 2 for d in (p, q))


@right("js_divergence")
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


@right("js_divergence")
def js_point_by_point(p, q, dx):
    total = 0.0
    for a, b in zip(p.tolist(), q.tolist(), strict=True):
        m = (a + b) / 2
        total += sum(d * math.log(d / m) for d in (a, b) if d > 0) / 2
    return total * dx


@right("js_divergence")
def js_in_a_tensor(p, q, dx):
    return torch.tensor(float(js(p.double(), q.double(), dx)), dtype=torch.float64)


def js_with(eps):
    def answer(p, q, dx):
        m = (p + q) / 2
        return sum((d * ((d + eps).log() - (m + eps).log())).sum() for d in (p, q)) * dx / 2

    return answer


WRONG["js_divergence"] += [
    (lambda p, q, dx: js(p.float(), q.float(), dx), "Right to a few digits"),
    (js_with(1e-10), "Right to a few digits"),
    (js_with(1e-9), "Right to a few digits"),
    (
        lambda p, q, dx: kl((p + q) / 2, p, dx) / 2 + kl((p + q) / 2, q, dx) / 2,
        "from m to a density",
    ),
    (lambda p, q, dx: 1.1 * js(p, q, dx), "One grid point"),
    (kl, "KL(p || q)"),
    (lambda p, q, dx: kl(q, p, dx), "KL(q || p)"),
    (lambda p, q, dx: 2 * js(p, q, dx), "half in front"),
    (lambda p, q, dx: (kl(p, p + q, dx) + kl(q, p + q, dx)) / 2, "mass 2"),
    (lambda p, q, dx: js(p, q, dx) / math.log(2), "base 2"),
    (lambda p, q, dx: js(p, q, 1.0), "spacing dx"),
    (lambda p, q, dx: js(p, q, dx).sqrt(), "square root"),
    (lambda p, q, dx: kl(p, (p + q) / 2, dx) / 2, "second half"),
    (lambda p, q, dx: -2 * math.log(2) + 2 * js(p, q, dx), "value of the game"),
    (
        lambda p, q, dx: (
            ((p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()).sum() * dx) / 2
        ),
        "xlogy",
    ),
]


# ---- value_by_quadrature


def best(p, q):
    return torch.where(p + q > 0, p / (p + q), 0.5)


@right("value_by_quadrature")
def value_by_two_best_answers(p, q, dx):
    return (torch.xlogy(p, best(p, q)) + torch.xlogy(q, best(q, p))).sum() * dx


@right("value_by_quadrature")
def value_where_there_is_mass(p, q, dx):
    real, fake = p > 0, q > 0
    total = (p * torch.log(best(p, q)))[real].sum() + (q * torch.log(best(q, p)))[fake].sum()
    return float(total * dx)


@right("value_by_quadrature")
def value_by_logits(p, q, dx):
    logits = p.double().log() - q.double().log()
    ours = torch.where(p > 0, p * F.logsigmoid(logits), 0.0)
    theirs = torch.where(q > 0, q * F.logsigmoid(-logits), 0.0)
    return ((ours + theirs).sum() * dx).item()


WRONG["value_by_quadrature"] += [
    (lambda p, q, dx: -2 * math.log(2) + 2 * js(p, q, dx), "proves nothing"),
    (
        lambda p, q, dx: (torch.xlogy(p, best(q, p)) + torch.xlogy(q, best(p, q))).sum() * dx,
        "exchanged",
    ),
    (
        lambda p, q, dx: (torch.xlogy(p, best(p, q)) + torch.xlogy(q, 1 - best(p, q))).sum() * dx,
        "rounded to 0",
    ),
    (
        lambda p, q, dx: (p * best(p, q).log() + q * best(q, p).log()).sum() * dx,
        "torch.xlogy",
    ),
    (
        lambda p, q, dx: (p * (best(p, q) + 1e-8).log() + q * (best(q, p) + 1e-8).log()).sum() * dx,
        "rounded to 0",
    ),
    (lambda p, q, dx: -value_by_two_best_answers(p, q, dx), "loss; asked for is V itself"),
    (lambda p, q, dx: torch.xlogy(p, best(p, q)).sum() * dx, "second term"),
    (lambda p, q, dx: torch.xlogy(p + q, best(p, q)).sum() * dx, "Both terms have log D"),
    (lambda p, q, dx: value_by_two_best_answers(p, q, 1.0), "spacing dx"),
    (lambda p, q, dx: value_by_two_best_answers(p, q, 1.0) / len(p), "not an integral"),
    (lambda p, q, dx: (best(p, q) * best(q, p)).log().sum() * dx, "densities are missing"),
    (lambda p, q, dx: value_by_two_best_answers(p, q, dx) / 2, "not their mean"),
    (lambda p, q, dx: value_by_two_best_answers(p, q, dx) / math.log(2), "base 2"),
    (lambda p, q, dx: -(p + q).sum() * dx * math.log(2), "1/2 everywhere"),
    (lambda p, q, dx: (value_by_two_best_answers(p, q, dx) + math.log(4)) / 2, "This is the JSD"),
]


# ---- generator_loss


@right("generator_loss")
def loss_by_bce(fake_logits, saturating):
    if saturating:
        return -bce(fake_logits, torch.zeros_like(fake_logits))
    return bce(fake_logits, torch.ones_like(fake_logits))


@right("generator_loss")
def loss_by_softplus(fake_logits, saturating):
    return (
        -F.softplus(fake_logits).mean()
        if saturating
        else torch.logaddexp(-fake_logits, torch.tensor(0.0)).mean()
    )


WRONG["generator_loss"] += [
    (lambda a, s: -plain_bce(a, 0.0) if s else plain_bce(a, 1.0), "stops its logarithm at -100"),
    (lambda a, s: loss_by_bce(a, not s), "exchanged"),
    (lambda a, s: bce(a, torch.zeros_like(a)), "trained to be caught"),
    (
        lambda a, s: F.logsigmoid(-a).mean() if s else -F.logsigmoid(-a).mean(),
        "trained to be caught",
    ),
    (lambda a, s: -loss_by_bce(a, s), "lowers D(G(z)) instead"),
    (
        lambda a, s: (1 - a.sigmoid()).log().mean() if s else -a.sigmoid().log().mean(),
        "one stable step",
    ),
    (
        lambda a, s: (
            (1 - a.sigmoid() + 1e-8).log().mean() if s else -(a.sigmoid() + 1e-8).log().mean()
        ),
        "finite, but wrong",
    ),
    (
        lambda a, s: (1 - a.sigmoid().mean()).log() if s else -a.sigmoid().mean().log(),
        "logarithm of a mean",
    ),
    (lambda a, s: F.logsigmoid(-a).mean(), "whatever `saturating` says"),
    (lambda a, s: -F.logsigmoid(a).mean(), "whatever `saturating` says"),
    (lambda a, s: loss_by_bce(a, s) * a.numel(), "grows with the batch"),
    (lambda a, s: loss_by_bce(a, s) / math.log(2), "base 2"),
]


# ---- gan_step


def d_loss_of(d, real, fake):
    a, b = d(real), d(fake)
    return bce(a, torch.ones_like(a)) + bce(b, torch.zeros_like(b))


def g_loss_of(logits):
    return bce(logits, torch.ones_like(logits))


@right("gan_step")
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


@right("gan_step")
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


@right("gan_step")
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


@right("gan_step")
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


def by_hand(loss, network, optimizer):
    """Gradient descent with the optimiser's rate; the optimiser never steps."""
    with torch.no_grad():
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            parameter -= optimizer.param_groups[0]["lr"] * gradient


def by_a_new_optimizer(loss, network, optimizer):
    new = type(optimizer)(optimizer.param_groups[0]["params"], **optimizer.defaults)
    new.zero_grad()
    loss.backward()
    new.step()


def twice(loss, network, optimizer):
    """Half of the rate, two steps: the same with plain SGD."""
    optimizer.zero_grad()
    loss.backward()
    for group in optimizer.param_groups:
        group["lr"] /= 2
    optimizer.step()
    optimizer.step()
    for group in optimizer.param_groups:
        group["lr"] *= 2


def moved_by(move):
    def step(g, d, g_opt, d_opt, real, noise):
        a, b = d(real), d(g(noise).detach())
        d_loss = bce(a, torch.ones_like(a)) + bce(b, torch.zeros_like(b))
        move(d_loss, d, d_opt)
        g_loss = F.softplus(-d(g(noise))).mean()
        move(g_loss, g, g_opt)
        return d_loss.item(), g_loss.item()

    return step


WRONG["gan_step"] += [
    (moved_by(by_hand), "what Adam remembers"),
    (moved_by(by_a_new_optimizer), "what Adam remembers"),
    (moved_by(twice), "what Adam remembers"),
    (variant(g_label=0.0), "trained to be caught"),
    (variant(d_labels=(0.0, 1.0)), "labels are swapped"),
    (variant(again=False), "never moves"),
    (variant(returned=lambda d, g: (d, g)), "`.item()` makes it a float"),
    (variant(returned=lambda d, g: d.item() + g.item()), "as a tuple"),
    (variant(returned=lambda d, g: (g.item(), d.item())), "other order"),
]


@wrong("gan_step", "saturating")
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


@wrong("gan_step", "2D - 1 = 0")
def joint_loss(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss, g_loss = d_loss_of(d, real, fake), g_loss_of(d(fake))
    for optimizer in (g_opt, d_opt):
        optimizer.zero_grad()
    (d_loss + g_loss).backward()
    for optimizer in (g_opt, d_opt):
        optimizer.step()
    return d_loss.item(), g_loss.item()


@wrong("gan_step", "2D - 1 = 0")
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


@wrong("gan_step", "Detach, and clear")
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


@wrong("gan_step", "still there in the next")
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


@wrong("gan_step", "pile up")
def never_cleared(g, d, g_opt, d_opt, real, noise):
    fake = g(noise)
    d_loss = d_loss_of(d, real, fake.detach())
    d_loss.backward()
    d_opt.step()
    g_loss = g_loss_of(d(fake))
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@wrong("gan_step", "ask D again")
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


@wrong("gan_step", "moves first")
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


@wrong("gan_step", "own")
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


@wrong("gan_step", "halved")
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


@wrong("gan_step", "generator never moves")
def discriminator_only(g, d, g_opt, d_opt, real, noise):
    d_loss = d_loss_of(d, real, g(noise).detach())
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    return d_loss.item(), g_loss_of(d(g(noise))).item()


@wrong("gan_step", "`retain_graph=True` would silence")
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


@wrong("gan_step", "ask D again")
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


@wrong("gan_step", "ones_like")
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


# ---- data_weights


@right("data_weights")
def weights_by_softmax(logits):
    return logits.softmax(-1)


@right("data_weights")
def weights_by_logsumexp(logits):
    return torch.exp(logits - torch.logsumexp(logits, 0))


@right("data_weights")
def weights_from_the_largest_down(logits):
    ratio = (logits - logits.max()).exp()
    return ratio / ratio.sum()


@right("data_weights")
def weights_by_odds_in_float64(logits):
    odds = logits.double().exp()
    return (odds / odds.sum()).float()


WRONG["data_weights"] += [
    (lambda a: (1 + (-a).exp()).reciprocal() / a.sigmoid().sum(), "D's answers"),
    (lambda a: torch.softmax(1 / (1 + (-a).exp()), -1), "belongs to the logits"),
    (lambda a: torch.softmax(a * -1, -1), "stands on its head"),
    (lambda a: a.softmax(0) / a.softmax(0).mean(), "mean 1"),
    (lambda a: a.sigmoid() / (1 - a.sigmoid()), "divide the weights by their sum"),
    (lambda a: a.exp() / a.exp().sum(), "exponential of 200"),
    (lambda a: a / a.sum(), "Logits may be negative"),
    (lambda a: torch.where(a > 0, 1.0, 0.0) / (a > 0).float().sum(), "how real is lost"),
    (lambda a: a.softmax(0).sum(), "One weight for each sample"),
    (lambda a: a.softmax(0)[:, None], "One weight for each sample"),
]


# ---- further ones, of which no test had been

WRONG["value_function"] += [
    (
        lambda r, f: 2 * torch.cat([F.logsigmoid(r).flatten(), F.logsigmoid(-f).flatten()]).mean(),
        "own batch",
    ),
    (lambda r, f: F.logsigmoid(r).mean() + (1 - F.logsigmoid(f)).mean(), "stands inside"),
    (lambda r, f: F.logsigmoid(r).mean() + F.logsigmoid(-f).mean() - 0.1, "One logit each"),
]
WRONG["optimal_discriminator"] += [
    (lambda p, q: torch.where(q == 0, 0.5, p / (p + q)), "Where only p_g is 0"),
    (lambda p, q: torch.where(p == 0, 0.5, p / (p + q)), "Where only p_data is 0"),
]
WRONG["data_weights"] += [
    (lambda a: F.softplus(a) / F.softplus(a).sum(), "the ratios D / (1 - D)"),
    (lambda a: (1 - a.sigmoid()) / (1 - a.sigmoid()).sum(), "These are 1 - D"),
    (lambda a: (a + abs(a.min())) / (a + abs(a.min())).sum(), "Moved up"),
    (lambda a: a.clamp_min(0) / a.clamp_min(0).sum(), "cut to 0"),
    (lambda a: a - a.logsumexp(0), "the logarithms of the weights"),
]


# ---- mode_scores


def near_and_nearest(samples, centres):
    return (samples[:, None] - centres).norm(dim=-1).min(dim=1)


def kl_to_uniform(shares):
    return sum(s * math.log(s * len(shares)) for s in shares if s > 0)


@right("mode_scores")
def scores_by_one_hot(samples, centres, std):
    distance, nearest = near_and_nearest(samples, centres)
    belongs = F.one_hot(nearest, len(centres)).double()  # (N, K)
    good = (distance < 3 * std).double()
    modes = ((belongs * good[:, None]).mean(dim=0) >= 0.01).sum()
    shares = belongs.mean(dim=0)
    return modes, good.mean(), torch.xlogy(shares, len(centres) * shares).sum()


@right("mode_scores")
def scores_centre_by_centre(samples, centres, std):
    hits = [((samples - c).norm(dim=1) < 3 * std).sum().item() for c in centres]
    nearest = torch.cdist(samples, centres).argmin(dim=1)
    shares = [(nearest == k).double().mean().item() for k in range(len(centres))]
    covered = [count >= 0.01 * len(samples) for count in hits]
    return [sum(covered), sum(hits) / len(samples), kl_to_uniform(shares)]


@right("mode_scores")
def scores_in_numpy(samples, centres, std):
    x, c = samples.double().numpy(), centres.double().numpy()
    squared = ((x[:, None] - c) ** 2).sum(axis=-1)
    nearest, good = squared.argmin(axis=1), squared.min(axis=1) < (3 * std) ** 2
    hits = np.bincount(nearest[good], minlength=len(c))
    shares = np.bincount(nearest, minlength=len(c)) / len(x)
    return int((hits * 100 >= len(x)).sum()), float(good.mean()), kl_to_uniform(shares.tolist())


def scores_with(
    radius=3.0, least=lambda n, good: 0.01 * n, nearest_of=None, kl=None, order=(0, 1, 2)
):
    def answer(samples, centres, std):
        distance, nearest = near_and_nearest(samples, centres)
        good = distance < radius * std
        hits = torch.stack([(good & (nearest == k)).sum() for k in range(len(centres))])
        chosen = nearest[good] if nearest_of == "good" else nearest
        shares = torch.stack([(chosen == k).double().mean() for k in range(len(centres))])
        if nearest_of == "modes":
            hits = torch.bincount(nearest, minlength=len(centres))
        modes = (hits >= least(len(samples), good.sum())).sum()
        told = modes, good.double().mean(), (kl or kl_to_uniform)(shares)
        return tuple(told[k] for k in order)

    return answer


WRONG["mode_scores"] += [
    (lambda s, c, std: scores_with()(s, c, 0.1), "come with the call"),
    (lambda s, c, std: scores_with()(s, 2 * ring_of_eight(), std), "come with the call"),
    (scores_with(radius=1.0), "here it is one"),
    (scores_with(least=lambda n, good: 1), "One sample is not enough"),
    (scores_with(least=lambda n, good: 0.01 * good), "not 1 % of the good ones"),
    (scores_with(least=lambda n, good: 0.01 * n + 1e-3), "*at least* means"),
    (scores_with(nearest_of="modes"), "between two modes"),
    (scores_with(nearest_of="good"), "the bad ones too"),
    (
        scores_with(
            kl=lambda s: F.kl_div(s.log(), torch.full_like(s, 1 / len(s)), reduction="sum")
        ),
        "come first",
    ),
    (scores_with(kl=lambda s: (s * (len(s) * s).log()).sum()), "torch.xlogy"),
    (scores_with(kl=lambda s: kl_to_uniform(s) / math.log(2)), "base 2"),
    (scores_with(kl=lambda s: kl_to_uniform(s[s > 0])), "*all* K modes"),
    (scores_with(kl=lambda s: kl_to_uniform(s) + math.log(8 / len(s))), "fixed at 8"),
    (scores_with(kl=lambda s: math.log(len(s)) - kl_to_uniform(s)), "the entropy of the shares"),
    (scores_with(kl=lambda s: kl_to_uniform(s) - math.log(len(s))), "minus the entropy"),
    (scores_with(kl=lambda s: -kl_to_uniform(s)), "never negative"),
    (scores_with(kl=lambda s: kl_to_uniform(s) / len(s)), "weights already"),
    (scores_with(order=(0, 1)), "three numbers"),
    (scores_with(order=(1, 0, 2)), "Two conditions"),
    (
        lambda s, c, std: (
            scores_with()(s, c, std)[0],
            int((near_and_nearest(s, c)[0] < 3 * std).sum()),
            scores_with()(s, c, std)[2],
        ),
        "counts the good samples",
    ),
    (
        lambda s, c, std: (
            scores_with()(s, c, std)[0],
            100 * scores_with()(s, c, std)[1],
            scores_with()(s, c, std)[2],
        ),
        "in per cent",
    ),
    (scores_with(radius=2.0), "two standard deviations"),
    (
        lambda s, c, std: scores_with(radius=(3 / std) ** 0.5)(s, c, std),
        "squared distance",
    ),
]


def ring_of_eight():
    turn = torch.arange(8) * math.pi / 4
    return torch.stack([turn.cos(), turn.sin()], dim=1)


# ---- with_spread


@right("with_spread")
def spread_by_repeating(points):
    spread = points.std(dim=1).mean(dim=1)  # (copies,)
    return torch.cat([points, spread[:, None, None].repeat(1, points.shape[1], 1)], dim=-1)


@right("with_spread")
def spread_by_moments_of_all_points(points):
    variance = (points**2).mean(dim=1) - points.mean(dim=1) ** 2  # divided by B
    column = torch.ones_like(points[..., :1]) * variance.sqrt().mean(dim=-1)[:, None, None]
    return torch.cat((points, column), dim=-1)


@right("with_spread")
def spread_copy_by_copy(points):
    return torch.stack(
        [
            F.pad(one, (0, 1), value=0.0)
            + F.pad(one.std(dim=0).mean().expand(len(one), 1), (one.shape[1], 0))
            for one in points
        ]
    )


def beside(points, spread):
    return torch.cat([points, spread.expand(points.shape[0], points.shape[1], 1)], dim=2)


WRONG["with_spread"] += [
    (lambda x: beside(x, x.std(dim=1).mean()), "one number for all copies"),
    (lambda x: beside(x, torch.std(x)), "one number for all copies"),
    (lambda x: beside(x, x.std(0).mean(1)[None, :, None]) if len(x) > 1 else x, "over the copies"),
    (lambda x: beside(x, x.std(-1)[..., None]), "coordinates of one point"),
    (lambda x: beside(x, x.flatten(1).std(1)[:, None, None]), "points and coordinates together"),
    (lambda x: beside(x, (x.std(1) ** 2).mean(1)[:, None, None]), "its root"),
    (lambda x: beside(x, x.var(1).mean(1).sqrt()[:, None, None]), "first the root"),
    (lambda x: beside(x, x.var(1).sum(1).sqrt()[:, None, None]), "grows with the number"),
    (lambda x: beside(x, x.std(1).sum(1)[:, None, None]), "are added here"),
    (lambda x: beside(x, x.mean((1, 2))[:, None, None]), "where the batch lies"),
    (lambda x: beside(x, (x - x.mean(1, True)).abs().mean(2)[..., None]), "own distance"),
    (lambda x: spread_by_repeating(x).roll(1, -1), "stands in front"),
    (lambda x: torch.cat([x, x.std(1)[:, None].repeat(1, x.shape[1], 1)], 2), "not one for each"),
    (lambda x: spread_by_repeating(x)[..., -1:], "Only the spread"),
    (lambda x: spread_by_repeating(x.detach()), "lack of variety"),
    (lambda x: beside(x, x.detach().std(1).mean(1)[:, None, None]), "lack of variety"),
    (lambda x: beside(x, 1.1 * x.std(1).mean(1)[:, None, None]), "One copy with the points"),
    (lambda x: x.std(1).mean(1), "one more: (copies, B, D)"),
]


# ---- loss_of_modes


def entropy(*shares):
    return -sum(share * math.log(share) for share in shares if share)


@right("loss_of_modes")
def loss_by_the_ratio(covered, modes):
    return (1 + covered / modes) * math.log(1 + covered / modes) - (covered / modes) * math.log(
        covered / modes
    )


@right("loss_of_modes")
def loss_by_entropies(covered, modes):
    data = [1 / modes] * modes
    fakes = [1 / covered] * covered + [0] * (modes - covered)
    mixture = [(a + b) / 2 for a, b in zip(data, fakes, strict=True)]
    twice_jsd = 2 * entropy(*mixture) - entropy(*data) - entropy(*fakes)
    return math.log(4) - twice_jsd


@right("loss_of_modes")
def loss_by_many_samples_in_a_tensor(covered, modes):
    p = torch.full((modes,), 1 / modes)
    q = torch.where(torch.arange(modes) < covered, 1 / covered, 0.0)
    return -(p * (p / (p + q)).log()).sum() - torch.xlogy(q, q / (p + q)).sum()


def loss_with(best, real, fakes=1.0):
    return -(real * math.log(best) + fakes * math.log1p(-best))


WRONG["loss_of_modes"] += [
    (lambda k, n: -loss_by_the_ratio(k, n), "never negative"),
    (lambda k, n: loss_with((1 / n) / (1 / n + 1), k / n), "not all of them"),
    (lambda k, n: loss_with((1 / n) / (1 / n + 1 / k), 1 / n), "of *all* covered modes"),
    (lambda k, n: loss_with(min(k / n, 1 - 1e-9), k / n), "share of the data that lies there"),
    (lambda k, n: loss_with(n / (n + k), k / n), "on its head"),
    (lambda k, n: loss_with(k / (n + k), 1), "cost D nothing"),
    (lambda k, n: loss_with(k / (n + k), k / n) - (1 - k / n) * math.log(0.5), "is 1, not"),
    (lambda k, n: loss_with(k / (n + k), k / n, k / n), "a mean of their own"),
    (lambda k, n: loss_with(k / (n + k), k / n, 1 / k), "not 1/covered"),
    (lambda k, n: -k / n * math.log(k / (n + k)), "what the fakes cost is missing"),
    (lambda k, n: -math.log(n / (n + k)), "what the real examples cost is missing"),
    (lambda k, n: math.log((n + k) / k), "non-saturating"),
    (lambda k, n: 0.5 * loss_by_entropies(k, n), "not their mean"),
    (lambda k, n: loss_by_entropies(k, n) / math.log(2), "bits"),
    (lambda k, n: math.log(2) - loss_by_entropies(k, n) / 2, "This is the JSD"),
    (lambda k, n: math.log(2) + loss_by_entropies(k, n) / 2, "*twice*"),
    (lambda k, n: 2 * math.log(2) * k / n, "in proportion"),
    (lambda k, n: k / (n + k), "D* on a covered mode"),
    (lambda k, n: loss_by_the_ratio(k, n) + 0.01, "Two modes, one of them covered"),
]
