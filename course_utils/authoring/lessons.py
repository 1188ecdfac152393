"""Load what a lesson defines, without running the lesson, so that tests can hold its code against oracles."""

import ast
from pathlib import Path
from types import ModuleType

from course_utils.authoring.exercises import numbers
from course_utils.authoring.solutions import find_regions, learner_text
from course_utils.authoring.source import BadSource, find_source, read_source


def load_definitions(name: str, solved: bool = True, root: Path | None = None) -> ModuleType:
    """The imports, functions, classes and plain constants (upper-case names) of a lesson.

    Line numbers in tracebacks are those of the source. What the definitions take from the running lesson (a device,
    say) can be set from outside: ``lesson.device = torch.device("cpu")``.

    Args:
        name: the lesson, for example ``"02_dcgan_cifar10"``.
        solved: with the solutions; otherwise the stubs that learners get.
        root: the repository (default: the one that this package belongs to).

    Raises:
        CourseError: there is no such lesson, or its source is not sound (`BadSource`).
    """
    root = root or Path(__file__).parents[2]
    path = find_source(root, name, 'load_definitions("02_dcgan_cifar10")')
    module = ModuleType(f"lesson_{path.stem}")
    module.__file__ = str(path)
    exec(
        compile(_definitions(path, root, solved), str(path), "exec", dont_inherit=True),
        module.__dict__,
    )
    return module


def _definitions(path: Path, root: Path, solved: bool) -> ast.Module:
    source, problems = read_source(path, root)
    regions, unsound = find_regions(source) if source else ([], [])
    if source is None or problems or unsound:
        raise BadSource({path.relative_to(root).as_posix(): [*problems, *unsound]})
    text = (
        source.text
        if solved
        else learner_text(source.text, regions, numbers(path), keep_lines=True)
    )
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if _is_definition(node)]
    return tree


def _is_definition(node: ast.stmt) -> bool:
    match node:
        case (
            ast.Import()
            | ast.ImportFrom()
            | ast.FunctionDef()
            | ast.AsyncFunctionDef()
            | ast.ClassDef()
        ):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name.isupper() and node.value is not None and _is_plain(node.value)
    return False


def _is_plain(value: ast.expr) -> bool:
    """Numbers, texts, containers of them, arithmetic on them and on other upper-case names."""
    containers = (
        ast.Tuple,
        ast.List,
        ast.Set,
        ast.Dict,
        ast.BinOp,
        ast.UnaryOp,
        ast.operator,
        ast.unaryop,
    )
    allowed = (ast.Constant, ast.expr_context, *containers)
    nodes = ast.walk(value)
    return all(
        isinstance(n, allowed) or (isinstance(n, ast.Name) and n.id.isupper()) for n in nodes
    )
