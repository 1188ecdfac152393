"""Measure lesson 05 and ship its weights.

``python -m measuring.measure_gpt laptop --data FOLDER --run-dir DIR`` trains the lesson's run with three
seeds and scores it beside its baselines on held-out text (``data/results/gpt_laptop.json``; with ``--data sentences``,
which every installation has, ``gpt_sentences.json``).
``... ship --data FOLDER --run-dir DIR`` takes the newest checkpoint of a long ``course_utils.train gpt`` run, ships it
and measures bits per byte, memorisation, repetition and the gain of the cache (``gpt_reviews.json``).
``... control --data FOLDER`` counts pairs of the shipped network's own tokens (``gpt_control.json``).
``... heads`` looks at what its heads look at, over critics' sentences with *not* (``gpt_heads.json``).
``... transfer`` trains on the manual from the shipped weights and from scratch, three seeds (``gpt_transfer.json``).
"""

import argparse
import functools
import hashlib
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils import results, runtime
from course_utils.datasets import texts
from course_utils.display.widgets import sampling
from course_utils.errors import CourseError
from course_utils.evaluation import attention_heads, language_models
from course_utils.models import attention, shipped
from course_utils.models.attention import GPT, generate
from course_utils.models.gpt_training import TOKENIZER_TEXTS, fine_tune, most_steps
from course_utils.training.checkpoints import newest_generation
from course_utils.training.recipes.gpt import train_gpt
from course_utils.training.settings import SETTINGS
from measuring.whole_runs import whole
from measuring.with_intervals import over_seeds

