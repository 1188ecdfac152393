"""One wheel of the package index by pip, so that pip's own settings (mirrors, proxies, certificates) hold."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from course_utils.fetching.http import CertificateRefused, NoSocks
from course_utils.fetching.stall import Watch


def get(requirement: str, path: Path, bar: tqdm, timeout: float) -> None:
    """Download a wheel to ``path``. It is not installed, and nothing of it is run.

    Args:
        requirement: ``NAME==VERSION``.
        path: where to write; its folder exists.
        bar: shows how much of the wheel is on disk.
        timeout: seconds that pip waits for an answer; half as long again without a byte, and pip is stopped.

    Raises:
        OSError: pip failed, or went quiet (TimeoutError).
    """
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        options = "--no-deps --only-binary=:all: --ignore-requires-python --no-cache-dir --no-input --progress-bar=off"
        quiet = f"--disable-pip-version-check --quiet --timeout {timeout:.0f} --retries 1"
        command = [sys.executable, "-m", "pip", "download", *options.split(), *quiet.split()]
        with open(folder / "errors.txt", "w+", errors="replace") as errors:
            process = subprocess.Popen(
                [*command, "--dest", name, requirement],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                # Without pip's version of TMPDIR a small /tmp would have to hold the wheel.
                env={**os.environ, "TMPDIR": name},
            )
            try:
                _follow(process, folder, bar, Watch("the package index", 1.4 * timeout))
            finally:
                process.kill()
                process.wait()
            errors.seek(0)
            told = errors.read()
        wheels = list(folder.glob("*.whl"))
        if process.returncode or len(wheels) != 1:
            raise _failure(told)
        with open(wheels[0], "rb+") as wheel:
            os.fsync(wheel.fileno())
        shutil.move(wheels[0], path)


def _follow(process: subprocess.Popen, folder: Path, bar: tqdm, watch: Watch) -> None:
    """Wait for pip, and show how much of the wheel is on disk."""
    largest = 0
    while process.poll() is None:
        size = max(largest, _largest(folder))
        if size > largest:
            watch.heard(size - largest)
            largest = size
        watch.check()
        bar.update(min(size, bar.total) - bar.n)
        time.sleep(0.1)


def _largest(folder: Path) -> int:
    """Bytes of the largest wheel below the folder, 0 for none."""
    try:
        return max((file.stat().st_size for file in folder.rglob("*.whl")), default=0)
    except OSError:  # pip has just moved or removed what was listed
        return 0


def _failure(told: str) -> OSError:
    """Pip's last word on what failed."""
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return CertificateRefused("its certificate was refused")
    if "Missing dependencies for SOCKS" in told:
        return NoSocks("the proxy speaks SOCKS")
    lines = [
        line.removeprefix("ERROR: ") for line in told.splitlines() if line.startswith("ERROR:")
    ]
    return OSError((lines or told.splitlines() or ["pip could not be started"])[-1][:300])
