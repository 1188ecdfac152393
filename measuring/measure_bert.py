"""Measure lesson 04: ``python -m measuring.measure_bert WHAT --data IMDB --run-dir DIR``.

- ``data``: lengths, cut tokens and copies of IMDB and of the critics' sentences (``bert_data.json``)
- ``baseline``: bags of words on all 25,000 training reviews, all 25,000 test reviews (``bert_baseline.json``)
- ``long``: one epoch of the 6-layer encoder over all 25,000 at 256 tokens, the same test part (``bert_long.json``)
- ``laptop``: the lesson's run, three seeds, both data sets, bf16 and float32 (``bert_laptop.json``)
- ``curve``: accuracy against the number of sentences, all of the encoder or the head alone (``bert_curve.json``)
- ``pairs``: contrast pairs before and after half of them were trained on, and in a control (``bert_pairs.json``)
- ``lora``: two thin matrices at queries and values against all weights and none (``bert_lora.json``)

Every part goes on where it was cut: runs resume, and what a file holds already is not measured again.
"""

import argparse
import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_utils import results, runtime
from course_utils.datasets import contrast_pairs
from course_utils.datasets.near_duplicates import without_copies
from course_utils.datasets.reviews import ReviewSet, load_reviews
from course_utils.evaluation.bag_of_words import bag_of_words
from course_utils.models import bert, lora
from course_utils.models.pretrained import Encoder, load_encoder
from course_utils.training.recipes.bert import fine_tune
from course_utils.training.settings import SETTINGS
from measuring.with_intervals import over_seeds, share

