"""How fast the course trains beside a textbook loop: ``python3 run.py bench``.

For each lesson three processes train in turn, A B C A B C: the textbook loop, the course with bf16 where the machine
has it, and the course without. A row of ``data/results/bench.json`` holds examples per second of both sides, their
ratio with its 95 % interval over the rounds, the share of the measured peak of matrix products, and peak memory.
``--sweep`` adds how this changes with width, batch and tokens, ``--quality`` that both sides learn equally well,
``--busy`` what is left beside a busy process, by how threads wait. What is not measured now is kept from the file, and
what is measured again keeps its place there. Real data sets are used where they are on this machine.
"""

import argparse
import time
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch

from course_utils import results, runtime
from measuring.benchmarks.sides import LAPTOP, Side, geometric_interval

FILE = "bench.json"
SWEEPS: dict[str, list[dict[str, int]]] = {
    "dcgan": [{"width": 32}, {"width": 96}, {"batch_size": 32}, {"batch_size": 512}],
    "vae": [{"width": 16}, {"width": 64}, {"batch_size": 32}, {"batch_size": 512}],
    "gpt": [
        {"dim": 64},
        {"dim": 256},
        {"batch_size": 4},
        {"batch_size": 64},
        {"context": 32},
        {"context": 128},
    ],
    "bert": [{"batch_size": 8}, {"batch_size": 32}, {"max_tokens": 64}, {"max_tokens": 128}],
    "flow": [{"width": 16}, {"width": 64}, {"batch_size": 16}, {"batch_size": 256}],
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 run.py bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "lessons", nargs="*", default=list(LAPTOP), help=f"of {', '.join(LAPTOP)}; default: all"
    )
    parser.add_argument(
        "--images", help="CIFAR-10's folder or archive; default: what the course finds"
    )
    parser.add_argument(
        "--reviews", help="IMDB's folder or archive; default: what the course finds"
    )
    parser.add_argument("--seconds", type=float, default=8, help="of one turn")
    parser.add_argument(
        "--rounds", type=int, default=6, help="turns of each side; 0 keeps the earlier rows"
    )
    parser.add_argument(
        "--sweep", action="store_true", help="also other widths, batches and tokens"
    )
    parser.add_argument(
        "--quality", action="store_true", help="also train both sides for three seeds and compare"
    )
    parser.add_argument(
        "--busy", action="store_true", help="only this: the speed alone and beside a busy process"
    )
    options = parser.parse_args(argv)
    if unknown := set(options.lessons) - set(LAPTOP):
        parser.error(f"unknown lesson {', '.join(sorted(unknown))}")
    found = _with_origin(results.earlier(FILE))
    peaks = found.get("matrix_peak_gflops", {})  # those that the kept rows' shares were taken of
    if options.rounds and not options.busy:
        peaks = {name: round(matrix_peak(dtype) / 1e9) for name, dtype in _FORMATS.items()}
    print(f"peak of matrix products: {peaks} GFLOP/s")
    for lesson in options.lessons:
        data = {"data": options.images if lesson in ("dcgan", "vae", "flow") else options.reviews}
        if options.busy:
            from measuring.benchmarks import busy

            _replace(
                found, "busy", lesson, busy.measure(lesson, data, options.seconds, options.rounds)
            )
        elif options.rounds:
            _replace(
                found, "rows", lesson, measure(lesson, data, options.seconds, options.rounds, peaks)
            )
        if options.sweep:
            _replace(found, "sweep", lesson, sweep(lesson, data, options.seconds))
        if options.quality:
            from measuring.benchmarks.quality import compare

            _replace(found, "quality", lesson, [compare(lesson, data)])
        _save(found, peaks)
    return 0


_FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def matrix_peak(dtype: torch.dtype) -> float:
    """The most floating point operations a second that a square matrix product reaches on this machine."""
    best = 0.0
    for size in (1024, 2048):
        a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
        a @ b
        for _ in range(8):
            start = time.perf_counter()
            a @ b
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def measure(
    lesson: str, settings: dict[str, Any], seconds: float, rounds: int, peaks: dict[str, float]
) -> list[dict[str, Any]]:
    """The rows of one lesson: with bf16 where the machine has it, and without."""
    has_bf16 = runtime.fast_dtype(torch.device("cpu")) is not None
    kinds = [True, False] if has_bf16 else [False]
    textbook = Side(lesson, "textbook", settings)
    courses = {bf16: Side(lesson, "course", settings, bf16) for bf16 in kinds}
    for side in (textbook, *courses.values()):
        side.steps(3)
    turns: list[dict[str, Any]] = []
    for _ in range(rounds):
        turns.append(
            {
                "textbook": textbook.run(seconds),
                **{k: side.run(seconds) for k, side in courses.items()},
            }
        )
    rows = []
    for bf16, side in courses.items():
        flops = side.flops()
        slow, fast = (
            [_rate(turn["textbook"]) for turn in turns],
            [_rate(turn[bf16]) for turn in turns],
        )
        ratio, low, high = geometric_interval([b / a for a, b in zip(slow, fast, strict=True)])
        peak = peaks["bfloat16" if bf16 else "float32"] * 1e9
        rows.append(
            {
                "lesson": lesson,
                "bf16": bf16,
                "textbook_per_s": fmean(slow),
                "course_per_s": fmean(fast),
                "ratio": ratio,
                "ratio_low": low,
                "ratio_high": high,
                "peak_share": fmean(fast) * flops / peak,
                "mflop_per_example": flops / 1e6,
                "textbook_peak_mib": turns[-1]["textbook"]["peak_mib"],
                "course_peak_mib": turns[-1][bf16]["peak_mib"],
                "rounds": rounds,
                "seconds_a_turn": seconds,
            }
        )
        _print(rows[-1])
    for side in (textbook, *courses.values()):
        side.close()
    return rows


def sweep(lesson: str, settings: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """Examples per second of both sides with one setting changed; one pair of turns each."""
    rows = []
    for change in SWEEPS[lesson]:
        sides = [Side(lesson, name, {**settings, **change}) for name in ("textbook", "course")]
        for side in sides:
            side.steps(3)
        slow, fast = (_rate(side.run(seconds)) for side in sides)
        rows.append(
            {
                "lesson": lesson,
                **change,
                "textbook_per_s": slow,
                "course_per_s": fast,
                "ratio": fast / slow,
            }
        )
        print(
            f"  {lesson} {change}: {slow:,.0f} and {fast:,.0f} a second, ratio {fast / slow:.2f}",
            flush=True,
        )
        for side in sides:
            side.close()
    return rows


def _rate(turn: dict[str, float]) -> float:
    return turn["examples"] / turn["seconds"]


def _print(row: dict[str, Any]) -> None:
    kind = "bf16" if row["bf16"] else "float32"
    print(
        f"{row['lesson']:6s} {kind:8s} textbook {row['textbook_per_s']:8,.1f}/s  course {row['course_per_s']:8,.1f}/s  "
        f"ratio {row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})  "
        f"{row['peak_share']:.0%} of the matrix peak  memory {row['textbook_peak_mib']} and "
        f"{row['course_peak_mib']} MiB",
        flush=True,
    )


def _with_origin(found: dict[str, Any]) -> dict[str, Any]:
    """The file with its machine, versions and peak beside each row, since what is written next may have others."""
    known = {k: found[k] for k in ("machine", "versions", "matrix_peak_gflops") if k in found}
    parts = [key for key in ("rows", "sweep", "quality", "busy") if key in found]
    return {**found, **{key: [{**known, **row} for row in found[key]] for key in parts}}


def _replace(found: dict[str, Any], key: str, lesson: str, rows: list[dict[str, Any]]) -> None:
    """A lesson's rows in the place of its earlier ones (pages name rows by number), or at the end."""
    own = {"commit": results.commit()}
    before: list[dict[str, Any]] = found.get(key, [])
    places = [place for place, row in enumerate(before) if row["lesson"] == lesson]
    at = places[0] if places else len(before)
    others = [row for row in before if row["lesson"] != lesson]
    found[key] = others[:at] + [{**row, **own} for row in rows] + others[at:]


def _save(found: dict[str, Any], peaks: dict[str, float]) -> None:
    print(results.write(FILE, {**found, "matrix_peak_gflops": peaks}), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
