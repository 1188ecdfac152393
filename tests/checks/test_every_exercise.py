"""Every exercise of every lesson: its stub, its solution, right and wrong answers, and answers that nobody asked for.

The exercises are found in the folders of `course_utils.checks`, their answers in the modules of `answers`.
"""

import copy
import functools
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import torch
from answers import AlwaysEqual
from torch import nn

from course_utils import checks
from course_utils.authoring import exercises as sources
from course_utils.authoring.lessons import load_definitions
from course_utils.authoring.source import find_sources
from course_utils.checks import CheckFailed
from course_utils.learner import catalogue

ROOT = Path(__file__).resolve().parents[2]
LESSONS = [package.name for package in pkgutil.iter_modules(checks.__path__) if package.ispkg]
NAMED = {
    one.name: one
    for lesson in LESSONS
    for one in vars(importlib.import_module(f"course_utils.checks.{lesson}")).values()
    if callable(one) and hasattr(one, "name")
}
EXERCISES = {name: one for name, one in NAMED.items() if hasattr(one, "reference")}
"""What can be right or wrong; predictions have names, too, and cannot."""
ANSWERS = {lesson: importlib.import_module(f"answers.{lesson}") for lesson in LESSONS}
NO_EXERCISES = {"__init__", "shared", "try_out", "game"}
"""Files in a lesson's folder that hold no exercise."""


def answers(kind, name):
    lesson, function = name.split(".")
    return getattr(ANSWERS[lesson], kind).get(function, [])


RIGHT = [
    pytest.param(name, answer, id=f"{name}-{index}-{getattr(answer, '__name__', 'parts')}")
    for name in EXERCISES
    for index, answer in enumerate(answers("RIGHT", name))
]
WRONG = [
    pytest.param(name, answer, words, id=f"{name}-{index}-{words}")
    for name in EXERCISES
    for index, (answer, words) in enumerate(answers("WRONG", name))
]
every_exercise = pytest.mark.parametrize("name", EXERCISES)


# ---- where an exercise stands, and its number


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_file_holds_the_exercise_of_its_name(lesson):
    folder = Path(checks.__file__).parent / lesson
    files = {path.stem for path in folder.glob("*.py")} - NO_EXERCISES
    assert {name for name in EXERCISES if name.startswith(f"{lesson}.")} == {
        f"{lesson}.{file}" for file in files
    }
    assert all(getattr(getattr(checks, lesson), file).__name__ == file for file in files)


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_answer_is_kept_for_an_exercise_that_there_is_not(lesson):
    kept = {*ANSWERS[lesson].RIGHT, *ANSWERS[lesson].WRONG}
    assert {f"{lesson}.{function}" for function in kept} <= set(EXERCISES)


@every_exercise
def test_there_are_right_answers_and_enough_wrong_ones(name):
    assert len(answers("RIGHT", name)) >= 1
    assert len(answers("WRONG", name)) >= 3


@pytest.fixture(scope="module")
def numbers():
    """The number of each exercise, counted in the sources."""
    found = [card for path in find_sources(ROOT) for card in sources.cards(path)]
    return {name: card.number for card in found for name in card.names}


def test_every_exercise_and_prediction_has_its_card(numbers):
    assert set(numbers) == set(NAMED)


# ---- three outcomes


def source_of(name):
    """The name of the source whose card holds an exercise."""
    return next(
        lesson.name for lesson in catalogue.lessons() for x in lesson.exercises if name in x.names
    )


