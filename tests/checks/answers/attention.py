"""Lesson 05: right and wrong answers to its exercises."""

import functools
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F

from answers import book

RIGHT, WRONG, right, wrong = book()
INF = math.inf


def weights(q, k, mask=None, scale=None):
    scores = q @ k.transpose(-2, -1) / (q.shape[-1] ** 0.5 if scale is None else scale)
    return (scores if mask is None else scores.masked_fill(~mask, -INF)).softmax(-1)


# ---- scaled_dot_product


@right("scaled_dot_product")
def attend(q, k, v, mask=None):
    return weights(q, k, mask) @ v


@right("scaled_dot_product")
def attend_with_exp(q, k, v, mask=None):
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.size(-1) ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    scores = (scores - scores.amax(-1, keepdim=True)).exp()
    return torch.einsum("...ts,...sd->...td", scores / scores.sum(-1, keepdim=True), v)


@right("scaled_dot_product")
def attend_by_adding(q, k, v, mask=None):
    bias = torch.zeros(1, dtype=q.dtype) if mask is None else torch.zeros(mask.shape, dtype=q.dtype)
    if mask is not None:
        bias.masked_fill_(mask.logical_not(), float("-inf"))
    return torch.softmax(torch.matmul(q / math.sqrt(q.shape[-1]), k.mT) + bias, dim=-1).matmul(v)


@right("scaled_dot_product")
def attend_by_large_number(q, k, v, mask=None):
    scores = q @ k.transpose(-1, -2) / math.sqrt(k.shape[-1])
    return F.softmax(scores if mask is None else scores + (~mask) * -1e9, dim=-1) @ v


def attend_in_place(q, k, v, mask):
    q /= q.shape[-1] ** 0.5
    return weights(q, k, mask, 1.0) @ v


def masked_after(q, k, v, mask):
    w = weights(q, k)
    return (w if mask is None else w * mask) @ v


def rooted(q, k, mask):
    scores = weights(q, k, mask, 1.0)
    return scores / q.shape[-1] ** 0.5


def exp_alone(q, k, v, mask):
    w = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).exp()
    w = w if mask is None else w * mask
    return w / w.sum(-1, keepdim=True) @ v


def fill(q, k, v, mask, value):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    return (scores if mask is None else scores.masked_fill(~mask, value)).softmax(-1) @ v


WRONG["scaled_dot_product"] += [
    (lambda q, k, v, m: weights(q, k, m) @ v, "keep `mask=None`"),
    (lambda q, k, v, m: fill(q, k, v, m, -100.0), "Only -inf is safe"),
    (lambda q, k, v, m: fill(q, k, v, m, -50.0), "Only -inf is safe"),
    (lambda q, k, v, m: weights(q, k, m, 1.0) @ v, "not divided by sqrt(d)"),
    (lambda q, k, v, m: weights(q, k, m, q.shape[-1]) @ v, "Divided by d"),
    (lambda q, k, v, m: weights(q, k, m, 1 / q.shape[-1] ** 0.5) @ v, "Multiplied by sqrt(d)"),
    (lambda q, k, v, m: weights(q, k, m, q.shape[-2] ** 0.5) @ v, "root of the number of tokens"),
    (lambda q, k, v, m: weights(q, k, m, q.shape[0] ** 0.5) @ v, "first dimension. d is"),
    (lambda q, k, v, m: (q @ k.mT / q.shape[-1] ** 0.5).softmax(-2) @ v, "queries (dimension -2)"),
    (lambda q, k, v, m: weights(q, k, None if m is None else ~m) @ v, "turned round"),
    (lambda q, k, v, m: weights(q, k) @ v, "mask is not used"),
    (lambda q, k, v, m: fill(q, k, v, m, 0.0), "forbidden score was made 0"),
    (masked_after, "no longer sum to 1"),
    (
        lambda q, k, v, m: (weights(q, k).log() + (0 if m is None else m)).softmax(-1) @ v,
        "which forbids nothing",
    ),
    (lambda q, k, v, m: fill(q, k, v, m, -1e-9), "forbidden score was made 0"),
    (lambda q, k, v, m: rooted(q, k, m) @ v, "divided after softmax"),
    (lambda q, k, v, m: weights(k, q, m) @ v, "changed places: row t"),
    (lambda q, k, v, m: weights(q, q, m) @ v, "keys are missing"),
    (lambda q, k, v, m: weights(k, k, m) @ v, "queries are missing"),
    (lambda q, k, v, m: weights(q, v, m) @ v, "compared with the values"),
    (lambda q, k, v, m: weights(q, k, m) @ k, "keys were averaged"),
    (lambda q, k, v, m: weights(q, k, m) @ q, "queries were averaged"),
    (lambda q, k, v, m: q @ k.mT / q.shape[-1] ** 0.5 @ v, "Softmax is missing"),
    (lambda q, k, v, m: weights(q, k, m).log() @ v, "logs of weights"),
    (
        lambda q, k, v, m: torch.sigmoid(q @ k.mT / q.shape[-1] ** 0.5) @ v,
        "judges each score alone",
    ),
    (lambda q, k, v, m: weights(q, k, m), "average of the values is left"),
    (lambda q, k, v, m: q @ k.mT / q.shape[-1] ** 0.5, "These are the scores"),
    (lambda q, k, v, m: weights(q, k, m).mT @ v, "weights are transposed"),
    (lambda q, k, v, m: (attend(q, k, v, m), weights(q, k, m)), "nothing around it"),
    (lambda q, k, v, m: attend(q, k, v, m).float(), "Convert with"),
    (exp_alone, "scores near ±100"),
    (lambda q, k, v, m: attend(q.detach(), k, v, m), "cut the path"),
    (lambda q, k, v, m: attend(q, k, v, m) * 1.01, "One query, d = 4"),
    (lambda q, k, v, m: attend(q, k, v, m).mean(0), "One output row"),
    (attend_in_place, "In-place"),
]


