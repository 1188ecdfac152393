"""Measure how fast the lessons' widgets answer in a real browser: ``python -m measuring.measure_widgets``.

Every lesson with widgets is run in JupyterLab (tier ``smoke``, or what COURSE_TIER says) and every control is moved by
keyboard alone, several times; ``data/results/widgets.json`` gets the median and the worst time from the key's event in
the page to the new picture. Needs the extra ``browser`` and a quiet machine.
"""

import argparse
import importlib.metadata
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils import results
from course_utils.authoring.source import find_sources
from measuring import browser, widget_moves

_ROOT = Path(__file__).parents[1]
_BESIDE = ("jupyterlab", "ipywidgets", "ipykernel", "matplotlib", "playwright")


def lessons_with_widgets(root: Path) -> list[str]:
    """The lessons whose sources show a widget of `course_utils`."""
    shows = "\nfrom course_utils.display.widgets import "
    return [path.stem for path in find_sources(root) if shows in path.read_text(encoding="utf-8")]


def summary(moves: Sequence[widget_moves.Move]) -> dict[str, Any]:
    """Median and worst milliseconds of each control and of the whole widget; ``n`` is the number of answers."""
    groups: dict[str, list[float]] = {
        "all": [m.milliseconds for m in moves if m.milliseconds is not None]
    }
    for move in moves:
        if move.milliseconds is not None:
            groups.setdefault(move.control, []).append(move.milliseconds)
    return {
        name: {
            "median_ms": round(statistics.median(times)),
            "worst_ms": round(max(times)),
            "n": len(times),
        }
        for name, times in groups.items()
        if times
    }


def measure(page: browser.Page, times: int) -> list[dict[str, Any]]:
    """Move all widgets of an open, run notebook; one entry for each."""
    found = []
    for widget in widget_moves.widgets_of(page.page):
        order = widget_moves.tab_order(page.page, widget)
        moves = list(widget_moves.moves(page.page, widget, len(order), times))
        found.append({"tab_order": order, **summary(moves)})
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code, which is 1 when a page showed an error."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_widgets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--times", type=int, default=8, help="rounds of keys on each control")
    parser.add_argument(
        "--lessons", nargs="+", metavar="NN", help="only these; the others' entries are kept"
    )
    options = parser.parse_args(argv)

    from playwright.sync_api import sync_playwright  # needs an extra, help does not

    os.environ.setdefault("COURSE_TIER", "smoke")
    names = [
        n for n in lessons_with_widgets(_ROOT) if not options.lessons or n[:2] in options.lessons
    ]
    record, troubles = results.earlier("widgets.json") if options.lessons else {}, []
    lessons = record.get("lessons", {})
    with (
        tempfile.TemporaryDirectory(prefix="course-lab-") as folder,
        sync_playwright() as playwright,
    ):
        browser.copy_lessons(_ROOT, Path(folder))
        program = browser.launch(playwright)
        window = browser.open_window(program)
        with browser.jupyter_lab(Path(folder)) as address:
            for name in names:
                page = browser.Page(window, browser.lesson_address(address, name))
                page.run_all()
                lessons[name] = measure(page, options.times)
                troubles += [f"{name}: {trouble}" for trouble in page.troubles]
                for widget in lessons[name]:
                    print(name, widget["all"], flush=True)
                page.close()
        version = program.version
        program.close()
    versions = {name: importlib.metadata.version(name) for name in _BESIDE} | {"chromium": version}
    made_with = results.provenance()
    made_with["versions"] |= versions
    print(
        results.write(
            "widgets.json", {"tier": os.environ["COURSE_TIER"], "lessons": lessons}, made_with
        )
    )
    print("\n".join(troubles), file=sys.stderr)
    return int(bool(troubles))


if __name__ == "__main__":
    sys.exit(main())
