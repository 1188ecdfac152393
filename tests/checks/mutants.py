"""Solutions made wrong by program: which of them do the checks refuse? ``python tests/checks/mutants.py [NAME ...]``.

Each exercise's solution is changed in one place at a time (an operator, a comparison, a constant, a function for its
sibling, two arguments, an arm of a condition, a line or a call left out), and its check is asked about it. What is
taken is listed in ``mutants.json``, each with the reason why it is no mistake, and so is what is refused with a hint
that fits every mistake; `test_mutants.py` keeps both lists true.
"""

import ast
import contextlib
import copy
import inspect
import io
import json
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from course_utils import checks
from course_utils.checks import core
from course_utils.checks.core import CheckFailed

HERE = Path(__file__).resolve().parent
TABLE = HERE / "mutants.json"
SECONDS = 8
"""After which a mutant that does not return counts as noticed."""

GENERIC = {
    inspect.signature(core.expect_close).parameters["hint"].default,
    inspect.signature(core.expect_tensor).parameters["hint"].default,
    core._NOT_FINITE,
}
"""What `core` says where an exercise has no words of its own."""
STOPPED = {core._STOPPED, core._BROKEN}
"""Said beside an error of Python's, which names the line."""

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SIBLINGS = {
    **{"mean": "sum", "sum": "mean", "max": "min", "min": "max", "amax": "amin"},
    **{"exp": "log", "log": "exp", "sigmoid": "tanh", "tanh": "sigmoid", "relu": "tanh"},
    **{"softmax": "log_softmax", "log_softmax": "softmax", "logsigmoid": "sigmoid"},
    **{"ones": "zeros", "zeros": "ones", "ones_like": "zeros_like", "zeros_like": "ones_like"},
    **{"rand": "randn", "randn": "rand", "randn_like": "rand_like", "argmax": "argmin"},
    **{"tril": "triu", "triu": "tril", "sin": "cos", "cos": "sin", "sqrt": "square"},
    **{"std": "var", "var": "std", "all": "any", "any": "all", "floor": "ceil", "ceil": "floor"},
    **{"cumsum": "cumprod", "eval": "train", "train": "eval", "sorted": "list", "abs": "neg"},
    **{"topk": "sort", "logsumexp": "sum", "median": "mean", "quantile": "mean"},
}


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST | list[ast.AST]]]:
    """What could stand in the place of one node, each with words; an empty list leaves a line out."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        other = copy.deepcopy(node)
        other.op = OPERATORS[type(node.op)]()
        yield "another operator", other
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        other = copy.deepcopy(node)
        other.ops[0] = COMPARISONS[type(node.ops[0])]()
        yield "another comparison", other
    if isinstance(node, ast.UnaryOp):
        yield "without its sign", node.operand
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield "the other truth", ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield "one more", ast.Constant(node.value + 1)
        yield "twice", ast.Constant(2 * node.value or -1)
    if isinstance(node, ast.Attribute | ast.Name):
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        if name in SIBLINGS and isinstance(node.ctx, ast.Load):
            other = copy.deepcopy(node)
            setattr(other, "attr" if isinstance(node, ast.Attribute) else "id", SIBLINGS[name])
            yield f"{SIBLINGS[name]} for {name}", other
    if isinstance(node, ast.Call):
        if len(node.args) >= 2 and not any(isinstance(a, ast.Starred) for a in node.args[:2]):
            other = copy.deepcopy(node)
            other.args[0], other.args[1] = other.args[1], other.args[0]
            yield "two arguments swapped", other
        if isinstance(node.func, ast.Attribute):
            yield f"without .{node.func.attr}()", node.func.value
        elif len(node.args) == 1:
            yield "without the call", node.args[0]
        for place, keyword in enumerate(node.keywords):
            other = copy.deepcopy(node)
            del other.keywords[place]
            yield f"without {keyword.arg}=", other
    if isinstance(node, ast.IfExp):
        yield "the other arm", ast.IfExp(node.test, node.orelse, node.body)
    if isinstance(node, ast.If):
        other = copy.deepcopy(node)
        other.test = ast.UnaryOp(ast.Not(), other.test)
        yield "the other way round", other
    if isinstance(node, ast.Expr | ast.AugAssign) and not isinstance(
        getattr(node, "value", None), ast.Constant
    ):
        yield "the line left out", ast.Pass()
    if isinstance(node, ast.Return) and node.value is not None:
        yield "a result without its graph", _returned(node, "_detached")
        yield "a result clamped to ±5", _returned(node, "_clamped")


def _returned(node: ast.Return, helper: str) -> ast.Return:
    return ast.Return(ast.Call(ast.Name(helper, ast.Load()), [node.value], []))


def _detached(value: Any) -> Any:
    if not hasattr(value, "detach") or not value.requires_grad:
        raise _Same
    return value.detach()


def _clamped(value: Any) -> Any:
    if not hasattr(value, "clamp") or not value.is_floating_point():
        raise _Same
    return value.clamp(-5, 5)


class _Same(Exception):
    """This change changes nothing."""


def mutants(function: ast.FunctionDef) -> Iterator[tuple[str, Callable[[], ast.FunctionDef]]]:
    """All changes of a function's body: ``line: what stood there -> what stands there (words)``, and what makes it."""
    whole = list(ast.walk(function))
    inside = {id(n) for statement in function.body for n in ast.walk(statement)}
    for place, node in enumerate(whole):
        if id(node) not in inside or _is_text(node):
            continue
        for words, other in changes(node):
            line = getattr(node, "lineno", function.lineno) - function.lineno
            before, after = ast.unparse(node), ast.unparse(ast.fix_missing_locations(other))
            yield (
                f"{line}: {_short(before)} -> {_short(after)} ({words})",
                partial(_Swap(place, other).of, function),
            )