# ---- causal_mask


@right("causal_mask")
def mask(length):
    return torch.ones(length, length, dtype=torch.bool).tril()


@right("causal_mask")
def mask_from_triu(length):
    return torch.logical_not(torch.triu(torch.ones(length, length), diagonal=1).bool())


@right("causal_mask")
def mask_by_loops(length):
    return torch.tensor([[s <= t for s in range(length)] for t in range(length)])


WRONG["causal_mask"] += [
    (lambda n: [[s <= t for s in range(n)] for t in range(n)], "return them as a torch tensor"),
    (lambda n: np.tril(np.ones((n, n), dtype=bool)), "return them as a torch tensor"),
    (lambda n: torch.ones(n, n).triu().bool(), "Upside down"),
    (lambda n: torch.ones(n, n).triu(1).bool(), "what is *forbidden*"),
    (lambda n: torch.ones(n, n).tril(-1).bool(), "diagonal is missing"),
    (lambda n: torch.ones(n, n).tril(1).bool(), "One too far"),
    (lambda n: torch.ones(n, n).bool(), "Everything is allowed"),
    (lambda n: torch.eye(n).bool(), "Only the diagonal"),
    (lambda n: torch.zeros(n, n).masked_fill(~mask(n), -INF), "yes or no: bool"),
    (lambda n: torch.ones(n, n).tril(), "make it bool"),
    (lambda n: torch.ones(n, n, dtype=torch.uint8).tril(), "make it bool"),
    (lambda n: mask(n)[None, None], "Two dimensions too many"),
    (lambda n: mask(n)[None], "One dimension too many"),
    (lambda n: mask(n + 1), "row and column too many"),
    (lambda n: mask(n) & (torch.arange(n) > torch.arange(n)[:, None] - 3), "Three tokens: row 0"),
]


# ---- split_heads, merge_heads


@right("split_heads")
def split(x, heads):
    batch, length, dim = x.shape
    return x.view(batch, length, heads, dim // heads).transpose(1, 2)


@right("split_heads")
def split_by_columns(x, heads):
    width = x.size(-1) // heads
    return torch.stack([x[..., h * width : (h + 1) * width] for h in range(heads)], dim=1)


@right("split_heads")
def split_permuted(x, heads):
    return x.unflatten(-1, (heads, -1)).permute(0, 2, 1, 3).contiguous()


WRONG["split_heads"] += [
    (lambda x, h: x.reshape(len(x), h, x.shape[1], -1), "Reshaped straight away: numbers"),
    (lambda x, h: x.reshape(*x.shape[:2], -1, h).permute(0, 3, 1, 2), "Every heads-th column"),
    (lambda x, h: x.reshape(*x.shape[:2], h, -1), "still stand behind the tokens"),
    (lambda x, h: torch.stack(x.chunk(h, -1)), "heads come first"),
    (lambda x, h: split(x, h).transpose(2, 3), "columns changed places"),
    (lambda x, h: x.reshape(*x.shape[:2], -1, h).transpose(1, 2), "the other way round"),
    (lambda x, h: split(x, h).flip(1), "reverse order"),
    (lambda x, h: x[:, None].repeat(1, h, 1, 1), "they share them"),
    (lambda x, h: x, "One text, two tokens"),
    (lambda x, h: split(x, h).detach(), "cut the path"),
    (lambda x, h: split(x, h) + 0.01, "One text, two tokens"),
]


@right("merge_heads")
def merge(x):
    return x.transpose(1, 2).flatten(2)


@right("merge_heads")
def merge_by_cat(x):
    return torch.cat([x[:, h] for h in range(x.shape[1])], dim=-1)


@right("merge_heads")
def merge_reshaped(y):
    batch, heads, length, width = y.shape
    return y.permute(0, 2, 1, 3).contiguous().view(batch, length, heads * width)


@right("merge_heads")
def merge_with_a_spare_argument(x, heads=None):
    return merge(x)


class Merge(torch.nn.Module):
    def forward(self, x):
        return merge(x)


class CalledMerge:
    def __call__(self, x):
        return torch.einsum("bhtd->bthd", x).reshape(x.shape[0], x.shape[2], -1)


def noted(answer):
    @functools.wraps(answer)
    def wrapper(*args, **kwargs):
        return answer(*args, **kwargs)

    return wrapper


RIGHT["merge_heads"] += [
    Merge(),
    CalledMerge(),
    lambda *args: merge(*args),
    noted(merge),
    functools.partial(merge_with_a_spare_argument, heads=2),
]
WRONG["merge_heads"] += [
    (lambda x: x.reshape(x.shape[0], x.shape[2], -1), "a row mixes tokens"),
    (lambda x: x.permute(0, 2, 3, 1).flatten(2), "interleaved"),
    (lambda x: x.transpose(1, 2), "left to be joined"),
    (lambda x: x.flatten(1, 2), "Heads and tokens were joined"),
    (lambda x: x.mean(dim=1), "heads were averaged"),
    (lambda x: x.sum(dim=1), "heads were added"),
    (lambda x: merge(x.flip(1)), "reverse order"),
    (lambda x: merge(x).transpose(1, 2), "changed places: (B, T, D)"),
    (lambda x: merge(x)[:, :-1], "One text, two tokens"),
    (lambda x: merge(x).detach(), "cut the path"),
    (lambda x: x.transpose(1, 2).view(len(x), x.shape[2], -1), "stopped with an error"),
]


# ---- next_token_loss


def each(logits, tokens):
    log_p = logits.log_softmax(-1)[:, :-1]
    return -log_p.gather(-1, tokens[:, 1:].unsqueeze(-1)).squeeze(-1)


@right("next_token_loss")
def loss(logits, tokens):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


@right("next_token_loss")
def loss_by_hand(logits, tokens):
    return each(logits, tokens).mean()


@right("next_token_loss")
def loss_transposed(logits, tokens):
    return (
        F.cross_entropy(logits[:, :-1, :].permute(0, 2, 1), tokens[:, 1:], reduction="sum")
        / tokens[:, 1:].numel()
    )


@right("next_token_loss")
def loss_ignoring_the_last(logits, tokens):
    targets = torch.cat([tokens[:, 1:], torch.full_like(tokens[:, :1], -100)], 1)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))


