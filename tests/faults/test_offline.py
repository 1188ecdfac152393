"""Row A10: a machine without any network, only with itself (kernels of notebooks need that)."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
import contextlib
from course_utils import assets
from course_utils.errors import CourseError
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
for tier in ("laptop", "gpu"):
    assert load_images(tier=tier, limit=4).is_standin
assert load_reviews(tier="laptop", limit=4).is_standin
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


@pytest.fixture
def offline(environment, cache):
    """Run a Python program without a network; what it says."""
    if not sys.platform.startswith("linux"):
        pytest.skip("a machine without a network is made by Linux' namespaces")
    trial = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True)
    if trial.returncode:
        pytest.skip(f"no network namespace can be made here: {trial.stderr.strip()}")

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
    assert cells > 20 * len(notebooks)
    figure("A10.notebooks_finished_without_network", len(notebooks))
    figure("A10.cells", cells)
