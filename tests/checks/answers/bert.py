"""Lesson 04: right and wrong answers to its exercises."""

import math
import random
import time
from functools import partial

import numpy as np
import torch
from scipy import stats
from torch import nn
from transformers import get_linear_schedule_with_warmup
from transformers.trainer_pt_utils import get_parameter_names

from answers import book
from course_utils import checks
from course_utils.evaluation import intervals
from course_utils.models import bert as package

RIGHT, WRONG, right, wrong = book()


def but(fn, *changes):
    """The answer of fn with its parts put through functions."""
    return lambda *args: tuple(
        change(part) for change, part in zip(changes, fn(*args), strict=True)
    )


def same(part):
    return part


# ---- pad_batch


@right("pad_batch")
def pad(sequences, pad_id):
    longest = max(len(s) for s in sequences)
    ids = torch.full((len(sequences), longest), pad_id)
    mask = torch.zeros_like(ids)
    for row, s in enumerate(sequences):
        ids[row, : len(s)] = torch.tensor(s)
        mask[row, : len(s)] = 1
    return ids, mask


@right("pad_batch")
def pad_in_lists(sequences, pad_id):
    width = len(max(sequences, key=len))
    ids = [s + [pad_id] * (width - len(s)) for s in sequences]
    mask = [[1] * len(s) + [0] * (width - len(s)) for s in sequences]
    return [torch.tensor(ids), torch.LongTensor(mask)]


@right("pad_batch")
def pad_with_numpy(sequences, pad_id):
    lengths = np.array([len(s) for s in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.concatenate(sequences)
    return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))


RIGHT["pad_batch"].append(package.pad_batch)


def pad_left(sequences, pad_id):
    ids, mask = pad([s[::-1] for s in sequences], pad_id)
    return ids.flip(1), mask.flip(1)


def pad_to(width, sequences, pad_id):
    return tuple(t[:-1] for t in pad([s[:width] for s in sequences] + [[pad_id] * width], pad_id))


def pad_shortest(sequences, pad_id):
    rows = list(zip(*zip(*sequences, strict=False), strict=True))
    return torch.tensor(rows), torch.ones(len(rows), len(rows[0]), dtype=torch.int64)


def append_in_place(sequences, pad_id):
    width = max(map(len, sequences))
    mask = [[1] * len(s) + [0] * (width - len(s)) for s in sequences]
    for s in sequences:
        while len(s) < width:
            s.append(pad_id)
    return torch.tensor(sequences), torch.tensor(mask)


def mask_by_pad_id(sequences, pad_id):
    ids, _ = pad(sequences, pad_id)
    return ids, (ids != pad_id).long()


def pad_ragged(sequences, pad_id):
    return torch.tensor(sequences), torch.ones(1)


WRONG["pad_batch"] += [
    (pad_left, "must hold [CLS]"),
    (lambda s, p: (pad(s, p)[0], pad_left(s, p)[1]), "both must tell the same story"),
    (partial(pad_to, 512), "beyond the longest"),
    (partial(pad_to, 128), "beyond the longest"),
    (
        lambda s, p: pad(s, p) if max(map(len, s)) < 130 else pad_to(128, s, p),
        "Cut or filled to 128",
    ),
    (lambda s, p: pad([row[:512] for row in s], p), "Cut to 512 tokens"),
    (pad_shortest, "Cut to the shortest"),
    (but(pad, same, lambda m: 1 - m), "mask is inverted"),
    (but(pad, same, lambda m: m.bool()), "Not int64"),
    (but(pad, same, lambda m: m.float()), "Not int64"),
    (but(pad, same, lambda m: m.to(torch.uint8)), "Not int64"),
    (but(pad, lambda i: i.int(), same), "Not int64"),
    (but(pad, lambda i: i.float(), same), "Not int64"),
    (but(pad, same, torch.ones_like), "mask is 1 everywhere"),
    (mask_by_pad_id, "may hold the token pad_id itself"),
    (lambda s, p: pad(s, 0), "gaps hold 0"),
    (lambda s, p: pad(s, p)[::-1], "mask comes first"),
    (append_in_place, "lengthen the caller's own lists"),
    (lambda s, p: pad(s[:-1], p), "last sequence is missing"),
    (lambda s, p: pad(s[1:], p), "first sequence is missing"),
    (but(pad, lambda i: i.T, lambda m: m.T), "Rows and columns"),
    (lambda s, p: pad(sorted(s, key=len, reverse=True), p), "in order of length"),
    (lambda s, p: pad(sorted(s, key=len), p), "in order of length"),
    (
        lambda s, p: (torch.tensor([i for row in s for i in row]), torch.ones(sum(map(len, s)))),
        "stand in one row",
    ),
    (but(pad, same, lambda m: m.sum(1)), "These are the lengths"),
    (but(pad, same, lambda m: m.cumsum(1) * m), "The mask numbers the tokens"),
    (but(pad, same, lambda m: torch.where(m == 1, 0.0, -torch.inf)), "adds to its scores"),
    (but(pad, same, lambda m: torch.stack([torch.cat([r[1:], r[:1] * 0]) for r in m])), ""),
    (but(pad, same, lambda m: m[:, None, None, :]), "One row for each sequence"),
    (but(pad, same, lambda m: m[:1]), "One row for each sequence"),
    (but(pad, lambda i: i.tolist(), same), "makes one of lists"),
    (but(pad, lambda i: i + 1, same), "shortest row by hand"),
    (lambda s, p: pad(s, p)[0], "in this order"),
    (
        lambda s, p: dict(zip(("input_ids", "attention_mask"), pad(s, p), strict=True)),
        "in this order",
    ),
    (pad_ragged, "no ragged edge"),
]


