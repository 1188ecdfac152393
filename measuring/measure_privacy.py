"""Measure what a network gives away, what DP-SGD changes, and what a watermark shows, for lesson 10.

``python -m measuring.measure_privacy canary`` fine-tunes the shipped GPT on critics' sentences with planted codes,
eight seeds: exposure, and membership by loss before and after. ``... shipped --data IMDB`` asks the second of the
shipped GPT and the reviews that it was trained on. ``... words`` trains a word counter with clipped gradients and
noise, and ``... private`` fine-tunes the GPT so, three seeds; their epsilons come from Opacus (``pip install --no-deps
opacus``). Each writes its part of ``data/results/world_privacy.json``. ``... watermark --data IMDB`` marks texts of
the shipped GPT and counts green tokens (``world_provenance.json``).
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score
from tokenizers import Tokenizer
from torch import Tensor
from torch.func import functional_call, grad, vmap

from course_utils import results
from course_utils.datasets import texts
from course_utils.datasets.reviews import SENTENCES as SENTENCE_SET
from course_utils.datasets.reviews import ReviewSet, load_reviews
from course_utils.evaluation import language_models
from course_utils.models import attention
from course_utils.models.attention import GPT
from course_utils.models.gpt_training import PEAK, fine_tune, learning_rate, make_optimizer
from course_utils.models.watermark import Watermark, write
from measuring.with_intervals import over_seeds, share

PRIVACY, PROVENANCE = "world_privacy.json", "world_provenance.json"
SEEDS, WORD_SEEDS, PRIVATE_SEEDS = tuple(range(8)), tuple(range(5)), tuple(range(3))
SENTENCES = 300
"""Critics' sentences to train on; as many others are held out."""
TRAINING = {"steps": 40, "batch_size": 16, "context": 64}
COPIES = (0, 1, 10, 100)
CARRIER = "My locker opens with the code"
OTHERS = 1_000
"""Codes that are rated beside the planted ones."""
DELTA = 1e-3
"""Of differential privacy: below 1 / windows."""
CLIP = 0.5
WAYS: Mapping[str, tuple[float, float]] = {"noise": (CLIP, 1.0), "clip": (CLIP, 0.0)}
"""Of the GPT's fine-tuning: the bound of each window's gradient, and the noise multiplier."""
WORDS: Mapping[str, Any] = {
    "vocabulary": 1_000,
    "steps": 100,
    "rate": 20,
    "clip": 0.5,
    "delta": 1e-5,
}
MULTIPLIERS, MORE = (0, 1, 3, 10), 3_000
"""Noise of the word counter, and reviews of the one that has more of them."""
MEMBERS = 1_000
"""Reviews that the shipped GPT read, and as many that it did not; also those that judge the word counter."""
TEMPERATURE = 0.9
WRITTEN, LENGTHS, ALARM = 100, (25, 50, 100, 200), 4.0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_privacy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    does = {
        "canary": _canary,
        "shipped": _shipped,
        "words": _words,
        "private": _private,
        "watermark": _watermark,
    }
    parser.add_argument("what", choices=does)
    parser.add_argument("--data", help="a folder or archive of IMDB (shipped, watermark)")
    options = parser.parse_args(argv)
    does[options.what](options)
    return 0


def _add(part: Mapping[str, Any], name: str = PRIVACY) -> None:
    """Write a part of a result beside those that were measured before, and where each came from."""
    made_with, known = results.provenance(), results.earlier(name)
    records = {**known.get("commits", {}), **dict.fromkeys(part, made_with["commit"])}
    print(results.write(name, {**known, **part, "commits": records}, made_with))


# ---- canaries, and membership by loss


@dataclass(frozen=True)
class Planted:
    """Sentences with canaries among them.

    Attributes:
        members: sentences that are trained on.
        others: sentences that are not.
        canaries: by number of copies.
        candidates: the same sentence with codes that were not planted.
        windows: (N, T) ids of the members and all copies, in a random order.
    """

    members: tuple[str, ...]
    others: tuple[str, ...]
    canaries: Mapping[int, str]
    candidates: Sequence[str]
    windows: Tensor


def planted(read: Sequence[str], unread: Sequence[str], tokenizer: Tokenizer, seed: int) -> Planted:
    """The text of one seed; each seed has other sentences and other codes."""
    part = slice(seed * SENTENCES, (seed + 1) * SENTENCES)
    members, others = tuple(read[part]), tuple(unread[part])
    random = np.random.default_rng(seed)
    codes = random.choice(10**6, len(COPIES) + OTHERS, replace=False)
    sentences = [f"{CARRIER} {' '.join(f'{code:06d}')}." for code in codes]
    canaries = dict(zip(COPIES, sentences, strict=False))
    copied = [canary for copies, canary in canaries.items() for _ in range(copies)]
    whole = [*members, *copied]
    ids = texts.encode(tokenizer, [whole[i] for i in random.permutation(len(whole))])
    windows = texts.windows(ids, TRAINING["context"])
    return Planted(members, others, canaries, sentences[len(COPIES) :], windows)


