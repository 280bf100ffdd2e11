"""At the registry's address, something other than MLflow answers: on a kept connection, it would do so for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from features.errors import ModelUnavailableError
from features.io.registry import PRODUCTION, Registry

FOREIGN = {
    "text": (404, "text/plain", b"404 page not found"),
    "json": (404, "application/json", b'{"detail":"Not Found"}'),
    "page": (200, "text/html", b"<html><body>Welcome to nginx!</body></html>"),
    "other json": (200, "application/json", b'{"status": "ready", "parts": {}}'),
    "refusal": (403, "text/plain", b"Invalid Host header"),
}
ABSENT = (404, "application/json", b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such model"}')


@contextmanager
def answering(status: int, media_type: str, body: bytes) -> Iterator[tuple[str, Callable[[], int]]]:
    """A server that keeps connections open and gives every request one answer: its address and connection count."""
    connections = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            nonlocal connections
            connections += 1
            super().setup()

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", lambda: connections
        finally:
            server.shutdown()


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("call", [lambda registry: registry.by_alias(PRODUCTION), Registry.versions])
def test_a_foreign_response_is_named_and_its_connection_is_not_used_again(
    answer: tuple[int, str, bytes], call: Callable[[Registry], object]
) -> None:
    with answering(*answer) as (address, connections):
        for expected in (1, 2):
            with pytest.raises(ModelUnavailableError, match=r"something other than MLflow's API answered") as raised:
                call(Registry(address))
            assert address in str(raised.value)
            assert connections() == expected


def test_a_response_of_mlflow_keeps_its_connection() -> None:
    with answering(*ABSENT) as (address, connections):
        for _ in range(2):
            assert Registry(address).by_alias(PRODUCTION) is None
        assert connections() == 1
