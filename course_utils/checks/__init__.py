"""Exercise checks: feedback for a learner, not grading.

``name = checks.dcgan.exercise_2_1(name)`` has three outcomes: *not attempted* (the lesson goes on with the
reference), *wrong* (`CheckFailed` says what was expected, what came, and which misconception it looks like) and
*correct* (the lesson goes on with the learner's own function). With ``COURSE_STRICT=1`` "not attempted" fails too.
"""

import functools
import hashlib
import math
import os
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

Wrong = tuple[Callable[..., Any], str]
"""A named wrong answer: a function that makes the mistake, and the hint for whoever made the same one."""


class CheckFailed(AssertionError):
    """An answer is wrong. The message holds what was expected, what came, and a hint."""

    def __init__(self, expected: str, got: str, hint: str, number: str = "") -> None:
        self.expected, self.got, self.hint, self.number = expected, got, hint, number
        super().__init__(expected, got, hint)

    def __str__(self) -> str:
        title = f"Exercise {self.number}: not yet.\n" if self.number else ""
        return f"{title}  Expected: {self.expected}\n  Came:     {self.got}\n  Hint:     {self.hint}"

    def _render_traceback_(self) -> list[str]:
        """Show the message without forty lines of traceback (called by IPython)."""
        return [f"CheckFailed: {self}"]


