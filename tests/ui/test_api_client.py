"""The API client on responses that it cannot use."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from ui.api_client import ApiClient, ApiError, BadRequestError, NotReadyError, UnexpectedResponseError


class StubServer:
    """Responds to every request with the same status and body, and records the last request headers."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.request_headers: dict[str, str] = {}
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.request_headers = dict(self.headers)
                self.send_response(stub.status)
                self.end_headers()
                self.wfile.write(stub.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def server() -> Iterator[StubServer]:
    stub = StubServer()
    thread = Thread(target=stub.server.serve_forever, daemon=True)
    thread.start()
    yield stub
    stub.server.shutdown()
    stub.server.server_close()
    thread.join(timeout=5)


def test_unexpected_fields_name_the_path(server: StubServer) -> None:
    server.body = b'{"items": [{"surprise": 1}]}'
    with pytest.raises(UnexpectedResponseError, match="response of /matches does not have the expected fields"):
        ApiClient(server.url, 5).matches()


def test_proxy_error_page_still_gives_a_sentence(server: StubServer) -> None:
    server.status, server.body = 502, b"<html>Bad gateway</html>"
    with pytest.raises(NotReadyError, match="responded with 502"):
        ApiClient(server.url, 5).model_info()


def test_undocumented_failure_is_no_bad_request(server: StubServer) -> None:
    server.status = 500
    with pytest.raises(UnexpectedResponseError, match="responded with 500"):
        ApiClient(server.url, 5).model_info()


def test_suggestions_follow_the_detail(server: StubServer) -> None:
    server.status = 422
    server.body = (
        b'{"detail": "club \'Arsenel\' is unknown", "errors": [{"field": "team", "suggestions": ["Arsenal"]}]}'
    )
    with pytest.raises(BadRequestError, match=r"^Club 'Arsenel' is unknown\. Did you mean Arsenal\?$"):
        ApiClient(server.url, 5).matches(team="Arsenel")


def test_key_is_sent_and_never_shown(server: StubServer) -> None:
    server.status = 401
    with pytest.raises(ApiError) as raised:
        ApiClient(server.url, 5, api_key="s3cret").teams()
    assert server.request_headers["X-API-Key"] == "s3cret"
    assert "s3cret" not in str(raised.value)
