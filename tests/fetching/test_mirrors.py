"""From the addresses of an asset to a verified file: in turn, and only a right file gets the name."""

import re
import shutil

import pytest
from faulty_server import CONTENT, names_in, nobody_listens

from course_utils import assets
from course_utils.errors import CourseError
from course_utils.fetching import mirrors, stall


@pytest.mark.fault("A4")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("other-content", "1,024,000 bytes as expected, but with another content"),
        ("longer", "more than 1,024,000 bytes"),
        ("login", "a web page instead of the file, perhaps the login page"),
        ("empty", "an empty file"),
    ],
)
def test_wrong_content_is_refused_kept_aside_and_described(server, cache, offer, path, message):
    offer(server.url(path))
    with pytest.raises(CourseError, match=re.escape(message)) as caught:
        assets.fetch("thing")
    assert caught.value.code == "asset-not-fetched"
    assert server.asked == [path]
    assert names_in(cache) == ["quarantine/thing.bin"]


def test_the_next_mirror_is_tried(server, cache, offer, capsys):
    offer(nobody_listens(), server.url("login"), server.url("good"))
    assert assets.fetch("thing").read_bytes() == CONTENT
    printed = capsys.readouterr().out
    assert "no connection" in printed and "a web page" in printed
    assert server.asked == ["login", "good"]


def test_a_server_that_stalls_is_left(server, cache, offer, monkeypatch):
    monkeypatch.setattr(stall, "TIMEOUT", 0.3)
    offer(server.url("stall"), server.url("good"))
    assert assets.fetch("thing").read_bytes() == CONTENT
    assert server.asked == ["stall", "good"]


@pytest.mark.parametrize(
    "url", ["http://example.com/thing", "ftp://example.com/thing", "file:///etc/hostname"]
)
def test_only_https_is_asked(cache, offer, url):
    offer(url)
    with pytest.raises(CourseError, match="the address is not https"):
        assets.fetch("thing")


@pytest.mark.parametrize(
    "url", ["pip:thing", "pip:thing>=1", "pip:--pre==1", "pip:thing==1 --pre", "ftp://a/b"]
)
def test_addresses_that_are_not_pinned_are_not_fetched(url):
    assert not mirrors.allowed(url)


def test_without_a_network_the_error_names_the_ways_out(cache, offer):
    offer(nobody_listens())
    with pytest.raises(CourseError) as caught:
        assets.fetch("thing")
    assert (
        caught.value.code == "asset-not-fetched" and "127.0.0.1: no connection" in caught.value.what
    )
    assert 'assets.fetch("thing")' in caught.value.fix and str(cache) in caught.value.fix
    assert names_in(cache) == []


def test_a_full_disk_is_told_before_anything_is_asked(server, cache, offer, monkeypatch):
    offer(server.url("good"))
    monkeypatch.setattr(
        shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 0)
    )
    with pytest.raises(CourseError, match="needs 65 MiB and 0 MiB are free") as caught:
        assets.fetch("thing")
    assert caught.value.code == "asset-disk-full" and server.asked == []
