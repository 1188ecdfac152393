"""Text for lesson 05: a corpus of documents, its byte-pair tokens, and the windows that a model trains on.

Film reviews where the machine has them, else Python's own manual, which comes with every Python.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from course_utils import runtime
from course_utils.datasets import review_readers, reviews, text_files
from course_utils.datasets.text_files import NotText, Report
from course_utils.errors import CourseError
from course_utils.paths import resolve
from course_utils.progress_bars import progress
from course_utils.tiers import TIERS

HELD_OUT = 2_000
"""At most so many held-out documents are loaded."""
FEWEST = 10
"""Documents that a corpus has at least, since every tenth is held out."""
END = "<|endoftext|>"
"""The token between documents: it ends one and begins the next. Its id is 0."""


@dataclass(frozen=True)
class Corpus:
    """Documents to learn from, and others to be judged on.

    Attributes:
        name: what the text is, for titles.
        train: documents for training.
        held_out: documents that training never sees.
        is_standin: whether it only stands in for a real set.
    """

    name: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    is_standin: bool = False

    def title(self, what: str) -> str:
        """A title that says what the text is; a stand-in is always called one."""
        mark = "stand-in, " if self.is_standin and "stand-in" not in self.name else ""
        return f"{what} [{mark}{self.name}]"


def load_texts(source: str | Path | None = None, limit: int | None = None) -> Corpus:
    """Load a corpus.

    Args:
        source: None takes the real film reviews that are on this machine (tier ``gpu`` fetches them), else, and always
            at tier ``smoke``, the manual; ``"manual"`` the documentation inside this Python; ``"imdb"``,
            ``"sentences"`` or ``"standin"`` these sets of `course_utils.datasets.reviews`; otherwise the path of a text
            file, of a folder of text files (`text_files.find_documents` says which count), or of reviews in IMDB's
            layout, as a folder or an archive.
        limit: at most so many documents for training.

    Folders ``train`` and ``test`` in a folder of texts are the training and the held-out documents; otherwise every
    tenth document is held out. Where there are fewer than `FEWEST` documents, a book in one file for example, they are
    cut into pieces of at most 2,000 characters. Exact copies count once. What is left out is said.

    Raises:
        CourseError: there is no such file, it is not text or in an unknown encoding, or it holds too little text.
    """
    if source is None:
        tier = TIERS[runtime.tier()]
        there = tier.fetches or (tier.takes_real and reviews.on_this_machine())
        return _reviews(None, limit) if there else _manual(limit)
    if source == "manual":
        return _manual(limit)
    if source in ("imdb", "hub", "sentences", "standin"):
        return _reviews(source, limit)
    path = resolve(source)
    return _reviews(path, limit) if review_readers.holds_reviews(path) else _own(path, limit)


def train_tokenizer(texts: Iterable[str], vocab: int) -> Tokenizer:
    """Byte-pair tokens learned from texts: from the 256 bytes on, the most frequent pair is merged again and again.

    Every text comes back exactly, also one with signs that no training text had: they are bytes as well.

    Args:
        texts: what the merges are learned from.
        vocab: tokens in all: `END` (id 0), the bytes and the merges.

    Source:
        Radford et al. 2019 (GPT-2), section 2.2; Sennrich, Haddow, Birch 2016, arXiv 1508.07909.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return as_text_only(tokenizer)


