"""Make ``pytest --nbval-lax notebooks`` do the right thing: each notebook gets the environment it is meant for.

A kernel inherits the environment when it starts, which is inside the protocol of a notebook's first cell. Learners'
notebooks run as they are; solved ones with COURSE_STRICT=1. Both run at tier ``smoke`` unless COURSE_TIER says
otherwise, without the hub, and with a new folder for their training runs.

``--without-network`` cuts all of it off from every network, where the system allows that (Linux, root): learners'
notebooks then find an empty cache, as on a new machine in a train, and solved ones what set-up has fetched.
"""

import ctypes
import errno
import os
import shutil
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parent
RUNS, CUT_OFF = pytest.StashKey[Path](), pytest.StashKey[bool]()
CLONE_NEWNET, SIOCSIFFLAGS, UP_AND_RUNNING = 0x40000000, 0x8914, 0x41
NBVAL_TIMEOUT, TIMEOUT = 2000, 300  # seconds: nbval's default for one cell, and ours


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the option of this folder."""
    words = "run the notebooks without any network but this machine's own, where that can be done"
    parser.addoption("--without-network", action="store_true", help=words)


def cut_off() -> bool:
    """Leave every network but a loopback of one's own, with all processes started from here; False: not allowed."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None
    if libc is None or libc.unshare(CLONE_NEWNET):
        return False
    import fcntl  # which Windows does not have

    with socket.socket() as loopback:  # kernels are spoken to through it
        fcntl.ioctl(loopback, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP_AND_RUNNING))
    return True


def require_no_network() -> None:
    """Fail unless every address outside of this machine is unreachable.

    Raises:
        pytest.UsageError: there is a network.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        code = probe.connect_ex(("192.0.2.1", 443))  # of UDP: looks for a way there, sends nothing
    if code != errno.ENETUNREACH:
        raise pytest.UsageError("--without-network: there is a network.")


def pytest_configure(config: pytest.Config) -> None:
    """Use the kernel of this Python and a sensible time-out, unless the command line says otherwise."""
    if not (getattr(config.option, "nbval", False) or getattr(config.option, "nbval_lax", False)):
        return
    if config.option.nbval_cell_timeout == NBVAL_TIMEOUT:
        config.option.nbval_cell_timeout = TIMEOUT
    if not config.option.nbval_kernel_name:
        config.option.nbval_current_env = True
    folder = Path(tempfile.mkdtemp(prefix="course-nbval-"))
    config.stash[RUNS] = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    config.stash[CUT_OFF] = config.getoption("without_network") and cut_off()
    if config.stash[CUT_OFF]:
        require_no_network()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Set the environment of the notebook that this cell belongs to, and put the old one back."""
    if item.path.suffix != ".ipynb" or not item.path.resolve().is_relative_to(NOTEBOOKS):
        return (yield)
    before = dict(os.environ)
    try:
        _set_environment(item.path.resolve(), item.config.stash[RUNS])
        if item.config.stash[CUT_OFF] and item.path.parent.name != "solutions":
            os.environ["COURSE_CACHE"] = str(item.config.stash[RUNS] / "cache" / item.path.stem)
        return (yield)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _set_environment(notebook: Path, runs: Path) -> None:
    solved = notebook.parent.name == "solutions"
    for name in ("COURSE_STRICT", "MPLBACKEND"):  # without MPLBACKEND the kernel draws inline
        os.environ.pop(name, None)
    if solved:
        os.environ["COURSE_STRICT"] = "1"
    os.environ["COURSE_TIER"] = os.environ.get("COURSE_TIER") or "smoke"
    folder = runs / ("solved" if solved else "learner") / notebook.stem
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["COURSE_RUNS"] = str(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "PYTEST_XDIST_WORKER" in os.environ:  # other notebooks run beside this one: a core for each
        os.environ.setdefault("OMP_NUM_THREADS", "1")
