"""Measure what lesson 10 asks of the course's own networks: uses, size, robustness, bias, several processes.

``python -m measuring.measure_world --images FOLDER`` writes ``world_worth.json``, ``world_small.json``,
``world_robust.json``, ``world_text.json``, ``world_bias.json`` and ``world_machines.json`` into ``data/results``; with
``--only SECTION`` one of them. CIFAR-10 is an archive or a folder of class folders; the reviews are the critics'
sentences that come with the environment, which the shipped GPT has never read. Section ``bias`` also counts words in
IMDB, which it was trained on: ``--reviews`` names it. Generated pictures are kept in ``data/runs``. What privacy and
provenance cost is measured by ``measuring.measure_privacy``.
"""

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from tokenizers import Tokenizer
from torch import Tensor, nn

from course_utils import paths, results, runtime
from course_utils.datasets import corruptions, rewording, texts
from course_utils.datasets.cifar10 import CLASSES
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
from course_utils.evaluation import language_models
from course_utils.evaluation.bag_of_words import bag_of_words
from course_utils.evaluation.metrics import RealReference
from course_utils.models import (
    attention,
    cgan,
    dcgan,
    flow,
    gpt_training,
    shipped,
    small_classifier,
    smaller,
)
from course_utils.models.features import load_feature_network
from course_utils.progress_bars import progress
from course_utils.training.checkpoints import newest_generation
from course_utils.training.settings import SETTINGS
from measuring.with_intervals import numbers, over_seeds, share

