"""Exercise `generate`: ask for the next token, append it, ask again."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_utils.checks.attention.shared import SmallNetwork
from course_utils.checks.core import Answer, call, describe, exercise, require

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
    total: bool = False,
    cut: bool = False,
) -> Callable[..., list[int]]:
    """A generation with one fault."""

    def wrong(model: SmallNetwork, ids: Sequence[int], count: int, choose: Choose) -> list[int]:
        text, start = list(ids), list(ids)
        for _ in range(count - len(start) if total else count + extra):
            text = text[-model.context :] if cut else text
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
    (
        _variant(total=True),
        "`count` is not the length of the whole text: so many tokens come *after* those that are there.",
    ),
    (
        _variant(cut=True),
        "What no longer fits is forgotten by the network, but not by you: cut what it reads, return the whole text.",
    ),
    (_variant(extra=1), "One token too many: `count` new ones are asked for."),
    (_variant(extra=-1), "One token too few: `count` new ones are asked for."),
]

_LONG = {
    "more than the context": "The text has outgrown the network: show it the last `model.context` tokens only.",
    "not (B, T)": "The network reads batches: one text of T tokens has the shape (1, T).",
}


_WORKED = (
    "One step by hand, context 4, text 5 1 7 2 9: the network reads 1 7 2 9, the row behind the 9 goes to `choose`, "
    "and its answer is put behind the 9."
)


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
    _expect_logits(fn)


def _expect_logits(fn: Answer) -> None:
    """What `choose` is asked about are the logits themselves; a choice by order alone would not tell."""
    model, asked = SmallNetwork().eval(), []

    def noting(logits: Tensor) -> Tensor:
        asked.append(logits.detach().clone())
        return logits.argmax()

    call(fn, model, [3, 8], 1, noting)
    right = model(torch.tensor([[3, 8]]))[0, -1].detach()
    hints = {
        "probabilities": "`choose` got probabilities: a temperature divides logits, so hand them on as the network "
        "gave them.",
        "log-probabilities": "`choose` got logarithms of probabilities: hand the logits on as the network gave them.",
        "others": "`choose` gets the last row of logits as the network gave it: nothing is done to it before.",
    }
    kind = next(
        (
            name
            for name, made in (
                ("probabilities", right.softmax(0)),
                ("log-probabilities", right.log_softmax(0)),
            )
            if torch.allclose(asked[0], made, atol=1e-4)
        ),
        "others",
    )
    same = torch.allclose(asked[0], right, atol=1e-4)
    require(same, f"choose to be asked about {describe(right)}", asked[0], hints[kind])


def _named(got: object, model: SmallNetwork, ids: list[int], count: int, choose: Choose) -> str:
    for wrong, hint in _MISTAKES:
        try:
            if wrong(model, ids, count, choose) == got:
                return hint
        except (IndexError, RuntimeError):  # this mistake cannot be made here
            continue
    return _WORKED


def _greedy(logits: Tensor) -> Tensor:
    return logits.argmax()


def _second(logits: Tensor) -> Tensor:
    """The second most probable token; it asks for the logits (V,) of one place."""
    if logits.dim() != 1:
        raise ValueError(f"choose takes logits (V,), it got {tuple(logits.shape)}")
    return logits.topk(2).indices[1]
