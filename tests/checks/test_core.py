"""The machinery of the exercise checks: three outcomes, and answers that are hostile in every way of fault E1."""

import builtins
import io
import os
import random
import sys
import time

import numpy as np
import pytest
import torch
from answers import AlwaysEqual
from torch import nn

from course_utils import checks
from course_utils.checks import surroundings as around
from course_utils.checks.core import (
    CheckFailed,
    call,
    describe,
    exercise,
    expect_close,
    expect_gradient,
    expect_like,
    expect_number,
    expect_tensor,
    hinting,
)
from course_utils.learner import catalogue


def twice(x):
    return x * torch.tensor(2.0)


@pytest.fixture(autouse=True)
def a_card_for_it(monkeypatch):
    """The catalogue of a course whose exercise 0.1 is `doubled`, in this folder."""
    monkeypatch.setattr(catalogue, "_numbers", lambda: {"checks.doubled": "0.1"})


@exercise(twice)
def doubled(fn):
    """Double a tensor."""
    x = torch.tensor([0.5, 1.5, -3.0])
    got = call(fn, x)
    expect_tensor(got, (3,), "the doubled x", torch.float32)
    expect_close(
        got, twice(x), "the doubled x", inputs=[x], wrong=[(lambda x: x**2, "This is the square.")]
    )


def failure_of(answer, check=doubled):
    with pytest.raises(CheckFailed) as caught:
        check(answer)
    return caught.value


def right(x):
    return x + x


class EqualTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True


class Unprintable:
    def __repr__(self):
        raise ValueError("no picture")


# ---- three outcomes


@pytest.fixture(autouse=True)
def not_strict(monkeypatch):
    monkeypatch.delenv("COURSE_STRICT", raising=False)


def test_right_answer_is_handed_back(capsys):
    assert doubled(right) is right
    assert capsys.readouterr().out == "Exercise 0.1: correct.\n"


@pytest.mark.parametrize("error", [NotImplementedError("Exercise 0.1"), NotImplementedError()])
def test_stub_is_not_attempted(capsys, error):
    def stub(x):
        raise error

    assert doubled(stub) is twice
    assert (
        capsys.readouterr().out
        == "Exercise 0.1: not attempted yet; the lesson goes on with the reference.\n"
    )


def test_code_under_the_stubs_line_is_told_that_it_never_runs(capsys, monkeypatch):
    def left_standing(x):
        """Twice x."""
        raise NotImplementedError("Exercise 0.1")
        return x * 2

    def in_a_branch(x):
        if True:
            raise NotImplementedError()
            x = x * 2
        return x

    for answer in (left_standing, in_a_branch):
        assert doubled(answer) is twice
        said = capsys.readouterr().out
        assert "not attempted yet" in said and "still stands above your code" in said
    monkeypatch.setenv("COURSE_STRICT", "1")
    assert "still stands above your code" in failure_of(left_standing).hint


def test_code_that_nobody_can_read_is_an_ordinary_stub(capsys):
    names = {}
    exec("def stub(x):\n    raise NotImplementedError('Exercise 0.1')\n    return x", names)
    assert doubled(names["stub"]) is twice
    assert "still stands" not in capsys.readouterr().out


def test_stub_fails_when_strict(monkeypatch):
    def stub(x):
        raise NotImplementedError("Exercise 0.1")

    monkeypatch.setenv("COURSE_STRICT", "1")
    assert "COURSE_STRICT" in failure_of(stub).hint
    assert doubled(right) is right
    monkeypatch.setenv("COURSE_STRICT", "0")
    assert doubled(stub) is twice


def test_wrong_answer_shows_expected_came_and_hint(capsys):
    failure = failure_of(lambda x: x**2)
    assert str(failure) == (
        "Exercise 0.1: not yet.\n"
        "  Expected: the doubled x: 1 at index [0]\n"
        "  Came:     0.25 at index [0]\n"
        "  Hint:     This is the square."
    )
    assert failure._render_traceback_() == [f"CheckFailed: {failure}"]
    assert failure.__suppress_context__ and capsys.readouterr().out == ""


