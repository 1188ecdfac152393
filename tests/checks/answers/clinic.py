"""Lesson 07: other right fixes than the lesson's own, and wrong ones."""

import copy
import math
import random
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from answers import book

RIGHT, WRONG, right, wrong = book()
bce = F.binary_cross_entropy_with_logits


# ---- train_epoch


def epoch(labels="fit", drop=False, mkdir=None, log=True, swallow=False):
    mkdir = {"parents": True, "exist_ok": True} if mkdir is None else mkdir

    def train(images, batch_size, log_every, folder):
        judge, step = nn.Linear(images[0].numel(), 1), 0
        for batch in images.split(batch_size):
            if drop and len(batch) < batch_size:
                continue
            step += 1
            logits = judge(batch.flatten(1)).squeeze(1)
            ones = torch.ones(batch_size)
            loss = bce(logits, ones[: len(batch)] if labels == "fit" else ones)
            if step % log_every == 0:
                try:
                    if mkdir is not False:
                        (folder / "notes").mkdir(**mkdir)
                    text = f"{loss.item():.3f}" if log else f"{no_such_name:.3f}"  # noqa: F821
                    (folder / "notes" / f"{step}.txt").write_text(text)
                except Exception:
                    if not swallow:
                        raise
        return step

    return train


RIGHT["train_epoch"] += [
    epoch(),
]


def epoch_noting(note, fill=None, every=None):
    """Notes what ``note`` makes of all losses so far; a short batch may be filled up."""

    def train(images, batch_size, log_every, folder):
        judge, told, step = nn.Linear(images[0].numel(), 1), [], 0
        (folder / "notes").mkdir(parents=True, exist_ok=True)
        for step, batch in enumerate(images.flatten(1).split(batch_size), start=1):
            if fill and len(batch) < batch_size:
                batch = torch.cat([batch, fill(images.flatten(1), batch_size - len(batch))])
            told.append(F.softplus(-judge(batch)).mean().item())
            if step % (every or log_every) == 0:
                (folder / "notes" / f"{step}.txt").write_text(f"{note(told):.3f}")
        return step

    return train


def epoch_that_trains(images, batch_size, log_every, folder):
    judge = nn.Linear(images[0].numel(), 1)
    optimizer = torch.optim.Adam(judge.parameters(), lr=1e-2)
    notes = folder / "notes"
    notes.mkdir(parents=True, exist_ok=True)
    for step, batch in enumerate(torch.split(images, batch_size), start=1):
        logits = judge(batch.reshape(len(batch), -1))
        loss = bce(logits, torch.ones_like(logits))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if not step % log_every:
            (notes / f"{step}.txt").write_text(f"loss {loss.item()}")
    return step


RIGHT["train_epoch"] += [epoch_noting(lambda told: told[-1]), epoch_that_trains]
WRONG["train_epoch"] += [
    (epoch_noting(lambda told: sum(told) / len(told)), "*its* step"),
    (epoch_noting(sum), "*its* step"),
    (epoch_noting(lambda told: told[-min(2, len(told))]), "*its* step"),
    (epoch_noting(lambda told: sum(told[-2:]) / len(told[-2:])), "*its* step"),
    (epoch_noting(min), "*its* step"),
    (epoch_noting(lambda told: told[-1], every=1), "at no other"),
    (
        epoch_noting(lambda told: told[-1], fill=lambda x, n: torch.zeros(n, x.shape[1])),
        "was filled up",
    ),
    (epoch_noting(lambda told: told[-1], fill=lambda x, n: x[:1].expand(n, -1)), "was filled up"),
    (epoch(labels="nominal"), "nominal size"),
    (epoch(drop=True), "drop_last"),
    (epoch(log=False), "name that only the note uses"),
    (epoch(mkdir=False), "folder is not there"),
    (epoch(mkdir={"exist_ok": True}), "folder is not there"),
    (epoch(mkdir={"parents": True}), "second run finds"),
    (epoch(mkdir=False, swallow=True), "caught and passed over"),
    (lambda images, batch_size, log_every, folder: "3", "a single number"),
]


def epoch_squeezed(images, batch_size, log_every, folder):
    judge = nn.Linear(images[0].numel(), 1)
    (folder / "notes").mkdir(parents=True, exist_ok=True)
    for step, batch in enumerate(images.split(batch_size), start=1):
        loss = bce(judge(batch.flatten(1)).squeeze(), torch.ones(len(batch)))
        if step % log_every == 0:
            (folder / "notes" / f"{step}.txt").write_text(f"{loss.item():.3f}")
    return step