SEEDS = (0, 1, 2)
DOCUMENTS, CHARACTERS = 1_000, 600
"""Held-out documents that are scored, and the characters of each that count: the same text for all models."""
STRENGTH = 50.0
"""Of the bigram model's smoothing; its best among 1, 5, 20, 50, 100, 300 on held-out reviews is stored as well."""
TRANSFER = {"steps": 60, "batch_size": 8, "context": 128}
SENTENCES = 100
"""On which heads are chosen; they are measured on as many others."""
WRITTEN, TOKENS = 200, 200
"""Texts that are written for the memorisation check, and their tokens."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_gpt",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    does = {
        "laptop": _laptop,
        "ship": _ship,
        "control": _control,
        "heads": _heads,
        "transfer": _transfer,
    }
    parser.add_argument("what", choices=does)
    parser.add_argument("--data", help="a folder of IMDB (laptop, ship, control), or sentences")
    parser.add_argument("--run-dir", type=Path, help="folder of the checkpoints (laptop, ship)")
    parser.add_argument("--note", default="", help="what a reader should know about the run (ship)")
    options = parser.parse_args(argv)
    does[options.what](options)
    return 0


def _laptop(options: argparse.Namespace) -> None:
    settings = SETTINGS["gpt"]["laptop"]
    corpus = texts.load_texts(options.data, settings["documents"])
    judged = _judged(corpus)
    tokenizer = texts.train_tokenizer(corpus.train[:TOKENIZER_TEXTS], settings["vocab"])
    train_ids, ids = texts.encode(tokenizer, corpus.train), texts.encode(tokenizer, judged)
    n_windows = len(texts.windows(train_ids, settings["context"]))
    steps = most_steps(settings["steps"], n_windows, settings["batch_size"])
    settings = {**settings, "steps": steps}
    result: dict[str, Any] = {
        "data": corpus.name,
        "settings": settings,
        "train_documents": len(corpus.train),
        "documents": len(judged),
        "characters": CHARACTERS,
        "train_bytes": sum(len(text.encode()) for text in corpus.train),
        "train_tokens": sum(map(len, train_ids)),
        **baselines(train_ids, ids, judged, settings["vocab"]),
        "with_shipped_tokens": _shipped_beside(corpus, judged),
    }
    name = "gpt_sentences.json" if options.data == "sentences" else "gpt_laptop.json"
    rows = []
    for seed in SEEDS:
        run = runtime.setup(seed)
        training, _ = whole(train_gpt(run, corpus, options.run_dir / f"seed-{seed}", settings))
        model = training.state["gpt"].eval()
        scored = language_models.score(model, ids, judged, settings["context"])
        rows.append({"seed": seed, "seconds": round(training.seconds, 1), **_numbers(scored)})
        print(rows[-1], flush=True)
        result["gpt"] = {"seeds": rows, **_over_seeds(rows)}
        result["parameters"] = sum(p.numel() for p in model.parameters())
        print(results.write(name, result))


def _shipped_beside(corpus: texts.Corpus, judged: Sequence[str]) -> dict[str, Any]:
    """The shipped network on these documents, and pairs of its own tokens, counted in this corpus."""
    model, tokenizer, _ = attention.load_shipped()
    train_ids, ids = texts.encode(tokenizer, corpus.train), texts.encode(tokenizer, judged)
    counted = baselines(train_ids, ids, judged, model.sizes["vocab"])
    nats = language_models.document_nats(model, ids, model.context).numpy()
    strength = counted["bigram_best"]["strength"]
    counts = language_models.bigram_counts(train_ids, model.sizes["vocab"])
    table = language_models.bigram_log_probs(counts, strength).float()
    gain = language_models.document_nats(_lookup(table), ids, model.context).numpy() - nats
    sizes = np.array([len(text.encode()) for text in judged]) * math.log(2)
    low, high = language_models.bootstrap_ratio(gain, sizes)
    return {
        "vocab": model.sizes["vocab"],
        **counted,
        "gpt": _numbers(language_models.score(model, ids, judged, model.context)),
        "ahead": {"value": float(gain.sum() / sizes.sum()), "low": low, "high": high},
    }


def _control(options: argparse.Namespace) -> None:
    """The shipped network's training part (all of it), and pairs of tokens with both vocabularies."""
    corpus, settings = texts.load_texts(options.data), SETTINGS["gpt"]["laptop"]
    judged = _judged(corpus)
    tokenizer = texts.train_tokenizer(corpus.train[:TOKENIZER_TEXTS], settings["vocab"])
    train_ids, ids = texts.encode(tokenizer, corpus.train), texts.encode(tokenizer, judged)
    result = {
        "data": corpus.name,
        "train_documents": len(corpus.train),
        "documents": len(judged),
        "characters": CHARACTERS,
        "small": {"vocab": settings["vocab"]}
        | baselines(train_ids, ids, judged, settings["vocab"]),
        "large": _shipped_beside(corpus, judged),
    }
    print(results.write("gpt_control.json", result))


def _heads(options: argparse.Namespace) -> None:
    """Heads are chosen on the first half of the sentences and measured on the other."""
    model, tokenizer, _ = attention.load_shipped()
    target = tokenizer.encode(" not").ids[0]
    held_out = texts.encode(tokenizer, texts.load_texts("sentences").held_out)
    chosen = [ids for ids in held_out if target in ids[1:-1]][: 2 * SENTENCES]
    weights = functools.partial(sampling.attention_weights, model)
    found, even = attention_heads.over_texts(weights, chosen, target)
    result: dict[str, Any] = {
        "data": "critics' sentences with not, held out",
        "chosen_on": SENTENCES,
        "measured_on": len(chosen) - SENTENCES,
        "target": tokenizer.decode([target]),
    }
    for name in attention_heads.HABITS:
        layer, head = attention_heads.strongest(found[name][:SENTENCES].mean(0))
        rest = found[name][SENTENCES:]
        result[name] = {
            "block": layer + 1,
            "head": head + 1,
            **over_seeds(rest[:, layer, head].tolist()),
            "all_heads": rest.mean().item(),
            "chance": even[name][SENTENCES:].mean().item(),
        }
        print(name, result[name], flush=True)
    print(results.write("gpt_heads.json", result))


