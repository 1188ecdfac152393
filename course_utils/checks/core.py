"""What the checks of all exercises are made of: three outcomes, and the questions that they ask.

``slerp = checks.dcgan.slerp(slerp)`` has three outcomes: *not attempted* (the lesson goes on with the reference),
*wrong* (`CheckFailed` says what was expected, what came, and which misconception it looks like) and *correct* (the
lesson goes on with the learner's own function). With ``COURSE_STRICT=1``, and when nbgrader marks, "not attempted"
fails too.
"""

import ast
import functools
import inspect
import math
import os
import reprlib
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from course_utils import runtime
from course_utils.checks import surroundings
from course_utils.checks.surroundings import Surroundings, fingerprint, untouched_surroundings
from course_utils.errors import CourseError
from course_utils.learner import catalogue, progress

Answer = Callable[..., Any]
"""What a learner wrote."""

Wrong = tuple[Callable[..., Any], str]
"""A named wrong answer: a function that makes the mistake, and the hint for whoever made the same one."""

_LIBRARIES = os.path.dirname(os.path.dirname(torch.__file__))


class CheckFailed(AssertionError):
    """An answer is wrong.

    Attributes:
        expected: what a right answer gives.
        got: what came instead.
        hint: which mistake it looks like, or where to look.
        number: of the exercise, ``""`` outside of one.
        reference: a right answer; None outside of an exercise.
    """

    def __init__(self, expected: str, got: str, hint: str, number: str = "") -> None:
        self.expected, self.got, self.hint, self.number = expected, got, hint, number
        self.reference: Answer | None = None
        super().__init__(expected, got, hint)

    def __str__(self) -> str:
        title = f"Exercise {self.number}: not yet.\n" if self.number else ""
        return (
            f"{title}  Expected: {self.expected}\n  Came:     {self.got}\n  Hint:     {self.hint}"
        )

    def _render_traceback_(self) -> list[str]:
        """Show the message without forty lines of traceback (called by IPython)."""
        return [f"CheckFailed: {self}"]


class Exercise:
    """The check of one exercise, which is called as the function is that learners write.

    Attributes:
        name: the lesson's folder and the function, ``"dcgan.slerp"`` for what stands in ``checks/dcgan/slerp.py``.
        reference: what the lesson goes on with while the exercise is open; an independent implementation.
    """

    def __init__(self, inspect: Callable[[Answer], None], reference: Answer) -> None:
        functools.update_wrapper(self, inspect)
        self.name = f"{inspect.__module__.split('.')[-2]}.{inspect.__name__}"
        self.reference = reference
        self._inspect = inspect

    @property
    def number(self) -> str:
        """The number on its card, which comes from the order of the cards in the lesson."""
        return catalogue.number_of(self.name)

    def __call__(self, answer: Answer) -> Answer:
        """Return what the lesson goes on with: a right answer itself, the reference while the stub is there.

        Raises:
            CheckFailed: the answer is wrong, or it is the stub where all exercises have to be solved.
        """
        try:
            whole = "Pass the function itself, without calling it."
            require(callable(answer), "a function", answer, whole)
            _require_libraries()
            with untouched_surroundings():
                self._inspect(answer)
                _require_libraries()
        except _NotAttempted as stub:
            return self._go_on(str(stub))
        except CheckFailed as failure:
            raise self._wrong(failure) from None
        except Exception as error:  # what came back broke the comparison itself
            raise self._wrong(_broken(error)) from error
        self._record("correct")
        print(self._praise())
        return answer

    def _praise(self) -> str:
        """What is said of a right answer; a lesson's own checks may add to it."""
        return f"Exercise {self.number}: correct."

    def _go_on(self, standing: str) -> Answer:
        self._record("open")
        if os.environ.get("COURSE_STRICT") == "1" or os.environ.get("NBGRADER_EXECUTION"):
            hint = "COURSE_STRICT=1, or nbgrader, asks for every exercise to be solved."
            raise self._numbered(CheckFailed("a solution", "the stub", standing or hint))
        print(f"Exercise {self.number}: not attempted yet; the lesson goes on with the reference.")
        if standing:
            print(standing)
        return self.reference

    def _wrong(self, failure: CheckFailed) -> CheckFailed:
        self._record("wrong", failure.hint)
        return self._numbered(failure)

    def _numbered(self, failure: CheckFailed) -> CheckFailed:
        failure.number, failure.reference = self.number, self.reference
        return failure

    def _record(self, outcome: str, hint: str = "") -> None:
        progress.record(self.name, outcome, _tier(), hint)


def exercise(reference: Answer) -> Callable[[Callable[[Answer], None]], Exercise]:
    """Make an `Exercise` of the function below, which inspects an answer and raises `CheckFailed`."""
    return lambda inspect: Exercise(inspect, reference)


