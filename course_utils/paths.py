"""Where the course keeps things: shipped data, fetched files, training runs, measured results."""

import os
import tempfile
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The course's ``data`` folder: the repository's, or the copy inside an installed package (Colab)."""
    beside = _PACKAGE.parent / "data"
    return beside if (beside / "manifest.toml").is_file() else _PACKAGE / "_data"


def results_dir() -> Path:
    """Folder of the measured results (JSON) from which prose and tables are filled."""
    return data_dir() / "results"


def checkpoints_dir() -> Path:
    """Folder of the small trained weights that ship with the course."""
    return data_dir() / "checkpoints"


def cache_dir() -> Path:
    """Folder of fetched files; ``COURSE_CACHE`` moves it. Created when missing."""
    return _writable_folder("COURSE_CACHE", "cache")


def runs_dir() -> Path:
    """Folder of training runs and progress; ``COURSE_RUNS`` moves it. Created when missing."""
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
    _fsync_folder(path.parent)
    return path


def _fsync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle on a folder to flush
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _writable_folder(variable: str, name: str) -> Path:
    """The folder that ``variable`` names, else ``data/<name>``, else one under the temporary folder."""
    wanted = os.environ.get(variable)
    folder = Path(wanted).expanduser().resolve() if wanted else data_dir() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        fallback = Path(tempfile.gettempdir()) / "generative-ai-course" / name
        fallback.mkdir(parents=True, exist_ok=True)
        print(f"{folder} cannot be written to; using {fallback} (set {variable} to choose another folder).")
        return fallback
