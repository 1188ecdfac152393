"""A watermark in generated text: after each token a half-random list of tokens is preferred (arXiv 2301.10226)."""

import hashlib
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.models.attention import GPT


class Watermark:
    """Green lists: for each token, which tokens are preferred after it.

    The list comes from key and previous token, so whoever has the key can count green tokens in any text,
    without the network. Source: arXiv 2301.10226, algorithm 2 (the soft watermark).

    Args:
        vocab: tokens V of the tokenizer.
        gamma: share of green tokens in each list, in (0, 1); rounded to whole tokens, and ``gamma`` holds that share.
        delta: what is added to the logits of green tokens, in nats; 0 marks nothing.
        key: the secret; another key has other lists.
        lists: what draws them, a function of previous token, V, gamma and key that gives bool (V,), exactly
            ``round(gamma * V)`` of them True; None takes the course's own, which are hashed.

    Raises:
        CourseError: the share leaves no green or no red token, or delta is negative or no number.
    """

    def __init__(
        self,
        vocab: int,
        gamma: float = 0.25,
        delta: float = 2.0,
        key: int = 0,
        lists: Callable[[int, int, float, int], Tensor] | None = None,
    ) -> None:
        if not 0 < gamma < 1 or not 0 < round(gamma * vocab) < vocab:
            raise CourseError(
                "watermark-share",
                f"gamma = {gamma} of {vocab} tokens.",
                "Each list needs at least one green and one red token.",
                "gamma = 0.25",
            )
        if not (math.isfinite(delta) and delta >= 0):
            raise CourseError(
                "watermark-delta",
                f"delta = {delta}.",
                "Green tokens are preferred by a finite number of nats, 0 or more.",
                "delta = 2.0",
            )
        share = round(gamma * vocab) / vocab
        self.vocab, self.gamma, self.delta, self.key = vocab, share, delta, key
        drawn = lists or _hashed
        self.table = torch.stack([drawn(token, vocab, gamma, key) for token in range(vocab)])

    def is_green(self, previous: int, token: int) -> bool:
        """Whether ``token`` is on the list of the token before it."""
        return bool(self.table[previous, token])

    def hits(self, tokens: Sequence[int]) -> Tensor:
        """For each token after the first whether it is green: T ids -> bool (T - 1,)."""
        ids = torch.as_tensor(tokens, dtype=torch.int64)
        return self.table[ids[:-1], ids[1:]]

    def prefer(self, logits: Tensor, previous: Tensor) -> Tensor:
        """Logits (..., V) after the tokens ``previous`` (...), with delta added where a token is green."""
        return logits + self.delta * self.table[previous.cpu()].to(logits.device, logits.dtype)


def _hashed(previous: int, vocab: int, gamma: float, key: int) -> Tensor:
    """The list after a token, seeded by a hash: who knows some lists does not learn the key."""
    name = f"{key}:{previous}".encode()
    seed = int.from_bytes(hashlib.blake2b(name, digest_size=7).digest(), "big")
    green = torch.zeros(vocab, dtype=torch.bool)
    order = torch.randperm(vocab, generator=torch.Generator().manual_seed(seed))
    green[order[: round(gamma * vocab)]] = True
    return green


@torch.no_grad()
def write(
    model: GPT,
    starts: Tensor,
    count: int,
    mark: Watermark | None = None,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Texts that go on from ``starts``, all side by side, with or without a watermark.

    The logits are divided by the temperature, and delta is added then, so that it means the same at each temperature.

    Args:
        model: the network that writes.
        starts: token ids (B, T) int64, T at least 1.
        count: tokens to write; T + count - 1 may not exceed the network's context.
        mark: the watermark; None writes plainly.
        temperature: above 0.
        generator: of the draws, on the CPU.

    Returns:
        Token ids (B, T + count) int64, on the CPU.

    Raises:
        CourseError: more tokens than the context.
    """
    device, cache = model.tokens.weight.device, model.new_cache()
    ids = new = starts.cpu()
    for _ in range(count):
        logits = model(new.to(device), cache)[:, -1].float().cpu() / temperature
        if mark is not None:
            logits = mark.prefer(logits, new[:, -1])
        new = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)
        ids = torch.cat([ids, new], dim=1)
    return ids
