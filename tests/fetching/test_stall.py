"""A thread waits for the network in the caller's place."""

import threading

import pytest

from course_utils.fetching.stall import watched


def source(end, closed):
    try:
        yield from (b"a", b"b")
        if isinstance(end, Exception):
            raise end
        end.wait(30)
    finally:
        closed.set()


def test_items_and_errors_come_through_in_their_order():
    closed, came = threading.Event(), []
    with pytest.raises(ConnectionResetError, match="cut"):
        for item in watched(source(ConnectionResetError("cut"), closed), "a host", 5):
            came.append(item)
    assert came == [b"a", b"b"] and closed.wait(5)


def test_silence_ends_for_the_caller_though_the_thread_still_waits(capsys):
    end, closed, came = threading.Event(), threading.Event(), []
    with pytest.raises(TimeoutError, match="no answer within 1 s"):
        for item in watched(source(end, closed), "a host", 0.6):
            came.append(item)
    assert came == [b"a", b"b"] and not closed.is_set()
    assert "Nothing comes from a host" in capsys.readouterr().out
    end.set()
    assert closed.wait(5)


def test_whoever_stops_reading_leaves_no_thread_behind():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield bytes(1 << 16)
        finally:
            closed.set()

    pieces = watched(endless(), "a host", 5)
    assert len(next(pieces)) == 1 << 16
    pieces.close()
    assert closed.wait(5)
