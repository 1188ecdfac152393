"""What a learner has done: one small file on this machine, written by the exercise checks. No account, no network.

The file is a journal: one line of JSON for each outcome that says something new. Lines are only ever added, each with
a single write, so that several notebooks can write at the same time, a program killed in the middle spoils at most its
own line, and two files are merged by taking the lines of both. It holds names of exercises, outcomes, times, tiers
and a digest of the hint that was shown; nothing that the learner wrote.

``python3 run.py progress`` shows it; ``--reset``, ``--export FILE`` and ``--import FILE`` do what they say.
"""

import contextlib
import datetime
import errno
import functools
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.paths import atomic_write, held_lock, resolve, runs_dir, say_once

OUTCOMES = ("open", "wrong", "correct", "predicted")
FILE = "progress.jsonl"
_FULL = 1 << 20  # bytes, ten thousand attempts; to a larger file only solutions are still added
_PATIENCE = 1.0  # seconds that a check waits for another notebook at most
_SHAPES = {
    "exercise": r"\w{1,40}\.\w{1,60}",
    "outcome": "|".join(OUTCOMES),
    "when": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "tier": r"[a-z]{0,20}",
    "hint": r"[0-9a-f]{0,8}",
    "value": r"[\w.,+ -]{0,40}",
}
_ONCE_IN_ORDER = (
    ("start", "to_unit_range"),
    ("gan", "optimal_discriminator value_function js_divergence generator_loss gan_step"),
    ("dcgan", "conv_transpose_output_size to_tanh_range init_dcgan_weights make_generator slerp"),
    ("vae", "reparameterise gaussian_kl gaussian_nll negative_elbo iwae_bound"),
    ("bert", "pad_batch mask_tokens parameter_groups warmup_linear wilson_interval"),
    ("attention", "scaled_dot_product causal_mask split_heads next_token_loss filter_logits"),
    (
        "metrics",
        "frechet_distance kernel_distance inception_score precision_recall bootstrap_interval",
    ),
    (
        "clinic",
        "train_epoch label_loss generator_input make_judge critic_step is_equilibrium gan_losses gan_step match_ranges "
        "generator_objective elbo kl make_optimizer encode_batch make_classifier shuffled share_cut first_break "
        "errors_apart objections commons_folder same_training",
    ),
)
_ONCE_NUMBERED = {
    f"{lesson}.{place}": f"{folder}.{function}"
    for lesson, (folder, functions) in enumerate(_ONCE_IN_ORDER)
    for place, function in enumerate(functions.split(), start=1)
}
"""The exercises by the numbers that records held once, before they held names."""
_paused: ContextVar[bool] = ContextVar("paused", default=False)


@dataclass(frozen=True)
class Record:
    """One outcome of a check.

    Attributes:
        exercise: the lesson and the function, for example ``"dcgan.slerp"``.
        outcome: ``open`` (not attempted yet), ``wrong``, ``correct``, or ``predicted``, which is never wrong.
        when: UTC, for example ``"2026-11-24T10:15:00.250Z"``.
        tier: the tier of that run.
        hint: the first eight digits of the SHA-256 of the hint that was shown, ``""`` without one.
        value: what was predicted, ``""`` elsewhere.
    """

    exercise: str
    outcome: str
    when: str
    tier: str = ""
    hint: str = ""
    value: str = ""


def path() -> Path:
    """The file, in ``runs_dir()``: beside the training runs, out of git's sight; ``COURSE_RUNS`` moves both.

    Where runs have a second place that outlives the machine (``COURSE_RUNS_COPY``, a Drive on Colab), it lies there.

    Raises:
        CourseError: no folder can be written to.
    """
    if lasting := os.environ.get("COURSE_RUNS_COPY"):
        return resolve(lasting) / FILE
    return _folder(os.environ.get("COURSE_RUNS")) / FILE


