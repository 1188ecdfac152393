"""Measure what a learner waits for: ``python -m measuring.measure_waiting [--lessons 01 02]``.

Every lesson is run from its first cell to its last at the environment's tier, as ``build --measure`` does;
``data/results/waiting.json`` gets, for each tier, the seconds to the first figure, every cell that took more than two
seconds and whether it showed a progress bar with an estimate or is one of imports, and the seconds that an import of
the package takes. Needs a quiet machine.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from course_utils import results, runtime
from course_utils.authoring.execute import execute
from course_utils.authoring.source import find_sources

LONG = 2.0
"""Seconds; whoever waits longer is told how long it will take."""

_ROOT = Path(__file__).parents[1]
_ESTIMATE = re.compile(
    r"\d+%\|.*\[[\d:]+<[\d:?]+", re.DOTALL
)  # tqdm: 40%|####   | 4/10 [00:02<00:03, ...]
_LIGHT = (
    "course_utils",
    "course_utils.errors",
    "course_utils.paths",
    "course_utils.assets",
    "course_utils.progress_bars",
)
_TIMED_IMPORT = (
    "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
)


class Stopwatch:
    """Listens to a lesson's run; called after each cell.

    Attributes:
        first_figure: seconds from the first cell to the end of the first one with a picture, None without one.
        waits: cells that took more than `LONG`.
        seconds: until the end of the last cell that ran.
    """

    def __init__(self) -> None:
        self.first_figure: float | None = None
        self.waits: list[dict[str, Any]] = []
        self.seconds = 0.0

    def __call__(self, cell: NotebookNode, seconds: float) -> None:
        """Take note of a cell that has just run, ``seconds`` after the first cell began."""
        took, self.seconds = seconds - self.seconds, seconds
        if self.first_figure is None and has_picture(cell):
            self.first_figure = round(seconds, 1)
        if took > LONG:
            first_line = next((line for line in cell.source.splitlines() if line.strip()), "")
            wait = {"cell": cell.id, "starts_with": first_line[:100], "seconds": round(took, 1)}
            self.waits.append(wait | {"bar": has_estimate(cell), "imports": imports(cell)})


def imports(cell: NotebookNode) -> bool:
    """Whether a cell opens with an import: what a library loads when it is first needed has no estimate."""
    return bool(re.match(r"\s*(import|from)\s", cell.source))


def has_picture(cell: NotebookNode) -> bool:
    """Whether a cell's outputs hold a picture or an animation."""
    bundles = [output.get("data", {}) for output in cell.get("outputs", ())]
    return any("image/png" in data or "<img" in str(data.get("text/html", "")) for data in bundles)


def has_estimate(cell: NotebookNode) -> bool:
    """Whether a cell's outputs hold a progress bar that tells how long it will still take."""
    texts = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        texts += [output.get("text", ""), data.get("text/plain", "")]
    return any(_ESTIMATE.search(text if isinstance(text, str) else "".join(text)) for text in texts)


def import_seconds(module: str, times: int = 5) -> float:
    """Seconds that an import takes in a fresh Python: the median of several."""
    command = [sys.executable, "-c", _TIMED_IMPORT.format(module)]
    taken = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(times)
    ]
    return round(sorted(taken)[times // 2], 3)


def measure(lesson: str, keep: bool) -> dict[str, Any]:
    """Run a lesson; returns what was waited for. Its time, memory and, with ``keep``, outputs are kept as well."""
    watch = Stopwatch()
    print(execute(_ROOT, lesson, keep, watch), flush=True)
    return {
        "first_figure_s": watch.first_figure,
        "seconds": round(watch.seconds, 1),
        "over_2_s": watch.waits,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code, which is 1 when somebody waits without knowing how long."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_waiting",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--lessons", nargs="+", metavar="NN", help="only these; the others' entries are kept"
    )
    parser.add_argument(
        "--keep", action="store_true", help="also keep their outputs, as build --execute does"
    )
    options = parser.parse_args(argv)
    tier = runtime.tier()
    record = results.earlier("waiting.json") | {
        "imports_s": {module: import_seconds(module) for module in _LIGHT}
    }
    names = [path.stem for path in find_sources(_ROOT)]
    untold = 0
    for name in (n for n in names if not options.lessons or n[:2] in options.lessons):
        found = measure(name, options.keep)
        record.setdefault("tiers", {}).setdefault(tier, {})[name] = found
        bare = [wait for wait in found["over_2_s"] if not wait["bar"] and not wait["imports"]]
        untold += len(bare)
        print(f"{name} ({tier}): first figure after {found['first_figure_s']} s", flush=True)
        for wait in bare:
            print(f"  {wait['seconds']} s without a bar: {wait['starts_with']}", flush=True)
    print(results.write("waiting.json", record))
    return int(untold > 0)


if __name__ == "__main__":
    sys.exit(main())