def call(
    answer: Answer,
    *args: Any,
    may_change: Sequence[Any] = (),
    returns: bool = True,
    says: Mapping[str, str] | None = None,
) -> Any:
    """Call the learner's function; name what went wrong if it raises, alters its inputs or settings, or returns None.

    Args:
        answer: the learner's function.
        args: its arguments.
        may_change: arguments that the function is meant to alter (networks and optimisers that it trains).
        returns: whether it must return something; False for functions that work by altering an argument.
        says: hints of the exercise's own, by words of the error or of the complaint that they explain.
    """
    try:
        return _called(answer, args, may_change, returns)
    except CheckFailed as failure:
        hints = (hint for words, hint in (says or {}).items() if words in failure.got)
        failure.hint = next(hints, failure.hint)
        raise


def _called(answer: Answer, args: Sequence[Any], may_change: Sequence[Any], returns: bool) -> Any:
    watched = [a for a in args if all(a is not other for other in may_change)]
    before, as_set = [fingerprint(a) for a in watched], surroundings.now()
    try:
        with surroundings.patience(sys.stdout):
            result = answer(*args)
    except (Exception, SystemExit) as error:
        if _is_stub(error):
            raise _NotAttempted(_standing(error)) from None
        _require_as_set(as_set)  # first: it may be why the function stopped
        raise _raised(error, args) from None
    _require_as_set(as_set)
    copy = "In-place operations (names ending in _, `+=`, item assignment) alter the caller's data: use a copy."
    for argument, mark in zip(watched, before, strict=True):
        if fingerprint(argument) != mark:
            came = f"the function changed its argument, now {describe(argument)}"
            raise CheckFailed("inputs left as they were", came, copy)
    hint = "A function without `return` gives None; a variable inside it is not seen outside."
    require(result is not None or not returns, "a return value", "None", hint)
    return result


def _require_as_set(before: Surroundings) -> None:
    touched = before.touched()
    what = "a function that leaves the notebook's settings alone"
    hint = "Such a setting holds for every later cell too, for example all later random numbers: set it outside."
    require(not touched, what, f"it changed {', '.join(touched)}", hint)


def _require_libraries() -> None:
    names = surroundings.replaced()
    hint = "Every later cell gets yours instead. Use a name of your own, restart the kernel, run the cells again."
    came = f"other functions under the names {', '.join(names[:3])}"
    require(not names, "PyTorch, NumPy and math as they were imported", came, hint)


def require(condition: bool, expected: str, got: Any, hint: str) -> None:
    """Raise `CheckFailed` unless ``condition`` holds. ``got`` is shown as it is (text) or described."""
    if not condition:
        raise _failed(expected, got, hint)


def _failed(expected: str, got: Any, hint: str) -> CheckFailed:
    return CheckFailed(expected, got if type(got) is str else describe(got), hint)


def expect_tensor(
    answer: Any,
    shape: Sequence[int],
    what: str,
    dtype: torch.dtype | None = None,
    hint: str = "A shape that merely broadcasts gives wrong sums later. Which dimension is summed away, kept or added?",
) -> None:
    """Require a tensor of exactly this shape (broadcasting is not forgiven; ``hint`` says why) and dtype, if given."""
    bare = "Return a tensor, and nothing around it."
    require(type(answer) in _TENSORS, f"{what}: a torch.Tensor", answer, bare)
    wanted, came = tuple(shape), tuple(answer.shape)
    require(came == wanted, f"{what} of shape {wanted}", f"shape {came}", hint)
    same, kind = dtype in (None, answer.dtype), f"dtype {answer.dtype}"
    require(same, f"{what} of dtype {dtype}", kind, "Convert with `.to(...)`.")


def expect_number(answer: Any, what: str) -> float:
    """Require one finite number (Python, NumPy or a tensor with one element and no dimension) and return it."""
    number = _numbers(answer)
    if number is None or number.dim():
        single = "Return a single number, not a list or a longer tensor."
        raise _failed(f"{what}: one number", answer, single)
    value = number.item()
    require(math.isfinite(value), f"{what}: a finite number", repr(value), _NOT_FINITE)
    return value


def expect_plain_number(answer: Any, what: str) -> float:
    """Require a number that a training step tells, which is no tensor, and return it."""
    graph = "A tensor with its graph keeps the whole step in memory: `.item()` gives the number."
    require(not isinstance(answer, torch.Tensor), f"{what}: a plain number", answer, graph)
    return expect_number(answer, what)