SEEDS = (0, 1, 2)
LONG = {"epochs": 1, "max_tokens": 256, "keep": "head", "batch_size": 16, "learning_rate": 1e-4}
CURVE = {"max_tokens": 128, "keep": "ends", "batch_size": 16, "learning_rate": 1e-4}
EPOCHS = {100: 10, 300: 6, 1_000: 3, 3_000: 2}
"""Of the learning curve, on the critics' sentences: few examples are seen more often."""
REPAIR = {"others": 180, "epochs": 4, "batch_size": 16, "learning_rate": 1e-4}
"""Of the repair: so many sentences of the training part beside the pairs'."""
LORA: dict[str, Any] = {
    "rank": 8,
    "alpha": 16.0,
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 2e-3,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_bert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = {
        "data": _data,
        "baseline": _baseline,
        "long": _long,
        "laptop": _laptop,
        "curve": _curve,
        "pairs": _pairs,
        "lora": _lora,
    }
    parser.add_argument("what", choices=parts)
    parser.add_argument("--data", required=True, help="IMDB: its authors' folder or archive")
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of the checkpoints")
    options = parser.parse_args(argv)
    parts[options.what](options)
    return 0


def difference(first: Tensor, second: Tensor) -> dict[str, float]:
    """Accuracy of the first minus that of the second on the same N reviews, with a 95 % interval (paired)."""
    gap = first.double() - second.double()
    half = 1.96 * (gap.std() / len(gap) ** 0.5).item()
    return {
        "value": gap.mean().item(),
        "low": gap.mean().item() - half,
        "high": gap.mean().item() + half,
    }


def all_training(source: str) -> ReviewSet:
    """The whole training part: what is kept for decisions elsewhere is trained on too, once decisions are made."""
    train, held = load_reviews(source, "train"), load_reviews(source, "validation")
    return replace(
        train,
        texts=train.texts + held.texts,
        labels=torch.cat([train.labels, held.labels]),
        films=None,
    )


def _data(options: argparse.Namespace) -> None:
    tokenizer = load_encoder("small", tier="laptop", texts=[])
    result: dict[str, Any] = {}
    for key, source in (("imdb", options.data), ("sentences", "sentences")):
        train, test = all_training(source), load_reviews(source, "test")
        lengths = torch.tensor([len(ids) for ids in tokenizer.encode(train.texts, 1 << 20)])
        _, found = without_copies(train, test)
        result[key] = {
            "name": train.name,
            "train": len(train),
            "test": len(test),
            "positive": train.labels.float().mean().item(),
            "mean_tokens": lengths.float().mean().item(),
            "median_tokens": lengths.median().item(),
            "longer": {str(n): (lengths > n).float().mean().item() for n in (64, 128, 256, 512)},
            "cut": {
                str(n): ((lengths - n).clamp(min=0).sum() / lengths.sum()).item()
                for n in (64, 128, 256, 512)
            },
            "copies": {"exact": found.exact, "near": found.near, "in_held": found.in_held},
        }
        print(result[key], flush=True)
    results.write("bert_data.json", result)


def _baseline(options: argparse.Namespace) -> None:
    train, test = all_training(options.data), load_reviews(options.data, "test")
    result: dict[str, Any] = {"data": train.name, "train": len(train), "test": len(test)}
    for name, pairs in (("words", False), ("pairs", True)):
        model = bag_of_words(pairs).fit(train.texts, train.labels.numpy())
        right = torch.from_numpy(model.predict(test.texts)) == test.labels
        torch.save(right, options.run_dir / f"baseline-{name}.pt")
        result[name] = share(right) | {"features": len(model[0].vocabulary_)}
        print(name, result[name], flush=True)
    results.write("bert_baseline.json", result)


def _long(options: argparse.Namespace) -> None:
    run, encoder = runtime.setup(0), load_encoder("small", tier="laptop", texts=[])
    train, test = all_training(options.data), load_reviews(options.data, "test")
    training, means = fine_tune(run, encoder, train, options.run_dir / "long", LONG)
    sequences = encoder.encode(test.texts, LONG["max_tokens"], LONG["keep"])
    logits = bert.predict(encoder.model, sequences, encoder.tokenizer.pad_token_id, run.autocast)
    torch.save(logits, options.run_dir / "long-logits.pt")
    right = logits.argmax(1) == test.labels
    words = {n: torch.load(options.run_dir / f"baseline-{n}.pt") for n in ("words", "pairs")}
    result = {
        "data": train.name,
        "encoder": encoder.name,
        "train": len(train),
        "settings": LONG,
        "seed": 0,
        "seconds": round(training.seconds),
        "number_format": str(run.autocast_dtype),
        "accuracy": share(right),
        "above": {name: difference(right, other) for name, other in words.items()},
        "last_training": means,
        "loss": [
            [s, v] for s, v in zip(training.history["step"], training.history["loss"], strict=True)
        ][::10],
    }
    print({k: v for k, v in result.items() if k != "loss"}, flush=True)
    results.write("bert_long.json", result)


def _laptop(options: argparse.Namespace) -> None:
    settings = SETTINGS["bert"]["laptop"]
    result = results.earlier("bert_laptop.json") | {"settings": settings}
    for key, source in (
        ("sentences", "sentences"),
        ("imdb", options.data),
        ("imdb_head", options.data),
    ):
        chosen = {**settings, "keep": "head"} if key == "imdb_head" else settings
        train, test = (
            load_reviews(source, limit=settings["reviews"]),
            load_reviews(source, "test", settings["test"]),
        )
        train, _ = without_copies(train, test)
        words = torch.from_numpy(
            bag_of_words().fit(train.texts, train.labels.numpy()).predict(test.texts)
        )
        entry = result.setdefault(
            key, {"data": train.name, "train": len(train), "test": len(test), "seeds": {}}
        )
        entry["words"] = share(words == test.labels)
        for number_format in ("bf16", "float32") if key == "sentences" else ("bf16",):
            for seed in SEEDS:
                place = f"{number_format}-{seed}"
                if place in entry["seeds"]:
                    continue
                run = runtime.setup(seed)
                run = run if number_format == "bf16" else replace(run, autocast_dtype=None)
                right = _right(run, train, test, options.run_dir / f"laptop-{key}-{place}", chosen)
                entry["seeds"][place] = share(right) | {
                    "above": difference(right, words == test.labels)
                }
                print(key, place, entry["seeds"][place], flush=True)
                results.write("bert_laptop.json", result)
        for number_format in ("bf16", "float32"):
            values = [
                row["value"]
                for place, row in entry["seeds"].items()
                if place.startswith(number_format)
            ]
            if values:
                entry[number_format] = over_seeds(values)
        entry["above"] = over_seeds(
            [r["above"]["value"] for p, r in entry["seeds"].items() if p.startswith("bf16")]
        )
        results.write("bert_laptop.json", result)


def _curve(options: argparse.Namespace) -> None:
    everything, test = load_reviews("sentences"), load_reviews("sentences", "test")
    everything, _ = without_copies(everything, test)
    result = results.earlier("bert_curve.json") | {
        "data": everything.name,
        "settings": CURVE,
        "test": len(test),
    }
    result["epochs"] = {str(n): e for n, e in EPOCHS.items()}
    for n, epochs in EPOCHS.items():
        for seed in SEEDS:
            train = everything.subset(
                torch.arange(len(everything)).roll(-3_000 * seed)[:n]
            )  # others for each seed
            rows = result.setdefault(str(n), {}).setdefault("seeds", {})
            model = bag_of_words().fit(train.texts, train.labels.numpy())
            rows[f"words-{seed}"] = share(
                torch.from_numpy(model.predict(test.texts)) == test.labels
            )
            for kind in ("full", "frozen"):
                if f"{kind}-{seed}" in rows:
                    continue
                chosen = {**CURVE, "epochs": epochs, "frozen": kind == "frozen"}
                chosen["learning_rate"] = 1e-3 if kind == "frozen" else CURVE["learning_rate"]
                folder = options.run_dir / f"curve-{n}-{kind}-{seed}"
                rows[f"{kind}-{seed}"] = share(
                    _right(runtime.setup(seed), train, test, folder, chosen)
                )
                print(n, kind, seed, rows[f"{kind}-{seed}"], flush=True)
                results.write("bert_curve.json", result)
        for kind in ("words", "full", "frozen"):
            result[str(n)][kind] = over_seeds([rows[f"{kind}-{seed}"]["value"] for seed in SEEDS])
        results.write("bert_curve.json", result)


def _pairs(options: argparse.Namespace) -> None:
    """Three fine-tuned encoders, each repaired and each trained as long without the pairs."""
    settings = SETTINGS["bert"]["laptop"]
    train, test = _sentences(settings)
    result: dict[str, Any] = {"data": train.name, "train": len(train), "test": len(test)}
    trained, kept = contrast_pairs.halves()
    result |= {"settings": REPAIR, "trained": len(trained), "kept": len(kept)}
    rows: dict[str, list[dict[str, Tensor]]] = {}
    for seed in SEEDS:
        encoder = _fine_tuned(seed, train, options.run_dir)
        chances = torch.Generator().manual_seed(seed)
        others = train.subset(torch.randperm(len(train), generator=chances)[: REPAIR["others"]])
        more = train.subset(torch.randperm(len(train), generator=chances)[-2 * len(trained) :])
        texts, labels = contrast_pairs.flat(trained)
        ways = {
            "before": None,
            "control": (more.texts, more.labels),
            "repaired": (tuple(texts), labels),
        }
        for way, added in ways.items():
            model = copy.deepcopy(encoder.model)
            if added:
                _train_on(
                    replace(encoder, model=model),
                    (*others.texts, *added[0]),
                    torch.cat([others.labels, added[1]]),
                    REPAIR,
                    seed,
                )
            right = _asked(replace(encoder, model=model), test)
            rows.setdefault(way, []).append(right)
            print(seed, way, {k: f"{v.float().mean():.3f}" for k, v in right.items()}, flush=True)
    counter = bag_of_words(True).fit(train.texts, train.labels.numpy())
    rows["words"] = [_answers(lambda texts: torch.from_numpy(counter.predict(texts)), test)]
    for way, answers in rows.items():
        result[way] = {
            name: share(torch.cat([row[name] for row in answers])) for name in answers[0]
        }
        result[way]["seeds"] = {
            name: [int(row[name].sum()) for row in answers] for name in answers[0]
        }
        if len(answers) > 1:  # one run has no interval over seeds
            result[way]["accuracy"] = over_seeds(
                [row["test"].float().mean().item() for row in answers]
            )
    results.write("bert_pairs.json", result)


def _lora(options: argparse.Namespace) -> None:
    """LoRA, all weights, and pooler and head alone: the same sentences, three seeds."""
    settings = SETTINGS["bert"]["laptop"]
    train, test = _sentences(settings)
    result: dict[str, Any] = {"data": train.name, "train": len(train), "test": len(test)}
    result["settings"] = LORA
    rights: dict[str, list[Tensor]] = {"full": [], "lora": [], "head": []}
    for seed in SEEDS:
        encoder = _fine_tuned(seed, train, options.run_dir)
        rights["full"].append(_asked(encoder, test)["test"])
        for way in ("lora", "head"):
            encoder = load_encoder("small", tier="laptop", texts=[], seed=seed)
            rank = LORA["rank"] if way == "lora" else 0
            torch.manual_seed(seed)
            result[f"share_{way}"] = lora.add(encoder.model, rank, LORA["alpha"])
            result[f"weights_{way}"] = lora.trainable(encoder.model)
            _train_on(encoder, train.texts, train.labels, LORA, seed)
            rights[way].append(_asked(encoder, test)["test"])
        print(seed, {k: f"{v[-1].float().mean():.3f}" for k, v in rights.items()}, flush=True)
    for way, answers in rights.items():
        result[way] = over_seeds([right.float().mean().item() for right in answers])
        result[way]["seeds"] = [right.float().mean().item() for right in answers]
    means = {way: torch.stack(answers).double().mean(0) for way, answers in rights.items()}
    result["below_full"] = difference(means["lora"], means["full"])
    results.write("bert_lora.json", result)


def _sentences(settings: Any) -> tuple[ReviewSet, ReviewSet]:
    train = load_reviews("sentences", limit=settings["reviews"])
    test = load_reviews("sentences", "test", settings["test"])
    return without_copies(train, test)[0], test


def _fine_tuned(seed: int, train: ReviewSet, run_dir: Path) -> Encoder:
    encoder = load_encoder("small", tier="laptop", texts=[], seed=seed)
    settings = SETTINGS["bert"]["laptop"]
    fine_tune(runtime.setup(seed), encoder, train, run_dir / f"pairs-{seed}", settings)
    return encoder


def _train_on(
    encoder: Encoder, texts: Sequence[str], labels: Tensor, settings: dict[str, Any], seed: int
) -> None:
    run, size = runtime.setup(seed), settings["batch_size"]
    chances = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(texts), generator=chances) for _ in range(settings["epochs"])]
    batches = [batch for order in orders for batch in order.split(size)]
    sequences = encoder.encode(texts, 128, "ends")
    rate, pad_id = settings["learning_rate"], encoder.tokenizer.pad_token_id
    bert.train_on(encoder.model, sequences, labels, batches, rate, pad_id, run.autocast)