# ---- mask_tokens


def rand(like, generator):
    return torch.rand(like.shape, generator=generator)


def masking(
    ids,
    special,
    mask_id,
    vocab,
    generator,
    *,
    rate=0.15,
    cuts=(0.8, 0.9),
    low=0,
    high=None,
    spare=True,
):
    """A right answer with handles to turn."""
    chosen = rand(ids, generator) < rate
    if spare:
        chosen &= ~special.bool()
    kind = rand(ids, generator)
    shown = ids.clone()
    shown[chosen & (kind < cuts[0])] = mask_id
    replaced = chosen & (kind >= cuts[0]) & (kind < cuts[1])
    shown[replaced] = torch.randint(
        low, vocab if high is None else high(vocab), (int(replaced.sum()),), generator=generator
    )
    labels = torch.full_like(ids, -100)
    labels[chosen] = ids[chosen]
    return shown, labels


@right("mask_tokens")
def mask_in_two_draws(ids, special_mask, mask_id, vocab_size, generator):
    return masking(ids, special_mask, mask_id, vocab_size, generator)


@right("mask_tokens")
def mask_as_the_library_does(ids, special_mask, mask_id, vocab_size, generator):
    """10 % as half of the rest; draws by bernoulli."""
    labels, ids = ids.clone(), ids.clone()
    chance = torch.full(labels.shape, 0.15).masked_fill(special_mask.bool(), 0.0)
    chosen = torch.bernoulli(chance, generator=generator).bool()
    labels[~chosen] = -100
    hidden = torch.bernoulli(torch.full(labels.shape, 0.8), generator=generator).bool() & chosen
    ids[hidden] = mask_id
    replaced = (
        torch.bernoulli(torch.full(labels.shape, 0.5), generator=generator).bool()
        & chosen
        & ~hidden
    )
    ids[replaced] = torch.randint(vocab_size, labels.shape, generator=generator)[replaced]
    return ids, labels


@right("mask_tokens")
def mask_with_one_draw(ids, special_mask, mask_id, vocab_size, generator):
    u = torch.where(special_mask.bool(), 1.0, rand(ids, generator))
    other = torch.randint(0, vocab_size, ids.shape, generator=generator)
    shown = torch.where(u < 0.12, mask_id, torch.where(u < 0.135, other, ids))
    return [shown, torch.where(u < 0.15, ids, -100)]


@right("mask_tokens")
def mask_exactly_in_each_row(ids, special_mask, mask_id, vocab_size, generator):
    """BERT's own code: a fixed number of each row, at least one where there is a token."""
    shown, labels = ids.clone(), torch.full_like(ids, -100)
    table = zip(
        *(t.reshape(-1, ids.shape[-1]) for t in (ids, special_mask.bool(), shown, labels)),
        strict=True,
    )
    for row, special, row_shown, row_labels in table:
        places = (~special).nonzero().flatten()
        if not len(places):
            continue
        places = places[torch.randperm(len(places), generator=generator)][
            : max(1, round(0.15 * len(places)))
        ]
        row_labels[places] = row[places]
        kind = torch.rand(len(places), generator=generator)
        other = torch.randint(vocab_size, places.shape, generator=generator)
        row_shown[places] = torch.where(
            kind < 0.8, mask_id, torch.where(kind < 0.9, other, row[places])
        )
    return shown, labels


@right("mask_tokens")
def mask_exactly_in_the_batch(ids, special_mask, mask_id, vocab_size, generator):
    """All shares exact: a shuffled list of places is cut."""
    shown, labels = ids.flatten().clone(), torch.full_like(ids, -100).flatten()
    places = (special_mask.flatten() == 0).nonzero().flatten()
    places = places[torch.randperm(len(places), generator=generator)][: int(0.15 * len(places))]
    labels[places] = shown[places]
    first, second = int(0.8 * len(places)), int(0.9 * len(places))
    shown[places[:first]] = mask_id
    shown[places[first:second]] = torch.randint(vocab_size, (second - first,), generator=generator)
    return shown.view_as(ids), labels.view_as(ids)


@right("mask_tokens")
def mask_token_by_token(ids, special_mask, mask_id, vocab_size, generator):
    shown, labels = [], []
    draws = rand(ids, generator).flatten().tolist(), rand(ids, generator).flatten().tolist()
    others = torch.randint(vocab_size, ids.shape, generator=generator).flatten().tolist()
    for token, special, chance, kind, other in zip(
        ids.flatten().tolist(), special_mask.flatten().tolist(), *draws, others, strict=True
    ):
        chosen = not special and chance < 0.15
        labels.append(token if chosen else -100)
        shown.append(token if not chosen or kind >= 0.9 else mask_id if kind < 0.8 else other)
    return torch.tensor(shown).reshape(ids.shape), torch.tensor(labels).reshape(ids.shape)


@right("mask_tokens")
def mask_with_numpy_seeded_from_the_generator(ids, special_mask, mask_id, vocab_size, generator):
    own = np.random.default_rng(torch.randint(2**62, (1,), generator=generator).item())
    return mask_with_one_draw(
        ids,
        special_mask,
        mask_id,
        vocab_size,
        torch.Generator().manual_seed(int(own.integers(2**40))),
    )


