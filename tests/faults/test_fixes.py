"""The fix that every `CourseError` prints is executed, as a learner would paste it, wherever a machine can do that."""

import ast
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_utils import assets, paths, results, runtime
from course_utils.datasets import corruptions, review_readers, standin_images, text_files, texts
from course_utils.datasets.images import ImageSet, load_images
from course_utils.datasets.reviews import ReviewSet, load_reviews
from course_utils.display import plots
from course_utils.display.widgets import blind_test, latent_plane
from course_utils.errors import CourseError
from course_utils.evaluation import diagnose, distances, elbo, intervals, manifolds, scores
from course_utils.evaluation.metrics import RealReference, fitting_n
from course_utils.learner import clinic
from course_utils.models import (
    attention,
    dcgan,
    features,
    masked_lm,
    pretrained,
    shipped,
    vae,
    watermark,
)
from course_utils.training import checkpoints
from course_utils.training.recipes import vae_laboratory  # fmt: skip
from course_utils.training.run import TrainingRun

ROOT = Path(__file__).parents[2]


def paste(fix):
    """The longest piece of a fix that is a statement of Python."""
    starts = [
        0,
        *(match.end() for match in re.finditer(r"[:.,] (?:or )?|\bor |\bfrom (?=factors)", fix)),
    ]
    ends = [
        len(fix),
        *(
            match.start()
            for match in re.finditer(r"[.,;] |\.$| to go |   #| which | and change", fix)
        ),
    ]
    best = ""
    for start in starts:
        for end in ends:
            text = fix[start:end].strip()
            if len(text) > len(best) and _is_statement(text):
                best = text
    return best


def _is_statement(text):
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.Call | ast.Assign) for node in ast.walk(tree))


def codes_in_source():
    """Every code of a `CourseError`: a pattern, since some have a part that is filled in."""
    found = set()
    for path in [p for top in ("course_utils", "measuring") for p in (ROOT / top).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "CourseError":
                code = node.args[0]
                if isinstance(code, ast.JoinedStr):
                    found.add(
                        "".join(
                            p.value if isinstance(p, ast.Constant) else "[a-z-]+"
                            for p in code.values
                        )
                    )
                else:
                    found.add(code.value)
    return found


def run(folder, **options):
    return TrainingRun(folder, state={}, config={}, steps=2, examples=4, batch_size=2, **options)


def finish(training):
    for _ in training.batches():
        training.log(loss=0.5)
    return training


def png(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.save_tile(path, torch.zeros(1, 3, 32, 32, dtype=torch.uint8), 1)


class Place:
    """Where an error is provoked: a folder, an offered asset, and what was changed, which `mend` takes back."""

    def __init__(self, folder, server, monkeypatch):
        self.folder, self.server, self.monkeypatch = folder, server, monkeypatch

    def change(self, *arguments):
        self.monkeypatch.setattr(*arguments)

    def mend(self):
        self.monkeypatch.undo()


# What provokes each error. The fix is then pasted into the names of `names`.


def wrong_page(place):
    place.server.page = b"<html>login</html>"
    assets.fetch("thing")


def full_disk(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 0)
        )
        assets.fetch("thing")


def part_is_a_folder(place):
    (paths.cache_dir() / ".thing.bin.part").mkdir()
    assets.fetch("thing")


def other_asset(place):
    (place.folder / "thing.bin").write_bytes(b"x")
    assets.verify("thing", place.folder / "thing.bin")


def not_kept(place):
    with pytest.MonkeyPatch.context() as patch:
        real = checkpoints.atomic_write
        patch.setattr(checkpoints, "atomic_write", lambda path, content: real(path, content[:-1]))
        checkpoints.save_generation(place.folder / "r", 1, {"a": torch.ones(1)}, {})


def in_a_file(place):
    (place.folder / "file").write_text("")
    run(place.folder / "file" / "run")


def nothing_writable(place):
    (place.folder / "file").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(place.folder / "file"))
        patch.setenv("COURSE_RUNS", str(place.folder / "file" / "runs"))
        paths.runs_dir()


def bad_picture(place):
    for number in range(4):
        png(place.folder / "set" / "train" / f"{number}.png")
    (place.folder / "set" / "train" / "bad.png").write_bytes(b"")
    load_images(place.folder / "set")


def one_split(place):
    for number in range(4):
        png(place.folder / "set" / "train" / f"{number}.png")
    load_images(place.folder / "set", split="test")