@functools.cache
def definitions(source, solved=True):
    """What a lesson defines, read once."""
    module = load_definitions(source, solved=solved)
    module.sizes = {  # set by a cell of the clinic
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    return module


def written(name, solved=True):
    """The function of an exercise as its lesson has it, with the solution or as the stub."""
    return getattr(definitions(source_of(name), solved), name.split(".")[1])


def failure_of(name, answer):
    with pytest.raises(CheckFailed) as caught:
        EXERCISES[name](answer)
    assert caught.value.number == catalogue.number_of(name) != name
    assert caught.value.reference is EXERCISES[name].reference
    return caught.value


@every_exercise
def test_the_stub_is_told_with_its_number_and_the_reference_goes_on(
    name, numbers, capsys, monkeypatch
):
    monkeypatch.setenv("COURSE_STRICT", "0")
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    stub, number = written(name, solved=False), numbers[name]
    assert EXERCISES[name](stub) is EXERCISES[name].reference
    assert (
        capsys.readouterr().out
        == f"Exercise {number}: not attempted yet; the lesson goes on with the reference.\n"
    )


@every_exercise
@pytest.mark.parametrize("setting", ["COURSE_STRICT", "NBGRADER_EXECUTION"])
def test_the_stub_fails_where_all_have_to_be_solved(name, setting, monkeypatch, capsys):
    monkeypatch.setenv(setting, "1")
    assert "COURSE_STRICT" in failure_of(name, written(name, solved=False)).hint
    assert capsys.readouterr().out == ""


def said_of_a_right_answer(name, numbers):
    """One line; of a case of the clinic, also what its fault was, which `test_clinic` reads."""
    first = f"Exercise {numbers[name]}: correct.\n"
    if not name.startswith("clinic."):
        return re.escape(first)
    return re.escape(first) + r"(?s:.*What it was: .+So that it cannot come back: .+)"


@every_exercise
def test_the_lessons_own_solution_is_right(name, numbers, capsys):
    solution = written(name, solved=True)
    assert EXERCISES[name](solution) is solution
    assert re.fullmatch(said_of_a_right_answer(name, numbers), capsys.readouterr().out)


@every_exercise
def test_the_reference_is_right(name):
    reference = EXERCISES[name].reference
    assert EXERCISES[name](reference) is reference


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answers_are_taken(name, answer, numbers, capsys):
    assert EXERCISES[name](answer) is answer
    assert re.fullmatch(said_of_a_right_answer(name, numbers), capsys.readouterr().out)


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_wrong_answers_get_their_own_hint(name, answer, words):
    failure = failure_of(name, answer)
    assert words in failure.hint, failure
    others = {w for _, w in answers("WRONG", name) if w and w not in words and words not in w}
    assert not [other for other in others if other in failure.hint], failure
    parts = (failure.expected, failure.got, failure.hint)
    assert all(0 < len(part) < 260 for part in parts), failure  # all of it is seen on one screen


# ---- answers that nobody asked for


def doing_first(reference, action):
    def answer(*arguments):
        action()
        return reference(*arguments)

    return answer


def mistake_of_mine():
    raise ValueError("mistake of mine")


def actions(reference):
    """Right but for what they do: the answer, and words of its message."""
    return {
        "raises": (doing_first(reference, mistake_of_mine), "mistake of mine"),
        "raises in a library": (lambda *arguments: nn.Module()(*arguments), "NotImplementedError"),
        "seeds": (doing_first(reference, lambda: torch.manual_seed(0)), "the random seed"),
        "sets the dtype": (
            doing_first(reference, lambda: torch.set_default_dtype(torch.float64)),
            "the default dtype",
        ),
    }


NAN = float("nan")
NONSENSE = {
    "None": None,
    "two None": (None, None),
    "NaN": NAN,
    "two NaN": (NAN, NAN),
    "NaN and a half": (NAN, 0.5),
    "a tensor of NaN": torch.tensor(NAN),
    "a row of NaN": torch.full((3,), NAN),
    "four NaN": torch.full((4,), NAN),
    "a NaN in a table": torch.full((1, 1), NAN),
    "a table of NaN": torch.full((4, 4), NAN),
    "two tables of NaN": (torch.full((2, 2), NAN),) * 2,
    "groups of NaN": [{"params": [NAN], "weight_decay": None}] * 2,
    "text": "text",
    "a number as text": "0.5",
    "an empty list": [],
    "always equal": AlwaysEqual(),
    "two that are always equal": (AlwaysEqual(), AlwaysEqual()),
}


def traces():
    return torch.get_rng_state().tolist(), torch.get_default_dtype(), torch.initial_seed()


@pytest.mark.fault("E1")
@every_exercise
def test_what_an_answer_must_not_do_is_named_and_leaves_no_trace(name):
    reference, before = EXERCISES[name].reference, traces()
    for kind, (answer, words) in actions(reference).items():
        failure = failure_of(name, answer)
        assert words in failure.got and failure.hint, f"{kind}: {failure}"
        assert traces() == before, kind
    assert EXERCISES[name](reference) is reference  # the next check is not affected


@pytest.mark.fault("E1")
@every_exercise
def test_nonsense_is_refused_and_leaves_no_trace(name):
    reference, before = EXERCISES[name].reference, traces()
    for kind, value in NONSENSE.items():
        failure = failure_of(name, lambda *arguments, value=value: copy.copy(value))
        assert failure.hint, kind
        assert traces() == before, kind
    assert EXERCISES[name](reference) is reference


@pytest.mark.fault("E1")
@every_exercise
def test_nothing_but_a_function_is_taken(name):
    assert "without calling it" in failure_of(name, 3.0).hint


FORMS = {
    "complex": lambda number: torch.as_tensor(number).to(torch.complex64),
    "a dimension more": lambda number: torch.as_tensor(number)[None],
}
ANY_FORM = {
    "dcgan.init_dcgan_weights",  # works by altering its argument
    "clinic.is_equilibrium",  # any single True or False
}


def changed(result, change):
    """A number, a tensor, or a tuple of them in another form; None for anything else."""
    if type(result) is tuple:
        parts = [changed(part, change) for part in result]
        return None if any(part is None for part in parts) else tuple(parts)
    return change(result) if isinstance(result, torch.Tensor | int | float) else None


@pytest.mark.fault("E1")
@pytest.mark.parametrize("name", [name for name in EXERCISES if name not in ANY_FORM])
def test_right_numbers_of_another_type_or_shape_are_refused(name):
    reference = EXERCISES[name].reference
    for form, change in FORMS.items():
        failure = failure_of(name, lambda *a, change=change: changed(reference(*a), change))
        assert failure.hint, form


def spoil(argument):
    """Whether an argument could be changed, as `append` or an operation in place change it."""
    if isinstance(argument, torch.Tensor):
        with torch.no_grad():
            argument.add_(1) if argument.dtype != torch.bool else argument.logical_not_()
    elif isinstance(argument, list) and argument:
        argument.append(argument[0])
    else:
        return False
    return True


@pytest.mark.fault("E1")
@every_exercise
def test_inputs_may_not_be_changed(name):
    reference, spoiled = EXERCISES[name].reference, []

    def answer(*arguments):
        result = reference(*arguments)
        spoiled.extend(argument for argument in arguments if spoil(argument))
        return result

    try:
        EXERCISES[name](answer)
    except CheckFailed as failure:
        assert "changed its argument" in failure.got, failure
    else:
        assert not spoiled