def is_recording() -> bool:
    """Whether checks record: not in solved notebooks, tests, grading and CI, and not with ``COURSE_PROGRESS=0``."""
    unset = (
        "CI",
        "PYTEST_VERSION",
        "NBGRADER_EXECUTION",
    )  # set by the programs that run notebooks without a learner
    off = os.environ.get("COURSE_STRICT") == "1" or os.environ.get("COURSE_PROGRESS") == "0"
    return not (off or _paused.get() or any(os.environ.get(name) for name in unset))


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Within this block checks record nothing."""
    token = _paused.set(True)
    try:
        yield
    finally:
        _paused.reset(token)


def record(exercise: str, outcome: str, tier: str = "", hint: str = "", value: str = "") -> None:
    """Add an outcome, where it says something new. Never raises: a lesson must not stop because of this file.

    Args:
        exercise: its lesson and function, for example ``"dcgan.slerp"``.
        outcome: ``open``, ``wrong``, ``correct`` or ``predicted``.
        tier: the tier of this run.
        hint: the hint's text, of which only a digest is kept.
        value: what was predicted.
    """
    if not is_recording():
        return
    try:
        digest = hashlib.sha256(hint.encode()).hexdigest()[:8] if hint else ""
        new = Record(exercise, outcome, _now(), tier, digest, value[:40])
        file = path()
        if _says_something_new(new, file):
            _append(file, [new])
    except Exception:
        say_once(
            "(Progress is not recorded: its file cannot be written. Lesson 0 says why; this one goes on.)"
        )


def read(file: Path | None = None) -> list[Record]:
    """The records of a file, in order of time and each once; lines that are none are passed over.

    Args:
        file: a journal; None for this course's own. A file that does not exist has no records.

    Raises:
        OSError: it cannot be read.
    """
    found = (_parse(line) for line in _lines(file or path()))
    return sorted(dict.fromkeys(one for one in found if one), key=lambda one: one.when)


def reset() -> Path | None:
    """Begin anew. The old file is kept as ``progress-old.jsonl``, from which `import_from` brings it back.

    Returns:
        Where the old file is; None where there was none.

    Raises:
        OSError: it cannot be moved.
    """
    old = path().with_name("progress-old.jsonl")
    try:
        os.replace(path(), old)
    except FileNotFoundError:
        return None
    return old


def export_to(file: str | Path) -> Path:
    """Write all records to a file, to be taken to another machine. Returns its path.

    Raises:
        OSError: it cannot be written.
    """
    return atomic_write(Path(file).expanduser(), b"".join(map(_line, read())))


def import_from(file: str | Path) -> int:
    """Add the records of a file from another machine (or from before a reset) to those that are here.

    Returns:
        How many were new.

    Raises:
        CourseError: it holds no records.
        OSError: it cannot be read, or the course's own cannot be written.
    """
    file = Path(file).expanduser()
    theirs = read(file)
    if not theirs:
        raise CourseError(
            "progress-no-records",
            f"{file} holds no progress." if file.is_file() else f"There is no file {file}.",
            "A file that another machine exported has a line of JSON for each outcome.",
            "On the other machine: python3 run.py progress --export my-progress.jsonl",
        )
    here = set(read())
    new = [one for one in theirs if one not in here]
    if new:
        _append(path(), new)
    return len(new)


@functools.cache
def _folder(setting: str | None) -> Path:
    """Asked once for each setting: finding out whether a folder can be written to takes longer than a record."""
    return runs_dir()


def _now() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"


def _says_something_new(new: Record, file: Path) -> bool:
    lines = [
        line for line in _lines(file) if _mentions(line, new.exercise)
    ]  # parse only these: it is faster
    same = [one for line in lines if (one := _parse(line)) and one.exercise == new.exercise]
    if any(one.outcome in ("correct", "predicted") for one in same):
        return False
    room = not file.is_file() or file.stat().st_size < _FULL
    return new.outcome in ("correct", "predicted") or (
        room and (new.outcome == "wrong" or not same)
    )


def _append(file: Path, records: Iterable[Record]) -> None:
    """One write at the end of the file. The lock is for systems where two such writes could cross; none waits long."""
    # The first line feed ends a line that a killed program left unfinished.
    content = b"\n" + b"".join(map(_line, records))
    end = time.monotonic() + _PATIENCE
    file.parent.mkdir(parents=True, exist_ok=True)
    with held_lock(file.with_suffix(".lock"), lambda: time.monotonic() < end):
        handle = os.open(
            file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644
        )
        try:
            if os.write(handle, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        finally:
            os.close(handle)


def _lines(file: Path) -> list[bytes]:
    try:
        with open(file, "rb") as opened:
            return opened.read(16 * _FULL).split(b"\n")
    except FileNotFoundError:
        return []


def _line(one: Record) -> bytes:
    return json.dumps(asdict(one)).encode() + b"\n"


def _parse(line: bytes) -> Record | None:
    if not line.strip():
        return None
    try:
        found = Record(**_renamed(json.loads(line)))
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    values = asdict(found)
    sound = all(
        isinstance(values[k], str) and re.fullmatch(shape, values[k], re.ASCII)
        for k, shape in _SHAPES.items()
    )
    return found if sound else None


def _mentions(line: bytes, exercise: str) -> bool:
    return exercise.encode() in line or b'"part"' in line


def _renamed(values: dict[str, str]) -> dict[str, str]:
    """A line as it is written now; once it held a number, ``2.5``, and a part of the exercise, ``exercise_2_5``."""
    if "part" not in values:
        return values
    name = _ONCE_NUMBERED[values["exercise"]]
    if values["part"] == "exercise_merge":  # one exercise had two
        name = "attention.merge_heads"
    return {key: value for key, value in values.items() if key != "part"} | {"exercise": name}