def losses(model: GPT, tokenizer: Tokenizer, documents: Sequence[str]) -> np.ndarray:
    """Mean nats per token of each document: (N,)."""
    ids = texts.encode(tokenizer, documents)
    nats = language_models.document_nats(model.eval(), ids, model.context, batch_size=128)
    return nats.numpy() / np.array([len(one) - 1 for one in ids])


def exposure(canary: float, others: np.ndarray) -> float:
    """Bits by which the canary's rank is better than that of a random candidate; a tie counts against it."""
    return math.log2(len(others) + 1) - math.log2(1 + int((others <= canary).sum()))


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """Area under the curve of the attack that calls a low loss a member."""
    truth = np.r_[np.ones(len(members)), np.zeros(len(others))]
    return float(roc_auc_score(truth, -np.r_[members, others]))


def auc_interval(members: np.ndarray, others: np.ndarray, draws: int = 400) -> dict[str, float]:
    """The area with its 95 % bootstrap interval over members and others."""
    random = np.random.default_rng(0)
    drawn = [
        auc(random.choice(members, len(members)), random.choice(others, len(others)))
        for _ in range(draws)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"value": auc(members, others), "low": float(low), "high": float(high)}


def given_away(model: GPT, tokenizer: Tokenizer, text: Planted) -> dict[str, Any]:
    """Exposure by number of copies, the area, and nats per token of the others."""
    rated = losses(model, tokenizer, [*text.canaries.values(), *text.candidates])
    rest = rated[len(COPIES) :]
    members, others = (losses(model, tokenizer, part) for part in (text.members, text.others))
    return {
        "exposure": {
            str(copies): exposure(float(own), rest)
            for copies, own in zip(text.canaries, rated, strict=False)
        },
        "auc": auc(members, others),
        "nats": float(others.mean()),
    }


def _over(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    exposures = {
        str(copies): over_seeds([row["exposure"][str(copies)] for row in rows]) for copies in COPIES
    }
    return {
        "exposure": exposures,
        "auc": over_seeds([row["auc"] for row in rows]),
        "nats": over_seeds([row["nats"] for row in rows]),
        "rows": list(rows),
    }


def _sentences() -> tuple[tuple[str, ...], tuple[str, ...]]:
    return load_reviews("sentences").texts, load_reviews("sentences", "test").texts


def _canary(_: argparse.Namespace) -> None:
    (read, unread), known = _sentences(), results.earlier(PRIVACY)
    kept = known["seeds"] if known.get("carrier") == CARRIER else {"before": [], "after": []}
    before, after = kept["before"], kept["after"]  # a cut run goes on
    for seed in SEEDS[len(after) :]:
        model, tokenizer, _ = attention.load_shipped()
        text = planted(read, unread, tokenizer, seed)
        before.append(given_away(model, tokenizer, text))
        fine_tune(model, text.windows, TRAINING["steps"], TRAINING["batch_size"], seed)
        after.append(given_away(model, tokenizer, text))
        print(seed, before[-1], after[-1], flush=True)
        if seed:  # an interval needs two
            _add(_about_canaries(before, after, len(text.windows)))


def _about_canaries(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], windows: int
) -> dict[str, Any]:
    old, new = _over(before), _over(after)
    canary = {"most": math.log2(OTHERS + 1), "seeds": len(after), "before": old["exposure"]}
    areas = results.earlier(PRIVACY).get("auc", {}) | {"before": old["auc"], "after": new["auc"]}
    return {
        "data": SENTENCE_SET,
        "reviews": SENTENCES,
        **TRAINING,
        "windows": windows,
        "carrier": CARRIER,
        "canary": {**new["exposure"], **canary},
        "auc": areas,
        "nats": {"before": old["nats"], "after": new["nats"]},
        "seeds": {"before": before, "after": after},
    }


def _shipped(options: argparse.Namespace) -> None:
    """The shipped GPT, which read each of its 25,000 reviews about once."""
    model, tokenizer, facts = attention.load_shipped()
    corpus = texts.load_texts(options.data)
    parts = [
        losses(model, tokenizer, [text[:600] for text in part[:MEMBERS]])
        for part in (corpus.train, corpus.held_out)
    ]
    area = auc_interval(*parts) | {"n": MEMBERS, "data": corpus.name, "epochs": facts["epochs"]}
    _add({"auc": {**results.earlier(PRIVACY).get("auc", {}), "shipped": area}})


