"""What the client makes of answers that are not what it hoped for."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from ui.api_client import ApiClient, ApiError, BadRequestError, NotReadyError


class Wire:
    """A server that gives one answer to everything and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.headers: dict[str, str] = {}
        wire = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wire.headers = dict(self.headers)
                self.send_response(wire.status)
                self.end_headers()
                self.wfile.write(wire.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    thread = Thread(target=wire.server.serve_forever, daemon=True)
    thread.start()
    yield wire
    wire.server.shutdown()
    wire.server.server_close()
    thread.join(timeout=5)


def test_an_answer_in_an_unknown_form_is_named_as_such(wire: Wire) -> None:
    wire.body = b'{"items": [{"surprise": 1}]}'
    with pytest.raises(BadRequestError, match="not in the form"):
        ApiClient(wire.url, 5).matches()


def test_a_page_of_a_proxy_instead_of_a_problem_document_still_gives_a_sentence(wire: Wire) -> None:
    wire.status, wire.body = 502, b"<html>Bad gateway</html>"
    with pytest.raises(NotReadyError, match="502"):
        ApiClient(wire.url, 5).model_info()


def test_the_nearest_known_values_are_told(wire: Wire) -> None:
    wire.status = 422
    wire.body = b'{"detail": "club \'Arsenel\' is unknown", "errors": [{"field": "team", "suggestions": ["Arsenal"]}]}'
    with pytest.raises(BadRequestError, match=r"is unknown\. Nearest known: Arsenal"):
        ApiClient(wire.url, 5).matches(team="Arsenel")


def test_the_key_is_sent_and_never_shown(wire: Wire) -> None:
    wire.status = 401
    with pytest.raises(ApiError) as raised:
        ApiClient(wire.url, 5, api_key="s3cret").teams()
    assert wire.headers["X-API-Key"] == "s3cret"
    assert "s3cret" not in str(raised.value)