def two_trains(place):
    for name in ("train", "Training"):
        for number in range(4):
            png(place.folder / "set" / name / f"{number}.png")
    load_images(place.folder / "set")


def classes_in_train(place):
    for number in range(4):
        png(place.folder / "set" / "train" / "cat" / f"{number}.png")
        png(place.folder / "set" / "test" / f"{number}.png")
    load_images(place.folder / "set", split="test")


def one_picture(place):
    for number in range(4):
        png(place.folder / "set" / f"{number}.png")
    load_images(place.folder / "set" / "0.png")


def pictures_at_path_to_folder(place):
    """Put pictures where a fix says "path/to/folder", which begins at the course's folder."""
    place.change(paths, "course_dir", lambda: place.folder)
    for number in range(4):
        png(place.folder / "path" / "to" / "folder" / f"{number}.png")


def list_of_files(place):
    pictures_at_path_to_folder(place)
    load_images(["a.png", "b.png"])


def empty_folder(place):
    pictures_at_path_to_folder(place)
    (place.folder / "empty").mkdir()
    load_images(place.folder / "empty")


def empty_reviews(place):
    for part in ("train", "test"):
        for kind in ("pos", "neg"):
            (place.folder / "r" / part / kind).mkdir(parents=True)
            (place.folder / "r" / part / kind / "1_9.txt").write_text(" ")
    load_reviews(place.folder / "r")


def one_review(place):
    for part in ("train", "test"):
        for kind in ("pos", "neg"):
            (place.folder / "r" / part / kind).mkdir(parents=True)
            (place.folder / "r" / part / kind / "1_9.txt").write_text("Fine.")
    load_reviews(place.folder / "r", "validation")


def empty_texts(place):
    (place.folder / "no-books").mkdir()
    texts.load_texts(place.folder / "no-books")


def book(place):
    (place.folder / "book.txt").write_bytes("Все счастливые семьи похожи. ".encode("cp1251") * 900)
    return place.folder / "book.txt"


def other_tier(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_TIER", "huge")
        runtime.tier()


def hub_fails(place):
    import sys
    from types import ModuleType

    def fail(*_, **__):
        raise OSError("no hub")

    library = ModuleType("datasets")
    library.load_dataset = fail
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "datasets", library)
        review_readers.read_hub("train")


def no_base(place):
    with pytest.MonkeyPatch.context() as patch:
        from transformers import AutoTokenizer

        def fail(*_, **__):
            raise OSError("offline")

        patch.setattr(AutoTokenizer, "from_pretrained", fail)
        pretrained.load_encoder("base", tier="gpu", texts=["a film"])


def line(**changes):
    values = {
        "likelihood": "bernoulli",
        "reconstruction": "sum",
        "kl": "sum",
        "dims": 784,
        "latent_dim": 20,
        **changes,
    }
    return elbo.LossLine("mine", "text", **values)


def score(**changes):
    values = {"name": "FD", "value": 1.0, "low": 0.0, "high": 2.0, "n": 5, "draws": 2, "floor": 0.0}
    return scores.Score(**{**values, "features": "f", "real_set": "r", **changes})


def labels_of(values, dtype=torch.int64):
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    return ImageSet(images, torch.tensor(values, dtype=dtype), "a", False, ("x", "y"))


def with_factor(value):
    drawn = standin_images.make_factors(4, 1)
    first = next(iter(drawn))
    standin_images.draw({**drawn, first: np.full_like(drawn[first], value)})


def plane_of(dims):
    return vae.VAE(latent_dim=dims, width=4)