RIGHT["mask_tokens"].append(package.mask_tokens)


def labelled(change):
    """The right draw, with labels = change(ids, shown, labels)."""

    def answer(ids, *rest):
        shown, labels = masking(ids, *rest)
        return shown, change(ids, shown, labels)

    return answer


def of_all_tokens(ids, special, mask_id, vocab, generator):
    shown, _ = masking(ids, special, mask_id, vocab, generator, rate=2.0)
    _, labels = masking(ids, special, mask_id, vocab, generator)
    return shown, labels


def tenth_of_the_rest(ids, special, mask_id, vocab, generator):
    return masking(ids, special, mask_id, vocab, generator, cuts=(0.8, 0.82))


def overwriting(ids, special, mask_id, vocab, generator):
    chosen = (rand(ids, generator) < 0.15) & ~special.bool()
    shown = torch.where(chosen & (rand(ids, generator) < 0.8), mask_id, ids)
    other = torch.randint(vocab, ids.shape, generator=generator)
    shown = torch.where(chosen & (rand(ids, generator) < 0.1), other, shown)
    return shown, torch.where(chosen, ids, -100)


def unlabelled_random(ids, special, mask_id, vocab, generator):
    shown, labels = masking(ids, special, mask_id, vocab, generator)
    return shown, labels.masked_fill(shown != mask_id, -100)


def random_beyond_the_chosen(ids, special, mask_id, vocab, generator):
    shown, labels = masking(ids, special, mask_id, vocab, generator, cuts=(0.8, 0.8))
    loose = (rand(ids, generator) < 0.1) & (shown != mask_id) & ~special.bool()
    return torch.where(loose, torch.randint(vocab, ids.shape, generator=generator), shown), labels


def one_random(shape):
    def answer(ids, special, mask_id, vocab, generator):
        chosen = (rand(ids, generator) < 0.15) & ~special.bool()
        kind = rand(ids, generator)
        other = torch.randint(vocab, shape(ids), generator=generator).expand(ids.shape)
        shown = torch.where(chosen & (kind < 0.8), mask_id, ids)
        shown = torch.where(chosen & (kind >= 0.8) & (kind < 0.9), other, shown)
        return shown, torch.where(chosen, ids, -100)

    return answer


def broadcast(chance_shape=lambda s: s, kind_shape=lambda s: s):
    def answer(ids, special, mask_id, vocab, generator):
        chance = torch.rand(chance_shape(ids.shape), generator=generator)
        kind = torch.rand(kind_shape(ids.shape), generator=generator).expand(ids.shape)
        chosen = (chance < 0.15) & ~special.bool()
        other = torch.randint(vocab, ids.shape, generator=generator)
        shown = torch.where(chosen & (kind < 0.8), mask_id, ids)
        shown = torch.where(chosen & (kind >= 0.8) & (kind < 0.9), other, shown)
        return shown, torch.where(chosen, ids, -100)

    return answer


def first_of_each_row(ids, special, mask_id, vocab, generator):
    rank = (~special.bool()).cumsum(-1) * ~special.bool()
    chosen = (rank > 0) & (rank <= 0.15 * (~special.bool()).sum(-1, keepdim=True))
    kind = rand(ids, generator)
    shown = torch.where(chosen & (kind < 0.8), mask_id, ids)
    other = torch.randint(vocab, ids.shape, generator=generator)
    shown = torch.where(chosen & (kind >= 0.8) & (kind < 0.9), other, shown)
    return shown, torch.where(chosen, ids, -100)


def unshuffled(ids, special, mask_id, vocab, generator):
    chosen = (rand(ids, generator) < 0.15) & ~special.bool()
    places = chosen.flatten().nonzero().flatten()
    shown = ids.flatten().clone()
    first, second = int(0.8 * len(places)), int(0.9 * len(places))
    shown[places[:first]] = mask_id
    shown[places[first:second]] = torch.randint(vocab, (second - first,), generator=generator)
    return shown.view_as(ids), torch.where(chosen, ids, -100)


def shuffled_words(ids, special, mask_id, vocab, generator):
    shown, labels = masking(ids, special, mask_id, vocab, generator, cuts=(0.8, 0.8))
    pool = ids[~special.bool()] if (~special.bool()).any() else ids.flatten()
    other = pool[torch.randint(len(pool), ids.shape, generator=generator)]
    replaced = (labels != -100) & (shown != mask_id) & (rand(ids, generator) < 0.5)
    return torch.where(replaced, other, shown), labels


def skewed_random(ids, special, mask_id, vocab, generator):
    shown, labels = masking(ids, special, mask_id, vocab, generator, cuts=(0.8, 0.8))
    other = (rand(ids, generator).square() * vocab).long()
    replaced = (labels != -100) & (shown != mask_id) & (rand(ids, generator) < 0.5)
    return torch.where(replaced, other, shown), labels


def mask_in_place(ids, special, mask_id, vocab, generator):
    shown, labels = masking(ids, special, mask_id, vocab, generator)
    ids[labels != -100] = shown[labels != -100]
    return ids, labels


def bool_special(ids, special, mask_id, vocab, generator):
    chosen = (rand(ids, generator) < 0.15).masked_fill(special, False)
    shown, labels = masking(ids, special, mask_id, vocab, generator, rate=2.0)
    return torch.where(chosen, shown, ids), torch.where(chosen, labels, -100)


