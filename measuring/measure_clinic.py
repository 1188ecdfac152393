"""Measure what lesson 07 quotes: ``python -m measuring.measure_clinic [traces] [imdb --data IMDB]``.

- ``traces``: histories of runs that fail silently, of the decoys, and of healthy runs (``clinic_traces.json``)
- ``imdb``: a bag-of-words classifier on 25,000 reviews, sorted by label against shuffled, three seeds
  (``clinic_imdb.json``); its histories, healthy and sorted, and those of a regression in its place, go there too

About three minutes on one core.
"""

import argparse
import datetime
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import HashingVectorizer
from torch import Tensor, nn

from course_utils import results, runtime
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import ReviewSet, load_reviews
from course_utils.evaluation.scores import mean_interval
from course_utils.models import vae
from measuring.gan_faults import Loop, draw_real, make_players

HEALTHY, COPIES, SEEDS = 10, 5, (0, 1, 2)
GAN_STEPS, GAN_EVERY, VAE_STEPS = 1_500, 20, 120
WORDS, BATCH, LOG_EVERY = 2**14, 16, 10
History = dict[str, list[float]]


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_clinic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="+", choices=("traces", "imdb"))
    parser.add_argument("--data", help="IMDB: its authors' folder or archive")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if "traces" in options.what:
        _write("clinic_traces.json", measure_traces)
    if "imdb" in options.what:
        _write("clinic_imdb.json", lambda: measure_imdb(options.data))


def _write(name: str, measure: Callable[[], dict[str, Any]]) -> None:
    runtime.setup(seed=0, quiet=True)
    started = time.perf_counter()
    content = measure()
    facts = {
        "seed": 0,
        "date": str(datetime.date.today()),
        "seconds": round(time.perf_counter() - started, 1),
    }
    results.write(name, content | facts)
    print(f"{name}: {facts['seconds']} s", flush=True)


def _rounded(history: History) -> History:
    return {name: [float(f"{v:.4g}") for v in values] for name, values in history.items()}


# ---- decoys: steps of lesson 01's toy that look wrong and are right


def _play_decoy(
    g: nn.Module, d: nn.Module, g_opt: Any, d_opt: Any, real: Tensor, noise: Tensor, kind: str
) -> dict:
    def against(logits: Tensor, label: float) -> Tensor:
        labels = (
            buffer[:, : logits.shape[1]].fill_(label)
            if kind == "labels filled in place"
            else torch.full_like(logits, label)
        )
        return F.binary_cross_entropy_with_logits(logits, labels)

    buffer = torch.empty(real.shape[0], 128, 1)
    real = real[:, :80] if kind == "more noise than data" else real
    d_opt.zero_grad()
    a = d(real)
    real_loss = against(a, 1.0)
    real_loss.backward()  # before the labels are filled again
    fake = g(noise)
    b = d(fake.detach())
    fake_loss = against(b, 0.0)
    fake_loss.backward()
    d_opt.step()
    again = g(noise) if kind == "fakes made again" else fake
    g_opt.zero_grad()
    g_loss = against(d(again), 1.0)
    g_loss.backward()
    g_opt.step()
    one = {
        "d_real": a.sigmoid(),
        "d_fake": b.sigmoid(),
        "diversity": fake.std(1),
        "real_diversity": real.std(1),
    }
    losses = {"d_loss": (real_loss + fake_loss).item(), "g_loss": g_loss.item()}
    return losses | {name: value.mean().item() for name, value in one.items()}


DECOYS = ("labels filled in place", "fakes made again", "more noise than data")


def record_decoy(kind: str, seed: int) -> History:
    """One run of a decoy on the 1-D toy, with a row every 20 steps."""
    torch.manual_seed(seed)
    players, rows = make_players(Loop(), 1, seed), []
    for step in range(1, GAN_STEPS + 1):
        row = _play_decoy(*players, draw_real("line", 1, 128), torch.randn(1, 128, 1), kind)
        if step % GAN_EVERY == 0:
            rows.append({"step": step, **row})
    return _rounded({name: [row[name] for row in rows] for name in rows[0]})


# ---- VAE


def _constant_term(mean: Tensor, log_var: Tensor) -> Tensor:
    noise = torch.randn_like(mean)  # from the prior: no encoder in it
    return (noise - noise.sigmoid()).square().sum(1).mean()


def _wrong_way(mean: Tensor, log_var: Tensor) -> Tensor:
    z = torch.randn_like(mean)  # from the prior, where it should be from the posterior
    log_posterior = -0.5 * ((z - mean) ** 2 / log_var.exp() + log_var)
    return (log_posterior + 0.5 * z**2).sum(1).mean()


PENALTIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "healthy vae": lambda mean, log_var: vae.gaussian_kl(mean, log_var).mean(),
    "constant second term": _constant_term,
    "divergence below zero": _wrong_way,
}