EXECUTED = {
    "asset-unknown": lambda place: assets.fetch("nothing"),
    "asset-wrong-file": other_asset,
    "asset-disk-full": full_disk,
    "asset-cannot-write": part_is_a_folder,
    "asset-not-fetched": wrong_page,
    "checkpoint-cannot-write": in_a_file,
    "checkpoint-not-kept": not_kept,
    "diagnose-missing-series": lambda place: diagnose.diagnose({"d_loss": [1.0]}),
    "elbo-batch-size": lambda place: elbo.effective_beta(line(reconstruction="mean")),
    "elbo-loss-line": lambda place: line(likelihood="poisson"),
    "elbo-likelihood": lambda place: elbo.measured_beta(lambda *a: a[0].sum(), 4, 2, "poisson"),
    "elbo-not-an-elbo": lambda place: elbo.measured_beta(
        lambda *a: sum(p.square().sum() for p in a), 4, 2, "squared"
    ),
    "features-shape": lambda place: features.check_shape(torch.zeros(2, 1, 28, 28)),
    "images-bad-files": bad_picture,
    "images-no-split": one_split,
    "images-two-splits": two_trains,
    "images-classes-in-one-split": classes_in_train,
    "images-one-file": one_picture,
    "images-source": list_of_files,
    "images-none": empty_folder,
    "images-not-found": lambda place: load_images(place.folder / "nowhere"),
    "images-bad-images": lambda place: ImageSet(
        torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]), "a", False, ("x", "y")
    ),
    "images-bad-labels": lambda place: labels_of([0.0, 1.0], torch.float32),
    "images-bad-factors": lambda place: (
        labels_of([0, 1])
        and ImageSet(
            torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
            torch.tensor([0, 1]),
            "a",
            False,
            ("x", "y"),
            factors={"hue": torch.zeros(3)},
        )
    ),
    "images-limit": lambda place: load_images("standin", limit=0),
    "images-split": lambda place: load_images("standin", split="validation"),
    "images-size": lambda place: load_images("standin", size=48),
    "images-on-bad": lambda place: load_images("standin", on_bad="ignore"),
    "metrics-shape": lambda place: distances.kernel_distance(torch.zeros(3, 2), torch.zeros(3, 4)),
    "metrics-covariance": lambda place: distances.frechet_distance(
        torch.zeros(2), torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.zeros(2), torch.eye(2)
    ),
    "metrics-probabilities": lambda place: distances.inception_score(torch.ones(3, 4)),
    "metrics-neighbours": lambda place: manifolds.precision_recall(
        torch.zeros(3, 2), torch.zeros(3, 2), k=5
    ),
    "metrics-sampler": lambda place: place.reference.score(torch.nn.Identity()),
    "metrics-too-few": lambda place: RealReference.from_images(place.train, place.test, n=10_000),
    "metrics-range": lambda place: place.reference.score(place.train.images.float()),
    "metrics-unit-range": lambda place: place.reference.score(place.train.images / 255),
    "metrics-few-pictures": lambda place: fitting_n(10, place.train, place.test.take(9)),
    "metrics-not-comparable": lambda place: scores.table(
        {"a": {"FD": score()}, "b": {"FD": score(n=6)}}
    ),
    "metrics-score": lambda place: score(n=1),
    "paths-not-writable": nothing_writable,
    "plots-not-images": lambda place: plots.tile(torch.zeros(4, 3, 8, 8), 2),
    "plots-no-alt": lambda place: plots.show(plots.subplots()[0], alt=" "),
    "pretrained-unknown": lambda place: pretrained.load_encoder(
        "large", tier="smoke", texts=["a film"]
    ),
    "pretrained-keep": lambda place: place.encoder.encode(["a film"], 8, keep="middle"),
    "pretrained-hub": no_base,
    "proportions-counts": lambda place: intervals.wilson_interval(3, 2),
    "reviews-not-found": lambda place: load_reviews(place.folder / "nowhere"),
    "reviews-hub": hub_fails,
    "reviews-bad-set": lambda place: ReviewSet(("a",), torch.tensor([0.5]), "a", False),
    "reviews-all-empty": empty_reviews,
    "reviews-too-few": one_review,
    "reviews-one-sided": lambda place: load_reviews("standin", limit=40).require(each=1_000),
    "reviews-split": lambda place: load_reviews("standin", split="all"),
    "reviews-limit": lambda place: load_reviews("standin", limit=0),
    "runtime-seed": lambda place: runtime.setup(seed=-1),
    "runtime-unknown-tier": other_tier,
    "blind-too-few": lambda place: blind_test.make_test(
        torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), 5, "x"
    ),
    "clinic-no-record": lambda place: clinic.recorded("no such run"),
    "clinic-unknown-case": lambda place: clinic.checklist({}, {"9.9": "x"}),
    "gpt-heads": lambda place: attention.GPT(vocab=8, dim=6, layers=1, heads=4, context=8),
    "gpt-context": lambda place: attention.GPT(8, 6, 1, 2, 4)(torch.zeros(1, 5, dtype=torch.int64)),
    "watermark-share": lambda place: watermark.Watermark(40, gamma=0.0),
    "watermark-delta": lambda place: watermark.Watermark(40, delta=-1.0),
    "texts-none": empty_texts,
    "texts-too-short": lambda place: texts.windows([[0, 1, 2]], 64),
    "text-encoding": lambda place: texts.load_texts(book(place)),
    "text-no-copy": lambda place: text_files.copy_as_utf8(book(place), "cp-unknown"),
    "spoiled-classes": lambda place: corruptions.some_classes(place.train, 99),
    "standin-factors": lambda place: with_factor(10_000),
    "standin-count": lambda place: standin_images.render(-1, 1),
    "dcgan-size": lambda place: dcgan.make_generator(8, 4, 3, 48),
    "weights-unknown": lambda place: vae.load_shipped("vae_nothing"),
    "vae-sigma": lambda place: vae.VAE(sigma=0.0),
    "widgets-no-factors": lambda place: latent_plane.codes_static(
        None, plane_of(2), labels_of([0, 1])
    ),
    "widgets-plane": lambda place: latent_plane.plane(plane_of(3)),
}

