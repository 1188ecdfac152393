"""A server on this machine whose paths say what goes wrong, and what its tests share."""

import contextlib
import http.server
import socket
import socketserver
import ssl
import threading
from pathlib import Path

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
LOGIN_PAGE = b"<!DOCTYPE html><html><body>Please sign in to the campus network</body></html>"
CERTIFICATE = Path(__file__).with_name("certificate.pem")
"""Of 127.0.0.1, signed by nobody, with its key; until the year 2100."""


class Server(http.server.ThreadingHTTPServer):
    """Answers each path as its name says and writes down what was asked."""

    scheme = "http"

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.stalled = [], threading.Event()

    def server_bind(self):
        socketserver.TCPServer.server_bind(
            self
        )  # HTTPServer's own asks the name service who 127.0.0.1 is
        self.server_name, self.server_port = self.server_address

    def url(self, path):
        return f"{self.scheme}://127.0.0.1:{self.server_port}/{path}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stalled.set()
        self.shutdown()
        self.server_close()


class SecureServer(Server):
    """The same by https, with a certificate that nobody knows."""

    scheme = "https"

    def __init__(self):
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self.socket = context.wrap_socket(self.socket, server_side=True)


class Proxy(Server):
    """An HTTP proxy: joins its client with whom it asks for, or with one address whoever that is."""

    def __init__(self, always=None):
        super().__init__()
        self.RequestHandlerClass, self.always = Tunnel, always


class Tunnel(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.server.asked.append(self.path)
        host, port = self.path.split(":")
        with socket.create_connection(self.server.always or (host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pour, args=(there, self.connection))
            back.start()
            pour(self.connection, there)
            back.join()

    def log_message(self, *arguments):
        pass


def pour(source, target):
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


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
        elif path == "busy" and self.server.asked.count(path) < 3:
            self.send_error(503)
        elif path == "busy":
            self.answer(CONTENT)
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


def nobody_listens():
    """An address that refuses the connection."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{free.getsockname()[1]}/thing"


def names_in(cache):
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())