def as_text_only(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer, which now reads the letters of `END` inside a text as letters."""
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The documents as token ids; each begins with `END` (id 0), from which its first token is predicted."""
    parts = [
        texts[start : start + 500] for start in range(0, len(texts), 500)
    ]  # so that a bar has steps
    return [
        [0, *found.ids]
        for part in progress(parts, "tokens")
        for found in tokenizer.encode_batch(list(part))
    ]


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Token ids as text; every `END` (id 0) begins a new line, and lines without a letter are left out."""
    documents: list[list[int]] = [[]]
    for token in ids:
        if token:
            documents[-1].append(token)
        else:
            documents.append([])
    return "\n".join(text for one in documents if (text := tokenizer.decode(one).strip()))


def which(corpus: Corpus) -> str:
    """One paragraph, as Markdown: which text this is, and how to get the other one."""
    imdb = '`from course_utils import assets; assets.fetch("imdb")` (80 MiB), then start again'
    if corpus.name == reviews.SENTENCES:
        return (
            f"**You have the {corpus.name}**, which come with every installation; the recorded outputs of this "
            "lesson are of them, too. Where numbers of IMDB's longer reviews stand beside yours, they are recorded "
            f"ones. To get IMDB yourself: {imdb}."
        )
    if corpus.name.startswith(reviews.IMDB):
        return (
            f"**You have {corpus.name}**, the longer reviews. The recorded outputs of this lesson are of the "
            f'{reviews.SENTENCES}, which come with every installation: `source = "sentences"` in the settings.'
        )
    return (
        f"**You have {corpus.name}.** The recorded numbers below are of film reviews: of the {reviews.SENTENCES} "
        f'(`source = "sentences"` in the settings) and of IMDB ({imdb}).'
    )


def windows(documents: Iterable[Sequence[int]], length: int, at_least: int = 1) -> Tensor:
    """All documents one after the other, cut into pieces: ids -> (N, length) int64; what is left over is dropped.

    Args:
        documents: token ids.
        length: tokens of a window.
        at_least: how many windows are needed.

    Raises:
        CourseError: the text is shorter than that.
    """
    stream = torch.tensor([token for ids in documents for token in ids], dtype=torch.int32)
    count = len(stream) // length
    if count < at_least:
        wanted = f"{at_least} windows" if at_least > 1 else "one window"
        raise CourseError(
            "texts-too-short",
            f"The text has {len(stream):,} tokens, fewer than {wanted} of {length}.",
            f"Training needs {at_least * length:,} tokens, which is about "
            f"{at_least * length / max(1, len(stream)):.1f} times this text.",
            'Take more text, or one that every Python has: corpus = texts.load_texts("manual")',
        )
    return stream[: count * length].view(count, length).long()


def digest(ids: Tensor) -> str:
    """SHA-256 of token ids, so that a run never goes on with another text."""
    return hashlib.sha256(ids.contiguous().numpy().data).hexdigest()


def _reviews(source: str | Path | None, limit: int | None) -> Corpus:
    train, test = (
        reviews.load_reviews(source, "train", limit),
        reviews.load_reviews(source, "test", HELD_OUT),
    )
    return Corpus(train.name, train.texts, test.texts, train.is_standin)


def _manual(limit: int | None) -> Corpus:
    """The topics of ``help()``. Many repeat paragraphs of others: each paragraph counts where it comes first."""
    from pydoc_data.topics import topics  # half a megabyte that only this needs

    seen: set[str] = set()
    documents = []
    for name in sorted(topics):
        paragraphs = [p for p in dict.fromkeys(topics[name].strip().split("\n\n")) if p not in seen]
        seen.update(paragraphs)
        documents.append("\n\n".join(paragraphs))
    return _deal("Python's manual", [text for text in documents if len(text) > 200], limit)


def _own(path: Path, limit: int | None) -> Corpus:
    """A text file, or a folder of text files."""
    report, name = Report(), path.name or "texts"
    texts = _documents(path, report) if path.is_dir() else _document(path, report)
    parts = [_enough(_part(texts, part)) for part in ("train", "test")]
    if all(parts):
        for beside in [name for name in texts if not _part_of(name)]:
            report.note("left out: beside the folders train and test", beside)
        report.say(path, f"{len(parts[0]):,} documents to learn from, {len(parts[1]):,} others")
        return Corpus(name, tuple(parts[0][:limit]), tuple(parts[1][:HELD_OUT]))
    documents = _enough(list(texts.values()))
    if len(documents) < FEWEST:
        held = sum(map(len, texts.values()))
        why = f"{held:,} characters, fewer than ten documents or pieces of {_SMALLEST}"
        raise _refused(path, f"{why}.{report.lines()}", report.encoding)
    report.say(path, f"{len(documents):,} documents")
    return _deal(name, documents, limit)


def _document(file: Path, report: Report) -> dict[str, str]:
    try:
        text = report.read(file.name, partial(text_files.read_bytes, file))
    except NotText as error:
        raise _refused(file, f"{error}.", error.encoding) from None
    return {file.name: text_files.tidy(text)}


def _documents(folder: Path, report: Report) -> dict[str, str]:
    """The documents of a folder by their paths, each text once; none is empty."""
    texts: dict[str, str] = {}
    known: set[str] = set()
    for name in text_files.find_documents(folder, report):
        raw = report.read_if_text(name, partial(text_files.read_bytes, folder / name))
        text = text_files.tidy(raw or "").strip()
        if raw is not None and (not text or text in known):
            report.note(f"left out: {'an exact copy of another' if text else 'empty'}", name)
        elif raw is not None:
            texts[name] = text
            known.add(text)
    return texts


def _part_of(name: str) -> str:
    """The first folder around a document that is called ``train`` or ``test``, in any case; else empty."""
    folders = name.lower().split("/")[:-1]
    return next((folder for folder in folders if folder in ("train", "test")), "")


def _part(texts: dict[str, str], part: str) -> list[str]:
    return [text for name, text in texts.items() if _part_of(name) == part]


def _enough(documents: list[str]) -> list[str]:
    """Documents; fewer than ten are cut into pieces."""
    return documents if len(documents) >= FEWEST else _pieces(documents)


def _deal(name: str, documents: list[str], limit: int | None) -> Corpus:
    """Every tenth document is held out."""
    train = tuple(text for number, text in enumerate(documents) if number % 10)
    return Corpus(name, train[:limit], tuple(documents[::10])[:HELD_OUT])


_LARGEST, _SMALLEST = 2_000, 200  # characters of a piece
_CUTS = tuple(map(re.compile, (r"\n\s*\n", r"\n", r"[.!?…][\"'”’»)]*\s+|[。！？][」』”]?", r"\s+")))
"""Where a text may be cut: between paragraphs, lines, sentences, words."""


def _pieces(texts: list[str]) -> list[str]:
    """Texts cut into pieces, each at the best place in its second half; 2,000 characters give ten or more."""
    size = min(_LARGEST, max(_SMALLEST, sum(map(len, texts)) // (2 * FEWEST)))
    pieces = []
    for text in texts:
        start = 0
        while start < len(text):
            end = _cut(text, start, start + size)
            pieces.append(text[start:end].strip())
            start = end
    return [piece for piece in pieces if piece]


def _cut(text: str, start: int, end: int) -> int:
    if end >= len(text):
        return len(text)
    for pattern in _CUTS:
        places = [found.end() for found in pattern.finditer(text, (start + end) // 2, end)]
        if places:
            return places[-1]
    return end


def _refused(path: Path, why: str, encoding: str | None) -> CourseError:
    if encoding:
        return text_files.unknown_encoding(path, why, encoding)
    return CourseError(
        "texts-none",
        f"No text to learn from in {path.name}: {why}",
        "A corpus is a plain text file, a folder of such files, or reviews in IMDB's layout. The text of a PDF or of a "
        "Word document can be saved as .txt in UTF-8; an archive must be unpacked first.",
        'Take another one, or the text that every Python has: corpus = texts.load_texts("manual")',
    )