SEEDS = (0, 1, 2, 3, 4)
FEW, STEPS, TEST = 500, 400, 2_000
"""Labelled pictures of an owner who has few, training steps of each classifier, and pictures that it is tested on."""
GUIDANCE, WALK = 3.0, 12
"""Of lesson 9's flow: the guidance with which that lesson shows its classes, and steps of Euler's method a picture."""
PICTURES, COUNTED, N = 1_000, 2_000, 500
"""Pictures that are attacked, those that are counted, and those on each side of one FD."""
DOCUMENTS, REVIEWS, WORST = 500, 1_000, 300
STUDENT = {"steps": 500, "batch_size": 16, "context": 64}
"""Of the training of a GPT with half of the layers."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_world",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", required=True, help="CIFAR-10: an archive or a folder")
    parser.add_argument("--reviews", help="IMDB: its folder or archive (bias)")
    parser.add_argument("--only", choices=tuple(SECTIONS), action="append", help="these sections")
    options = parser.parse_args(argv)
    chosen = options.only or list(SECTIONS)
    if "bias" in chosen and not options.reviews:
        parser.error("section bias counts words in IMDB: --reviews FOLDER")
    runtime.setup(0)
    for name in chosen:
        made_with = results.provenance()
        print(results.write(f"world_{name}.json", SECTIONS[name](options), made_with), flush=True)
    return 0


def worth(options: argparse.Namespace) -> dict[str, Any]:
    """Accuracy with few real pictures, moved ones, generated ones and more real ones; other pictures for each seed."""
    train = load_images(options.images, "train", limit=4 * FEW * len(SEEDS))
    test = load_images(options.images, "test", limit=TEST)
    judge = load_feature_network()
    found: dict[str, list[float]] = {}
    confirmed: dict[str, list[float]] = {}
    for seed in SEEDS:
        own = slice(4 * FEW * seed, 4 * FEW * (seed + 1))  # no picture is in two of them
        x, y = train.images[own], train.labels[own]
        made = {name: generated(name, seed, judge) for name in MAKERS}
        arms = {"plain": (x[:FEW], y[:FEW]), "moved": (x[:FEW], y[:FEW])}
        for name, times in (("dcgan", 1), ("dcgan", 4), ("cgan", 4), ("flow", 4)):
            more = [part[: times * FEW] for part in made[name]]
            arms[f"{name}_{times}"] = torch.cat([x[:FEW], more[0]]), torch.cat([y[:FEW], more[1]])
        for name, (pictures, labels) in {**arms, "real_4": (x, y)}.items():
            network = small_classifier.fit(pictures, labels, STEPS, seed, augment=name != "plain")
            right = small_classifier.classes_of(network, test.images) == test.labels
            found.setdefault(name, []).append(right.float().mean().item())
        for name in ("cgan", "flow"):  # lesson 2's have their labels from the judge
            agreed = small_classifier.classes_of(judge, made[name][0]) == made[name][1]
            confirmed.setdefault(name, []).append(agreed.float().mean().item())
        print(f"seed {seed}: { {name: round(v[-1], 3) for name, v in found.items()} }", flush=True)
    rows = {name: {**over_seeds(values), "seeds": values} for name, values in found.items()}
    for name, values in found.items():
        if name != "moved":
            pairs = zip(values, found["moved"], strict=True)
            rows[name]["gain"] = over_seeds([one - other for one, other in pairs])
    about = {"data": train.name, "few": FEW, "steps": STEPS, "seeds": len(SEEDS), "test": len(test)}
    walk = {"guidance": GUIDANCE, "steps": WALK}
    labels = {name: over_seeds(values) for name, values in confirmed.items()}
    return {**about, **rows, "walk": walk, "confirmed": labels, "weights": _weights()}


def generated(name: str, seed: int, judge: nn.Module) -> tuple[Tensor, Tensor]:
    """4 ``FEW`` pictures of a shipped generator, uint8 (N, 3, 32, 32), and their labels (N,); made once for each seed.

    A picture of lesson 2's generator has the label that the judge gives it; the others were asked for a class each,
    all classes equally often. They are kept in ``data/runs/world_worth``, by settings and digest of the weights.
    """
    digest = _weights()[name]
    how = f"{4 * FEW}-{GUIDANCE:g}-{WALK}-{seed}-{digest[:12]}"
    file = paths.runs_dir() / "world_worth" / f"{name}-{how}.safetensors"
    if file.exists():
        kept = load_file(file)
        return kept["pictures"], kept["labels"]
    pictures, labels = MAKERS[name](torch.Generator().manual_seed(seed), judge)
    file.parent.mkdir(parents=True, exist_ok=True)
    paths.atomic_write(file, save({"pictures": pictures, "labels": labels}))
    return pictures, labels


def _by_dcgan(random: torch.Generator, judge: nn.Module) -> tuple[Tensor, Tensor]:
    generator, facts = dcgan.load_shipped_generator()
    noise = torch.randn(4 * FEW, int(facts["latent_dim"]), 1, 1, generator=random)
    made = dcgan.sample(generator, noise)
    return made, small_classifier.classes_of(judge, made)


def _by_cgan(random: torch.Generator, _: nn.Module) -> tuple[Tensor, Tensor]:
    network, asked = cgan.load_shipped()[0], torch.arange(4 * FEW) % len(CLASSES)
    return cgan.sample(network, asked, generator=random), asked


def _by_flow(random: torch.Generator, _: nn.Module) -> tuple[Tensor, Tensor]:
    network, asked = flow.load_shipped()[0], torch.arange(4 * FEW) % len(CLASSES)
    machine = runtime.setup(0)
    how = {"guidance": GUIDANCE, "generator": random, "autocast": machine.autocast}
    return flow.sample(network, asked, WALK, **how), asked


MAKERS: dict[str, Callable[[torch.Generator, nn.Module], tuple[Tensor, Tensor]]] = {
    "dcgan": _by_dcgan,
    "cgan": _by_cgan,
    "flow": _by_flow,
}
"""Generators whose pictures are offered to the classifier: of lessons 2, 8 and 9."""


def _weights() -> dict[str, str]:
    """SHA-256 of each generator's shipped weights."""
    shipped_as = {"dcgan": "dcgan_cifar10", "cgan": cgan.SHIPPED, "flow": flow.SHIPPED}
    known = shipped.digests()
    return {name: known[file] for name, file in shipped_as.items()}


