"""Every exercise of every lesson: its solution passes its check, and what learners get is an open stub."""

import functools
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from course_utils import checks
from course_utils.authoring.exercises import cards
from course_utils.authoring.lessons import load_definitions
from course_utils.authoring.source import find_sources

FUNCTIONS = [
    pytest.param(path.stem, card.number, *name.split("."), id=f"{card.number}-{name}")
    for path in find_sources(Path(__file__).parents[2])
    for card in cards(path)
    for name in card.names
]


@functools.cache
def definitions(lesson: str, solved: bool) -> ModuleType:
    """What a lesson defines, with what its exercises take from the running lesson."""
    module = load_definitions(lesson, solved=solved)
    module.run = SimpleNamespace(autocast=nullcontext, device=torch.device("cpu"))
    module.sizes = dict.fromkeys(("hidden_size", "intermediate_size"), 16)
    module.sizes |= {"num_hidden_layers": 1, "num_attention_heads": 2}
    return module


@pytest.mark.parametrize(("lesson", "number", "topic", "name"), FUNCTIONS)
def test_the_solution_passes_and_the_stub_is_open(
    lesson, number, topic, name, monkeypatch, capsys
) -> None:
    check, solution = (
        getattr(getattr(checks, topic), name),
        getattr(definitions(lesson, True), name),
    )
    assert check(solution) is solution
    assert capsys.readouterr().out == f"Exercise {number}: correct.\n"
    monkeypatch.setenv("COURSE_STRICT", "0")
    assert check(getattr(definitions(lesson, False), name)) is check.reference
    assert f"Exercise {number}: not attempted yet" in capsys.readouterr().out
