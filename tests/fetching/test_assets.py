"""Fetching with pinned digests, from a real server on this machine with real faults."""

import hashlib
import http.server
import importlib.util
import os
import re
import shutil
import socket
import socketserver
import threading
import tomllib
import zipfile

import pytest

from course_utils import assets
from course_utils.errors import CourseError
from course_utils.fetching import downloads
from course_utils.fetching import http as http_downloads

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
LOGIN_PAGE = b"<!DOCTYPE html><html><body>Please sign in to the campus network</body></html>"


class Server(http.server.ThreadingHTTPServer):
    """Answers each path as its name says and writes down what was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []

    def server_bind(self):
        socketserver.TCPServer.server_bind(
            self
        )  # HTTPServer's own asks the name service who 127.0.0.1 is
        self.server_name, self.server_port = self.server_address

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.strip("/")
        self.server.asked.append(path)
        if path in ("good", "slow-start"):
            self.answer(CONTENT)
        elif path == "truncated":
            self.answer(CONTENT[: len(CONTENT) // 2], length=len(CONTENT))
        elif path == "truncated-without-length":
            self.answer(CONTENT[: len(CONTENT) // 2], length=None)
        elif path == "other-content":
            self.answer(CONTENT[::-1])
        elif path == "longer":
            self.answer(CONTENT + b"more")
        elif path == "login":
            self.answer(LOGIN_PAGE)
        elif path == "empty":
            self.answer(b"")
        elif path == "reset":
            self.answer(CONTENT[:1000], length=len(CONTENT), reset=True)
        elif path == "redirect":
            self.redirect(self.server.url("good"))
        elif path == "redirect-to-http":
            self.redirect("http://example.com/good")
        elif path == "redirect-to-file":
            self.redirect("file:///etc/hostname")
        elif path == "stall":
            self.server.stalled.wait(30)
        else:
            self.send_error(404)

    def answer(self, body, length=-1, reset=False):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == -1 else length))
        self.end_headers()
        self.wfile.write(body)
        if reset:  # a close that sends RST instead of FIN
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.connection.close()

    def redirect(self, target):
        self.send_response(302)
        self.send_header("Location", target)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = Server()
    server.stalled = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.stalled.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http_downloads, "PAUSE", 0.01)
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


def nobody_listens():
    """An address that refuses the connection."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{free.getsockname()[1]}/thing"


def names_in(cache):
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


def test_fetch_downloads_once_with_size_and_note(server, cache, offer, capsys):
    offer(server.url("good"))
    path = assets.fetch("thing")
    assert path.read_bytes() == CONTENT and path.parent == cache
    printed = capsys.readouterr()
    assert "Fetching thing.bin, 1 MiB (a small test)" in printed.out and "100%" in printed.err
    assert assets.fetch("thing") == path
    assert server.asked == ["good"] and names_in(cache) == ["thing.bin"]
    assert capsys.readouterr().out == ""


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


@pytest.mark.parametrize("path", ["truncated", "truncated-without-length"])
def test_an_answer_that_always_ends_early_is_given_up_and_kept_for_the_next_time(
    server, cache, offer, path
):
    """Once more may bring the rest; again and again it does not. What came is not thrown away."""
    offer(server.url(path))
    with pytest.raises(CourseError, match="only 512,000 of 1,024,000 bytes") as caught:
        assets.fetch("thing")
    assert "the next try goes on from it" in caught.value.why
    assert set(server.asked) == {path} and 2 <= len(server.asked) <= 8
    assert names_in(cache) == [".thing.bin.part"]
    assert (cache / ".thing.bin.part").read_bytes() == CONTENT[:512_000]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "the server answered 404"),
        ("reset", "interrupted"),
        ("redirect-to-http", "which is not https"),
        ("redirect-to-file", "file"),
    ],
)
def test_faults_of_the_server_leave_nothing_behind(server, cache, offer, path, message):
    offer(server.url(path))
    with pytest.raises(CourseError, match=message):
        assets.fetch("thing")
    assert (
        server.asked == [path] * (http_downloads.TRIES if path == "reset" else 1)
        and names_in(cache) == []
    )


def test_a_redirect_to_an_allowed_place_is_followed(server, cache, offer):
    offer(server.url("redirect"))
    assert assets.fetch("thing").read_bytes() == CONTENT
    assert server.asked == ["redirect", "good"]


def test_the_next_mirror_is_tried(server, cache, offer, capsys):
    offer(nobody_listens(), server.url("login"), server.url("good"))
    assert assets.fetch("thing").read_bytes() == CONTENT
    printed = capsys.readouterr().out
    assert "no connection" in printed and "a web page" in printed
    assert server.asked == ["login", "good"]


