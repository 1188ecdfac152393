"""A server with real faults, which writes down what it did."""

import hashlib
import http.server
import re
import socket
import socketserver
import struct
import sys
import threading
import time

PIECE = 8192


class Server(http.server.ThreadingHTTPServer):
    """Gives ``content`` under every path, with the faults that its attributes ask for.

    Attributes:
        content: what it gives; ``later`` replaces it after the first request.
        cuts: places where the connection is ended once each; ``reset`` ends it by a reset instead of an orderly close.
        length: whether it tells the length.
        ranges: whether it honours Range.
        etag: whether it names the version of the file, and honours If-Range.
        rate: bytes a second, 0 for no limit.
        stall_at: place where it goes quiet for ever, None for nowhere; -1: before the head.
        page: a login page that it gives instead, with status 200.
    """

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.later, self.cuts, self.reset, self.length = (
            content,
            None,
            [],
            False,
            True,
        )
        self.ranges, self.etag, self.rate, self.stall_at, self.page = True, False, 0, None, None
        self.requests, self.sent, self.broken, self.stalled = [], 0, [], 0
        self.watch = lambda: None
        self.seen, self.lock, self.free = [], threading.Lock(), threading.Event()

    def server_bind(self):
        socketserver.TCPServer.server_bind(
            self
        )  # HTTPServer's own asks the name service who 127.0.0.1 is
        self.server_name, self.server_port = self.server_address

    def handle_error(self, request, client_address):
        pass  # clients that were killed or gave up

    def url(self, path="thing.bin"):
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.free.set()
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        with server.lock:
            server.requests.append(self.headers.get("Range"))
            server.seen.append(server.watch())
            content = server.content
            if server.later is not None:
                server.content, server.later = server.later, None
        if server.stall_at == -1:
            server.stalled += 1
            server.free.wait(60)
            return
        if server.page is not None:
            self.give(server.page, 0, 200, {})
            return
        tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        headers = {"ETag": tag} if server.etag else {}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked and server.ranges else 0
        if server.etag and self.headers.get("If-Range") not in (None, tag):
            start = 0
        if start >= len(content):
            self.send_error(416)
            return
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.give(content, start, 206 if start else 200, headers)

    def give(self, content, place, status, headers):
        server = self.server
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if server.length:
            self.send_header("Content-Length", str(len(content) - place))
        self.end_headers()
        while place < len(content):
            end = min(place + PIECE, len(content))
            cut = next((c for c in sorted(server.cuts) if place <= c < end), None)
            end = end if cut is None else cut
            if server.stall_at is not None and place >= server.stall_at:
                server.stalled += 1
                server.free.wait(60)
                return
            self.wfile.write(content[place:end])
            with server.lock:
                server.sent += end - place
            place = end
            if server.rate:
                time.sleep(PIECE / server.rate)
            if cut is not None:
                self.end(cut)
                return

    def end(self, cut):
        with self.server.lock:
            self.server.cuts.remove(cut)
            self.server.broken.append(cut)
        self.wfile.flush()
        if self.server.reset:  # RST instead of FIN
            _wait_until_received(self.connection)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *arguments):
        pass


def _wait_until_received(connection, seconds=30):
    """Waits until nothing sent is on its way: a reset throws away what a slow reader has not taken yet.

    Where the system does not tell (only Linux does so), 0.2 s must do.
    """
    if not sys.platform.startswith("linux"):
        time.sleep(0.2)
        return
    import fcntl
    import termios

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        waiting = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
        if not int.from_bytes(waiting, sys.byteorder):
            return
        time.sleep(0.005)
