"""Lesson 04: right and wrong answers to its exercises."""

import copy
import random
import time
from functools import partial

import numpy as np
import torch
from torch import nn

from answers import book
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
    (but(pad, same, lambda m: m[:, None, None, :]), "By hand: 5 6 7"),
    (but(pad, same, lambda m: m[:1]), "By hand: 5 6 7"),
    (but(pad, lambda i: i.tolist(), same), "makes one of lists"),
    (but(pad, lambda i: i + 1, same), "By hand: 5 6 7"),
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


# ---- keep_ends


@right("keep_ends")
def ends_by_slices(ids, limit):
    if len(ids) <= limit:
        return ids[:]
    first = limit // 2
    return ids[:first] + ids[first - limit :]


@right("keep_ends")
def ends_by_deleting(ids, limit):
    left = list(ids)
    while len(left) > limit:
        del left[limit // 2]
    return left


def longer(cut):
    return lambda ids, n: cut(ids, n) if len(ids) > n else list(ids)


WRONG["keep_ends"] += [
    (lambda ids, n: list(ids)[0:n], "beginning alone"),
    (longer(lambda ids, n: [*ids[: n - 1], ids[-1]]), "only the beginning is kept"),
    (lambda ids, n: ids[max(0, len(ids) - n) :], "the end alone"),
    (longer(lambda ids, n: [ids[0], *ids[1 - n :]]), "only the end is kept"),
    (longer(lambda ids, n: [*ids[: n // 2], *ids[-(n // 2) :]]), "limit - limit // 2"),
    (
        longer(lambda ids, n: ids[: (n + 1) // 2] + ids[-(n // 2) :]),
        "extra place belongs to the end",
    ),
    (lambda ids, n: ids[: n // 2] + ids[n // 2 - n :], "has some of its tokens twice"),
    (longer(lambda ids, n: ids[1 : 1 + n // 2] + ids[n // 2 - n - 1 : -1]), "cut away"),
    (lambda ids, n: torch.tensor(ids[:n]), "ids themselves"),
    (longer(lambda ids, n: ids[: n // 2] + ids[n // 2 : n][::-1]), "By hand"),
]


# ---- paired_gap


@right("paired_gap")
def gap_by_differences(first, second):
    gap = first.double() - second.double()
    half = 1.96 * gap.std() / len(gap) ** 0.5
    return gap.mean().item(), (gap.mean() - half).item(), (gap.mean() + half).item()


@right("paired_gap")
def gap_with_numpy(first, second):
    gap = first.numpy().astype(int) - second.numpy()
    error = gap.std() / np.sqrt(len(gap))  # divides by N
    return [float(gap.mean() + z * error) for z in (0, -1.96, 1.96)]


def gap_with(half):
    def answer(first, second):
        gap = first.double() - second.double()
        width = half(gap, first.double(), second.double())
        return tuple((gap.mean() + sign * width).item() for sign in (0, -1, 1))

    return answer


WRONG["paired_gap"] += [
    (lambda a, b: gap_by_differences(b, a), "the first minus the second"),
    (
        gap_with(lambda g, a, b: 1.96 * ((a.std() ** 2 + b.std() ** 2) / len(a)) ** 0.5),
        "As if each had met other texts",
    ),
    (gap_with(lambda g, a, b: 1.96 * g.std()), "by the root of N"),
    (gap_with(lambda g, a, b: 1.96 * g.std() / len(g)), "falls with the root of N"),
    (gap_with(lambda g, a, b: g.std() / len(g) ** 0.5), "about 68 %"),
    (gap_with(lambda g, a, b: 1.96 * g.std() ** 2 / len(g) ** 0.5), "The variance stands"),
    (gap_with(lambda g, a, b: 0.98 * g.std() / len(g) ** 0.5), "half as wide"),
    (
        gap_with(lambda g, a, b: 1.96 * (a != b).double().sum() ** -0.5 * g[a != b].std()),
        "N counts all texts",
    ),
    (
        gap_with(lambda g, a, b: 1.96 * (g.mean() * (1 - g.mean()) / len(g)) ** 0.5),
        "variance of a share",
    ),
    (
        gap_with(lambda g, a, b: 1.96 * (a != b).sum() ** 0.5 / len(g)),
        "spread around 0",
    ),
    (lambda a, b: [100 * x for x in gap_by_differences(a, b)], "In percent"),
    (lambda a, b: (a - b, 0, 0), "Truth values cannot be subtracted"),
    (lambda a, b: ((a.double() - b.double()).mean(), 0.0, 0.0), "makes a number of a tensor"),
    (lambda a, b: gap_by_differences(a, b)[0], "mean, low, high"),
    (lambda a, b: gap_by_differences(a, b)[1:], "mean, low, high"),
    (lambda a, b: [gap_by_differences(a, b)[i] for i in (0, 2, 1)], "then the lower end"),
    (lambda a, b: sorted(gap_by_differences(a, b)), "then the lower end"),
    (gap_with(lambda g, a, b: 1.645 * g.std() / len(g) ** 0.5), "four texts"),
]


# ---- occlusion


@right("occlusion")
def leaving_out_one_by_one(margin, text):
    words, effects = text.split(), []
    for i in range(len(words)):
        rest = words.copy()
        del rest[i]
        effects.append(margin([text])[0] - margin([" ".join(rest)])[0])
    return words, torch.stack(effects)


@right("occlusion")
def leaving_out_in_one_pass(margin, text):
    words = text.split()
    rests = [" ".join(w for j, w in enumerate(words) if j != i) for i in range(len(words))]
    whole, *others = margin([text, *rests])
    return words, torch.stack([whole - other for other in others])


def shortening(change, sign=1):
    """Occlusion, where ``change`` makes the shorter text of the words and a place."""

    def answer(margin, text):
        words = text.split()
        shorter = [" ".join(change(words, i)) for i in range(len(words))]
        return words, sign * (margin([text]) - margin(shorter))

    return answer


def out(words, i):
    return words[:i] + words[i + 1 :]


def margins_without(margin, text):
    words = text.split()
    return words, margin([" ".join(out(words, i)) for i in range(len(words))])


def split_at_blanks(margin, text):
    words = text.split(" ")
    return words, margin([text]) - margin([" ".join(out(words, i)) for i in range(len(words))])


WRONG["occlusion"] += [
    (shortening(out, sign=-1), "sign is turned round"),
    (shortening(lambda w, i: [x for x in w if x != w[i]]), "occurs twice"),
    (shortening(lambda w, i: out(w, w.index(w[i]))), "first of two equal words"),
    (
        lambda margin, text: (
            text.split(),
            margin([text]) - margin([" ".join(text.replace(w, "").split()) for w in text.split()]),
        ),
        "",
    ),
    (lambda margin, text: (text.split(), margin(text.split())), "margins of single words"),
    (shortening(lambda w, i: [w[i]]), "shortened to the word itself"),
    (margins_without, "difference to the whole"),
    (shortening(lambda w, i: w[:i]), "after the place are gone"),
    (shortening(lambda w, i: w[i + 1 :]), "before the place are gone"),
    (shortening(lambda w, i: out(w, i + 1)), "One place too far"),
    (shortening(lambda w, i: [*w[:i], "[MASK]", *w[i + 1 :]]), "replaced by another"),
    (but(shortening(out), same, lambda e: e.abs()), "sign is lost"),
    (but(shortening(out), same, lambda e: e[:-1]), "One effect for each word"),
    (but(shortening(out), same, lambda e: e[1:]), "first word's effect is missing"),
    (
        but(shortening(out), same, lambda e: torch.cat([torch.zeros(1), e])),
        "One effect too many",
    ),
    (but(shortening(out), same, lambda e: e.tolist()), "nothing around it"),
    (but(shortening(out), same, lambda e: e[:, None]), "One effect for each word"),
    (but(shortening(out), lambda w: " ".join(w), same), "in this order"),
    (lambda margin, text: shortening(out)(margin, text)[1], "in this order"),
    (lambda margin, text: shortening(out)(margin, text)[::-1], "in this order"),
    (split_at_blanks, "however much"),
    (lambda margin, text: (text.split(), margin(text) - margin(text)), "also for a single one"),
]


# ---- train_step


def step(
    order=("rate", "train", "zero", "backward", "clip", "step"),
    loss=nn.functional.cross_entropy,
    rate=lambda group, factor: factor * group["initial_lr"],
    told=lambda loss, share: {"loss": loss.item(), "accuracy": share.item()},
    masked=True,
    cast=lambda logits: logits.float(),
    count=lambda hits: hits.float().mean(),
    clip=lambda model: nn.utils.clip_grad_norm_(model.parameters(), 1.0),
    forward=lambda model, autocast, **inputs: inside(model, autocast, inputs),
):
    """The step in this order, with one part exchanged."""

    def answer(model, optimizer, ids, mask, labels, factor, autocast):
        if "rate" in order:
            for group in optimizer.param_groups:
                group["lr"] = rate(group, factor)
        if "train" in order:
            model.train()
        more = {"attention_mask": mask} if masked else {}
        logits = forward(model, autocast, input_ids=ids, **more)
        found = loss(cast(logits), labels)
        acts = {
            "zero": optimizer.zero_grad,
            "backward": found.backward,
            "clip": lambda: clip(model),
            "step": optimizer.step,
        }
        for name in order:
            acts.get(name, lambda: None)()
        return told(found, count(logits.argmax(1) == labels))

    return answer


def inside(model, autocast, inputs):
    with autocast():
        return model(**inputs).logits


def without(*names):
    usual = ("rate", "train", "zero", "backward", "clip", "step")
    return step(order=[name for name in usual if name not in names])


RIGHT["train_step"] += [
    package.bert_step,
    step(),
    step(order=("train", "zero", "rate", "backward", "clip", "step")),
    step(loss=lambda logits, labels: -logits.log_softmax(1)[range(len(labels)), labels].mean()),
]
WRONG["train_step"] += [
    (without("zero"), "Gradients of the step before"),
    (without("clip"), "a gradient that is not clipped"),
    (without("train"), "dropout is off"),
    (without("rate"), "The learning rate is not set"),
    (without("step"), "`optimizer.step()` is called once"),
    (
        step(order=("rate", "train", "zero", "clip", "backward", "step")),
        "a gradient that is not clipped",
    ),
    (step(order=("rate", "train", "backward", "zero", "clip", "step")), "cleared between"),
    (step(rate=lambda g, f: f * g["lr"]), "shrinks at every step"),
    (step(rate=lambda g, f: f), "factor itself became"),
    (step(masked=False), "Padding is read as text"),
    (
        step(loss=lambda z, y: nn.functional.cross_entropy(z.softmax(1), y)),
        "taken from probabilities",
    ),
    (
        step(loss=lambda z, y: nn.functional.cross_entropy(z, y, reduction="sum")),
        "a sum over the batch",
    ),
    (step(cast=same), "computed in 16 bits"),
    (step(count=lambda hits: hits.float().sum()), "the share of right answers"),
    (step(clip=lambda m: nn.utils.clip_grad_value_(m.parameters(), 1.0)), "Each value is clipped"),
    (step(told=lambda loss, share: {"loss": loss, "accuracy": share}), "keeps the whole step"),
    (step(told=lambda loss, share: (loss.item(), share.item())), "both as plain numbers"),
    (step(forward=lambda m, _, **inputs: m(**inputs).logits), "belongs around the forward pass"),
    (step(loss=lambda z, y: 2 * nn.functional.cross_entropy(z, y)), "By hand: initial_lr"),
]


# ---- lora_linear


class Update(nn.Module):
    """A linear layer with an update; its parts can be exchanged."""

    def __init__(self, linear, down, up, scale, frozen=True):
        super().__init__()
        self.linear = linear.requires_grad_(not frozen)
        self.down, self.up, self.scale = nn.Parameter(down), nn.Parameter(up), scale

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.down @ self.up)


def lora(down=None, up=None, scale=lambda rank, alpha: alpha / rank, kind=Update, frozen=True):
    def answer(linear, rank, alpha):
        first = (down or torch.randn)(linear.in_features, rank)
        second = (up or torch.zeros)(rank, linear.out_features)
        return kind(linear, first, second, scale(rank, alpha), frozen)

    return answer


@right("lora_linear")
def lora_with_layers(linear, rank, alpha):
    down = nn.Linear(linear.in_features, rank, bias=False)
    up = nn.Linear(rank, linear.out_features, bias=False)
    nn.init.zeros_(up.weight)
    return Branches(linear.requires_grad_(False), nn.Sequential(down, up), alpha / rank)


class Branches(nn.Module):
    def __init__(self, one, other, scale):
        super().__init__()
        self.one, self.other, self.scale = one, other, scale

    def forward(self, x):
        return self.one(x) + self.scale * self.other(x)


class Merging(Update):
    def forward(self, x):
        weight = self.linear.weight + self.scale * (self.down @ self.up).T
        return nn.functional.linear(x, weight, self.linear.bias)


class Alone(Update):
    def forward(self, x):
        return self.linear(x).detach() * 0 + super().forward(x) - self.linear(x) + self.held(x)

    def held(self, x):
        return self.linear(x) if self.up.abs().max() == 0 else 0


class Cut(Update):
    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.down.data @ self.up.data)


class Bare(Update):
    def __init__(self, linear, down, up, scale, frozen=True):
        super().__init__(linear, down, up, scale, frozen)
        self.down.requires_grad_(False)
        self.up.requires_grad_(False)


def full(linear, rank, alpha):
    made = Branches(linear.requires_grad_(False), nn.Linear(12, 7, bias=False), alpha / rank)
    nn.init.zeros_(made.other.weight)
    return made


RIGHT["lora_linear"] += [
    lora(),
    lora(kind=Merging),
    lora(down=torch.zeros, up=torch.randn),
    lambda linear, rank, alpha: lora()(copy.deepcopy(linear), rank, alpha),
]
WRONG["lora_linear"] += [
    (lora(up=torch.randn), "answer as the old one"),
    (lora(down=torch.zeros), "Both matrices are 0"),
    (lora(down=torch.ones), "All rows are alike"),
    (lora(frozen=False), "requires_grad_(False)"),
    (lora(scale=lambda rank, alpha: 1.0), "The product is not scaled"),
    (lora(scale=lambda rank, alpha: alpha), "divide by the rank"),
    (lora(scale=lambda rank, alpha: rank / alpha), "upside down"),
    (lora(kind=Alone), "The frozen layer is gone"),
    (lora(kind=Cut), "cut the path"),
    (lora(kind=Bare), "Nothing is trained"),
    (full, "has as many weights as the layer"),
    (lambda linear, rank, alpha: linear, "It has no update"),
    (lambda linear, rank, alpha: linear(torch.ones(12)), "Return a module"),
    (lambda linear, rank, alpha: lora()(linear, rank + 1, alpha), "stand between the two"),
]


# ---- further ones, of which no test had been


def own_mark(ids, limit):
    kept = ids[: limit // 2] + ids[limit // 2 - limit :]
    return list(ids) if len(ids) <= limit else [*kept[:-1], 102]


def at_rates(set_rates, clip=torch.nn.utils.clip_grad_norm_):
    """A step whose learning rates are set in another way."""

    def answer(model, optimizer, ids, mask, labels, factor, autocast):
        set_rates(optimizer.param_groups, factor)
        model.train()
        with autocast():
            logits = model(input_ids=ids, attention_mask=mask).logits
        loss = nn.functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        clip(model.parameters(), 1.0)
        optimizer.step()
        right = (logits.argmax(1) == labels).float().mean()
        return {"loss": loss.item(), "accuracy": right.item()}

    return answer


def each_its_own(groups, factor):
    for group in groups:
        group["lr"] = factor * group["initial_lr"]


def only_the_first(groups, factor):
    groups[0]["lr"] = factor * groups[0]["initial_lr"]


def all_as_the_first(groups, factor):
    for group in groups:
        group["lr"] = factor * groups[0]["initial_lr"]


def one_by_one(parameters, length):
    for parameter in parameters:
        nn.utils.clip_grad_norm_(parameter, length)


RIGHT["train_step"] += [at_rates(each_its_own)]
WRONG["keep_ends"] += [(own_mark, "[SEP] is written down")]
WRONG["train_step"] += [
    (at_rates(only_the_first), "Only the first group"),
    (at_rates(all_as_the_first), "the first one's was used for all"),
    (at_rates(each_its_own, one_by_one), "clipped by itself"),
]


# ---- merged


@right("merged")
def merged_by_asking(layer, width):
    with torch.no_grad():
        bias = layer(torch.zeros(width))
        rows = layer(torch.eye(width)) - bias
        plain = nn.Linear(width, len(bias))
        plain.weight.copy_(rows.T)
        plain.bias.copy_(bias)
    return plain


@right("merged")
def merged_one_by_one(layer, width):
    zero = layer(torch.zeros(1, width))[0]
    columns = []
    for place in range(width):
        one = torch.zeros(width)
        one[place] = 1
        columns.append(layer(one) - zero)
    plain = nn.Linear(width, zero.numel())
    plain.weight, plain.bias = nn.Parameter(torch.stack(columns, dim=1)), nn.Parameter(zero)
    return plain


@right("merged")
def merged_by_least_squares(layer, width):
    x = torch.randn(4 * width + 4, width)
    with torch.no_grad():
        found = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], 1), layer(x)).solution
    plain = nn.Linear(width, found.shape[1])
    plain.load_state_dict({"weight": found[:-1].T, "bias": found[-1]})
    return plain


def filled(weight=lambda rows, b: (rows - b).T, bias=lambda rows, b: b, make=nn.Linear):
    """A plain layer from the answers to an identity matrix and to zeros, with one part exchanged."""

    def answer(layer, width):
        with torch.no_grad():
            b = layer(torch.zeros(width))
            rows = layer(torch.eye(width))
            plain = make(width, len(b))
            if weight:
                plain.weight.copy_(weight(rows, b))
            if bias:
                plain.bias.copy_(bias(rows, b))
        return plain

    return answer


def not_within_no_grad(layer, width):
    plain = nn.Linear(width, len(layer(torch.zeros(width))))
    plain.weight.copy_((layer(torch.eye(width)) - layer(torch.zeros(width))).T)
    return plain


def bare_tensor(layer, width):
    plain = nn.Linear(width, len(layer(torch.zeros(width))))
    plain.weight = (layer(torch.eye(width)) - layer(torch.zeros(width))).T
    return plain


RIGHT["merged"] += [filled()]
WRONG["merged"] += [
    (filled(weight=lambda rows, b: rows.T), "The bias is still in the matrix"),
    (filled(weight=lambda rows, b: rows - b), "The matrix is turned round"),
    (filled(weight=lambda rows, b: rows), "The answers themselves"),
    (filled(weight=lambda rows, b: (b - rows).T), "The sign is turned round"),
    (filled(weight=lambda rows, b: (rows - 2 * b).T), "taken off twice"),
    (filled(weight=lambda rows, b: 0 * rows.T), "asked with zeros only"),
    (filled(weight=None), "b = 5 and W = 8 - 5 = 3"),
    (filled(weight=lambda rows, b: 2 * (rows - b).T), "b = 5 and W = 8 - 5 = 3"),
    (filled(bias=lambda rows, b: 0 * b), "The bias is missing"),
    (filled(bias=lambda rows, b: -b), "sign of the bias"),
    (filled(bias=lambda rows, b: 2 * b), "counted twice"),
    (filled(bias=lambda rows, b: (rows - b).sum(0) + b), "a row of ones"),
    (filled(bias=None), "fill in both"),
    (filled(bias=None, make=partial(nn.Linear, bias=False)), "has a bias"),
    (filled(make=partial(nn.Linear, dtype=torch.float64)), "leave out `.double()`"),
    (lambda layer, width: layer, "It is the given layer"),
    (lambda layer, width: layer(torch.eye(width)), "Return an `nn.Linear`"),
    (lambda layer, width: nn.Linear(width, width + 1), "(d_out, d_in)"),
    (lambda layer, width: nn.Linear(width, layer.linear.out_features), "can only be called"),
    (not_within_no_grad, "within `with torch.no_grad():`"),
    (bare_tensor, "A weight is an `nn.Parameter`"),
]