def exercise(
    number: str, reference: Callable[..., Any]
) -> Callable[[Callable[[Callable[..., Any]], None]], Callable[[Callable[..., Any]], Callable[..., Any]]]:
    """Turn a function that inspects an answer (and raises `CheckFailed`) into an exercise with three outcomes.

    Args:
        number: the exercise's number, for example ``"2.1"``.
        reference: what the lesson goes on with while the exercise is open; an independent implementation.
    """

    def wrap(inspect: Callable[[Callable[..., Any]], None]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        @functools.wraps(inspect)
        def check(answer: Callable[..., Any]) -> Callable[..., Any]:
            try:
                if not callable(answer):
                    raise CheckFailed("a function", describe(answer), "Pass the function itself, without calling it.")
                with _untouched_surroundings():
                    inspect(answer)
            except _NotAttempted:
                return _open(number, reference)
            except CheckFailed as failure:
                raise CheckFailed(failure.expected, failure.got, failure.hint, number) from None
            print(f"Exercise {number}: correct.")
            return answer

        return check

    return wrap


def call(answer: Callable[..., Any], *args: Any, may_change: Sequence[Any] = ()) -> Any:
    """Call the learner's function; name what went wrong if it raises, returns nothing or alters its inputs.

    Args:
        answer: the learner's function.
        args: its arguments.
        may_change: arguments that the function is meant to alter (networks and optimisers that it trains).
    """
    watched = [a for a in args if not any(a is other for other in may_change)]
    before = [_fingerprint(a) for a in watched]
    try:
        result = answer(*args)
    except NotImplementedError as error:
        if not str(error) or str(error).startswith("Exercise"):
            raise _NotAttempted from None
        raise _raised(error) from None
    except Exception as error:
        raise _raised(error) from None
    if result is None:
        raise CheckFailed("a return value", "None", "The function ends without `return`, or returns None.")
    for argument, mark in zip(watched, before, strict=True):
        if _fingerprint(argument) != mark:
            raise CheckFailed(
                "inputs left as they were",
                f"the function changed its argument {describe(argument)}",
                "In-place operations (names ending in _, `+=`, item assignment) alter the caller's data: use a copy.",
            )
    return result


def require(condition: bool, expected: str, got: Any, hint: str) -> None:
    """Raise `CheckFailed` unless ``condition`` holds. ``got`` is shown shortened."""
    if not condition:
        raise CheckFailed(expected, got if isinstance(got, str) else describe(got), hint)


def expect_tensor(answer: Any, shape: Sequence[int], what: str, dtype: torch.dtype | None = None) -> None:
    """Require a tensor of exactly this shape (broadcasting is not forgiven) and, if given, this dtype."""
    require(type(answer) in (torch.Tensor, torch.nn.Parameter), f"{what}: a torch.Tensor", answer, "Return a tensor.")
    require(
        tuple(answer.shape) == tuple(shape),
        f"{what} of shape {tuple(shape)}",
        f"shape {tuple(answer.shape)}",
        "A shape that merely broadcasts gives wrong sums later. Which dimension is summed away, kept or added?",
    )
    if dtype is not None:
        require(answer.dtype == dtype, f"{what} of dtype {dtype}", f"dtype {answer.dtype}", "Convert with `.to(...)`.")


def expect_number(answer: Any, what: str) -> float:
    """Require one finite number (Python, NumPy or a tensor with one element and no dimension) and return it."""
    scalar = isinstance(answer, torch.Tensor | np.generic | np.ndarray) and answer.shape == ()
    plain = type(answer) in (int, float)
    require(scalar or plain, f"{what}: one number", answer, "Return a single number, not a list or a longer tensor.")
    value = float(answer)
    require(math.isfinite(value), f"{what}: a finite number", repr(value), "Where does infinity or NaN come from?")
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
    named = next((text for mistake, text in wrong if _equals_mistake(answer, mistake, inputs, atol, rtol)), hint)
    raise CheckFailed(f"{what} = {describe(expected)}", describe(answer), named)


def describe(value: Any) -> str:
    """A short picture of any value that never trusts the value's own code beyond its repr."""
    if isinstance(value, torch.Tensor | np.ndarray):
        tensor = torch.as_tensor(value).detach()
        if tensor.numel() == 1:
            return f"{tensor.item():.6g}"
        shown = ", ".join(f"{v:.5g}" for v in tensor.flatten()[:4].tolist())
        return f"shape {tuple(tensor.shape)} [{shown}{', ...' if tensor.numel() > 4 else ''}]"
    if type(value) is float:
        return f"{value:.6g}"
    try:
        text = repr(value)
    except Exception:
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 120 else text[:117] + "..."


class _NotAttempted(Exception):
    """The stub is still in place."""


def _open(number: str, reference: Callable[..., Any]) -> Callable[..., Any]:
    if os.environ.get("COURSE_STRICT") == "1":
        raise CheckFailed("a solution", "the stub", "COURSE_STRICT=1 asks for every exercise to be solved.", number)
    print(f"Exercise {number}: not attempted yet; the lesson goes on with the reference.")
    return reference


def _raised(error: Exception) -> CheckFailed:
    frames = traceback.extract_tb(error.__traceback__)[1:]
    place = f" in line {frames[0].lineno} of your function's cell" if frames else ""
    return CheckFailed(
        "a result", f"{type(error).__name__}: {error}{place}", "The function stopped with an error on a valid input."
    )


def _fingerprint(value: Any) -> str:
    if isinstance(value, torch.nn.Module):
        return "".join(_fingerprint(t) for t in value.state_dict().values())
    if isinstance(value, torch.Tensor):
        data = value.detach().cpu().contiguous()
        return f"{data.dtype}{tuple(data.shape)}" + hashlib.sha256(data.view(-1).view(torch.uint8).numpy()).hexdigest()
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}" + hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, list | tuple):
        return "(" + ",".join(_fingerprint(v) for v in value) + ")"
    return repr(value) if isinstance(value, int | float | str | bool | dict) else ""


def _close(answer: Any, expected: Any, atol: float, rtol: float) -> bool:
    try:
        ours = torch.as_tensor(expected).detach().to(torch.float64)
        theirs = torch.as_tensor(answer).detach().to(torch.float64)
    except (TypeError, ValueError, RuntimeError):
        return False
    return ours.shape == theirs.shape and torch.allclose(theirs, ours, atol=atol, rtol=rtol, equal_nan=False)


def _equals_mistake(
    answer: Any, mistake: Callable[..., Any], inputs: Sequence[Any], atol: float, rtol: float
) -> bool:
    try:
        return _close(answer, mistake(*inputs), atol, rtol)
    except Exception:
        return False


@contextmanager
def _untouched_surroundings() -> Iterator[None]:
    """Give the random generators, the default dtype and the gradient mode back as they were."""
    states = (random.getstate(), np.random.get_state(), torch.get_rng_state())
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        torch.manual_seed(0)
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