def test_unknown_mistake_gets_the_general_hint():
    assert failure_of(lambda x: x * 3).hint.startswith("Compare with the formula")


def test_an_answer_called_by_mistake_is_named():
    failure = failure_of(right(torch.ones(3)))
    assert failure.expected == "a function" and "without calling it" in failure.hint


# ---- E1: named as what it is


def nan_result(x):
    return x * float("nan")


def double_result(x):
    return (x + x).double()


def wider_result(x):
    return (x + x)[None]


def list_result(x):
    return (x + x).tolist()


def nothing(x):
    x + x


def raising(x):
    return x @ torch.ones(7)


def leaving(x):
    sys.exit("bye")


def mutating(x):
    return x.mul_(2)


def requiring_gradients(x):
    return (x.requires_grad_() * 2).detach()


def library_stub(x):
    return nn.Module()(x)


def library_bare_stub(x):
    return torch.distributions.Distribution(validate_args=False).mean


def seeding(x):
    torch.manual_seed(0)
    return x + x


def new_dtype(x):
    torch.set_default_dtype(torch.float64)
    return x + x


def no_gradients(x):
    torch.set_grad_enabled(False)
    return x + x


def deterministic(x):
    torch.use_deterministic_algorithms(True)
    return x + x


def new_device(x):
    torch.set_default_device("meta")
    return x + x


def more_threads(x):
    torch.set_num_threads(torch.get_num_threads() + 1)
    return x + x


def seeding_python(x):
    random.seed(0)
    return x + x


def seeding_numpy(x):
    np.random.seed(0)
    return x + x


def matmul_precision(x):
    torch.set_float32_matmul_precision("medium")
    return x + x


def anomaly_mode(x):
    torch.autograd.set_detect_anomaly(True)
    return x + x


def short_prints(x):
    torch.set_printoptions(precision=1, sci_mode=True)
    np.set_printoptions(precision=1)
    return x + x


def silent_numpy(x):
    np.seterr(all="ignore")
    return x + x


def deeper(x):
    sys.setrecursionlimit(sys.getrecursionlimit() + 100)
    return x + x


def elsewhere(x):
    os.chdir("/")
    return x + x


def own_print(x):
    builtins.print = lambda *words: None
    return x + x


def own_output(x):
    sys.stdout = io.StringIO()
    return x + x


def own_torch(x):
    torch.allclose = lambda *a, **k: True
    return x + x


E1 = [
    (nan_result, "NaN comes from"),
    (double_result, "Convert with"),
    (wider_result, "merely broadcasts"),
    (list_result, "Return a tensor"),
    (nothing, "without `return`"),
    (raising, "stopped with an error"),
    (leaving, "stopped with an error"),
    (mutating, "In-place operations"),
    (requiring_gradients, "In-place operations"),
    (library_stub, "stopped with an error"),
    (library_bare_stub, "stopped with an error"),
    (lambda x: AlwaysEqual(), "Return a tensor"),
    (lambda x: (x + x).as_subclass(EqualTensor), "Return a tensor"),
    (lambda x: Unprintable(), "Return a tensor"),
    (lambda x: (x + x).to(torch.complex64), "Convert with"),
    (lambda x: (x + x).to_sparse(), "Compare with the formula"),
    (lambda x: (x + x).to("meta"), "Compare with the formula"),
    (seeding, "set it outside"),
    (new_dtype, "set it outside"),
    (no_gradients, "set it outside"),
    (deterministic, "set it outside"),
    (new_device, "set it outside"),
    (more_threads, "set it outside"),
    (seeding_python, "set it outside"),
    (seeding_numpy, "set it outside"),
    (matmul_precision, "set it outside"),
    (anomaly_mode, "set it outside"),
    (short_prints, "set it outside"),
    (silent_numpy, "set it outside"),
    (deeper, "set it outside"),
    (elsewhere, "set it outside"),
    (own_print, "set it outside"),
    (own_output, "set it outside"),
    (own_torch, "a name of your own"),
]


