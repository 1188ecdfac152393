"""What may be wrong with settings, folders, files and the network."""

import difflib
import os
import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from course_utils import assets, paths
from course_utils.errors import CourseError
from course_utils.learner import progress
from course_utils.machine.finding import Finding
from course_utils.models import shipped
from course_utils.tiers import TIERS

VARIABLES = (
    "COURSE_TIER", "COURSE_CACHE", "COURSE_RUNS", "COURSE_RUNS_COPY", "COURSE_IMAGES", "COURSE_REVIEWS", "COURSE_BF16",
    "COURSE_STRICT", "COURSE_PROGRESS", "COURSE_TORCH", "COURSE_CONSTRAINTS", "COURSE_FETCH_SETUP", "COURSE_REAL_DATA",
    "COURSE_REQUIRE_REAL_DATA", "COURSE_BROWSER",
)  # fmt: skip
"""Every variable of the environment that the course reads (a test holds this list to the code)."""
HUB = "https://huggingface.co"
ANSWER = 1.5  # seconds within which an address has to answer
_MISSED = {
    "encoder": (
        "The pre-trained encoder",
        "Lesson 4 fine-tunes a small network instead that has never read anything.",
    ),
    "sentences": (
        "The set of film critics' sentences",
        "Lessons 4 and 5 take made-up sentences instead.",
    ),
}


def variables() -> Iterator[Finding]:
    """Settings with unknown values, settings that only teachers want, and names that are nearly a setting's."""
    tier = os.environ.get("COURSE_TIER")
    if tier and tier not in TIERS:
        close = difflib.get_close_matches(tier.strip().lower(), TIERS, 1, 0.5) or ["laptop"]
        yield Finding(
            "tier-unknown",
            f"COURSE_TIER is {tier!r}.",
            f"The course knows {', '.join(TIERS)}; every lesson stops at its first cell.",
            f'import os; os.environ["COURSE_TIER"] = "{close[0]}"',
        )
    if os.environ.get("COURSE_STRICT") == "1":
        yield Finding(
            "strict",
            "COURSE_STRICT is 1.",
            "Every lesson stops at its first exercise that is not solved; this is for solved notebooks.",
            'import os; del os.environ["COURSE_STRICT"]',
        )
    for name in sorted(set(os.environ) - set(VARIABLES)):
        close = difflib.get_close_matches(name.upper(), VARIABLES, 1, 0.85)
        if close and close[0] not in os.environ:
            yield Finding(
                "variable-unknown",
                f"The environment holds {name}, which nothing reads.",
                f"{close[0]} was meant, perhaps.",
                f'import os; os.environ["{close[0]}"] = os.environ.pop("{name}")',
                stops=False,
            )


def folders() -> Iterator[Finding]:
    """Folders of the course that cannot be written to, so that everything goes to a temporary one."""
    for variable, name, kept in (
        ("COURSE_CACHE", "cache", "Downloads"),
        ("COURSE_RUNS", "runs", "Trainings and your progress"),
    ):
        wanted = paths.wanted_folder(variable, name)
        shared = name == "cache" and not _unreadable(
            wanted
        )  # a class may share one that only its teacher writes to
        if not shared and not paths.can_write(wanted):
            yield Finding(
                f"{name}-not-writable",
                f"{wanted} cannot be written to.",
                f"{kept} go to {Path(tempfile.gettempdir())}, which many systems empty at night or at a restart.",
                f"choose a folder of your own before JupyterLab starts, or in each notebook's first cell: "
                f'import os; os.environ["{variable}"] = os.path.expanduser("~/course-{name}")',
            )


def disk() -> Iterator[Finding]:
    """Too little disk for checkpoints and, at a tier that fetches, for what is still to be fetched."""
    tier = TIERS[_tier()]
    runs, cache = (
        _existing(paths.wanted_folder("COURSE_RUNS", "runs")),
        _existing(paths.wanted_folder("COURSE_CACHE", "cache")),
    )
    fetched = sum(asset.bytes for asset in _missing()) if tier.fetches else 0
    for folder, need, what in (
        (runs, tier.disk, "the checkpoints of a training"),
        (cache, fetched, "the data sets"),
    ):
        free = shutil.disk_usage(folder).free
        if need > free:
            yield Finding(
                "disk-small",
                f"The disk of {folder} has {free / 1e9:.1f} GB free, and {what} may take {need / 1e9:.1f} GB.",
                "A training stops when it cannot save itself; nothing that was saved is lost.",
                f"delete runs that you do not need in {runs}, or take another disk: "
                'import os; os.environ["COURSE_RUNS"] = "another-folder"',
            )


def progress_file() -> Iterator[Finding]:
    """A progress file that cannot be read or added to, or progress that is switched off."""
    file = progress.path()
    try:
        lines = (
            [line for line in file.read_bytes().split(b"\n") if line.strip()]
            if os.path.lexists(file)
            else []
        )
        if file.exists():
            os.close(os.open(file, os.O_WRONLY | os.O_APPEND))
    except OSError as error:
        yield Finding(
            "progress-broken",
            f"{file} cannot be used ({error.strerror}).",
            "Your progress is not recorded; the lessons run as always.",
            f'move it away: import os; os.rename(r"{file}", r"{file}.broken")',
            stops=False,
        )
        return
    if lines and not progress.read(file):
        yield Finding(
            "progress-broken",
            f"{file} holds {len(lines)} lines, and none of them is a record.",
            "Your progress is shown as empty; new records are added to it.",
            "python3 run.py progress --reset",
            stops=False,
        )


