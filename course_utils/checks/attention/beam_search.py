"""Exercise `beam_search`: keep several prefixes, and of all that is one token longer the most probable ones."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_utils.checks.attention.shared import SmallNetwork
from course_utils.checks.core import Answer, call, exercise, expect_number, require

Kept = list[tuple[list[int], float]]
Found = tuple[list[int], float]


@torch.no_grad()
def _log_p(model: SmallNetwork, text: Sequence[int]) -> Tensor:
    """Log probabilities (V,) of the token after one text."""
    device = next(model.parameters()).device
    window = torch.tensor([list(text)[-model.context :]], device=device)
    return model(window)[0, -1].float().log_softmax(0).cpu()


def _prefixes_by_sorting(
    model: SmallNetwork, ids: Sequence[int], count: int, beams: int, memory: float = 1.0
) -> Kept:
    """Text by text, all longer ones in one list, best first; ``memory`` 0 forgets what a prefix has cost so far."""
    kept: Kept = [(list(ids), 0.0)]
    for _ in range(count):
        longer = [
            ([*text, token], memory * so_far + value)
            for text, so_far in kept
            for token, value in enumerate(_log_p(model, text).tolist())
        ]
        kept = sorted(longer, key=lambda found: -found[1])[:beams]
    return kept


def _beams_by_sorting(model: SmallNetwork, ids: Sequence[int], count: int, beams: int) -> Found:
    return _prefixes_by_sorting(model, ids, count, beams)[0]


def _alone(model: SmallNetwork, ids: Sequence[int], count: int, beams: int) -> Found:
    """Each prefix goes on with its own best token: no prefix ever dies."""
    kept: Kept = [
        ([*ids, int(token)], float(value))
        for value, token in zip(*_log_p(model, ids).topk(beams), strict=True)
    ]
    for _ in range(count - 1):
        table = [(text, so_far, _log_p(model, text)) for text, so_far in kept]
        kept = [([*text, int(p.argmax())], so_far + float(p.max())) for text, so_far, p in table]
    return max(kept, key=lambda found: found[1])


def _forgetful(model: SmallNetwork, ids: Sequence[int], count: int, beams: int) -> Found:
    """What a prefix has cost so far is not counted."""
    return _prefixes_by_sorting(model, ids, count, beams, memory=0.0)[0]


def _by_logits(model: SmallNetwork, ids: Sequence[int], count: int, beams: int) -> Found:
    """Logits are added up as they are."""
    kept: Kept = [(list(ids), 0.0)]
    for _ in range(count):
        longer = [
            ([*text, token], so_far + value)
            for text, so_far in kept
            for token, value in enumerate(
                model(torch.tensor([text[-model.context :]]))[0, -1].tolist()
            )
        ]
        kept = sorted(longer, key=lambda found: -found[1])[:beams]
    return kept[0]


def _last_kept(model: SmallNetwork, ids: Sequence[int], count: int, beams: int) -> Found:
    """The least probable of the prefixes that were kept."""
    return _prefixes_by_sorting(model, ids, count, beams)[-1]


_MISTAKES: list[tuple[Callable[..., Found], str]] = [
    (
        lambda model, ids, count, beams: _beams_by_sorting(model, ids, count, 1),
        "This is greedy decoding, as with one beam: how many prefixes are left after each step?",
    ),
    (
        _alone,
        "Each prefix went on by itself. All longer texts compete, so that one prefix may have several heirs.",
    ),
    (
        _forgetful,
        "Only the newest token counts: the log probability of the prefix has to be added to it.",
    ),
    (
        _by_logits,
        "Logits of different prefixes cannot be compared: each has a constant of its own, which `log_softmax` takes "
        "away.",
    ),
    (
        _last_kept,
        "Of the prefixes that were kept this is the least probable one; the first is meant.",
    ),
]


_WORKED = (
    "By hand: prefixes A (log p -1) and B (-2), tokens x, y after A at -3 and -0.5, after B at -0.1 and -4. Then "
    "Ay = -1.5 and Bx = -2.1 stay, Ax = -4 and By = -6 go."
)


@exercise(_beams_by_sorting)
def beam_search(fn: Answer) -> None:
    """Check ``beam_search(model, ids, count, beams)``: (list of int, log probability of the new tokens)."""
    told = []
    for seed in range(8):
        model = SmallNetwork(seed=seed).eval()
        ids = torch.randint(11, (2 + seed % 3,)).tolist()
        told += [_case(fn, model, ids, *how) for how in ((1, 1), (3, 1), (3, 3), (4, 5))]
    for value, log_p in told:  # after all texts: a wrong search may find the right one now and then
        if abs(value - log_p) > 1e-3:
            require(False, f"log probability {log_p:.4f}", f"{value:.4f}", _of_number(value, log_p))


def _case(
    fn: Answer, model: SmallNetwork, ids: list[int], count: int, beams: int
) -> tuple[float, float]:
    got = call(fn, model, ids, count, beams)
    pair = "Return two things: the list of tokens, and the log probability as a number."
    require(type(got) is tuple and len(got) == 2, "a pair (ids, log probability)", got, pair)
    text, value = got[0], expect_number(got[1], "the log probability")
    plain = type(text) is list and all(type(token) is int for token in text)
    require(plain, "a list of int", text, "`.tolist()` makes whole numbers of a tensor.")
    expected, log_p = _beams_by_sorting(model, ids, count, beams)
    if text != expected:
        what = f"{count} tokens after {ids} with {beams} beams: {expected}"
        require(False, what, str(text), _named(fn, text, ids, count))
    return value, log_p


def _of_number(value: float, log_p: float) -> str:
    if abs(value - 2.718281828**log_p) < 1e-3:
        return "This is the probability; its logarithm is asked for, which stays readable for long texts."
    return "The text is right. Its log probability is the sum over all tokens that were added, in nats."


def _named(fn: Answer, text: list[int], ids: list[int], count: int) -> str:
    """The mistake that gives what the answer gives, in all of several cases."""
    if len(text) != len(ids) + count:
        return "The text has another length: `ids` and `count` tokens more."
    left = list(_MISTAKES)
    for seed in range(20, 30):
        model = SmallNetwork(seed=seed).eval()
        found = call(fn, model, [seed % 11, 1], 4, 3)[0]
        left = [one for one in left if one[0](model, [seed % 11, 1], 4, 3)[0] == found]
    return left[0][1] if len(left) == 1 else _WORKED
