"""What the checks of all exercises are made of: three outcomes, and the questions that they ask.

``name = checks.dcgan.slerp(name)`` has three outcomes: *not attempted* (the lesson goes on with the reference), *wrong*
(`CheckFailed` says what was expected, what came, and which misconception it looks like) and *correct* (the lesson goes
on with the learner's own function). With ``COURSE_STRICT=1``, and when nbgrader marks, "not attempted" fails too.
"""

import functools
import math
import os
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from course_utils import runtime
from course_utils.checks.surroundings import fingerprint, settings, untouched_surroundings
from course_utils.errors import CourseError
from course_utils.learner import catalogue, progress

Answer = Callable[..., Any]
"""What a learner wrote."""

Wrong = tuple[Callable[..., Any], str]
"""A named wrong answer: a function that makes the mistake, and the hint for whoever made the same one."""

_LIBRARIES = os.path.dirname(os.path.dirname(torch.__file__))


class CheckFailed(AssertionError):
    """An answer is wrong. The message holds what was expected, what came, and a hint; ``reference`` is a right one."""

    def __init__(
        self,
        expected: str,
        got: str,
        hint: str,
        number: str = "",
        reference: Callable[..., Any] | None = None,
    ) -> None:
        self.expected, self.got, self.hint, self.number, self.reference = (
            expected,
            got,
            hint,
            number,
            reference,
        )
        super().__init__(expected, got, hint)

    def __str__(self) -> str:
        title = f"Exercise {self.number}: not yet.\n" if self.number else ""
        return (
            f"{title}  Expected: {self.expected}\n  Came:     {self.got}\n  Hint:     {self.hint}"
        )

    def _render_traceback_(self) -> list[str]:
        """Show the message without forty lines of traceback (called by IPython)."""
        return [f"CheckFailed: {self}"]


def exercise(reference: Answer) -> Callable[[Callable[[Answer], None]], Callable[[Answer], Answer]]:
    """Turn a function that inspects an answer (and raises `CheckFailed`) into an exercise with three outcomes.

    The exercise is called as the function is, and belongs to the lesson whose folder the function's module lies in:
    ``slerp`` in ``checks/dcgan/slerp.py`` is ``dcgan.slerp``. Its number is found in the catalogue.

    Args:
        reference: what the lesson goes on with while the exercise is open; an independent implementation.
    """

    def wrap(inspect: Callable[[Answer], None]) -> Callable[[Answer], Answer]:
        name = f"{inspect.__module__.split('.')[-2]}.{inspect.__name__}"

        @functools.wraps(inspect)
        def check(answer: Answer) -> Answer:
            number = catalogue.number_of(name)
            try:
                require(
                    callable(answer),
                    "a function",
                    answer,
                    "Pass the function itself, without calling it.",
                )
                with untouched_surroundings():
                    inspect(answer)
            except _NotAttempted:
                note("open")
                return _open(number, reference)
            except CheckFailed as failure:
                note("wrong", failure.hint)
                raise CheckFailed(
                    failure.expected, failure.got, failure.hint, number, reference
                ) from None
            except Exception as error:  # what came back broke the comparison itself
                note("wrong", _BROKEN)
                got = f"something that stops the check with {type(error).__name__}: {_shorten(str(error))}"
                raise CheckFailed(
                    "an answer that can be compared", got, _BROKEN, number, reference
                ) from error
            note("correct")
            print(f"Exercise {number}: correct.")
            return answer

        def note(outcome: str, hint: str = "") -> None:
            progress.record(name, outcome, _tier(), hint)

        check.name, check.reference = name, reference  # type: ignore[attr-defined]
        return check

    return wrap


def call(answer: Answer, *args: Any, may_change: Sequence[Any] = (), returns: bool = True) -> Any:
    """Call the learner's function; name what went wrong if it raises, alters its inputs or settings, or returns None.

    Args:
        answer: the learner's function.
        args: its arguments.
        may_change: arguments that the function is meant to alter (networks and optimisers that it trains).
        returns: whether it must return something; False for functions that work by altering an argument.
    """
    watched = [a for a in args if all(a is not other for other in may_change)]
    before, as_set = [fingerprint(a) for a in watched], settings()
    try:
        result = answer(*args)
    except (Exception, SystemExit) as error:
        if _is_stub(error):
            raise _NotAttempted() from None
        _require_as_set(as_set)  # first: it may be why the function stopped
        raise _raised(error, args) from None
    _require_as_set(as_set)
    for argument, mark in zip(watched, before, strict=True):
        require(
            fingerprint(argument) == mark,
            "inputs left as they were",
            f"the function changed its argument, now {describe(argument)}",
            "In-place operations (names ending in _, `+=`, item assignment) alter the caller's data: use a copy.",
        )
    hint = "A function without `return` gives None; a variable inside it is not seen outside."
    require(result is not None or not returns, "a return value", "None", hint)
    return result


def _require_as_set(before: dict[str, Any]) -> None:
    touched = [name for name, value in settings().items() if value != before[name]]
    require(
        not touched,
        "a function that leaves the notebook's settings alone",
        f"it changed {', '.join(touched)}",
        "Such a setting holds for every later cell too, for example all later random numbers: set it outside.",
    )