def baselines(
    train_ids: Sequence[Sequence[int]],
    ids: Sequence[Sequence[int]],
    judged: Sequence[str],
    vocab: int,
) -> dict[str, Any]:
    """What needs no training: all tokens equally likely, and the bigram counts with their best smoothing."""
    counts = language_models.bigram_counts(train_ids, vocab)
    scores = {}
    for strength in (1.0, 5.0, 20.0, 50.0, 100.0, 300.0):
        table = language_models.bigram_log_probs(counts, strength).float()
        scores[strength] = language_models.score(_lookup(table), ids, judged, 256)
    uniform = language_models.score(
        lambda tokens: torch.zeros(*tokens.shape, vocab), ids, judged, 256
    )
    best = min(scores, key=lambda strength: scores[strength].value)
    return {
        "uniform": _numbers(uniform),
        "bigram": {**_numbers(scores[STRENGTH]), "strength": STRENGTH},
        "bigram_best": {**_numbers(scores[best]), "strength": best},
    }


def _lookup(table: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda tokens: table[tokens]


def _ship(options: argparse.Namespace) -> None:
    corpus, found = texts.load_texts(options.data), newest_generation(options.run_dir)
    if found is None:
        raise CourseError(
            "measure-no-run",
            f"{options.run_dir} holds no checkpoint.",
            "Nothing can be shipped.",
            "Train first.",
        )
    config, judged = found.record["config"], _judged(corpus)
    sizes = {key: config[key] for key in ("vocab", "dim", "layers", "heads", "context")}
    model = GPT(**sizes).eval()
    model.load_state_dict(
        {k.removeprefix("gpt."): v for k, v in found.tensors.items() if k.startswith("gpt.")}
    )
    tokenizer = texts.train_tokenizer(corpus.train[:TOKENIZER_TEXTS], sizes["vocab"])
    tokens = found.step * config["batch_size"] * config["context"]
    facts = {
        "data": config["data"],
        "steps": found.step,
        "epochs": round(tokens / (config["examples"] * config["context"]), 1),
        "seed": config["seed"],
    }
    made_with = results.provenance()  # before weights are written that are not committed
    contents = attention.contents(model, tokenizer, facts)
    content = shipped.write(attention.SHIPPED, *contents).read_bytes()
    stored, tokenizer, _ = attention.load_shipped()
    train_ids, ids = texts.encode(tokenizer, corpus.train), texts.encode(tokenizer, judged)
    result = {
        **facts,
        **sizes,
        "batch_size": config["batch_size"],
        "parameters": sum(p.numel() for p in stored.parameters()),
        "tokens_seen": tokens,
        "train_documents": len(corpus.train),
        "train_bytes": sum(len(text.encode()) for text in corpus.train),
        "seconds": round(found.record["seconds"]),
        "note": options.note,
        "documents": len(judged),
        "characters": CHARACTERS,
        **baselines(train_ids, ids, judged, sizes["vocab"]),
        "gpt": _numbers(language_models.score(stored, ids, judged, sizes["context"])),
        "gpt_float32": _numbers(language_models.score(model, ids, judged, sizes["context"])),
        "written": written(stored, tokenizer, corpus, judged),
        "cache": cache_gain(stored),
        "file_sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    print(results.write("gpt_reviews.json", result, made_with))


def written(
    model: GPT, tokenizer: Any, corpus: texts.Corpus, judged: Sequence[str]
) -> dict[str, Any]:
    """What the model writes from nothing at several temperatures: copied from training, repeated, and examples.

    ``held_out`` is what people wrote who cannot have copied: the base rate of both measures.
    """
    finder, rows = language_models.CopyFinder("\n".join(corpus.train)), {}
    for name, temperature in (("cold", 0.5), ("mild", 0.8), ("plain", 1.0)):
        ids = write(model, temperature)
        rows[name] = {"temperature": temperature, **_about(tokenizer, ids, finder)}
        rows[name]["examples"] = [tokenizer.decode(one) for one in ids[:3]]
    people = [ids[: TOKENS + 1] for ids in texts.encode(tokenizer, corpus.held_out[:WRITTEN])]
    return {
        **rows,
        "held_out": _about(tokenizer, people, finder),
        "texts": WRITTEN,
        "tokens": TOKENS,
    }


@torch.no_grad()
def write(
    model: GPT, temperature: float, count: int = WRITTEN, length: int = TOKENS, seed: int = 0
) -> list[list[int]]:
    """Texts of ``length`` tokens written from nothing, all side by side; each begins with the end token."""
    random, cache = torch.Generator().manual_seed(seed), model.new_cache()
    ids = new = torch.zeros(count, 1, dtype=torch.int64)
    for _ in range(length):
        logits = model(new, cache)[:, -1] / temperature
        new = torch.multinomial(logits.softmax(-1), 1, generator=random)
        ids = torch.cat([ids, new], dim=1)
    return ids.tolist()


def _about(
    tokenizer: Any, ids: Sequence[Sequence[int]], finder: language_models.CopyFinder
) -> dict[str, Any]:
    pieces = [tokenizer.decode(one) for one in ids]
    longest = max((finder.longest(text) for text in pieces), key=len)
    return {
        "copied_50": finder.copied_share(pieces, 50),
        "copied_30": finder.copied_share(pieces, 30),
        "longest_copy": len(longest),
        "longest_copy_text": longest,
        "repeated": statistics.mean(language_models.repeated_share(one) for one in ids),
    }


def cache_gain(model: GPT) -> dict[str, Any]:
    """Seconds with and without the key-value cache, in turns (A B A B), greedy, one text: ratio of the medians."""
    rows = {}
    for length in (50, 100, 250):
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(3):
            for use_cache in (True, False):
                start = time.perf_counter()
                generate(model, [0], length, lambda logits: int(logits.argmax()), use_cache)
                seconds[use_cache].append(time.perf_counter() - start)
        fast, slow = (statistics.median(seconds[use]) for use in (True, False))
        rows[str(length)] = {
            "ratio": slow / fast,
            "tokens_per_second": length / fast,
            "without": length / slow,
        }
    return rows


def _transfer(options: argparse.Namespace) -> None:
    corpus, run = texts.load_texts("manual"), runtime.setup(0)
    pretrained, tokenizer, facts = attention.load_shipped()
    judged = [text[:CHARACTERS] for text in corpus.held_out]
    ids = texts.encode(tokenizer, judged)
    windows = texts.windows(texts.encode(tokenizer, corpus.train), TRANSFER["context"])
    before = language_models.score(pretrained, ids, judged, pretrained.context)
    result: dict[str, Any] = {
        "data": corpus.name,
        "pretrained_on": facts["data"],
        "before": _numbers(before),
    }
    result |= {"documents": len(judged), "settings": TRANSFER}
    for name in ("shipped", "scratch"):
        rows = []
        for seed in SEEDS:
            torch.manual_seed(seed)
            model = attention.load_shipped()[0] if name == "shipped" else GPT(**pretrained.sizes)
            fine_tune(
                model,
                windows,
                TRANSFER["steps"],
                TRANSFER["batch_size"],
                seed,
                autocast=run.autocast,
            )
            scored = language_models.score(model.eval(), ids, judged, pretrained.context)
            rows.append({"seed": seed, **_numbers(scored)})
            print(name, rows[-1], flush=True)
        result[name] = {"seeds": rows, **_over_seeds(rows)}
    print(results.write("gpt_transfer.json", result))


def _judged(corpus: texts.Corpus) -> list[str]:
    return [text[:CHARACTERS] for text in corpus.held_out[:DOCUMENTS]]


def _numbers(scored: language_models.Score) -> dict[str, float]:
    return {**asdict(scored), "perplexity": math.exp(scored.nats_per_token)}


def _over_seeds(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    nats = statistics.mean(row["nats_per_token"] for row in rows)
    return over_seeds([row["value"] for row in rows]) | {
        "nats_per_token": nats,
        "perplexity": math.exp(nats),
    }


if __name__ == "__main__":
    raise SystemExit(main())