def shipped_weights() -> Iterator[Finding]:
    """Weights that ship with the course and are missing, or are not what was shipped."""
    if wrong := shipped.damage():
        yield Finding(
            "weights-damaged",
            f"In {paths.checkpoints_dir()}: {', '.join(wrong.values())}.",
            shipped.WHY,
            f"in the course's folder: {shipped.FIX}",
        )


def own_data() -> Iterator[Finding]:
    """Your own images or reviews, where the setting names a place that is not there or cannot be read."""
    for variable, known in (
        ("COURSE_IMAGES", {"standin", "cifar10"}),
        ("COURSE_REVIEWS", {"standin", "sentences", "imdb"}),
    ):
        named = os.environ.get(variable)
        if not named or named in known:
            continue
        place = paths.resolve(named)
        problem = _unreadable(place)
        if problem:
            yield Finding(
                "own-data-unreadable",
                f"{variable} names {named!r}: {problem}.",
                f"Lessons on {'images' if variable == 'COURSE_IMAGES' else 'text'} stop there.",
                f'give the right path, or go on without it: import os; del os.environ["{variable}"]',
            )


def fetched_data() -> Iterator[Finding]:
    """Data in the cache folder that is damaged or unreadable, and real text that set-up should have brought."""
    cache = paths.cache_dir()
    for folder in ("cifar-10-batches-bin", "cifar-10-batches-py", "cifar10", "aclImdb"):
        if (cache / folder).exists() and (problem := _unreadable(cache / folder)):
            yield Finding(
                "data-unreadable",
                f"{cache / folder}: {problem}.",
                "Lessons that find it there stop.",
                "make it readable for you, or move it out of the cache folder",
            )
    for name, asset in assets.manifest().items():
        was_there = (cache / asset.file).is_file()
        if assets.cached(name):
            continue
        again = f'from course_utils import assets; assets.fetch("{name}")'
        if was_there:
            yield Finding(
                "data-damaged",
                f"{asset.file} was damaged and is put aside.",
                asset.instead,
                again,
                stops=False,
            )
        elif asset.setup:
            called, without = _MISSED.get(name, (asset.file, asset.instead))
            what = f"{called} is not on this machine ({asset.bytes / 2**20:,.0f} MiB)."
            yield Finding("data-missing", what, without, again, stops=False)


def network() -> Iterator[Finding]:
    """Addresses that have to answer, since this tier must still fetch something from them, and do not."""
    tier = _tier()
    if not TIERS[tier].fetches:
        return
    addresses = {asset.urls[0]: asset.lessons for asset in _missing() if asset.lessons}
    addresses[HUB] = ("04_bert_imdb",)
    silent = _silent(list(addresses))
    if silent:
        lessons = sorted(
            {f"lesson {int(name[:2])}" for address in silent for name in addresses[address]}
        )
        yield Finding(
            "network-silent",
            f"No answer from {', '.join(sorted(urlsplit(address).netloc for address in silent))}.",
            f"At tier {tier} {', '.join(lessons)} would fetch data or a network from there.",
            'check the network (behind a proxy: set HTTPS_PROXY), or: import os; os.environ["COURSE_TIER"] = "laptop"',
        )


def _tier() -> str:
    """The tier, and ``laptop`` in the place of an unknown one, which `variables` reports."""
    from course_utils import runtime

    try:
        return runtime.tier()
    except CourseError:
        return "laptop"


def _missing() -> list[assets.Asset]:
    """Assets that lessons fetch at tier gpu and that are not in the cache (by name; `fetched_data` verifies)."""
    cache = paths.wanted_folder("COURSE_CACHE", "cache")
    return [
        asset
        for asset in assets.manifest().values()
        if asset.lessons and not (cache / asset.file).is_file()
    ]


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _unreadable(place: Path) -> str:
    """What keeps a folder or file from being read, ``""`` for nothing."""
    try:
        if place.is_dir():
            return "" if any(os.scandir(place)) else "this folder is empty"
        with open(place, "rb") as file:
            return "" if file.read(1) else "this file is empty"
    except FileNotFoundError:
        return "there is nothing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def _silent(addresses: list[str]) -> list[str]:
    """The addresses that do not answer within `ANSWER` seconds; all are asked at the same time."""
    answered: set[str] = set()

    def ask(address: str) -> None:
        try:
            urllib.request.urlopen(
                urllib.request.Request(address, method="HEAD"), timeout=ANSWER
            ).close()
        except urllib.error.HTTPError:
            pass  # it said no, but it said something
        except (OSError, ValueError):
            return
        answered.add(address)

    threads = [threading.Thread(target=ask, args=(address,), daemon=True) for address in addresses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWER)
    return [address for address in addresses if address not in answered]
