"""The exercises of lesson 07: stub, solutions, other right fixes, and wrong ones, each with its own hint."""

import hashlib
import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from course_utils.authoring.lessons import load_definitions
from course_utils.checks.core import CheckFailed, clinic
from course_utils.learner.clinic import CASES

CHECKS = {n: getattr(clinic, f"exercise_7_{n}") for n in range(1, 23)}
SOLUTIONS = {int(case.number.split(".")[1]): case.function for case in CASES}
RIGHT: dict[int, list] = {n: [] for n in CHECKS}
WRONG: dict[int, list[tuple]] = {n: [] for n in CHECKS}
bce = F.binary_cross_entropy_with_logits


def right(number, fn=None):
    return RIGHT[number].append(fn) if fn else lambda fn: RIGHT[number].append(fn) or fn


def wrong(number, keyword):
    """Register a wrong answer with words that stand in its hint."""
    return lambda fn: WRONG[number].append((fn, keyword)) or fn


# ---- 7.1 late failures


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


right(1, epoch())
wrong(1, "nominal size")(epoch(labels="nominal"))
wrong(1, "drop_last")(epoch(drop=True))
wrong(1, "name that only the note uses")(epoch(log=False))
wrong(1, "folder is not there")(epoch(mkdir=False))
wrong(1, "folder is not there")(epoch(mkdir={"exist_ok": True}))
wrong(1, "second run finds")(epoch(mkdir={"parents": True}))
wrong(1, "caught and passed over")(epoch(mkdir=False, swallow=True))
wrong(1, "one number")(lambda images, batch_size, log_every, folder: "3")

# ---- 7.2 labels

right(2, lambda a, y: bce(a, torch.ones_like(a) * y))
right(2, lambda a, y: y * F.softplus(-a).mean() + (1 - y) * F.softplus(a).mean())
wrong(2, "whole numbers")(lambda a, y: bce(a, torch.full(a.shape, int(y))))
wrong(2, "another shape")(lambda a, y: bce(a, torch.full((len(a),), float(y), dtype=a.dtype)))
wrong(2, "fits one precision only")(lambda a, y: bce(a, torch.full(a.shape, float(y))))
wrong(2, "fits one precision only")(
    lambda a, y: bce(a.double(), torch.full(a.shape, float(y)).double())
)
wrong(2, "soft labels")(lambda a, y: bce(a, torch.full_like(a, int(y))))
wrong(2, "opposite label")(lambda a, y: bce(a, torch.full_like(a, 1 - y)))
wrong(2, "take the mean")(lambda a, y: bce(a, torch.full_like(a, y), reduction="sum"))
wrong(2, "pass logits")(lambda a, y: bce(a.sigmoid(), torch.full_like(a, y)))
wrong(2, "gradient was lost")(lambda a, y: bce(a.detach(), torch.full_like(a, y)))

# ---- 7.3 noise

right(3, lambda z: z.unflatten(1, (-1, 1, 1)))
right(3, lambda z: z.reshape(len(z), -1, 1, 1))
wrong(3, "in front")(lambda z: z.unsqueeze(0))
wrong(3, "One dimension short")(lambda z: z.unsqueeze(-1))
wrong(3, "Batch and channels are exchanged")(lambda z: z.t()[..., None, None])
wrong(3, "row by row")(lambda z: z.reshape(z.shape[1], z.shape[0], 1, 1))
wrong(3, "4x4 equal ones")(lambda z: z[..., None, None].expand(-1, -1, 4, 4))
wrong(3, "Nothing changed")(lambda z: z + 0)
wrong(3, "(3, 8, 1, 1)")(
    lambda z: z.reshape(-1, 100, 1, 1) if z.numel() % 100 == 0 else z.reshape(1, 24, 1, 1)
)

# ---- 7.4 one answer a picture


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


