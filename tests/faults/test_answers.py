"""Row E1 for every exercise of every lesson: bad answers are named, and the next check is not affected."""

import importlib
import pkgutil

import pytest
import torch
from answers import AlwaysEqual

from course_utils import checks
from course_utils.checks import CheckFailed
from course_utils.learner import catalogue


def all_exercises():
    lessons = [m.name for m in pkgutil.iter_modules(checks.__path__) if m.ispkg]
    modules = [importlib.import_module(f"course_utils.checks.{name}") for name in lessons]
    found = [
        pytest.param(check, id=check.name)
        for module in modules
        for check in vars(module).values()
        if hasattr(check, "reference")
    ]
    assert len(found) > 40
    return found


def bad_answers(reference):
    """Answers to any exercise: what an answer does, and words of which one must be in its message."""

    def raises(*arguments):
        raise ValueError("mistake of mine")

    def seeds(*arguments):
        torch.manual_seed(0)
        return reference(*arguments)

    def changes_dtype(*arguments):
        torch.set_default_dtype(torch.float64)
        return reference(*arguments)

    return {
        "raises": (raises, "mistake of mine"),
        "seeds": (seeds, "the random seed"),
        "default dtype": (changes_dtype, "the default dtype"),
        "None": (lambda *arguments: None, ""),
        "always equal": (lambda *arguments: AlwaysEqual(), ""),
        "not a function": (3.0, "a function"),
        "NaN": (lambda *arguments: torch.tensor(float("nan")), ""),
        "wrong kind": (lambda *arguments: "0.5", ""),
    }


def stub(*arguments):
    raise NotImplementedError


@pytest.mark.fault("E1")
@pytest.mark.parametrize("check", all_exercises())
def test_bad_answers_to_every_exercise_are_named_and_leave_no_trace(check, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_STRICT", "0")
    reference = check(stub)
    capsys.readouterr()
    number = catalogue.number_of(check.name)
    for name, (answer, words) in bad_answers(reference).items():
        before = torch.get_rng_state().tolist(), torch.get_default_dtype(), torch.initial_seed()
        with pytest.raises(CheckFailed) as caught:
            check(answer)
        failure = caught.value
        assert failure.number == number, name
        assert words in str(failure), f"{name}: {failure}"
        assert failure.hint, name
        assert (
            torch.get_rng_state().tolist(),
            torch.get_default_dtype(),
            torch.initial_seed(),
        ) == before, name
        if name in ("raises", "default dtype"):
            assert check(reference) is reference, name  # the next check is not affected
