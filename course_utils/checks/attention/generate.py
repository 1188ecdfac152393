"""Exercise `generate`: ask for the next token, append it, ask again."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_utils.checks.attention.shared import SmallNetwork
from course_utils.checks.core import Answer, call, exercise, require

Choose = Callable[[Tensor], int | Tensor]


@torch.no_grad()
def _generate_by_windows(
    model: SmallNetwork, ids: Sequence[int], count: int, choose: Choose
) -> list:
    text = [int(token) for token in ids]
    while len(text) < len(ids) + count:
        window = torch.as_tensor(text[max(0, len(text) - model.context) :]).unsqueeze(0)
        logits = model(window.to(next(model.parameters()).device))[0]
        text.append(int(choose(logits[-1].float().cpu())))
    return text


def _variant(
    window: Callable[[list[int], int], list[int]] = lambda text, context: text[-context:],
    row: int = -1,
    own: bool = False,
    extra: int = 0,
    only_new: bool = False,
    first: bool = False,
) -> Callable[..., list[int]]:
    """A generation with one fault."""

    def wrong(model: SmallNetwork, ids: Sequence[int], count: int, choose: Choose) -> list[int]:
        text, start = list(ids), list(ids)
        for _ in range(count + extra):
            seen = start if first else text
            logits = model(torch.tensor([window(seen, model.context)]))[0, row]
            text.append(int(logits.argmax() if own else choose(logits)))
        return text[len(start) :] if only_new else text

    return torch.no_grad()(wrong)


_MISTAKES: list[tuple[Callable[..., list[int]], str]] = [
    (
        _variant(only_new=True),
        "These are the new tokens alone; asked for is the whole text, beginning included.",
    ),
    (
        _variant(own=True),
        "`choose` was not asked: the most probable token was taken whatever it says.",
    ),
    (_variant(row=0), "The first row of logits was read; the last one speaks of the next token."),
    (
        _variant(window=lambda text, context: text[-1:]),
        "The network was shown the last token alone: it has to read all that fits into its context.",
    ),
    (
        _variant(window=lambda text, context: text[:context]),
        "It reads the *first* tokens for ever; where a text is too long, its beginning is forgotten.",
    ),
    (
        _variant(window=lambda text, context: text[-(context - 1) :]),
        "One token fewer than fits: the last `model.context` tokens are read.",
    ),
    (
        _variant(first=True),
        "Every token was chosen after the same beginning: what is new has to be read as well.",
    ),
    (_variant(extra=1), "One token too many: `count` new ones are asked for."),
    (_variant(extra=-1), "One token too few: `count` new ones are asked for."),
]

_LONG = {
    "more than the context": "The text has outgrown the network: show it the last `model.context` tokens only.",
    "not (B, T)": "The network reads batches: one text of T tokens has the shape (1, T).",
}


@exercise(_generate_by_windows)
def generate(fn: Answer) -> None:
    """Check ``generate(model, ids, count, choose)``: the list ``ids`` and ``count`` tokens more."""
    for length, count in ((2, 2), (3, 6), (6, 3), (1, 0)):
        model, ids = SmallNetwork().eval(), torch.randint(11, (length,)).tolist()
        for choose in (_second, _greedy):
            got = call(fn, model, ids, count, choose, says=_LONG)
            got = got.tolist() if isinstance(got, Tensor) else got
            expected = _generate_by_windows(model, ids, count, choose)
            what = f"{count} tokens after {ids}: {expected}"
            whole = "Return the tokens as a list of whole numbers: `int(...)` makes one of what `choose` gives."
            plain = type(got) is list and all(type(token) is int for token in got)
            require(plain, "a list of int", got, whole)
            if got != expected:
                require(False, what, got, _named(got, model, ids, count, choose))


def _named(got: object, model: SmallNetwork, ids: list[int], count: int, choose: Choose) -> str:
    for wrong, hint in _MISTAKES:
        try:
            if wrong(model, ids, count, choose) == got:
                return hint
        except (IndexError, RuntimeError):  # this mistake cannot be made here
            continue
    return "Follow one step on paper: what does the network read, which row is asked, what is appended?"


def _greedy(logits: Tensor) -> Tensor:
    return logits.argmax()


def _second(logits: Tensor) -> Tensor:
    """The second most probable token; it asks for the logits (V,) of one place."""
    if logits.dim() != 1:
        raise ValueError(f"choose takes logits (V,), it got {tuple(logits.shape)}")
    return logits.topk(2).indices[1]