def surroundings():
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "torch": torch.get_rng_state().tolist(),
        "settings": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()),
        "more": (
            torch.are_deterministic_algorithms_enabled(),
            torch.get_default_device(),
            torch.initial_seed(),
            torch.get_float32_matmul_precision(),
            torch.is_anomaly_enabled(),
        ),
        "prints": (str(torch.tensor([1e-3, 2 / 3])), str(np.array([2 / 3])), print, sys.stdout),
        "process": (np.geterr(), sys.getrecursionlimit(), os.getcwd()),
        "torch itself": torch.allclose,
    }


@pytest.mark.fault("E1")
@pytest.mark.parametrize(
    ("answer", "keyword"), E1, ids=[getattr(a, "__name__", "?") for a, _ in E1]
)
def test_bad_answer_is_named_and_the_next_check_unaffected(answer, keyword):
    before = surroundings()
    failure = failure_of(answer)
    assert keyword in failure.hint, failure
    assert len(failure.got) < 400 and "\n" not in failure.got
    assert surroundings() == before
    assert doubled(right) is right


def test_what_was_changed_is_said():
    assert "the random seed" in failure_of(seeding).got
    assert "the default dtype" in failure_of(new_dtype).got
    assert "the deterministic mode" in failure_of(deterministic).got


def test_the_line_of_the_error_and_its_input_are_said():
    failure = failure_of(raising)
    assert f"line {raising.__code__.co_firstlineno + 1}" in failure.got
    assert "shape (3,) [0.5, 1.5, -3]" in failure.expected


def test_seeding_in_a_fork_and_drawing_are_allowed():
    def drawing(x):
        torch.rand(3), np.random.rand(3), random.random()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return x + x + 0 * torch.rand(3)

    before = surroundings()
    assert doubled(drawing) is drawing
    assert surroundings() == before


def test_many_numbers_of_python_and_numpy_may_be_drawn():
    def drawing(x):
        np.random.rand(5_000), [random.random() for _ in range(2_000)]
        return x + x

    assert doubled(drawing) is drawing


def test_functions_that_were_replaced_before_the_check_are_named(monkeypatch):
    monkeypatch.setattr(torch, "allclose", lambda *a, **k: True)
    failure = failure_of(lambda x: 0 * x)
    assert "torch.allclose" in failure.got and "restart the kernel" in failure.hint


def test_prints_of_an_answer_are_capped_and_counted(capsys):
    def chatty(x):
        for number in range(10_000):
            print("line", number)
        return x + x

    doubled(chatty)
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["line 0", "line 1"] and len(said) == 22
    assert "more characters that the answer printed" in said[20] and "correct" in said[21]


def test_an_answer_that_takes_long_is_told_how_to_stop(monkeypatch, capsys):
    def slow(x):
        time.sleep(0.2)
        return x + x

    monkeypatch.setattr(around, "_PATIENCE", 0.05)
    doubled(slow)
    assert "the stop button" in capsys.readouterr().out
    monkeypatch.setattr(around, "_PATIENCE", 100.0)
    doubled(slow)
    assert "the stop button" not in capsys.readouterr().out


def test_a_long_list_is_not_written_out():
    class Counted:
        written = 0

        def __repr__(self):
            Counted.written += 1
            return "1"

    failure = failure_of(lambda x: [Counted()] * 100_000)
    assert failure.got.startswith("[1, 1, 1") and Counted.written < 100


def test_the_learners_own_settings_do_not_decide():
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            assert doubled(right) is right
            assert not torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_interrupt_passes_and_restores():
    def interrupted(x):
        torch.set_default_dtype(torch.float64)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        doubled(interrupted)
    assert torch.get_default_dtype() == torch.float32


def test_an_answer_that_breaks_the_comparison_is_a_wrong_answer():
    @exercise(twice)
    def without_a_card(fn):
        call(fn, 1.0).shape.numel()

    failure = failure_of(lambda x: 2.0, without_a_card)
    assert "AttributeError" in failure.got and failure.__cause__ is not None
    assert failure.number == "checks.without_a_card"  # its name, where no card gives it a number