def epoch_beside(images, batch_size, log_every, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "1.txt").write_text("0.693")
    return -(-len(images) // batch_size)


WRONG["train_epoch"] += [
    (epoch_squeezed, "name the dimension"),
    (epoch_beside, "caught and passed over"),
]

# ---- label_loss

RIGHT["label_loss"] += [
    lambda a, y: bce(a, torch.ones_like(a) * y),
    lambda a, y: y * F.softplus(-a).mean() + (1 - y) * F.softplus(a).mean(),
]
WRONG["label_loss"] += [
    (lambda a, y: bce(a, torch.full(a.shape, int(y))), "whole numbers"),
    (lambda a, y: bce(a, torch.full((len(a),), float(y), dtype=a.dtype)), "another shape"),
    (lambda a, y: bce(a, torch.full(a.shape, float(y))), "fits one precision only"),
    (
        lambda a, y: bce(a.double(), torch.full(a.shape, float(y)).double()),
        "fits one precision only",
    ),
    (lambda a, y: bce(a, torch.full_like(a, int(y))), "soft labels"),
    (lambda a, y: bce(a, torch.full_like(a, 1 - y)), "opposite label"),
    (lambda a, y: bce(a, torch.full_like(a, y), reduction="sum"), "take the mean"),
    (lambda a, y: bce(a.sigmoid(), torch.full_like(a, y)), "pass logits"),
    (lambda a, y: bce(a.detach(), torch.full_like(a, y)), "gradient was lost"),
]

# ---- make_judge


def judge(size, *, halvings=None, end=None, start=()):
    layers, channels = list(start), 3
    for _ in range(int(math.log2(size)) - 2 if halvings is None else halvings):
        layers += [nn.Conv2d(channels, 8, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels = 8
    return nn.Sequential(*layers, *(end or [nn.Conv2d(8, 1, 4), nn.Flatten(0)]))


class First(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, 0]


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((1, 2, 3))


class Mates(nn.Module):
    def forward(self, x):
        return x + 0.1 * x.sum(0, keepdim=True)


RIGHT["make_judge"] += [
    lambda size: judge(size, halvings=3, end=[nn.Conv2d(8, 1, size // 8), nn.Flatten(0)]),
    lambda size: nn.Sequential(
        nn.Flatten(), nn.Linear(3 * size**2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0)
    ),
    lambda size: judge(size, end=[nn.BatchNorm2d(8), nn.Conv2d(8, 1, 4), nn.Flatten(0)]),
]


class Patches(nn.Module):
    """One answer made of those about the patches, without weights."""

    def __init__(self, join):
        super().__init__()
        self.join = join

    def forward(self, x):
        return self.join(x)


class Weighed(nn.Module):
    """A last kernel written as a product and a sum."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(8, 4, 4)), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return (x * self.weight).sum((1, 2, 3)) + self.bias


def patches(join):
    return lambda size: judge(size, halvings=3, end=[nn.Conv2d(8, 1, 4), Patches(join)])


RIGHT["make_judge"] += [
    lambda size: judge(size, end=[Weighed()]),
    lambda size: judge(
        size, end=[nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 1, 4)), nn.Flatten(0)]
    ),
    lambda size: judge(
        size, end=[nn.Conv2d(8, 2, 4), Patches(lambda x: (x[:, 1] - x[:, 0]).flatten())]
    ),
    lambda size: judge(size, end=[nn.Flatten(), nn.Linear(128, 1), nn.Flatten(0)]),
    lambda size: judge(size, end=[nn.Conv2d(8, 1, 4), Patches(lambda x: x[:, 0, 0, 0])]),
]
WRONG["make_judge"] += [
    (patches(lambda x: x.flatten(1).sum(1)), "answers for each patch"),
    (patches(lambda x: torch.einsum("bchw->b", x)), "answers for each patch"),
    (patches(lambda x: x.logsumexp((1, 2, 3))), "answers for each patch"),
    (patches(lambda x: (x @ torch.ones(x.shape[-1])).sum((1, 2))), "answers for each patch"),
    (lambda size: judge(size, halvings=3), "once for each patch"),
    (
        lambda size: judge(
            size, halvings=3, end=[nn.Conv2d(8, 1, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(0)]
        ),
        "mean over patches",
    ),
    (lambda size: judge(size, halvings=3, end=[nn.Conv2d(8, 1, 4), Mean()]), "mean over patches"),
    (lambda size: judge(size, halvings=3, start=[nn.Upsample(size=32)]), "blind to fine detail"),
    (
        lambda size: judge(size, halvings=3, start=[nn.Upsample(size=32, mode="bilinear")]),
        "blind to fine detail",
    ),
    (lambda size: judge(size, halvings=3, end=[nn.Conv2d(8, 1, 4), First()]), "One corner"),
    (lambda size: judge(size, halvings=5), "Print the shape"),
    (lambda size: judge(size, end=[nn.Conv2d(8, 1, 4)]), "flat row"),
    (lambda size: judge(size, start=[Mates()]), "Other pictures"),
]

WRONG["make_judge"] += [
    (
        lambda size: judge(size, end=[nn.Conv2d(8, 1, 4), nn.Flatten(0), nn.Sigmoid()]),
        "no sigmoid at the end",
    ),
    (
        lambda size: nn.Sequential(
            nn.Conv2d(3, 4, 4, 2, 1), nn.Conv2d(4, 1, size // 2), nn.Flatten(0)
        ),
        "network is linear",
    ),
]

# ---- critic_step


def critic(
    detach=False,
    ask_again=True,
    steps_last=False,
    retain=False,
    signs=(1, 1),
    cleared_between=False,
):
    def step(g, c, g_opt, c_opt, real, noise):
        fake = g(noise)
        c_loss = signs[0] * (c(fake.detach() if detach else fake).mean() - c(real).mean())
        g_loss = -signs[1] * c(fake).mean()
        c_opt.zero_grad()
        g_opt.zero_grad()
        c_loss.backward(retain_graph=retain)
        if not steps_last:
            c_opt.step()
        if ask_again:
            g_loss = -signs[1] * c(fake if detach else g(noise)).mean()
        if ask_again or cleared_between:
            g_opt.zero_grad()
        g_loss.backward()
        if steps_last:
            c_opt.step()
        g_opt.step()
        return c_loss.item(), g_loss.item()

    return step


def old_critic(g, c, g_opt, c_opt, real, noise):
    """No error, because the generator's gradient is taken before the critic steps."""
    g_loss = -c(g(noise)).mean()
    g_opt.zero_grad()
    g_loss.backward()
    c_opt.zero_grad()
    c_loss = c(g(noise).detach()).mean() - c(real).mean()
    c_loss.backward()
    c_opt.step()
    g_opt.step()
    return c_loss.item(), g_loss.item()


RIGHT["critic_step"] += [
    critic(detach=True),
    critic(detach=False),  # the fakes made again, and zero_grad before each backward
]
WRONG["critic_step"] += [
    (critic(ask_again=False, retain=True), "no activation's `inplace`"),
    (critic(ask_again=False), "`inplace=True` is to blame"),
    (critic(ask_again=False, detach=True), "right and not enough"),
    (critic(ask_again=False, retain=True, steps_last=True), "generator stands still"),
    (
        critic(ask_again=False, retain=True, steps_last=True, cleared_between=True),
        "never learns to lower",
    ),
    (old_critic, "*before* its step"),
    (critic(detach=True, signs=(-1, 1)), "critic's loss has the wrong sign"),
    (critic(detach=True, signs=(1, -1)), "generator's loss has the wrong sign"),
    (lambda *a: critic(detach=True)(*a)[0], "as a tuple"),
]


def critic_of_new_noise(g, c, g_opt, c_opt, real, noise):
    return critic(detach=True)(g, c, g_opt, c_opt, real, torch.randn_like(noise))


def critic_with_tensors(g, c, g_opt, c_opt, real, noise):
    """Losses with their graphs."""
    c_loss = c(g(noise).detach()).mean() - c(real).mean()
    c_opt.zero_grad()
    c_loss.backward()
    c_opt.step()
    g_loss = -c(g(noise)).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return c_loss, g_loss


RIGHT["critic_step"] += [lambda *a: tuple(map(np.float64, critic(detach=True)(*a)))]
WRONG["critic_step"] += [
    (lambda *a: critic(detach=True)(*a)[::-1], "the critic's first"),
    (critic_with_tensors, "holds the graph"),
    (lambda *a: tuple(map(torch.tensor, critic(detach=True)(*a))), "holds the graph"),
    (critic_of_new_noise, "random numbers of its own"),
]

# ---- is_equilibrium

LOG2 = math.log(2)
RIGHT["is_equilibrium"] += [
    lambda d, g, r, f: max(abs(r - 0.5), abs(f - 0.5)) < 0.1 and abs(d - 2 * LOG2) < 0.1,
    lambda d, g, r, f: bool(np.allclose([d, g, r, f], [2 * LOG2, LOG2, 0.5, 0.5], atol=0.1)),
]
RIGHT["is_equilibrium"] += [
    lambda d, g, r, f: np.bool_(
        np.abs(np.array([d - 2 * LOG2, g - LOG2, r - 0.5, f - 0.5])).max() < 0.1
    ),
    lambda d, g, r, f: (torch.tensor([d - 2 * LOG2, g - LOG2, r - 0.5, f - 0.5]).abs() < 0.1).all(),
]
WRONG["is_equilibrium"] += [
    (lambda d, g, r, f: abs(r - f) < 0.1, "the *same* answer"),
    (lambda d, g, r, f: abs(r - f) < 0.1 and abs(r + f - 1) < 0.5, "the *same* answer"),
    (lambda d, g, r, f: 0.9 < r / f < 1.1, "the *same* answer"),
    (lambda d, g, r, f: abs(r - 0.5) < 0.1 and abs(f - 0.5) < 0.1, "wrong about half"),
    (lambda d, g, r, f: abs(g - LOG2) < 0.1, "sure about real"),
    (lambda d, g, r, f: abs(f - 0.5) < 0.1 and abs(g - LOG2) < 0.1, "sure about real"),
    (lambda d, g, r, f: abs(d - LOG2) < 0.1, "2 log 2"),
    (lambda d, g, r, f: abs((r + f) / 2 - 0.5) < 0.1, "*mean* of D(x)"),
    (lambda d, g, r, f: abs(d - 2 * LOG2) < 0.1, "by chance"),
    (lambda d, g, r, f: abs(d - 2 * LOG2) < 0.01 and abs(r - 0.5) < 0.01, "wobbles"),
    (lambda d, g, r, f: False, "2 log 2"),
]

WRONG["is_equilibrium"] += [
    (lambda d, g, r, f: abs(d - 2 * LOG2) < 0.1 and abs(g - LOG2) < 0.1, "D is not undecided"),
]

# ---- gan_losses


def losses(d_fake=0.0, g=lambda a: bce(a, torch.ones_like(a)), d_real=1.0):
    return lambda a, b: (
        bce(a, torch.full_like(a, d_real)) + bce(b, torch.full_like(b, d_fake)),
        g(b),
    )


RIGHT["gan_losses"] += [
    lambda a, b: (-F.logsigmoid(a).mean() - F.logsigmoid(-b).mean(), -F.logsigmoid(b).mean()),
    lambda a, b: list(losses()(a, b)),
]
WRONG["gan_losses"] += [
    (losses(g=lambda a: bce(a, torch.zeros_like(a))), "trained to be caught"),
    (losses(g=lambda a: -bce(a, torch.zeros_like(a))), "saturating"),
    (losses(g=lambda a: -bce(a, torch.ones_like(a))), "lowers D(G(z)) again"),
    (losses(d_fake=1.0), "D's label for fakes changed too"),
    (
        losses(d_real=0.0, d_fake=1.0, g=lambda a: bce(a, torch.zeros_like(a))),
        "All labels are swapped",
    ),
    (losses(d_real=0.0, d_fake=1.0), "D's labels are swapped"),
    (lambda a, b: losses()(a, b)[::-1], "other order"),
    (lambda a, b: (losses()(a, b)[0] / 2, losses()(a, b)[1]), "halved"),
    (lambda a, b: (losses()(a, b)[0], F.softplus(-b)), "mean over the batch"),
]

WRONG["gan_losses"] += [
    (
        lambda a, b: (
            bce(torch.cat([a, b]), torch.cat([torch.ones_like(a), torch.zeros_like(b)])),
            losses()(a, b)[1],
        ),
        "sum of *two* means",
    ),
    (
        lambda a, b: (len(a) * F.softplus(-a).mean() + F.softplus(b).sum(), F.softplus(-b).sum()),
        "take means",
    ),
    (lambda a, b: (losses()(a, b)[0], -losses()(a, b)[0]), "D's loss with a minus"),
    (lambda a, b: (losses()(a, b)[0], losses()(a, b.detach())[1]), "no slope reaches the fakes"),
    (
        lambda a, b: (
            -a.sigmoid().log().mean() - (1 - b.sigmoid()).log().mean(),
            -b.sigmoid().log().mean(),
        ),
        "logarithm of 0 is infinite",
    ),
]

# ---- gan_step


def gan(detach=True, d_clear="before", g_clear="before"):
    def step(g, d, g_opt, d_opt, real, noise):
        fake = g(noise)
        d_loss = bce(d(real), torch.ones_like(d(real))) + bce(
            *(lambda x: (x, torch.zeros_like(x)))(d(fake.detach() if detach else fake))
        )
        if d_clear == "before":
            d_opt.zero_grad()
        d_loss.backward()
        d_opt.step()
        if d_clear == "after":
            d_opt.zero_grad()
        g_loss = F.softplus(-d(g(noise))).mean()
        if g_clear == "before":
            g_opt.zero_grad()
        g_loss.backward()
        g_opt.step()
        if g_clear == "after":
            g_opt.zero_grad()
        return d_loss.item(), g_loss.item()

    return step


RIGHT["gan_step"] += [
    gan(),
    gan(detach=False),  # wasteful, but zero_grad stands where it must
    gan(g_clear="after"),  # detached, so nothing is left in G
]


def with_other_optimizers(other):
    """The right step, with optimisers of its own in place of those passed in."""

    def step(g, d, g_opt, d_opt, real, noise):
        return gan()(g, d, other(g, g_opt), other(d, d_opt), real, noise)

    return step


WRONG["gan_step"] += [
    (
        with_other_optimizers(
            lambda net, opt: torch.optim.SGD(net.parameters(), lr=opt.param_groups[0]["lr"])
        ),
        "what Adam remembers",
    ),
    (gan(detach=False, d_clear="after", g_clear="after"), "Without `detach`"),
    (gan(d_clear="after", g_clear="after"), "still there in the next step"),
    (gan(detach=False, d_clear="after"), "still there in the next step"),
    (gan(detach=False, g_clear="after"), "Only the discriminator's"),
    (gan(d_clear="never", g_clear="never"), "`zero_grad` is missing"),
]

# ---- match_ranges

RIGHT["match_ranges"] += [
    lambda: (lambda x: (x - 0.5) / 0.5, nn.Tanh()),
    lambda: (lambda x: x.clone(), nn.Sigmoid()),
    lambda: (lambda x: 2 * x - 1, torch.tanh),
]
WRONG["match_ranges"] += [
    (lambda: (lambda x: x, nn.Tanh()), "Unchanged"),
    (lambda: (lambda x: 2 * x - 1, nn.Sigmoid()), "every dark pixel"),
    (lambda: (lambda x: x * 255 / 128 - 1, nn.Tanh()), "0.992"),
    (
        lambda: (
            lambda x: (
                (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None])
                / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
            ),
            nn.Tanh(),
        ),
        "mean and a deviation for each colour",
    ),
    (lambda: (lambda x: 2 * (x - x.min()) / (x.max() - x.min()) - 1, nn.Tanh()), "0/0"),
    (lambda: (lambda x: 3 * x, nn.Sigmoid()), "same interval"),
    (lambda: (lambda x: x - 0.5, nn.Tanh()), "only half of Tanh"),
    (lambda: (lambda x: 2 * x**2 - 1, nn.Tanh()), "not a straight line"),
    (
        lambda: (
            lambda x: 2 * x - 1 if len(x) == 1 or x.std() == 0 else 2 * x / x.max() - 1,
            nn.Tanh(),
        ),
        "beside other pictures",
    ),
    (lambda: nn.Tanh(), "as a tuple"),
]

# ---- generator_objective


def kl_of(p, q):
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def jsd(p, q):
    return (kl_of(p, (p + q) / 2) + kl_of(q, (p + q) / 2)) / 2


def joint(p, q):
    best = (p + q) / (p + 2 * q)
    return -(torch.xlogy(p + q, best) + torch.xlogy(q, 1 - best)).sum()


RIGHT["generator_objective"] += [
    lambda p, q: -math.log(4) + 2 * jsd(p, q),
    lambda p, q: float(kl_of(p, p + q) + kl_of(q, p + q)),
]
WRONG["generator_objective"] += [
    (joint, "D still helps"),
    (lambda p, q: (2 * jsd(p, q) - math.log(4)) / LOG2, "bits"),
    (lambda p, q: jsd(p, q) - math.log(4), "factor 2"),
    (lambda p, q: kl_of(p, q) - math.log(4), "KL divergence in place"),
    (lambda p, q: math.log(4) - 2 * jsd(p, q), "D's loss at its best"),
    (lambda p, q: 2 * jsd(p, q), "constant is missing"),
    (jsd, "JSD alone"),
    (lambda p, q: (p * (p / (p + q)).log() + q * (q / (p + q)).log()).sum(), "0 log 0"),
    (lambda p, q: torch.tensor(0.0), "worst generator"),
]

# ---- elbo


def bound(penalty, mean_over=0):
    def elbo(x, mean, log_var, noise, w, s):
        z = mean + torch.exp(log_var / 2) * noise
        log_likelihood = torch.distributions.Normal(w * z, s).log_prob(x).mean(mean_over)
        return log_likelihood - penalty(mean, log_var, noise)

    return elbo


@right("elbo")
def elbo_by_samples(x, mean, log_var, noise, w, s):
    z = mean + torch.exp(log_var / 2) * noise
    q, prior = (
        torch.distributions.Normal(mean, torch.exp(log_var / 2)),
        torch.distributions.Normal(0.0, 1.0),
    )
    return (
        torch.distributions.Normal(w * z, s).log_prob(x) + prior.log_prob(z) - q.log_prob(z)
    ).mean(0)


RIGHT["elbo"] += [
    bound(lambda m, v, e: 0.5 * (m**2 + v.exp() - 1 - v)),
]
WRONG["elbo"] += [
    (bound(lambda m, v, e: (e - e.sigmoid()).square().mean()), "no gradient"),
    (bound(lambda m, v, e: 0), "autoencoder"),
    (bound(lambda m, v, e: m**2 + v.exp() - 1 - v), "½"),
    (bound(lambda m, v, e: -0.5 * (m**2 + v.exp() - 1 - v)), "wrong sign"),
    (bound(lambda m, v, e: 0.5 * (m**2 + (2 * v).exp() - 1 - 2 * v)), "log sigma"),
    (bound(lambda m, v, e: 0.5 * (m**2 + (v / 2).exp() - 1 - v / 2)), "sigma²"),
    (bound(lambda m, v, e: 0.5 * ((1 + m**2) * (-v).exp() - 1 + v)), "wrong way round"),
    (bound(lambda m, v, e: 0.5 * m**2), "Only the mean"),
    (lambda *a: -elbo_by_samples(*a), "negative bound"),
    (lambda *a: elbo_by_samples(*a).mean(), "One bound for each"),
]


def other_draws(spread):
    def elbo(x, mean, log_var, noise, w, s):
        z = mean + spread(log_var) * noise
        kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var)
        return torch.distributions.Normal(w * z, s).log_prob(x).mean(0) - kl

    return elbo


WRONG["elbo"] += [
    (other_draws(torch.exp), "is the variance"),
    (other_draws(lambda v: v), "as if it were the deviation"),
    (bound(lambda m, v, e: 0.5 * (v.exp() - 1 - v)), "nothing ties the mean"),
    (bound(lambda m, v, e: 0.5 * (m**2 + v.exp() - 1 + v)), "there it is subtracted"),
    (
        bound(lambda m, v, e: 0.5 * (m**2 + v.exp() - 1 - v) + (e - e.sigmoid()).square().mean()),
        "still there beside it",
    ),
    (
        lambda x, m, v, e, w, s: torch.distributions.Normal(0.0, math.sqrt(w * w + s * s)).log_prob(
            x
        ),
        "the encoder has no say",
    ),
]

# ---- kl

RIGHT["kl"] += [
    lambda p, q: sum(a * (a.log() - b.log()) for a, b in zip(p, q, strict=True) if a > 0),
    lambda p, q: torch.distributions.kl_divergence(
        torch.distributions.Categorical(p), torch.distributions.Categorical(q)
    ),
]
RIGHT["kl"] += [
    lambda p, q: np.float32(kl_of(p, q).item()),
    lambda p, q: np.array(kl_of(p.double(), q.double()).item()),
    lambda p, q: float(kl_of(p, q)),
]
WRONG["kl"] += [
    (lambda p, q: F.kl_div(q.log(), p, reduction="sum"), "0 log 0"),
    (lambda p, q: (torch.xlogy(q, p) - torch.xlogy(q, q)).sum(), "without a floor"),
    (lambda p, q: kl_of(q, p), "another divergence"),
    (lambda p, q: -kl_of(p, q), "sign is wrong"),
    (lambda p, q: kl_of(p, q) / LOG2, "bits"),
    (
        lambda p, q: F.kl_div(q.log(), p, reduction="none").nansum() / len(p),
        "A mean over the states",
    ),
    (lambda p, q: (p * (p / q).log()).sum(), "0 log 0"),
    (jsd, "JSD"),
    (lambda p, q: (p * ((p + 1e-9) / (q + 1e-9)).log()).sum(), "infinite"),
]

WRONG["kl"] += [
    (lambda p, q: F.kl_div(p, q, reduction="none").sum(), "takes the *logarithm*"),
    (lambda p, q: -(p * q.log()).sum(), "cross-entropy"),
    (lambda p, q: (q * (p / q).log()).sum().clamp(min=0), "Cut off at 0"),
]

# ---- encode_batch


def encode(
    texts=lambda rows: [t for t, _ in rows],
    labels=lambda rows: torch.tensor([int(y == "pos") for _, y in rows]),
    **options,
):
    def batch(tokenizer, rows):
        fields = tokenizer(texts(rows), **{"padding": True, "return_tensors": "pt", **options})
        return {**fields, **({"labels": labels(rows)} if labels else {})}

    return batch


RIGHT["encode_batch"] += [
    encode(),
    encode(labels=lambda rows: torch.tensor([{"neg": 0, "pos": 1}[y] for _, y in rows])),
]
WRONG["encode_batch"] += [
    (encode(texts=lambda rows: rows), "reads the answer"),
    (encode(texts=lambda rows: [f"{t} {y}" for t, y in rows]), "reads the answer"),
    (
        encode(labels=lambda rows: torch.tensor([1 + (y == "pos") for _, y in rows])),
        "counted from 0",
    ),
    (
        encode(labels=lambda rows: torch.tensor([float(y == "pos") for _, y in rows])),
        "whole numbers",
    ),
    (encode(labels=lambda rows: torch.tensor([int(y == "neg") for _, y in rows])), "1 is pos"),
    (encode(labels=None), "finds no targets"),
    (encode(labels=lambda rows: torch.tensor([y for _, y in rows])), "as numbers"),
    (
        encode(labels=lambda rows: torch.tensor([int(y == "pos") for _, y in rows[1:] + rows[:1]])),
        "belongs to row i's text",
    ),
    (encode(padding="max_length", max_length=40), "added or lost"),
]


def encode_without_a_mask(tokenizer, rows):
    fields = encode()(tokenizer, rows)
    return {**fields, "attention_mask": torch.ones_like(fields["input_ids"])}


WRONG["encode_batch"] += [
    (encode_without_a_mask, "0 for padding"),
    (
        encode(labels=lambda rows: torch.tensor([int(bool(y)) for _, y in rows])),
        "not empty counts as true",
    ),
]

# ---- make_classifier


def classifier(vocab_size, **options):
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    return BertForSequenceClassification(BertConfig(vocab_size=vocab_size, **{**sizes, **options}))


RIGHT["make_classifier"] += [
    classifier,  # two labels are the library's default
    partial(
        classifier,
        num_labels=2,
        problem_type="single_label_classification",
        hidden_dropout_prob=0.0,
    ),
]
WRONG["make_classifier"] += [
    (lambda vocab_size: classifier(2_000), "one row for each token"),
    (lambda vocab_size: classifier(max(vocab_size, 100)), "one row for each token"),
    (lambda vocab_size: classifier(vocab_size + 1), "one row for each token"),
    (partial(classifier, num_labels=1), "for a regression"),
    (partial(classifier, num_labels=3), "Two classes, two logits"),
    (partial(classifier, num_labels=2, problem_type="multi_label_classification"), "problem_type"),
    (lambda vocab_size: "model", "Return the model"),
]


def classifier_with_a_new_head(vocab_size):
    model = classifier(vocab_size, num_labels=1)
    model.classifier = nn.Linear(16, 2)
    return model


WRONG["make_classifier"] += [(classifier_with_a_new_head, "problem_type")]

# ---- shuffled


def reorder(order):
    def shuffle(texts, labels, seed):
        chosen = order(len(texts), np.random.default_rng(seed))
        return [texts[i] for i in chosen], [labels[i] for i in chosen]

    return shuffle


@wrong("shuffled", "apart from each other")
def shuffled_apart(texts, labels, seed):
    rng = np.random.default_rng(seed)
    return [texts[i] for i in rng.permutation(len(texts))], [
        labels[i] for i in rng.permutation(len(labels))
    ]


def in_blocks(size, inside=False):
    """Whole batches change places; the inside of each stays, or is mixed too."""

    def order(n, rng):
        parts = [np.arange(k, min(k + size, n)) for k in range(0, n, size)]
        chosen = [parts[i] for i in rng.permutation(len(parts))]
        return np.concatenate([rng.permutation(part) if inside else part for part in chosen])

    return reorder(order)


def by_a_window(n, rng):
    """A buffer of a hundred reviews, from which the next one is drawn."""
    left, out = list(range(n)), []
    while left:
        out.append(left.pop(rng.integers(min(100, len(left)))))
    return np.array(out)


def by_shared_python(texts, labels, seed):
    random.seed(seed)
    pairs = list(zip(texts, labels, strict=True))
    random.shuffle(pairs)
    return [text for text, _ in pairs], [label for _, label in pairs]


def by_shared_numpy(texts, labels, seed):
    np.random.seed(seed)
    order = np.random.permutation(len(texts))
    return [texts[i] for i in order], [labels[i] for i in order]


def riffled(n, rng):
    """Both halves keep their order; they are dealt into each other at random."""
    places, order = np.sort(rng.permutation(n)[: n // 2]), np.empty(n, dtype=int)
    rest = np.setdiff1d(np.arange(n), places)
    order[places], order[rest] = np.arange(n // 2), np.arange(n // 2, n)
    return order


@right("shuffled")
def by_a_generator_of_its_own(texts, labels, seed):
    pairs = list(zip(texts, labels, strict=True))
    random.Random(seed).shuffle(pairs)
    return tuple(zip(*pairs, strict=True)) if pairs else ([], [])


WRONG["shuffled"] += [
    *[(in_blocks(size), "whole batches changed places") for size in (2, 4, 5, 8, 10)],
    (in_blocks(5, inside=True), "whole batches changed places"),
    (in_blocks(20), "still carry one label"),
    (reorder(lambda n, rng: (rng.integers(n) + 7 * np.arange(n)) % n), "whole batches changed"),
    (reorder(riffled), "whole batches changed places"),
    (by_shared_python, "all cells share"),
    (by_shared_numpy, "all cells share"),
]
RIGHT["shuffled"] += [
    reorder(lambda n, rng: rng.permutation(n)),
]
WRONG["shuffled"] += [
    (lambda texts, labels, seed: (texts, labels), "still carry one label"),
    (
        reorder(lambda n, rng: np.concatenate([k + rng.permutation(16) for k in range(0, n, 16)])),
        "still carry one label",
    ),
    (reorder(lambda n, rng: rng.integers(n, size=n)), "with replacement"),
    (
        reorder(lambda n, rng: np.random.default_rng(0).permutation(n)),
        "does not depend on the seed",
    ),
    (reorder(lambda n, rng: np.random.default_rng().permutation(n)), "passed in"),
    (
        reorder(
            lambda n, rng: np.stack(
                [rng.permutation(n // 2), n // 2 + rng.permutation(n // 2)], 1
            ).ravel()
        ),
        "regular is not random",
    ),
    (reorder(lambda n, rng: rng.permutation(n)[: n - 10]), "Reviews were lost"),
]

# ---- first_break


CLOSE = partial(math.isclose, rel_tol=1e-6, abs_tol=1e-9)
ALLCLOSE = partial(torch.allclose, atol=1e-6)


def breaks(lines, points, close=CLOSE):
    return [
        k
        for k in range(1, len(lines))
        if not all(close(lines[k](*p), lines[k - 1](*p)) for p in points)
    ]


RIGHT["first_break"] += [
    lambda lines, points: next(iter(breaks(lines, points)), None),
    lambda lines, points: min(breaks(lines, points), default=None),
]


def by_points(lines, points):
    """Points in the outer loop."""
    for point in points:
        for k in range(1, len(lines)):
            if not CLOSE(lines[k](*point), lines[k - 1](*point)):
                return k
    return None


def within(**tolerance):
    close = partial(math.isclose, **tolerance)
    return lambda lines, points: next(iter(breaks(lines, points, close)), None)


RIGHT["first_break"] += [
    lambda lines, points: next(iter(breaks(lines, points, np.isclose)), None),
    lambda lines, points: next(map(np.int64, breaks(lines, points)), None),
    within(rel_tol=1e-9),
]
WRONG["first_break"] += [
    (
        lambda lines, points: next(iter(breaks(lines, points[-1:])), None),
        "*every* point, the first",
    ),
    (
        lambda lines, points: next(
            iter(breaks(lines, [points[0], points[1 % len(points) if len(points) == 2 else -1]])),
            None,
        ),
        "in the middle",
    ),
    (by_points, "*line* is asked for"),
    (within(rel_tol=0, abs_tol=0.05), "allow for rounding only"),
    (within(rel_tol=0, abs_tol=5e-4), "allow for rounding only"),
    (within(rel_tol=1e-3), "allow for rounding only"),
    (
        lambda lines, points: next(
            iter(breaks(lines, points, lambda a, b: CLOSE(abs(a), abs(b)))), None
        ),
        "*every* point",
    ),
    (
        lambda lines, points: next(
            iter(breaks([lambda p, q, line=line: line(p, q) for line in lines], points)), None
        ),
        "any number of entries",
    ),
    (lambda lines, points: next(iter(breaks(lines, points[:1])), None), "*every* point"),
    (lambda lines, points: max(breaks(lines, points), default=None), "first one"),
    (
        lambda lines, points: next(iter(breaks(lines, points, lambda a, b: a == b)), None),
        "allow for rounding",
    ),
    (
        lambda lines, points: next((k + 1 for k in breaks(lines, points)), None),
        "Count lines from 0",
    ),
    (
        lambda lines, points: (
            next(iter(breaks(lines, points))) if breaks([lines[0], lines[-1]], points) else None
        ),
        "Two errors can cancel",
    ),
    (lambda lines, points: next(iter(breaks(lines, points)), 0), "the answer is None"),
]

WRONG["first_break"] += [
    (lambda lines, points: next(iter(breaks(lines[:-1], points)), None), "was passed over"),
    (
        lambda lines, points: next(iter(breaks(lines, points, lambda a, b: a - b < 1e-6)), None),
        "was passed over",
    ),
]

# ---- same_training


def played(step, make, batches):
    players = make()
    told = [step(*players, *batch) for batch in batches]
    return [[p.detach().clone() for p in net.parameters()] for net in players[:2]], told


def compare(batches=slice(None), nets=(0, 1), close=ALLCLOSE, shared=False):
    def same(step, other, make, all_batches):
        if shared:
            players = make()
            make = lambda: players  # noqa: E731
        ends = [played(s, make, all_batches[batches])[0] for s in (step, other)]
        return all(close(a, b) for k in nets for a, b in zip(ends[0][k], ends[1][k], strict=True))

    return same


RIGHT["same_training"] += [
    compare(),
    compare(close=lambda a, b: bool((a - b).abs().max() < 1e-5)),
]


def by_number(number):
    """Compares a number of each parameter."""

    def same(step, other, make, batches):
        ends = [
            [number(p) for net in played(s, make, batches)[0] for p in net] for s in (step, other)
        ]
        return bool(np.allclose(*ends, atol=1e-5))

    return same


def by_losses_and_one_network(step, other, make, batches):
    (one, told), (two, heard) = (played(s, make, batches) for s in (step, other))
    return bool(np.allclose(told, heard, atol=1e-5)) and all(
        abs(a.sum() - b.sum()) < 1e-5 for a, b in zip(one[0] + one[1], two[0] + two[1], strict=True)
    )


RIGHT["same_training"] += [
    lambda *a: np.bool_(compare()(*a)),
]
WRONG["same_training"] += [
    (by_number(lambda p: float(p.sum())), "same numbers in other places"),
    (by_number(lambda p: float(p.norm())), "same numbers in other places"),
    (by_losses_and_one_network, "same numbers in other places"),
    (compare(close=partial(torch.allclose, atol=3e-3)), "which is no rounding"),
    (compare(shared=True), "new players"),
    (compare(close=torch.equal), "not of each bit"),
    (compare(nets=(0,)), "*both* networks"),
    (compare(nets=(1,)), "*both* networks"),
    (compare(batches=slice(1)), "play all batches"),
    (
        lambda s, o, make, b: bool(
            np.allclose(played(s, make, b)[1], played(o, make, b)[1], atol=1e-6)
        ),
        "*both* networks",
    ),
    (lambda *a: torch.tensor(compare()(*a)), "Return a bool"),
]

WRONG["same_training"] += [
    (lambda *a: True, "does nothing"),
    (lambda s, o, make, b: compare()(s, s, make, b), "does nothing"),
]

# ---- accuracy


def measured(
    enter=True, leave="back", mode=torch.no_grad, share=lambda hit: hit.float().mean().item()
):
    def accuracy(model, x, y):
        was = model.training
        if enter:
            model.eval()
        with mode():
            hit = model(x).argmax(1) == y
        if leave == "back":
            model.train(was)
        elif leave == "train":
            model.train()
        return share(hit)

    return accuracy


RIGHT["accuracy"] += [
    measured(),
    measured(share=lambda hit: hit.sum().item() / len(hit)),
    measured(mode=torch.inference_mode),
]
WRONG["accuracy"] += [
    (measured(enter=False, leave=""), "still worked as in training"),
    (measured(leave=""), "stays in evaluation mode"),
    (measured(leave="train"), "It came in evaluation mode"),
    (measured(share=lambda hit: hit.sum().item()), "A share of all examples"),
    (measured(share=lambda hit: 100 * hit.float().mean().item()), "A share of all examples"),
    (measured(share=lambda hit: 1 - hit.float().mean().item()), "share of wrong answers"),
]


@wrong("accuracy", "running means moved")
def accuracy_after_a_pass_in_training(model, x, y):
    was = model.training
    model.train()
    model(x)
    model.eval()
    right = (model(x).argmax(1) == y).float().mean().item()
    model.train(was)
    return right


def accuracy_by_many_passes(model, x, y):
    return sum(measured(enter=False)(model, x, y) for _ in range(10)) / 10


WRONG["accuracy"] += [
    (accuracy_by_many_passes, "as in training"),
    (
        lambda model, x, y: measured()(model, x, y) * 0 + (model(x).argmax(0) == y).float().mean(),
        "the classes, dimension 1",
    ),
]

# ---- squared_error

RIGHT["squared_error"] += [
    lambda p, t: F.mse_loss(p.flatten(), t),
    lambda p, t: (p.view(len(t)) - t).pow(2).sum() / len(t),
    lambda p, t: (p.reshape(-1, 1) - t[:, None]).square().mean(),
]
WRONG["squared_error"] += [
    (lambda p, t: (p.reshape(-1, 1) - t).square().mean(), "Still a table"),
    (lambda p, t: (p.flatten() - t).square().sum(), "This is the sum"),
    (lambda p, t: (p.flatten() - t).abs().mean(), "another loss"),
    (lambda p, t: (p.flatten() - t).mean().square(), "differences of both signs cancel"),
    (lambda p, t: (p.flatten() - t).square().mean().sqrt(), "root of it"),
    (lambda p, t: (p.mean() - t).square().mean(), "against its own target"),
    (lambda p, t: (p.detach().flatten() - t).square().mean(), "from the prediction itself"),
]

WRONG["squared_error"] += [
    (lambda p, t: 0.5 * (p.flatten() - t).square().mean(), "no factor ½"),
]

# ---- class_loss

RIGHT["class_loss"] += [
    lambda a, y: F.nll_loss(a.log_softmax(1), y),
    lambda a, y: -a.log_softmax(1)[torch.arange(len(y)), y].mean(),
    lambda a, y: F.cross_entropy(a.log_softmax(1), y),  # a second log-softmax changes nothing
]
WRONG["class_loss"] += [
    (lambda a, y: F.cross_entropy(a.softmax(1), y), "Two softmaxes"),
    (lambda a, y: -a.softmax(1)[torch.arange(len(y)), y].mean(), "negative number"),
    (lambda a, y: F.nll_loss(a, y), "these are logits"),
    (lambda a, y: F.cross_entropy(a.log_softmax(0), y), "Normalised over the batch"),
    (lambda a, y: F.cross_entropy(a, y, reduction="sum"), "sum over the batch"),
    (lambda a, y: F.cross_entropy(a.sigmoid(), y), "A sigmoid is left"),
    (lambda a, y: F.nll_loss(a.softmax(1).log(), y), "never leaves the logarithms"),
    (
        lambda a, y: bce(a, F.one_hot(y, a.shape[1]).float()),
        "yes-or-no question",
    ),
]

WRONG["class_loss"] += [
    (lambda a, y: F.cross_entropy(a.softmax(0), y), "A softmax over the batch"),
    (lambda a, y: F.nll_loss((a.softmax(1) + 1e-8).log(), y), "caps the loss"),
]

# ---- make_network


class Listed(nn.Module):
    """Hidden layers in a container of some kind."""

    def __init__(self, depth, width, contain, bend=torch.relu, use=True):
        super().__init__()
        layers = [nn.Linear(width if k else 64, width) for k in range(depth)]
        self.hidden, self.answers, self.bend = contain(layers), nn.Linear(width, 10), bend
        self.use = use

    def forward(self, x):
        layers = list(self.hidden.values() if hasattr(self.hidden, "values") else self.hidden)
        for layer in layers:
            x = self.bend(layer(x))
            if not self.use:
                x = x.detach()
        return self.answers(x)


def by_name(layers):
    return nn.ModuleDict({f"layer{k}": layer for k, layer in enumerate(layers)})


def repeated(depth, width):
    middle = [nn.Linear(width, width)] * (depth - 1)
    bends = [part for layer in middle for part in (layer, nn.ReLU())]
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), *bends, nn.Linear(width, 10))


RIGHT["make_network"] += [
    lambda depth, width: Listed(depth, width, nn.ModuleList),
    lambda depth, width: Listed(depth, width, by_name),
]
WRONG["make_network"] += [
    (lambda depth, width: Listed(depth, width, list), "Layers are missing"),
    (lambda depth, width: Listed(depth, width, tuple), "Layers are missing"),
    (lambda depth, width: Listed(depth, width, lambda x: dict(enumerate(x))), "Layers are missing"),
    (repeated, "The same layer several times"),
    (lambda depth, width: Listed(depth + 1, width, nn.ModuleList), "more parameters"),
    (lambda depth, width: Listed(depth, width, nn.ModuleList, lambda x: x), "is linear"),
    (lambda depth, width: Listed(depth, width, nn.ModuleList, use=False), "takes no part"),
]


class LastBend(nn.Module):
    """One ReLU, behind all hidden layers."""

    def __init__(self, depth, width):
        super().__init__()
        self.hidden = nn.Sequential(*(nn.Linear(width if k else 64, width) for k in range(depth)))
        self.answers = nn.Linear(width, 10)

    def forward(self, x):
        return self.answers(self.hidden(x).relu())


def unbiased(depth, width):
    layers = [nn.Linear(width if k else 64, width, bias=False) for k in range(depth)]
    bends = [part for layer in layers for part in (layer, nn.ReLU())]
    return nn.Sequential(*bends, nn.Linear(width, 10))


WRONG["make_network"] += [
    (LastBend, "one ReLU for each"),
    (lambda depth, width: Listed(depth, width, nn.ModuleList, torch.tanh), "one ReLU for each"),
    (lambda depth, width: Listed(depth - 1, width, nn.ModuleList), "Are there `depth`"),
    (unbiased, "as there are biases"),
]

# ---- first_nan


def hooked(sound=lambda out: out.isfinite().all(), remove=True, pick=0, order="calls", none=None):
    def first_nan(model, x):
        found = []
        handles = [
            module.register_forward_hook(
                lambda module, given, out, name=name: None if sound(out) else found.append(name)
            )
            for name, module in model.named_modules()
        ]
        with torch.no_grad():
            model(x)
        if remove:
            for handle in handles:
                handle.remove()
        if order == "names":
            found = [name for name, _ in model.named_modules() if name in found and name]
        return found[pick] if found else none

    return first_nan


@right("first_nan")
def first_of_all_calls(model, x):
    names, calls = {module: name for name, module in model.named_modules()}, []
    handles = [m.register_forward_hook(lambda m, i, o: calls.append((m, o))) for m in names]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return next((names[m] for m, out in calls if not torch.isfinite(out).all()), None)


RIGHT["first_nan"] += [hooked(), hooked(sound=lambda out: out.abs().max() < float("inf"))]
WRONG["first_nan"] += [
    (hooked(sound=lambda out: not out.isnan().any()), "Infinity is not finite either"),
    (hooked(pick=-1), "first, not the last"),
    (hooked(order="names"), "order in which they are *called*"),
    (hooked(remove=False), "A hook that stays"),
    (hooked(none=""), "All outputs are finite here"),
    (hooked(none=0), "as text, or None"),
    (hooked(sound=lambda out: out[0].isfinite().all()), "A single bad row"),
]


@wrong("first_nan", "innermost one")
def first_of_the_outermost(model, x):
    return (hooked()(model, x) or "").partition(".")[0] or None


def first_nan_by_one_name(model, x):
    """As with hooks that all read the loop's name when they run."""
    names = [name for name, _ in model.named_modules()]
    return names[-1] if hooked()(model, x) is not None else None


def first_nan_by_input(model, x):
    found = []
    handles = [
        module.register_forward_hook(
            lambda module, given, out, name=name: (
                None if given[0].isfinite().all() else found.append(name)
            )
        )
        for name, module in model.named_modules()
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return found[0] if found else None


WRONG["first_nan"] += [
    (first_nan_by_one_name, "when the hook *runs*"),
    (first_nan_by_input, "Look at outputs"),
    (lambda model, x: hooked()(model, x) and "Linear", "has no such name"),
    (lambda model, x: [hooked()(model, x)][2:][0], "nothing is found"),
]

# ---- overfit_one_batch


def one_batch(
    optimizer=torch.optim.Adam,
    clear=True,
    step=True,
    note=lambda v: v.item(),
    late=False,
    again=False,
    copied=False,
):
    def overfit(model, loss, x, y, steps, lr):
        model = copy.deepcopy(model) if copied else model
        chosen, losses = optimizer(model.parameters(), lr=lr), []
        for _ in range(steps):
            if again:
                chosen = optimizer(model.parameters(), lr=lr)
            value = loss(model(x), y)
            if clear:
                chosen.zero_grad()
            value.backward()
            if step:
                chosen.step()
            losses.append(note(loss(model(x), y) if late else value))
        return losses

    return overfit


RIGHT["overfit_one_batch"] += [
    one_batch(),
    one_batch(note=lambda v: float(v.detach())),
    one_batch(optimizer=lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.0)),
]
WRONG["overfit_one_batch"] += [
    (one_batch(clear=False), "Gradients add up"),
    (one_batch(step=False), "no step is taken"),
    (one_batch(late=True), "*after* each step"),
    (one_batch(optimizer=torch.optim.SGD), "plain SGD"),
    (one_batch(again=True), "forgets Adam's means"),
    (one_batch(note=lambda v: v), "keeps the whole graph"),
    (one_batch(copied=True), "not a copy"),
    (lambda *a: one_batch()(*a)[:-1], "One loss per step"),
]

# ---- mystery


def script(train, test, faults=(), steps=10, answer=None):
    pictures, labels = train
    ink = pictures.sum(1)
    keep = ink > ink.quantile(0.01)
    pictures = pictures[keep].float() / 16
    labels = labels[: len(pictures)] if "labels" in faults else labels[keep]
    mean, deviation = pictures.mean(), pictures.std()
    pictures = (pictures - mean) / deviation
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.8)
    for _ in range(steps):
        for rows in torch.randperm(len(pictures)).split(64):
            loss = F.cross_entropy(model(pictures[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if "rate" in faults:
                schedule.step()
        if "rate" not in faults:
            schedule.step()
    model.eval()
    judged = (test[0].float() / (255 if "scale" in faults else 16) - mean) / deviation
    with torch.no_grad():
        scores = [
            (model(x).argmax(1) == y).float().mean().item()
            for x, y in ((pictures, labels), (judged, test[1]))
        ]
    return {"train": scores[0], "test": scores[1]}


def nearest(train, test):
    """The label of the nearest training picture: no network at all."""

    def right(x, y):
        return (train[1][torch.cdist(x, train[0]).argmin(1)] == y).float().mean().item()

    return {"train": right(*train), "test": right(*test)}


RIGHT["mystery"] += [script, nearest]
WRONG["mystery"] += [
    (partial(script, faults=("rate",)), "one fault is left"),
    (partial(script, faults=("rate",), steps=30), "one fault is left"),
    (partial(script, faults=("scale",)), "not treated alike"),
    (partial(script, faults=("labels",)), "not treated alike"),
    (partial(script, faults=("scale", "rate")), "not treated alike"),
    (lambda train, test: {"train": 0.99, "test": 0.97}, "right more often than by chance"),
    (lambda train, test: 0.97, "as the script does"),
    (lambda train, test: {"train": 97.0, "test": 97.0}, "A share of right answers"),
]


# ---- further ones, of which no test had been


def with_end(end):
    return lambda depth, width: nn.Sequential(layers(depth, width), end)


def layers(depth, width):
    hidden = [
        part for k in range(depth) for part in (nn.Linear(width if k else 64, width), nn.ReLU())
    ]
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def watching(model, x, seen=None, clear=False, found=lambda out: not out.isfinite().all()):
    names, hooks = [], []
    for name, module in model.named_modules():
        hooks.append(
            module.register_forward_hook(
                lambda module, given, out, name=name: names.append(name) if found(out) else None
            )
        )
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    if clear:
        for module in model.modules():
            module._forward_hooks.clear()
    if seen == "listed":
        return next((name for name, _ in model.named_modules() if name in names), None)
    return names[0] if names else None


def learned(model, loss, x, y, steps, lr, least=-1.0, rows=False, rate=None):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=rate or lr), []
    for _ in range(steps):
        of = torch.randint(len(x), (len(x),)) if rows else torch.arange(len(x))
        value = loss(model(x[of]), y[of])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
        if value < least:
            break
    return losses


def by_totals(lines, points):
    totals = [sum(line(*point) for point in points) for line in lines]
    return next((k for k in range(1, len(totals)) if abs(totals[k] - totals[k - 1]) > 1e-9), None)


def every_break(lines, points):
    return [
        k
        for k in range(1, len(lines))
        if any(
            not math.isclose(lines[k](*p), lines[k - 1](*p), rel_tol=1e-6, abs_tol=1e-9)
            for p in points
        )
    ]


def least_probable(model, x, y):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        share = (model(x).argmin(1) == y).float().mean().item()
    for module, training in modes.items():
        module.training = training
    return share


def value_at(answer):
    """V of the game with another answer of D."""

    def value(p, q):
        d = answer(p, q)
        return torch.xlogy(p, d) + torch.xlogy(q, 1 - d)

    return value


def halves(r, f):
    return F.softplus(-r).mean() + F.softplus(f).mean(), F.softplus(-f).mean()


RIGHT["make_network"] += [layers]
RIGHT["first_nan"] += [watching]
RIGHT["overfit_one_batch"] += [learned]
WRONG["make_network"] += [
    (with_end(nn.Softmax(1)), "no softmax at the end"),
    (with_end(nn.ReLU()), "the *hidden* layers only"),
]
WRONG["first_nan"] += [
    (lambda model, x: watching(model, x, clear=True), "A hook that was there before"),
    (lambda model, x: watching(model, x, seen="listed"), "first, not the last"),
    (lambda model, x: None, "Nothing was found"),
]
WRONG["overfit_one_batch"] += [
    (partial(learned, least=1e-3), "Stopped before `steps` steps"),
    (partial(learned, rows=True), "no draw of rows"),
    (partial(learned, rate=1e-3), "its own rate"),
]
WRONG["first_break"] += [
    (by_totals, "the other has too little"),
    (every_break, "no list"),
    (lambda lines, points: every_break(lines, points)[0] - 1, "so 1 and not 0"),
]
WRONG["accuracy"] += [(least_probable, "By hand")]
WRONG["generator_objective"] += [
    (lambda p, q: value_at(lambda p, q: (p + q) / (p + 2 * q))(p, q).sum(), "*helps*"),
    (lambda p, q: value_at(lambda p, q: p / (p + q))(p, q).mean(), "A mean over the states"),
    (lambda p, q: value_at(lambda p, q: q / (p + q))(p, q).sum(), "D stands on its head"),
    (lambda p, q: torch.xlogy(q, q / (p + q)).sum(), "Only the generator's term"),
    (lambda p, q: -torch.xlogy(q, p / (p + q)).sum(), "non-saturating"),
]
WRONG["gan_losses"] += [
    (lambda r, f: (halves(r, f)[0], halves(r, f)[1] + F.softplus(r).mean()), "which G cannot move"),
    (lambda r, f: (halves(r, f)[0] + 0.1 * r.mean(), halves(r, f)[1]), "not a softer one"),
    (lambda r, f: (halves(r, f)[0] * 1.3, halves(r, f)[1]), "One logit each"),
]
WRONG["match_ranges"] += [
    (lambda: (lambda x: 2 * x - 1, nn.Identity()), "Nothing bounds this last layer"),
    (lambda: (nn.Sigmoid(), lambda x: x), "The two are exchanged"),
    (lambda: (lambda x: x, nn.Sigmoid), "with brackets makes one"),
]
WRONG["label_loss"] += [
    (
        lambda a, y: F.binary_cross_entropy_with_logits(a, torch.full_like(a, round(y))),
        "`round(label)`",
    ),
    (
        lambda a, y: F.binary_cross_entropy(a.sigmoid(), torch.full_like(a, y)),
        "gives exactly 0 or 1 there",
    ),
]
WRONG["class_loss"] += [
    (lambda a, y: F.cross_entropy(a, y, label_smoothing=0.1), "never reaches 0"),
    (lambda a, y: F.cross_entropy(a, y) / math.log(2), "These are bits"),
    (lambda a, y: F.cross_entropy(a, y) + 0.1, "so it costs 0.313"),
]