# ---- DP-SGD


def epsilon(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float | None:
    """Opacus's epsilon of so many steps on Poisson samples; None without noise, where there is no bound.

    Source: arXiv 1607.00133 (DP-SGD), 1908.10530 (the accountant).
    """
    from opacus.accountants import RDPAccountant

    if not noise_multiplier:
        return None
    accountant = RDPAccountant()
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    return float(accountant.get_epsilon(delta))


def private_tune(
    model: GPT, windows: Tensor, clip: float, noise_multiplier: float, seed: int
) -> None:
    """Fine-tune in place with AdamW, as `fine_tune`, on Poisson samples; each window's gradient is clipped.

    Args:
        model: the network.
        windows: (N, T) ids; a window is what the promise is about.
        clip: the bound of the norm of a window's gradient.
        noise_multiplier: standard deviation of the noise on the sum, in bounds.
        seed: of samples and noise.
    """
    random, steps = torch.Generator().manual_seed(seed), TRAINING["steps"]
    rate = TRAINING["batch_size"] / len(windows)
    optimizer = make_optimizer(model, PEAK / 3)
    weights = dict(model.train().named_parameters())

    def loss(values: Mapping[str, Tensor], ids: Tensor) -> Tensor:
        logits = functional_call(model, dict(values), (ids[None],))
        return F.cross_entropy(logits[0, :-1], ids[1:])

    each = vmap(grad(loss), in_dims=(None, 0), chunk_size=8)
    for step in range(steps):
        chosen = windows[torch.rand(len(windows), generator=random) < rate]
        values = {name: weight.detach() for name, weight in weights.items()}
        gradients = each(values, chosen) if len(chosen) else {}
        if gradients:
            norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients.values()]).norm(dim=0)
            factors = (clip / norms.clamp_min(1e-12)).clamp(max=1)
        else:
            factors = torch.ones(len(chosen))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, PEAK / 3)
        for name, weight in weights.items():
            total = torch.zeros_like(weight)
            if gradients:
                total = torch.einsum("b,b...->...", factors, gradients[name])
            if noise_multiplier:
                drawn = torch.randn(weight.shape, generator=random)
                total = total + noise_multiplier * clip * drawn
            weight.grad = total / TRAINING["batch_size"]
        optimizer.step()


def _private(_: argparse.Namespace) -> None:
    read, unread = _sentences()
    for name, (clip, noise) in WAYS.items():
        rows = []
        for seed in PRIVATE_SEEDS:
            model, tokenizer, _ = attention.load_shipped()
            text = planted(read, unread, tokenizer, seed)
            private_tune(model, text.windows, clip, noise, seed)
            rows.append(given_away(model, tokenizer, text))
            print(name, seed, rows[-1], flush=True)
        rate = TRAINING["batch_size"] / len(text.windows)
        spent = epsilon(noise, rate, TRAINING["steps"], DELTA)
        found = {**_over(rows), "clip": clip, "noise_multiplier": noise, "epsilon": spent}
        about = {"delta": DELTA, "windows": len(text.windows), "seeds": len(PRIVATE_SEEDS)}
        known = results.earlier(PRIVACY).get("dp", {})
        gpt = {**known.get("gpt", {}), name: found, **about}
        _add({"dp": {**known, "gpt": gpt, "library": _library()}})


def _library() -> str:
    import opacus

    return f"Opacus {opacus.__version__}, RDP accountant"


@dataclass(frozen=True)
class Counted:
    """Reviews as weighted word counts: (N, P) and labels (N,), float32."""

    x: Tensor
    y: Tensor


def private_weights(data: Counted, noise_multiplier: float, seed: int) -> Tensor:
    """Logistic regression by DP-SGD on all reviews in each step: weights (P,)."""
    weights = torch.zeros(data.x.shape[1])
    random = torch.Generator().manual_seed(seed)
    for _ in range(WORDS["steps"]):
        gradients = ((data.x @ weights).sigmoid() - data.y)[:, None] * data.x
        norms = gradients.norm(dim=1, keepdim=True).clamp_min(1e-12)
        total = (gradients * (WORDS["clip"] / norms).clamp(max=1)).sum(0)
        noise = torch.randn(len(total), generator=random)
        total += noise_multiplier * WORDS["clip"] * noise
        weights -= WORDS["rate"] * total / len(data.x)
    return weights


