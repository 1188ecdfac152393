"""Attention and the small GPT of lesson 05, for the lessons that need them again (arXiv 1706.03762; GPT-2's network).

Shapes: token ids (B, T) int64, activations (B, T, D), heads (B, heads, T, head_dim), logits (B, T, V).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from course_utils.datasets.texts import as_text_only
from course_utils.errors import CourseError
from course_utils.models import shipped

SHIPPED = "gpt_reviews"

Cache = list[dict[str, Tensor]]
"""For each block, the keys and values of the tokens read so far: {"k": (B, heads, T, head_dim), "v": the same}."""


def scaled_dot_product(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention: softmax(q k^T / sqrt(d)) v, for (..., T, d) queries and (..., S, d) keys and values -> (..., T, d).

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: bool, broadcasts to (..., T, S); True = may attend. None: everything may.

    Source: arXiv 1706.03762, eq. 1.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ v


def causal_mask(length: int) -> Tensor:
    """Who may look at whom in a text: bool (length, length), True where the column is not after the row."""
    return torch.ones(length, length, dtype=torch.bool).tril()


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, D) -> (B, heads, T, D / heads): head h gets the h-th run of columns."""
    batch, length, dim = x.shape
    return x.view(batch, length, heads, dim // heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """The inverse of `split_heads`: (B, heads, T, head_dim) -> (B, T, D)."""
    return x.transpose(1, 2).flatten(2)


def next_token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean negative log probability of each token given those before it, in nats.

    Args:
        logits: (B, T, V); those at position t predict the token at t + 1.
        tokens: (B, T) int64.

    Returns: a scalar, the mean over the B * (T - 1) predictions.
    """
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())


def filter_logits(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Logits (V,) divided by the temperature, -inf outside the kept set; draw with ``softmax`` and ``multinomial``.

    Args:
        logits: (V,).
        temperature: above 0.
        top_k: keep the k largest and every token tied with the k-th; None keeps all.
        top_p: then keep the smallest set, by descending probability, that reaches p; the crossing token is in it.
            Source: arXiv 1904.09751, section 3.
    """
    logits = logits / temperature
    if top_k is not None:
        kth = logits.topk(min(top_k, len(logits))).values[-1]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    if top_p is not None and top_p < 1:  # rounding in the sum below would cut the tail at 1
        p, order = logits.softmax(dim=-1).sort(descending=True, stable=True)
        beyond = p.cumsum(dim=-1) - p >= top_p  # reached before this token
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter(0, order, beyond), -torch.inf)
    return logits


