"""Inject every fault of ``tests/faults`` and write what came of it to ``data/results/faults.json``.

``python -m measuring.measure_faults`` makes every sweep complete: a kill at each operation of a save, all
notebooks without a network. It takes about ten minutes on two quiet cores. ``--quick`` does what
``run.py test`` does, and writes nothing. As root on Linux nothing is skipped.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from course_utils import results

_ROOT = Path(__file__).parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code, which is 1 when a fault did harm."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="a part of the kills and of the notebooks"
    )
    options = parser.parse_args(argv)
    # A shell's background programs ignore interrupts, and so would the processes that are interrupted here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    made_with = results.provenance()
    with tempfile.TemporaryDirectory(prefix="course-faults-") as folder:
        report = Path(folder) / "record.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "fault",
            "-p",
            "no:cacheprovider",
            f"--faults-record={report}",
        ]
        code = subprocess.run(
            [*command, *([] if options.quick else ["--full-faults"])], cwd=_ROOT
        ).returncode
        record = json.loads(report.read_text(encoding="utf-8"))
    if not options.quick:
        results.write("faults.json", record, made_with)
    print(json.dumps(record["faults"]))
    return code


if __name__ == "__main__":
    sys.exit(main())