def probabilities_first(logits, tokens):
    return -logits.softmax(-1)[:, :-1].gather(-1, tokens[:, 1:, None]).log().mean()


WRONG["next_token_loss"] += [
    (lambda x, t: F.cross_entropy(x.flatten(0, 1), t.flatten()), "learn to copy"),
    (lambda x, t: F.cross_entropy(x[:, 1:].flatten(0, 1), t[:, :-1].flatten()), "wrong way"),
    (lambda x, t: F.cross_entropy(x[:, :-1].flatten(0, 1), t[:, :-1].flatten()), "lost their last"),
    (lambda x, t: F.cross_entropy(x[:, 1:].flatten(0, 1), t[:, 1:].flatten()), "lost their first"),
    (lambda x, t: F.cross_entropy(x.flatten(0, 1), t.roll(-1, 1).flatten()), "does not exist"),
    (lambda x, t: each(x, t).sum(), "The sum: asked for"),
    (lambda x, t: each(x, t).sum(1).mean(), "Summed over each text"),
    (lambda x, t: each(x, t).mean(1).sum(), "Summed over the batch"),
    (lambda x, t: each(x, t).sum() / t.numel(), "Divided by B * T"),
    (lambda x, t: -each(x, t).mean(), "The sign"),
    (lambda x, t: each(x, t).mean() / math.log(2), "These are bits"),
    (lambda x, t: each(x, t).mean().exp(), "the perplexity"),
    (lambda x, t: loss(x.softmax(-1), t), "Softmax twice"),
    (lambda x, t: -x[:, :-1].gather(-1, t[:, 1:, None]).mean(), "taken for log probabilities"),
    (lambda x, t: -x.log_softmax(-1)[:, :-1].mean(), "over the whole vocabulary"),
    (lambda x, t: (-each(x, t)).exp().mean(), "mean probability: take"),
    (lambda x, t: -(-each(x, t)).exp().mean(), "log is missing"),
    (
        lambda x, t: F.cross_entropy(x[:, :-1].flatten(0, 1), t[:, 1:].T.flatten()),
        "different orders",
    ),
    (
        lambda x, t: F.cross_entropy(x[:, :-1].reshape(len(x), x.shape[2], -1), t[:, 1:]),
        "does not turn",
    ),
    (
        lambda x, t: -x.log_softmax(1)[:, :-1].gather(2, t[:, 1:, None]).mean(),
        "Softmax over the positions",
    ),
    (
        lambda x, t: -x.log_softmax(0)[:, :-1].gather(2, t[:, 1:, None]).mean(),
        "Softmax over the batch",
    ),
    (lambda x, t: each(x, t).mean(1), "for each text"),
    (lambda x, t: each(x, t), "for each prediction"),
    (probabilities_first, "Not stable"),
    (lambda x, t: loss(x, t).item(), "lost the way back"),
    (lambda x, t: loss(x.detach(), t), "cut the path"),
    (lambda x, t: loss(x, t) + 0.1, "A text of 3 tokens"),
    (lambda x, t: F.cross_entropy(x, t), "stopped with an error"),
]


# ---- filter_logits


@right("filter_logits")
def keep(logits, temperature, top_k, top_p):
    logits = logits / temperature
    if top_k is not None:
        logits = logits.masked_fill(logits < logits.topk(min(top_k, len(logits))).values[-1], -INF)
    if top_p is not None:
        p, order = logits.softmax(-1).sort(descending=True)
        beyond = torch.zeros(len(p), dtype=torch.bool).scatter(0, order, p.cumsum(0) - p >= top_p)
        logits = logits.masked_fill(beyond, -INF)
    return logits


@right("filter_logits")
def keep_by_sorting(logits, temperature, top_k, top_p):
    out = logits.clone() / temperature
    ordered, index = torch.sort(out, descending=True)
    if top_k is not None and top_k < len(out):
        ordered[ordered < ordered[top_k - 1]] = -INF
    if top_p is not None:
        beyond = F.softmax(ordered, dim=-1).cumsum(dim=-1) >= top_p
        beyond[1:] = beyond[:-1].clone()
        beyond[0] = False
        ordered[beyond] = -INF
    out[index] = ordered
    return out


