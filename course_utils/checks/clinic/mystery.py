"""Exercise `mystery`: a script with three faults, judged by what it reaches and by three questions of its parts."""

from typing import Any

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, call, expect_number, require

Set = tuple[Tensor, Tensor]
ENOUGH = 0.94
"""Accuracy on other digits that a mended script reaches and one with any of the three faults does not."""


def _script_in_short(train: Set, test: Set) -> dict[str, float]:
    """Another program for the same task: one hidden layer, the whole set in each step."""
    x, y = train[0].float() / 16, train[1]
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        scores = [
            (model(p.float() / 16).argmax(1) == t).float().mean().item() for p, t in (train, test)
        ]
    return {"train": scores[0], "test": scores[1]}


_LEFT = "At least one fault is left. Test the parts one by one: what enters, what moves, what is measured."
_SAME = (
    "The same digits as training set and as test set get two different scores: pictures, or labels, are not treated "
    "alike on the two ways."
)
_CHANCE = "With random labels in the test set nobody is right more often than by chance: what does this number measure?"
_KEYS = 'Return {"train": accuracy, "test": accuracy}, as the script does.'


@case(_script_in_short)
def mystery(fn: Answer) -> None:
    """Check ``mystery(train, test) -> {"train": float, "test": float}`` for sets (pictures (N, 64), labels (N,)).

    Training digits as test digits; random test labels; and the accuracy on other digits, twice.
    """
    digits = load_digits()
    order = torch.randperm(len(digits.target))
    x, y = torch.tensor(digits.images).flatten(1)[order], torch.tensor(digits.target)[order]
    train, test = (x[:1_200], y[:1_200]), (x[1_200:], y[1_200:])
    seen = _scores(call(fn, train, train))
    alike = abs(seen["train"] - seen["test"]) < 0.03
    came = f"train {seen['train']:.3f}, test {seen['test']:.3f}"
    require(alike, "two like scores for the same digits", came, _SAME)
    random = (test[0], torch.randint(10, (len(test[1]),)))
    chance = _scores(call(fn, train, random))["test"]
    require(chance < 0.2, "about 0.1 on random labels", f"{chance:.3f}", _CHANCE)
    for _ in range(2):
        score = _scores(call(fn, train, test))["test"]
        require(score >= ENOUGH, f"at least {ENOUGH} on other digits", f"{score:.3f}", _LEFT)


def _scores(result: Any) -> dict[str, float]:
    whole = type(result) is dict and set(result) == {"train", "test"}
    require(whole, "a dict with train and test", result, _KEYS)
    found = {name: expect_number(value, name) for name, value in result.items()}
    sound = all(0 <= value <= 1 for value in found.values())
    require(sound, "accuracies in [0, 1]", str(found), "A share of right answers.")
    return found