def int_index(ids, special, mask_id, vocab, generator):
    chosen = (rand(ids, generator) < 0.15) & ~special  # of an int mask this is an int too
    shown, labels = masking(ids, special * 0, mask_id, vocab, generator, rate=2.0)
    ours, asked = ids.clone(), torch.full_like(ids, -100)
    ours[chosen], asked[chosen] = shown[chosen], labels[chosen]
    return ours, asked


def two_dimensions(ids, special, mask_id, vocab, generator):
    batch, length = ids.shape
    return masking(ids.reshape(batch, length), special, mask_id, vocab, generator)


def at_least_one(ids, special, *rest):
    shown, labels = masking(ids, special, *rest)
    if special.all():
        labels[..., 0] = ids[..., 0]
    return shown, labels


def with_numpy(ids, special, mask_id, vocab, generator):
    return masking(
        ids, special, mask_id, vocab, torch.Generator().manual_seed(int(np.random.randint(2**31)))
    )


def with_random(ids, special, mask_id, vocab, generator):
    return masking(
        ids, special, mask_id, vocab, torch.Generator().manual_seed(random.getrandbits(40))
    )


def partly_global(ids, special, mask_id, vocab, generator):
    chosen = torch.rand(ids.shape) < 0.15
    shown, labels = masking(ids, special, mask_id, vocab, generator, rate=2.0)
    return torch.where(chosen, shown, ids), torch.where(chosen, labels, -100)


def of_the_clock(ids, special, mask_id, vocab, generator):
    return masking(
        ids, special, mask_id, vocab, torch.Generator().manual_seed(time.perf_counter_ns())
    )


def own_generator(ids, special, mask_id, vocab, generator):
    return masking(ids, special, mask_id, vocab, torch.Generator().manual_seed(0))


def seeded_again(ids, special, mask_id, vocab, generator):
    return masking(ids, special, mask_id, vocab, generator.manual_seed(generator.initial_seed()))


def rounded_in_each_row(ids, special, mask_id, vocab, generator):
    shown, labels = ids.clone(), torch.full_like(ids, -100)
    table = zip(
        *(t.reshape(-1, ids.shape[-1]) for t in (ids, special.bool(), shown, labels)), strict=True
    )
    for row, spared, row_shown, row_labels in table:
        places = (~spared).nonzero().flatten()
        places = places[torch.randperm(len(places), generator=generator)][
            : round(0.15 * len(places))
        ]
        row_labels[places] = row[places]
        a, b = int(0.8 * len(places)), int(0.1 * len(places))
        row_shown[places[:a]] = mask_id
        row_shown[places[a : a + b]] = torch.randint(vocab, (b,), generator=generator)
    return shown, labels


def turned(**handles):
    return partial(masking, **handles)


WRONG["mask_tokens"] += [
    (lambda *a: masking(*a[:4], a[4].manual_seed(0)), "seed the generator anew"),
    (turned(cuts=(1.0, 1.0)), "Every chosen token becomes [MASK]"),
    (labelled(lambda i, s, lab: i), "mostly reward copying"),
    (labelled(lambda i, s, lab: lab.masked_fill(lab == -100, 0)), "cross_entropy skips one number"),
    (
        labelled(lambda i, s, lab: lab.masked_fill(lab == -100, -1)),
        "cross_entropy skips one number",
    ),
    (labelled(lambda i, s, lab: (lab != -100).long()), "cross_entropy skips one number"),
    (labelled(lambda i, s, lab: torch.where(lab != -100, s, lab)), "labels hold what is shown"),
    (labelled(lambda i, s, lab: s), "labels hold what is shown"),
    (
        labelled(lambda i, s, lab: torch.where(lab != -100, lab + 1, lab)),
        "label is its original id",
    ),
    (labelled(lambda i, s, lab: torch.full_like(lab, -100)), "No token is asked about"),
    (labelled(lambda i, s, lab: torch.where(lab == -100, i, -100)), "Nearly all are asked"),
    (
        lambda i, sp, *r: (lambda s, lab: (s, torch.where((lab == -100) & ~sp.bool(), i, -100)))(
            *masking(i, sp, *r)
        ),
        "Nearly all are asked",
    ),
    (of_all_tokens, "shares of the chosen tokens"),
    (random_beyond_the_chosen, "shares of the chosen tokens"),
    (unlabelled_random, "became a random one have no label"),
    (labelled(lambda i, s, lab: torch.where(s != i, lab, -100)), "Kept tokens have no label"),
    (tenth_of_the_rest, "10 % of the rest is 2 %"),
    (turned(cuts=(0.8, 1.0)), "No chosen token stays"),
    (turned(cuts=(0.8, 0.8)), "No chosen token becomes a random one"),
    (overwriting, "overwrite some [MASK]"),
    (turned(cuts=(0.1, 0.9)), "exchanged"),
    (turned(cuts=(0.1, 0.2)), "exchanged"),
    (turned(cuts=(0.0, 1.0)), "Every chosen token becomes a random one"),
    (turned(cuts=(0.0, 0.0)), "Nothing was hidden"),
    (turned(cuts=(0.7, 0.85)), "three ways have other shares"),
    (rounded_in_each_row, "three ways have other shares"),
    (turned(rate=0.12), "12 % is 80 %"),
    (turned(rate=0.135), "Another share was chosen"),
    (turned(rate=0.2), "Another share was chosen"),
    (turned(rate=0.3), "Another share was chosen"),
    (turned(spare=False), "not for guessing"),
    (lambda i, s, *r: masking(i, ~s.bool(), *r), "Only special tokens are chosen"),
    (
        lambda i, s, m, *r: (lambda sh, la: (torch.where(s.bool(), m, sh), la))(
            *masking(i, s, m, *r)
        ),
        "A special token was replaced",
    ),
    (one_random(lambda i: ()), "One random token serves"),
    (one_random(lambda i: i.shape[-1:]), "One random token serves"),
    (one_random(lambda i: (*i.shape[:-1], 1)), "One random token serves"),
    (broadcast(chance_shape=lambda s: s[-1:]), "each position of a row has"),
    (broadcast(chance_shape=lambda s: (*s[:-1], 1)), "each row has"),
    (broadcast(kind_shape=lambda s: s[-1:]), "goes by the place"),
    (broadcast(kind_shape=lambda s: (*s[:-1], 1)), "goes by the place"),
    (first_of_each_row, "each position of a row has"),
    (unshuffled, "goes by the place"),
    (turned(low=1), "never drawn"),
    (turned(high=lambda v: v - 1), "never drawn"),
    (shuffled_words, "never drawn"),
    (turned(high=lambda v: v + 1), "outside the vocabulary"),
    (skewed_random, "more often than others"),
    (mask_in_place, "In-place"),
    (bool_special, "special_mask as int64 it fails"),
    (int_index, "special_mask as int64 it fails"),
    (two_dimensions, "One row without a batch"),
    (at_least_one, "not for guessing"),
    (lambda i, s, m, v, g: masking(i, s, m, v, None), "global generator"),
    (with_numpy, "global generator"),
    (with_random, "global generator"),
    (of_the_clock, "source of its own"),
    (own_generator, "other seeds give the same"),
    (seeded_again, "Two calls in a row"),
    (lambda *a: masking(*a)[::-1], "order is (masked ids, labels)"),
    (lambda *a: masking(*a)[0], "in this order"),
    (but(masking, lambda s: s.float(), same), "whole numbers, int64"),
    (but(masking, same, lambda lab: lab.int()), "whole numbers, int64"),
    (but(masking, same, lambda lab: lab.flatten()), "one number for each position"),
    (but(masking, lambda s: s.tolist(), same), "nothing around it"),
]