class Attention(nn.Module):
    """Multi-head causal self-attention: (B, T, D) -> (B, T, D)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, cache: dict[str, Tensor] | None = None) -> Tensor:
        """Attend; with a cache, also to what it holds, and leave the new keys and values there."""
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        if cache is not None:
            if cache:
                k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
            cache.update(k=k, v=v)
        mask = causal_mask(k.shape[2])[-q.shape[2] :].to(
            x.device
        )  # (T, S): the rows of the new tokens
        return self.out(merge_heads(scaled_dot_product(q, k, v, mask)))


class Block(nn.Module):
    """Attention, then a two-layer network for each token; each reads a normalised copy and adds to the stream."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(approximate="tanh"), nn.Linear(4 * dim, dim)
        )

    def forward(self, x: Tensor, cache: dict[str, Tensor] | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = x + self.attention(self.norm1(x), cache)
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """A decoder-only transformer, GPT-2's network: token ids (B, T) -> logits of the next token (B, T, V).

    Args:
        vocab: tokens V.
        dim: width D of the residual stream; a multiple of ``heads``.
        layers: blocks.
        heads: attention heads of each block.
        context: the most tokens it can read, cached ones included.

    Raises:
        CourseError: ``dim`` is not a multiple of ``heads``.
    """

    def __init__(self, vocab: int, dim: int, layers: int, heads: int, context: int) -> None:
        super().__init__()
        if dim % heads:
            fits = next(number for number in range(max(1, heads), 0, -1) if dim % number == 0)
            raise CourseError(
                "gpt-heads",
                f"{dim} columns do not split into {heads} heads.",
                "Heads are equally wide.",
                f"heads = {fits}",
            )
        self.sizes = {
            "vocab": vocab,
            "dim": dim,
            "layers": layers,
            "heads": heads,
            "context": context,
        }
        self.context = context
        self.tokens, self.positions = nn.Embedding(vocab, dim), nn.Embedding(context, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        for (
            name,
            weight,
        ) in self.named_parameters():  # GPT-2's initialisation, with a table that fits its width
            if weight.dim() == 2:
                into_stream = name.endswith(("out.weight", "mlp.2.weight"))
                nn.init.normal_(weight, 0.0, 0.02 / math.sqrt(2 * layers) if into_stream else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        nn.init.normal_(self.tokens.weight, 0.0, 1 / math.sqrt(2 * dim))

    def new_cache(self) -> Cache:
        """An empty key-value cache."""
        return [{} for _ in self.blocks]

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """Token ids (B, T) -> logits (B, T, V); with a cache the ids are those after the tokens that it holds.

        Raises:
            CourseError: more tokens than the context.
        """
        start = cache[0]["k"].shape[2] if cache and cache[0] else 0
        if start + ids.shape[1] > self.context:
            raise CourseError(
                "gpt-context",
                f"{start + ids.shape[1]} tokens, but the network has positions for {self.context} only.",
                "A position beyond its context was never trained.",
                "logits = model(ids[:, -model.context:])",
            )
        x = self.tokens(ids) + self.positions(
            torch.arange(start, start + ids.shape[1], device=ids.device)
        )
        for number, block in enumerate(self.blocks):
            x = block(x, cache[number] if cache else None)
        return self.norm(x) @ self.tokens.weight.T  # the same table reads tokens and names them


@torch.no_grad()
def generate(
    model: GPT,
    ids: Sequence[int],
    count: int,
    choose: Callable[[Tensor], int],
    use_cache: bool = True,
) -> list[int]:
    """``ids`` and ``count`` tokens more, each chosen by ``choose`` from the logits (V,) of the next token.

    With a cache only the new token is computed in each step. A text longer than the context goes on from its second
    half alone.
    """
    ids, cache, device = list(ids), model.new_cache(), model.tokens.weight.device
    read = max(0, len(ids) - model.context)  # tokens that are in the cache or forgotten
    start = read
    for _ in range(count):
        if len(ids) - start > model.context:
            start = read = len(ids) - model.context // 2
            cache = model.new_cache()
        if not use_cache:
            read, cache = start, model.new_cache()
        logits = model(torch.tensor([ids[read:]], device=device), cache)[0, -1]
        read = len(ids)
        ids.append(int(choose(logits.float())))
    return ids


def contents(
    model: GPT, tokenizer: Tokenizer, facts: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A GPT's weights and facts as `shipped.write` takes them; its sizes and its tokens are added to the facts."""
    return model.state_dict(), {**facts, **model.sizes, "tokenizer": tokenizer.to_str()}


def load_shipped(device: torch.device | str = "cpu") -> tuple[GPT, Tokenizer, dict[str, Any]]:
    """The GPT of lesson 05's longest run, in evaluation mode, its tokenizer, and the facts of its run.

    Args:
        device: where the network shall live.

    Raises:
        CourseError: the file is missing or damaged.
    """
    weights, facts = shipped.read(SHIPPED)
    model = GPT(**{key: int(facts[key]) for key in ("vocab", "dim", "layers", "heads", "context")})
    model.load_state_dict(weights, assign=True)  # in float32, whatever the default is
    return model.to(device).eval(), as_text_only(Tokenizer.from_str(facts.pop("tokenizer"))), facts