@right("filter_logits")
def keep_by_loop(logits, temperature, top_k, top_p):
    values = [v / temperature for v in logits.tolist()]
    if top_k:
        kth = sorted(values)[-min(top_k, len(values))]
        values = [v if v >= kth else -INF for v in values]
    if top_p:
        total, reached, kept = sum(math.exp(v) for v in values), 0.0, set()
        for token in sorted(range(len(values)), key=values.__getitem__, reverse=True):
            if reached >= top_p:
                break
            kept.add(token)
            reached += math.exp(values[token]) / total
        values = [v if i in kept else -INF for i, v in enumerate(values)]
    return torch.tensor(values)


def k_only(logits, temperature, top_k, exact=False, less=False):
    scaled = logits / temperature
    if top_k is None:
        return scaled
    found = scaled.topk(min(top_k, len(scaled)))
    if exact:
        return torch.full_like(scaled, -INF).scatter(0, found.indices, found.values)
    kth = found.values[-1]
    return scaled.masked_fill(scaled <= kth if less else scaled < kth, -INF)


def p_only(scaled, top_p, inside=None, p=None):
    if top_p is None:
        return scaled
    p = scaled.softmax(0) if p is None else p
    ranked, order = p.sort(descending=True)
    kept = (inside or (lambda total, each: total - each < top_p))(ranked.cumsum(0), ranked)
    return scaled.masked_fill(~torch.zeros_like(kept).scatter(0, order, kept), -INF)


def p_mask(x, top_p, back):
    ranked, order = x.softmax(0).sort(descending=True)
    beyond = ranked.cumsum(0) - ranked >= (1.1 if top_p is None else top_p)
    return x.masked_fill(back(beyond, order), -INF)


def filled(value):
    return lambda *a: keep(*a).masked_fill(keep(*a) == -INF, value)


WRONG["filter_logits"] += [
    (lambda x, t, k, p: keep(x * t, 1.0, k, p), "Multiplied by the temperature"),
    (lambda x, t, k, p: keep(x, 1.0, k, p), "temperature is not used"),
    (lambda x, t, k, p: p_only(k_only(x, 1.0, k), p) / t, "temperature comes first"),
    (lambda *a: keep(*a).softmax(0), "These are probabilities"),
    (lambda *a: keep(*a).log_softmax(0), "Log probabilities"),
    (filled(0.0), "logit 0"),
    (filled(-1e9), "-1e9 is not -inf"),
    (filled(torch.finfo(torch.float32).min), "smallest float"),
    (filled(INF), "+inf is the most probable"),
    (lambda x, t, k, p: keep(x, t, None, p), "top_k is not used"),
    (lambda x, t, k, p: keep(x, t, k, None), "top_p is not used"),
    (lambda x, t, k, p: p_only(k_only(x, t, k, exact=True), p), "tie was cut"),
    (lambda x, t, k, p: p_only(k_only(x, t, k, less=True), p), "k-th token itself is missing"),
    (
        lambda x, t, k, p: keep(x, t, None if k is None else min(k + 1, len(x)), p),
        "One too many for top_k",
    ),
    (
        lambda x, t, k, p: p_only(k_only(x, t, k), p, lambda total, each: total < p),
        "crosses p is missing",
    ),
    (lambda x, t, k, p: p_only(k_only(x, t, k), p, p=(x / t).softmax(0)), "measured before top_k"),
    (lambda x, t, k, p: k_only(p_only(x / t, p), 1.0, k), "measured before top_k"),
    (
        lambda x, t, k, p: k_only(x, t, k).masked_fill(k_only(x, t, k).softmax(0) < (p or 0), -INF),
        "compared with p",
    ),
    (lambda *a: keep(*a).sort(descending=True).values, "came back sorted"),
    (
        lambda x, t, k, p: p_mask(k_only(x, t, k), p, lambda beyond, order: beyond),
        "mask is in sorted order",
    ),
    (
        lambda x, t, k, p: p_mask(k_only(x, t, k), p, lambda beyond, order: beyond[order]),
        "puts nothing back",
    ),
    (
        lambda x, t, k, p: p_only(k_only(x, t, k), p, lambda total, each: each > each[0] / 4),
        "by hand for these",
    ),
    (lambda *a: keep(*a)[keep(*a) > -INF], "keep their place"),
    (lambda x, t, k, p: keep(x, t, k or 3, p), "None switches"),
    (lambda x, t, k, p: keep(x, t, k, p or 0.7), "None switches"),
    (
        lambda x, t, k, p: k_only(x, t, k, exact=True).topk(k).values if k else keep(x, t, k, p),
        "keep their place",
    ),
    (lambda x, t, k, p: x.div_(t), "In-place"),
    (lambda x, t, k, p: keep(x, t, k, p) + 0.01, "its numbers are not"),
    (lambda *a: keep(*a).tolist(), "nothing around it"),
    (lambda x, t, k, p: x.topk(k), "stopped with an error"),
]


# ---- merge_pair


@right("merge_pair")
def merge_by_index(pieces, pair):
    merged, place = [], 0
    while place < len(pieces):
        if tuple(pieces[place : place + 2]) == pair:
            merged.append(pair[0] + pair[1])
            place += 2
        else:
            merged.append(pieces[place])
            place += 1
    return merged


@right("merge_pair")
def merge_looking_back(pieces, pair):
    merged, open_left = [], False
    for piece in pieces:
        if open_left and piece == pair[1]:
            merged[-1] += piece
            open_left = False
        else:
            merged.append(piece)
            open_left = piece == pair[0]
    return merged