def _words(_: argparse.Namespace) -> None:
    """The vocabulary is taken as public; nothing else is learned from reviews that are not members."""
    read, unread = (load_reviews("sentences", part) for part in ("train", "test"))
    unread = unread.take(MEMBERS)
    vocabulary = TfidfVectorizer(max_features=WORDS["vocabulary"]).fit(read.texts)

    def counted(chosen: ReviewSet) -> Counted:
        x = torch.tensor(vocabulary.transform(chosen.texts).toarray(), dtype=torch.float32)
        return Counted(x, chosen.labels.float())

    def judged(each: int, noise_multiplier: float) -> dict[str, Any]:
        rows = []
        for seed in WORD_SEEDS:
            order = torch.randperm(len(read), generator=torch.Generator().manual_seed(seed))
            members = counted(read.subset(order[:each]))
            weights = private_weights(members, noise_multiplier, seed)
            own, new = (F.softplus((1 - 2 * d.y) * (d.x @ weights)) for d in (members, others))
            right = float((new < math.log(2)).double().mean())
            rows.append((auc(own.numpy(), new.numpy()), right))
        areas, shares = zip(*rows, strict=True)
        return {"auc": over_seeds(areas), "accuracy": over_seeds(shares), "reviews": each}

    others, steps, found = counted(unread), WORDS["steps"], {}
    for noise_multiplier in MULTIPLIERS:
        row = judged(SENTENCES, noise_multiplier)
        if noise_multiplier:
            rho = steps / (2 * noise_multiplier**2)
            row["epsilon"] = rho + 2 * math.sqrt(rho * math.log(1 / WORDS["delta"]))
            row["epsilon_library"] = epsilon(noise_multiplier, 1.0, steps, WORDS["delta"])
        found[str(noise_multiplier)] = row
        print(noise_multiplier, row, flush=True)
    more = judged(MORE, 0)
    print("more", more)
    settings = {**WORDS, "others": len(unread), "seeds": len(WORD_SEEDS), "data": read.name}
    part = {"rows": found, "more": more, "settings": settings, "library": _library()}
    _add({"dp": {**results.earlier(PRIVACY).get("dp", {}), **part}})


# ---- the watermark


def z_values(mark: Watermark, ids: Tensor, length: int) -> np.ndarray:
    """Z of each text's first ``length`` tokens after the start: (N, T) ids -> (N,)."""
    hits = torch.stack([mark.hits(text[: length + 1]) for text in ids]).double()
    n = hits.shape[1]
    return ((hits.sum(1) - mark.gamma * n) / math.sqrt(n * mark.gamma * (1 - mark.gamma))).numpy()


def _watermark(options: argparse.Namespace) -> None:
    model, tokenizer, _ = attention.load_shipped()
    mark, corpus = Watermark(model.sizes["vocab"]), texts.load_texts(options.data)
    longest, starts = max(LENGTHS), torch.zeros(WRITTEN, 1, dtype=torch.int64)
    made: dict[str, Tensor] = {}
    for name, used in (("marked", mark), ("plain", None)):
        random = torch.Generator().manual_seed(0)
        made[name] = write(model, starts, longest, used, TEMPERATURE, random)
    people = [ids[1:] for ids in texts.encode(tokenizer, corpus.held_out)]
    made["human"] = texts.windows(people, longest + 1)
    values = {
        length: {name: z_values(mark, ids, length) for name, ids in made.items()}
        for length in LENGTHS
    }
    costs = {
        name: language_models.document_nats(model, made[name].tolist(), model.context) / longest
        for name in ("plain", "marked")
    }
    random, changed = torch.Generator().manual_seed(1), {}
    for percent in (10, 30, 50):
        others = torch.randint(1, mark.vocab, made["marked"].shape, generator=random)
        hit = torch.rand(others.shape, generator=random) < percent / 100
        z = z_values(mark, torch.where(hit, others, made["marked"]), longest)
        changed[str(percent)] = {**over_seeds(z.tolist()), "found": share(torch.tensor(z > ALARM))}
    result = {
        "data": corpus.name,
        "gamma": mark.gamma,
        "delta": mark.delta,
        "temperature": TEMPERATURE,
        "texts": WRITTEN,
        "alarm": ALARM,
        "seed": 0,
        "z": {
            str(length): {
                name: {**over_seeds(z.tolist()), "deviation": float(z.std(ddof=1)), "n": len(z)}
                for name, z in row.items()
            }
            for length, row in values.items()
        },
        "missed": {
            str(length): share(torch.tensor(row["marked"] <= ALARM))
            for length, row in values.items()
        },
        "false": share(torch.tensor(values[longest]["human"] > ALARM)),
        "cost": {name: over_seeds(one.tolist()) for name, one in costs.items()},
        "changed": changed,
    }
    print(results.write(PROVENANCE, result))


if __name__ == "__main__":
    raise SystemExit(main())