ELSEWHERE = {
    "class-scores-few": "evaluation/test_class_scores.py::"
    "test_too_few_of_a_class_are_refused_with_what_fits",
    "flow-method": "models/test_flow.py::test_another_method_is_refused_by_name",
    "long-run-company": "measuring/test_long_runs.py::test_refuses_to_begin_beside_other_work",
    "long-run-dirty": "measuring/test_long_runs.py::test_refuses_code_that_is_not_committed",
    "asset-certificate-refused": "fetching/test_http.py::"
    "test_a_refused_certificate_is_named_and_the_networks_own_can_be_given",
    "asset-socks-proxy": "fetching/test_http.py::test_a_socks_proxy_is_named_and_the_way_around_it_works",
    "memory-batch-too-large": "faults/test_machine.py::"
    "test_a_batch_that_is_far_too_large_is_refused_with_one_that_fits",
    "checkpoint-disk-full": "training/test_run.py::test_full_disk_at_the_end_is_an_error_and_the_cell_can_be_run_again",
    "training-other-settings": "faults/test_fixes.py::test_a_run_that_cannot_be_gone_on_with_is_started_again",
    "training-not-finite": "faults/test_fixes.py::test_a_run_that_cannot_be_gone_on_with_is_started_again",
    "checkpoint-other-schema": "faults/test_fixes.py::test_a_run_that_cannot_be_gone_on_with_is_started_again",
    "weights-damaged": "faults/test_fixes.py::test_what_ships_with_the_course_is_got_back_from_git",
    "results-unreadable": "faults/test_fixes.py::test_what_ships_with_the_course_is_got_back_from_git",
    "scale-process-lost": "training/test_processes.py::"
    "test_a_killed_process_ends_all_and_the_restarted_run_is_bit_equal",
    "images-cifar10-python": "datasets/test_own_images.py::"
    "test_the_usual_python_archive_of_cifar10_is_answered_with_both_ways",
    "images-not-cifar10": "fetching/test_assets.py::test_damage_in_the_cache_is_found_and_mended",
}
"""Errors whose fix another test executes."""

NOT_EXECUTED = {
    "images-cifar10-size": "the fix fetches 162 MiB from a slow host",
    "language-short": "the fix is to write more text",
    "pretrained-weights": "the fix fetches 80 MiB from the package index",
    "inception-not-installed": "the fix installs a package",
    "scale-no-accelerate": "the fix installs a package",
    "scale-processes-differ": "the fix is to start the same command on every machine",
    "measure-no-run": "for authors: the fix is a training of hours",
    "inception-no-weights": "the fix is to have a network",
    "diagnose-unequal-series": "the fix is to write a loop differently",
    "authoring-no-sources": "for authors: the fix names a folder of theirs",
    "authoring-private-output": "for authors: the fix is to edit a cell",
    "authoring-unknown-lesson": "for authors: the fix executes a notebook for minutes",
    "authoring-cell-failed": "for authors: the fix is to mend a cell",
    "authoring-unreadable-notebook": "for authors: tests/authoring/test_authoring.py holds the build to it",
    "progress-no-records": "the fix is run on another machine (tests/learner/test_progress.py exports and imports)",
    "authoring-repository": "for authors: tests/test_colab.py holds the build to it",
    "authoring-no-card": "for authors: the fix is to edit a cell",
    "authoring-no-number": "for authors: the fix is to edit a page",
    "authoring-exam-size": "for authors: tests/authoring/test_exam.py holds the build to it",
    "texts-length": "the fix goes on with the learner's own network (tests/evaluation/test_text_sets.py raises it)",
    "slides-no-notebook": "for teachers: the fix writes the notebooks",
}