def merged_once(pieces, pair):
    for i in range(len(pieces) - 1):
        if (pieces[i], pieces[i + 1]) == pair:
            return [*pieces[:i], "".join(pair), *pieces[i + 2 :]]
    return pieces


def merged_with_rest(pieces, pair):
    out = []
    for i, piece in enumerate(pieces):
        out.append("".join(pair) if tuple(pieces[i : i + 2]) == pair else piece)
    return out


def merged_without_last(pieces, pair):
    out, i = [], 0
    while i + 1 < len(pieces):
        hit = (pieces[i], pieces[i + 1]) == pair
        out.append(pieces[i] + pieces[i + 1] if hit else pieces[i])
        i += 1 + hit
    return out


def merged_by_letters(pieces, pair):
    out, i = [], 0
    while i < len(pieces):
        hit = "".join(pieces[i : i + 2]) == "".join(pair) and i + 1 < len(pieces)
        out.append("".join(pieces[i : i + 1 + hit]))
        i += 1 + hit
    return out


def merged_in_place(pieces, pair):
    i = 0
    while i + 1 < len(pieces):
        if (pieces[i], pieces[i + 1]) == pair:
            pieces[i : i + 2] = ["".join(pair)]
        i += 1
    return pieces


def merged_overlapping(pieces, pair):
    out, used = [], False
    for i, piece in enumerate(pieces):
        if tuple(pieces[i : i + 2]) == pair:
            out.append("".join(pair))
            used = True
        elif not used:
            out.append(piece)
        else:
            used = False
    return out


WRONG["merge_pair"] += [
    (lambda pieces, pair: list(pieces), "Nothing was merged"),
    (lambda pieces, pair: "".join(pieces), "the text itself"),
    (merged_once, "Only the first place"),
    (merged_with_rest, "in the result twice"),
    (merged_without_last, "last piece is gone"),
    (merged_by_letters, "same letters"),
    (lambda pieces, pair: merge_by_index(pieces, pair[::-1]), "reverse order"),
    (merged_overlapping, "used twice"),
    (merged_in_place, "use a copy"),
    (lambda pieces, pair: tuple(merge_by_index(pieces, pair)), "nothing around it"),
    (lambda pieces, pair: [*merge_by_index(pieces, pair), "!"], "By hand"),
]


# ---- block_forward


@right("block_forward")
def two_additions(block, x):
    x = x + block.attention(block.norm1(x))
    return x + block.mlp(block.norm2(x))


@right("block_forward")
def one_expression(block, x):
    after = torch.add(block.attention(block.norm1(x)), x)
    return torch.add(after, block.mlp(block.norm2(after)))


def added_in_place(block, x):
    with torch.no_grad():
        x += block.attention(block.norm1(x))
    return x + block.mlp(block.norm2(x))


def replaced_at_the_end(block, x):
    x = x + block.attention(block.norm1(x))
    return block.mlp(block.norm2(x))


def replaced_at_the_start(block, x):
    x = block.attention(block.norm1(x))
    return x + block.mlp(block.norm2(x))


def normalised_after(block, x):
    x = block.norm1(x + block.attention(x))
    return block.norm2(x + block.mlp(x))


def thinks_first(block, x):
    x = x + block.mlp(block.norm2(x))
    return x + block.attention(block.norm1(x))


def stream_normalised(block, x):
    x = block.norm1(x)
    x = x + block.attention(x)
    return x + block.mlp(block.norm2(x))


def lost_between(block, x):
    return x + block.mlp(block.norm2(x + block.attention(block.norm1(x))))


WRONG["block_forward"] += [
    (replaced_at_the_end, "second addition is missing"),
    (replaced_at_the_start, "first addition is missing"),
    (normalised_after, "first transformer"),
    (thinks_first, "The order"),
    (stream_normalised, "went on as the stream"),
    (lost_between, "then lost"),
    (lambda b, x: b.mlp(b.norm2(b.attention(b.norm1(x)))), "Nothing is added"),
    (lambda b, x: x + b.attention(b.norm1(x)) + b.mlp(b.norm2(x)), "read the old stream"),
    (lambda b, x: x + b.attention(b.norm1(x)), "second half is missing"),
    (lambda b, x: (x + b.attention(x)) + b.mlp(x + b.attention(x)), "not used"),
    (lambda b, x: two_additions(b, x).detach(), "cut the path"),
    (lambda b, x: two_additions(b, x).mean(1), "keeps its shape"),
    (lambda b, x: two_additions(b, x) * 1.1, "In numbers"),
    (added_in_place, "use a copy"),
]


# ---- generate


@right("generate")
def write_on(model, ids, count, choose):
    ids = list(ids)
    for _ in range(count):
        seen = torch.tensor([ids[-model.context :]])
        ids.append(int(choose(model(seen)[0, -1])))
    return ids


@right("generate")
def write_on_tensors(model, ids, count, choose):
    text = torch.tensor(ids)[None]
    with torch.no_grad():
        for _ in range(count):
            token = choose(model(text[:, -model.context :])[:, -1].squeeze(0))
            text = torch.cat([text, torch.as_tensor(token).view(1, 1)], dim=1)
    return text[0].tolist()


def written(window=lambda ids, n: ids[-n:], row=-1, choice=None, more=0, batch=True):
    def answer(model, ids, count, choose):
        ids = list(ids)
        for _ in range(count + more):
            seen = torch.tensor(window(ids, model.context))
            logits = model(seen[None] if batch else seen)[0]
            ids.append(int((choice or choose)(logits[row] if row is not None else logits)))
        return ids

    return answer