def call_step(
    fn: Answer, model: Any, optimizer: Any, *others: Any, returns: Sequence[str]
) -> dict[str, float]:
    """Call a training step, which may change model and optimiser; require a dict of plain numbers with these names."""
    told = call(fn, model, optimizer, *others, may_change=(model, optimizer))
    *first, last = map(repr, returns)
    what = f"a dict with {', '.join(first)} and {last}"
    shown = ", ".join(f"{name!r}: ..." for name in returns)
    all_of_them = {2: "both", 3: "all three"}[len(returns)]
    named = f"Return {{{shown}}}, {all_of_them} as plain numbers."
    require(type(told) is dict and set(told) == set(returns), what, told, named)
    for name, value in told.items():
        expect_plain_number(value, name)
    return told


def expect_close(
    answer: Any,
    expected: Any,
    what: str,
    *,
    inputs: Sequence[Any] = (),
    wrong: Sequence[Wrong] = (),
    hint: str = "Compare with the formula term by term on the smallest example.",
    atol: float = 1e-6,
    rtol: float = 1e-4,
) -> None:
    """Require ``answer`` to equal ``expected`` within a tolerance; name the misconception that it equals instead.

    Args:
        answer: what the learner's function returned: a tensor, array or number.
        expected: what the reference says.
        what: what is compared, for the message.
        inputs: the arguments that gave ``answer``; the wrong answers are evaluated on them.
        wrong: functions that make a known mistake, each with its hint. The first one that equals ``answer`` speaks.
        hint: for mistakes that nobody has named yet.
        atol: absolute tolerance.
        rtol: relative tolerance.
    """
    if _close(answer, expected, atol, rtol):
        return
    theirs, ours = _numbers(answer), torch.as_tensor(expected).detach().to("cpu", torch.float64)
    named = next(
        (text for mistake, text in wrong if _equals_mistake(answer, mistake, inputs, atol, rtol)),
        None,
    )
    if named is None and theirs is not None and not theirs.isfinite().all():
        named = _NOT_FINITE
    if theirs is None or theirs.shape != ours.shape or not ours.dim():
        raise CheckFailed(f"{what} = {describe(expected)}", describe(answer), named or hint)
    place = tuple((~torch.isclose(theirs, ours, atol=atol, rtol=rtol)).nonzero()[0].tolist())
    at = f"at index {list(place)}"
    raise CheckFailed(f"{what}: {ours[place]:.6g} {at}", f"{theirs[place]:.6g} {at}", named or hint)


def expect_like(
    answer: Any,
    expected: torch.Tensor,
    what: str,
    *,
    inputs: Sequence[Any],
    wrong: Sequence[Wrong],
    shape: str,
    dtype: torch.dtype | None = None,
    **how: Any,
) -> None:
    """Require a tensor of the expected one's shape and numbers; a known mistake is named before its shape is.

    Args:
        answer: what the learner's function returned.
        expected: what the reference says.
        what: what is compared, for the message.
        inputs: the arguments that gave ``answer``.
        wrong: functions that make a known mistake, each with its hint.
        shape: the hint for a wrong shape that no known mistake has.
        dtype: that of a right answer, where it matters.
        how: ``hint``, ``atol`` and ``rtol`` of `expect_close`.
    """
    if type(answer) is torch.Tensor and answer.shape != expected.shape:
        expect_close(answer, expected, what, inputs=inputs, wrong=wrong, hint=shape)
    expect_tensor(answer, expected.shape, what, dtype, hint=shape)
    expect_close(answer, expected, what, inputs=inputs, wrong=wrong, **how)


def expect_gradient(
    answer: Any,
    expected: torch.Tensor,
    leaves: Mapping[str, torch.Tensor],
    hint: str = "The number is right, its gradient is not: `.detach()`, `.item()` and `torch.no_grad` cut the path.",
) -> None:
    """Require the gradients of the reference's result: a right number with a cut graph trains nothing.

    Args:
        answer: what the learner's function returned.
        expected: what the reference returned for the same leaves.
        leaves: the inputs that need a gradient, by their names.
        hint: for a gradient that is missing or another one.
    """
    whole = type(answer) is torch.Tensor and answer.requires_grad
    require(whole, "a result that gradients can pass", "a graph that is cut", hint)
    weights = torch.linspace(0.5, 1.5, expected.numel()).reshape(expected.shape)
    inputs = list(leaves.values())
    ours = torch.autograd.grad((expected * weights).sum(), inputs)
    theirs = torch.autograd.grad((answer * weights).sum(), inputs, allow_unused=True)
    for name, mine, other in zip(leaves, ours, theirs, strict=True):
        require(other is not None, f"a gradient that reaches {name}", "none", hint)
        expect_close(other, mine, f"the gradient with respect to {name}", hint=hint)