# ---- call


def test_changes_are_seen_in_every_kind_of_argument():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout())
    changes = [
        (network, lambda n: n[0].weight.data.zero_()),
        (network, lambda n: n[1].running_mean.add_(1)),
        (network, lambda n: n[2].eval()),
        (np.zeros((2, 3)), lambda a: a.fill(1)),
        (np.zeros((2, 3)), lambda a: a.resize((3, 2), refcheck=False)),
        ([torch.zeros(2), [1, 2]], lambda x: x[1].append(3)),
        ({"a": torch.zeros(2)}, lambda d: d["a"].add_(1)),
        (torch.zeros(2, dtype=torch.bfloat16), lambda t: t.add_(1)),
        (torch.zeros(()), lambda t: t.fill_(float("nan"))),
        (torch.zeros(4, 4)[:, 1], lambda t: t.add_(1)),
    ]
    for argument, change in changes:
        with pytest.raises(CheckFailed, match="changed its argument"):
            call(lambda x, change=change: (change(x), 1), argument)


def test_what_may_change_may_change():
    network = nn.Linear(2, 2)

    def train(n, x):
        n.weight.data.zero_()

    assert call(train, network, torch.ones(2), may_change=[network], returns=False) is None
    with pytest.raises(CheckFailed, match="return value"):
        call(train, network, torch.ones(2), may_change=[network])


# ---- comparisons


@pytest.mark.parametrize(
    "good",
    [2, 2.0, np.float32(2), np.array(2.0), torch.tensor(2.0), nn.Parameter(torch.tensor(2.0))],
)
def test_numbers_in_every_kind(good):
    assert expect_number(good, "n") == 2.0


@pytest.mark.parametrize(
    "bad",
    [
        True,
        "2",
        [2.0],
        None,
        2 + 0j,
        float("nan"),
        float("inf"),
        torch.ones(1),
        np.ones((1, 1)),
        AlwaysEqual(),
    ],
)
def test_what_is_no_number(bad):
    with pytest.raises(CheckFailed):
        expect_number(bad, "n")


@pytest.mark.parametrize(
    "bad", [float("nan"), AlwaysEqual(), "1.0", None, 10**400, 1 + 0j, [1.0], object(), 1.1]
)
def test_nothing_but_the_number_is_close(bad):
    with pytest.raises(CheckFailed):
        expect_close(bad, 1.0, "x")


def test_nan_never_equals_even_where_nan_is_expected_or_a_mistake_gives_nan():
    nan = torch.tensor([float("nan"), 1.0])
    with pytest.raises(CheckFailed, match="NaN comes from"):
        expect_close(nan, nan, "x", wrong=[(lambda: nan, "a mistake")])


def test_the_first_matching_mistake_speaks_and_broken_ones_are_passed_over():
    wrong = [
        (lambda x: 1 / 0, "broken"),
        (lambda x: x + 1, "plus one"),
        (lambda x: x + 1, "second"),
    ]
    with pytest.raises(CheckFailed, match="plus one"):
        expect_close(3, 2, "x", inputs=[2], wrong=wrong)


def test_the_place_of_the_first_difference_is_shown():
    expected = torch.zeros(4, 5)
    answer = expected.clone()
    answer[2, 3] = 0.5
    with pytest.raises(CheckFailed, match=r"0.5 at index \[2, 3\]"):
        expect_close(answer, expected, "x")


@pytest.mark.parametrize(
    ("value", "picture"),
    [
        (torch.tensor(1.5), "1.5"),
        (torch.tensor([1.5]), "shape (1,) [1.5]"),
        (torch.arange(6).reshape(2, 3), "shape (2, 3) [0, 1, 2, 3, ...]"),
        (torch.tensor([True]), "shape (1,) [1]"),
        (torch.empty(0, 3), "shape (0, 3) []"),
        (np.array([1.0, 2.0]), "shape (2,) [1, 2]"),
        (0.1234567, "0.123457"),
        ("two\nlines", r"'two\nlines'"),
        (Unprintable(), "an object of type Unprintable"),
        (nn.Sequential(nn.ReLU(), nn.Tanh()), "Sequential( (0): ReLU() (1): Tanh() )"),
    ],
)
def test_describe(value, picture):
    assert describe(value) == picture