def changed_argument(model, ids, count, choose):
    for _ in range(count):
        ids.append(int(choose(model(torch.tensor([ids[-model.context :]]))[0, -1])))
    return ids


def tokens_as_tensors(model, ids, count, choose):
    ids = list(ids)
    for _ in range(count):
        ids.append(torch.as_tensor(choose(model(torch.tensor([ids[-model.context :]]))[0, -1])))
    return ids


WRONG["generate"] += [
    (written(window=lambda ids, n: ids), "outgrown the network"),
    (written(window=lambda ids, n: ids[-1:]), "shown the last token alone"),
    (written(window=lambda ids, n: ids[:n]), "*first* tokens for ever"),
    (written(window=lambda ids, n: ids[1 - n :]), "One token fewer than fits"),
    (written(row=0), "first row of logits"),
    (written(choice=lambda logits: logits.argmax()), "`choose` was not asked"),
    (written(more=1), "One token too many"),
    (written(row=None), "stopped with an error"),
    (written(batch=False), "network reads batches"),
    (lambda m, i, n, c: write_on(m, i, n, c)[len(i) :], "the new tokens alone"),
    (changed_argument, "use a copy"),
    (tokens_as_tensors, "whole numbers"),
]


# ---- beam_search


def log_probs(model, texts):
    seen = torch.tensor([text[-model.context :] for text in texts])
    with torch.no_grad():
        return model(seen)[:, -1].log_softmax(-1)


@right("beam_search")
def beams_in_a_batch(model, ids, count, beams):
    kept = [(list(ids), 0.0)]
    for _ in range(count):
        so_far = torch.tensor([value for _, value in kept])[:, None]
        total = log_probs(model, [text for text, _ in kept]) + so_far
        found = total.flatten().topk(beams)
        places = [divmod(n, total.shape[1]) for n in found.indices.tolist()]
        values = found.values.tolist()
        kept = [([*kept[r][0], t], v) for (r, t), v in zip(places, values, strict=True)]
    return kept[0]


@right("beam_search")
def beams_by_loops(model, ids, count, beams):
    kept = {tuple(ids): 0.0}
    for _ in range(count):
        longer = {}
        for text, so_far in kept.items():
            for token, value in enumerate(log_probs(model, [list(text)])[0].tolist()):
                longer[(*text, token)] = so_far + value
        kept = dict(sorted(longer.items(), key=lambda one: one[1], reverse=True)[:beams])
    best = max(kept, key=kept.get)
    return list(best), kept[best]


def beams_apart(model, ids, count, beams):
    p = log_probs(model, [list(ids)])[0]
    kept = [([*ids, int(t)], float(v)) for v, t in zip(*p.topk(beams), strict=True)]
    for _ in range(count - 1):
        table = log_probs(model, [text for text, _ in kept])
        kept = [
            ([*text, int(row.argmax())], value + float(row.max()))
            for (text, value), row in zip(kept, table, strict=True)
        ]
    return max(kept, key=lambda one: one[1])