# ---- parameter_groups


def split(model, weight_decay, spared, parameters=None):
    parameters = (
        [p for p in model.parameters() if p.requires_grad] if parameters is None else parameters
    )
    keys = {id(p) for p in spared}
    return [
        {"params": [p for p in parameters if id(p) not in keys], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) in keys], "weight_decay": 0.0},
    ]


def named(model, test):
    return [p for name, p in model.named_parameters() if test(name)]


def norms(model, weights=True, biases=True):
    layers = [m for m in model.modules() if isinstance(m, nn.LayerNorm)]
    return [m.weight for m in layers if weights] + [
        m.bias for m in layers if biases and m.bias is not None
    ]


def all_biases(model):
    return named(model, lambda name: name.endswith("bias"))


RIGHT["parameter_groups"].append(package.parameter_groups)


@right("parameter_groups")
def groups(model, weight_decay):
    return split(model, weight_decay, all_biases(model) + norms(model))


@right("parameter_groups")
def groups_of_vectors(model, weight_decay):
    return checks.bert.parameter_groups.reference(model, weight_decay)


@right("parameter_groups")
def groups_as_the_trainer_makes_them(model, weight_decay):
    decayed = {n for n in get_parameter_names(model, [nn.LayerNorm]) if not n.endswith("bias")}
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [p for n, p in trained if n in decayed], "weight_decay": weight_decay},
        {"params": [p for n, p in trained if n not in decayed], "weight_decay": 0.0},
    ]


@right("parameter_groups")
def groups_in_the_other_order(model, weight_decay):
    seen, no, yes = set(), [], []
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            if p.requires_grad and id(p) not in seen:
                seen.add(id(p))
                (no if name.endswith("bias") or isinstance(module, nn.LayerNorm) else yes).append(p)
    return (
        {"params": tuple(no), "weight_decay": 0, "name": "spared"},
        {"params": tuple(yes), "weight_decay": weight_decay, "name": "decayed"},
    )


def changed(change):
    """The right groups, changed in place."""

    def answer(model, weight_decay):
        made = groups(model, weight_decay)
        return change(made) or made

    return answer


def by_module(model, weight_decay):
    no, yes = [], []
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            if p.requires_grad:
                (no if name.endswith("bias") or isinstance(module, nn.LayerNorm) else yes).append(p)
    return [{"params": yes, "weight_decay": weight_decay}, {"params": no, "weight_decay": 0.0}]


def recursive(model, weight_decay):
    no, yes = [], []
    for module in model.modules():
        for name, p in module.named_parameters():
            if p.requires_grad:
                (no if name.endswith("bias") or isinstance(module, nn.LayerNorm) else yes).append(p)
    return [{"params": yes, "weight_decay": weight_decay}, {"params": no, "weight_decay": 0.0}]


def thawing(model, weight_decay):
    model.requires_grad_(True)
    return groups(model, weight_decay)


def only_linear(model, weight_decay):
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    spared = norms(model) + [m.bias for m in layers if m.bias is not None]
    return split(model, weight_decay, spared)


def appending_none(model, weight_decay):
    made = groups(model, weight_decay)
    made[1]["params"] += [
        m.bias for m in model.modules() if isinstance(m, nn.LayerNorm) and m.bias is None
    ]
    return made


