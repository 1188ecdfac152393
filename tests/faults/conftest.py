"""What the tests of faults share."""

import hashlib
import os
import random

import pytest
from servers import Server

from course_utils import assets
from course_utils.fetching import http

SIZE = 1_000_000


@pytest.fixture(scope="session")
def content():
    return random.Random(5).randbytes(SIZE)


@pytest.fixture
def server(content):
    with Server(content) as server:
        yield server


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("COURSE_CACHE", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http, "PAUSE", 0.01)
    return folder


@pytest.fixture
def offer(monkeypatch, content):
    """Put an asset with these addresses into the manifest."""

    def offer(*urls):
        digest = hashlib.sha256(content).hexdigest()
        asset = assets.Asset("thing", "thing.bin", urls, len(content), digest, "none", "nobody")
        monkeypatch.setattr(assets, "manifest", lambda: {"thing": asset})

    return offer


@pytest.fixture
def environment(cache):
    """Of a child process: this very course, one thread, no proxy."""
    path = os.pathsep.join(
        [str(assets.data_dir().parent), os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")]
    )
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "no_proxy": "127.0.0.1"}