def beams_of_the_last_token(model, ids, count, beams):
    kept = [list(ids)]
    for _ in range(count):
        total = log_probs(model, kept)
        found = total.flatten().topk(beams)
        kept = [[*kept[n // total.shape[1]], n % total.shape[1]] for n in found.indices.tolist()]
    return kept[0], float(found.values[0])


def last_of_the_beams(model, ids, count, beams):
    kept = {tuple(ids): 0.0}
    for _ in range(count):
        longer = {}
        for text, so_far in kept.items():
            for token, value in enumerate(log_probs(model, [list(text)])[0].tolist()):
                longer[(*text, token)] = so_far + value
        kept = dict(sorted(longer.items(), key=lambda one: one[1], reverse=True)[:beams])
    worst = min(kept, key=kept.get)
    return list(worst), kept[worst]


def told(change):
    def answer(model, ids, count, beams):
        return change(*beams_in_a_batch(model, ids, count, beams), ids, count)

    return answer


WRONG["beam_search"] += [
    (lambda m, i, n, b: beams_in_a_batch(m, i, n, 1), "greedy decoding, as with one beam"),
    (beams_apart, "went on by itself"),
    (beams_of_the_last_token, "Only the newest token counts"),
    (last_of_the_beams, "the least probable one"),
    (told(lambda text, value, ids, count: text), "Return two things"),
    (told(lambda text, value, ids, count: (text, math.exp(value))), "This is the probability"),
    (told(lambda text, value, ids, count: (text, value / count)), "sum over all tokens"),
    (told(lambda text, value, ids, count: (text[len(ids) :], value)), "another length"),
    (told(lambda text, value, ids, count: (torch.tensor(text), value)), "makes whole numbers"),
    (told(lambda text, value, ids, count: (text[::-1], value)), "Ax = -4 and By"),
]


# ---- further ones, of which no test had been


def merged_in_a_text(pieces, pair):
    return " ".join(pieces).replace(" ".join(pair), "".join(pair)).split(" ")


def for_three_dimensions(q, k, v, mask=None):
    scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ v


def writing(change=lambda logits: logits, keep=lambda text, model: text, count_of=lambda ids, n: n):
    def answer(model, ids, count, choose):
        text = list(ids)
        for _ in range(count_of(ids, count)):
            text = keep(text, model)
            logits = model(torch.tensor([text[-model.context :]]))[0, -1]
            text.append(int(choose(change(logits))))
        return text

    return answer


def beams_of_logits(model, ids, count, beams):
    kept = [(list(ids), 0.0)]
    for _ in range(count):
        longer = [
            ([*text, token], so_far + value)
            for text, so_far in kept
            for token, value in enumerate(
                model(torch.tensor([text[-model.context :]]))[0, -1].tolist()
            )
        ]
        kept = sorted(longer, key=lambda one: -one[1])[:beams]
    return kept[0]


RIGHT["generate"] += [writing()]
WRONG["merge_pair"] += [(merged_in_a_text, "Joined to one text")]
WRONG["generate"] += [
    (writing(lambda logits: logits.softmax(0)), "`choose` got probabilities"),
    (writing(lambda logits: logits.log_softmax(0)), "`choose` got logarithms"),
    (writing(lambda logits: 2 * logits), "nothing is done to it before"),
    (writing(keep=lambda text, model: text[-model.context :]), "return the whole text"),
    (writing(count_of=lambda ids, n: n - len(ids)), "not the length of the whole text"),
]
WRONG["beam_search"] += [(beams_of_logits, "Logits of different prefixes")]
WRONG["next_token_loss"] += [
    (
        lambda x, t: F.cross_entropy(x.flatten(0, 1)[:-1], t.flatten()[1:]),
        "Flattened first, shifted then",
    ),
    (lambda x, t: F.cross_entropy(x[:, -2], t[:, -1]), "Only the last prediction"),
]
WRONG["scaled_dot_product"] += [
    (
        lambda q, k, v, mask=None: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        "Looks back only",
    ),
    (for_three_dimensions, "count dimensions from the end"),
]


# ---- bigram_probabilities


def pairs_of(documents):
    return [pair for ids in documents for pair in itertools.pairwise(ids)]


def counted(documents, vocab):
    table = torch.zeros(vocab, vocab)
    for a, b in pairs_of(documents):
        table[a, b] += 1
    return table


def bigrams(documents, vocab, strength, change=lambda table: table, ends=None, add=1.0, divide=1):
    """Bigrams from a table that is filled pair by pair, with one fault if so wished."""
    table = counted(documents, vocab)
    ends = (table.sum(0) if ends is None else ends(table)) + add
    table = change(table) + strength * ends / ends.sum()
    return table / table.sum(divide, keepdim=True)


@right("bigram_probabilities")
def bigrams_pair_by_pair(documents, vocab, strength):
    return bigrams(documents, vocab, strength)


@right("bigram_probabilities")
def bigrams_by_formula(documents, vocab, strength):
    pairs = torch.tensor(pairs_of(documents))
    table = torch.zeros(vocab, vocab, dtype=torch.float64)
    table.index_put_((pairs[:, 0], pairs[:, 1]), torch.tensor(1.0).double(), accumulate=True)
    ends = torch.bincount(pairs[:, 1], minlength=vocab)
    p = (ends + 1) / (len(pairs) + vocab)
    return (table + strength * p) / (table.sum(1)[:, None] + strength)


@right("bigram_probabilities")
def bigrams_from_lists(documents, vocab, strength):
    pairs, rows = pairs_of(documents), []
    p = [(sum(b == c for _, c in pairs) + 1) / (len(pairs) + vocab) for b in range(vocab)]
    for a in range(vocab):
        begun = sum(a == c for c, _ in pairs)
        rows.append(
            [(pairs.count((a, b)) + strength * p[b]) / (begun + strength) for b in range(vocab)]
        )
    return torch.tensor(rows)


def never_smoothed(documents, vocab, strength):
    table = counted(documents, vocab)
    return table / table.sum(1, keepdim=True)


def added_one(documents, vocab, strength):
    table = counted(documents, vocab) + 1
    return table / table.sum(1, keepdim=True)


def added_everywhere(documents, vocab, strength):
    table = counted(documents, vocab) + strength
    return table / table.sum(1, keepdim=True)


def added_evenly(documents, vocab, strength):
    table = counted(documents, vocab) + strength * torch.full((vocab,), 1 / vocab)
    return table / table.sum(1, keepdim=True)


def added_unshared(documents, vocab, strength):
    table = counted(documents, vocab)
    table = table + strength * (table.sum(0) + 1)
    return table / table.sum(1, keepdim=True)


def all_tokens_counted(documents, vocab, strength):
    def ends(table):
        return torch.tensor([sum(ids.count(b) for ids in documents) for b in range(vocab)])

    return bigrams(documents, vocab, strength, ends=ends)


def shares_down_the_columns(documents, vocab, strength):
    table = counted(documents, vocab)
    ends = table.sum(0) + 1
    table = table + strength * (ends / ends.sum()).unsqueeze(1)
    return table / table.sum(1, keepdim=True)


def rows_by_their_counts(documents, vocab, strength):
    table = counted(documents, vocab)
    ends = table.sum(0) + 1
    return (table + strength * ends / ends.sum()) / table.sum(1, keepdim=True)


def not_divided(documents, vocab, strength):
    table = counted(documents, vocab)
    ends = table.sum(0) + 1
    return table + strength * ends / ends.sum()


WRONG["bigram_probabilities"] += [
    (lambda d, v, s: bigrams(d, v, s).mT, "changed places"),
    (lambda d, v, s: bigrams([ids[::-1] for ids in d], v, s), "counted backwards"),
    (lambda d, v, s: bigrams([[t for ids in d for t in ids]], v, s), "into the next"),
    (
        lambda d, v, s: bigrams(
            [p for ids in d for p in zip(ids[::2], ids[1::2], strict=False)], v, s
        ),
        "Every second pair",
    ),
    (
        lambda d, v, s: bigrams(d, v, s, change=lambda table: (table > 0).float()),
        "counts once here",
    ),
    (never_smoothed, "plain shares"),
    (added_one, "counted once more"),
    (added_everywhere, "Each entry got"),
    (added_evenly, "the same share"),
    (added_unshared, "Far too much"),
    (lambda d, v, s: bigrams(d, v, s, add=0.0), "lacks the + 1"),
    (lambda d, v, s: bigrams(d, v, s, ends=lambda table: table.sum(1)), "*begin* with b"),
    (all_tokens_counted, "ends no pair"),
    (shares_down_the_columns, "down the columns"),
    (lambda d, v, s: bigrams(d, v, 50), "A fixed number"),
    (rows_by_their_counts, "Divided by c(a) alone"),
    (lambda d, v, s: bigrams(d, v, s, divide=0), "columns sum to 1"),
    (lambda d, v, s: not_divided(d, v, s) / not_divided(d, v, s).sum(), "p(a, b)"),
    (not_divided, "smoothed counts"),
    (lambda d, v, s: bigrams(d, v, s).log(), "logarithms"),
    (lambda d, v, s: bigrams(d, v, s).numpy(), "Return a tensor"),
    (lambda d, v, s: bigrams(d, v + 1, s), "One row and one column"),
    (lambda d, v, s: bigrams(d, v, s) + 0.01, "By hand"),
]


# ---- attend_with_cache


def joined(k, v, kept):
    return [
        new if kept is None else torch.cat([kept[i], new], dim=-2) for i, new in enumerate((k, v))
    ]


def attend_under(mask, keep=lambda keys, values: (keys, values)):
    def answer(q, k, v, kept):
        keys, values = joined(k, v, kept)
        chosen = mask(q.shape[2], keys.shape[2])
        return weights(q, keys, chosen) @ values, keep(keys, values)

    return answer


def last_rows(new, total):
    return torch.ones(total, total).tril().bool()[total - new :]


cached_by_rows = attend_under(last_rows)
RIGHT["attend_with_cache"] += [
    cached_by_rows,
    attend_under(lambda new, total: torch.ones(new, total).tril(total - new).bool()),
    lambda q, k, v, kept: list(cached_by_rows(q, k, v, kept)),
]


@right("attend_with_cache")
def cached_by_the_library(q, k, v, kept):
    before = 0 if kept is None else kept[0].size(2)
    if kept is not None:
        k, v = torch.cat((kept[0], k), -2), torch.cat((kept[1], v), -2)
    seen = torch.arange(k.size(2)) <= before + torch.arange(q.size(2))[:, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen), [k, v]


def new_in_front(q, k, v, kept):
    if kept is not None:
        k, v = torch.cat([k, kept[0]], dim=2), torch.cat([v, kept[1]], dim=2)
    return weights(q, k, last_rows(q.shape[2], k.shape[2])) @ v, (k, v)


def looked_back_only(q, k, v, kept):
    if kept is None:
        return cached_by_rows(q, k, v, kept)
    return weights(q, kept[0]) @ kept[1], tuple(joined(k, v, kept))


def kept_in_the_wrong_order(q, k, v, kept):
    turned = None if kept is None else kept[::-1]
    return cached_by_rows(q, k, v, turned)


def joined_along_the_heads(q, k, v, kept):
    k, v = (torch.cat([old, new], dim=1) for old, new in zip(kept, (k, v), strict=True))
    return cached_by_rows(q, k, v, None)


def never_asked_for_none(q, k, v, kept):
    keys, values = torch.cat([kept[0], k], dim=2), torch.cat([kept[1], v], dim=2)
    return weights(q, keys, last_rows(q.shape[2], keys.shape[2])) @ values, (keys, values)


def kept_once(q, k, v, kept):
    return cached_by_rows(q, k, v, kept)[0], kept or (k, v)


WRONG["attend_with_cache"] += [
    (attend_under(lambda new, total: None), "No mask"),
    (attend_under(lambda new, total: last_rows(total, total)[:new]), "first rows"),
    (attend_under(lambda new, total: last_rows(total, total)[-new - 1 : -1]), "look at itself"),
    (attend_under(lambda new, total: last_rows(new, new)), "a row for each new token"),
    (attend_under(lambda new, total: last_rows(total, total)), "a row for each new token"),
    (lambda q, k, v, kept: cached_by_rows(q, k, v, None), "What was kept is not looked at"),
    (looked_back_only, "see themselves"),
    (new_in_front, "stand in front"),
    (kept_in_the_wrong_order, "in this order"),
    (lambda q, k, v, kept: (cached_by_rows(q, k, v, kept)[0], (k, v)), "Only the new keys"),
    (kept_once, "what was kept before"),
    (attend_under(last_rows, keep=lambda keys, values: (values, keys)), "keep the keys first"),
    (lambda q, k, v, kept: cached_by_rows(q, k, v, kept)[0], "Return two things"),
    (attend_under(last_rows, keep=lambda keys, values: keys), "Return two things"),
    (never_asked_for_none, "`kept` is None"),
    (joined_along_the_heads, "Tokens are dimension 2"),
    (attend_under(last_rows, keep=lambda keys, values: (keys + 0.1, values)), "Five tokens kept"),
]