def test_describe_stays_short():
    assert len(describe("x" * 10_000)) <= 160
    assert describe(torch.ones(2, device="meta")).startswith("tensor(")


def test_words_of_an_error_choose_the_hint():
    says = {
        "singular": "Add a ridge.",
        "size mismatch": "Transpose one.",
        "changed its": "Copy first.",
    }
    with pytest.raises(CheckFailed, match="Transpose one"):
        call(lambda x: x @ torch.ones(7), torch.ones(3, 3), says=says)
    with pytest.raises(CheckFailed, match="Copy first"):
        call(lambda x: x.add_(1), torch.ones(3), says=says)
    with pytest.raises(CheckFailed, match="stopped with an error"):
        call(lambda x: 1 / 0, torch.ones(3), says=says)


def test_a_long_input_is_cut_in_the_message():
    with pytest.raises(CheckFailed) as caught:
        call(lambda *texts: 1 / 0, *["x" * 150] * 5)
    assert len(caught.value.expected) < 200


LIKE = {"what": "x", "inputs": [torch.ones(2)], "shape": "Which shape?", "hint": "Which number?"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (torch.ones(2, 1), "A column"),  # a known mistake is named before its shape is
        (torch.ones(3), "Which shape"),
        (torch.zeros(2), "Which number"),
        ([1.0, 1.0], "Return a tensor"),
        (torch.ones(2).double(), "Convert with"),
    ],
)
def test_a_tensor_like_the_expected_one(answer, words):
    wrong = [(lambda x: x[:, None], "A column.")]
    expect_like(torch.ones(2), torch.ones(2), wrong=wrong, dtype=torch.float32, **LIKE)
    with pytest.raises(CheckFailed, match=words):
        expect_like(answer, torch.ones(2), wrong=wrong, dtype=torch.float32, **LIKE)


@pytest.mark.parametrize(
    "answer", [lambda a, b: (a * b).detach(), lambda a, b: a * b.detach(), lambda a, b: 1.0]
)
def test_a_cut_graph_is_named_though_the_number_is_right(answer):
    a, b = torch.ones(3).requires_grad_(), torch.ones(3).requires_grad_()
    expect_gradient(b * a, a * b, {"a": a, "b": b})
    with pytest.raises(CheckFailed, match="cut the path"):
        expect_gradient(answer(a, b), a * b, {"a": a, "b": b})


def test_within_hinting_every_failure_has_the_same_hint():
    with pytest.raises(CheckFailed, match="one reason") as caught, hinting("one reason"):
        expect_close(3, 2, "x")
    assert caught.value.got == "3"
    with hinting("one reason"):
        expect_close(2, 2, "x")


# ---- the package


def test_lessons_are_found_by_name(monkeypatch):
    monkeypatch.delitem(sys.modules, "course_utils.checks.dcgan", raising=False)
    monkeypatch.delattr(checks, "dcgan", raising=False)
    assert checks.dcgan.slerp.__name__ == "slerp"
    assert not hasattr(checks, "nonsense")


def test_an_exercise_is_shown_as_the_function_that_it_asks_for():
    """By Jupyter's `checks.dcgan.slerp?` and `help`, which read these."""
    assert checks.dcgan.slerp.name == "dcgan.slerp"
    assert checks.dcgan.slerp.__doc__.startswith("Check ``slerp(z0, z1, t)``")


def test_a_number_needs_no_catalogue(monkeypatch):
    def damaged():
        raise ValueError("no JSON")

    monkeypatch.setattr(catalogue, "_numbers", damaged)
    assert doubled.number == "checks.doubled"
    assert doubled(right) is right