@contextmanager
def hinting(hint: str) -> Iterator[None]:
    """Within this block every failure has this hint: it is a case that only one mistake fails on."""
    try:
        yield
    except CheckFailed as failure:
        raise CheckFailed(failure.expected, failure.got, hint) from None


def describe(value: Any) -> str:
    """A short picture of any value; it survives values whose own repr fails."""
    try:
        numbers = _numbers(value) if type(value) in (*_TENSORS, np.ndarray) else None
        if numbers is None:
            written = _REPR.repr if isinstance(value, list | tuple | dict | set | str) else repr
            return f"{value:.6g}" if type(value) is float else _shorten(written(value))
        shown = ", ".join(f"{v:.5g}" for v in numbers.flatten()[:4].tolist())
        more = ", ..." if numbers.numel() > 4 else ""
        return f"shape {tuple(numbers.shape)} [{shown}{more}]" if numbers.dim() else shown
    except Exception:
        return f"an object of type {type(value).__name__}"


# Long values are cut before they are written out: a list of ten million numbers takes seconds.
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 200
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 8
# Exact types: a subclass may redefine what equality means.
_TENSORS = (torch.Tensor, torch.nn.Parameter)
_STOPPED = "The function stopped with an error: call it on such an input in a new cell and read the last line first."
_BROKEN = "Return plain tensors and numbers; look at the type, dtype and device of what you return."
_NOT_FINITE = "Infinity or NaN comes from 0/0, the log of 0, inf - inf or arccos outside [-1, 1]: which one is here?"


def _tier() -> str:
    try:
        return runtime.tier()
    except CourseError:  # an unknown name: lesson code says so, a check need not
        return ""


class _NotAttempted(Exception):
    """The stub is still in place; its text is what a learner has to know about that, or empty."""


def _is_stub(error: BaseException) -> bool:
    """Tell the stub's error from the NotImplementedError of libraries, such as a network without `forward`."""
    if not isinstance(error, NotImplementedError):
        return False
    frame = error.__traceback__.tb_next if error.__traceback__ else None
    in_answer = frame is not None and frame.tb_next is None
    return str(error).startswith("Exercise") or (not str(error) and in_answer)


def _standing(stub: BaseException) -> str:
    """What to say where the stub's line was left above code of the learner's own, which never runs then."""
    frames = list(traceback.walk_tb(stub.__traceback__))
    code, line = frames[-1][0].f_code, frames[-1][1]
    try:
        source = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, SyntaxError, TypeError):  # it was not written in a cell
        return ""
    for node in ast.walk(source):
        body = getattr(node, "body", None)
        for statement in body[:-1] if isinstance(body, list) else ():
            if (
                isinstance(statement, ast.Raise)
                and statement.lineno == line - code.co_firstlineno + 1
            ):
                return (
                    "The line `raise NotImplementedError(...)` still stands above your code, so that your code "
                    "never runs: delete that line, and run the cell again."
                )
    return ""


def _broken(error: Exception) -> CheckFailed:
    got = f"something that stops the check with {type(error).__name__}: {_shorten(str(error))}"
    return CheckFailed("an answer that can be compared", got, _BROKEN)


def _raised(error: BaseException, args: Sequence[Any]) -> CheckFailed:
    frames = traceback.extract_tb(error.__traceback__)[1:]
    lines = [frame.lineno for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    place = f" (line {lines[-1]} of its cell)" if lines else ""
    return CheckFailed(
        f"a result for the input ({_shorten(', '.join(describe(a) for a in args))})",
        f"{type(error).__name__}: {_shorten(str(error))}{place}",
        _STOPPED,
    )


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 160 else text[:157] + "..."


def _numbers(value: Any) -> torch.Tensor | None:
    """The value as float64 on the CPU, or None for anything but plain real numbers."""
    plain = type(value) in (*_TENSORS, np.ndarray, int, float, list, tuple)
    if not plain and not isinstance(value, np.generic):
        return None
    try:
        tensor = torch.as_tensor(value).detach().cpu()
        real = tensor.layout == torch.strided and not tensor.is_complex()
        return tensor.to(torch.float64) if real else None
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _close(answer: Any, expected: Any, atol: float, rtol: float) -> bool:
    theirs, ours = _numbers(answer), _numbers(expected)
    if theirs is None or ours is None or theirs.shape != ours.shape:
        return False
    return torch.allclose(theirs, ours, atol=atol, rtol=rtol, equal_nan=False)


def _equals_mistake(
    answer: Any, mistake: Answer, inputs: Sequence[Any], atol: float, rtol: float
) -> bool:
    try:
        return _close(answer, mistake(*inputs), atol, rtol)
    except Exception:
        return False
