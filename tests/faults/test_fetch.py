"""Group A of the table: a network that fails in every way."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from servers import Server

from course_utils import assets
from course_utils.errors import CourseError
from course_utils.fetching import stall

pytestmark = pytest.mark.slow

FETCHERS = Path(__file__).parent / "fetchers.py"
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="each program is a forked process")


def names_in(cache):
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


def fetched(content):
    return assets.fetch("thing").read_bytes() == content


@pytest.mark.fault("A1")
@pytest.mark.parametrize("length", [True, False], ids=["length", "no-length"])
@pytest.mark.parametrize("percent", [10, 50, 99])
def test_a_cut_download_goes_on_by_range(server, cache, offer, content, percent, length, figure):
    offer(server.url())
    cut = len(content) * percent // 100
    server.cuts, server.length = [cut], length
    server.watch = lambda: (cache / "thing.bin").exists()
    assert fetched(content)
    assert server.broken == [cut]  # it was cut
    assert server.requests == [None, f"bytes={cut}-"]
    assert server.seen == [False, False]  # nothing had the final name before all was there
    assert server.sent <= 1.2 * len(content)
    assert names_in(cache) == ["thing.bin"]
    figure(f"A1.bytes_ratio_cut_at_{percent}", round(server.sent / len(content), 3))


@pytest.mark.fault("A1")
def test_a_server_without_ranges_starts_over_and_a_longer_part_is_never_lost(
    server, cache, offer, content
):
    offer(server.url())
    server.ranges, server.cuts = (
        False,
        [600_000, 300_000],
    )  # the second answer, from the beginning, gets to 300,000
    server.watch = lambda: sum(p.stat().st_size for p in cache.glob(".thing.bin.part"))
    assert fetched(content)
    assert server.broken == [300_000, 600_000]
    assert server.seen == [0, 300_000, 600_000]


@pytest.mark.fault("A1")
@pytest.mark.parametrize("etag", [True, False], ids=["etag", "no-etag"])
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "close"])
def test_a_file_that_changes_between_two_pieces_is_fetched_whole(
    server, cache, offer, content, etag, reset, capsys
):
    offer(server.url())
    server.content, server.later = content[::-1], content
    server.cuts, server.etag, server.reset = [400_000], etag, reset
    assert fetched(content)
    assert server.broken == [400_000]
    joined = "pieces that do not fit" in capsys.readouterr().out
    assert joined == (not etag)  # by If-Range the server itself says that it is another version
    assert server.requests[:2] == [None, "bytes=400000-"]


@pytest.mark.fault("A1")
def test_a_part_longer_than_the_file_is_given_up(server, cache, offer, content):
    offer(server.url())
    (cache / ".thing.bin.part").write_bytes(content + b"more")
    assert fetched(content)
    assert server.requests == [f"bytes={len(content) + 4}-", None]  # the first is answered with 416


@pytest.mark.fault("A1")
@pytest.mark.parametrize("etag", [True, False], ids=["etag", "no-etag"])
def test_what_a_killed_program_left_is_gone_on_with(
    server, cache, offer, content, environment, etag, tmp_path
):
    offer(server.url())
    server.rate, server.etag = 400_000, etag
    process = subprocess.Popen(
        fetcher(server, content, 1, tmp_path), env=environment, start_new_session=True
    )
    part = cache / ".thing.bin.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 300_000)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    left = part.stat().st_size
    time.sleep(0.1)
    server.rate, before = 0, server.sent
    assert 300_000 < left < len(content)
    assert fetched(content)
    assert server.requests == [None, f"bytes={left}-"]
    assert (
        server.sent - before <= len(content) - left + 8192
    )  # whatever the killed one's answer still sent
    assert names_in(cache) == ["thing.bin"]


@pytest.mark.fault("A2")
def test_resets_all_along_the_way_are_survived(server, cache, offer, content, figure):
    offer(server.url())
    server.cuts = [len(content) * percent // 100 for percent in (5, *range(10, 100, 10), 95)]
    server.reset, resets = True, len(server.cuts)
    assert fetched(content)
    assert len(server.broken) == resets >= 10
    assert server.sent <= 1.2 * len(content)
    figure("A2.resets_survived", resets)
    figure("A2.bytes_ratio", round(server.sent / len(content), 3))


@pytest.mark.fault("A3")
def test_a_server_that_stalls_is_named_within_10_s_and_left_within_30(
    server, cache, offer, content, monkeypatch, figure
):
    """In real time: nothing is set to another value here."""
    words = []
    with Server(content) as good:
        offer(server.url(), good.url())
        server.stall_at = 500_000
        start = time.monotonic()
        good.watch = lambda: words.append(("next mirror", time.monotonic() - start))
        monkeypatch.setattr(
            stall.tqdm, "write", lambda text: words.append(("word", time.monotonic() - start))
        )
        assert fetched(content)
        assert server.stalled == 1
        assert [name for name, _ in words] == ["word", "next mirror"]
        assert words[0][1] < 10
        assert words[1][1] < 30
        assert (
            good.requests == ["bytes=500000-"] or int(good.requests[0][6:-1]) > 450_000
        )  # what came is not lost
    figure("A3.seconds_to_word", round(words[0][1], 1))
    figure("A3.seconds_to_next_mirror", round(words[1][1], 1))


@pytest.mark.fault("A3")
@pytest.mark.parametrize("kind", ["before the head", "a byte now and then", "name service"])
def test_no_kind_of_silence_hangs(server, cache, offer, content, kind, monkeypatch, capsys):
    monkeypatch.setattr(stall, "TIMEOUT", 1.0)
    with Server(content) as good:
        if kind == "name service":
            asked, resolve = [], socket.getaddrinfo
            monkeypatch.setattr(
                socket,
                "getaddrinfo",
                lambda host, *rest, **more: (
                    asked.append(host) or time.sleep(30)
                    if host == "example.org"
                    else resolve(host, *rest, **more)
                ),
            )
            offer("https://example.org/thing.bin", good.url())
        else:
            offer(server.url(), good.url())
            server.stall_at = -1 if kind == "before the head" else None
            server.rate = (
                8192 * 50 if kind == "before the head" else 700
            )  # 8 KiB, then nothing for 12 s
        start = time.monotonic()
        assert fetched(content)
        assert time.monotonic() - start < 8
        assert asked == ["example.org"] if kind == "name service" else len(server.requests) == 1
    assert "no answer within 1 s" in capsys.readouterr().out


@pytest.mark.fault("A3")
def test_a_slow_server_is_not_given_up(cache, offer, content, monkeypatch):
    monkeypatch.setattr(stall, "TIMEOUT", 1.0)
    with Server(content[:200_000]) as server:
        server.rate = 55_000
        asset = assets.Asset(
            "thing",
            "thing.bin",
            (server.url(),),
            200_000,
            hashlib.sha256(content[:200_000]).hexdigest(),
            "",
            "",
        )
        monkeypatch.setattr(assets, "manifest", lambda: {"thing": asset})
        start = time.monotonic()
        assert fetched(content[:200_000])
        assert time.monotonic() - start > 2.5  # it was slow
        assert server.requests == [None]


@pytest.mark.fault("A4")
def test_a_login_page_does_not_cost_what_came_before(server, cache, offer, content, capsys):
    offer(server.url())
    (cache / ".thing.bin.part").write_bytes(content[:700_000])
    server.page = b"<!DOCTYPE html><html>Please sign in</html>"
    with pytest.raises(CourseError, match="a web page instead of the file"):
        assets.fetch("thing")
    assert server.requests == ["bytes=700000-"]
    assert names_in(cache) == [".thing.bin.part", "quarantine/thing.bin"]
    assert (cache / "quarantine" / "thing.bin").read_bytes() == server.page
    server.page = None
    assert fetched(content)
    assert server.requests[-1] == "bytes=700000-"


@pytest.mark.fault("A4")
@pytest.mark.parametrize("length", [True, False], ids=["length", "no-length"])
def test_wrong_content_of_the_right_size_is_quarantined(server, cache, offer, content, length):
    offer(server.url())
    server.content, server.length = content[:-1] + bytes([content[-1] ^ 1]), length
    with pytest.raises(CourseError, match="another content") as caught:
        assets.fetch("thing")
    assert "quarantine" in caught.value.what
    assert names_in(cache) == ["quarantine/thing.bin"]
    assert server.sent == len(content)


# Programs at the same time


def fetcher(server, content, count, folder, kind="lock"):
    reports = folder / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()
    return [
        sys.executable,
        str(FETCHERS),
        server.url(),
        str(len(content)),
        digest,
        str(count),
        str(reports),
        kind,
    ]


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def run_fetchers(server, content, count, folder, environment, kind="lock"):
    command = fetcher(server, content, count, folder, kind)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["codes"] == [0] * count, done.stdout
    assert report["digests"] == [hashlib.sha256(content).hexdigest()] * count
    return done.stdout


@posix
@pytest.mark.fault("A5")
def test_thirty_programs_with_a_cold_cache_download_once(
    server, cache, content, environment, tmp_path, figure
):
    server.rate = 600_000
    said = run_fetchers(server, content, 30, tmp_path, environment)
    assert "Another program is fetching" not in said or server.sent > 0
    assert server.requests == [None]
    assert server.sent <= 1.1 * len(content)
    assert names_in(cache) == ["thing.bin"]
    figure("A5.processes", 30)
    figure("A5.bytes_ratio", round(server.sent / len(content), 3))
    run_fetchers(server, content, 30, tmp_path, environment)
    assert server.requests == [None]  # the second start asks nobody
    figure("A5.requests_of_second_start", len(server.requests) - 1)


@posix
@pytest.mark.fault("A5")
def test_without_any_lock_all_is_correct_too(server, cache, content, environment, tmp_path):
    server.rate = 600_000
    run_fetchers(server, content, 6, tmp_path, environment, "no-lock")
    assert len(server.requests) > 1  # there was no lock
    assert names_in(cache) == ["thing.bin"]


@posix
@pytest.mark.fault("A6")
def test_when_the_holder_of_the_lock_is_killed_others_go_on(
    server, cache, content, environment, tmp_path, figure
):
    server.rate = 40_000
    holder = subprocess.Popen(
        fetcher(server, content, 1, tmp_path / "a"), env=environment, start_new_session=True
    )
    part = cache / ".thing.bin.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 20_000)
    other = subprocess.Popen(
        fetcher(server, content, 3, tmp_path / "b"), env=environment, stdout=subprocess.PIPE
    )
    said = b""
    while b"Another program is fetching" not in said:  # they wait, and say so
        said += os.read(other.stdout.fileno(), 4096)
    assert server.requests == [None]
    os.killpg(holder.pid, signal.SIGKILL)
    assert holder.wait() == -signal.SIGKILL
    left, killed_at = part.stat().st_size, time.monotonic()
    wait_until(lambda: len(server.requests) == 2)
    waited = time.monotonic() - killed_at
    server.rate = 0
    report = json.loads(other.communicate(timeout=60)[0].splitlines()[-1])
    assert report["codes"] == [0, 0, 0]
    assert set(report["digests"]) == {hashlib.sha256(content).hexdigest()}
    assert waited < 5
    assert server.requests == [None, f"bytes={left}-"]
    assert names_in(cache) == ["thing.bin"]
    figure("A6.seconds_until_others_go_on", round(waited, 2))


@posix
@pytest.mark.fault("A9")
@pytest.mark.parametrize("damage", ["flipped", "emptied"])
def test_programs_that_find_the_same_damage_repair_it_once(
    server, cache, content, environment, damage, tmp_path
):
    (cache / "thing.bin").write_bytes(
        content[:-1] + bytes([content[-1] ^ 1]) if damage == "flipped" else b""
    )
    server.rate = 600_000
    said = run_fetchers(server, content, 12, tmp_path, environment)
    assert "is damaged" in said
    assert server.requests == [None]
    assert names_in(cache) == ["quarantine/thing.bin", "thing.bin"]
