"""Row A10: a machine without any network, only with itself (kernels of notebooks need that).

That every notebook finishes there is shown where all of them run anyway: `run.py test` runs them without a network,
by the option of `notebooks/conftest.py` that is tried here. With ``--full-faults`` they run here once more.
"""

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from test_run import load_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
UP = """
import fcntl, os, socket, struct, sys
with socket.socket() as loopback:
    fcntl.ioctl(loopback, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: up, running
try:
    socket.create_connection(("192.0.2.1", 443), 5)
    sys.exit("there is a network")
except OSError as error:
    print("NO NETWORK:", error, flush=True)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
COLD = """
import contextlib, os
from course_utils import assets
from course_utils.errors import CourseError
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
for tier in ("laptop", "gpu"):
    os.environ["COURSE_TIER"] = tier
    assert load_images(limit=4).is_standin
os.environ["COURSE_TIER"] = "laptop"
assert load_reviews(limit=4).is_standin
try:
    assets.fetch("cifar10")
except CourseError as error:
    print(error)
"""
WARM = """
import hashlib, socket
from course_utils import assets, paths
(paths.cache_dir() / "thing.bin").write_bytes(b"content")
digest = hashlib.sha256(b"content").hexdigest()
thing = assets.Asset("thing", "thing.bin", ("https://example.org/thing.bin",), 7, digest, "", "")
assets.manifest = lambda: {"thing": thing}
socket.socket = None
assert assets.fetch("thing").read_bytes() == b"content"
print("WARM")
"""


PROBE = """
import os, socket
reached = []
for address in (("127.0.0.1", {port}), ("192.0.2.1", 443)):
    with socket.socket() as probe:
        probe.settimeout(2)
        reached.append(probe.connect_ex(address))
cache = os.environ["COURSE_CACHE"]
print("TOLD", *reached, os.listdir(cache) if os.path.isdir(cache) else [])
assert {expected}, (reached, cache)
"""
CUT = "reached == [111, 101]"  # refused: nobody listens on a loopback of one's own; unreachable


@pytest.fixture
def namespaces():
    """Skip where no network namespace can be made."""
    if not sys.platform.startswith("linux"):
        pytest.skip("a machine without a network is made by Linux' namespaces")
    trial = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True)
    if trial.returncode:
        pytest.skip(f"no network namespace can be made here: {trial.stderr.strip()}")


@pytest.fixture
def offline(namespaces, environment, cache):
    """Run a Python program without a network; what it says."""

    def run(*arguments, **changes):
        command = ["unshare", "-n", sys.executable, "-c", UP, *arguments]
        values = {**environment, **changes}
        done = subprocess.run(
            command, env=values, capture_output=True, text=True, cwd=ROOT, timeout=1200
        )
        assert "NO NETWORK: [Errno 101]" in done.stdout, done.stdout + done.stderr
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        return done.stdout

    return run


@pytest.mark.fault("A10")
def test_cold_without_a_network_the_standin_comes_with_its_banner(offline):
    said = offline("-c", COLD)
    assert said.count("STAND-IN: CIFAR-10 is not in the cache folder") == 2
    assert "STAND-IN: neither IMDB nor" in said
    assert 'assets.fetch("cifar10")' in said
    assert "asset-not-fetched" in said


@pytest.mark.fault("A10")
def test_warm_without_a_network_no_socket_is_opened(offline):
    assert "WARM" in offline("-c", WARM)


@pytest.mark.fault("A10")
def test_every_notebook_finishes_without_a_network(offline, full, figure):
    notebooks = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if full:
        notebooks += sorted((ROOT / "notebooks" / "solutions").glob("[0-9][0-9]_*.ipynb"))
    else:
        notebooks = notebooks[:1]  # `run.py test` runs all so: see the next test
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-cell-timeout=300",
    ]
    names = [str(path.relative_to(ROOT)) for path in notebooks]
    said = offline("-m", "pytest", *options, *names, COURSE_TIER="smoke")
    cells = int(re.search(r"(\d+) passed", said)[1])
    assert "failed" not in said.splitlines()[-1]
    assert cells > (20 if full else 5) * len(notebooks)
    if full:
        figure("A10.notebooks_finished_without_network", len(notebooks))
        figure("A10.cells", cells)


@pytest.mark.fault("A10")
def test_the_notebooks_of_run_py_test_have_no_network(namespaces, environment, cache, tmp_path):
    """The stage's own command, on two notebooks that ask for a network: its option, and without it."""
    ((*command, option, folder),) = load_run().stages(quick=False)["notebooks"]
    assert (option, folder) == ("--without-network", "notebooks")
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / "conftest.py", tmp_path / "notebooks")
    (cache / "fetched").touch()
    command[command.index("--junitxml") + 1] = str(tmp_path / "record.xml")

    def outcome(learner, solved, *options):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            for name, expected in (("01_a.ipynb", learner), ("solutions/01_a.ipynb", solved)):
                code = nbformat.v4.new_code_cell(PROBE.format(port=port, expected=expected))
                nbformat.write(
                    nbformat.v4.new_notebook(cells=[code]), tmp_path / "notebooks" / name
                )
            run = [sys.executable, "-m", *command, *options, folder]
            done = subprocess.run(
                run, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600
            )
        return re.findall(r"\d+ (?:passed|failed)", done.stdout.splitlines()[-1]), done.stdout

    cold, warm = "not os.path.isdir(cache)", "os.listdir(cache) == ['fetched']"
    found, said = outcome(f"{CUT} and {cold}", f"{CUT} and {warm}", option)
    assert found == ["2 passed"], said
    found, said = outcome(f"reached[0] == 0 and {warm}", f"reached[0] == 0 and {warm}")
    assert found == ["2 passed"], said
    found, said = outcome(CUT, CUT)
    assert found == ["2 failed"], said