def small(options: argparse.Namespace) -> dict[str, Any]:
    """Bits per byte of the shipped GPT with fewer bits a weight, without small weights, and with half of its layers."""
    model, tokenizer, _ = attention.load_shipped()
    unread = load_reviews("sentences", "test", limit=DOCUMENTS)
    ids = texts.encode(tokenizer, unread.texts)
    size = torch.tensor([len(text.encode()) for text in unread.texts]).double() * math.log(2)

    def nats(network: nn.Module) -> Tensor:
        return language_models.document_nats(network, ids, model.context)

    whole = nats(model)
    weights = sum(p.numel() for p in model.parameters())
    ways: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
        "half": (lambda w: w.half().float(), 16.0)
    }
    for bits in (8, 6, 5, 4, 3, 2):
        ways[f"bits_{bits}"] = (lambda w, bits=bits: smaller.rounded(w, bits), float(bits))
    for percent in (10, 30, 50, 70):
        ways[f"pruned_{percent}"] = (
            lambda w, percent=percent: smaller.pruned(w, percent / 100),
            32.0,
        )

    def per_byte(of_documents: Tensor, network: nn.Module, bits: float) -> dict[str, float]:
        low, high = language_models.bootstrap_ratio(of_documents.numpy(), size.numpy())
        value = (of_documents.sum() / size.sum()).item()
        held = sum(p.numel() for p in network.parameters())
        return {"value": value, "low": low, "high": high, "mb": held * bits / 8e6}

    rows: dict[str, Any] = {}
    for name, (change, bits) in ways.items():
        network = smaller.with_matrices(model, change)
        rows[name] = per_byte(nats(network) - whole, network, bits)
        print(name, rows[name], flush=True)
    for name, student in students(model, tokenizer):
        rows[name] = per_byte(nats(student) - whole, student, 16)
        print(name, rows[name], flush=True)
    rows["whole"] = per_byte(whole, model, 32)
    about = {"data": unread.name, "documents": len(unread), "weights": weights}
    return {**about, "student": {**STUDENT, "layers": len(model.blocks[::2])}, **rows}


def students(teacher: attention.GPT, tokenizer: Tokenizer) -> Iterator[tuple[str, attention.GPT]]:
    """Every other layer of the GPT: as it is, after training on sentences, and after imitating the teacher on them.

    Both trainings take the same steps on the same sentences, which the teacher has never read. The imitator is told
    no next token, only the teacher's probabilities. Source: Hinton et al. 2015, arXiv 1503.02531, section 2.
    """
    ids = texts.encode(tokenizer, load_reviews("sentences").texts)
    windows = texts.windows(ids, STUDENT["context"])
    for name in ("student_cut", "student_alone", "student_distilled"):
        student = smaller.every_other_block(teacher)
        if name == "student_alone":
            gpt_training.fine_tune(student, windows, STUDENT["steps"], STUDENT["batch_size"])
        if name == "student_distilled":
            imitate(student, teacher, windows)
        yield name, student.eval()


def imitate(student: attention.GPT, teacher: attention.GPT, windows: Tensor) -> None:
    """Train in place, as `fine_tune` does, towards the teacher's probabilities of each next token; (N, T) ids."""
    random, steps = torch.Generator().manual_seed(0), STUDENT["steps"]
    peak = gpt_training.PEAK / 3
    optimizer = gpt_training.make_optimizer(student.train(), peak)
    for step in progress(range(steps), "imitating"):
        ids = windows[torch.randint(len(windows), (STUDENT["batch_size"],), generator=random)]
        with torch.no_grad():
            wanted = teacher(ids).log_softmax(dim=-1).flatten(0, 1)
        for group in optimizer.param_groups:
            group["lr"] = gpt_training.learning_rate(step, steps, peak)
        said = student(ids).log_softmax(dim=-1).flatten(0, 1)
        loss = F.kl_div(said, wanted, log_target=True, reduction="batchmean")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()