def record_vae(kind: str, seed: int, images: Tensor) -> History:
    """A small VAE on (stand-in) images with this second term; a row every step, until a value is not finite."""
    torch.manual_seed(seed)
    network = vae.VAE(8, 8, None, images.shape[-1], 0)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=2e-4 if kind == "divergence below zero" else 2e-3
    )
    history: History = {"step": [], "nll": [], "kl": []}
    for step in range(1, VAE_STEPS + 1):
        x = images[torch.randint(len(images), (32,))].float() / 127.5 - 1
        mean, log_var = network.encode(x)
        z = mean + (log_var / 2).exp() * torch.randn_like(mean)
        nll, penalty = (
            vae.gaussian_nll(x, network.decode(z), network.log_var).mean(),
            PENALTIES[kind](mean, log_var),
        )
        if not (nll + penalty).isfinite():
            break
        optimizer.zero_grad()
        (nll + penalty).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1_000.0)
        optimizer.step()
        for name, value in (("step", step), ("nll", nll.item()), ("kl", penalty.item())):
            history[name].append(value)
    return _rounded(history)


def measure_traces() -> dict[str, Any]:
    """All histories that need no data set."""
    images = load_images("standin", split="train", size=32, limit=2_000).images
    traces = {
        f"decoy: {kind}": [record_decoy(kind, seed) for seed in range(COPIES)] for kind in DECOYS
    }
    for kind in PENALTIES:
        copies = HEALTHY if kind.startswith("healthy") else COPIES
        traces[kind] = [record_vae(kind, seed, images) for seed in range(copies)]
        print(kind, len(traces[kind][0]["kl"]), traces[kind][0]["kl"][::20], flush=True)
    return {"traces": traces}


# ---- a classifier on IMDB


def _features(reviews: ReviewSet) -> Any:
    return HashingVectorizer(n_features=WORDS, alternate_sign=False).transform(reviews.texts)


def train_words(
    features: Any, labels: Tensor, order: Tensor, outputs: int, seed: int
) -> tuple[nn.Linear, History]:
    """One epoch of a linear classifier in this order; with one output a regression, as libraries make of it."""
    torch.manual_seed(seed)
    model = nn.Linear(WORDS, outputs)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    rows, history = [], {"step": [], "loss": [], "accuracy": [], "positive": []}
    for step, part in enumerate(order.split(BATCH), start=1):
        x, y = torch.from_numpy(features[part.numpy()].toarray()).float(), labels[part]
        logits = model(x)
        loss = (
            F.mse_loss(logits.squeeze(1), y.float()) if outputs == 1 else F.cross_entropy(logits, y)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right = (logits.argmax(1) == y).float().mean().item()
        rows.append((loss.item(), right, y.float().mean().item()))
        if step % LOG_EVERY == 0:
            means = [sum(column) / LOG_EVERY for column in zip(*rows[-LOG_EVERY:], strict=True)]
            for name, value in zip(history, (step, *means), strict=True):
                history[name].append(value)
    return model, _rounded(history)


@torch.no_grad()
def accuracy(model: nn.Linear, features: Any, labels: Tensor) -> float:
    """Share of right answers, in parts of 1,000."""
    parts = torch.arange(len(labels)).split(1_000)
    guesses = [
        model(torch.from_numpy(features[p.numpy()].toarray()).float()).argmax(1) for p in parts
    ]
    return (torch.cat(guesses) == labels).float().mean().item()


def measure_imdb(source: str) -> dict[str, Any]:
    """Sorted by label, as the authors' folders are, against shuffled: test accuracy over three seeds; histories."""
    parts = [load_reviews(source, split) for split in ("train", "validation", "test")]
    x, test = _features_of(parts[:2]), _features(parts[2])
    labels = torch.cat([part.labels for part in parts[:2]])
    sorted_order = labels.sort(descending=True, stable=True).indices
    found: dict[str, Any] = {
        "name": "IMDB (copy)",
        "train": len(labels),
        "test": len(parts[2]),
        "batch": BATCH,
    }
    mixed = sum(0 < labels[p].float().mean() < 1 for p in sorted_order.split(BATCH))
    found |= {"batches": -(-len(labels) // BATCH), "mixed_batches": int(mixed)}
    traces: dict[str, list[History]] = {
        "healthy classifier": [],
        "labels come sorted": [],
        "loss is not cross-entropy": [],
    }
    scores: dict[str, list[float]] = {"sorted": [], "shuffled": [], "one_output": []}
    for seed in range(HEALTHY):
        shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        runs = [("healthy classifier", "shuffled", shuffled, 2)]
        if seed in SEEDS:
            runs += [
                ("labels come sorted", "sorted", sorted_order, 2),
                ("loss is not cross-entropy", "one_output", shuffled, 1),
            ]
        for name, key, order, outputs in runs:
            model, history = train_words(x, labels, order, outputs, seed)
            traces[name].append(history)
            if seed in SEEDS:
                scores[key].append(accuracy(model, test, parts[2].labels))
                print(key, scores[key][-1], "last loss", history["loss"][-3:], flush=True)
    for key, values in scores.items():
        found[key] = dict(zip(("value", "low", "high"), mean_interval(values), strict=True)) | {
            "values": values
        }
    last = [history["loss"][-1] for history in traces["labels come sorted"]]
    return {**found, "sorted_last_loss": sum(last) / len(last), "traces": traces}


def _features_of(parts: Sequence[ReviewSet]) -> Any:
    from scipy.sparse import vstack

    return vstack([_features(part) for part in parts]).tocsr()


if __name__ == "__main__":
    main()
