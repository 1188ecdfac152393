"""Every command that the course prints exists: in pages, lessons, fixes of errors, results, docstrings and CI."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRINTED = ("*.md", "docs/*.md", "data/**/*.md", "data/**/*.json", "data/*.toml", ".github/**/*.yml")
PRINTED += (".ci/*", "notebooks/source/*.py", "course_utils/**/*.py", "measuring/**/*.py", "run.py")
MODULE = re.compile(r"-m ((?:course_utils|measuring)(?:\.\w+)+)")
COMMAND = re.compile(r"python3? run\.py ([a-z]+)")


def printed(pattern: re.Pattern[str]) -> dict[str, list[str]]:
    """What a pattern finds in all that people read -> the places."""
    found: dict[str, list[str]] = {}
    for path in sorted({path for glob in PRINTED for path in ROOT.glob(glob) if path.is_file()}):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for name in pattern.findall(line):
                found.setdefault(name, []).append(f"{path.relative_to(ROOT)}:{number}")
    return found


MODULES, COMMANDS = printed(MODULE), printed(COMMAND)


@pytest.mark.parametrize("module", MODULES)
def test_a_printed_module_starts_and_says_how(module, capsys) -> None:
    try:
        program = importlib.import_module(module)
    except ModuleNotFoundError as error:
        pytest.fail(f"{error}; it is named in {', '.join(MODULES[module])}")
    assert hasattr(program, "main"), f"{module} is no program: {', '.join(MODULES[module])}"
    try:
        code = program.main(["--help"])
    except SystemExit as ended:
        code = ended.code
    told = capsys.readouterr().out
    assert code == 0 and re.match(r"usage: python3? (-m |run\.py )", told), told[:80]


def test_the_commands_of_run_py_are_those_that_are_printed() -> None:
    usage = (ROOT / "run.py").read_text(encoding="utf-8").split('USAGE = """')[1].split('"""')[0]
    known = set(re.findall(r"^  (\w+) ", usage, re.MULTILINE))
    unknown = {name: places for name, places in COMMANDS.items() if name not in known}
    assert not unknown and known <= set(COMMANDS)


def test_enough_was_read() -> None:
    assert len(MODULES) > 15 and len(COMMANDS) >= 6
