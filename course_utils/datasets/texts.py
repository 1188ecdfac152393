"""Text for lesson 05: a corpus of documents, its byte-pair tokens, and the windows that a model trains on.

Film reviews where the machine has them, else Python's own manual, which comes with every Python.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from course_utils import runtime
from course_utils.datasets import reviews
from course_utils.errors import CourseError
from course_utils.progress_bars import progress

HELD_OUT = 2_000
"""At most so many held-out documents are loaded."""
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
            file, of a folder of text files, or of an IMDB folder.
        limit: at most so many documents for training.

    Raises:
        CourseError: there is no such file, or it holds too little text.
    """
    if source is None:
        there = runtime.tier() == "gpu" or (
            runtime.tier() == "laptop" and reviews.on_this_machine()
        )
        return _reviews(None, limit) if there else _manual(limit)
    if source == "manual":
        return _manual(limit)
    if (
        source in ("imdb", "hub", "sentences", "standin")
        or (Path(source).expanduser() / "train" / "pos").is_dir()
    ):
        return _reviews(source, limit)
    return _own(Path(source).expanduser(), limit)


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


def windows(documents: Iterable[Sequence[int]], length: int) -> Tensor:
    """All documents one after the other, cut into pieces: ids -> (N, length) int64; what is left over is dropped.

    Raises:
        CourseError: the text is shorter than one piece.
    """
    stream = torch.tensor([token for ids in documents for token in ids], dtype=torch.int32)
    count = len(stream) // length
    if not count:
        raise CourseError(
            "texts-too-short",
            f"The text has {len(stream)} tokens, fewer than one window of {length}.",
            "Training needs at least one whole window.",
            "Take more text, or a smaller context.",
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
    files = sorted(p for p in path.rglob("*.txt") if p.is_file()) if path.is_dir() else [path]
    try:
        texts = [file.read_text(encoding="utf-8-sig", errors="replace").strip() for file in files]
    except OSError as error:
        raise _no_text(path, str(error.strerror)) from error
    if len(texts) == 1:  # one file: its paragraphs, gathered into pieces of a few thousand signs
        texts = _pieces(texts[0])
    texts = [text for text in texts if text]
    if len(texts) < 10:
        raise _no_text(path, "fewer than ten documents or pieces of text")
    return _deal(path.name, texts, limit)


def _deal(name: str, documents: list[str], limit: int | None) -> Corpus:
    """Every tenth document is held out."""
    train = tuple(text for number, text in enumerate(documents) if number % 10)
    return Corpus(name, train[:limit], tuple(documents[::10])[:HELD_OUT])


def _pieces(text: str, size: int = 2_000) -> list[str]:
    pieces = [""]
    for paragraph in text.split("\n\n"):
        if len(pieces[-1]) > size:
            pieces.append("")
        pieces[-1] = f"{pieces[-1]}\n\n{paragraph}".strip()
    return pieces


def _no_text(path: Path, why: str) -> CourseError:
    return CourseError(
        "texts-none",
        f"No text to learn from in {path.name}: {why}.",
        "A corpus is a text file, a folder of .txt files, or an IMDB folder with train/pos.",
        'texts.load_texts("book.txt")',
    )
