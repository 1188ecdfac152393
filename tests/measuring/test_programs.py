"""The programs that measure: each starts as the pages say, and its help tells what it writes."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "measuring").rglob("*.py"))
    if path.stem != "worker" and "if __name__ ==" in path.read_text(encoding="utf-8")
}
STARTED_BY_RUN = {"measuring.benchmarks.bench": "python3 run.py bench"}


def rows():
    """The table of docs/measuring.md: command -> the rest of its row."""
    page = (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([^`]+)`(.*)$", page, re.MULTILINE))


@pytest.mark.parametrize("module", PROGRAMS)
def test_help_names_the_command_and_every_file_that_the_table_says(module, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(["--help"])
    told, command = capsys.readouterr().out, STARTED_BY_RUN.get(module, f"python -m {module}")
    assert ended.value.code == 0 and told.startswith(f"usage: {command} ")
    for file in re.findall(r"`(\w+\.json)`", rows()[command]):
        assert file in told or re.sub(r"_\w+", "_NAME", file) in told, file


def test_the_table_has_every_program():
    commands = {STARTED_BY_RUN.get(module, f"python -m {module}") for module in PROGRAMS}
    builds = {command for command in rows() if command.startswith("python3 run.py build")}
    assert commands == set(rows()) - builds