def test_every_error_is_executed_or_says_why_not():
    tables = [set(EXECUTED), set(ELSEWHERE), set(NOT_EXECUTED)]
    listed = set.union(*tables)
    assert sum(map(len, tables)) == len(listed)
    source = codes_in_source()
    unlisted = {code for code in source if not any(re.fullmatch(code, name) for name in listed)}
    gone = {name for name in listed if not any(re.fullmatch(code, name) for code in source)}
    assert (unlisted, gone) == (set(), set())
    for place in ELSEWHERE.values():
        file, name = place.split("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
    mentioned = re.findall(r"tests/[\w/]+\.py", " ".join(NOT_EXECUTED.values()))
    assert [file for file in mentioned if not (ROOT / file).is_file()] == []


@pytest.fixture(scope="module")
def things():
    """What a learner has in the notebook when an error comes."""
    train, test = load_images("standin", limit=40), load_images("standin", "test", limit=40)
    reviews = load_reviews("standin", limit=40)
    encoder = pretrained.load_encoder("standin", tier="smoke", texts=reviews.texts)
    reference = RealReference.from_images(train, test, n=4, draws=2)
    return {
        "train": train,
        "test": test,
        "reviews": reviews,
        "encoder": encoder,
        "reference": reference,
    }


def names(things):
    train = things["train"]
    drawn = torch.randn(10, 3, 32, 32).clamp(-1, 1)
    figure = plots.subplots()[0]
    plots.plt.close("all")
    modules = [
        assets, checkpoints, diagnose, distances, elbo, manifolds, plots, pretrained, intervals, scores, corruptions
    ]  # fmt: skip
    found = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if not name.startswith("_")
    }
    return found | {
        "torch": torch, "os": __import__("os"), "load_images": load_images, "load_reviews": load_reviews,
        "clinic": clinic, "assets": assets,
        "runtime": runtime, "vae": vae, "VAE": vae.VAE, "dcgan": dcgan, "plots": plots,
        "vae_lab": vae_laboratory, "standin_images": standin_images, "RealReference": RealReference,
        "course_utils": __import__("course_utils.datasets.standin_images"),
        "ImageSet": ImageSet, "ReviewSet": ReviewSet, "reference": things["reference"], "encoder": things["encoder"],
        "train": things["reviews"], "texts": things["reviews"].texts, "labels": train.labels, "name": "mine",
        "classes": train.classes, "images": drawn, "run": runtime.setup(quiet=True), "figure": figure,
        "train_images": train, "test_images": things["test"], "features": torch.randn(9, 3), "sets": {"a": drawn},
        "network": lambda images: torch.randn(len(images), 10),
        "generator": lambda noise: drawn[:1].expand(len(noise), -1, -1, -1),
        "latent_dim": 4, "real": torch.randn(9, 3), "fake": torch.randn(9, 3), "line": line(reconstruction="mean"),
        "loss": lambda x_hat, x, mean, log_var: elbo._nll(x_hat, x, "bernoulli", 1.0) + elbo._kl(mean, log_var),
        "make_test": blind_test.make_test, "real_images": torch.zeros(20, 3, 8, 8, dtype=torch.uint8),
        "made_images": torch.zeros(20, 3, 8, 8, dtype=torch.uint8),
        "nll": torch.ones(3), "beta": 1.0, "mean": torch.zeros(3, 2), "log_var": torch.zeros(3, 2),
        "gaussian_kl": lambda mean, log_var: mean.sum(1),
    }  # fmt: skip


OWN_NAMES = {
    "reviews-bad-set": {"texts": ["a", "b"], "labels": [0, 1]},
    "images-bad-images": {"images": torch.zeros(2, 3, 8, 8), "labels": torch.tensor([0, 1])},
    "images-bad-labels": {"images": torch.zeros(2, 3, 8, 8), "labels": torch.tensor([0.0, 1.0])},
    "images-bad-factors": {"images": torch.zeros(2, 3, 8, 8), "labels": torch.tensor([0, 1])},
    "texts-none": {"texts": texts},
    "texts-too-short": {"texts": texts},
    "gpt-context": {
        "model": attention.GPT(8, 6, 1, 2, 4),
        "ids": torch.zeros(1, 5, dtype=torch.int64),
    },
    "features-shape": {"images": torch.zeros(2, 1, 28, 28)},
    "metrics-range": {"images": torch.full((2, 3, 32, 32), 200.0)},
}