NO_DECAY = ("bias", "LayerNorm.weight")
WRONG["parameter_groups"] += [
    (
        lambda m, w: split(m, w, named(m, lambda n: any(part in n for part in NO_DECAY))),
        "another name in this model",
    ),
    (
        lambda m, w: split(m, w, named(m, lambda n: "bias" in n or "norm" in n.lower())),
        "another name in this model",
    ),
    (lambda m, w: split(m, w, norms(m)), "Biases decay here"),
    (lambda m, w: split(m, w, norms(m, biases=False)), "Biases decay here"),
    (lambda m, w: split(m, w, all_biases(m)), "it is a factor that starts at 1"),
    (
        lambda m, w: split(
            m,
            w,
            [p for p in all_biases(m) if id(p) not in set(map(id, norms(m)))]
            + norms(m, biases=False),
        ),
        "LayerNorm's bias decays",
    ),
    (
        lambda m, w: split(m, w, norms(m) + named(m, lambda n: n.endswith(".bias"))),
        "need not be called `.bias`",
    ),
    (only_linear, "need not be called `.bias`"),
    (changed(lambda g: g[1].update(weight_decay=g[0]["weight_decay"])), "Both groups decay"),
    (changed(lambda g: g[1].update(weight_decay=1e-8)), "Both groups decay"),
    (changed(lambda g: g[1].pop("weight_decay") and None), "default, 0.01 for AdamW"),
    (changed(lambda g: g[0].pop("weight_decay") and None), "default, 0.01 for AdamW"),
    (changed(lambda g: g[0].update(weight_decay=0.0)), "Neither group decays"),
    (lambda m, w: groups(m, 0.01), "another number than the argument"),
    (
        lambda m, w: [
            {"params": g["params"], "weight_decay": d}
            for g, d in zip(groups(m, w), (0.0, w), strict=True)
        ],
        "Exchanged",
    ),
    (lambda m, w: split(m, w, all_biases(m) + norms(m), list(m.parameters())), "Frozen parameters"),
    (thawing, "Sorting only reads"),
    (by_module, "which `model.parameters()` knows"),
    (recursive, "which `model.parameters()` knows"),
    (
        lambda m, w: split(m, w, all_biases(m) + norms(m) + named(m, lambda n: "embeddings" in n)),
        "Embeddings are matrices",
    ),
    (
        lambda m, w: split(m, w, all_biases(m) + norms(m) + named(m, lambda n: "query" in n)),
        "without decay: only biases",
    ),
    (changed(lambda g: g[0].update(params=iter(g[0]["params"]))), "read once"),
    (changed(lambda g: g[0].update(params=(p for p in g[0]["params"]))), "read once"),
    (changed(lambda g: g[0].update(params=set(g[0]["params"]))), "kept by position"),
    (changed(lambda g: g[0].update(params=[("name", p) for p in g[0]["params"]])), "themselves"),
    (changed(lambda g: g[0].update(params=["name" for p in g[0]["params"]])), "themselves"),
    (
        changed(lambda g: g[0].update(params=[p.detach().clone() for p in g[0]["params"]])),
        "but copies",
    ),
    (changed(lambda g: g[0].update(params=[p.data for p in g[0]["params"]])), "but copies"),
    (changed(lambda g: g[0]["params"].pop() is None), "What is in no group"),
    (changed(lambda g: g[1].update(params=g[1]["params"][:1])), "What is in no group"),
    (changed(lambda g: g[1].update(weight_decay=None)), "single number"),
    (appending_none, "`bias` is None"),
    (lambda m, w: [{"params": list(m.parameters()), "weight_decay": w}], "All in one group"),
    (lambda m, w: split(m, w, []), "All in one group"),
    (lambda m, w: list(m.parameters()), "takes a list of dicts"),
    (lambda m, w: groups(m, w)[0], "takes a list of dicts"),
    (
        lambda m, w: [{"params": [p], "weight_decay": w} for p in m.parameters()],
        "Two groups are enough",
    ),
    (changed(lambda g: g[0].update(parameters=g[0].pop("params"))), "stand under 'params'"),
    (changed(lambda g: g[0].update(betas=3)), "AdamW stumbles"),
]


# ---- warmup_linear


@right("warmup_linear")
def warmup(step, warmup_steps, total_steps):
    if step < warmup_steps:
        return step / warmup_steps
    if step >= total_steps:
        return 0.0
    return (total_steps - step) / (total_steps - warmup_steps)


@right("warmup_linear")
def warmup_by_the_library(step, warmup_steps, total_steps):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    return get_linear_schedule_with_warmup(optimizer, warmup_steps, total_steps).lr_lambdas[0](step)


@right("warmup_linear")
def warmup_as_the_lower_line(step, warmup_steps, total_steps):
    up = 1.0 if warmup_steps == 0 else step / warmup_steps
    down = (total_steps - step) / max(total_steps - warmup_steps, 1)
    return torch.tensor(max(0.0, min(up, down)))


@right("warmup_linear")
def warmup_with_its_peak_at_the_end(step, warmup_steps, total_steps):
    """Where the warm-up's end is the end of all, this one gives 1 (the others 0)."""
    if step <= warmup_steps:
        return np.float64(1) if warmup_steps == 0 else np.float64(step / warmup_steps)
    return np.clip(np.divide(total_steps - step, total_steps - warmup_steps or 1), 0, None)


RIGHT["warmup_linear"].append(package.warmup_linear)