def _asked(encoder: Encoder, test: ReviewSet) -> dict[str, Tensor]:
    def answer(texts: Sequence[str]) -> Tensor:
        sequences, pad_id = encoder.encode(texts, 128, "ends"), encoder.tokenizer.pad_token_id
        return bert.predict(encoder.model, sequences, pad_id, runtime.setup(0).autocast).argmax(1)

    return _answers(answer, test)


def _answers(answer: Callable[[Sequence[str]], Tensor], test: ReviewSet) -> dict[str, Tensor]:
    """Which pairs (both sentences) and which test reviews are right."""
    kept = contrast_pairs.halves()[1]
    groups = {
        "opening": (contrast_pairs.OPENING,),
        "negations": contrast_pairs.NEGATIONS,
        "kept": kept,
    }
    groups |= {
        f"kept_{kind}": [pair for pair in pairs if pair in kept]
        for kind, pairs in contrast_pairs.PAIRS.items()
    }
    scores = {
        name: contrast_pairs.score(answer(contrast_pairs.flat(pairs)[0]))
        for name, pairs in groups.items()
    }
    return {
        **{name: score.both for name, score in scores.items()},
        **{f"{name}_sentences": scores[name].sentences for name in ("negations", "kept")},
        "test": answer(test.texts) == test.labels,
    }


def _right(
    run: runtime.Runtime, train: ReviewSet, test: ReviewSet, folder: Path, settings: dict[str, Any]
) -> Tensor:
    """Fine-tune a fresh encoder and tell which test reviews it gets right: (N,) bool."""
    encoder = load_encoder("small", tier="laptop", texts=[], seed=run.seed)
    fine_tune(run, encoder, train, folder, settings)
    sequences = encoder.encode(test.texts, settings["max_tokens"], settings["keep"])
    logits = bert.predict(encoder.model, sequences, encoder.tokenizer.pad_token_id, run.autocast)
    return logits.argmax(1) == test.labels


if __name__ == "__main__":
    raise SystemExit(main())