@pytest.mark.parametrize("code", EXECUTED)
def test_the_printed_fix_works(code, things, tmp_path, cache, server, offer, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_TIER", "smoke")
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    if not code.startswith(("reviews", "pretrained")):
        offer(server.url())
    place = Place(tmp_path, server, monkeypatch)
    place.train, place.test = things["train"], things["test"]
    place.reference, place.encoder = things["reference"], things["encoder"]
    with pytest.raises(CourseError) as caught:
        EXECUTED[code](place)
    error = caught.value
    assert error.code == code
    assert error.what and error.why and error.fix
    server.page = None
    if (
        ("reviews" in error.fix and '"sentences"' in error.fix)
        or '"small"' in error.fix
        or '"imdb"' in error.fix
    ):
        stand_in(monkeypatch)
    own = OWN_NAMES.get(code, {})
    if code == "spoiled-classes":
        own = {"images": things["train"]}
    if code == "metrics-score":  # the defaults want 10,000 images
        few = SimpleNamespace(
            from_images=lambda *sets: RealReference.from_images(*sets, n=4, draws=2)
        )
        own = {"RealReference": few}
    text = paste(error.fix).replace("[...]", "[0.5] * 300")
    assert text, error.fix
    pasted = names(things) | own
    # Relative places begin at the course's folder; here that is a new one, and the repository stays as it is.
    monkeypatch.setattr(paths, "course_dir", lambda: tmp_path)
    exec(compile(text, "pasted", "exec"), pasted)
    if code == "gpt-heads":
        attention.GPT(vocab=8, dim=6, layers=1, heads=pasted["heads"], context=8)
    if "COURSE_RUNS" in text:
        finish(run(paths.runs_dir() / "again"))


def stand_in(monkeypatch):
    """Let what the installation fetches (90 MB) be something small: the fix's line is what is tested here."""
    from course_utils.datasets import reviews, standin_reviews

    monkeypatch.setattr(assets, "fetch", lambda name: Path("not read"))
    monkeypatch.setattr(
        review_readers, "read_sentences", lambda wheel, split: standin_reviews.make(split)
    )
    monkeypatch.setattr(
        review_readers, "read_tree", lambda path, split, order=None: standin_reviews.make(split)
    )
    monkeypatch.setattr(reviews, "_imdb_path", lambda: None)
    monkeypatch.setattr(
        pretrained, "_small", lambda: pretrained._standin(["a good film", "a bad film"])
    )


def test_a_run_that_cannot_be_gone_on_with_is_started_again(tmp_path, monkeypatch):
    finish(run(tmp_path / "a"))
    with pytest.raises(CourseError) as caught:
        run(tmp_path / "a", seed=1)
    assert caught.value.code == "training-other-settings" and "fresh=True" in caught.value.fix
    assert finish(run(tmp_path / "a", seed=1, fresh=True)).finished

    training = run(tmp_path / "b")
    with pytest.raises(CourseError) as caught:
        for _ in training.batches():
            training.log(loss=float("nan"))
    assert caught.value.code == "training-not-finite" and "fresh=True" in caught.value.fix
    assert finish(run(tmp_path / "b", fresh=True)).finished

    monkeypatch.setattr(checkpoints, "SCHEMA", 99)
    finish(run(tmp_path / "c"))
    monkeypatch.undo()
    with pytest.raises(CourseError) as caught:
        run(tmp_path / "c")
    assert caught.value.code == "checkpoint-other-schema" and "fresh=True" in caught.value.fix
    assert finish(run(tmp_path / "c", fresh=True)).finished


@pytest.mark.parametrize(
    "load",
    [
        dcgan.load_shipped_generator,
        lambda: vae.load_shipped("vae_cifar10"),
        lambda: shipped.read(masked_lm.SHIPPED),
        features.load_feature_network,
        attention.load_shipped,
        lambda: results.read("bench.json"),
    ],
)
def test_what_ships_with_the_course_is_got_back_from_git(load, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    done = subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", "--shared", str(ROOT), str(clone)],
        check=False,
    )
    if done.returncode or not shutil.which("git"):
        pytest.skip("this copy of the course is not a git repository")
    files = [
        *(clone / "data" / "checkpoints").glob("*.safetensors"),
        *(clone / "data" / "results").glob("*.json"),
    ]
    for path in files:
        path.unlink()
    monkeypatch.setattr(paths, "data_dir", lambda: clone / "data")
    with pytest.raises(CourseError) as caught:
        load()
    assert caught.value.code in ("weights-damaged", "results-unreadable")
    command = re.search(r"git checkout -- [\w./ ]+\w", caught.value.fix)[0]
    subprocess.run(command.split(), cwd=clone, check=True, capture_output=True)
    assert any(path.is_file() for path in files)
    load()
