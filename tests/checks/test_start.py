"""The exercise of lesson 00: stub, solutions in several styles, and named wrong answers, each with its own hint."""

from functools import partial

import answers
import numpy as np
import pytest
import torch

from course_utils.authoring.lessons import load_definitions
from course_utils.checks import start

CHECKS = {1: start.exercise_0_1}
hint_of = partial(answers.hint_of, CHECKS, 0)


def by_numpy(images):
    return torch.from_numpy(np.interp(images.numpy(), [-1, 1], [0, 1]).astype("float32"))


def on_a_copy(images):
    return images.clone().add_(1).div_(2)


def in_place(images):
    images += 1
    return images / 2


RIGHT = [lambda x: (x + 1) / 2, lambda x: 0.5 * x + 0.5, by_numpy, on_a_copy]
WRONG = [
    (lambda x: x.clone(), "Nothing moved"),
    (lambda x: x / 2, "[-0.5, 0.5]"),
    (lambda x: x + 1 / 2, "divides before it adds"),
    (lambda x: 0.5 * x - 0.5, "the wrong way"),
    (lambda x: x + x - 1, "the way back"),
    (lambda x: torch.round(0.5 * x + 0.5), "rounded"),
    (lambda x: torch.div(x + 1, 2, rounding_mode="floor"), "drops what stands behind the point"),
    (lambda x: (1 + x) / (1 + x.amax()), "own largest value"),
    (lambda x: 1 + x, "[0, 2]"),
    (lambda x: x / 2 + 1, "[0.5, 1.5]"),
    (lambda x: 0.5 - x / 2, "exchanged"),
    (lambda x: x.abs(), "folded"),
    (lambda x: x.relu(), "cut off"),
    (lambda x: (x - x.min()) / (x.max() - x.min()), "darkest value here"),
    (lambda x: torch.sigmoid(x), "A curve"),
    (lambda x: (x + 1) * 127.5, "range of bytes"),
    (lambda x: ((x + 1) / 2).mean(), "nothing is summed"),
    (lambda x: ((x + 1) / 2).double(), "Convert with"),
    (lambda x: ((x + 1) / 2).tolist(), "Return a tensor"),
    (in_place, "use a copy"),
    (lambda x: None, "without `return`"),
    (lambda x: (x + 1) / 3, "term by term"),
]


@pytest.mark.parametrize("answer", RIGHT)
def test_right_answers(answer):
    assert start.exercise_0_1(answer) is answer


@pytest.mark.parametrize(("answer", "words"), WRONG)
def test_wrong_answers_get_their_own_hint(answer, words):
    assert words in hint_of(1, answer)


def test_solution_and_stub(monkeypatch, capsys):
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    solution = load_definitions("00_start_here").to_unit_range
    assert start.exercise_0_1(solution) is solution
    reference = start.exercise_0_1(load_definitions("00_start_here", solved=False).to_unit_range)
    assert "Exercise 0.1: not attempted yet" in capsys.readouterr().out
    x = torch.rand(3, 4) * 2 - 1
    assert torch.allclose(reference(x), solution(x))


def test_an_answer_that_always_equals_is_refused():
    assert "Return a tensor" in hint_of(1, lambda x: answers.AlwaysEqual())
