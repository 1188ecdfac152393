"""Measures of language models and of what they write: bits per byte with intervals, repetition, memorisation."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from course_utils.errors import CourseError

Model = Callable[[Tensor], Tensor]
"""Token ids (B, T) -> logits (B, T, V) of the token after each position."""


@dataclass(frozen=True)
class Score:
    """A mean with its 95 % interval, over documents.

    Attributes:
        value: bits for each byte of text.
        low: lower end of the interval.
        high: upper end.
        nats_per_token: mean negative log probability of a token, in nats.
        documents: how many documents were scored.
    """

    value: float
    low: float
    high: float
    nats_per_token: float
    documents: int

    @property
    def perplexity(self) -> float:
        """The number e to the nats a token: among so many equally likely tokens the model wavers, on average."""
        return math.exp(self.nats_per_token)

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@torch.no_grad()
def document_nats(
    model: Model,
    documents: Sequence[Sequence[int]],
    context: int,
    batch_size: int = 32,
    device: str | torch.device = "cpu",
) -> Tensor:
    """What each document costs in all: the negative log probability of its tokens after the first, (N,) in nats.

    Longer documents are read in windows that overlap by half, so that every token is scored once and, but for those
    of the first window, after at least ``context // 2`` others.

    Args:
        model: ids -> logits.
        documents: token ids, each with the end token first.
        context: the longest window that the model reads.
        batch_size: windows at a time.
        device: where the model lives.
    """
    total = torch.zeros(len(documents), dtype=torch.float64)
    pieces = [
        piece for number, ids in enumerate(documents) for piece in _pieces(number, ids, context)
    ]
    pieces.sort(key=lambda piece: len(piece[1]))
    for start in range(0, len(pieces), batch_size):
        batch = pieces[start : start + batch_size]
        longest = max(len(ids) for _, ids, _ in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.int64)
        scored = torch.zeros(len(batch), longest - 1, dtype=torch.bool)
        for row, (_, piece, first) in enumerate(batch):
            ids[row, : len(piece)] = torch.tensor(piece)
            scored[row, first - 1 : len(piece) - 1] = True
        ids = ids.to(device)
        logits = model(ids)[:, :-1].float()
        nats = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(
            len(batch), -1
        )
        rows = torch.tensor([number for number, _, _ in batch])
        total.index_add_(0, rows, (nats.cpu() * scored).sum(1).double())
    return total


def score(
    model: Model,
    documents: Sequence[Sequence[int]],
    texts: Sequence[str],
    context: int,
    device: str | torch.device = "cpu",
) -> Score:
    """Bits per byte of a model on documents; the interval is a bootstrap over documents.

    Bytes are those of the text in UTF-8, so models with different tokens can be compared.

    Args:
        model: ids -> logits.
        documents: the texts as token ids, each with the end token first.
        texts: the same texts.
        context: the longest window that the model reads.
        device: where the model lives.
    """
    nats = document_nats(model, documents, context, device=device).numpy()
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.float64)
    tokens = sum(len(ids) - 1 for ids in documents)
    low, high = bootstrap_ratio(nats, sizes * math.log(2))
    total = float(nats.sum())
    return Score(total / sizes.sum().item() / math.log(2), low, high, total / tokens, len(texts))


@torch.no_grad()
def preference(model: Model, tokenizer: Tokenizer, beginning: str, word: str, other: str) -> float:
    """P(word) / (P(word) + P(other)) for what comes after a beginning.

    Args:
        model: ids -> logits.
        tokenizer: of the model.
        beginning: what is read, after the end token (id 0).
        word: with its space before it, as the tokenizer takes words; its first token counts.
        other: likewise.
    """
    ids = torch.tensor([[0, *tokenizer.encode(beginning).ids]])
    p = model(ids)[0, -1].float().softmax(dim=0)
    one, two = (p[tokenizer.encode(text).ids[0]].item() for text in (word, other))
    return one / (one + two)


def bootstrap_ratio(
    above: np.ndarray, below: np.ndarray, draws: int = 1_000
) -> tuple[float, float]:
    """95 % interval of sum(above) / sum(below), both (N,), where the N pairs are drawn again with replacement."""
    index = np.random.default_rng(0).integers(0, len(above), (draws, len(above)))
    ratios = above[index].sum(1) / below[index].sum(1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(low), float(high)


def bigram_counts(documents: Sequence[Sequence[int]], vocab: int) -> Tensor:
    """How often token b follows token a inside a document: (V, V) float64, row a, column b."""
    before = torch.tensor([a for ids in documents for a in ids[:-1]])
    after = torch.tensor([b for ids in documents for b in ids[1:]])
    return (
        torch.bincount(before * vocab + after, minlength=vocab * vocab).view(vocab, vocab).double()
    )


def bigram_log_probs(counts: Tensor, strength: float) -> Tensor:
    """Log probabilities of the next token: counts (V, V) -> (V, V), in nats.

    Each row is mixed with ``strength`` tokens drawn from how frequent tokens are (each counted once more, so that
    nothing is impossible): rows that were seen often follow their own counts. With strength 0 they are plain shares.
    """
    frequent = counts.sum(0) + (1 if strength else 0)
    smoothed = counts + strength * frequent / frequent.sum()
    return (smoothed / smoothed.sum(1, keepdim=True)).log()


def repeated_share(items: Sequence[int | str], length: int = 4) -> float:
    """Share of the runs of ``length`` items that were there before: 0 where nothing repeats, near 1 in a loop."""
    runs = [tuple(items[i : i + length]) for i in range(len(items) - length + 1)]
    if not runs:
        raise CourseError(
            "language-short",
            f"Fewer than {length} items.",
            "There is no run to count.",
            "Write more.",
        )
    return 1 - len(set(runs)) / len(runs)


class CopyFinder:
    """Finds what a text has word for word, sign for sign, from a large training text.

    Args:
        training_text: all of it.
        length: the shortest copies that are found, in signs.
    """

    def __init__(self, training_text: str, length: int = 30) -> None:
        self.length, self._bytes = length, training_text.encode()
        self._hashes = np.unique(_rolling_hashes(training_text, length))

    def copied_share(self, texts: Sequence[str], length: int, step: int = 10) -> float:
        """Share of the pieces of ``length`` signs, one at every ``step``, that stand in the training text.

        Raises:
            CourseError: the pieces are shorter than what is found, or there are none.
        """
        if length < self.length:
            raise CourseError(
                "language-short",
                f"Pieces of {length} signs.",
                f"The shortest are {self.length}.",
                "Longer pieces.",
            )
        found = [bool(hit) for text in texts for hit in self._pieces(text, length, step)]
        if not found:
            raise CourseError(
                "language-short",
                f"No text of {length} signs.",
                "Nothing can be looked up.",
                "Write more.",
            )
        return sum(found) / len(found)

    def longest(self, text: str) -> str:
        """The longest piece of ``text`` that stands in the training text; empty if none has ``self.length`` signs."""
        hits, best = self._hits(text), ""
        for start in np.flatnonzero(hits).tolist():
            run = hits[start:].argmin() if not hits[start:].all() else len(hits) - start
            end = start + max(self.length, len(best) + 1)
            while end < start + run + self.length and self._has(text[start:end]):
                best, end = text[start:end], end + 1
        return best

    def _has(self, piece: str) -> bool:
        return piece.encode() in self._bytes

    def _hits(self, text: str) -> np.ndarray:
        """For each position whether the ``self.length`` signs from it on stand in the training text, by their hash."""
        own = _rolling_hashes(text, self.length)
        place = np.searchsorted(self._hashes, own).clip(max=len(self._hashes) - 1)
        return self._hashes[place] == own

    def _pieces(self, text: str, length: int, step: int) -> Iterator[bool]:
        hits = self._hits(text)
        for start in range(0, len(text) - length + 1, step):
            inside = hits[start : start + length - self.length + 1]
            yield bool(inside.all()) and self._has(text[start : start + length])


def _rolling_hashes(text: str, length: int) -> np.ndarray:
    """A 64-bit number for each run of ``length`` signs: uint64 (len(text) - length + 1,)."""
    signs = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64) + np.uint64(1)
    signs *= np.uint64(0x9E3779B97F4A7C15)
    signs ^= signs >> np.uint64(29)
    count = max(0, len(signs) - length + 1)
    total = np.zeros(count, np.uint64)
    for offset in range(length):
        total *= np.uint64(0xD6E8FEB86659FD93)
        total += signs[offset : offset + count]
    return total


def _pieces(
    number: int, ids: Sequence[int], context: int
) -> Iterator[tuple[int, Sequence[int], int]]:
    """(document, window, first position that is scored in it)."""
    yield number, ids[:context], 1
    scored, half = context, context // 2
    while scored < len(ids):
        start = scored - half
        yield number, ids[start : start + context], half
        scored = start + context
