"""The server, an empty cache, and a manifest of one asset."""

import hashlib

import pytest
from faulty_server import CONTENT, Server

from course_utils import assets
from course_utils.fetching import http


@pytest.fixture
def server():
    with Server() as server:
        yield server


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http, "PAUSE", 0.01)
    return tmp_path / "cache"


@pytest.fixture
def offer(monkeypatch):
    """Put an asset with these addresses into the manifest."""

    def offer(*urls):
        digest = hashlib.sha256(CONTENT).hexdigest()
        asset = assets.Asset(
            "thing", "thing.bin", urls, len(CONTENT), digest, "none", "nobody", note="a small test"
        )
        monkeypatch.setattr(assets, "manifest", lambda: {"thing": asset})

    return offer
