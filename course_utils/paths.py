"""Where the course keeps things: shipped data, fetched files, training runs, measured results."""

import contextlib
import errno
import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from course_utils.errors import CourseError

_PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The course's ``data`` folder: the repository's, or the copy inside an installed package (Colab)."""
    return _PACKAGE.parent / "data" if _in_repository() else _PACKAGE / "_data"


def course_dir() -> Path:
    """The course's folder; the working directory where only the package is installed."""
    return _PACKAGE.parent if _in_repository() else Path.cwd()


def resolve(place: str | os.PathLike[str]) -> Path:
    """The absolute path of a file or folder that the user named, in a variable, in a lesson or in a call.

    Args:
        place: ``~`` is the user's home; a relative path begins at the course's folder, from wherever it is read.
    """
    return (course_dir() / Path(place).expanduser()).resolve()


def results_dir() -> Path:
    """Folder of the measured results (JSON) from which prose and tables are filled."""
    return data_dir() / "results"


def checkpoints_dir() -> Path:
    """Folder of the small trained weights that ship with the course."""
    return data_dir() / "checkpoints"


def cache_dir() -> Path:
    """Folder of fetched files; ``COURSE_CACHE`` moves it. Created when missing.

    Raises:
        CourseError: neither it nor a folder under the temporary folder can be written to.
    """
    return _writable_folder("COURSE_CACHE", "cache")


def cache_places() -> tuple[Path, ...]:
    """Where fetched files may lie: ``cache_dir()``; then the folder that was asked for, where it can only be read.

    So a class shares one read-only folder (``COURSE_CACHE``), and what is missing there goes to each learner's own.
    """
    own, asked = cache_dir(), wanted_folder("COURSE_CACHE", "cache")
    return (own,) if asked == own else (own, asked)


def runs_dir() -> Path:
    """Folder of training runs and progress; ``COURSE_RUNS`` moves it. Created when missing.

    Raises:
        CourseError: neither it nor a folder under the temporary folder can be written to.
    """
    return _writable_folder("COURSE_RUNS", "runs")


def atomic_write(path: Path, content: bytes) -> Path:
    """Write ``content`` to ``path`` so that a reader sees the old file or the new one, never a part.

    A sibling file is written, flushed to disk and renamed; the folder entry is flushed as well.

    Raises:
        OSError: the disk is full or the folder is not writable; ``path`` is then as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)
    return path


def fsync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the system can do that: a new or renamed entry then survives a power cut.

    Raises:
        OSError: the disk failed.
    """
    if os.name == "nt":  # Windows has no handle on a folder to flush
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
        ):  # mounted cloud drives and network folders cannot do it
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def held_lock(path: Path, wait_on: Callable[[], bool]) -> Iterator[bool]:
    """Hold the lock file at ``path`` within the block; it is gone afterwards.

    The operating system ends the lock with its holder, however that ended. It only saves work: whoever cannot have it
    goes on without, so nothing may depend on it.

    Args:
        path: the lock file, in a folder that exists.
        wait_on: asked five times per second while another program holds it; False ends the wait.

    Yields:
        Whether it is held: not where ``wait_on`` ended the wait, or where the file system knows no locks.
    """
    import filelock  # here, since it brings asyncio along

    lock = filelock.FileLock(path, fallback_to_soft=False)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if not wait_on():
                break
            time.sleep(0.2)
        except PermissionError:  # another user's
            break
        except (OSError, NotImplementedError):  # a network or cloud drive without locks
            _remove(path)
            break
    try:
        yield lock.is_locked
    finally:
        if lock.is_locked:
            _remove(path)
            lock.release()


def _remove(path: Path) -> None:
    with contextlib.suppress(
        OSError
    ):  # Windows removes no file that others have open; it then stays, empty
        path.unlink()


def _writable_folder(variable: str, name: str) -> Path:
    """The folder that ``variable`` names, or ``data/<name>``; where it cannot be written to, a temporary one."""
    folder = wanted_folder(variable, name)
    if can_write(folder):
        return folder
    # Each user has an own one: on a shared machine another user's folder could not be written to either.
    user = getattr(os, "getuid", lambda: "course")()
    fallback = Path(tempfile.gettempdir()) / f"generative-ai-course-{user}" / name
    if not can_write(fallback):
        raise CourseError(
            "paths-not-writable",
            f"Neither {folder} nor {fallback} can be written to.",
            f"The course keeps its {name} there; perhaps the disk is full or the folder belongs to someone else.",
            f'Choose a folder of your own: import os; os.environ["{variable}"] = "my-{name}"',
        )
    say_once(
        f"{folder} cannot be written to; using {fallback} (set {variable} to choose another folder)."
    )
    return fallback


def wanted_folder(variable: str, name: str) -> Path:
    """The folder that ``variable`` names, or ``data/<name>``, whether or not it can be used."""
    wanted = os.environ.get(variable)
    return resolve(wanted) if wanted else data_dir() / name


def _in_repository() -> bool:
    return (_PACKAGE.parent / "data" / "manifest.toml").is_file()


def can_write(folder: Path) -> bool:
    """Whether a file can be made in a folder, which is created when missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@functools.cache
def say_once(sentence: str) -> None:
    """Print a sentence, but only the first time that it is asked for."""
    print(sentence)