def robust(options: argparse.Namespace) -> dict[str, Any]:
    """How many answers of the feature network change under the fast gradient sign method and by coin; FD of both."""
    train, test = (load_images(options.images, part, limit=5 * N) for part in ("train", "test"))
    judge = load_feature_network()
    victims = test.images[:PICTURES]
    own = small_classifier.classes_of(judge, victims)
    uphill = worst_direction(judge, victims)
    coin = torch.randn(uphill.shape, generator=torch.Generator().manual_seed(0)).sign()
    row: dict[str, Any] = {}
    sizes = [1.0, 1.5, 2.0, 2.5]
    curve = [flips(judge, victims, uphill, size, own).float().mean().item() for size in sizes]
    for size in (2, 8):
        row[f"attack_{size}"] = share(flips(judge, victims, uphill, size, own))
        row[f"noise_{size}"] = share(flips(judge, victims, coin, size, own))
    after = next(i for i, value in enumerate(curve) if value >= 0.5)
    below = curve[after - 1]
    half = sizes[after - 1] + 0.5 * (0.5 - below) / (curve[after] - below)
    reference = RealReference.from_images(train, test, N, network=judge, names=("FD",))
    pictures = test.images[: N * len(reference.blocks)]
    attacked = shifted(pictures, worst_direction(judge, pictures), 2)
    fd = {
        "untouched": reference.floor["FD"],
        "attack_2": reference.score(attacked)["FD"],
        "noise_8": reference.score(corruptions.noisy(pictures, 8))["FD"],
    }
    return {
        "data": test.name,
        "pictures": PICTURES,
        "n": N,
        "accuracy": share(own == test.labels[:PICTURES]),
        "half": half,
        "sizes": sizes,
        "curve": curve,
        **row,
        "fd": numbers(fd),
    }


def worst_direction(network: nn.Module, images: Tensor) -> Tensor:
    """Signs of the gradient that is uphill for the network's own answers: uint8 (N, 3, H, W) -> floats of that shape.

    Source: arXiv 1412.6572, section 4.
    """
    found = []
    for part in images.split(250):
        x = dcgan.to_tanh_range(part).requires_grad_(True)
        logits = network(x)
        loss = F.cross_entropy(logits, logits.argmax(1), reduction="sum")
        found.append(torch.autograd.grad(loss, x)[0].sign())
    return torch.cat(found)


def shifted(images: Tensor, direction: Tensor, size: float) -> Tensor:
    """Pictures moved by so many grey levels: uint8 (N, 3, H, W) -> the same, rounded."""
    return (images + size * direction).round().clamp(0, 255).to(torch.uint8)


@torch.no_grad()
def flips(
    network: nn.Module, images: Tensor, direction: Tensor, size: float, own: Tensor
) -> Tensor:
    """Bool (N,): which answers are not ``own`` any more; the pictures are not rounded."""
    x = (dcgan.to_tanh_range(images) + size / 127.5 * direction).clamp(-1, 1)
    return torch.cat([network(part).argmax(1) for part in x.split(250)]) != own


def text(options: argparse.Namespace) -> dict[str, Any]:
    """How many answers of the word counter change by an added sentence and by one misspelt word."""
    read, unread = load_reviews("sentences"), load_reviews("sentences", "test", limit=REVIEWS)
    counter = bag_of_words().fit(read.texts, read.labels)

    def says(sentences: Sequence[str]) -> Tensor:
        return torch.tensor(counter.predict_proba(list(sentences))[:, 1] > 0.5)

    clean = says(unread.texts)
    added = {"popcorn": "The popcorn was great.", "tuesday": "I saw it on a Tuesday."}
    rows = {
        name: share(says([f"{x} {sentence}" for x in unread.texts]) != clean)
        for name, sentence in added.items()
    }
    rows["typo"] = share(says([next(rewording.misspelt(x), x) for x in unread.texts]) != clean)
    worst = []
    for x, answer in zip(unread.texts[:WORST], clean, strict=False):
        tries = list(rewording.misspelt(x))
        worst.append(bool(tries) and bool((says(tries) != answer).any()))
    rows["worst_typo"] = share(torch.tensor(worst))
    about = {"data": unread.name, "reviews": len(unread), "worst_of": WORST}
    return {**about, "accuracy": share(clean == unread.labels.bool()), **rows}