def test_a_server_that_stalls_is_left(server, cache, offer, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
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


@pytest.mark.fault("A9")
@pytest.mark.parametrize("damage", ["flipped", "emptied", "cut", "removed"])
def test_damage_in_the_cache_is_found_and_mended(server, cache, offer, damage, capsys):
    offer(server.url("good"))
    path = assets.fetch("thing")
    if damage == "removed":
        path.unlink()
    else:
        flipped = CONTENT[:5000] + bytes([CONTENT[5000] ^ 1]) + CONTENT[5001:]
        path.write_bytes({"flipped": flipped, "emptied": b"", "cut": CONTENT[:-1]}[damage])
    capsys.readouterr()
    assert assets.cached("thing") is None
    assert ("damaged" in capsys.readouterr().out) == (damage != "removed")
    assert assets.fetch("thing").read_bytes() == CONTENT
    assert server.asked == ["good", "good"]


def test_a_file_put_into_the_cache_by_hand_needs_no_network(cache, offer):
    offer(nobody_listens())
    cache.mkdir()
    (cache / "thing.bin").write_bytes(CONTENT)
    assert assets.fetch("thing") == cache / "thing.bin"


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


def test_verify_says_what_a_wrong_file_looks_like(cache, offer, tmp_path):
    offer(nobody_listens())
    file = tmp_path / "elsewhere.bin"
    file.write_bytes(CONTENT)
    assets.verify("thing", file)
    file.write_bytes(LOGIN_PAGE)
    with pytest.raises(CourseError, match="a web page"):
        assets.verify("thing", file)
    assert file.read_bytes() == LOGIN_PAGE  # another's file is refused, not moved


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(CourseError, match="lists: cifar10"):
        assets.fetch("cifar11")


def test_the_manifest_is_complete_and_agrees_with_its_readme():
    known = assets.manifest()
    assert known["cifar10"].bytes == 170_052_171
    assert known["cifar10"].md5 == "c32a1d4ab5d03f1284b67883e8d87530"
    readme = (assets.data_dir() / "README.md").read_text(encoding="utf-8")
    for asset in known.values():
        assert asset.urls and all(
            re.match(r"https://|pip:[\w-]+==[\d.]+$", url) for url in asset.urls
        )
        assert re.fullmatch("[0-9a-f]{64}", asset.sha256) and asset.bytes > 0
        assert asset.licence and asset.citation
        assert asset.file == asset.file.split("/")[-1] and not asset.file.startswith(".")
        for fact in (asset.file, asset.sha256, f"{asset.bytes:,}"):
            assert fact in readme
    tomllib.loads((assets.data_dir() / "manifest.toml").read_text(encoding="utf-8"))


# The package index


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder that pip takes for its index, with one wheel in it; returns the wheel's path."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "tiny_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_thing/data.bin", CONTENT)
        archive.writestr(
            "tiny_thing-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n",
        )
        archive.writestr(
            "tiny_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_thing-1.0.dist-info/RECORD", "")
    for name, value in {
        "NO_INDEX": "1",
        "FIND_LINKS": str(folder),
        "CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return wheel


def offer_wheel(monkeypatch, wheel, requirement, digest=None):
    content = wheel.read_bytes()
    digest = digest or hashlib.sha256(content).hexdigest()
    urls = (f"pip:{requirement}",)
    asset = assets.Asset(
        "tiny", wheel.name, urls, len(content), digest, "none", "nobody", setup=True
    )
    monkeypatch.setattr(assets, "manifest", lambda: {"tiny": asset})


def test_a_wheel_comes_through_pip_and_is_not_installed(cache, wheels, monkeypatch):
    offer_wheel(monkeypatch, wheels, "tiny-thing==1.0")
    path = assets.fetch("tiny")
    assert path.read_bytes() == wheels.read_bytes() and path.parent == cache
    assert importlib.util.find_spec("tiny_thing") is None
    assert sorted(p.name for p in cache.iterdir()) == [wheels.name]  # nothing of pip's is left
    wheels.unlink()
    assert assets.fetch("tiny") == path  # without asking again


def test_a_wheel_with_another_content_is_refused(cache, wheels, monkeypatch):
    offer_wheel(monkeypatch, wheels, "tiny-thing==1.0", digest="0" * 64)
    with pytest.raises(CourseError, match=r"the package index: .*another content"):
        assets.fetch("tiny")
    assert not (cache / wheels.name).exists() and (cache / "quarantine" / wheels.name).exists()


def test_what_pip_says_is_passed_on(cache, wheels, monkeypatch):
    offer_wheel(monkeypatch, wheels, "tiny-thing==2.0")
    with pytest.raises(CourseError, match=r"No matching distribution found for tiny-thing==2\.0"):
        assets.fetch("tiny")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["pip:thing", "pip:thing>=1", "pip:--pre==1", "pip:thing==1 --pre", "ftp://a/b"]
)
def test_addresses_that_are_not_pinned_are_not_fetched(url):
    assert not downloads.allowed(url)


def test_setup_fetches_what_belongs_to_the_environment(cache, wheels, monkeypatch, capsys):
    offer_wheel(monkeypatch, wheels, "tiny-thing==1.0")
    assert assets.main(["--setup"]) == 0 and "tiny: " in capsys.readouterr().out
    assert assets.main([]) == 2 and assets.main(["other"]) == 2
    (cache / wheels.name).unlink()
    wheels.unlink()
    assert assets.main(["tiny"]) == 1 and "could not be fetched" in capsys.readouterr().err
