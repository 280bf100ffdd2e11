"""A web server on loopback that hands out files, answers conditional requests, and fails when it is told to."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site:
    """Files by path; `failures` answers that many requests with 503 first; `asked` records each request's status."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.failures = 0
        self.asked: list[tuple[str, int]] = []
        self.url = ""

    def answer(self, path: str, etag: str | None) -> tuple[int, bytes]:
        if self.failures:
            self.failures -= 1
            return 503, b"busy"
        if path not in self.files:
            return 404, b"not here"
        if etag == self.etag(path):
            return 304, b""
        return 200, self.files[path]

    def etag(self, path: str) -> str:
        return f'"{hashlib.sha256(self.files[path]).hexdigest()}"'


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = state.answer(self.path, self.headers.get("If-None-Match"))
            state.asked.append((self.path, status))
            self.send_response(status)
            if status in (200, 304):
                self.send_header("ETag", state.etag(self.path))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