def _is_text(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else node
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _short(code: str) -> str:
    code = " ".join(code.split())
    return code if len(code) <= 60 else code[:57] + "..."


class _Swap(ast.NodeTransformer):
    """A copy of a function in which the node at one place of `ast.walk` is another."""

    def __init__(self, place: int, other: ast.AST) -> None:
        self.place, self.other = place, other

    def of(self, function: ast.FunctionDef) -> ast.FunctionDef:
        made = copy.deepcopy(function)
        self.node = list(ast.walk(made))[self.place]
        return ast.fix_missing_locations(self.visit(made))

    def visit(self, node: ast.AST) -> Any:
        return copy.deepcopy(self.other) if node is self.node else self.generic_visit(node)


# ---- asking the checks


def kind(error: BaseException, examples: Collection[str] = ()) -> str:
    """What a learner is told: ``named``, ``worked`` (an example), ``stopped`` (Python's error), or ``generic``.

    A named mistake and the words of a demand are the exercise's own. Its fallback, for mistakes that nobody has
    named, counts where it works an example through; beside it stand the right and the learner's number.

    Args:
        error: what the check raised.
        examples: the exercise's worked examples.
    """
    if not isinstance(error, CheckFailed) or error.hint in STOPPED:
        return "stopped"
    if error.hint in examples:
        return "worked"
    walked = traceback.walk_tb(error.__traceback__)
    frames = [frame for frame, _ in walked if frame.f_code is core.expect_close.__code__]
    fallback = any(frame.f_locals["wrong"] for frame in frames)
    said = {frame.f_locals["hint"] for frame in frames}
    return "generic" if error.hint in GENERIC or (fallback and error.hint in said) else "named"


def examples_of(check: Any) -> set[str]:
    """The worked examples of an exercise's module and of the modules that it is made with."""
    module = sys.modules[check.__module__]
    made_with = {getattr(value, "__module__", None) for value in vars(module).values()}
    modules = [module, *(sys.modules[n] for n in made_with if str(n).startswith(checks.__name__))]
    found = {name: vars(one)[name] for one in modules for name in vars(one) if "_WORKED" in name}
    return {value for value in found.values() if isinstance(value, str)}


def outcome(check: Any, function: ast.FunctionDef, names: dict[str, Any]) -> str:
    """The `kind` of a refusal, ``"taken"``, or ``"same"`` for a change that changes nothing."""
    seen: list[BaseException] = []

    def noted(helper):
        def run(value):
            try:
                return helper(value)
            except _Same as same:
                seen.append(same)
                return value

        return run

    space = {**names, "_detached": noted(_detached), "_clamped": noted(_clamped)}
    try:
        exec(compile(ast.Module([function], []), "<mutant>", "exec"), space)
        with contextlib.redirect_stdout(io.StringIO()), _limit():
            check(space[function.name])
    except (Exception, SystemExit) as error:
        return kind(error, examples_of(check))
    return "same" if seen else "taken"


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def solution(source: Path, function: str) -> ast.FunctionDef:
    """The function in a lesson's source, with its solution."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
    return found[-1]


def sweep(name: str, module: Any, check: Any, every: int = 1) -> dict[str, Any]:
    """Ask the check about each mutant, or each so-manieth.

    Returns:
        ``made`` and ``mutants``, how many there are and were asked about; the words of those that are ``taken`` or get
        a ``generic`` hint; and for the others the number of each `kind` of hint.
    """
    made = list(mutants(solution(Path(module.__file__), name.split(".")[1])))
    told = [(words, outcome(check, make(), vars(module))) for words, make in made[::every]]
    kinds = Counter(came for _, came in told)
    return {
        "made": len(made),
        "mutants": len(told) - kinds["same"],
        **{one: [words for words, came in told if came == one] for one in ("taken", "generic")},
        **{one: kinds[one] for one in ("named", "worked", "stopped")},
    }


def main(wanted: list[str]) -> None:
    """Sweep the exercises and keep the reasons that the table has for what is taken."""
    sys.path.insert(0, str(HERE))
    os.environ |= {"COURSE_STRICT": "1", "COURSE_PROGRESS": "0"}
    import test_every_exercise as every

    table = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    for name, check in every.EXERCISES.items():
        if wanted and name not in wanted and name.split(".")[0] not in wanted:
            continue
        found = sweep(name, every.definitions(every.source_of(name)), check)
        known = table.get(name, {}).get("taken", {})
        table[name] = {
            "made": found["made"],
            "mutants": found["mutants"],
            "taken": {words: known.get(words, "") for words in found["taken"]},
            **{one: found[one] for one in ("named", "worked", "stopped", "generic")},
        }
        counts = {one: found[one] for one in ("named", "worked", "stopped")}
        print(
            f"{name}: {found['mutants']} mutants, {len(found['taken'])} taken, {counts}", flush=True
        )
        for words in found["generic"]:
            print("    generic:", words, flush=True)
        for words in found["taken"]:
            print("   ", words, "|", known.get(words, "???"), flush=True)
    table = {name: table[name] for name in sorted(table) if name in every.EXERCISES}
    TABLE.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