def require(condition: bool, expected: str, got: Any, hint: str) -> None:
    """Raise `CheckFailed` unless ``condition`` holds. ``got`` is shown as it is (text) or described."""
    if not condition:
        raise CheckFailed(expected, got if type(got) is str else describe(got), hint)


def expect_tensor(
    answer: Any,
    shape: Sequence[int],
    what: str,
    dtype: torch.dtype | None = None,
    hint: str = "A shape that merely broadcasts gives wrong sums later. Which dimension is summed away, kept or added?",
) -> None:
    """Require a tensor of exactly this shape (broadcasting is not forgiven; ``hint`` says why) and dtype, if given."""
    shape = tuple(shape)
    require(
        type(answer) in _TENSORS,
        f"{what}: a torch.Tensor",
        answer,
        "Return a tensor, and nothing around it.",
    )
    require(
        tuple(answer.shape) == shape,
        f"{what} of shape {shape}",
        f"shape {tuple(answer.shape)}",
        hint,
    )
    if dtype is not None:
        require(
            answer.dtype == dtype,
            f"{what} of dtype {dtype}",
            f"dtype {answer.dtype}",
            "Convert with `.to(...)`.",
        )


def expect_number(answer: Any, what: str) -> float:
    """Require one finite number (Python, NumPy or a tensor with one element and no dimension) and return it."""
    number = _numbers(answer)
    scalar = number is not None and not number.dim()
    require(
        scalar,
        f"{what}: one number",
        answer,
        "Return a single number, not a list or a longer tensor.",
    )
    value = number.item()
    require(math.isfinite(value), f"{what}: a finite number", repr(value), _NOT_FINITE)
    return value


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


def describe(value: Any) -> str:
    """A short picture of any value; it survives values whose own repr fails."""
    try:
        numbers = _numbers(value) if type(value) in (*_TENSORS, np.ndarray) else None
        if numbers is None:
            return f"{value:.6g}" if type(value) is float else _shorten(repr(value))
        shown = ", ".join(f"{v:.5g}" for v in numbers.flatten()[:4].tolist()) + ", ..." * (
            numbers.numel() > 4
        )
        return f"shape {tuple(numbers.shape)} [{shown}]" if numbers.dim() else shown
    except Exception:
        return f"an object of type {type(value).__name__}"


_TENSORS = (
    torch.Tensor,
    torch.nn.Parameter,
)  # exact types: a subclass may redefine what equality means
_BROKEN = "Return plain tensors and numbers; look at the type, dtype and device of what you return."
_NOT_FINITE = "Infinity or NaN comes from 0/0, the log of 0, inf - inf or arccos outside [-1, 1]: which one is here?"


def _tier() -> str:
    try:
        return runtime.tier()
    except CourseError:  # an unknown name: lesson code says so, a check need not
        return ""


class _NotAttempted(Exception):
    """The stub is still in place."""


def _open(number: str, reference: Answer) -> Answer:
    if os.environ.get("COURSE_STRICT") == "1" or os.environ.get("NBGRADER_EXECUTION"):
        hint = "COURSE_STRICT=1, or nbgrader, asks for every exercise to be solved."
        raise CheckFailed("a solution", "the stub", hint, number, reference)
    print(f"Exercise {number}: not attempted yet; the lesson goes on with the reference.")
    return reference


def _is_stub(error: BaseException) -> bool:
    """Tell the stub's error from the NotImplementedError of libraries, such as a network without `forward`."""
    in_answer = (
        error.__traceback__.tb_next is not None and error.__traceback__.tb_next.tb_next is None
    )
    text = str(error) if isinstance(error, NotImplementedError) else "another error"
    return text.startswith("Exercise") or (text == "" and in_answer)


def _raised(error: BaseException, args: Sequence[Any]) -> CheckFailed:
    frames = traceback.extract_tb(error.__traceback__)[1:]
    lines = [frame.lineno for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    place = f" (line {lines[-1]} of its cell)" if lines else ""
    return CheckFailed(
        f"a result for the input ({', '.join(describe(a) for a in args)})",
        f"{type(error).__name__}: {_shorten(str(error))}{place}",
        "The function stopped with an error: call it on such an input in a new cell and read the last line first.",
    )


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 160 else text[:157] + "..."


def _numbers(value: Any) -> torch.Tensor | None:
    """The value as float64 on the CPU, or None for anything but plain real numbers."""
    if type(value) not in (*_TENSORS, np.ndarray, int, float, list, tuple) and not isinstance(
        value, np.generic
    ):
        return None
    try:
        tensor = torch.as_tensor(value).detach().cpu()
        real = tensor.layout == torch.strided and not tensor.is_complex()
        return tensor.to(torch.float64) if real else None
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _close(answer: Any, expected: Any, atol: float, rtol: float) -> bool:
    theirs, ours = _numbers(answer), _numbers(expected)
    same_shape = theirs is not None and ours is not None and theirs.shape == ours.shape
    return same_shape and torch.allclose(theirs, ours, atol=atol, rtol=rtol, equal_nan=False)


def _equals_mistake(
    answer: Any, mistake: Answer, inputs: Sequence[Any], atol: float, rtol: float
) -> bool:
    try:
        return _close(answer, mistake(*inputs), atol, rtol)
    except Exception:
        return False
