"""Which faults were injected, and what came of it: tests marked ``@pytest.mark.fault("A1")`` are counted here.

``pytest -m fault --faults-record FILE`` writes the record; ``--full-faults`` makes every sweep complete.
"""

import json
import time
from collections import defaultdict
from pathlib import Path

import pytest

ROWS = {
    "A1": "download cut at 10, 50 and 99 %, with and without a length",
    "A2": "connection reset at every 10 %",
    "A3": "server stalls; server at 55 kB/s",
    "A4": "wrong content of the right size; a login page with status 200",
    "A5": "30 processes, cold cache",
    "A6": "holder of the lock killed",
    "A7": "hostile archive",
    "A8": "pickle bomb offered as batch, .npy, .pt",
    "A9": "cache damaged after the download",
    "A10": "no network at all, cold and warm",
    "B1": "image folder with broken files of every kind",
    "B2": "labels out of range, NaN, float",
    "B3": "reviews: empty, NUL, BOM, Latin-1, lone surrogates, 100,000 tokens, HTML and script",
    "B4": "NaN or infinite loss at a step",
    "C1": "kill -9 at every write, rename and unlink of a save",
    "C2": "20 random kills in one run",
    "C3": "interrupt of the kernel mid-epoch, twice, during a save",
    "C4": "disk full during a save",
    "C5": "1,000 single flipped bits over all parts",
    "C6": "resumed with another width, batch size, data set, schema",
    "D1": "no HOME, unknown user, unwritable cache, path with spaces and non-ASCII",
    "D2": "batch far too large",
    "E1": "exercise answers that are not what was asked",
}
_RESULTS, _FIGURES = pytest.StashKey[dict](), pytest.StashKey[dict]()


def pytest_addoption(parser):
    group = parser.getgroup("faults", "the suite of injected faults")
    group.addoption(
        "--full-faults",
        action="store_true",
        help="every kill and every notebook, not a part of them",
    )
    group.addoption(
        "--faults-record",
        type=Path,
        metavar="FILE",
        help="write what was injected and found to FILE",
    )


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "fault(row): injects the fault of this row of the suite's table"
    )
    config.stash[_RESULTS] = {row: defaultdict(list) for row in ROWS}
    config.stash[_FIGURES] = {}
    config.pluginmanager.register(_Recorder(config), "fault-recorder")


class _Recorder:
    def __init__(self, config):
        self.config, self.start = config, time.monotonic()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if (
            report.when == "call" or report.outcome != "passed"
        ):  # a set-up that failed or was skipped counts too
            for mark in item.iter_markers("fault"):
                reason = report.longrepr[2] if report.outcome == "skipped" else ""
                self.config.stash[_RESULTS][mark.args[0]][report.outcome].append(
                    (item.nodeid, reason)
                )
        return report

    def pytest_sessionfinish(self):
        path = self.config.getoption("--faults-record")
        if path:
            seconds = round(time.monotonic() - self.start, 1)
            record = summary(self.config.stash[_RESULTS], self.config.stash[_FIGURES])
            record |= {"seconds": seconds, "full": self.config.getoption("--full-faults")}
            path.write_text(
                json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )


def summary(results, figures):
    """The record: each row's outcome and numbers of tests, and the figures. A skip is not a pass."""
    rows = {}
    for row, fault in ROWS.items():
        counts = {
            outcome: len(results[row][outcome]) for outcome in ("passed", "failed", "skipped")
        }
        injected = counts["passed"] + counts["failed"]
        outcome = (
            "failed"
            if counts["failed"]
            else "skipped"
            if counts["skipped"] or not injected
            else "passed"
        )
        skips = sorted({reason.removeprefix("Skipped: ") for _, reason in results[row]["skipped"]})
        rows[row] = {
            "fault": fault,
            "outcome": outcome,
            **counts,
            **({"why_skipped": skips} if skips else {}),
        }
    outcomes = [entry["outcome"] for entry in rows.values()]
    figures = dict(sorted(figures.items()))
    for name in ("kills", "lost"):  # over all lessons
        values = [
            value
            for key, value in figures.items()
            if key.startswith(f"C1.{name}_") and isinstance(value, int)
        ]
        figures[f"C1.{name}"] = sum(values)
    return {
        "faults": {
            "declared": len(ROWS),
            "injected": sum(entry["passed"] + entry["failed"] > 0 for entry in rows.values()),
            **{outcome: outcomes.count(outcome) for outcome in ("passed", "failed", "skipped")},
            "tests": sum(
                entry["passed"] + entry["failed"] + entry["skipped"] for entry in rows.values()
            ),
        },
        "figures": figures,
        "rows": rows,
    }


@pytest.fixture
def figure(request):
    """Put a measured figure into the record: ``figure("A5.bytes_ratio", 1.0)``."""
    return request.config.stash[_FIGURES].__setitem__


@pytest.fixture
def full(request):
    """Whether every kill and every notebook is asked for."""
    return request.config.getoption("--full-faults")
