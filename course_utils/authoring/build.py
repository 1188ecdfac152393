"""Build the notebooks from the lessons' sources: ``python -m course_utils.authoring.build [--check]``.

``notebooks/source/NN_name.py`` becomes ``notebooks/NN_name.ipynb`` (for learners, its outputs kept where the code is
the same) and ``notebooks/solutions/NN_name.ipynb`` (solved, without outputs). ``--check`` writes nothing and fails
when a notebook is not what its source says. ``--execute NN`` runs a learner's notebook and keeps what it shows;
``--measure NN`` runs it and records only time and memory, for the tiers whose outputs are not kept.
``--nbgrader FOLDER`` also writes a course folder for nbgrader, ``--exam SEED`` an examination and its key.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course_utils.authoring import catalogue, exam, marking, readme
from course_utils.authoring import notebook as nb
from course_utils.authoring.source import BadSource, Problem, find_sources
from course_utils.errors import CourseError
from course_utils.paths import atomic_write


@dataclass(frozen=True)
class Report:
    """What a build found: notebooks that differed (or differ, when only checking), and notebooks without a source."""

    changed: tuple[Path, ...]
    orphans: tuple[Path, ...]


def build(root: Path, check: bool = False) -> Report:
    """Build both notebooks of every source below the repository's root; with ``check`` only compare.

    Raises:
        BadSource: with all that has to be mended in all sources; nothing is written then.
        CourseError: a notebook whose outputs should be kept cannot be read.
    """
    wanted = _notebooks(root)
    changed = tuple(
        path
        for path, content in wanted.items()
        if not path.is_file() or path.read_bytes() != content
    )
    if not check:
        for path in changed:
            atomic_write(path, wanted[path])
    there = sorted(
        [*(root / "notebooks").glob("*.ipynb"), *(root / "notebooks" / "solutions").glob("*.ipynb")]
    )
    return Report(changed, tuple(path for path in there if path not in wanted))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    options = _options(argv)
    root = options.root.resolve()
    try:
        report = build(root, options.check)
        for lesson in [*options.execute, *options.measure]:
            from course_utils.authoring.execute import (
                execute,  # needs nbclient, which learners do not have
            )

            print(execute(root, lesson, keep=lesson in options.execute), flush=True)
            report = build(root)  # the table of the tiers has changed
        if options.nbgrader:
            for path in marking.write_course(root, options.nbgrader):
                print(f"wrote {path}")
        if options.exam is not None:
            for path in exam.write(root, options.exam, options.exam_questions):
                print(f"wrote {path}")
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    return _tell(root, report, options.check)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.authoring.build", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when a notebook differs"
    )
    parser.add_argument(
        "--execute",
        nargs="+",
        default=[],
        metavar="NN",
        help="run these lessons, keep their outputs",
    )
    parser.add_argument(
        "--measure",
        nargs="+",
        default=[],
        metavar="NN",
        help="run them, record time and memory only",
    )
    parser.add_argument(
        "--nbgrader", type=Path, metavar="FOLDER", help="write a course folder for nbgrader"
    )
    parser.add_argument(
        "--exam", type=int, metavar="SEED", help="write an examination and its key into build/exam"
    )
    parser.add_argument(
        "--exam-questions", type=int, default=6, metavar="N", help="questions of it (6)"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).parents[2], help="the repository"
    )
    options = parser.parse_args(argv)
    writes = (options.execute, options.measure, options.nbgrader, options.exam is not None)
    if options.check and any(writes):
        others = "--execute, --measure, --nbgrader and --exam"
        parser.error(f"--check writes nothing, so it goes with none of {others}")
    return options


def _notebooks(root: Path) -> dict[Path, bytes]:
    """The content that each notebook, each page with numbers in it, and the catalogue should have."""
    sources = find_sources(root)
    if not sources and not (root / "notebooks" / "source").is_dir():
        raise CourseError(
            "authoring-no-sources",
            f"There is no folder notebooks/source in {root}.",
            "The build works on a clone of the course, not on the installed package.",
            "python -m course_utils.authoring.build --root FOLDER_OF_THE_CLONE",
        )
    wanted: dict[Path, bytes] = {}
    problems: dict[str, Sequence[Problem]] = {}
    for path in sources:
        try:
            learner, solved = nb.assemble(path, root)
        except BadSource as bad:
            problems |= bad.problems
            continue
        target = root / "notebooks" / f"{path.stem}.ipynb"
        old = nb.read_notebook(target)
        if old is not None:
            nb.keep_outputs(learner, old)
        wanted[target] = nb.to_bytes(learner)
        wanted[target.parent / "solutions" / target.name] = nb.to_bytes(solved)
    if problems:
        raise BadSource(problems)
    for page in readme.pages(root):
        text = readme.fill(page.read_text(encoding="utf-8"), sources, root / "data" / "results")
        wanted[page] = readme.fill_numbers(text, root / "data" / "results").encode()
    page = root / "data" / "catalogue.json"
    if page.is_file():
        wanted[page] = catalogue.make(sources, root / "data" / "checkpoints")
    return wanted


def _tell(root: Path, report: Report, check: bool) -> int:
    for path in report.changed:
        name = path.relative_to(root).as_posix()
        edit = f"Edit notebooks/source/{path.stem}.py and run: python3 run.py build"
        edit = (
            "It is filled from the sources by: python3 run.py build"
            if path.suffix != ".ipynb"
            else edit
        )
        print(f"{name} does not match its source. {edit}" if check else f"wrote {name}")
    for path in report.orphans:
        name = path.relative_to(root).as_posix()
        print(f"{name} has no source. Delete it, or write notebooks/source/{path.stem}.py")
    if not report.changed and not report.orphans:
        print("All notebooks match their sources.")
    return int(check and bool(report.changed or report.orphans))


if __name__ == "__main__":
    sys.exit(main())