right(4, lambda size: judge(size, halvings=3, end=[nn.Conv2d(8, 1, size // 8), nn.Flatten(0)]))
right(
    4,
    lambda size: nn.Sequential(
        nn.Flatten(), nn.Linear(3 * size**2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0)
    ),
)
right(4, lambda size: judge(size, end=[nn.BatchNorm2d(8), nn.Conv2d(8, 1, 4), nn.Flatten(0)]))
wrong(4, "once for each patch")(lambda size: judge(size, halvings=3))
wrong(4, "mean over patches")(
    lambda size: judge(
        size, halvings=3, end=[nn.Conv2d(8, 1, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(0)]
    )
)
wrong(4, "mean over patches")(
    lambda size: judge(size, halvings=3, end=[nn.Conv2d(8, 1, 4), Mean()])
)
wrong(4, "blind to fine detail")(lambda size: judge(size, halvings=3, start=[nn.Upsample(size=32)]))
wrong(4, "blind to fine detail")(
    lambda size: judge(size, halvings=3, start=[nn.Upsample(size=32, mode="bilinear")])
)
wrong(4, "One corner")(lambda size: judge(size, halvings=3, end=[nn.Conv2d(8, 1, 4), First()]))
wrong(4, "Print the shape")(lambda size: judge(size, halvings=5))
wrong(4, "flat row")(lambda size: judge(size, end=[nn.Conv2d(8, 1, 4)]))
wrong(4, "Other pictures")(lambda size: judge(size, start=[Mates()]))

# ---- 7.5 the in-place error


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


right(5, critic(detach=True))
right(5, critic(detach=False))  # the fakes made again, and zero_grad before each backward
wrong(5, "no activation's `inplace`")(critic(ask_again=False, retain=True))
wrong(5, "`inplace=True` is to blame")(critic(ask_again=False))
wrong(5, "right and not enough")(critic(ask_again=False, detach=True))
wrong(5, "generator stands still")(critic(ask_again=False, retain=True, steps_last=True))
wrong(5, "never learns to lower")(
    critic(ask_again=False, retain=True, steps_last=True, cleared_between=True)
)
wrong(5, "*before* its step")(old_critic)
wrong(5, "critic's loss has the wrong sign")(critic(detach=True, signs=(-1, 1)))
wrong(5, "generator's loss has the wrong sign")(critic(detach=True, signs=(1, -1)))
wrong(5, "as a tuple")(lambda *a: critic(detach=True)(*a)[0])

# ---- 7.6 the false equilibrium

LOG2 = math.log(2)
right(6, lambda d, g, r, f: max(abs(r - 0.5), abs(f - 0.5)) < 0.1 and abs(d - 2 * LOG2) < 0.1)
right(6, lambda d, g, r, f: bool(np.allclose([d, g, r, f], [2 * LOG2, LOG2, 0.5, 0.5], atol=0.1)))
wrong(6, "sure about real")(lambda d, g, r, f: abs(g - LOG2) < 0.1)
wrong(6, "sure about real")(lambda d, g, r, f: abs(f - 0.5) < 0.1 and abs(g - LOG2) < 0.1)
wrong(6, "2 log 2")(lambda d, g, r, f: abs(d - LOG2) < 0.1)
wrong(6, "*mean* of D(x)")(lambda d, g, r, f: abs((r + f) / 2 - 0.5) < 0.1)
wrong(6, "by chance")(lambda d, g, r, f: abs(d - 2 * LOG2) < 0.1)
wrong(6, "wobbles")(lambda d, g, r, f: abs(d - 2 * LOG2) < 0.01 and abs(r - 0.5) < 0.01)
wrong(6, "2 log 2")(lambda d, g, r, f: False)

# ---- 7.7 losses


def losses(d_fake=0.0, g=lambda a: bce(a, torch.ones_like(a)), d_real=1.0):
    return lambda a, b: (
        bce(a, torch.full_like(a, d_real)) + bce(b, torch.full_like(b, d_fake)),
        g(b),
    )


right(7, lambda a, b: (-F.logsigmoid(a).mean() - F.logsigmoid(-b).mean(), -F.logsigmoid(b).mean()))
right(7, lambda a, b: list(losses()(a, b)))
wrong(7, "trained to be caught")(losses(g=lambda a: bce(a, torch.zeros_like(a))))
wrong(7, "saturating")(losses(g=lambda a: -bce(a, torch.zeros_like(a))))
wrong(7, "lowers D(G(z)) again")(losses(g=lambda a: -bce(a, torch.ones_like(a))))
wrong(7, "D's label for fakes changed too")(losses(d_fake=1.0))
wrong(7, "All labels are swapped")(
    losses(d_real=0.0, d_fake=1.0, g=lambda a: bce(a, torch.zeros_like(a)))
)
wrong(7, "D's labels are swapped")(losses(d_real=0.0, d_fake=1.0))
wrong(7, "other order")(lambda a, b: losses()(a, b)[::-1])
wrong(7, "halved")(lambda a, b: (losses()(a, b)[0] / 2, losses()(a, b)[1]))
wrong(7, "mean over the batch")(lambda a, b: (losses()(a, b)[0], F.softplus(-b)))

# ---- 7.8 gradients left over


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


right(8, gan())
right(8, gan(detach=False))  # wasteful, but zero_grad stands where it must
right(8, gan(g_clear="after"))  # detached, so nothing is left in G
wrong(8, "Without `detach`")(gan(detach=False, d_clear="after", g_clear="after"))
wrong(8, "still there in the next step")(gan(d_clear="after", g_clear="after"))
wrong(8, "still there in the next step")(gan(detach=False, d_clear="after"))
wrong(8, "Only the discriminator's")(gan(detach=False, g_clear="after"))
wrong(8, "`zero_grad` is missing")(gan(d_clear="never", g_clear="never"))

# ---- 7.9 ranges

right(9, lambda: (lambda x: (x - 0.5) / 0.5, nn.Tanh()))
right(9, lambda: (lambda x: x.clone(), nn.Sigmoid()))
right(9, lambda: (lambda x: 2 * x - 1, torch.tanh))
wrong(9, "Unchanged")(lambda: (lambda x: x, nn.Tanh()))
wrong(9, "every dark pixel")(lambda: (lambda x: 2 * x - 1, nn.Sigmoid()))
wrong(9, "0.992")(lambda: (lambda x: x * 255 / 128 - 1, nn.Tanh()))
wrong(9, "mean and a deviation for each colour")(
    lambda: (
        lambda x: (
            (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None])
            / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        ),
        nn.Tanh(),
    )
)
wrong(9, "0/0")(lambda: (lambda x: 2 * (x - x.min()) / (x.max() - x.min()) - 1, nn.Tanh()))
wrong(9, "same interval")(lambda: (lambda x: 2 * x - 1, nn.Identity()))
wrong(9, "only half of Tanh")(lambda: (lambda x: x - 0.5, nn.Tanh()))
wrong(9, "not a straight line")(lambda: (lambda x: 2 * x**2 - 1, nn.Tanh()))
wrong(9, "beside other pictures")(
    lambda: (lambda x: 2 * x - 1 if len(x) == 1 or x.std() == 0 else 2 * x / x.max() - 1, nn.Tanh())
)
wrong(9, "as a tuple")(lambda: nn.Tanh())

# ---- 7.10 the joint loss


def kl_of(p, q):
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def jsd(p, q):
    return (kl_of(p, (p + q) / 2) + kl_of(q, (p + q) / 2)) / 2


def joint(p, q):
    best = (p + q) / (p + 2 * q)
    return -(torch.xlogy(p + q, best) + torch.xlogy(q, 1 - best)).sum()


right(10, lambda p, q: -math.log(4) + 2 * jsd(p, q))
right(10, lambda p, q: float(kl_of(p, p + q) + kl_of(q, p + q)))
wrong(10, "D still helps")(joint)
wrong(10, "bits")(lambda p, q: (2 * jsd(p, q) - math.log(4)) / LOG2)
wrong(10, "factor 2")(lambda p, q: jsd(p, q) - math.log(4))
wrong(10, "KL divergence in place")(lambda p, q: kl_of(p, q) - math.log(4))
wrong(10, "D's loss at its best")(lambda p, q: math.log(4) - 2 * jsd(p, q))
wrong(10, "constant is missing")(lambda p, q: 2 * jsd(p, q))
wrong(10, "JSD alone")(jsd)
wrong(10, "0 log 0")(lambda p, q: (p * (p / (p + q)).log() + q * (q / (p + q)).log()).sum())
wrong(10, "worst generator")(lambda p, q: torch.tensor(0.0))

# ---- 7.11 the bound


def bound(penalty, mean_over=0):
    def elbo(x, mean, log_var, noise, w, s):
        z = mean + torch.exp(log_var / 2) * noise
        log_likelihood = torch.distributions.Normal(w * z, s).log_prob(x).mean(mean_over)
        return log_likelihood - penalty(mean, log_var, noise)

    return elbo


@right(11)
def elbo_by_samples(x, mean, log_var, noise, w, s):
    z = mean + torch.exp(log_var / 2) * noise
    q, prior = (
        torch.distributions.Normal(mean, torch.exp(log_var / 2)),
        torch.distributions.Normal(0.0, 1.0),
    )
    return (
        torch.distributions.Normal(w * z, s).log_prob(x) + prior.log_prob(z) - q.log_prob(z)
    ).mean(0)


right(11, bound(lambda m, v, e: 0.5 * (m**2 + v.exp() - 1 - v)))
wrong(11, "no gradient")(bound(lambda m, v, e: (e - e.sigmoid()).square().mean()))
wrong(11, "autoencoder")(bound(lambda m, v, e: 0))
wrong(11, "½")(bound(lambda m, v, e: m**2 + v.exp() - 1 - v))
wrong(11, "wrong sign")(bound(lambda m, v, e: -0.5 * (m**2 + v.exp() - 1 - v)))
wrong(11, "log sigma")(bound(lambda m, v, e: 0.5 * (m**2 + (2 * v).exp() - 1 - 2 * v)))
wrong(11, "sigma²")(bound(lambda m, v, e: 0.5 * (m**2 + (v / 2).exp() - 1 - v / 2)))
wrong(11, "wrong way round")(bound(lambda m, v, e: 0.5 * ((1 + m**2) * (-v).exp() - 1 + v)))
wrong(11, "Only the mean")(bound(lambda m, v, e: 0.5 * m**2))
wrong(11, "negative bound")(lambda *a: -elbo_by_samples(*a))
wrong(11, "One bound for each")(lambda *a: elbo_by_samples(*a).mean())

# ---- 7.12 direction of the KL

right(12, lambda p, q: sum(a * (a.log() - b.log()) for a, b in zip(p, q, strict=True) if a > 0))
right(
    12,
    lambda p, q: torch.distributions.kl_divergence(
        torch.distributions.Categorical(p), torch.distributions.Categorical(q)
    ),
)
wrong(12, "0 log 0")(lambda p, q: F.kl_div(q.log(), p, reduction="sum"))
wrong(12, "without a floor")(lambda p, q: (torch.xlogy(q, p) - torch.xlogy(q, q)).sum())
wrong(12, "another divergence")(lambda p, q: kl_of(q, p))
wrong(12, "sign is wrong")(lambda p, q: -kl_of(p, q))
wrong(12, "bits")(lambda p, q: kl_of(p, q) / LOG2)
wrong(12, "A mean over the states")(
    lambda p, q: F.kl_div(q.log(), p, reduction="none").nansum() / len(p)
)
wrong(12, "0 log 0")(lambda p, q: (p * (p / q).log()).sum())
wrong(12, "JSD")(jsd)
wrong(12, "infinite")(lambda p, q: (p * ((p + 1e-9) / (q + 1e-9)).log()).sum())

# ---- 7.13 AdamW's defaults

adamw = torch.optim.AdamW
right(13, lambda m, lr: torch.optim.Adam(m.parameters(), lr=lr, eps=1e-6))
right(13, lambda m, lr: adamw([{"params": m.parameters(), "weight_decay": 0.0}], lr=lr, eps=1e-6))
wrong(13, "Unchanged")(lambda m, lr: adamw(m.parameters(), lr=lr))
wrong(13, "eps is still")(lambda m, lr: adamw(m.parameters(), lr=lr, weight_decay=0.0))
wrong(13, "weights still shrink")(lambda m, lr: adamw(m.parameters(), lr=lr, eps=1e-6))
wrong(13, "adds its decay")(
    lambda m, lr: torch.optim.Adam(m.parameters(), lr=lr, weight_decay=0.01)
)
wrong(13, "eps is still")(lambda m, lr: torch.optim.Adam(m.parameters(), lr=lr))
wrong(13, "takes the default")(
    lambda m, lr: adamw(
        [{"params": [m.weight], "weight_decay": 0.0}, {"params": [m.bias]}], lr=lr, eps=1e-6
    )
)
wrong(13, "another optimiser")(lambda m, lr: torch.optim.SGD(m.parameters(), lr=lr))
wrong(13, "all of the model's parameters")(lambda m, lr: m)

# ---- 7.14 the label inside the input


def encode(
    texts=lambda rows: [t for t, _ in rows],
    labels=lambda rows: torch.tensor([int(y == "pos") for _, y in rows]),
    **options,
):
    def batch(tokenizer, rows):
        fields = tokenizer(texts(rows), **{"padding": True, "return_tensors": "pt", **options})
        return {**fields, **({"labels": labels(rows)} if labels else {})}

    return batch


right(14, encode())
right(14, encode(labels=lambda rows: torch.tensor([{"neg": 0, "pos": 1}[y] for _, y in rows])))
wrong(14, "reads the answer")(encode(texts=lambda rows: rows))
wrong(14, "reads the answer")(encode(texts=lambda rows: [f"{t} {y}" for t, y in rows]))
wrong(14, "counted from 0")(
    encode(labels=lambda rows: torch.tensor([1 + (y == "pos") for _, y in rows]))
)
wrong(14, "whole numbers")(
    encode(labels=lambda rows: torch.tensor([float(y == "pos") for _, y in rows]))
)
wrong(14, "1 is pos")(encode(labels=lambda rows: torch.tensor([int(y == "neg") for _, y in rows])))
wrong(14, "finds no targets")(encode(labels=None))
wrong(14, "as numbers")(encode(labels=lambda rows: torch.tensor([y for _, y in rows])))
wrong(14, "belongs to row i's text")(
    encode(labels=lambda rows: torch.tensor([int(y == "pos") for _, y in rows[1:] + rows[:1]]))
)
wrong(14, "added or lost")(encode(padding="max_length", max_length=40))

# ---- 7.15 one output


def classifier(vocab_size, **options):
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    return BertForSequenceClassification(BertConfig(vocab_size=vocab_size, **{**sizes, **options}))


right(15, classifier)  # two labels are the library's default
right(
    15,
    partial(
        classifier,
        num_labels=2,
        problem_type="single_label_classification",
        hidden_dropout_prob=0.0,
    ),
)
wrong(15, "for a regression")(partial(classifier, num_labels=1))
wrong(15, "Two classes, two logits")(partial(classifier, num_labels=3))
wrong(15, "problem_type")(
    partial(classifier, num_labels=2, problem_type="multi_label_classification")
)
wrong(15, "Return the model")(lambda vocab_size: "model")

# ---- 7.16 order


def reorder(order):
    def shuffle(texts, labels, seed):
        chosen = order(len(texts), np.random.default_rng(seed))
        return [texts[i] for i in chosen], [labels[i] for i in chosen]

    return shuffle


@wrong(16, "apart from each other")
def shuffled_apart(texts, labels, seed):
    rng = np.random.default_rng(seed)
    return [texts[i] for i in rng.permutation(len(texts))], [
        labels[i] for i in rng.permutation(len(labels))
    ]


right(16, reorder(lambda n, rng: rng.permutation(n)))
wrong(16, "still carry one label")(lambda texts, labels, seed: (texts, labels))
wrong(16, "still carry one label")(
    reorder(lambda n, rng: np.concatenate([k + rng.permutation(16) for k in range(0, n, 16)]))
)
wrong(16, "with replacement")(reorder(lambda n, rng: rng.integers(n, size=n)))
wrong(16, "does not depend on the seed")(
    reorder(lambda n, rng: np.random.default_rng(0).permutation(n))
)
wrong(16, "passed in")(reorder(lambda n, rng: np.random.default_rng().permutation(n)))
wrong(16, "regular is not random")(
    reorder(
        lambda n, rng: np.stack(
            [rng.permutation(n // 2), n // 2 + rng.permutation(n // 2)], 1
        ).ravel()
    )
)
wrong(16, "Reviews were lost")(reorder(lambda n, rng: rng.permutation(n)[: n - 10]))

# ---- 7.17 what is cut

right(
    17,
    lambda lengths, limit: float(np.maximum(np.array(lengths) - limit, 0).sum() / np.sum(lengths)),
)
right(17, lambda lengths, limit: 1 - sum(min(n, limit) for n in lengths) / sum(lengths))
wrong(17, "share of *reviews*")(
    lambda lengths, limit: sum(n > limit for n in lengths) / len(lengths)
)
wrong(17, "mean of shares")(
    lambda lengths, limit: sum(max(0, n - limit) / n for n in lengths) / len(lengths)
)
wrong(17, "that is kept")(lambda lengths, limit: sum(min(n, limit) for n in lengths) / sum(lengths))
wrong(17, "percentage")(
    lambda lengths, limit: 100 * sum(max(0, n - limit) for n in lengths) / sum(lengths)
)
wrong(17, "divide by all tokens")(
    lambda lengths, limit: sum(max(0, n - limit) for n in lengths) / len(lengths)
)
wrong(17, "padding")(
    lambda lengths, limit: sum(max(0, limit - n) for n in lengths) / (limit * len(lengths))
)

# ---- 7.18 the first break


CLOSE = partial(math.isclose, rel_tol=1e-6, abs_tol=1e-9)
ALLCLOSE = partial(torch.allclose, atol=1e-6)


def breaks(lines, points, close=CLOSE):
    return [
        k
        for k in range(1, len(lines))
        if not all(close(lines[k](*p), lines[k - 1](*p)) for p in points)
    ]


right(18, lambda lines, points: next(iter(breaks(lines, points)), None))
right(18, lambda lines, points: min(breaks(lines, points), default=None))
wrong(18, "*every* point")(lambda lines, points: next(iter(breaks(lines, points[:1])), None))
wrong(18, "first one")(lambda lines, points: max(breaks(lines, points), default=None))
wrong(18, "allow for rounding")(
    lambda lines, points: next(iter(breaks(lines, points, lambda a, b: a == b)), None)
)
wrong(18, "Count lines from 0")(
    lambda lines, points: next((k + 1 for k in breaks(lines, points)), None)
)
wrong(18, "Two errors can cancel")(
    lambda lines, points: (
        next(iter(breaks(lines, points))) if breaks([lines[0], lines[-1]], points) else None
    )
)
wrong(18, "the answer is None")(lambda lines, points: next(iter(breaks(lines, points)), 0))

# ---- 7.19 standard errors

right(19, lambda c, k, n: (c - k) / (c * (1 - c) / n) ** 0.5)
right(19, lambda c, k, n: float((c - k) * np.sqrt(n) / np.sqrt(k - k**2)))
wrong(19, "This is the standard error")(lambda c, k, n: math.sqrt(k * (1 - k) / n))
wrong(19, "n is missing")(lambda c, k, n: (c - k) / math.sqrt(k * (1 - k)))
wrong(19, "root of n, not with n")(lambda c, k, n: (c - k) / (math.sqrt(k * (1 - k)) / n))
wrong(19, "The root is missing")(lambda c, k, n: (c - k) / (k * (1 - k) / n))
wrong(19, "widest case")(lambda c, k, n: (c - k) / math.sqrt(0.25 / n))
wrong(19, "sign says")(lambda c, k, n: abs(c - k) / math.sqrt(k * (1 - k) / n))
wrong(19, "Percentages")(lambda c, k, n: 100 * (c - k) / math.sqrt(k * (1 - k) / n))

# ---- 7.20 objections


def object_to(
    prompt=lambda p, t: not t.startswith(p),
    length=lambda n, m: n > m,
    date=lambda y, t: y > t,
    last=False,
):
    def objections(p, text, limit, count, years, trained):
        found = ["prompt"] * prompt(p, text) + ["length"] * length(count(text), limit)
        found += ["date"] * any(date(y, trained) for name, y in years.items() if name in text)
        return found[-1:] if last else found

    return objections


right(20, object_to())
right(20, lambda *a: frozenset(object_to()(*a)))
wrong(20, "at the *start*")(object_to(prompt=lambda p, t: p not in t))
wrong(20, "empty set")(object_to(length=lambda n, m: n >= m - 1))
wrong(20, "prompt included")(object_to(length=lambda n, m: n - 2 > m))
wrong(20, "after the training data")(object_to(date=lambda y, t: False))
wrong(20, "can be known")(object_to(date=lambda y, t: y >= t))
wrong(20, "Name all")(object_to(last=True))
wrong(20, "set of names")(lambda *a: True)

# ---- 7.21 folders


def digest_folder(name, how=hashlib.md5):
    digest = how(name.encode()).hexdigest()
    return f"{digest[0]}/{digest[:2]}"


right(
    21, lambda name: "/".join([hashlib.md5(bytes(name, "utf-8")).hexdigest()[:k] for k in (1, 2)])
)
wrong(21, "ending belongs")(lambda name: digest_folder(name.rsplit(".", 1)[0]))
wrong(21, "Capitals count")(lambda name: digest_folder(name.lower()))
wrong(21, "SHA-256")(partial(digest_folder, how=hashlib.sha256))
wrong(21, "SHA-1")(partial(digest_folder, how=hashlib.sha1))
wrong(21, "Two levels")(lambda name: digest_folder(name)[2:])
wrong(21, "first *two*")(lambda name: "/".join(hashlib.md5(name.encode()).hexdigest()[:2]))
wrong(21, "underscores")(lambda name: digest_folder(name.replace("_", " ")))

# ---- 7.22 the learner's own test


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


right(22, compare())
right(22, compare(close=lambda a, b: bool((a - b).abs().max() < 1e-5)))
wrong(22, "new players")(compare(shared=True))
wrong(22, "not of each bit")(compare(close=torch.equal))
wrong(22, "*both* networks")(compare(nets=(0,)))
wrong(22, "*both* networks")(compare(nets=(1,)))
wrong(22, "play all batches")(compare(batches=slice(1)))
wrong(22, "*both* networks")(
    lambda s, o, make, b: bool(np.allclose(played(s, make, b)[1], played(o, make, b)[1], atol=1e-6))
)
wrong(22, "True or False")(lambda *a: torch.tensor(compare()(*a)))


# ---- the tests


@pytest.fixture(scope="module")
def lesson():
    return load_definitions("07_debugging_clinic")


@pytest.fixture(scope="module")
def learner():
    return load_definitions("07_debugging_clinic", solved=False)


def as_if_in_lesson(module, name):
    """A function of the lesson, with what the running lesson would have set."""
    module.sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    return getattr(module, name)


@pytest.mark.parametrize("number", CHECKS)
def test_the_stub_is_not_attempted(number, learner, capsys, monkeypatch):
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    stub = getattr(learner, SOLUTIONS[number])
    assert CHECKS[number](stub) is not stub
    assert f"Exercise 7.{number}: not attempted" in capsys.readouterr().out


@pytest.mark.parametrize("number", CHECKS)
def test_the_solution_is_right(number, lesson, capsys):
    solution = as_if_in_lesson(lesson, SOLUTIONS[number])
    assert CHECKS[number](solution) is solution
    assert f"Exercise 7.{number}: correct" in capsys.readouterr().out


@pytest.mark.parametrize("number", CHECKS)
def test_what_the_lesson_goes_on_with_passes_its_own_check(number, learner):
    reference = CHECKS[number](getattr(learner, SOLUTIONS[number]))
    assert CHECKS[number](reference) is reference


@pytest.mark.parametrize(("number", "answer"), [(n, fn) for n in CHECKS for fn in RIGHT[n]])
def test_other_right_fixes_are_accepted(number, answer):
    assert CHECKS[number](answer) is answer


@pytest.mark.parametrize(
    ("number", "answer", "keyword"), [(n, *pair) for n in CHECKS for pair in WRONG[n]]
)
def test_wrong_fixes_get_their_own_hint(number, answer, keyword):
    with pytest.raises(CheckFailed) as caught:
        CHECKS[number](answer)
    assert keyword in caught.value.hint + caught.value.expected, caught.value


@pytest.mark.parametrize("number", CHECKS)
def test_every_case_has_other_right_and_many_wrong_fixes(number):
    assert len(RIGHT[number]) >= 1 and len(WRONG[number]) >= 3


BROKEN = {
    1: "broken_epoch", 2: "broken_label_loss", 4: "broken_judge", 5: "broken_critic_step", 7: "broken_losses",
    8: "broken_gan_step", 10: "broken_objective", 11: "broken_elbo", 12: "broken_kl", 14: "broken_encode",
    16: "broken_shuffle",
}  # fmt: skip


@pytest.mark.parametrize(("number", "name"), BROKEN.items())
def test_the_patient_itself_is_refused(number, name, lesson):
    with pytest.raises(CheckFailed):
        CHECKS[number](getattr(lesson, name))


@pytest.mark.parametrize("number", CHECKS)
@pytest.mark.parametrize("value", [None, float("nan"), torch.full((3,), math.nan), "text"])
def test_nonsense_is_refused(number, value):
    with pytest.raises(CheckFailed):
        CHECKS[number](lambda *a: value)


@pytest.mark.parametrize("number", [3, 10, 12])
def test_inputs_may_not_be_changed(number):
    def spoils(*tensors):
        tensors[0].mul_(2)
        return RIGHT[number][0](*tensors)

    with pytest.raises(CheckFailed, match="In-place"):
        CHECKS[number](spoils)