def ramp(down):
    return lambda s, w, t: s / w if s < w else down(s, w, t)


def fall(up):
    return lambda s, w, t: up(s, w, t) if s < w else warmup(s, w, t)


def only_with(condition, fn):
    return lambda s, w, t: fn(s, w, t) if condition(w, t) else warmup(s, w, t)


WRONG["warmup_linear"] += [
    (ramp(lambda s, w, t: (t - s) / (t - w)), "Negative after the last step"),
    (ramp(lambda s, w, t: max(0.0, 1 - s / t)), "A jump at the peak"),
    (ramp(lambda s, w, t: max(0.0, (t + w - s) / t)), "takes total_steps more"),
    (fall(lambda s, w, t: (s + 1) / w), "One step early"),
    (fall(lambda s, w, t: (s + 1) / (w + 1)), "not one more"),
    (fall(lambda s, w, t: s / (w + 1)), "ramp ends below 1"),
    (fall(lambda s, w, t: s / t), "divided by all steps"),
    (fall(lambda s, w, t: 1.0), "No ramp"),
    (lambda s, w, t: max(0.0, 1 - s / t), "There is no warm-up here"),
    (fall(lambda s, w, t: 1 - s / w), "runs downwards"),
    (ramp(lambda s, w, t: 1.0), "has to fall to 0 by the last step"),
    (lambda s, w, t: min(1.0, s / max(1, w)), "has to fall to 0 by the last step"),
    (ramp(lambda s, w, t: float(s < t)), "drops at the end"),
    (ramp(lambda s, w, t: math.sqrt(w / s)), "inverse square root"),
    (
        ramp(lambda s, w, t: 0.5 + 0.5 * math.cos(math.pi * min(1, (s - w) / (t - w)))),
        "half a cosine",
    ),
    (lambda s, w, t: s // w if s < w else max(0, (t - s) // (t - w)), "divides without a rest"),
    (ramp(lambda s, w, t: max(0.0, (t - 1 - s) / (t - 1 - w))), "0 one step too early"),
    (ramp(lambda s, w, t: abs(t - s) / (t - w)), "rises again"),
    (ramp(lambda s, w, t: min(1, (s - w) / (t - w))), "count the steps that are left"),
    (lambda s, w, t: 2e-5 * warmup(s, w, t), "Who calls it multiplies"),
    (lambda s, w, t: 1e-3 * warmup(s, w, t), "Who calls it multiplies"),
    (lambda s, w, t: 100 * warmup(s, w, t), "Who calls it multiplies"),
    (
        lambda s, w, t: s / w if s < w else max(0.0, (t - s) / max(1, t - w)) if w else 1 / w,
        "Without warm-up",
    ),
    (lambda s, w, t: max(0.0, min(s / max(1, w), (t - s) / max(1, t - w))), "Without warm-up"),
    (ramp(lambda s, w, t: max(0.0, (t - s) / (t - w))), "All steps are warm-up"),
    (
        only_with(lambda w, t: w == t, lambda s, w, t: min(1.0, s / w)),
        "has to fall to 0 by the last step",
    ),
    (
        only_with(lambda w, t: w == t, lambda s, w, t: 0.5 if s == t else warmup(s, w, t)),
        "All steps are warm-up",
    ),
    (lambda s, w, t: warmup(s, w, t) ** 2, "Draw it"),
    (lambda s, w, t: warmup(s, 0, t), "There is no warm-up here"),
    (lambda s, w, t: torch.tensor([warmup(s, w, t)]), "single number"),
    (lambda s, w, t: [warmup(s, w, t)], "single number"),
    (lambda s, w, t: str(warmup(s, w, t)), "single number"),
    (lambda s, w, t: warmup(s, w, t) if s < t else float("nan"), "Infinity or NaN"),
]


# ---- wilson_interval


@right("wilson_interval")
def wilson(correct, total, z):
    p = correct / total
    centre = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    return centre - half, centre + half


@right("wilson_interval")
def wilson_by_counts(correct, total, z):
    centre = (correct + z * z / 2) / (total + z * z)
    half = z / (total + z * z) * (correct * (total - correct) / total + z * z / 4) ** 0.5
    return [max(0, centre - half), min(1, centre + half)]


@right("wilson_interval")
def wilson_by_scipy(correct, total, z):
    level = 1 - 2 * stats.norm.sf(z)
    ends = stats.binomtest(correct, total).proportion_ci(level, method="wilson")
    return (ends.low, ends.high)


@right("wilson_interval")
def wilson_by_bisection(correct, total, z):
    def end(inner, outer):
        for _ in range(80):
            x = (inner + outer) / 2
            near = (correct / total - x) ** 2 <= z * z * x * (1 - x) / total
            inner, outer = (x, outer) if near else (inner, x)
        return inner

    return end(correct / total, 0.0), end(correct / total, 1.0)


@right("wilson_interval")
def wilson_as_an_array(correct, total, z):
    return np.array(wilson(correct, total, z))


@right("wilson_interval")
def wilson_in_float32(correct, total, z):
    return torch.tensor(wilson(correct, total, z))


RIGHT["wilson_interval"].append(intervals.wilson_interval)


def wald(c, n, z):
    half = z * math.sqrt(c / n * (1 - c / n) / n)
    return c / n - half, c / n + half


def agresti_coull(c, n, z):
    p = (c + z * z / 2) / (n + z * z)
    half = z * math.sqrt(p * (1 - p) / (n + z * z))
    return p - half, p + half


def continuity(c, n, z):
    ends = stats.binomtest(c, n).proportion_ci(1 - 2 * stats.norm.sf(z), method="wilsoncc")
    return ends.low, ends.high


def clopper_pearson(c, n, z):
    ends = stats.binomtest(c, n).proportion_ci(1 - 2 * stats.norm.sf(z), method="exact")
    return ends.low, ends.high


def jeffreys(c, n, z):
    return tuple(stats.beta.ppf([stats.norm.sf(z), stats.norm.cdf(z)], c + 0.5, n - c + 0.5))


def parts(c, n, z):
    low, high = wilson(c, n, z)
    return (low + high) / 2, (high - low) / 2


def from_parts(change):
    def answer(c, n, z):
        centre, half = change(*parts(c, n, z), c, n, z)
        return centre - half, centre + half

    return answer


def with_root(root):
    """Wilson's formula with another root."""
    return from_parts(lambda m, h, c, n, z: (m, z / (1 + z * z / n) * math.sqrt(root(c / n, n, z))))


def bracketless(factor=None, root=None, shift=None):
    """Wilson's interval as it is typed in one go, with one pair of brackets forgotten."""

    def answer(c, n, z):
        p, front = c / n, 1 / (1 + z**2 / n) if factor is None else factor(n, z)
        second = z**2 / (4 * n**2) if root is None else root(n, z)
        centre = front * (p + (z**2 / (2 * n) if shift is None else shift(n, z)))
        half = front * z * math.sqrt(p * (1 - p) / n + second)
        return centre - half, centre + half

    return answer


WRONG["wilson_interval"] += [
    (bracketless(factor=lambda n, z: 1 / 1 + z**2 / n), "`a / (1 + z**2 / n)`"),
    (bracketless(root=lambda n, z: z**2 / 4 * n**2), "`a / (4 * n**2)`"),
    (bracketless(shift=lambda n, z: z**2 / 2 * n), "`a / (2 * n)`"),
    (wald, "Wald's interval, z standard errors"),
    (lambda *a: (max(0.0, wald(*a)[0]), min(1.0, wald(*a)[1])), "clipped to [0, 1]"),
    (agresti_coull, "Agresti and Coull"),
    (continuity, "correction for continuity"),
    (clopper_pearson, "Clopper and Pearson"),
    (jeffreys, "Jeffreys"),
    (parts, "centre and the half width"),
    (lambda *a: wilson(*a)[::-1], "ends are exchanged"),
    (lambda *a: tuple(100 * e for e in wilson(*a)), "per cent"),
    (lambda c, n, z: tuple(n * e for e in wilson(c, n, z)), "These are counts"),
    (from_parts(lambda m, h, c, n, z: (m, h / 2)), "Half as wide"),
    (from_parts(lambda m, h, c, n, z: (m, 2 * h)), "Twice as wide"),
    (lambda *a: (wilson(*a)[0], 1.0), "Only one side"),
    (lambda *a: (0.0, wilson(*a)[1]), "Only one side"),
    (from_parts(lambda m, h, c, n, z: (c / n, h)), "around the share itself"),
    (from_parts(lambda m, h, c, n, z: (m, wald(c, n, z)[1] - c / n)), "but Wald's half width"),
    (with_root(lambda p, n, z: p * (1 - p) / n), "root lacks its second term"),
    (from_parts(lambda m, h, c, n, z: (m, h * (1 + z * z / n))), "half width is not divided"),
    (from_parts(lambda m, h, c, n, z: (m * (1 + z * z / n), h)), "centre is not divided"),
    (
        from_parts(lambda m, h, c, n, z: (m * (1 + z * z / n), h * (1 + z * z / n))),
        "Nothing is divided",
    ),
    (from_parts(lambda m, h, c, n, z: (m, h / z)), "z is missing before the root"),
    (from_parts(lambda m, h, c, n, z: ((c + z * z) / (n + z * z), h)), "centre moves too far"),
    (with_root(lambda p, n, z: p * (1 - p) / n + z * z / (4 * n)), "has n squared below"),
    (with_root(lambda p, n, z: p * (1 - p) / n + z * z / n**2), "lacks its 4"),
    (with_root(lambda p, n, z: p * (1 - p) / n + z / (4 * n * n)), "z stands where z^2 belongs"),
    (
        lambda c, n, z: (lambda m, h: (m - h, m + h))(
            (c + z / 2) / (n + z), z / (n + z) * math.sqrt(c * (n - c) / n + z / 4)
        ),
        "z stands where z^2 belongs",
    ),
    (from_parts(lambda m, h, c, n, z: (m, h * z)), "z^2 stands before the root"),
    (lambda c, n, z: wilson(c, n, 1.96), "z = 1.96, whatever"),
    (lambda c, n, z: wilson(c, n, 1), "z = 1, whatever"),
    (lambda c, n, z: wilson(n - c, n, z), "share of wrong answers"),
    (lambda *a: wilson(*a)[0], "Return both ends"),
    (lambda *a: dict(zip(("low", "high"), wilson(*a), strict=True)), "Return both ends"),
    (lambda *a: (*wilson(*a), 0.0), "Return both ends"),
    (lambda *a: (float("nan"), wilson(*a)[1]), "Infinity or NaN"),
    (lambda *a: ([wilson(*a)[0]], wilson(*a)[1]), "single number"),
    (lambda c, n, z: wilson(c, n + 1, z), "Take it apart"),
]