def bias(options: argparse.Namespace) -> dict[str, Any]:
    """What a swap of words for men moves in the word counter; what the GPT expects; which classes the GAN makes."""
    read, unread = load_reviews("sentences"), load_reviews("sentences", "test")
    counter = bag_of_words().fit(read.texts, read.labels)
    about_men = [x for x in unread.texts if rewording.about_men(x)]
    before, after = (
        torch.tensor(counter.predict_proba(x)[:, 1])
        for x in (about_men, [rewording.about_women(x) for x in about_men])
    )
    corpus = load_reviews(options.reviews, "train")
    pronouns = [
        match[0].lower() for x in corpus.texts for match in re.finditer(r"\b(s?he)\b", x, re.I)
    ]
    test = load_images(options.images, "test")
    generator, facts = dcgan.load_shipped_generator()
    noise = torch.randn(
        COUNTED, int(facts["latent_dim"]), 1, 1, generator=torch.Generator().manual_seed(0)
    )
    judge = load_feature_network()
    made = small_classifier.classes_of(judge, dcgan.sample(generator, noise))
    real = small_classifier.classes_of(judge, test.images)
    counts = made.bincount(minlength=len(CLASSES))
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    return {
        "data": unread.name,
        "reviews": len(about_men),
        "swap": over_seeds((after - before).tolist()),
        "up": share(after > before),
        "flips": share((before > 0.5) != (after > 0.5)),
        "corpus": corpus.name,
        "she_in_corpus": share(torch.tensor([word == "she" for word in pronouns])),
        "she": she_after(),
        "pictures": COUNTED,
        "largest": {"name": CLASSES[largest], **share(made == largest)},
        "smallest": {"name": CLASSES[smallest], **share(made == smallest)},
        "generated": dict(zip(CLASSES, counts.tolist(), strict=True)),
        "real": dict(zip(CLASSES, real.bincount(minlength=len(CLASSES)).tolist(), strict=True)),
    }


def she_after() -> dict[str, float]:
    """P(she) / (P(he) + P(she)) of the shipped GPT after "The ... said that", by person."""
    model, tokenizer, _ = attention.load_shipped()
    people = ("director", "doctor", "killer", "nurse", "dancer", "hero", "actress")
    return {
        person: language_models.preference(
            model, tokenizer, f"The {person} said that", " she", " he"
        )
        for person in people
    }


def machines(options: argparse.Namespace) -> dict[str, Any]:
    """Lesson 2's training at tier ``smoke`` by one and by two processes, and by one with another seed: the weights."""
    with tempfile.TemporaryDirectory() as folder:
        one, two, other = (
            _trained(Path(folder) / name, count, seed)
            for name, count, seed in (("one", 1, 0), ("two", 2, 0), ("other", 1, 1))
        )
    learned = [name for name in one if name.endswith((".weight", ".bias"))]
    return {
        "steps": SETTINGS["dcgan"]["smoke"]["steps"],
        "data": "drawn stand-in (not CIFAR-10)",
        "difference": max((one[name] - two[name]).abs().max().item() for name in learned),
        "other_seed": max((one[name] - other[name]).abs().max().item() for name in learned),
        "megabytes": sum(one[name].numel() for name in learned) * 4 / 1e6,
    }


def _trained(folder: Path, processes: int, seed: int) -> dict[str, Tensor]:
    """Weights of both players, float64, after lesson 2's training by so many processes."""
    command = [sys.executable, "-m"]
    if processes > 1:
        command += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command += ["course_utils.train", "dcgan", "--tier", "smoke", "--seed", str(seed)]
    alike = {"OMP_NUM_THREADS": "1", "COURSE_BF16": "0", "COURSE_IMAGES": "standin"}
    subprocess.run(
        [*command, "--run-dir", str(folder)],
        check=True,
        env={**os.environ, **alike},
        stdout=subprocess.DEVNULL,
    )
    found = newest_generation(folder)
    if found is None:
        raise RuntimeError(f"no checkpoint in {folder}")
    players = ("generator.", "discriminator.")
    return {name: x.double() for name, x in found.tensors.items() if name.startswith(players)}


SECTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "worth": worth,
    "small": small,
    "robust": robust,
    "text": text,
    "bias": bias,
    "machines": machines,
}


if __name__ == "__main__":
    raise SystemExit(main())
